//! The `data.json` of pypi-mirrors.org: by host, with its colours for words.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::view::{EndpointView, Freshness, View};
use super::super::words;
use crate::observe::Outcome;

/// One mirror. Its last update was a text for people there, and is one here.
#[derive(Serialize)]
pub(super) struct Mirror {
    status: &'static str,
    location: String,
    num_packages: &'static str,
    last_updated: String,
}

pub(super) fn of(view: &View<'_>) -> BTreeMap<String, Mirror> {
    let mut mirrors = BTreeMap::new();
    // The best of several endpoints at one host is the one that is told.
    for endpoint in view.ranked().into_iter().filter(|view| view.is_offered()) {
        mirrors
            .entry(super::host(endpoint).to_owned())
            .or_insert_with(|| mirror(endpoint));
    }
    mirrors
}

fn mirror(view: &EndpointView<'_>) -> Mirror {
    let is_up = view.newest(|sample| Some(sample.outcome)) == Some(Outcome::Alive);
    Mirror {
        status: match view.freshness() {
            _ if !is_up => "Unavailable",
            Freshness::Fresh => "Green",
            Freshness::Aging => "Yellow",
            Freshness::Old => "Red",
            Freshness::Unknown => "Unavailable",
        },
        location: view
            .country()
            .map_or_else(|| "N/A".to_owned(), |country| country.to_string()),
        num_packages: "N/A",
        last_updated: view.lag_seconds().map_or_else(
            || "Unavailable".to_owned(),
            |lag| format!("{} ago", words::span(lag)),
        ),
    }
}

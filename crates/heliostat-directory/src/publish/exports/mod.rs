//! The list in the formats that others read already. Only mirrors that clients are sent to are in those that people
//! install from; the keys are those of each format, filled with what is known and left empty where nothing is.

mod arch;
mod cpan;
mod installers;
mod mirrorz;
mod prometheus;
mod pypi_mirrors;

use askama::Template;

use super::documents::json;
use super::view::{EndpointView, View};
use super::{Files, words};
use crate::error::DirectoryError;

/// Metalink 4 (RFC 5854): the root of the Simple API at every mirror.
#[derive(Template)]
#[template(path = "mirrors.xml")]
struct Metalink {
    generator: String,
    at: String,
    urls: Vec<(Option<String>, usize, String)>,
}

pub(super) fn add(view: &View<'_>, files: &mut Files) -> Result<(), DirectoryError> {
    let mut file = |name: &str, bytes: Vec<u8>| {
        files.insert(format!("exports/{name}"), bytes);
    };
    file("cpan-mirrors.json", json(&cpan::of(view))?);
    file("arch-status-v3.json", json(&arch::Status::of(view))?);
    file("mirrorz.json", json(&mirrorz::Document::of_list(view))?);
    for endpoints in view.by_mirror() {
        let name = format!("mirrorz/{}.json", endpoints[0].mirror.id);
        file(&name, json(&mirrorz::Document::of_mirror(endpoints, view))?);
    }
    file("data.json", json(&pypi_mirrors::of(view))?);
    file("metrics.txt", prometheus::of(view).into_bytes());
    let lines = view
        .usable()
        .map(|view| format!("{}\n", view.endpoint.base));
    file("mirrors.txt", lines.collect::<String>().into_bytes());
    file("mirrors.meta4", metalink(view)?);
    installers::add(view, &mut file);
    Ok(())
}

fn metalink(view: &View<'_>) -> Result<Vec<u8>, DirectoryError> {
    let urls = view.usable().zip(1..).map(|(view, priority)| {
        let country = view
            .country()
            .map(|country| country.to_string().to_lowercase());
        (country, priority, view.index())
    });
    let metalink = Metalink {
        generator: view.generator.to_owned(),
        at: words::rfc3339(view.at),
        urls: urls.collect(),
    };
    Ok(metalink
        .render()
        .map_err(DirectoryError::write)?
        .into_bytes())
}

/// The address that it takes from, where that is a mirror of this list.
fn source(view: &EndpointView<'_>, all: &View<'_>) -> String {
    let upstream = view.mirror.upstream.as_ref();
    let of = upstream.and_then(|id| all.endpoints.iter().find(|of| of.mirror.id == *id));
    of.map_or_else(String::new, |of| of.endpoint.base.to_string())
}

/// The host, as lists of hosts name a mirror.
fn host<'a>(view: &EndpointView<'a>) -> &'a str {
    view.endpoint.base.host_str().unwrap_or_default()
}

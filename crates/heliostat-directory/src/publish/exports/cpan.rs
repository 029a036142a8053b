//! CPAN's `mirrors.json`: an array of mirrors with the keys that CPAN's own list has.

use serde::Serialize;

use super::super::view::{EndpointView, View};
use super::host;
use crate::observe::Outcome;

/// One mirror. What a list of ours does not know is an empty text, as on CPAN's.
#[derive(Serialize)]
pub(super) struct Mirror {
    name: String,
    org: String,
    city: &'static str,
    region: &'static str,
    country: String,
    continent: &'static str,
    latitude: &'static str,
    longitude: &'static str,
    tz: &'static str,
    pipesize: String,
    contact: [Contact; 0],
    src: String,
    http: String,
    ftp: &'static str,
    rsync: &'static str,
    freq: &'static str,
    tier1: &'static str,
    note: String,
    inceptdate: String,
    retiredate: &'static str,
    dnsrr: &'static str,
    ccode: String,
    aka_name: &'static str,
    #[serde(rename = "A_or_CNAME")]
    a_or_cname: &'static str,
}

/// Somebody to write to. We publish digests of addresses only, so there is none.
#[derive(Serialize)]
pub(super) struct Contact {}

pub(super) fn of(view: &View<'_>) -> Vec<Mirror> {
    view.ranked()
        .into_iter()
        .filter(|of| of.is_offered())
        .map(|of| mirror(of, view))
        .collect()
}

fn mirror(view: &EndpointView<'_>, all: &View<'_>) -> Mirror {
    let operator = &view.mirror.operator;
    let code = view
        .country()
        .map_or_else(String::new, |country| country.to_string());
    let is_up = view.newest(|sample| Some(sample.outcome)) == Some(Outcome::Alive);
    Mirror {
        name: host(view).to_owned(),
        org: operator
            .organisation
            .clone()
            .unwrap_or_else(|| operator.name.clone()),
        city: "",
        region: "",
        country: code.clone(),
        continent: "",
        latitude: "",
        longitude: "",
        tz: "",
        pipesize: view
            .endpoint
            .bandwidth_mbps
            .map_or_else(String::new, |rate| format!("{rate} Mbps")),
        contact: [],
        src: super::source(view, all),
        http: view.endpoint.base.to_string(),
        ftp: "",
        rsync: "",
        freq: "",
        tier1: "N",
        note: if is_up {
            view.standing.state.to_string()
        } else {
            format!("{}, did not answer", view.standing.state)
        },
        inceptdate: view.mirror.inception.to_string(),
        retiredate: "",
        dnsrr: "N",
        ccode: code,
        aka_name: "",
        a_or_cname: "",
    }
}

//! mirrorz 1.7: what a mirror site says about itself, said for it from what was seen. One document for each mirror, as
//! that format has one for each site, and one for the whole list.

use serde::Serialize;

use super::super::view::{EndpointView, View};
use crate::observe::Outcome;
use crate::state::State;

/// One site.
#[derive(Serialize)]
pub(super) struct Document {
    version: f64,
    site: About,
    info: [About; 0],
    mirrors: Vec<Mirror>,
}

/// Who runs it.
#[derive(Serialize)]
struct About {
    url: String,
    abbr: String,
    name: String,
    homepage: String,
    disable: bool,
}

/// One thing that is mirrored.
#[derive(Serialize)]
struct Mirror {
    cname: &'static str,
    desc: String,
    url: String,
    status: String,
    help: String,
    upstream: String,
    size: &'static str,
    disable: bool,
}

impl Document {
    pub(super) fn of_mirror(endpoints: &[EndpointView<'_>], all: &View<'_>) -> Self {
        let first = &endpoints[0];
        let operator = &first.mirror.operator;
        let host = super::host(first);
        Self {
            version: 1.7,
            site: About {
                url: format!("https://{host}"),
                abbr: first.mirror.id.to_string().to_uppercase(),
                name: operator
                    .organisation
                    .clone()
                    .unwrap_or_else(|| operator.name.clone()),
                homepage: operator
                    .url
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
                disable: !endpoints.iter().any(EndpointView::is_offered),
            },
            info: [],
            mirrors: endpoints
                .iter()
                .map(|view| {
                    let path = view.endpoint.base.path().trim_end_matches('/');
                    let url = match path {
                        "" => bare(view),
                        path => path.to_owned(),
                    };
                    mirror(view, all, url)
                })
                .collect(),
        }
    }

    pub(super) fn of_list(view: &View<'_>) -> Self {
        let ranked = view.ranked();
        let own = view.policy.own_domain.as_ref();
        Self {
            version: 1.7,
            site: About {
                url: own.map_or_else(String::new, |domain| format!("https://{domain}")),
                abbr: "LIST".to_owned(),
                name: "Mirrors of Python packages".to_owned(),
                homepage: own.map_or_else(String::new, |domain| format!("https://{domain}/")),
                disable: false,
            },
            info: [],
            mirrors: ranked
                .into_iter()
                .map(|of| mirror(of, view, bare(of)))
                .collect(),
        }
    }
}

/// Its address without the slash at the end, as the format wants it.
fn bare(view: &EndpointView<'_>) -> String {
    view.endpoint.base.as_str().trim_end_matches('/').to_owned()
}

fn mirror(view: &EndpointView<'_>, all: &View<'_>, url: String) -> Mirror {
    Mirror {
        cname: "pypi",
        desc: view.endpoint.id.to_string(),
        url,
        status: status(view),
        help: String::new(),
        upstream: super::source(view, all),
        size: "",
        disable: !view.is_offered(),
    }
}

/// A letter with a time: `S` in step since, `F` failing since, `P` paused since, `U` unknown; after `F` the last
/// time it was in step, `O`.
fn status(view: &EndpointView<'_>) -> String {
    let in_step = view.synced_at();
    if view.standing.state == State::Maintenance {
        return format!("P{}", view.standing.since);
    }
    match (view.newest(|sample| Some(sample.outcome)), in_step) {
        (Some(Outcome::Alive), Some(at)) => format!("S{at}"),
        (Some(Outcome::Failed), old) => {
            let old = old.map_or_else(String::new, |at| format!("O{at}"));
            format!("F{}{old}", view.standing.since)
        }
        _ => "U".to_owned(),
    }
}

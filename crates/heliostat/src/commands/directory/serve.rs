//! `heliostat directory serve --redirect`: a mirror that sends clients to the others on a published list for files.

use std::collections::BTreeMap;
use std::path::Path;

use heliostat_directory::{
    Coverage, EndpointId, EndpointStatus, Layout, MirrorList, State, StatusList,
};
use heliostat_serve::{Elsewhere, Redirector};

use crate::cli::{CommonArgs, DirectoryServeArgs};
use crate::commands::{UsageError, serve};
use crate::outcome::Outcome;

pub(super) fn run(common: &CommonArgs, args: &DirectoryServeArgs) -> anyhow::Result<Outcome> {
    let list = args.list.clone();
    let redirector = Redirector::new(Box::new(move || read(&list))).map_err(|reason| {
        UsageError(format!(
            "`{}` is no published list: {reason}; write one with `heliostat directory publish`",
            args.list.display()
        ))
    })?;
    serve::run_with(common, &args.serve, Some(redirector))
}

/// The list as it is published now, those that clients may be sent to first, the healthiest first.
fn read(folder: &Path) -> Result<Vec<Elsewhere>, String> {
    let list: MirrorList = document(&folder.join("v1/mirrors.json"))?;
    let status: StatusList = document(&folder.join("v1/status.json"))?;
    let mut of: BTreeMap<&EndpointId, &EndpointStatus> = status
        .endpoints
        .iter()
        .map(|status| (&status.endpoint, status))
        .collect();
    let mut found: Vec<(bool, f64, Elsewhere)> = Vec::new();
    for mirror in &list.mirrors {
        for endpoint in &mirror.endpoints {
            let status = of.remove(&endpoint.id);
            let refused = match status.map(|status| status.state) {
                None => Some("nothing is known of it".to_owned()),
                Some(State::Active) if endpoint.coverage == Coverage::Subset => {
                    Some("it holds a part only".to_owned())
                }
                Some(State::Active) if endpoint.layout == Layout::Pep503 => {
                    Some("its files lie nobody knows where".to_owned())
                }
                Some(State::Active) => None,
                Some(state) => Some(format!("it is {state}")),
            };
            let health = status.and_then(|status| status.health).unwrap_or(-1.0);
            let country = endpoint.country.or(mirror.operator.country);
            found.push((
                refused.is_some(),
                health,
                Elsewhere {
                    endpoint: endpoint.id.to_string(),
                    base: endpoint.base.to_string(),
                    country: country.map(|country| country.to_string()),
                    refused,
                    serial_proved: status.and_then(|status| status.serial_proved),
                },
            ));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)));
    Ok(found.into_iter().map(|(.., elsewhere)| elsewhere).collect())
}

fn document<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let shown = path.display().to_string();
    let text = super::read_text(path).map_err(|error| format!("{error:#}"))?;
    serde_json::from_str(&text).map_err(|error| format!("`{shown}`: {error}"))
}

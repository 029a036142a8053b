//! `heliostat directory serve --redirect`: a mirror that sends clients to the others on a published list for files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use heliostat_directory::{
    Coverage, EndpointId, EndpointStatus, Layout, MirrorList, State, StatusList,
};
use heliostat_serve::{Elsewhere, Redirector};

use super::verify;
use crate::cli::{CommonArgs, DirectoryServeArgs};
use crate::commands::trust::expiry;
use crate::commands::{UsageError, serve};
use crate::outcome::Outcome;
use crate::{reporter, wire};

/// A list that has not changed is judged again after so long, as what it says may have expired.
const JUDGED_FOR: Duration = Duration::from_mins(1);

pub(super) fn run(common: &CommonArgs, args: &DirectoryServeArgs) -> anyhow::Result<Outcome> {
    let published = Published::new(args)?;
    // So that what is wrong ends this with its own exit code.
    drop(published.read()?);
    if published.root.is_none() {
        reporter::talk(&format!(
            "the list in `{}` is not verified: whoever can write there decides where clients are sent; name the list's \
             root with `--root FILE`",
            args.list.display()
        ));
    }
    let redirector = Redirector::new(Box::new(move || published.changed())).map_err(UsageError)?;
    serve::run_with(common, &args.serve, Some(redirector))
}

/// A published list, and what was last seen of it.
struct Published {
    folder: PathBuf,
    root: Option<Vec<u8>>,
    seen: Mutex<Option<(Stamp, Instant)>>,
}

/// What changes when a list is published anew.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Published {
    fn new(args: &DirectoryServeArgs) -> anyhow::Result<Self> {
        let read = |path: &PathBuf| {
            wire::read_small(path)
                .with_context(|| format!("cannot read `--root` `{}`", path.display()))
        };
        Ok(Self {
            folder: args.list.clone(),
            root: args.root.as_ref().map(read).transpose()?,
            seen: Mutex::new(None),
        })
    }

    fn stamp(&self) -> Stamp {
        ["v1/mirrors.json", "v1/status.json"].map(|name| {
            let found = self.folder.join(name).metadata().ok()?;
            Some((found.modified().ok()?, found.len()))
        })
    }

    /// The list, where it has changed since it was last asked for.
    fn changed(&self) -> Result<Option<Vec<Elsewhere>>, String> {
        let stamp = self.stamp();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = seen.as_ref().is_some_and(|(before, at)| {
            *before == stamp && (self.root.is_none() || at.elapsed() < JUDGED_FOR)
        });
        if is_known {
            return Ok(None);
        }
        let list = self.read().map_err(|error| format!("{error:#}"))?;
        *seen = Some((stamp, Instant::now()));
        Ok(Some(list))
    }

    /// The list as it is published now, those that clients may be sent to first, the healthiest first.
    fn read(&self) -> anyhow::Result<Vec<Elsewhere>> {
        let no_list = |reason: String| {
            UsageError(format!(
                "`{}` is no published list: {reason}; write one with `heliostat directory publish`",
                self.folder.display()
            ))
        };
        let (mirrors, status, old) = match &self.root {
            None => {
                let read = |name: &str| {
                    super::read_text(&self.folder.join(name))
                        .map_err(|error| no_list(format!("{error:#}")))
                };
                let (mirrors, status) = (read("v1/mirrors.json")?, read("v1/status.json")?);
                (mirrors.into_bytes(), status.into_bytes(), None)
            }
            Some(root) => {
                let found = verify::documents(&self.folder, root, expiry::now()?)?;
                (found.mirrors, found.status, found.old)
            }
        };
        let list: MirrorList = document("v1/mirrors.json", &mirrors).map_err(no_list)?;
        let status: StatusList = document("v1/status.json", &status).map_err(no_list)?;
        Ok(elsewhere(&list, &status, old.as_deref()))
    }
}

/// Every mirror of the list; `old` is why nothing that is known of them still counts.
fn elsewhere(list: &MirrorList, status: &StatusList, old: Option<&str>) -> Vec<Elsewhere> {
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
                Some(_) if old.is_some() => {
                    old.map(|old| format!("what is known of it is old: {old}"))
                }
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
                    weight: status.map_or(0.0, |status| status.weight),
                },
            ));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)));
    found.into_iter().map(|(.., elsewhere)| elsewhere).collect()
}

fn document<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("`{name}`: {error}"))
}

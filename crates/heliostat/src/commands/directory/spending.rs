//! What probes cost mirrors in a day: written down, so that the policy's bound holds over rounds, runs and restarts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_directory::{EndpointId, Sample, VantageId};

use super::history;
use super::reference::STATE;
use crate::reporter;

/// The file, in the folder of what is no business of git's.
const SPENT: &str = "spent.json";
const HOUR_SECONDS: i64 = 3600;
/// Hours that count.
const HOURS: i64 = 24;

/// Bytes by vantage, endpoint and hour since 1970.
type Spent = BTreeMap<String, BTreeMap<EndpointId, BTreeMap<i64, u64>>>;

/// What one vantage took from each endpoint in the last 24 hours, in bytes.
pub(super) fn spent(list: &Path, vantage: &VantageId, now: i64) -> BTreeMap<EndpointId, u64> {
    let by_endpoint = read(&path(list)).remove(&vantage.0).unwrap_or_default();
    let sum = |(endpoint, hours): (EndpointId, BTreeMap<i64, u64>)| {
        let sum = hours.range(oldest(now)..).map(|(_, bytes)| bytes).sum();
        (endpoint, sum)
    };
    by_endpoint.into_iter().map(sum).collect()
}

/// Adds what samples cost, and forgets what is older than a day.
pub(super) fn spend(list: &Path, samples: &[Sample], now: i64) -> anyhow::Result<()> {
    let _lock = history::lock(list)?;
    let path = path(list);
    let mut all = read(&path);
    for sample in samples {
        let of = all.entry(sample.vantage.0.clone()).or_default();
        let hours = of.entry(sample.endpoint.clone()).or_default();
        *hours.entry(now.div_euclid(HOUR_SECONDS)).or_default() +=
            sample.received_bytes.unwrap_or(0);
    }
    for of in all.values_mut() {
        of.retain(|_, hours| {
            *hours = hours.split_off(&oldest(now));
            !hours.is_empty()
        });
    }
    all.retain(|_, of| !of.is_empty());
    let bytes = serde_json::to_vec(&all).context("cannot write what probes cost as JSON")?;
    history::put(&path, &bytes)
}

const fn oldest(now: i64) -> i64 {
    now.div_euclid(HOUR_SECONDS) - HOURS + 1
}

fn path(list: &Path) -> PathBuf {
    list.join(STATE).join(SPENT)
}

fn read(path: &Path) -> Spent {
    if !path.exists() {
        return Spent::new();
    }
    let read = super::read_text(path)
        .and_then(|text| serde_json::from_str(&text).map_err(anyhow::Error::from));
    read.unwrap_or_else(|error| {
        let path = path.display();
        reporter::talk(&format!(
            "`{path}` cannot be used, and is begun anew: {error:#}"
        ));
        Spent::new()
    })
}

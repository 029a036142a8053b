//! `mirrors.json` and `status.json`: who is on the list, and how each does. Their schemas are published beside them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::view::{DAY, EndpointView, Freshness, VantageView, View, percentile};
use super::{Files, Published};
use crate::error::DirectoryError;
use crate::notice::{NextAction, next_actions};
use crate::observe::{Count, Gate};
use crate::policy::Policy;
use crate::registry::{Contact, EndpointId, Mirror, MirrorId, Registry};
use crate::score::wilson_lower;
use crate::state::{Rule, State};

/// Where the first document is.
const MIRRORS: &str = "v1/mirrors.json";
/// The name of its shape.
const MIRRORS_SCHEMA: &str = "heliostat.directory.mirrors/1";
/// The name of the second document's.
const STATUS_SCHEMA: &str = "heliostat.directory.status/1";

/// `v1/mirrors.json`: who may be asked. Changes only when people change the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MirrorList {
    /// `heliostat.directory.mirrors/1`.
    pub schema: String,
    /// Which rules.
    pub policy_version: u32,
    /// The SHA-256 of `policy.toml`, in hex.
    pub policy_sha256: String,
    /// Every mirror, in the order of ids; webhooks of operators are left out.
    pub mirrors: Vec<Mirror>,
}

/// `v1/status.json`: how everybody does. A hint, never a matter of trust.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatusList {
    /// `heliostat.directory.status/1`.
    pub schema: String,
    /// The moment it tells about.
    pub at: Timestamp,
    /// Which rules.
    pub policy_version: u32,
    /// The SHA-256 of the list it is about, in hex.
    pub mirrors_sha256: String,
    /// Where probes came from.
    pub vantages: Vec<String>,
    /// Rounds of probes that were read.
    pub rounds: usize,
    /// When the last of them was.
    pub last_round_at: Option<Timestamp>,
    /// Every endpoint, in the order of the list.
    pub endpoints: Vec<EndpointStatus>,
}

/// How one endpoint does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointStatus {
    /// Which.
    pub endpoint: EndpointId,
    /// Whose.
    pub mirror: MirrorId,
    /// How it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What moved it there.
    pub rule: Rule,
    /// What comes next if nothing changes.
    pub next: Option<Moved>,
    /// Everything to come if nothing changes, notices to its operator among it, in the order of time.
    #[serde(default)]
    pub next_actions: Vec<NextAction>,
    /// By the age of the oldest change it lacks.
    pub freshness: Freshness,
    /// That age.
    pub lag_seconds: Option<u64>,
    /// The serial it says it is at.
    pub serial_claimed: Option<u64>,
    /// The newest serial up to which every change that was looked for is visible.
    pub serial_proved: Option<u64>,
    /// 0 to 100, to one place.
    pub health: Option<f64>,
    /// Which share of clients the list sends there, 0 to 1, to four places; with the caps per operator and network.
    #[serde(default)]
    pub weight: f64,
    /// Gates that were not passed within the policy's window.
    pub gates: BTreeSet<Gate>,
    /// Probes answered within a day.
    pub available: Share,
    /// Pages and files asked for within a day that were there.
    pub complete: Share,
    /// Bodies hashed within a day that were right.
    pub intact: Share,
    /// Things that are wrong and keep nobody from using it.
    pub warnings: u32,
    /// Days until its certificate ends.
    pub certificate_days: Option<i64>,
    /// What each vantage saw within a day.
    pub vantages: Vec<VantageStatus>,
}

/// A state to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moved {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub state: State,
}

/// How many of how many, and what that bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Share {
    /// Those that were right.
    pub ok: u64,
    /// All of them.
    pub n: u64,
    /// The lower end of Wilson's 95 % interval, 0 to 1, to four places.
    pub lower: f64,
}

/// What one vantage saw of an endpoint within a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VantageStatus {
    /// Which vantage.
    pub vantage: String,
    /// When it last looked.
    pub seen_at: Timestamp,
    /// Probes answered.
    pub available: Share,
    /// The age of the oldest change that is missing, as this vantage last proved it.
    pub lag_seconds: Option<u64>,
    /// Until the first byte.
    pub first_byte_milliseconds: Option<Quantiles>,
}

/// The middle and the slow end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half are no slower.
    pub p50: u32,
    /// Of a hundred, 95 are no slower.
    pub p95: u32,
}

/// What people answer for, by its path: the list, and the rules.
pub fn registry_documents(
    registry: &Registry,
    policy: &Policy,
    policy_text: &str,
) -> Result<Files, DirectoryError> {
    let mirrors = MirrorList {
        schema: MIRRORS_SCHEMA.to_owned(),
        policy_version: policy.version,
        policy_sha256: sha256(policy_text.as_bytes()),
        mirrors: registry.mirrors().map(published_mirror).collect(),
    };
    Ok(Files::from([
        (MIRRORS.to_owned(), json(&mirrors)?),
        ("v1/policy.toml".to_owned(), policy_text.as_bytes().to_vec()),
    ]))
}

pub(super) fn add(
    view: &View<'_>,
    published: &Published<'_>,
    files: &mut Files,
) -> Result<(), DirectoryError> {
    files.extend(registry_documents(
        published.registry,
        view.policy,
        view.policy_text,
    )?);
    let status = StatusList {
        schema: STATUS_SCHEMA.to_owned(),
        at: published.at,
        policy_version: view.policy.version,
        mirrors_sha256: files
            .get(MIRRORS)
            .map(|bytes| sha256(bytes))
            .unwrap_or_default(),
        vantages: view.vantages.iter().map(ToString::to_string).collect(),
        rounds: view.rounds,
        last_round_at: view.last_round_at.map(time),
        endpoints: view
            .endpoints
            .iter()
            .map(|endpoint| status_of(endpoint, view))
            .collect(),
    };
    files.insert("v1/status.json".to_owned(), json(&status)?);
    for (name, schema) in [
        ("mirrors", include_str!("../../schemas/mirrors.schema.json")),
        ("status", include_str!("../../schemas/status.schema.json")),
    ] {
        let path = format!("v1/{name}.schema.json");
        files.insert(path, schema.as_bytes().to_vec());
    }
    Ok(())
}

/// A mirror as it is published: an address that a stranger could post to stays with the keepers of the list.
pub fn published_mirror(mirror: &Mirror) -> Mirror {
    let mut mirror = mirror.clone();
    mirror
        .contacts
        .retain(|contact| matches!(contact, Contact::Email { .. }));
    mirror
}

fn status_of(view: &EndpointView<'_>, all: &View<'_>) -> EndpointStatus {
    let health = view.current_health();
    EndpointStatus {
        endpoint: view.endpoint.id.clone(),
        mirror: view.mirror.id.clone(),
        state: view.standing.state,
        since: time(view.standing.since),
        rule: view.standing.rule,
        next: view.next.map(|(at, state)| Moved {
            at: time(at),
            state,
        }),
        next_actions: next_actions(
            &view.standing,
            view.mirror.retires.as_ref().map(|one| one.at.as_second()),
            all.policy,
            all.at,
        ),
        freshness: view.freshness(),
        lag_seconds: view.lag_seconds(),
        serial_claimed: view.newest(|sample| sample.serial_claimed),
        serial_proved: view.newest(|sample| sample.serial_proved),
        health: health.map(|health| rounded(health.value, 10.0)),
        weight: all
            .weights
            .of
            .get(&view.endpoint.id)
            .map_or(0.0, |weight| rounded(weight.share, 10_000.0)),
        gates: health
            .map(|health| health.gates.clone())
            .unwrap_or_default(),
        available: share(view.answered(DAY)),
        complete: share(view.total(DAY, |sample| sample.present)),
        intact: share(view.total(DAY, |sample| sample.intact)),
        warnings: view.newest(|sample| Some(sample.warnings)).unwrap_or(0),
        certificate_days: view.newest(|sample| sample.certificate_days),
        vantages: view.vantages().iter().map(vantage_of).collect(),
    }
}

fn vantage_of(view: &VantageView<'_>) -> VantageStatus {
    let times = &view.first_byte_milliseconds;
    VantageStatus {
        vantage: view.vantage.to_string(),
        seen_at: time(view.seen_at),
        available: share(view.answered),
        lag_seconds: view.lag_seconds,
        first_byte_milliseconds: percentile(times, 50)
            .zip(percentile(times, 95))
            .map(|(p50, p95)| Quantiles { p50, p95 }),
    }
}

fn share(count: Count) -> Share {
    Share {
        ok: count.ok,
        n: count.n,
        lower: rounded(wilson_lower(count), 10_000.0),
    }
}

/// To so many parts, so that the last bits of a machine's arithmetic are not published.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Readable, and with a line end, so that a difference between two can be looked at.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, DirectoryError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(DirectoryError::write)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

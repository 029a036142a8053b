//! What a mirror says of itself, for directories, monitors and people: `.well-known/heliostat-mirror.json`. Written after
//! every commit, so that any web server answers it.
//!
//! Nobody need believe it: what a mirror has is proved by its signed metadata, and found out by looking.

use heliostat_pypi::{Serial, Sha256};
use heliostat_store::{Origin, Store, StoreError};
use heliostat_trust::TrustError;
use heliostat_trust::keys::{Passphrase, SigningKey};
use heliostat_trust::metadata::Coverage;
use heliostat_trust::receipt::{Receipt, StatedSnapshot, Statement};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::publish;
use crate::status::RunSummary;

/// The document's schema and its version. Readers pass over keys they do not know, so that only a change of what a key
/// means makes another version.
const SCHEMA: &str = "heliostat.mirror/1";
/// The note of who runs the mirror.
const KEY: &str = "operator";
/// The key that receipts are signed with, among the store's keys. It is this mirror's alone, and no notary's.
const RECEIPT_KEY: &str = "receipt.key";
/// Runs that are looked at for the last complete one.
const RUNS_LOOKED_AT: usize = 30;

/// Who runs a mirror, as they want to be known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Operator {
    /// A person, a company, a university.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How to reach them: an address for mail, or of a form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Where the mirror is found: the tree's public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Operator {
    /// Longest text of each, in characters.
    pub const CHARS_MAX: usize = 500;

    fn is_nobody(&self) -> bool {
        *self == Self::default()
    }
}

/// The document.
#[derive(Debug, Serialize)]
struct Description {
    schema: &'static str,
    software: Software,
    #[serde(skip_serializing_if = "Operator::is_nobody")]
    operator: Operator,
    signed: SignedBy,
    holds: Holds,
    state: State,
    /// The mirror's signature over the state; left out where it has no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
}

#[derive(Debug, Serialize)]
struct Software {
    name: &'static str,
    version: &'static str,
}

/// Whose signatures the tree carries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum SignedBy {
    /// Its own notary's.
    Own,
    /// Another notary's, verified.
    Carried,
    /// Nobody's.
    Nobody,
}

#[derive(Debug, Serialize)]
struct Holds {
    /// What it claims, as a signed snapshot does; left out where no sync has ever said.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<Coverage>,
    projects: u64,
    files: u64,
    size_bytes: u64,
}

#[derive(Debug, Serialize)]
struct State {
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<Serial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synced_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotState>,
}

#[derive(Debug, Serialize)]
struct SnapshotState {
    version: u64,
    sha256: Sha256,
}

/// Who runs the mirror, as it was last told.
pub fn operator(store: &Store) -> Result<Operator, StoreError> {
    Ok(store.meta(KEY)?.unwrap_or_default())
}

/// Notes who runs the mirror. What is not given stays; an empty text takes away what was.
pub fn introduce(store: &Store, given: &Operator) -> Result<(), StoreError> {
    let noted = operator(store)?;
    let choose = |given: &Option<String>, noted: Option<String>| match given {
        Some(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        None => noted,
    };
    let next = Operator {
        name: choose(&given.name, noted.name.clone()),
        contact: choose(&given.contact, noted.contact.clone()),
        url: choose(&given.url, noted.url.clone()),
    };
    if next == noted {
        return Ok(());
    }
    store.set_meta(KEY, &next)
}

/// Writes the document anew where it would be another one. Blocking.
pub fn describe(store: &Store) -> Result<(), StoreError> {
    store.describe(|| {
        let mut text = serde_json::to_vec_pretty(&description(store)?).unwrap_or_default();
        text.push(b'\n');
        Ok(text)
    })
}

fn description(store: &Store) -> Result<Description, StoreError> {
    let totals = store.totals()?;
    let roles = store.roles()?;
    let snapshot = roles.iter().find(|role| role.name == "snapshot");
    let operator: Operator = store.meta(KEY)?.unwrap_or_default();
    let state = State {
        generation: store.generation()?,
        serial: store.root()?.and_then(|root| root.serial),
        synced_at: synced_at(store)?,
        snapshot: snapshot.map(|role| SnapshotState {
            version: role.version,
            sha256: role.sha256,
        }),
    };
    let receipt = receipt_key(store)?.map(|key| stated(&operator, &state).sign(&key));
    Ok(Description {
        schema: SCHEMA,
        software: Software {
            name: "heliostat",
            version: env!("CARGO_PKG_VERSION"),
        },
        operator,
        signed: match store.notary()?.map(|notary| notary.origin) {
            Some(Origin::Own) => SignedBy::Own,
            Some(Origin::Carried) => SignedBy::Carried,
            None => SignedBy::Nobody,
        },
        holds: Holds {
            coverage: publish::claimed(store)?,
            projects: totals.projects,
            files: totals.files_held,
            size_bytes: totals.bytes_held,
        },
        state,
        receipt,
    })
}

/// What is signed of a state.
fn stated(operator: &Operator, state: &State) -> Statement {
    let snapshot = state.snapshot.as_ref().map(|snapshot| StatedSnapshot {
        version: snapshot.version,
        sha256: snapshot.sha256,
    });
    let serial = state.serial.map(|serial| serial.0);
    Statement::new(operator.url.clone(), state.generation, serial, snapshot)
}

/// The key for receipts, made at first use. A file that holds no key signs nothing, which is told.
fn receipt_key(store: &Store) -> Result<Option<SigningKey>, StoreError> {
    let make = || {
        let key = SigningKey::generate().and_then(|key| key.to_plain_file());
        let text = key.inspect_err(|error| tracing::warn!(%error, "no key for receipts was made"));
        Some(text.ok()?.as_bytes().to_vec())
    };
    let Some(bytes) = store.key_file(RECEIPT_KEY, make)? else {
        return Ok(None);
    };
    let without = || Err::<Passphrase, TrustError>(TrustError::PassphraseMissing);
    let key = SigningKey::from_file(&String::from_utf8_lossy(&bytes), without);
    Ok(key
        .inspect_err(|error| tracing::warn!(file = RECEIPT_KEY, %error, "receipts are not signed"))
        .ok())
}

/// When a sync last found everything in step, in UTC; `None` where none of the last runs did.
fn synced_at(store: &Store) -> Result<Option<String>, StoreError> {
    let runs = store.runs(RUNS_LOOKED_AT)?.into_iter();
    let last = runs
        .filter_map(|run| serde_json::from_value::<RunSummary>(run.outcome).ok())
        .filter(|run| run.complete)
        .map(|run| run.finished_at)
        .max();
    Ok(last
        .and_then(|at| Timestamp::from_second(at).ok())
        .map(|at| at.to_string()))
}

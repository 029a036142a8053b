//! A project's record as the catalog keeps it: what changes often in columns, the page itself as compressed JSON.

use std::collections::BTreeSet;
use std::io::Read as _;

use heliostat_pypi::page::ProjectPage;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use zstd::bulk::Compressor;

use super::CatalogFault;
use crate::record::{Keeper, ProjectRecord, Validators, Weight};
use heliostat_pypi::Serial;

/// The largest record that is decompressed. Far above the largest real page (tens of megabytes); guards memory against
/// a damaged catalog.
const BODY_BYTES_MAX: u64 = 1 << 30;

/// zstd's own default: a third smaller than level 1, and an order of magnitude faster than the level that would save
/// the next tenth.
const COMPRESSION_LEVEL: i32 = 3;

#[derive(Serialize)]
struct BodyOut<'a> {
    page: &'a ProjectPage,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    hidden: &'a BTreeSet<String>,
    upstream: &'a str,
}

#[derive(Deserialize)]
struct BodyIn {
    page: ProjectPage,
    #[serde(default)]
    hidden: BTreeSet<String>,
    upstream: String,
}

/// Compresses the part of records that has no columns. Kept for a whole batch, because making a compressor ready costs
/// more than compressing an ordinary record.
pub(crate) struct BodyEncoder {
    json: Vec<u8>,
    compressor: Option<Compressor<'static>>,
}

impl BodyEncoder {
    pub(crate) const fn new() -> Self {
        Self {
            json: Vec::new(),
            compressor: None,
        }
    }

    /// The compressed body of one record.
    pub(crate) fn encode(&mut self, record: &ProjectRecord) -> Result<Vec<u8>, CatalogFault> {
        let body = BodyOut {
            page: &record.page,
            hidden: &record.hidden,
            upstream: &record.upstream,
        };
        let damaged =
            |error: std::io::Error| CatalogFault::record(record.page.name.as_str(), error);
        self.json.clear();
        serde_json::to_writer(&mut self.json, &body).map_err(|error| damaged(error.into()))?;
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            None => self
                .compressor
                .insert(Compressor::new(COMPRESSION_LEVEL).map_err(damaged)?),
        };
        compressor.compress(&self.json).map_err(damaged)
    }
}

/// Puts a record together from its body and the columns that go with it.
pub(crate) fn decode_record(
    name: &str,
    body: &[u8],
    columns: Columns,
) -> Result<ProjectRecord, CatalogFault> {
    let damaged = |error: std::io::Error| CatalogFault::record(name, error);
    let mut json = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(damaged)?;
    decoder
        .take(BODY_BYTES_MAX)
        .read_to_end(&mut json)
        .map_err(damaged)?;
    let body: BodyIn = serde_json::from_slice(&json).map_err(|error| damaged(error.into()))?;
    Ok(ProjectRecord {
        page: body.page,
        hidden: body.hidden,
        upstream: body.upstream,
        keeper: columns.keeper,
        published_serial: columns.published_serial,
        validators: columns.validators,
        confirmed_at: columns.confirmed_at,
    })
}

/// The part of a record that stands in columns of `project`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Columns {
    pub(crate) keeper: Keeper,
    pub(crate) published_serial: Option<Serial>,
    pub(crate) confirmed_at: i64,
    pub(crate) validators: Validators,
}

impl Columns {
    /// From columns named as in the table.
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, CatalogFault> {
        Ok(Self {
            keeper: read_keeper(
                row.get_ref("keeper")?
                    .as_str()
                    .map_err(rusqlite::Error::from)?,
            )?,
            published_serial: row
                .get::<_, Option<i64>>("published_serial")?
                .map(serial_from_sql),
            confirmed_at: row.get("confirmed_at")?,
            validators: Validators {
                etag: row.get("etag")?,
                last_modified: row.get("last_modified")?,
            },
        })
    }

    pub(crate) fn of(record: &ProjectRecord) -> Self {
        Self {
            keeper: record.keeper,
            published_serial: record.published_serial,
            confirmed_at: record.confirmed_at,
            validators: record.validators.clone(),
        }
    }
}

/// The keeper's word in the table.
pub(crate) const fn keeper_word(keeper: Keeper) -> &'static str {
    match keeper {
        Keeper::Mirror => "mirror",
        Keeper::PagesOnly => "pages-only",
        Keeper::OnDemand => "on-demand",
    }
}

/// A weight's word in the ledger.
pub(crate) const fn weight_word(weight: Weight) -> &'static str {
    match weight {
        Weight::Failure => "failure",
        Weight::Warning => "warning",
    }
}

pub(crate) fn read_keeper(word: &str) -> Result<Keeper, CatalogFault> {
    match word {
        "mirror" => Ok(Keeper::Mirror),
        "pages-only" => Ok(Keeper::PagesOnly),
        "on-demand" => Ok(Keeper::OnDemand),
        other => Err(CatalogFault::record(
            format!("a keeper of the kind {other}"),
            "unknown keeper",
        )),
    }
}

/// Serials beyond SQL's integers do not exist; they would have to be 300,000 times today's.
pub(crate) fn serial_to_sql(serial: Serial) -> i64 {
    i64::try_from(serial.0).unwrap_or(i64::MAX)
}

pub(crate) fn serial_from_sql(serial: i64) -> Serial {
    Serial(u64::try_from(serial).unwrap_or(0))
}

/// Sizes likewise.
pub(crate) fn size_to_sql(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}

pub(crate) fn size_from_sql(size_bytes: i64) -> u64 {
    u64::try_from(size_bytes).unwrap_or(0)
}

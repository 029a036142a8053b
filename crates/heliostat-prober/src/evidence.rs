//! What proves a violation: the exact bytes, with where, when and how they came.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use heliostat_client::SignedPage;
use heliostat_directory::{Check, EndpointId, Gate, Receipt, VantageId};
use heliostat_pypi::Sha256;
use serde::Serialize;
use serde_json::json;

use crate::reply::Reply;

/// The document's schema and its version.
const SCHEMA: &str = "heliostat.directory.evidence/1";

/// Bytes of signed documents that go into one document of evidence; of what is larger, its digest.
const SIGNED_BYTES_MAX: usize = 256_000;

/// A document of evidence, and the digest it is called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The digest of `bytes`.
    pub sha256: Sha256,
    /// The document, JSON.
    pub bytes: Vec<u8>,
}

/// What an answer proves.
#[derive(Debug, Serialize)]
pub(crate) struct Proof<'a> {
    pub(crate) endpoint: &'a EndpointId,
    pub(crate) vantage: &'a VantageId,
    pub(crate) at: i64,
    pub(crate) check: Check,
    pub(crate) gate: Gate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    /// The `User-Agent` that was sent.
    pub(crate) agent: &'a str,
    /// What is wrong.
    pub(crate) text: &'a str,
    /// What it should have been.
    pub(crate) expected: serde_json::Value,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    proof: &'a Proof<'a>,
    #[serde(flatten)]
    given: Given,
}

/// An answer.
#[derive(Debug, Serialize)]
struct Given {
    /// Who gave it, where that is not said of the whole document.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<IpAddr>,
    url: String,
    status: u16,
    headers: Vec<(String, String)>,
    body_size_bytes: usize,
    body_sha256: String,
    /// The body, or as much of it as is kept.
    body_base64: String,
}

impl Given {
    fn of((by, reply): (Option<IpAddr>, &Reply), body_bytes_max: usize) -> Self {
        let headers = reply.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        let kept = &reply.body[..reply.body.len().min(body_bytes_max)];
        Self {
            by,
            url: reply.url.to_string(),
            status: reply.status.as_u16(),
            headers: headers.collect(),
            body_size_bytes: reply.body.len(),
            body_sha256: Sha256::of(&reply.body).to_hex(),
            body_base64: STANDARD.encode(kept),
        }
    }
}

/// What is proved by no answer to a request.
#[derive(Debug, Serialize)]
struct Observation<'a> {
    schema: &'static str,
    #[serde(flatten)]
    proof: &'a Proof<'a>,
    seen: serde_json::Value,
}

#[derive(Debug, Serialize)]
struct Pair<'a> {
    schema: &'static str,
    #[serde(flatten)]
    proof: &'a Proof<'a>,
    answers: [Given; 2],
}

#[derive(Debug, Serialize)]
struct Contradiction<'a> {
    schema: &'static str,
    #[serde(flatten)]
    proof: &'a Proof<'a>,
    receipts: [&'a Receipt; 2],
}

impl Evidence {
    /// The evidence that an answer gives; of its body at most so many bytes are kept.
    pub(crate) fn of(proof: &Proof<'_>, reply: &Reply, body_bytes_max: usize) -> Self {
        Self::written(&Document {
            schema: SCHEMA,
            proof,
            given: Given::of((None, reply), body_bytes_max),
        })
    }

    /// The evidence that two answers give which cannot both be right, each with who gave it.
    pub(crate) fn of_pair(
        proof: &Proof<'_>,
        answers: [(IpAddr, &Reply); 2],
        body_bytes_max: usize,
    ) -> Self {
        let given = |(by, reply)| Given::of((Some(by), reply), body_bytes_max);
        Self::written(&Pair {
            schema: SCHEMA,
            proof,
            answers: answers.map(given),
        })
    }

    /// The evidence of what was seen without an answer to a request.
    pub(crate) fn of_observation(proof: &Proof<'_>, seen: serde_json::Value) -> Self {
        Self::written(&Observation {
            schema: SCHEMA,
            proof,
            seen,
        })
    }

    /// The evidence that two receipts give which cannot both be honest, the older first. Signed ones prove it to
    /// everybody; of others the prober only says what it saw.
    pub(crate) fn of_receipts(proof: &Proof<'_>, (older, newer): (&Receipt, &Receipt)) -> Self {
        Self::written(&Contradiction {
            schema: SCHEMA,
            proof,
            receipts: [older, newer],
        })
    }

    fn written(document: &impl Serialize) -> Self {
        let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
        bytes.push(b'\n');
        Self {
            sha256: Sha256::of(&bytes),
            bytes,
        }
    }
}

/// What is signed of a page, for whoever wants to verify it from the notary's root: the page and the files that lead to
/// it. The smallest are there whole.
pub(crate) fn signed(page: &SignedPage, files: &[(String, Bytes)]) -> serde_json::Value {
    let path = format!("simple/{}/index.v1_json", page.page.name);
    let mut all = vec![(path, page.body.clone())];
    all.extend(files.iter().cloned());
    all.sort_by_key(|(_, bytes)| bytes.len());
    let mut left = SIGNED_BYTES_MAX;
    let documents = all.into_iter().map(|(path, bytes)| {
        let mut document = json!({"path": path, "sha256": Sha256::of(&bytes).to_hex()});
        if bytes.len() <= left {
            left -= bytes.len();
            document["base64"] = STANDARD.encode(&bytes).into();
        }
        document
    });
    documents.collect()
}

//! PEP 691 JSON as we write it: compact, keys in a fixed order, one newline at the end.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::{Serialize, Serializer};

use super::{Entry, Listing};
use crate::page::{CoreMetadata, ProjectPage, ProjectStatus, StatusKind, Yanked};
use crate::{ProjectName, Serial, Sha256, Version};

#[derive(Serialize)]
struct Page<'a> {
    meta: Meta,
    name: &'a ProjectName,
    #[serde(rename = "project-status", skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    versions: Vec<&'a str>,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct Meta {
    #[serde(rename = "_last-serial", skip_serializing_if = "Option::is_none")]
    last_serial: Option<Serial>,
    #[serde(rename = "api-version")]
    api_version: &'static str,
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct File<'a> {
    filename: &'a str,
    url: String,
    hashes: BTreeMap<&'a str, String>,
    requires_python: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_time: Option<&'a str>,
    #[serde(serialize_with = "yanked")]
    yanked: &'a Yanked,
    #[serde(serialize_with = "core_metadata")]
    core_metadata: CoreMetadata,
    provenance: Option<String>,
    #[serde(rename = "_provenance-sha256", skip_serializing_if = "Option::is_none")]
    provenance_sha256: Option<Sha256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpg_sig: Option<bool>,
}

pub(super) fn page(page: &ProjectPage, listing: &Listing<'_>) -> Vec<u8> {
    let document = Page {
        meta: Meta {
            last_serial: page.serial,
            api_version: api_version(listing),
        },
        name: &page.name,
        status: status(&page.status),
        versions: listing.versions.iter().map(Version::as_str).collect(),
        files: listing
            .files
            .iter()
            .map(|entry| file(listing, entry, &page.name))
            .collect(),
    };
    let mut body = Vec::with_capacity(400 + listing.files.len() * 600);
    serde_json::to_writer(&mut body, &document).expect("texts and numbers go into memory");
    body.push(b'\n');
    body
}

pub(super) fn list<'a>(
    projects: impl Iterator<Item = (&'a ProjectName, Option<Serial>)>,
    serial: Option<Serial>,
) -> Vec<u8> {
    // By hand: 900,000 entries, and a project's name needs no escaping.
    const MEMORY: &str = "writing to memory";
    let mut body = Vec::with_capacity(200 + projects.size_hint().0 * 60);
    body.extend_from_slice(b"{\"meta\":{");
    if let Some(serial) = serial {
        write!(body, "\"_last-serial\":{serial},").expect(MEMORY);
    }
    body.extend_from_slice(b"\"api-version\":\"1.4\"},\"projects\":[");
    let mut separator: &[u8] = b"{\"name\":\"";
    for (name, serial) in projects {
        body.extend_from_slice(separator);
        body.extend_from_slice(name.as_str().as_bytes());
        body.push(b'"');
        if let Some(serial) = serial {
            write!(body, ",\"_last-serial\":{serial}").expect(MEMORY);
        }
        body.push(b'}');
        separator = b",{\"name\":\"";
    }
    body.extend_from_slice(b"]}\n");
    body
}

/// PEP 700 makes sizes (and `versions`, which are always written) part of 1.1 and everything after it.
fn api_version(listing: &Listing<'_>) -> &'static str {
    if listing
        .files
        .iter()
        .all(|entry| entry.file.size_bytes.is_some())
    {
        "1.4"
    } else {
        "1.0"
    }
}

/// PEP 792: `active` is the default and not worth a word.
fn status(status: &ProjectStatus) -> Option<Status<'_>> {
    (!status.is_active()).then(|| Status {
        status: marker(&status.kind),
        reason: status.reason.as_deref(),
    })
}

/// The marker as documents spell it.
pub(super) fn marker(kind: &StatusKind) -> &str {
    match kind {
        StatusKind::Active => "active",
        StatusKind::Archived => "archived",
        StatusKind::Quarantined => "quarantined",
        StatusKind::Deprecated => "deprecated",
        StatusKind::Other(text) => text,
    }
}

fn file<'a>(listing: &Listing<'_>, entry: &Entry<'a>, project: &ProjectName) -> File<'a> {
    let file = entry.file;
    let mut hashes: BTreeMap<&str, String> = file
        .other_hashes
        .iter()
        .map(|(name, digest)| (name.as_str(), digest.clone()))
        .collect();
    if let Some(sha256) = file.sha256 {
        hashes.insert("sha256", sha256.to_hex());
    }
    let provenance = listing.provenance(entry, project);
    File {
        filename: file.filename(),
        url: listing.url(file),
        hashes,
        requires_python: file.requires_python.as_deref(),
        size: file.size_bytes,
        upload_time: file.upload_time.as_deref(),
        yanked: &file.yanked,
        core_metadata: file.core_metadata,
        // A digest without an address would promise what nobody can fetch.
        provenance_sha256: provenance.as_ref().and(file.provenance_sha256),
        provenance,
        gpg_sig: file.gpg_sig,
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn yanked<S: Serializer>(value: &&Yanked, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Yanked::No => serializer.serialize_bool(false),
        Yanked::Yes => serializer.serialize_bool(true),
        Yanked::Because(reason) => serializer.serialize_str(reason),
    }
}

fn core_metadata<S: Serializer>(value: &CoreMetadata, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        CoreMetadata::Absent => serializer.serialize_bool(false),
        CoreMetadata::Offered => serializer.serialize_bool(true),
        CoreMetadata::Sha256(digest) => serializer.collect_map([("sha256", digest)]),
    }
}

//! What a tree has besides what is signed and must be what follows from it: plain pages, HTML, legacy documents, root
//! lists. Pure: told what stands there, it says what is wrong with it.

use std::collections::BTreeSet;

use heliostat_pypi::ProjectName;
use heliostat_pypi::page::{
    Format, ListRead, MediaType, PageFile, ProjectPage, read_list, read_signed, render_list,
};
use heliostat_store::{Keeper, PageKind, ProjectRecord, Validators, document, document_places};
use serde_json::Value;

use super::{Finding, FindingKind};

/// The root list in JSON, and its two names in HTML.
pub(super) const LISTS: [&str; 3] = [
    "simple/index.v1_json",
    "simple/index.v1_html",
    "simple/index.html",
];

const PLAIN_DIFFERS: &str =
    "the plain page is not the signed one; installers that verify nothing see another state";
const PLAIN_MISSING: &str = "it is signed, and the plain page is not there";
const PLAIN_HIDES: &str = "the plain page lists fewer files than the signed one";
const NOT_DERIVED: &str = "it is not what follows from the signed page";
const NOT_SIGNED: &str = "no signed target is this page";

/// Where documents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Files, as they were written.
    Files,
    /// A server, which may complete legacy documents.
    Server,
}

/// What is wrong with a project's plain documents: `found` has what stands at each of [`document_places`], nothing where
/// nothing stands there; `signed` the signed page and its bytes, nothing where nobody signed one.
pub(super) fn judge<B: AsRef<[u8]>>(
    project: &ProjectName,
    signed: Option<(&ProjectPage, &[u8])>,
    found: &[Option<B>],
    source: Source,
) -> Vec<Finding> {
    let found = document_places(project).into_iter().zip(found);
    let found = found.map(|((kind, path), bytes)| (kind, path, bytes.as_ref().map(AsRef::as_ref)));
    let Some((page, signed)) = signed else {
        let stands = found.filter(|(_, _, bytes)| bytes.is_some());
        return stands
            .map(|(_, path, _)| Finding::new(path, FindingKind::Unsigned, NOT_SIGNED))
            .collect();
    };
    let mut record = record(page.clone());
    let mut findings = Vec::new();
    for (kind, path, bytes) in found {
        let (finding, reason) = match (kind, bytes) {
            (PageKind::Json, Some(plain)) if plain == signed => continue,
            (PageKind::Json, None) => (FindingKind::Missing, PLAIN_MISSING),
            (PageKind::Json, Some(plain)) => match hiding(page, plain) {
                Some(hiding) => {
                    record = hiding;
                    (FindingKind::Fewer, PLAIN_HIDES)
                }
                None => (FindingKind::Differs, PLAIN_DIFFERS),
            },
            (_, None) => continue,
            (_, Some(bytes)) if is_document(&mut record, kind, bytes) => continue,
            (PageKind::Legacy, Some(bytes))
                if source == Source::Server && says_nothing_else(page, bytes) =>
            {
                continue;
            }
            (_, Some(_)) => (FindingKind::Differs, NOT_DERIVED),
        };
        findings.push(Finding::new(path, finding, reason));
    }
    findings
}

/// What is wrong with what is given at `simple/<project>/`, in whichever form: it is one of the documents that were
/// `found` and judged, or must be as they must be.
pub(super) fn judge_answer<B: AsRef<[u8]>>(
    path: &str,
    signed: Option<(&ProjectPage, &[u8])>,
    answer: Option<&[u8]>,
    found: &[Option<B>],
) -> Option<Finding> {
    let answer = answer?;
    let is_known = |bytes: &B| bytes.as_ref() == answer;
    if found.iter().flatten().any(is_known) {
        return None;
    }
    let Some((page, _)) = signed else {
        return Some(Finding::new(path, FindingKind::Unsigned, NOT_SIGNED));
    };
    let record = hiding(page, answer).unwrap_or_else(|| record(page.clone()));
    let mut forms = [PageKind::Json, PageKind::Html].into_iter();
    let is_form = forms.any(|kind| document(&record, kind).as_deref() == Some(answer));
    (!is_form).then(|| Finding::new(path, FindingKind::Differs, NOT_DERIVED))
}

/// The page as a record of which everything is published.
fn record(page: ProjectPage) -> ProjectRecord {
    ProjectRecord {
        published_serial: page.serial,
        page,
        hidden: BTreeSet::new(),
        keeper: Keeper::Mirror,
        validators: Validators::default(),
        confirmed_at: 0,
        upstream: String::new(),
    }
}

/// Whether a document is the one of a record. That an address tells a file's BLAKE2b-256 is known of the upstream's pages,
/// and no signed page says it: where a legacy document leaves it out, that is right, too.
fn is_document(record: &mut ProjectRecord, kind: PageKind, bytes: &[u8]) -> bool {
    if document(record, kind).as_deref() == Some(bytes) {
        return true;
    }
    if kind != PageKind::Legacy {
        return false;
    }
    let told = String::from_utf8_lossy(bytes);
    for file in &mut record.page.files {
        if !told.contains(&format!("\"blake2b_256\":\"{}\"", file.path.id_hex())) {
            file.url.clear();
        }
    }
    document(record, kind).as_deref() == Some(bytes)
}

/// The record of a mirror that carries a signed tree and holds a part of its files, where that is its plain page.
fn hiding(page: &ProjectPage, plain: &[u8]) -> Option<ProjectRecord> {
    let shown = read_signed(&page.name, plain).ok()?;
    let mut record = record(page.clone());
    record.published_serial = shown.serial;
    let listed: BTreeSet<&str> = shown.files.iter().map(PageFile::filename).collect();
    record.hidden = (page.files.iter())
        .map(PageFile::filename)
        .filter(|name| !listed.contains(name))
        .map(str::to_owned)
        .collect();
    (document(&record, PageKind::Json)? == plain).then_some(record)
}

/// Whether a legacy document, as a server completes it, names no file and no digest that the page does not.
fn says_nothing_else(page: &ProjectPage, document: &[u8]) -> bool {
    let Ok(document) = serde_json::from_slice::<Value>(document) else {
        return false;
    };
    let releases = document["releases"].as_object().into_iter().flatten();
    let lists = releases.map(|(_, files)| files).chain([&document["urls"]]);
    let mut named = lists.filter_map(Value::as_array).flatten();
    named.all(|file| {
        let name = file["filename"].as_str().unwrap_or_default();
        let Some(listed) = page.files.iter().find(|file| file.filename() == name) else {
            return false;
        };
        let place = |address: &str| {
            address
                .rsplit_once("/packages/")
                .map(|(_, place)| place.to_owned())
        };
        let digest = listed.sha256.map(|sha256| sha256.to_string());
        file["digests"]["sha256"].as_str() == digest.as_deref()
            && file["url"].as_str().and_then(place) == place(&listed.url)
    })
}

/// What is wrong with the root list.
pub(super) struct Listed {
    /// Findings about the documents.
    pub(super) findings: Vec<Finding>,
    /// Projects that it names, where it can be read.
    pub(super) projects: Option<BTreeSet<ProjectName>>,
}

/// Judges root lists in the order of [`LISTS`]; nothing where nothing stands there.
pub(super) fn judge_lists<B: AsRef<[u8]>>(found: &[Option<B>], source: Source) -> Listed {
    let mut listed = Listed {
        findings: Vec::new(),
        projects: None,
    };
    let mut find = |path: &str, kind, reason: &str| {
        listed.findings.push(Finding::new(path, kind, reason));
    };
    let Some(json) = found.first().and_then(Option::as_ref) else {
        // Of files, all are seen.
        if source == Source::Server {
            let reason = "there is no root list, so that pages which nobody signed are not seen";
            find(LISTS[0], FindingKind::Missing, reason);
        }
        return listed;
    };
    let list = match read_list(json.as_ref(), MediaType::Json) {
        Ok(list) => list,
        Err(error) => {
            find(LISTS[0], FindingKind::Differs, &error.to_string());
            return listed;
        }
    };
    for (path, found) in LISTS.iter().zip(found) {
        let Some(found) = found else { continue };
        let format = match *path {
            "simple/index.v1_json" => Format::Json,
            _ => Format::Html,
        };
        if rendered(&list, format) != found.as_ref() {
            let reason = "it is not what a list of these projects is written as";
            find(path, FindingKind::Differs, reason);
        }
    }
    let projects = list.projects.into_iter().map(|(name, _)| name);
    listed.projects = Some(projects.collect());
    listed
}

fn rendered(list: &ListRead, format: Format) -> Vec<u8> {
    let projects = list.projects.iter().map(|(name, serial)| (name, *serial));
    render_list(projects, list.serial, format)
}

//! Writes Simple API documents, byte-deterministically: JSON 1.4 and PEP 503 HTML frozen at 1.4 (PEP 833), and the
//! legacy JSON documents.
//!
//! Owns the bytes we publish. The same page always gives the same bytes, whatever order it came in, so that every
//! node answers with the same validator and two mirrors can be compared.

mod html;
mod json;
mod legacy;

use std::cmp::Ordering;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{PageFile, ProjectPage, StatusKind};
use crate::metadata::Described;
use crate::{FileName, ProjectName, Serial, TreePath, Version};

/// The two shapes of a Simple API document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `application/vnd.pypi.simple.v1+json`
    Json,
    /// `application/vnd.pypi.simple.v1+html`
    Html,
}

/// One project's page as it stands at `simple/<project>/`; addresses are relative to that place.
///
/// Files stand in the order of their versions (PEP 440, oldest first; what is not a version, and files whose name
/// tells none, last) and then of their names. A quarantined project offers no files (PEP 792). The document claims
/// 1.4 when every size is known, else 1.0, because 1.1 promises sizes (PEP 700). Provenance addresses are relative
/// like all others, although PEP 740 wants a host in them: a static tree cannot know the host it will stand on, and
/// clients resolve them against the page.
pub fn render_page(page: &ProjectPage, format: Format) -> Vec<u8> {
    rendered(page, &Listing::of(page), format)
}

/// The same with the upstream's own absolute addresses, for a page that is passed on while its files stay where they
/// are: whoever writes them down names a place that is there for others too.
pub fn render_passing(page: &ProjectPage, format: Format) -> Vec<u8> {
    let listing = Listing {
        addresses: Addresses::Upstream,
        ..Listing::of(page)
    };
    rendered(page, &listing, format)
}

fn rendered(page: &ProjectPage, listing: &Listing<'_>, format: Format) -> Vec<u8> {
    match format {
        Format::Json => json::page(page, listing),
        Format::Html => html::page(page, listing),
    }
}

/// The root list as it stands at `simple/`. Projects must come sorted by name.
pub fn render_list<'a>(
    projects: impl Iterator<Item = (&'a ProjectName, Option<Serial>)>,
    serial: Option<Serial>,
    format: Format,
) -> Vec<u8> {
    match format {
        Format::Json => json::list(projects, serial),
        Format::Html => html::list(projects, serial),
    }
}

/// The legacy JSON document of a project (`version` is `None`) or of one release; `None` where the page has no such
/// release. Built from the page, and from the release's core metadata where that is at hand (`legacy_sources` tells whose
/// it is); `info` holds `null` for what nobody told.
///
/// `files_base` goes before `/packages/…` in the files' addresses: the scheme and host that the document is served
/// under, or `../..` for a document that stands at `pypi/<project>/json` in a static tree.
pub fn render_legacy(
    page: &ProjectPage,
    version: Option<&str>,
    files_base: &str,
    described: Option<&Described>,
) -> Option<Vec<u8>> {
    legacy::document(page, &Listing::of(page), version, files_base, described)
}

/// The files of the release that [`render_legacy`] is about; the core metadata of one is as good as the next's.
pub fn legacy_sources(page: &ProjectPage, version: Option<&str>) -> Vec<TreePath> {
    let listing = Listing::of(page);
    let sources = legacy::sources(&listing, version);
    sources.into_iter().cloned().collect()
}

/// What a page offers, in the order in which it is written.
struct Listing<'p> {
    files: Vec<Entry<'p>>,
    versions: Vec<Version>,
    addresses: Addresses,
}

/// Whose addresses a page names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// Those of the tree that it stands in.
    Tree,
    /// The upstream's.
    Upstream,
}

/// One file with what its name says, `None` where it says nothing.
struct Entry<'p> {
    file: &'p PageFile,
    name: Option<FileName>,
}

impl Entry<'_> {
    fn version(&self) -> Option<&Version> {
        self.name.as_ref()?.version()
    }
}

impl<'p> Listing<'p> {
    /// Where a file is, and where its provenance is, as a page at `simple/<project>/` says it.
    fn url(&self, file: &PageFile) -> String {
        match self.addresses {
            Addresses::Tree => format!("../../{}", encoded_path(file)),
            Addresses::Upstream => file.url.clone(),
        }
    }

    fn provenance(&self, entry: &Entry<'_>, project: &ProjectName) -> Option<String> {
        match self.addresses {
            Addresses::Tree => encoded_provenance(entry, project),
            Addresses::Upstream => entry.file.provenance.clone(),
        }
    }

    fn of(page: &'p ProjectPage) -> Self {
        if page.status.kind == StatusKind::Quarantined {
            return Self {
                files: Vec::new(),
                versions: Vec::new(),
                addresses: Addresses::Tree,
            };
        }
        let mut files: Vec<Entry<'p>> = page
            .files
            .iter()
            .map(|file| Entry {
                file,
                name: file.parsed(&page.name).ok(),
            })
            .collect();
        files.sort_by(|left, right| {
            let versions = match (left.version(), right.version()) {
                (Some(left), Some(right)) => listing_order(left, right),
                (left, right) => right.is_some().cmp(&left.is_some()),
            };
            versions.then_with(|| left.file.filename().cmp(right.file.filename()))
        });
        let mut versions: Vec<Version> = page
            .versions
            .iter()
            .map(|text| Version::parse(text))
            .collect();
        versions.sort_by(|left, right| {
            listing_order(left, right).then_with(|| left.as_str().cmp(right.as_str()))
        });
        versions.dedup_by(|later, earlier| later.as_str() == earlier.as_str());
        // Every file's version must be listed (PEP 700), also where the upstream forgot it or told none at all.
        let mut missing: Vec<Version> = Vec::new();
        for version in files.iter().filter_map(|entry| entry.version()) {
            let listed = versions
                .binary_search_by(|listed| listing_order(listed, version))
                .is_ok();
            if !listed && missing.last() != Some(version) {
                missing.push(version.clone());
            }
        }
        if !missing.is_empty() {
            versions.extend(missing);
            versions.sort_by(|left, right| {
                listing_order(left, right).then_with(|| left.as_str().cmp(right.as_str()))
            });
        }
        Self {
            files,
            versions,
            addresses: Addresses::Tree,
        }
    }
}

/// Oldest first, what is not a PEP 440 version last.
fn listing_order(left: &Version, right: &Version) -> Ordering {
    let is_odd = |version: &Version| version.as_pep440().is_none();
    is_odd(left)
        .cmp(&is_odd(right))
        .then_with(|| left.cmp(right))
}

/// What may stand as it is in a path segment of our addresses. `+` and `!` as at PyPI; everything that HTML would have
/// to escape, or that a server may read in its own way, is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'+')
    .remove(b'!');

/// `packages/aa/bb/<60 hex>/<file>` as it stands in an address.
fn encoded_path(file: &PageFile) -> String {
    format!("{}/{}", file.path.directory(), encoded(file.filename()))
}

/// A file's address in a canonical page, relative to the tree's root.
pub(super) fn canonical_url(file: &PageFile) -> String {
    encoded_path(file)
}

/// The address of its provenance likewise, whether or not it has any.
pub(super) fn canonical_provenance(file: &PageFile, project: &ProjectName) -> Option<String> {
    encoded_provenance_of(file, project, &file.version(project)?)
}

/// `../../integrity/…` as it stands in an address, where the file has provenance and a version.
fn encoded_provenance(entry: &Entry<'_>, project: &ProjectName) -> Option<String> {
    entry.file.provenance.as_ref()?;
    let path = encoded_provenance_of(entry.file, project, entry.version()?)?;
    Some(format!("../../{path}"))
}

fn encoded_provenance_of(
    file: &PageFile,
    project: &ProjectName,
    version: &Version,
) -> Option<String> {
    let path = file.provenance_path_at(project, version)?;
    let segments: Vec<String> = path.as_str().split('/').map(encoded).collect();
    Some(segments.join("/"))
}

fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

#[cfg(test)]
mod tests;

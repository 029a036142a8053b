//! Whether a tree is right in itself: every promise of its pages holds, and nothing else lies about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::page::{Entry, Offer, Page, list_from_html, list_from_json};
use super::{Expect, Held, Orphans, Paths, Problem, What, disk};
use crate::fixture::{blake2b_256_hex, normalise, sha256_hex};

/// What a tree has at its top besides `simple` and `packages`.
const TOP: [&str; 12] = [
    "pypi",
    "json",
    "integrity",
    "tuf",
    "heliostat",
    "directory",
    "local-stats",
    ".well-known",
    "last-modified",
    "index.html",
    "robots.txt",
    "favicon.ico",
];

/// Checks a tree. An empty answer means that a client that follows its pages gets what they promise, and that there
/// is nothing in it that no page leads to.
pub fn check_tree(web: &Path, expect: &Expect) -> Vec<Problem> {
    let mut checker = Checker {
        web,
        expect,
        problems: Vec::new(),
        referred: BTreeSet::new(),
    };
    let mut serials = BTreeMap::new();
    for name in disk::projects_in(&web.join("simple")) {
        if let Some(page) = checker.project(&name) {
            serials.insert(name, page.serial);
        }
    }
    checker.root(&serials);
    checker.leftovers();
    checker.problems
}

struct Checker<'a> {
    web: &'a Path,
    expect: &'a Expect,
    problems: Vec<Problem>,
    /// Paths that pages lead to.
    referred: BTreeSet<String>,
}

impl Checker<'_> {
    fn report(&mut self, place: impl Into<String>, what: What) {
        self.problems.push(Problem {
            place: place.into(),
            what,
        });
    }

    fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.web.join(path)).ok();
        if bytes.is_none() {
            self.report(path, What::Missing);
        }
        bytes
    }

    /// Reads one document, reporting why where it cannot be.
    fn document<T>(&mut self, path: &str, read: impl Fn(&[u8]) -> Result<T, String>) -> Option<T> {
        let bytes = self.read(path)?;
        read(&bytes)
            .map_err(|why| self.report(path, What::BadDocument(why)))
            .ok()
    }

    fn project(&mut self, name: &str) -> Option<Page> {
        let folder = format!("simple/{name}");
        if normalise(name) != name {
            self.report(
                &folder,
                What::BadDocument("the name is not normalised".to_owned()),
            );
        }
        let html_path = format!("{folder}/index.v1_html");
        let html = self.document(&html_path, Page::from_html);
        if self.read(&format!("{folder}/index.html"))
            != std::fs::read(self.web.join(&html_path)).ok()
        {
            self.report(
                &folder,
                What::Disagree("index.html and index.v1_html".to_owned()),
            );
        }
        let page = self.document(&format!("{folder}/index.v1_json"), Page::from_json)?;
        if page.name.as_deref() != Some(name) {
            self.report(
                &folder,
                What::BadDocument(format!(
                    "the page is of `{}`",
                    page.name.as_deref().unwrap_or_default()
                )),
            );
        }
        if let Some(html) = html {
            let in_html: BTreeMap<_, _> = page
                .files
                .iter()
                .map(|(name, entry)| (name.clone(), as_in_html(entry)))
                .collect();
            if let Some(how) = first_difference(&in_html, &html.files) {
                self.report(&folder, What::Disagree(format!("JSON and HTML: {how}")));
            }
        }
        for (filename, entry) in &page.files {
            self.file(&folder, filename, entry);
        }
        Some(page)
    }

    fn file(&mut self, folder: &str, filename: &str, entry: &Entry) {
        let Some(path) = path_in_tree(folder, &entry.url) else {
            self.report(
                folder,
                What::BadDocument(format!("{filename}: `{}` leads out of the tree", entry.url)),
            );
            return;
        };
        if let Some(bytes) = self.held(&path) {
            self.bytes(&path, &bytes, entry);
        }
        let metadata_path = format!("{path}.metadata");
        match &entry.metadata {
            Offer::Absent => {}
            Offer::Unhashed => drop(self.held(&metadata_path)),
            Offer::Sha256(digest) => {
                if let Some(bytes) = self.held(&metadata_path)
                    && sha256_hex(&bytes) != *digest
                {
                    self.report(
                        &metadata_path,
                        What::WrongBytes("not the sha256 that the page says".to_owned()),
                    );
                }
            }
        }
        if let Some(path) = entry
            .provenance
            .as_deref()
            .and_then(|url| path_in_tree(folder, url))
        {
            self.held(&path);
        }
        self.referred.insert(path);
        if entry.metadata != Offer::Absent {
            self.referred.insert(metadata_path);
        }
    }

    fn bytes(&mut self, path: &str, bytes: &[u8], entry: &Entry) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Some(size) = entry.size_bytes.filter(|size| *size != length) {
            self.report(
                path,
                What::WrongBytes(format!("{length} bytes, not {size}")),
            );
        }
        match &entry.sha256 {
            None => self.report(
                path,
                What::BadDocument("listed without a sha256".to_owned()),
            ),
            Some(digest) if sha256_hex(bytes) != *digest => {
                self.report(
                    path,
                    What::WrongBytes("not the sha256 that the page says".to_owned()),
                );
            }
            Some(_) => {}
        }
        let digits: String = path.split('/').skip(1).take(3).collect();
        if self.expect.paths == Paths::ByContent && digits != blake2b_256_hex(bytes) {
            self.report(
                path,
                What::WrongBytes("not the BLAKE2b-256 that the path says".to_owned()),
            );
        }
    }

    /// A listed file's bytes; its absence is a problem where every file is to be held.
    fn held(&mut self, path: &str) -> Option<Vec<u8>> {
        match self.expect.files {
            Held::Every => self.read(path),
            Held::Some => std::fs::read(self.web.join(path)).ok(),
        }
    }

    fn root(&mut self, serials: &BTreeMap<String, Option<u64>>) {
        if serials.is_empty() && !self.web.join("simple/index.v1_json").exists() {
            return;
        }
        let html = self
            .document("simple/index.v1_html", list_from_html)
            .unwrap_or_default();
        let Some(list) = self.document("simple/index.v1_json", list_from_json) else {
            return;
        };
        let listed: BTreeMap<_, _> = list
            .iter()
            .map(|(name, serial)| (normalise(name), *serial))
            .collect();
        if listed.len() != list.len() {
            self.report(
                "simple/index.v1_json",
                What::BadDocument("a project stands there twice".to_owned()),
            );
        }
        let in_html: BTreeSet<_> = html.iter().map(|name| normalise(name)).collect();
        if !in_html.iter().eq(listed.keys()) {
            self.report(
                "simple",
                What::Disagree("the root list's JSON and HTML".to_owned()),
            );
        }
        for name in listed.keys().filter(|name| !serials.contains_key(*name)) {
            self.report(format!("simple/{name}"), What::Missing);
        }
        for (name, serial) in serials {
            match listed.get(name) {
                None => self.report(
                    format!("simple/{name}"),
                    What::Disagree("not in the root list".to_owned()),
                ),
                Some(in_list) if in_list.is_some() && in_list != serial => {
                    self.report(
                        format!("simple/{name}"),
                        What::Disagree(format!(
                            "serial {in_list:?} in the list, {serial:?} on the page"
                        )),
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// Everything on disk that is no page and no listed file.
    fn leftovers(&mut self) {
        for path in disk::files_below(self.web) {
            let mut segments = path.split('/');
            let top = segments.next().unwrap_or_default();
            match top {
                _ if is_temporary(&path) => self.report(&path, What::Litter),
                "packages" => self.leftover_package(&path),
                "simple" if !is_index_document(&path) => self.report(&path, What::Litter),
                "simple" => {}
                other if TOP.contains(&other) => {}
                _ => self.report(&path, What::Litter),
            }
        }
    }

    fn leftover_package(&mut self, path: &str) {
        let lengths: Vec<_> = path.split('/').map(str::len).collect();
        if !matches!(lengths[..], [_, 2, 2, 60, _]) {
            self.report(path, What::Litter);
        } else if !self.referred.contains(path) && self.expect.orphans == Orphans::Forbidden {
            self.report(path, What::Orphan);
        }
    }
}

/// What HTML can say of a file.
fn as_in_html(entry: &Entry) -> Entry {
    Entry {
        size_bytes: None,
        upload_time: None,
        ..entry.clone()
    }
}

fn first_difference(
    json: &BTreeMap<String, Entry>,
    html: &BTreeMap<String, Entry>,
) -> Option<String> {
    let names: BTreeSet<_> = json.keys().chain(html.keys()).collect();
    names
        .into_iter()
        .find_map(|name| match (json.get(name), html.get(name)) {
            (Some(one), Some(other)) if one == other => None,
            (one, other) => Some(format!("{name}: {one:?} and {other:?}")),
        })
}

/// The path below the tree that an address on a page leads to; `None` for other hosts and for what climbs out.
fn path_in_tree(folder: &str, url: &str) -> Option<String> {
    if url.contains("://") || url.starts_with("//") {
        return None;
    }
    let mut segments: Vec<&str> = if url.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').collect()
    };
    for segment in url.trim_start_matches('/').split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

/// Names that programs give to files they have not finished. No tree has names that begin with a dot, but for one folder.
fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with('.')
        || [".tmp", ".part", ".partial", ".new", "~"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

fn is_index_document(path: &str) -> bool {
    let segments: Vec<_> = path.split('/').collect();
    let (["simple", name] | ["simple", _, name]) = segments[..] else {
        return false;
    };
    matches!(name, "index.html" | "index.v1_html" | "index.v1_json") || disk::is_signed_copy(name)
}

//! What lies in a tree and is none of what its signed pages name. Read no further than its name has to be doubted.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::ops::ControlFlow;

use heliostat_pypi::page::{MediaType, check_signable, read_page};
use heliostat_pypi::{ProjectName, RelPath, Sha256};
use heliostat_store::{EntryKind, Foreign, PageKind, StoreError, document_places};
use heliostat_trust::check::{Limits, Report};
use heliostat_trust::metadata::{RoleName, Root, Signed};
use url::Url;

use super::{Finding, FindingKind};
use crate::ledger::reason_of;

/// What an installer, or a client that verifies, could be given of.
const TOPS: [&str; 6] = [
    "simple",
    "pypi",
    "packages",
    "integrity",
    "heliostat",
    "tuf",
];

const NO_TARGET: &str = "no signed target is this page";
const NOBODY: &str = "nothing that is signed names it";

/// Paths that have been looked at. Of 16 million files it holds no names, but eight bytes of a hash that nobody can
/// foresee.
#[derive(Default)]
pub(super) struct Known {
    hasher: RandomState,
    hashes: Vec<u64>,
}

impl Known {
    pub(super) fn add(&mut self, path: &str) {
        self.hashes.push(self.hasher.hash_one(path));
    }

    /// To be called before it is asked.
    pub(super) fn settle(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
    }

    fn has(&self, path: &str) -> bool {
        let hash = self.hasher.hash_one(path);
        self.hashes.binary_search(&hash).is_ok()
    }
}

/// Something that nobody signed.
pub(super) struct Stray {
    /// Whose page or document it is, where it is one.
    pub(super) project: Option<ProjectName>,
    pub(super) finding: Finding,
}

/// Everything in a tree that is not known and that no older state of it explains.
pub(super) fn strays<'a>(
    tree: &'a Foreign,
    known: &'a Known,
    root: &'a [u8],
    metadata: &'a Report,
) -> impl Iterator<Item = Stray> + 'a {
    let looking = Looking {
        tree,
        root,
        metadata,
    };
    let below = TOPS.iter().filter_map(|top| top.parse::<RelPath>().ok());
    let entries = below.flat_map(|top| tree.walk(Some(&top)));
    entries.filter_map(move |entry| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let place = match &error {
                    StoreError::Io { path, .. } => path.as_path(),
                    _ => tree.root(),
                };
                let shown = place.strip_prefix(tree.root()).unwrap_or(place);
                let (path, kind) = (shown.display().to_string(), FindingKind::Unanswered);
                return Some(plain(path, kind, reason_of(&error)));
            }
        };
        let Some(path) = &entry.relative else {
            let shown = entry.path.display().to_string();
            return Some(plain(shown, FindingKind::Stray, NOBODY));
        };
        match entry.kind {
            _ if known.has(path.as_str()) => None,
            EntryKind::EmptyDirectory => None,
            EntryKind::Other => {
                let reason = "it is no regular file and is not opened";
                Some(plain(path.as_str(), FindingKind::Unanswered, reason))
            }
            EntryKind::File { .. } => looking.stray(path),
        }
    })
}

struct Looking<'a> {
    tree: &'a Foreign,
    root: &'a [u8],
    metadata: &'a Report,
}

impl Looking<'_> {
    fn stray(&self, path: &RelPath) -> Option<Stray> {
        let segments: Vec<&str> = path.as_str().split('/').collect();
        match segments[..] {
            ["tuf", file] => {
                let reason = self.odd_metadata(path, file)?;
                Some(plain(path.as_str(), FindingKind::Odd, reason))
            }
            ["simple", _, name] | ["heliostat", name] if let Some(digest) = digest_in(name) => {
                let place = self.tree.root().join(path.as_str());
                match heliostat_store::hash(&place, |_| ControlFlow::Continue(())) {
                    // A copy that an older state named: nobody takes it for another.
                    Ok(Some(found)) if found.sha256 == digest => None,
                    Ok(None) => None,
                    Ok(Some(_)) => {
                        let reason = "its name is the digest of something else";
                        Some(plain(path.as_str(), FindingKind::Stray, reason))
                    }
                    Err(error) => {
                        let kind = FindingKind::Unanswered;
                        Some(plain(path.as_str(), kind, reason_of(&error)))
                    }
                }
            }
            ["simple" | "pypi", name, _] => Some(self.document(name, path)),
            _ => Some(plain(path.as_str(), FindingKind::Stray, NOBODY)),
        }
    }

    /// A project's document, or what lies where these are.
    fn document(&self, name: &str, path: &RelPath) -> Stray {
        let project = name.parse::<ProjectName>().ok();
        let place = project.as_ref().and_then(|project| {
            (document_places(project).into_iter()).find(|(_, place)| place == path.as_str())
        });
        let Some((project, (kind, _))) = project.zip(place) else {
            // Servers tell pages by their names, whatever directory they are in.
            let endings = [".html", "/index.v1_json", "/index.v1_html", "/json"];
            let mut endings = endings.iter();
            let is_page = endings.any(|ending| path.as_str().ends_with(ending));
            let kind = if is_page {
                FindingKind::Unsigned
            } else {
                FindingKind::Stray
            };
            return plain(path.as_str(), kind, NOBODY);
        };
        let why = match kind {
            PageKind::Json => self.unsignable(&project, path),
            _ => None,
        };
        let reason = why.map_or_else(
            || NO_TARGET.to_owned(),
            |why| format!("{NO_TARGET}, and none can be: {why}"),
        );
        Stray {
            project: Some(project),
            finding: Finding::new(path.as_str(), FindingKind::Unsigned, reason),
        }
    }

    /// Why nobody can sign a page, where that is so.
    fn unsignable(&self, project: &ProjectName, path: &RelPath) -> Option<String> {
        let limit_bytes = heliostat_upstream::Limits::default().page_bytes_max;
        let bytes = self.tree.read(path, limit_bytes).ok()??;
        let base: Url = "https://tree.invalid/".parse().ok()?;
        let base = base.join(path.as_str()).ok()?;
        let read = read_page(project, &bytes, MediaType::Json, &base).ok()?;
        Some(check_signable(&read.page).err()?.to_string())
    }

    /// What is odd about a metadata file that the state of the tree does not name; older ones stay for a while.
    fn odd_metadata(&self, path: &RelPath, file: &str) -> Option<&'static str> {
        const NEWER: &str = "it is newer than what the timestamp leads to";
        let name = file.strip_suffix(".json").and_then(|name| {
            let (version, role) = name.split_once('.')?;
            Some((version.parse::<u64>().ok()?, role))
        });
        let Some((version, role)) = name else {
            return Some("no metadata is called so");
        };
        let snapshot = self.metadata.snapshot.as_ref();
        let last = match role {
            "root" => return self.odd_root(path, version),
            "snapshot" => snapshot.map(|snapshot| snapshot.version),
            role => snapshot.and_then(|snapshot| {
                let pin = snapshot.roles.get(&role.parse::<RoleName>().ok()?)?;
                Some(pin.version)
            }),
        };
        match last {
            None => Some("no signed state has such a role"),
            Some(last) => (version > last.get()).then_some(NEWER),
        }
    }

    fn odd_root(&self, path: &RelPath, version: u64) -> Option<&'static str> {
        if version > self.metadata.root.version.get() {
            return Some("no chain of roots leads to it");
        }
        let bytes = match self.tree.read(path, Limits::default().root_bytes) {
            Ok(bytes) => bytes?,
            Err(_) => return Some("it cannot be read"),
        };
        let is_it = Signed::<Root>::read(&bytes).is_ok_and(|root| {
            root.value.version.get() == version && {
                let trusted = Signed::<Root>::read(self.root);
                trusted.is_ok_and(|trusted| {
                    trusted.value.version.get() != version || trusted.canonical == root.canonical
                })
            }
        });
        (!is_it).then_some("it is not the root of this version")
    }
}

/// The digest that begins the name of a target's consistent copy.
fn digest_in(name: &str) -> Option<Sha256> {
    let (digest, rest) = name.split_once('.')?;
    let is_copy = matches!(rest, "index.v1_json" | "trusted_root.json");
    is_copy.then(|| digest.parse().ok()).flatten()
}

fn plain(path: impl Into<String>, kind: FindingKind, reason: impl Into<String>) -> Stray {
    Stray {
        project: None,
        finding: Finding::new(path, kind, reason),
    }
}

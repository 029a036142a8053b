//! What a project's line promises, held against its page: the proof that nothing is missing and nothing is there that
//! the page does not list.

use std::collections::{BTreeMap, BTreeSet};

use super::{BundleError, Extent, Item, Project};
use crate::TreePath;
use crate::page::{CoreMetadata, PageFile, ProjectPage};

/// A project's parts, each with what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// In the manifest's order.
    pub parts: Vec<Content>,
    /// Names of listed files that are not part of it; empty where the extent is whole.
    pub left_out: BTreeSet<String>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The file it is or belongs to.
    pub path: TreePath,
    /// Which part of it.
    pub kind: PartKind,
    /// What the manifest says of it.
    pub item: Item,
}

/// The three things that can stand for one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// The file itself.
    File,
    /// Its metadata (PEP 658).
    Metadata,
    /// Its provenance (PEP 740).
    Provenance,
}

/// Holds a project's line against its page, whose bytes the caller has verified. Every item must be a part of a listed
/// file with the digest that the page tells; every file that is in must be in with all its parts; and where the extent is
/// whole, every file must be in.
pub fn contents(project: &Project, page: &ProjectPage) -> Result<Contents, BundleError> {
    let refuse = |reason: String| BundleError::project(&project.name, reason);
    let mut known = BTreeMap::new();
    for (index, file) in page.files.iter().enumerate() {
        known.insert(file.path.to_string(), (index, PartKind::File));
        known.insert(
            format!("{}.metadata", file.path),
            (index, PartKind::Metadata),
        );
        if let Some(path) = file.provenance_path(&page.name) {
            known.insert(path.as_str().to_owned(), (index, PartKind::Provenance));
        }
    }
    let mut parts = Vec::with_capacity(project.parts.len());
    let mut have: BTreeMap<usize, BTreeSet<PartKind>> = BTreeMap::new();
    for item in &project.parts {
        let Some(&(index, kind)) = known.get(item.path.as_str()) else {
            return Err(refuse(format!(
                "its page lists no `{}`",
                super::shown(item.path.as_str())
            )));
        };
        let file = &page.files[index];
        check(file, kind, item).map_err(&refuse)?;
        have.entry(index).or_default().insert(kind);
        parts.push(Content {
            path: file.path.clone(),
            kind,
            item: item.clone(),
        });
    }
    let mut left_out = BTreeSet::new();
    for (index, file) in page.files.iter().enumerate() {
        let Some(have) = have.get(&index) else {
            left_out.insert(file.filename().to_owned());
            continue;
        };
        for kind in needed(file) {
            if !have.contains(&kind) {
                return Err(refuse(format!(
                    "{} of `{}` is neither in it nor in what it builds on",
                    kind.text(),
                    file.filename()
                )));
            }
        }
    }
    match left_out.first() {
        Some(first) if project.extent == Extent::Whole => Err(refuse(format!(
            "its page lists `{first}`, which is neither in it nor in what it builds on"
        ))),
        _ => Ok(Contents { parts, left_out }),
    }
}

/// What must be there of a file.
fn needed(file: &PageFile) -> impl Iterator<Item = PartKind> {
    [
        Some(PartKind::File),
        (!file.core_metadata.is_absent()).then_some(PartKind::Metadata),
        file.provenance_sha256.map(|_| PartKind::Provenance),
    ]
    .into_iter()
    .flatten()
}

fn check(file: &PageFile, kind: PartKind, item: &Item) -> Result<(), String> {
    let (sha256, size_bytes) = match kind {
        PartKind::File => (file.sha256, file.size_bytes),
        PartKind::Metadata => match file.core_metadata {
            CoreMetadata::Absent => {
                return Err(format!("its page offers no `{}`", item.path.as_str()));
            }
            CoreMetadata::Offered => (None, None),
            CoreMetadata::Sha256(sha256) => (Some(sha256), None),
        },
        PartKind::Provenance => (file.provenance_sha256, None),
    };
    let fits = sha256.is_none_or(|wanted| wanted == item.sha256)
        && size_bytes.is_none_or(|wanted| wanted == item.size_bytes);
    if fits {
        Ok(())
    } else {
        Err(format!(
            "its page tells another digest or size for `{}`",
            item.path.as_str()
        ))
    }
}

impl PartKind {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::File => "the file",
            Self::Metadata => "the metadata",
            Self::Provenance => "the provenance",
        }
    }
}

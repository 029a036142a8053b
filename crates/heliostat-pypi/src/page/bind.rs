//! What makes a page one that may be signed, and what a reader demands of a signed one. Pure.
//!
//! A signature says that these bytes are the page of this project. It does not say that the page speaks of this project:
//! `read_signed` does, so that a right page for the wrong project, or a right file under a wrong name, is refused. Both
//! sides work on canonical page v1 (docs/format.md).

use url::Url;

use super::write::{canonical_provenance, canonical_url};
use super::{MediaType, PageError, ProjectPage, StatusKind, read, read_page};
use crate::ProjectName;

/// The version of the canonical page that `render_page` writes and `read_signed` reads.
pub const CANONICAL_PAGE_VERSION: u32 = 1;

/// Where a tree's root is taken to be while addresses of a signed page are resolved. The name cannot exist (RFC 6761).
const ROOT: &str = "https://tree.invalid/";

/// Why a page cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{filename}` has no known {what}")]
pub struct Unsignable {
    /// The first file that stands in the way.
    pub filename: String,
    /// What is not known of it.
    pub what: &'static str,
}

/// Why a signed page is refused.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It is no page, or that of another project.
    #[error(transparent)]
    Page(PageError),
    /// It does not say whose it is.
    #[error("the page does not name its project, where `{0}` is wanted")]
    Unnamed(ProjectName),
    /// One of its files is not what a signed page may list.
    #[error("the signed page of `{project}` lists `{item}`, which is refused: {reason}")]
    File {
        /// The project.
        project: ProjectName,
        /// The file, as the page spells it, shortened and escaped for display.
        item: String,
        /// Why.
        reason: String,
    },
}

/// Whether the page that `render_page` writes for this can be signed: sha256 and size of every file it lists are known.
pub fn check_signable(page: &ProjectPage) -> Result<(), Unsignable> {
    if page.status.kind == StatusKind::Quarantined {
        return Ok(());
    }
    for file in &page.files {
        let what = match (file.sha256, file.size_bytes) {
            (Some(_), Some(_)) => continue,
            (None, _) => "sha256",
            (_, None) => "size",
        };
        return Err(Unsignable {
            filename: file.filename().to_owned(),
            what,
        });
    }
    Ok(())
}

/// Reads a signed page, whose bytes have been verified, as the page of `name`, and refuses it whole where it does not
/// bind every file to this project, its own name and its place in the tree. Unknown keys are passed over.
///
/// `PageFile::url` and `PageFile::provenance` of the answer stand under a host that does not exist; readers fetch by
/// `PageFile::path` and `PageFile::provenance_path`.
pub fn read_signed(name: &ProjectName, body: &[u8]) -> Result<ProjectPage, BindError> {
    let base = format!("{ROOT}simple/{name}/");
    let base: Url = base.parse().map_err(|_| BindError::Unnamed(name.clone()))?;
    if !read::names_its_project(body) {
        return Err(BindError::Unnamed(name.clone()));
    }
    let read = read_page(name, body, MediaType::Json, &base).map_err(BindError::Page)?;
    let refuse = |item: &str, reason: &str| BindError::File {
        project: name.clone(),
        item: item.to_owned(),
        reason: reason.to_owned(),
    };
    if let Some(first) = read.rejected.first().or(read.dropped_values.first()) {
        return Err(refuse(&first.item, &first.reason));
    }
    let page = read.page;
    if let Err(error) = check_signable(&page) {
        return Err(refuse(
            &error.filename,
            &format!("it has no {}", error.what),
        ));
    }
    for file in &page.files {
        if file.url != format!("{ROOT}{}", canonical_url(file)) {
            return Err(refuse(
                file.filename(),
                "its address is not the one of its place in the tree",
            ));
        }
        let Some(provenance) = &file.provenance else {
            continue;
        };
        let wanted = canonical_provenance(file, name).map(|path| format!("{ROOT}{path}"));
        if wanted.as_ref() != Some(provenance) {
            return Err(refuse(
                file.filename(),
                "the address of its provenance is not the one of its place in the tree",
            ));
        }
    }
    Ok(page)
}

//! Reads Simple API documents: PEP 691 JSON of any 1.x version and PEP 503 HTML.

use url::Url;

use super::ProjectPage;
use crate::{ProjectName, Serial};

/// What a document claims to be, from its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/vnd.pypi.simple.v1+json` (or plain `application/json`, which some indexes send).
    Json,
    /// `application/vnd.pypi.simple.v1+html` or `text/html`.
    Html,
}

/// A page and what had to be left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRead {
    /// The page, with every acceptable file.
    pub page: ProjectPage,
    /// Files left out, each with its reason.
    pub rejected: Vec<Rejected>,
}

/// The root list and what had to be left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRead {
    /// The list's own `_last-serial`, where given.
    pub serial: Option<Serial>,
    /// Every project once, sorted by name, with its `_last-serial` where given.
    pub projects: Vec<(ProjectName, Option<Serial>)>,
    /// Names left out, each with its reason.
    pub rejected: Vec<Rejected>,
}

/// Something an upstream listed that we do not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The file or project name as given, shortened and escaped for display.
    pub item: String,
    /// Why, as a lower-case fragment.
    pub reason: String,
}

/// Why a whole document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Not JSON, or not of the shape the specification requires.
    #[error("the document is not a Simple API JSON document: {0}")]
    Json(String),
    /// A major version we do not know (the specification says to stop).
    #[error("the document has api-version `{0}`, of which we know only 1.x")]
    Version(String),
    /// The page of another project.
    #[error("the page is of project `{found}`, not of `{wanted}`")]
    OtherProject {
        /// What was asked for.
        wanted: ProjectName,
        /// What the page says.
        found: String,
    },
    /// Not HTML that lists anything.
    #[error("the document is not a Simple API HTML page: {0}")]
    Html(String),
}

/// Reads one project's page. `base` is the address the document came from, after redirects.
pub fn read_page(
    _name: &ProjectName,
    _body: &[u8],
    _media: MediaType,
    _base: &Url,
) -> Result<PageRead, PageError> {
    todo!()
}

/// Reads a root list.
pub fn read_list(_body: &[u8], _media: MediaType) -> Result<ListRead, PageError> {
    todo!()
}

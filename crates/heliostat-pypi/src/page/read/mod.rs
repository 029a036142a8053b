//! Reads Simple API documents: PEP 691 JSON of any 1.x version and PEP 503 HTML.
//!
//! Owns the judgement of what an upstream says. Both shapes are first brought into one loose form ([`raw`]) and then
//! checked by one set of rules ([`check`]), so that they cannot differ in what they accept. One bad file never costs
//! the page; a document that is not what it claims to be costs everything, because taking it for an empty page
//! would mean deletions.

mod check;
mod html;
mod json;
mod raw;

use url::Url;

use super::ProjectPage;
use crate::{ProjectName, Serial};

/// The most files one page may list. PyPI's largest has some 20,000.
pub const PAGE_FILES_MAX: usize = 200_000;

/// The most versions one page may list.
pub const PAGE_VERSIONS_MAX: usize = 200_000;

/// The most projects a root list may name. PyPI's has some 900,000.
pub const LIST_PROJECTS_MAX: usize = 10_000_000;

/// The longest address of a file or provenance object, in bytes.
pub const URL_BYTES_MAX: usize = 8_192;

/// The longest version in a page's `versions`, in bytes.
pub const VERSION_BYTES_MAX: usize = 240;

/// The longest `requires-python`, in bytes. A file with a longer one is left out: dropping the value alone would offer
/// the file to interpreters that it does not support.
pub const REQUIRES_PYTHON_BYTES_MAX: usize = 4_096;

/// The longest reason of a yank or a project status, in bytes. Longer ones are cut.
pub const REASON_BYTES_MAX: usize = 16_384;

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
    /// Single values that made no sense and were left out of files (or of the page) that were kept.
    pub dropped_values: Vec<Rejected>,
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

/// Reads one project's page. `base` is the address the document came from, after redirects; credentials in it do not
/// reach the addresses of files.
///
/// Sources: PEP 503, 592, 629, 658, 691, 700, 714, 740, 792. Newer minor versions are read as far as they are known.
pub fn read_page(
    name: &ProjectName,
    body: &[u8],
    media: MediaType,
    base: &Url,
) -> Result<PageRead, PageError> {
    match media {
        MediaType::Json => json::read_page(name, body, base),
        MediaType::Html => html::read_page(name, body, base),
    }
}

/// Reads a root list.
///
/// Names that normalise to the same project are one; its serial is then the greatest given.
pub fn read_list(body: &[u8], media: MediaType) -> Result<ListRead, PageError> {
    let mut list = match media {
        MediaType::Json => json::read_list(body)?,
        MediaType::Html => html::read_list(body)?,
    };
    let projects = &mut list.projects;
    if !projects.is_sorted_by(|left, right| left.0 < right.0) {
        projects.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)));
        projects.dedup_by(|later, earlier| later.0 == earlier.0);
    }
    Ok(list)
}

/// Whether a JSON page says whose it is, which the specification demands and some indexes leave out.
pub(super) fn names_its_project(body: &[u8]) -> bool {
    json::names_its_project(body)
}

impl MediaType {
    /// From the value of a `Content-Type` header; parameters and letter case do not matter. `None` for anything that
    /// is not a Simple API document, also for a major version we do not know.
    pub fn from_content_type(value: &str) -> Option<Self> {
        let essence = value
            .split(';')
            .next()
            .unwrap_or(value)
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "application/vnd.pypi.simple.v1+json" | "application/json" => Some(Self::Json),
            "application/vnd.pypi.simple.v1+html" | "text/html" | "application/xhtml+xml" => {
                Some(Self::Html)
            }
            _ => None,
        }
    }
}

impl Rejected {
    /// The item as it may be shown: at most 120 characters, control characters escaped.
    fn new(item: &str, reason: impl Into<String>) -> Self {
        Self {
            item: item
                .chars()
                .take(120)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            reason: reason.into(),
        }
    }
}

/// PEP 629: a missing version is 1.0, a higher minor version is readable, another major version is not.
fn check_api_version(text: Option<&str>) -> Result<(), PageError> {
    let Some(text) = text else { return Ok(()) };
    let major = text.trim().split('.').next().unwrap_or(text);
    if major == "1" {
        Ok(())
    } else {
        Err(PageError::Version(Rejected::new(text, "").item))
    }
}

#[cfg(test)]
mod tests;

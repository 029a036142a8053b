//! Writes Simple API documents, byte-deterministically: JSON 1.4 and PEP 503 HTML frozen at 1.4 (PEP 833).

use super::ProjectPage;
use crate::{ProjectName, Serial};

/// The two shapes of a Simple API document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `application/vnd.pypi.simple.v1+json`
    Json,
    /// `application/vnd.pypi.simple.v1+html`
    Html,
}

/// One project's page as it stands at `simple/<project>/`; addresses are relative to that place.
pub fn render_page(_page: &ProjectPage, _format: Format) -> Vec<u8> {
    todo!()
}

/// The root list as it stands at `simple/`. Projects must come sorted by name.
pub fn render_list<'a>(
    _projects: impl Iterator<Item = (&'a ProjectName, Option<Serial>)>,
    _serial: Option<Serial>,
    _format: Format,
) -> Vec<u8> {
    todo!()
}

/// The legacy JSON document of a project (`version` is `None`) or of one release; `None` where the page has no such
/// release. Built from the page alone, so `info` holds what a page tells.
pub fn render_legacy(_page: &ProjectPage, _version: Option<&str>) -> Option<Vec<u8>> {
    todo!()
}

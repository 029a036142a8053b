//! Pages for people. Without scripts, everything that comes from others escaped by the templates.

mod changes;
mod list;
mod mirror;
mod propagation;
mod rules;

use askama::Template;

use super::Files;
use super::view::{EndpointView, View};
use super::words;
use crate::error::DirectoryError;

/// What every page has around it.
struct Frame {
    /// From the page to the published folder.
    root: &'static str,
    /// Which of the pages it is.
    here: &'static str,
    at: String,
    generator: String,
}

impl Frame {
    fn new(view: &View<'_>, root: &'static str, here: &'static str) -> Self {
        Self {
            root,
            here,
            at: words::moment(view.at),
            generator: view.generator.to_owned(),
        }
    }
}

pub(super) fn add(view: &View<'_>, files: &mut Files) -> Result<(), DirectoryError> {
    let mut page = |path: String, page: Result<String, askama::Error>| {
        let page = page.map_err(DirectoryError::write)?;
        files.insert(path, page.into_bytes());
        Ok::<(), DirectoryError>(())
    };
    page(
        "style.css".to_owned(),
        Ok(include_str!("../../../templates/style.css").to_owned()),
    )?;
    page("index.html".to_owned(), list::List::of(view).render())?;
    page(
        "propagation.html".to_owned(),
        propagation::Propagation::of(view).render(),
    )?;
    page(
        "changes.html".to_owned(),
        changes::Changes::of(view).render(),
    )?;
    page("policy.html".to_owned(), rules::Rules::of(view).render())?;
    for endpoints in view.by_mirror() {
        let path = format!("mirrors/{}.html", endpoints[0].mirror.id);
        page(path, mirror::MirrorPage::of(view, endpoints).render())?;
    }
    Ok(())
}

/// The host and path, as people name an endpoint.
fn place(view: &EndpointView<'_>) -> String {
    let base = view.endpoint.base.as_str();
    let place = base.strip_prefix("https://").unwrap_or(base);
    place.trim_end_matches('/').to_owned()
}

/// Freshness and lag: `4 min`.
fn lag(lag_seconds: Option<u64>) -> String {
    lag_seconds.map_or_else(|| "not proved".to_owned(), words::span)
}

/// A word that stands in a style sheet too.
fn class(word: &impl ToString) -> String {
    word.to_string().to_lowercase()
}

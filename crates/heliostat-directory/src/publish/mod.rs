//! Everything that is published about a list, as files in memory: documents for programs, pages for people, exports in
//! the formats of others, feeds and badges.
//!
//! Pure: the same list, history, policy and time give the same bytes. Who writes them where is the program's matter.

mod badges;
mod documents;
mod exports;
mod feeds;
mod graphics;
mod pages;
mod view;
mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::error::DirectoryError;
use crate::observe::Round;
use crate::policy::Policy;
use crate::registry::Registry;

pub use documents::{
    EndpointStatus, MirrorList, Moved, Quantiles, Share, StatusList, VantageStatus,
    published_mirror, registry_documents,
};
pub use view::Freshness;
use view::View;

/// Files by their path below the published folder, with `/` between parts.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What is published.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// Who is on the list.
    pub registry: &'a Registry,
    /// The rules.
    pub policy: &'a Policy,
    /// The rules as their file says them, published byte for byte.
    pub policy_text: &'a str,
    /// What probes saw, the oldest first; rounds after `at` are left out.
    pub rounds: &'a [Round],
    /// The moment that all of it tells about.
    pub at: Timestamp,
    /// Files of evidence that lie beside, each by its name (`<sha256>.json`).
    pub evidence: &'a [String],
    /// The program and its version, for the foot of pages.
    pub generator: &'a str,
}

/// Renders every file.
pub fn publish(published: &Published<'_>) -> Result<Files, DirectoryError> {
    let view = View::of(published);
    let mut files = Files::new();
    documents::add(&view, published, &mut files)?;
    pages::add(&view, &mut files)?;
    exports::add(&view, &mut files)?;
    feeds::add(&view, &mut files)?;
    badges::add(&view, &mut files)?;
    Ok(files)
}

/// What of a history was seen until `at`, one text of JSON lines for each month, by its name (`2026-11`).
pub fn history_by_month(
    rounds: &[Round],
    at: Timestamp,
) -> Result<BTreeMap<String, String>, DirectoryError> {
    let mut months: BTreeMap<String, String> = BTreeMap::new();
    for round in rounds.iter().filter(|round| round.at <= at.as_second()) {
        let line = serde_json::to_string(round).map_err(DirectoryError::write)?;
        let text = months.entry(words::month(round.at)).or_default();
        text.push_str(&line);
        text.push('\n');
    }
    Ok(months)
}

//! Atom feeds (RFC 4287): every move from a state to another, of all mirrors and of each.

use askama::Template;

use super::view::{EndpointView, View};
use super::{Files, words};
use crate::error::DirectoryError;
use crate::state::Transition;

/// Entries of one feed.
const ENTRIES_MAX: usize = 100;

#[derive(Template)]
#[template(path = "feed.xml")]
struct Feed {
    id: String,
    title: String,
    page: String,
    updated: String,
    generator: String,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    title: String,
    page: String,
    updated: String,
    summary: String,
}

pub(super) fn add(view: &View<'_>, files: &mut Files) -> Result<(), DirectoryError> {
    let all = moves(&view.endpoints);
    let mut write = |name: &str, feed: &Feed| {
        let text = feed.render().map_err(DirectoryError::write)?;
        files.insert(format!("feeds/{name}.atom"), text.into_bytes());
        Ok::<(), DirectoryError>(())
    };
    let entries = all
        .iter()
        .take(ENTRIES_MAX)
        .map(|(endpoint, moved)| entry(view, endpoint, *moved));
    let feed = feed(
        view,
        "changes",
        "Mirrors of Python packages",
        "../changes.html".to_owned(),
        entries.collect(),
    );
    write("changes", &feed)?;
    for endpoints in view.by_mirror() {
        let mirror = endpoints[0].mirror;
        let own = moves(endpoints);
        let entries = own
            .iter()
            .take(ENTRIES_MAX)
            .map(|(endpoint, moved)| entry(view, endpoint, *moved));
        let page = format!("../mirrors/{}.html", mirror.id);
        let name = format!("mirror-{}", mirror.id);
        let feed = self::feed(view, &name, &mirror.operator.name, page, entries.collect());
        write(&name, &feed)?;
    }
    Ok(())
}

/// Every move of these endpoints, the newest first.
fn moves<'a, 'b>(endpoints: &'b [EndpointView<'a>]) -> Vec<(&'b EndpointView<'a>, Transition)> {
    let mut moves: Vec<_> = endpoints
        .iter()
        .flat_map(|endpoint| {
            endpoint
                .transitions
                .iter()
                .map(move |moved| (endpoint, *moved))
        })
        .collect();
    moves.sort_by_key(|(endpoint, moved)| (-moved.to.since, &endpoint.endpoint.id));
    moves
}

fn feed(view: &View<'_>, name: &str, title: &str, page: String, entries: Vec<Entry>) -> Feed {
    Feed {
        id: tag(view, name),
        title: title.to_owned(),
        page,
        updated: entries
            .first()
            .map_or_else(|| words::rfc3339(0), |entry| entry.updated.clone()),
        generator: view.generator.to_owned(),
        entries,
    }
}

fn entry(view: &View<'_>, of: &EndpointView<'_>, moved: Transition) -> Entry {
    let id = &of.endpoint.id;
    Entry {
        id: tag(view, &format!("{id}/{}/{}", moved.to.since, moved.to.state)),
        title: format!(
            "{}: {} is {} now",
            of.mirror.operator.name, id, moved.to.state
        ),
        page: format!("../mirrors/{}.html#{id}", of.mirror.id),
        updated: words::rfc3339(moved.to.since),
        summary: format!(
            "From {} to {}: {}.",
            moved.from, moved.to.state, moved.to.rule
        ),
    }
}

/// A name that stays the same wherever the feed lies (RFC 4151).
fn tag(view: &View<'_>, name: &str) -> String {
    let domain = view.policy.own_domain.as_deref().unwrap_or("list.invalid");
    format!("tag:{domain},2026:directory/{name}")
}

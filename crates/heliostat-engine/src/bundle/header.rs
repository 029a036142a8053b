//! What an export says of itself, before it is known line by line: how much it speaks for, what it lacks, where it is
//! from and what it builds on. Claims no more than is true.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use heliostat_pypi::ProjectName;
use heliostat_pypi::bundle::{BUNDLE_FORMAT, Base, Coverage, Extent, Header};
use heliostat_pypi::select::Selection;
use heliostat_store::{Keeper, Store};
use jiff::Timestamp;

use super::signed::SignedState;
use super::{ExportRequest, Open};
use crate::error::EngineError;
use crate::publish;
use crate::sync::{Files, Wishes, says_gone};

/// Words of a selection that a manifest repeats.
const WORDS_MAX: usize = 1_000;
/// The longest of them, in characters.
const WORD_CHARS_MAX: usize = 200;
/// Projects that a manifest names as lacking. One that lacks more speaks for a part.
const LACKING_MAX: usize = 100_000;

/// The header of an export, and the projects that the mirror is to hold and an export of all of it does not have.
pub(super) fn header(
    store: &Store,
    request: &ExportRequest,
    (made_at, signed): (Timestamp, Option<&SignedState>),
    since: Option<Open<'_>>,
) -> Result<(Header, BTreeSet<ProjectName>), EngineError> {
    let wishes = Wishes::load(store)?;
    let selection = wishes.selection();
    let is_narrowed = request.selection.is_some() || !request.constraints.is_empty();
    let lacking = lacking(store, &selection, signed)?;
    let is_complete = !is_narrowed
        && lacking.is_empty()
        && selection == Selection::everything()
        && wishes.files == Files::Take
        && wishes.filter == heliostat_pypi::filter::FileFilter::default()
        && store.ledger()?.is_empty()
        && publish::is_claimed_complete(store)?
        && signed.is_none_or(|state| state.is_complete);
    let words = match &request.selection {
        Some(_) => request.words.clone(),
        None if is_complete => Vec::new(),
        None => (words_of(&selection).into_iter())
            .chain(request.words.iter().cloned())
            .collect(),
    };
    let is_part = is_narrowed || lacking.len() > LACKING_MAX;
    let upstream = first_upstream(store)?;
    let header = Header {
        format: BUNDLE_FORMAT,
        made_at,
        coverage: if is_complete {
            Coverage::Complete
        } else {
            Coverage::Selection
        },
        extent: if is_part { Extent::Some } else { Extent::Whole },
        lacking: if is_part {
            Vec::new()
        } else {
            lacking.iter().cloned().collect()
        },
        selection: words
            .into_iter()
            .take(WORDS_MAX)
            .map(|word| word.chars().take(WORD_CHARS_MAX).collect())
            .collect(),
        serial: store.root()?.and_then(|root| root.serial),
        since: match since {
            Some(open) => Some(base(store, open, upstream.as_deref())?),
            None => None,
        },
        upstream,
    };
    Ok((header, lacking))
}

/// What an export of all of the mirror does not have although it exists: what failed and is not held, is held otherwise
/// than whole, or is not part of what was signed.
fn lacking(
    store: &Store,
    selection: &Selection,
    signed: Option<&SignedState>,
) -> Result<BTreeSet<ProjectName>, EngineError> {
    let states = store.project_states()?;
    let is_held = |name: &ProjectName| {
        let place = states.binary_search_by(|state| state.name.cmp(name));
        place.is_ok_and(|place| states[place].keeper == Keeper::Mirror)
    };
    let failed = store.ledger()?.into_iter();
    let failed = failed
        .filter(|entry| !says_gone(entry))
        .map(|entry| entry.project)
        .filter(|name| selection.wants(name).is_some() && !is_held(name));
    let is_signed = |name| signed.is_none_or(|state| state.pages.contains_key(name));
    let left_out = (states.iter())
        .filter(|state| state.keeper != Keeper::Mirror || !is_signed(&state.name))
        .map(|state| state.name.clone());
    Ok(failed.chain(left_out).collect())
}

/// The upstream of the first project.
fn first_upstream(store: &Store) -> Result<Option<String>, EngineError> {
    let first = store.projects_after(None, 1)?.into_iter();
    let mut first = first.filter_map(|(_, record)| record.ok());
    Ok(first.next().map(|record| record.upstream))
}

/// The state that an export builds on, which must be one of the same upstream: of another's, everything would be taken
/// for removed.
fn base(store: &Store, open: Open<'_>, ours: Option<&str>) -> Result<Base, EngineError> {
    let mut reader = super::manifest(open)?;
    while reader.next_line()?.is_some() {}
    let header = reader.header();
    if let (Some(ours), Some(theirs)) = (ours, &header.upstream)
        && ours != theirs
    {
        let mut is_known = false;
        store.for_each_project(None, |_, record| {
            is_known = record.is_ok_and(|record| record.upstream == *theirs);
            if is_known {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if !is_known {
            return Err(EngineError::BaseElsewhere {
                theirs: theirs.clone(),
                ours: ours.to_owned(),
            });
        }
    }
    Ok(Base {
        manifest: reader.sha256(),
        made_at: header.made_at,
    })
}

/// What was selected, as words.
fn words_of(selection: &Selection) -> Vec<String> {
    let everything = selection.is_everything().then(|| "*".to_owned());
    let patterns = selection.patterns.iter().map(ToString::to_string);
    let names = selection.names.iter().chain(selection.required.keys());
    let names = names
        .chain(selection.locked.keys())
        .chain(selection.resolved.keys());
    let mut words: Vec<String> = everything
        .into_iter()
        .chain(patterns)
        .chain(names.map(ToString::to_string))
        .collect();
    words.sort();
    words.dedup();
    words
}

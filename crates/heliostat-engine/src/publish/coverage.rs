//! What the tree claims to hold, so that absence means something: noted by every sync, signed with the next snapshot.

use heliostat_pypi::Serial;
use heliostat_pypi::select::Selection;
use heliostat_store::{Store, StoreError};
use heliostat_trust::metadata::{Coverage, Extent};
use serde_json::Value;

const KEY: &str = "coverage";

/// Notes what the tree claims from now on. `held` is the selection that a run has just brought in step whole; `None`
/// while that is not so, or where pages are taken on demand only: then an absent name is unknown.
pub fn claim(
    store: &Store,
    held: Option<&Selection>,
    upstream: &str,
    serial: Option<Serial>,
) -> Result<(), StoreError> {
    let coverage = Coverage {
        extent: held.map_or(Extent::Partial, extent),
        upstream: upstream.to_owned(),
        serial: serial.filter(|_| held.is_some()),
    };
    let value = to_value(&coverage);
    if store.meta::<Value>(KEY)?.as_ref() == Some(&value) {
        return Ok(());
    }
    store.set_meta(KEY, &value)
}

/// What the tree claims. A page that exists and cannot be signed is absent from what is signed, so that as long as
/// there is one, absence means nothing.
pub fn claimed(store: &Store) -> Result<Option<Coverage>, StoreError> {
    let Some(mut coverage) = noted(store)? else {
        return Ok(None);
    };
    if !store.unsigned(1)?.is_empty() {
        coverage.extent = Extent::Partial;
        coverage.serial = None;
    }
    Ok(Some(coverage))
}

/// Whether everything the upstream has was in step when a sync ended last.
pub(crate) fn is_claimed_complete(store: &Store) -> Result<bool, StoreError> {
    Ok(noted(store)?.is_some_and(|coverage| coverage.extent == Extent::Complete))
}

/// What the last sync noted.
pub(super) fn noted(store: &Store) -> Result<Option<Coverage>, StoreError> {
    let noted = store.meta::<Value>(KEY)?;
    Ok(noted.as_ref().and_then(Coverage::from_value))
}

pub(super) fn to_value(coverage: &Coverage) -> Value {
    serde_json::to_value(coverage).unwrap_or(Value::Null)
}

/// A selection in the words of the claim: names and patterns. One with exclusions claims only what it names, because the
/// claim has no word for them.
fn extent(selection: &Selection) -> Extent {
    if selection.is_everything() && selection.excluded.is_empty() {
        return Extent::Complete;
    }
    let named = selection
        .names
        .iter()
        .chain(selection.required.keys())
        .chain(selection.locked.keys())
        .chain(selection.resolved.keys())
        .filter(|name| !selection.excluded.iter().any(|out| out.matches(name)))
        .map(ToString::to_string);
    let patterns = selection
        .patterns
        .iter()
        .map(|pattern| pattern.as_str().to_owned());
    let mut words: Vec<String> = named.collect();
    if selection.excluded.is_empty() {
        words.extend(patterns);
    }
    Extent::selection(words)
}

//! Whether the notary whose root is given is the one whose state the data carries. Were it another one, its state would
//! take the place of what nothing may be older than, and an older state of the first one would be good again.
//!
//! Fetches nothing: who asks has the roots between, from a bundle, a mirror or the tree.

use heliostat_store::Store;
use heliostat_trust::check::{Check, Limits, Wanted};
use heliostat_trust::metadata::{Root, Signed};
use jiff::Timestamp;

use crate::error::EngineError;

/// The last root of the state that a tree carries.
pub(crate) fn carried_root(store: &Store) -> Result<Option<Vec<u8>>, EngineError> {
    let roles = store.roles()?;
    let Some(role) = roles.iter().find(|role| role.name == "root") else {
        return Ok(None);
    };
    let file = format!("{}.root.json", role.version);
    Ok(store.read_metadata(&file, Limits::default().root_bytes)?)
}

/// The roots that lead from one of two roots to the other, without these two.
pub(crate) fn roots_between(known: &[u8], given: &[u8]) -> Result<Vec<Wanted>, EngineError> {
    let version = |root| Signed::<Root>::read(root).map(|root| root.value.version.get());
    let (known, given) = (version(known)?, version(given)?);
    let limits = Limits::default();
    let roots_max = usize::try_from(limits.roots).unwrap_or(usize::MAX);
    let between = (known.min(given) + 1..known.max(given)).take(roots_max);
    Ok(between
        .map(|version| Wanted {
            file: format!("{version}.root.json"),
            max_bytes: limits.root_bytes,
        })
        .collect())
}

/// One of the two roots must lead to the other, each signed by the one before. `between` has the roots that lead there.
pub(crate) fn is_continued(
    (known, given): (&[u8], &[u8]),
    mut between: impl FnMut(&Wanted) -> Result<Option<Vec<u8>>, EngineError>,
) -> Result<(), EngineError> {
    let known = (Signed::<Root>::read(known)?, known);
    let given = (Signed::<Root>::read(given)?, given);
    let version = known.0.value.version;
    let (first, last) = if given.0.value.version <= version {
        (given, known)
    } else {
        (known, given)
    };
    let mut canonical = first.0.canonical;
    let wanted_last = last.0.value.file();
    let mut check = Check::begin(first.1, Timestamp::UNIX_EPOCH, Limits::default())?;
    let mut file = first.0.value.file();
    while file != wanted_last {
        let Some(wanted) = check.wanted().filter(|_| check.is_at_roots()) else {
            break;
        };
        let bytes = match between(&wanted)? {
            None if wanted.file == wanted_last => Some(last.1.to_vec()),
            found => found,
        };
        check.take(bytes.as_deref());
        if let Some(bytes) = bytes.filter(|_| check.is_at_roots()) {
            canonical = Signed::<Root>::read(&bytes)?.canonical;
            file = wanted.file;
        }
    }
    if file == wanted_last && canonical == last.0.canonical {
        return Ok(());
    }
    Err(EngineError::OtherNotary {
        version: version.get(),
    })
}

//! Lock files whose addresses are those of a proxy or mirror on the way, made to name the canonical index again.
//!
//! Owns finding the addresses (byte spans in TOML, JSON and YAML), mapping them, and the proof that nothing else
//! changed. Reading what a lock file selects is [`crate::select`]'s. Hashes never change: whether a file is the right
//! one is theirs to say, wherever it comes from.

mod beside;
mod map;
mod spans;

use std::collections::HashSet;
use std::fmt;

use beside::BesideOnes;
use map::Moved;
pub(crate) use map::is_loopback;
pub use map::{Beside, Canonical, Loopback, MovedRoot, UrlMap};
use spans::Text;

use crate::select::{LOCK_BYTES_MAX, LockKind};

/// What a lock file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockFormat {
    /// `uv.lock`, `pylock.toml`, `poetry.lock`
    Toml(LockKind),
    /// `Pipfile.lock`
    Json,
    /// `pixi.lock`
    Yaml,
}

/// One address that became another, or one switch that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlChange {
    /// The line it stands in, from 1.
    pub line: usize,
    /// `verify_ssl` for the switch; `None` for an address.
    pub switch: Option<&'static str>,
    /// What stood there, credentials and all.
    pub before: String,
    /// What stands there now.
    pub after: String,
}

/// One address on the way that has no counterpart at the canonical index, or none that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlLeft {
    /// The line it stands in, from 1.
    pub line: usize,
    /// The address.
    pub url: String,
    /// For the index of a package whose files are elsewhere, the address of one of them.
    pub file: Option<String>,
}

/// A lock file with canonical addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalLock {
    /// The whole text; the same as before where nothing changed.
    pub text: String,
    /// What changed, from top to bottom.
    pub changes: Vec<UrlChange>,
    /// What should have and could not.
    pub left: Vec<UrlLeft>,
}

/// Why a lock file is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockUrlError {
    /// Its name is none that we know.
    #[error("the file is not a uv.lock, pylock.toml, poetry.lock, Pipfile.lock or pixi.lock")]
    Unknown,
    /// Larger than [`LOCK_BYTES_MAX`].
    #[error("the lock file is larger than 64 MiB")]
    TooLarge,
    /// Not what its name says.
    #[error("the lock file cannot be read as {format}: {reason}")]
    Syntax {
        /// What it should be.
        format: LockFormat,
        /// Where and why not.
        reason: String,
    },
    /// The edited text does not say the same as before with other addresses. Nothing may be written.
    #[error("line {line}: the lock file would say something else after its addresses were changed")]
    Differs {
        /// About where.
        line: usize,
    },
}

impl LockFormat {
    /// What a file of this name is, path or not.
    pub fn of_filename(path: &str) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        if name == "pixi.lock" {
            return Some(Self::Yaml);
        }
        Some(match LockKind::of_filename(name)? {
            LockKind::Pipfile => Self::Json,
            kind => Self::Toml(kind),
        })
    }
}

impl fmt::Display for LockFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Toml(_) => "TOML",
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        })
    }
}

/// Gives every address that the map knows its canonical form. Every other byte stays, but for this: a source of a
/// `Pipfile.lock` that was plain HTTP on loopback and becomes HTTPS has its certificates checked.
pub fn canonical_lock(
    format: LockFormat,
    text: &str,
    map: &UrlMap,
) -> Result<CanonicalLock, LockUrlError> {
    if text.len() > LOCK_BYTES_MAX {
        return Err(LockUrlError::TooLarge);
    }
    let before = spans::texts(format, text)?;
    let unchecked = unchecked(format, text, &before, map);
    let beside = BesideOnes::of(format, &before, map);
    let mut lock = CanonicalLock {
        text: String::with_capacity(text.len()),
        changes: Vec::new(),
        left: Vec::new(),
    };
    let mut lines = Lines::new(text);
    let mut copied = 0;
    for found in &before {
        let line = lines.at(found.span.start);
        let switch = unchecked.contains(&found.span.start).then_some(VERIFY_SSL);
        let mut file = None;
        let mut moved = match switch {
            Some(_) => Moved::To("true".to_owned()),
            None => map.apply(&found.value, format),
        };
        if matches!(moved, Moved::To(_))
            && let Some((index, of)) = beside.index_of(found, format, map)
        {
            (moved, file) = (index, Some(of.to_owned()));
        }
        match moved {
            Moved::Foreign => {}
            Moved::Nowhere => lock.left.push(UrlLeft {
                line,
                url: found.value.clone(),
                file,
            }),
            Moved::To(after) => {
                lock.text.push_str(&text[copied..found.span.start]);
                lock.text
                    .push_str(&spelt(&text[found.span.clone()], &found.value, &after));
                copied = found.span.end;
                lock.changes.push(UrlChange {
                    line,
                    switch,
                    before: found.value.clone(),
                    after,
                });
            }
        }
    }
    lock.text.push_str(&text[copied..]);
    prove(format, &before, &lock)?;
    Ok(lock)
}

/// What pipenv calls the switch that has a source's certificates checked.
const VERIFY_SSL: &str = "verify_ssl";

/// Where a source has its certificates not checked that needed none, and is about to: the first byte of each `false`.
fn unchecked(format: LockFormat, text: &str, texts: &[Text], map: &UrlMap) -> HashSet<usize> {
    if format != LockFormat::Json {
        return HashSet::new();
    }
    let key_of = |found: &Text, key: &str| {
        let source = found.place.strip_prefix("/_meta/sources/")?;
        let index = source.strip_suffix(key)?.strip_suffix('/')?;
        Some(index.to_owned()).filter(|index| !index.contains('/'))
    };
    let secured: HashSet<String> = texts
        .iter()
        .filter(|found| found.value.starts_with("http://"))
        .filter(|found| (found.value.parse()).is_ok_and(|url| is_loopback(&url)))
        .filter(|found| match map.apply(&found.value, format) {
            Moved::To(after) => after.starts_with("https://"),
            Moved::Foreign | Moved::Nowhere => false,
        })
        .filter_map(|found| key_of(found, "url"))
        .collect();
    texts
        .iter()
        .filter(|found| &text[found.span.clone()] == "false")
        .filter(|found| key_of(found, VERIFY_SSL).is_some_and(|source| secured.contains(&source)))
        .map(|found| found.span.start)
        .collect()
}

/// The new value in the place of the old one, in the same kind of quotes.
fn spelt(raw: &str, before: &str, after: &str) -> String {
    // An address has no character that any of the formats escapes, so the old one stands there as it is; where
    // somebody wrote it otherwise all the same, quotes are right in every format.
    if raw.matches(before).count() == 1 {
        raw.replacen(before, after, 1)
    } else {
        format!("\"{after}\"")
    }
}

/// Reads the edited text again: the same texts in the same places, but for the changed addresses.
fn prove(format: LockFormat, before: &[Text], lock: &CanonicalLock) -> Result<(), LockUrlError> {
    let differs = |line| Err(LockUrlError::Differs { line });
    let Ok(after) = spans::texts(format, &lock.text) else {
        return differs(1);
    };
    let mut changes = lock.changes.iter().peekable();
    for (index, old) in before.iter().enumerate() {
        let Some(new) = after.get(index) else {
            return differs(0);
        };
        let moved =
            changes.next_if(|change| change.before == old.value && new.value == change.after);
        if old.place != new.place || (moved.is_none() && old.value != new.value) {
            return differs(Lines::new(&lock.text).at(new.span.start));
        }
    }
    if changes.next().is_some() || after.len() != before.len() {
        return differs(0);
    }
    Ok(())
}

/// Counts lines once, from top to bottom.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// The line of a byte that lies no further up than the last one asked for.
    fn at(&mut self, byte: usize) -> usize {
        let between = &self.text.as_bytes()[self.at..byte];
        self.line += between.split(|byte| *byte == b'\n').count() - 1;
        self.at = byte;
        self.line
    }
}

#[cfg(test)]
mod tests;

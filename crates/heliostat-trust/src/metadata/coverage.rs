//! What a tree claims to hold, signed with each snapshot: it decides what the absence of a name means.

use heliostat_pypi::{Serial, Sha256};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The version of the `x-heliostat` field that is written and read.
const FORMAT: u64 = 1;
/// Longest upstream address.
const UPSTREAM_MAX_CHARS: usize = 2_000;

/// What a tree claims to hold: the field `x-heliostat` of the snapshot, which TUF lets other clients ignore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// How much of the upstream.
    pub extent: Extent,
    /// The Simple API root of the upstream, without credentials.
    pub upstream: String,
    /// The serial up to which everything is held, where the upstream has serials.
    pub serial: Option<Serial>,
}

/// How much of the upstream a tree holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Every project: a name that is absent does not exist.
    Complete,
    /// Every project that the selection means: names and patterns, sorted. A name that matches and is absent does not
    /// exist; others are unknown.
    Selection(Vec<String>),
    /// As before, but the selection is too long to be carried; its digest is.
    LongSelection(Sha256),
    /// What somebody asked for: an absent name is unknown.
    Partial,
}

impl Extent {
    /// Most words of a selection that are carried.
    pub const WORDS_MAX: usize = 1_000;

    /// The extent of a selection, in the one form that it has.
    pub fn selection(mut words: Vec<String>) -> Self {
        words.sort_unstable();
        words.dedup();
        if words.len() > Self::WORDS_MAX {
            return Self::LongSelection(Sha256::of(words.join("\n").as_bytes()));
        }
        Self::Selection(words)
    }
}

impl Coverage {
    /// Reads the field of a verified snapshot.
    ///
    /// Nothing where there is none, it is of a later format, or it is not understood: then nothing is claimed, and
    /// every absent name is unknown.
    pub fn from_value(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if value.get("format")?.as_u64()? != FORMAT {
            return None;
        }
        let extent = match (
            text("coverage")?,
            value.get("selection"),
            text("selection-sha256"),
        ) {
            ("complete", None, None) => Extent::Complete,
            ("partial", None, None) => Extent::Partial,
            ("selection", Some(Value::Array(words)), None) if words.len() <= Extent::WORDS_MAX => {
                let words: Option<Vec<_>> = words
                    .iter()
                    .map(|word| word.as_str().map(str::to_owned))
                    .collect();
                Extent::selection(words?)
            }
            ("selection", None, Some(digest)) => Extent::LongSelection(digest.parse().ok()?),
            _ => return None,
        };
        let upstream = text("upstream")?;
        let serial = match value.get("serial") {
            None => None,
            Some(serial) => Some(Serial(serial.as_u64()?)),
        };
        (upstream.len() <= UPSTREAM_MAX_CHARS).then(|| Self {
            extent,
            upstream: upstream.to_owned(),
            serial,
        })
    }
}

impl Serialize for Coverage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let word = match &self.extent {
            Extent::Complete => "complete",
            Extent::Selection(_) | Extent::LongSelection(_) => "selection",
            Extent::Partial => "partial",
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("coverage", word)?;
        map.serialize_entry("format", &FORMAT)?;
        match &self.extent {
            Extent::Selection(words) => map.serialize_entry("selection", words)?,
            Extent::LongSelection(digest) => map.serialize_entry("selection-sha256", digest)?,
            Extent::Complete | Extent::Partial => {}
        }
        if let Some(serial) = &self.serial {
            map.serialize_entry("serial", serial)?;
        }
        map.serialize_entry("upstream", &self.upstream)?;
        map.end()
    }
}

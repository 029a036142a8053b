//! What the signed snapshot says about the tree it stands for: whether a name that it does not have exists nowhere, or
//! is only unknown here. Pure.

use heliostat_pypi::ProjectName;
use heliostat_pypi::select::NamePattern;
use serde::Deserialize;
use sigstore_tuf::Snapshot;

/// The key of heliostat's own part of signed metadata.
pub(crate) const EXTENSION: &str = "x-heliostat";

/// What absence from the snapshot means.
#[derive(Debug)]
pub(crate) enum Coverage {
    /// The tree has everything that its upstream has.
    Complete,
    /// The tree has everything that these name.
    Selection(Vec<NamePattern>),
    /// The tree has what somebody asked for, or says nothing about itself.
    Partial,
}

#[derive(Deserialize)]
struct Extension {
    coverage: String,
    #[serde(default)]
    selection: Vec<String>,
}

impl Coverage {
    /// What a snapshot says. What cannot be read says nothing.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let extension = snapshot.extra.get(EXTENSION);
        let read = extension.and_then(|value| Extension::deserialize(value).ok());
        match read {
            Some(extension) if extension.coverage == "complete" => Self::Complete,
            Some(extension) if extension.coverage == "selection" => Self::Selection(
                extension
                    .selection
                    .iter()
                    .filter_map(|pattern| pattern.parse().ok())
                    .collect(),
            ),
            _ => Self::Partial,
        }
    }

    /// Whether a name that the snapshot does not have is known not to exist.
    pub(crate) fn is_complete_for(&self, name: &ProjectName) -> bool {
        match self {
            Self::Complete => true,
            Self::Selection(patterns) => patterns.iter().any(|pattern| pattern.matches(name)),
            Self::Partial => false,
        }
    }
}

//! What the signed snapshot says about the tree it stands for: whether a name that it does not have exists nowhere, or
//! is only unknown here. Pure.

use heliostat_pypi::ProjectName;
use heliostat_pypi::select::NamePattern;
use heliostat_trust::metadata::{self, EXTENSION_FIELD, Extent};
use sigstore_tuf::Snapshot;

/// What absence from the snapshot means.
#[derive(Debug)]
pub(crate) enum Coverage {
    /// The tree has everything that its upstream has.
    Complete,
    /// The tree has everything that these name.
    Selection(Vec<NamePattern>),
    /// The tree has what somebody asked for, or says nothing about itself that is understood.
    Partial,
}

impl Coverage {
    /// What a snapshot says. What cannot be read, or is of a later format, says nothing.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let claim = snapshot.extra.get(EXTENSION_FIELD);
        match claim.and_then(metadata::Coverage::from_value) {
            Some(claim) => match claim.extent {
                Extent::Complete => Self::Complete,
                Extent::Selection(words) => Self::Selection(
                    words
                        .iter()
                        .filter_map(|pattern| pattern.parse().ok())
                        .collect(),
                ),
                Extent::LongSelection(_) | Extent::Partial => Self::Partial,
            },
            None => Self::Partial,
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn knows(claim: &Value, name: &str) -> bool {
        let snapshot = json!({
            "_type": "snapshot", "spec_version": "1.0.34", "version": 1, "expires": "2030-01-01T00:00:00Z",
            "meta": {}, EXTENSION_FIELD: claim,
        });
        let snapshot: Snapshot = serde_json::from_value(snapshot).unwrap();
        Coverage::of(&snapshot).is_complete_for(&name.parse().unwrap())
    }

    #[test]
    fn only_what_is_claimed_and_understood_makes_absence_known() {
        let claim = |coverage: &str| json!({"format": 1, "coverage": coverage, "upstream": "https://index.example/simple/"});
        assert!(knows(&claim("complete"), "acme"));
        assert!(!knows(&claim("partial"), "acme"));
        let mut selection = claim("selection");
        selection["selection"] = json!(["acme", "django-*"]);
        assert!(knows(&selection, "acme") && knows(&selection, "django-rest"));
        assert!(!knows(&selection, "beta"));
        // A later format may mean something else by the same word.
        let mut later = claim("complete");
        later["format"] = json!(2);
        assert!(!knows(&later, "acme"));
        assert!(!knows(&json!({"coverage": "complete"}), "acme"));
    }
}

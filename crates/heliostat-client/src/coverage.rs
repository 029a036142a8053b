//! What the signed snapshot says about the tree it stands for: whether a name that it does not have exists nowhere, or
//! is only unknown here. Pure.

use heliostat_pypi::ProjectName;
use heliostat_pypi::select::NamePattern;
use heliostat_trust::metadata::{self, Extent};
use serde_json::Value;

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
    /// What a snapshot says by its field `x-heliostat`. What cannot be read, or is of a later format, says nothing.
    pub(crate) fn of(claim: &Value) -> Self {
        match metadata::Coverage::from_value(claim) {
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
    use serde_json::json;

    use super::*;

    fn knows(claim: &Value, name: &str) -> bool {
        Coverage::of(claim).is_complete_for(&name.parse().unwrap())
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

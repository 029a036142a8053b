//! PyPI's change counter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// PyPI's change counter: grows with every change, but is not committed in order upstream, so one number never
/// proves that everything below it has been seen.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Serial(pub u64);

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! The prober: looks at the mirrors of a list as installers do, and says what it saw.
//!
//! Owns its own connections, because it has to see what clients hide: each address behind a name, the certificate, every
//! redirect and every header. Believes nothing that it can look up; what is right comes from a [`Reference`]. Decides
//! nothing: what follows from a round is `heliostat_directory`'s business. Writes no files.

mod agents;
mod certificates;
mod checks;
mod error;
mod evidence;
mod line;
mod look;
mod memory;
mod names;
mod notes;
mod options;
mod reference;
mod reply;
mod round;
mod trouble;
mod vantages;
mod walk;

pub use error::ProbeError;
pub use evidence::Evidence;
pub use memory::Memory;
pub use options::{Limits, ProberOptions, Target};
pub use reference::Reference;
pub use round::{Probed, Prober};
pub use vantages::compare_vantages;

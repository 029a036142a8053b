//! The last months of an old name: what it answers, when it is dark for practice, when it is off, and who is told
//! when. Pure: the map and the clock in, answers, windows and notices out.

mod answer;
mod notice;
#[cfg(test)]
mod tests;
mod timeline;
mod traffic;

pub use answer::{Answer, Asked, Method, answer, host_of};
pub use notice::{Notice, ics, notices, text};
pub use timeline::{Phase, Stay, Step, StepKind, Timeline, TimelinePlan};
pub use traffic::{AddressPolicy, PathClass, Traffic, Visit, roll_up, traffic_text};

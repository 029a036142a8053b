//! The last months of an old name: what it answers, when it is dark for practice, when it is off, and who is told
//! when. Pure: the map and the clock in, answers, windows and notices out.

mod answer;
mod notice;
mod page;
mod standing;
#[cfg(test)]
mod tests;
mod timeline;
mod told;
mod traffic;

pub use answer::{Answer, Asked, Method, answer, host_of};
pub use notice::{Notice, ics, notices, text};
pub use page::{notices_html, traffic_html};
pub use standing::{Standing, standing};
pub use timeline::{Phase, Stay, Step, StepKind, Timeline, TimelinePlan};
pub use told::Told;
pub use traffic::{AddressPolicy, PathClass, RollUp, Traffic, Visit, day, traffic_text};

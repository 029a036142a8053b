//! What is looked at, a group of checks in each file, in the order in which it costs.

mod addresses;
mod alive;
mod compare;
mod installers;
mod manners;
mod receipt;
mod samples;
mod serial;
mod signed;
mod withdrawn;

use heliostat_directory::Check;

pub(crate) use addresses::compare_addresses;
pub(crate) use alive::CANARY;
pub(crate) use receipt::{judge_receipt, proof, states};

use crate::look::is_due;
use crate::reference::Reference;
use crate::trouble::Trouble;
use crate::walk::Visit;

/// Makes every check that is due. An error means that this address does not work; what is merely wrong is noted.
pub(crate) async fn all(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    let class = visit.options.class;
    alive::check(visit, reference).await?;
    receipt::check(visit).await?;
    alive::last_modified(visit).await?;
    if is_due(Check::Signed, class) {
        signed::check(visit, reference).await?;
    }
    serial::check(visit, reference).await?;
    if is_due(Check::SampleIndex, class) {
        installers::check(visit, reference).await?;
        manners::missing_page(visit).await?;
        samples::check(visit, reference).await?;
        withdrawn::check(visit, reference).await?;
    }
    if is_due(Check::Negotiation, class) {
        manners::check(visit, reference).await?;
    }
    Ok(())
}

/// Goes on after what only costs knowledge; a connection that fails ends the visit.
pub(crate) fn passable<T>(asked: Result<T, Trouble>) -> Result<Result<T, Trouble>, Trouble> {
    match asked {
        Err(trouble @ (Trouble::Connect(_) | Trouble::NoRoute | Trouble::Tls(_))) => Err(trouble),
        other => Ok(other),
    }
}

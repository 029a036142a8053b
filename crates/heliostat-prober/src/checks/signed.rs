//! What a mirror carries of the notary's signed state, and its pages against that, byte for byte.
//!
//! A page that is neither the newest that is signed nor the one that the mirror's own, older state signs was made by
//! somebody else. One that is newer than anything signed may be on its way into the next signed state, and gets an hour.

use heliostat_client::{CarriedFile, CarriedPage, SignedPage};
use heliostat_directory::{Check, Gate, Layout};
use heliostat_pypi::page::{MediaType, ProjectPage};
use heliostat_pypi::{ProjectName, Sha256};
use http::StatusCode;
use serde_json::json;

use super::compare::listed;
use super::passable;
use crate::agents::Agent;
use crate::evidence;
use crate::line::Ask;
use crate::reference::Reference;
use crate::reply::Reply;
use crate::trouble::Trouble;
use crate::walk::{Freshness, Visit};

/// How long a page may be newer than what is signed.
const UNSIGNED_SECONDS_MAX: i64 = 3600;

/// A page as a mirror gave it.
struct Shown {
    sha256: Sha256,
    page: ProjectPage,
    reply: Reply,
}

/// Begins to look at the signed state that the mirror carries. A mirror need not carry one.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    visit.carried = None;
    let Some(mut carried) = reference.carried().await else {
        return Ok(());
    };
    let file = carried.timestamp_file();
    let Some(reply) = document(visit, &file).await? else {
        return Ok(());
    };
    let address = Some(visit.address());
    if reply.status != StatusCode::OK || !reply.whole {
        if visit.target.layout == Layout::Heliostat {
            let text =
                "carries no signed state, so that clients can take nothing from it that is proved";
            visit.notes.note(Check::Signed, address, text);
        }
        return Ok(());
    }
    let canary = reference.canary(super::CANARY);
    if let Err(reason) = carried.take(canary, &reply.body) {
        let text = format!("its signed state is refused: {reason}");
        visit.notes.warn(Check::Signed, address, text);
        return Ok(());
    }
    if let Some((version, expires)) = carried.timestamp()
        && expires.as_second() <= visit.now
    {
        let text = format!("its signed state ended at {expires}, with timestamp {version}");
        visit.notes.warn(Check::Signed, address, text);
    }
    if let (Some(theirs), Some(newest)) = carried.snapshots()
        && theirs < newest
    {
        let text = format!("is at the signed snapshot {theirs}, and the newest is {newest}");
        visit.notes.note(Check::Signed, address, text);
    }
    visit.carried = Some(carried);
    Ok(())
}

/// Holds a page against the newest signed one and the one that the mirror's own state signs.
pub(super) async fn page(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    right: &SignedPage,
    (reply, agent): (&Reply, &Agent),
) -> Result<(), Trouble> {
    let project = &right.page.name;
    let Some(shown) = shown(visit, project, reply) else {
        return Ok(());
    };
    if is_signed(visit, &shown, right).await? {
        return Ok(());
    }
    // It may have been replaced in between, on the way or there.
    let Ok(again) = passable(visit.page(project, agent, Freshness::NoCache).await)? else {
        return Ok(());
    };
    let Some(shown) = self::shown(visit, project, &again) else {
        return Ok(());
    };
    check(visit, reference).await?;
    if is_signed(visit, &shown, right).await? {
        return Ok(());
    }
    forged(visit, reference, right, (&shown, agent)).await
}

/// A page in the form that is signed, from a mirror that carries a signed state.
fn shown(visit: &Visit<'_, '_>, project: &ProjectName, reply: &Reply) -> Option<Shown> {
    let max = visit.options.limits.page_bytes_max;
    visit.carried.as_ref()?;
    if reply.status != StatusCode::OK || reply.media() != Some(MediaType::Json) {
        return None;
    }
    Some(Shown {
        sha256: Sha256::of(&reply.plain(max).ok()?),
        page: reply.page(project, max).ok()?,
        reply: reply.clone(),
    })
}

/// Whether somebody signed it. What cannot be found out counts as yes: it is no proof.
async fn is_signed(
    visit: &mut Visit<'_, '_>,
    shown: &Shown,
    right: &SignedPage,
) -> Result<bool, Trouble> {
    if shown.sha256 == right.sha256 {
        return Ok(true);
    }
    let own = own_page(visit, &right.page.name).await?;
    Ok(own.is_none_or(|own| own == shown.sha256))
}

/// The digest of a page by the mirror's own signed state.
async fn own_page(
    visit: &mut Visit<'_, '_>,
    project: &ProjectName,
) -> Result<Option<Sha256>, Trouble> {
    let Some(mut carried) = visit.carried.take() else {
        return Ok(None);
    };
    let address = Some(visit.address());
    loop {
        let file = match carried.page(project) {
            Ok(CarriedPage::Need(file)) => file,
            Ok(CarriedPage::Signed(sha256)) => {
                visit.carried = Some(carried);
                return Ok(Some(sha256));
            }
            Ok(CarriedPage::Absent) => {
                visit.carried = Some(carried);
                return Ok(None);
            }
            Err(reason) => {
                let text = format!("its signed state cannot be used: {reason}");
                visit.notes.warn(Check::Signed, address, text);
                return Ok(None);
            }
        };
        let Some(reply) = document(visit, &file).await? else {
            return Ok(None);
        };
        if reply.status != StatusCode::OK || !reply.whole {
            let (status, path) = (reply.status.as_u16(), &file.path);
            let text = format!("answers {status} for `{path}`, which its signed state names");
            visit.notes.warn(Check::Signed, address, text);
            return Ok(None);
        }
        if let Err(reason) = carried.take(project, &reply.body) {
            let text = format!("`{}` is refused: {reason}", file.path);
            visit.notes.warn(Check::Signed, address, text);
            return Ok(None);
        }
    }
}

/// A page that nobody signed.
async fn forged(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    right: &SignedPage,
    (shown, agent): (&Shown, &Agent),
) -> Result<(), Trouble> {
    let project = &right.page.name;
    let address = Some(visit.address());
    if listed(&shown.page) == listed(&right.page) {
        let text =
            format!("the page of `{project}` says the same as the signed one in other bytes");
        visit.warn_of(Check::Signed, project, text);
        return Ok(());
    }
    let newer = shown.page.serial > right.page.serial;
    let since = visit.notes.since(Check::Signed, address);
    if newer && visit.now - since <= UNSIGNED_SECONDS_MAX {
        let text = format!("the page of `{project}` is newer than any that is signed");
        visit.warn_of(Check::Signed, project, text);
        return Ok(());
    }
    let own = own_page(visit, project).await?;
    let carried = visit.carried.as_ref();
    let mut files = carried.map_or_else(Vec::new, |carried| carried.documents().to_vec());
    if files.len() < 2 {
        files = reference.proof(project).await;
    }
    let expected = json!({
        "sha256": right.sha256.to_hex(),
        "own-sha256": own.map(Sha256::to_hex),
        "found-sha256": shown.sha256.to_hex(),
        "signed": evidence::signed(right, &files),
    });
    let text = format!("the page of `{project}` is not the signed one");
    visit.seen.intact.n += 1;
    let kind = (Check::Signed, Gate::Integrity);
    visit.prove(kind, text, (&shown.reply, agent.header), expected);
    visit.notes.about(project);
    Ok(())
}

/// A file of the signed state; `None` where no answer came.
async fn document(visit: &mut Visit<'_, '_>, file: &CarriedFile) -> Result<Option<Reply>, Trouble> {
    let Ok(url) = visit.target.base.join(&file.path) else {
        return Ok(None);
    };
    let limit = usize::try_from(file.limit_bytes).unwrap_or(usize::MAX);
    let ask = Ask::get(&url, &visit.options.user_agent, limit);
    Ok(passable(visit.follow(ask).await)?.ok())
}

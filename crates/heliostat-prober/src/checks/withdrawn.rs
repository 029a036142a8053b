//! Files that upstream took away and that no page names any more: whether a mirror, or a cache before it, still has them.

use std::collections::BTreeSet;

use heliostat_directory::{Check, Gate};
use heliostat_pypi::page::StatusKind;
use heliostat_pypi::{ProjectName, Sha256};
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use serde_json::json;
use url::Url;

use super::passable;
use super::samples::{DELETIONS_SECONDS_MAX, signed_proof};
use crate::agents::PIP;
use crate::line::Ask;
use crate::memory::Withdrawn;
use crate::reference::{Reference, Right};
use crate::reply::Reply;
use crate::trouble::Trouble;
use crate::walk::Visit;

/// Asks for some of what is known to be withdrawn, first of projects that had something wrong before.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    let mut known = reference.withdrawn_for(&visit.target.endpoint);
    visit.random.shuffle(&mut known);
    let before: BTreeSet<ProjectName> = visit
        .notes
        .projects_before([Check::Deletions])
        .into_iter()
        .collect();
    known.sort_by_key(|one| !before.contains(&one.project));
    let mut left = visit.options.limits.withdrawn;
    for one in known {
        if left == 0 {
            return Ok(());
        }
        let Some(url) = address(visit, &one) else {
            continue;
        };
        if !is_withdrawn(reference, &one).await {
            continue;
        }
        left -= 1;
        look(visit, reference, &one, &url).await?;
    }
    Ok(())
}

/// Where this mirror has the file, if it does.
fn address(visit: &Visit<'_, '_>, one: &Withdrawn) -> Option<Url> {
    let url = match &one.offered {
        Some(offered) => offered.url.parse().ok()?,
        None => visit.target.base.join(&one.path.to_string()).ok()?,
    };
    visit.line.leads_to(&url).then_some(url)
}

/// Upstream may have brought it back.
async fn is_withdrawn(reference: &Reference, one: &Withdrawn) -> bool {
    match reference.right(&one.project).await {
        Right::Gone => true,
        Right::Page(right) => {
            let page = right.page();
            let mut files = page.files.iter();
            page.status.kind != StatusKind::Quarantined
                && !files.any(|file| file.path.filename() == one.path.filename())
        }
        Right::Unknown => false,
    }
}

async fn look(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    one: &Withdrawn,
    url: &Url,
) -> Result<(), Trouble> {
    // As an installer asks, for it is the caches on the way that matter. A file that is not fetched whole is told by its size.
    let limit = visit.options.limits.file_bytes_max;
    let is_small = one.size_bytes.is_some_and(|size| size <= limit as u64);
    let mut ask = Ask::get(url, PIP.header, limit + 1);
    if !is_small {
        ask.method = Method::HEAD;
    }
    let Ok(reply) = passable(visit.follow(ask).await)? else {
        return Ok(());
    };
    let project = &one.project;
    if !is_it(&reply, one, is_small) {
        return Ok(());
    }
    let filename = one.path.filename();
    let text = format!("still serves `{filename}` of `{project}`, which upstream took away");
    if visit.now - one.since <= DELETIONS_SECONDS_MAX {
        visit.warn_of(Check::Deletions, project, text);
        return Ok(());
    }
    let text = format!("{text} more than a day ago");
    let expected = json!({
        "filename": filename,
        "sha256": one.sha256.map(Sha256::to_hex),
        "size-bytes": one.size_bytes,
        "withdrawn-since": one.since,
        "signed": signed_proof(reference, project).await,
    });
    let kind = (Check::Deletions, Gate::Deletions);
    visit.prove(kind, text, (&reply, PIP.header), expected);
    visit.notes.about(project);
    Ok(())
}

/// Whether this is the file, and no page for people that says it is gone.
fn is_it(reply: &Reply, one: &Withdrawn, is_small: bool) -> bool {
    if reply.status != StatusCode::OK {
        return false;
    }
    if is_small {
        return reply.whole
            && match one.sha256 {
                Some(sha256) => Sha256::of(&reply.body) == sha256,
                None => one.size_bytes == Some(reply.body.len() as u64) && !reply.is_html(),
            };
    }
    let length = reply.header(&CONTENT_LENGTH);
    let length = length.and_then(|text| text.trim().parse::<u64>().ok());
    one.size_bytes.is_some() && length == one.size_bytes && !reply.is_html()
}

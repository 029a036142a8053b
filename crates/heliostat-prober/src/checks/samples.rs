//! Pages and files against what is right, in samples that a mirror cannot foresee.

use std::collections::BTreeSet;

use heliostat_directory::{Check, Class, Coverage, Gate};
use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage};
use heliostat_pypi::{ProjectName, Sha256};
use http::StatusCode;
use http::header::{CACHE_CONTROL, RANGE};
use serde_json::json;
use url::Url;

use super::compare::{Differences, uploaded};
use super::{manners, passable, signed};
use crate::agents::{Agent, PIP, UV};
use crate::evidence;
use crate::line::Ask;
use crate::reference::{Reference, Right, RightPage};
use crate::reply::Reply;
use crate::trouble::Trouble;
use crate::walk::{Freshness, Visit};

/// A file that is younger may be on its way; how late a mirror is, is told by its lag.
const YOUNG_SECONDS: i64 = 6 * 3600;
/// What was deleted or yanked must be so here within this.
pub(super) const DELETIONS_SECONDS_MAX: i64 = 24 * 3600;
/// Files on a page that is worth its bytes in a sample.
const FILES_MAX: usize = 1500;
/// Bytes from which a speed can be told.
const GOODPUT_BYTES_MIN: usize = 65_536;
/// The largest core metadata or provenance that is fetched.
const DOCUMENT_BYTES_MAX: usize = 256_000;

/// What a page showed of the last change of its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is there.
    Visible,
    /// It is not; when it was made, where that is known.
    Lacking(Option<i64>),
    /// Nothing.
    Unknown,
}

/// A file that a page offers, with what it must be.
#[derive(Debug, Clone)]
struct Wanted {
    project: ProjectName,
    right: PageFile,
    sha256: Sha256,
    url: Url,
    /// Whether the mirror offers its core metadata.
    offers_metadata: bool,
    /// Where the mirror offers its provenance, where the right page names the digest.
    provenance: Option<(Url, Sha256)>,
}

/// Draws pages and files, and looks at them.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    let mut wanted = Vec::new();
    for project in drawn(visit, reference) {
        let Right::Page(right) = reference.right(&project).await else {
            judge(visit, reference, &project, &mut wanted).await?;
            continue;
        };
        if right.page().files.len() <= FILES_MAX {
            judge(visit, reference, &project, &mut wanted).await?;
        }
    }
    visit.random.shuffle(&mut wanted);
    wanted.truncate(visit.options.limits.files);
    for (index, file) in wanted.iter().enumerate() {
        let whole = whole_file(visit, reference, file).await?;
        metadata(visit, reference, file).await?;
        provenance(visit, reference, file).await?;
        if let Some(whole) = whole
            && index == 0
            && visit.options.class == Class::Daily
        {
            manners::ranges(visit, (&file.url, &whole)).await?;
        }
    }
    Ok(())
}

/// Projects of the last hours' changes, of all, and those that had something wrong before.
fn drawn(visit: &mut Visit<'_, '_>, reference: &Reference) -> BTreeSet<ProjectName> {
    let limits = &visit.options.limits;
    let before = visit
        .notes
        .projects_before([Check::Deletions, Check::SampleIndex]);
    let mut drawn: BTreeSet<ProjectName> = before.into_iter().take(limits.pages / 4).collect();
    let recent = reference.changes();
    let recent = &recent[limits.changes.min(recent.len())..recent.len().min(500)];
    let all = reference.projects();
    // Draws that meet the same project twice are not repeated: a small index has no more.
    for index in 0..limits.pages.saturating_sub(drawn.len()) {
        if index % 4 == 0 && !recent.is_empty() {
            drawn.insert(recent[visit.random.usize(..recent.len())].1.clone());
        } else {
            drawn.insert(all[visit.random.usize(..all.len())].clone());
        }
    }
    drawn
}

/// Looks at one project's page.
pub(super) async fn look_at(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    project: &ProjectName,
) -> Result<Judged, Trouble> {
    judge(visit, reference, project, &mut Vec::new()).await
}

async fn judge(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    project: &ProjectName,
    wanted: &mut Vec<Wanted>,
) -> Result<Judged, Trouble> {
    let right = match reference.right(project).await {
        Right::Page(right) => right,
        Right::Gone => return gone(visit, reference, project).await,
        Right::Unknown => return Ok(Judged::Unknown),
    };
    let agent = if visit.random.bool() { PIP } else { UV };
    let reply = match passable(visit.page(project, &agent, Freshness::Any).await)? {
        Ok(reply) => reply,
        Err(Trouble::Budget | Trouble::Redirect(_)) => return Ok(Judged::Unknown),
        Err(trouble) => {
            visit.seen.present.n += 1;
            let text = format!("the page of `{project}`: {trouble}");
            visit.warn_of(Check::SampleIndex, project, text);
            return Ok(Judged::Unknown);
        }
    };
    visit.notes.judged(project);
    let oldest = right.page().files.iter().filter_map(uploaded).min();
    match reply.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            if visit.target.coverage == Coverage::Subset {
                return Ok(Judged::Unknown);
            }
            if oldest.is_none_or(|oldest| oldest < visit.now - YOUNG_SECONDS) {
                visit.seen.present.n += 1;
                visit.warn_of(
                    Check::SampleIndex,
                    project,
                    format!("has no page of `{project}`"),
                );
            }
            return Ok(Judged::Lacking(oldest));
        }
        status => {
            visit.seen.present.n += 1;
            let text = format!("answers {} for the page of `{project}`", status.as_u16());
            visit.warn_of(Check::SampleIndex, project, text);
            return Ok(Judged::Unknown);
        }
    }
    visit.seen.present.n += 1;
    let theirs = match reply.page(project, visit.options.limits.page_bytes_max) {
        Ok(theirs) => theirs,
        Err(fault) => {
            visit.warn_of(
                Check::SampleIndex,
                project,
                format!("the page of `{project}` {fault}"),
            );
            return Ok(Judged::Unknown);
        }
    };
    let judged = compared(visit, reference, (&right, &theirs), (&reply, &agent)).await?;
    wanted.extend(offered(
        right.page(),
        &theirs,
        visit.options.limits.file_bytes_max,
    ));
    Ok(judged)
}

async fn compared(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    (right, theirs): (&RightPage, &ProjectPage),
    (reply, agent): (&Reply, &Agent),
) -> Result<Judged, Trouble> {
    let (signed, right) = (right.signed(), right.page());
    let project = &right.name;
    let found = Differences::of(right, theirs);
    let old = |file: &&PageFile| uploaded(file).is_none_or(|at| at < visit.now - YOUNG_SECONDS);
    let missing = found.missing.iter().copied().find(|file| old(file));
    if let Some(missing) = missing.filter(|_| visit.target.coverage == Coverage::Full) {
        let text = format!(
            "the page of `{project}` lacks `{}`",
            missing.path.filename()
        );
        visit.warn_of(Check::SampleIndex, project, text);
    } else {
        visit.seen.present.ok += 1;
    }
    if found.no_metadata > 0 {
        let text = "its pages do not offer core metadata that there is";
        let address = Some(visit.address());
        visit.notes.note(Check::SampleIndex, address, text);
    }
    if let Some(file) = found.extra.first() {
        reference.offered((project, file), &visit.target.endpoint, visit.now);
    }
    deletions(visit, reference, (project, &found), (reply, agent)).await;
    if found.hashed > 0 {
        visit.seen.intact.n += 1;
        if found.altered.is_empty() {
            visit.seen.intact.ok += 1;
        } else {
            altered(visit, reference, right, agent).await?;
        }
    }
    if let Some(signed) = signed.filter(|_| found.altered.is_empty()) {
        signed::page(visit, reference, signed, (reply, agent)).await?;
    }
    let found = match visit.target.coverage {
        Coverage::Full => found,
        Coverage::Subset => match found.without_left_out(right) {
            Some(found) => found,
            None => return Ok(Judged::Unknown),
        },
    };
    Ok(if found.is_up_to_date() {
        Judged::Visible
    } else {
        Judged::Lacking(found.oldest_missing())
    })
}

/// Files that a page offers and that may be fetched whole.
fn offered<'p>(
    right: &'p ProjectPage,
    theirs: &'p ProjectPage,
    size_bytes_max: usize,
) -> impl Iterator<Item = Wanted> + 'p {
    right.files.iter().filter_map(move |file| {
        let small = file
            .size_bytes
            .is_some_and(|size| size <= size_bytes_max as u64);
        let same = |other: &&PageFile| other.path.filename() == file.path.filename();
        let other = theirs.files.iter().find(same).filter(|_| small)?;
        let provenance = other.provenance.as_deref().and_then(|url| url.parse().ok());
        Some(Wanted {
            project: right.name.clone(),
            right: file.clone(),
            sha256: file.sha256?,
            url: other.url.parse().ok()?,
            offers_metadata: !other.core_metadata.is_absent(),
            provenance: provenance.zip(file.provenance_sha256),
        })
    })
}

/// A page that names wrong digests is asked for again, past every cache, before it is called a lie.
async fn altered(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    right: &ProjectPage,
    agent: &Agent,
) -> Result<(), Trouble> {
    let asked = visit.page(&right.name, agent, Freshness::NoCache).await;
    let Ok(reply) = passable(asked)? else {
        return Ok(());
    };
    let Ok(theirs) = reply.page(&right.name, visit.options.limits.page_bytes_max) else {
        return Ok(());
    };
    let found = Differences::of(right, &theirs);
    let Some((file, claimed)) = found.altered.first() else {
        let text = format!(
            "the page of `{}` named a wrong digest, and then the right one",
            right.name
        );
        visit.warn_of(Check::SampleIndex, &right.name, text);
        return Ok(());
    };
    let filename = file.path.filename();
    let text = format!(
        "the page of `{}` names a wrong digest for `{filename}`",
        right.name
    );
    let expected = json!({
        "filename": filename,
        "sha256": file.sha256.map(Sha256::to_hex),
        "found-sha256": claimed.to_hex(),
        "signed": signed_proof(reference, &right.name).await,
    });
    let kind = (Check::SampleIndex, Gate::Integrity);
    visit.prove(kind, text, (&reply, agent.header), expected);
    Ok(())
}

/// What is signed of the page of a project, where the reference is.
pub(super) async fn signed_proof(
    reference: &Reference,
    project: &ProjectName,
) -> Option<serde_json::Value> {
    let Right::Page(right) = reference.right(project).await else {
        return None;
    };
    let files = reference.proof(project).await;
    Some(evidence::signed(right.signed()?, &files))
}

/// What upstream took away or yanked must be so here, after a day.
async fn deletions(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    (project, found): (&ProjectName, &Differences<'_>),
    asked: (&Reply, &Agent),
) {
    let (text, filename) = if let Some(file) = found.extra.first() {
        let filename = file.path.filename();
        let text =
            format!("the page of `{project}` offers `{filename}`, which is not there upstream");
        (text, filename)
    } else if let Some(file) = found.not_yanked.first() {
        let filename = file.path.filename();
        let text = format!("the page of `{project}` does not say that `{filename}` is yanked");
        (text, filename)
    } else {
        return;
    };
    undeleted(visit, reference, (project, text, Some(filename)), asked).await;
}

async fn undeleted(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    (project, text, filename): (&ProjectName, String, Option<&str>),
    (reply, agent): (&Reply, &Agent),
) {
    let since = visit
        .notes
        .since(Check::Deletions, Some(visit.line.address()));
    if visit.now - since <= DELETIONS_SECONDS_MAX {
        visit.warn_of(Check::Deletions, project, text);
        return;
    }
    let expected = json!({
        "filename": filename,
        "since": since,
        "signed": signed_proof(reference, project).await,
    });
    let text = format!("{text}, for more than a day");
    let kind = (Check::Deletions, Gate::Deletions);
    visit.prove(kind, text, (reply, agent.header), expected);
    visit.notes.about(project);
}

/// A project that is gone upstream.
async fn gone(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    project: &ProjectName,
) -> Result<Judged, Trouble> {
    let Ok(reply) = passable(visit.page(project, &PIP, Freshness::Any).await)? else {
        return Ok(Judged::Unknown);
    };
    let page = reply.page(project, visit.options.limits.page_bytes_max);
    let offers = reply.status == StatusCode::OK && page.is_ok_and(|page| !page.files.is_empty());
    if offers {
        let text = format!("has a page of `{project}`, which is gone upstream");
        undeleted(visit, reference, (project, text, None), (&reply, &PIP)).await;
        return Ok(Judged::Lacking(None));
    }
    Ok(Judged::Visible)
}

/// Fetches a file and hashes it; gives its bytes where they are right.
async fn whole_file(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    file: &Wanted,
) -> Result<Option<Vec<u8>>, Trouble> {
    let filename = file.right.path.filename();
    if !visit.line.leads_to(&file.url) {
        let host = file.url.host_str().unwrap_or_default().to_owned();
        if !visit.target.hosts.contains(&host) {
            visit.seen.present.n += 1;
            let text = format!("its pages lead to `{host}` for files");
            visit.notes.warn(Check::SampleFile, None, text);
        }
        return Ok(None);
    }
    let limit = visit.options.limits.file_bytes_max;
    let ask = Ask::get(&file.url, PIP.header, limit + 1);
    let reply = match passable(visit.follow(ask.clone()).await)? {
        Ok(reply) => reply,
        Err(Trouble::Budget) => return Ok(None),
        Err(trouble) => {
            visit.seen.present.n += 1;
            let text = format!("`{filename}`: {trouble}");
            visit
                .notes
                .warn(Check::SampleFile, Some(visit.line.address()), text);
            return Ok(None);
        }
    };
    visit.seen.present.n += 1;
    let address = Some(visit.line.address());
    if reply.status != StatusCode::OK || !reply.whole {
        let text = if reply.status == StatusCode::OK {
            format!("`{filename}` ends before its end")
        } else {
            format!("answers {} for `{filename}`", reply.status.as_u16())
        };
        visit.notes.warn(Check::SampleFile, address, text);
        return Ok(None);
    }
    goodput(visit, &reply);
    if Sha256::of(&reply.body) == file.sha256 {
        visit.seen.present.ok += 1;
        visit.seen.intact = visit
            .seen
            .intact
            .plus(heliostat_directory::Count { ok: 1, n: 1 });
        return Ok(Some(reply.body.to_vec()));
    }
    if reply.is_html() {
        let text = format!("answers with a page for people instead of `{filename}`");
        visit.notes.warn(Check::SampleFile, address, text);
        return Ok(None);
    }
    visit.seen.present.ok += 1;
    visit.seen.intact.n += 1;
    wrong_file(visit, reference, file, &ask).await?;
    Ok(None)
}

/// A file of wrong bytes is asked for again, past every cache, before it is called tampered with.
async fn wrong_file(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    file: &Wanted,
    ask: &Ask,
) -> Result<(), Trouble> {
    let filename = file.right.path.filename();
    let again = ask.clone().with(CACHE_CONTROL, "no-cache");
    let Ok(reply) = passable(visit.follow(again).await)? else {
        return Ok(());
    };
    let found = Sha256::of(&reply.body);
    if reply.status != StatusCode::OK || !reply.whole || found == file.sha256 {
        let text = format!("`{filename}` came with wrong bytes, and then with right ones");
        visit
            .notes
            .warn(Check::SampleFile, Some(visit.line.address()), text);
        return Ok(());
    }
    let text = format!("`{filename}` has wrong bytes");
    let expected = json!({
        "filename": filename,
        "sha256": file.sha256.to_hex(),
        "size-bytes": file.right.size_bytes,
        "signed": signed_proof(reference, &file.project).await,
    });
    let kind = (Check::SampleFile, Gate::Integrity);
    visit.prove(kind, text, (&reply, PIP.header), expected);
    Ok(())
}

fn goodput(visit: &mut Visit<'_, '_>, reply: &Reply) {
    let spent = reply.took.saturating_sub(reply.first_byte);
    let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX).max(1);
    if reply.body.len() >= GOODPUT_BYTES_MIN {
        let speed = (reply.body.len() as u64).saturating_mul(1_000_000) / micros;
        let best = visit.seen.goodput_bytes_per_second.max(Some(speed));
        visit.seen.goodput_bytes_per_second = best;
    }
}

/// `<file>.metadata`, where the right page names its digest.
async fn metadata(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    file: &Wanted,
) -> Result<(), Trouble> {
    let CoreMetadata::Sha256(sha256) = file.right.core_metadata else {
        return Ok(());
    };
    // A mirror whose pages do not offer it, as bandersnatch's, costs installers time and nothing else.
    if !file.offers_metadata {
        return Ok(());
    }
    let mut url = file.url.clone();
    url.set_fragment(None);
    url.set_path(&format!("{}.metadata", file.url.path()));
    beside(visit, reference, file, (&url, sha256, "metadata")).await
}

/// The provenance, where the right page names its digest and the mirror offers it.
async fn provenance(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    file: &Wanted,
) -> Result<(), Trouble> {
    let Some((url, sha256)) = file.provenance.clone() else {
        return Ok(());
    };
    beside(visit, reference, file, (&url, sha256, "provenance")).await
}

/// A document that stands beside a file.
async fn beside(
    visit: &mut Visit<'_, '_>,
    reference: &Reference,
    file: &Wanted,
    (url, sha256, what): (&Url, Sha256, &str),
) -> Result<(), Trouble> {
    if !visit.line.leads_to(url) {
        return Ok(());
    }
    let ask = Ask::get(url, UV.header, DOCUMENT_BYTES_MAX);
    let Ok(mut reply) = passable(visit.follow(ask.clone()).await)? else {
        return Ok(());
    };
    let name = format!("{}.{what}", file.right.path.filename());
    let address = Some(visit.line.address());
    visit.seen.present.n += 1;
    if Sha256::of(&reply.body) != sha256 {
        let again = ask.with(CACHE_CONTROL, "no-cache");
        if let Ok(again) = passable(visit.follow(again).await)? {
            reply = again;
        }
    }
    if reply.status != StatusCode::OK || !reply.whole || reply.is_html() {
        let text = format!(
            "answers {} for `{name}`, and not with it",
            reply.status.as_u16()
        );
        visit.notes.warn(Check::SampleFile, address, text);
        return Ok(());
    }
    visit.seen.present.ok += 1;
    visit.seen.intact.n += 1;
    if Sha256::of(&reply.body) == sha256 {
        visit.seen.intact.ok += 1;
        return Ok(());
    }
    let expected = json!({
        "filename": name,
        "sha256": sha256.to_hex(),
        "signed": signed_proof(reference, &file.project).await,
    });
    let kind = (Check::SampleFile, Gate::Integrity);
    let text = format!("`{name}` has wrong bytes");
    visit.prove(kind, text, (&reply, UV.header), expected);
    Ok(())
}

/// Asks for a part of a file.
pub(super) fn part(url: &Url, (from, to): (usize, usize)) -> Ask {
    Ask::get(url, PIP.header, to - from + 2).with(RANGE, &format!("bytes={from}-{to}"))
}

//! The same check over HTTP: a running mirror, of which nothing is believed. Asked with bounded concurrency, and read no
//! further than what is signed is long.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use heliostat_pypi::page::{ProjectPage, read_signed};
use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::{Expected, document_places};
use heliostat_trust::check::{Check, ProblemKind, Wanted};
use heliostat_trust::metadata::TargetFile;
use heliostat_upstream::{
    Answer, Caches, Download, DownloadError, FailureKind, FileRequest, Upstream, UpstreamError,
};
use sha2::Digest as _;
use url::Url;

use super::derived::{self, LISTS, Source};
use super::finding::Teller;
use super::parts::{Draw, Part, parts};
use super::{Doubts, Finding, FindingKind, NAMED, NOT_SIGNED, NOT_THERE, State, TreeCheck};
use super::{TreeReport, consistent, holds_all, of, page_of, project_of};
use crate::error::EngineError;

/// So many things in a row that a mirror does not give end the check: it is down, and the rest would say so as well.
const UNANSWERED_MAX: u32 = 16;
/// Pages whose files are looked at together.
const PAGES_TOGETHER: usize = 200;
/// The longest `.metadata` or provenance document, in bytes: their digests are signed, their lengths are not.
const BESIDE_BYTES_MAX: u64 = 32_000_000;

/// Checks the mirror at the upstream's root, where `simple/` and `tuf/` are found, and tells every finding as it is met.
/// As many requests are under way at once as the upstream's limits allow. A mirror that gives no metadata at all, or
/// stops to give anything, is an error.
pub async fn check_mirror(
    mirror: &Upstream,
    what: &TreeCheck<'_>,
    tell: impl FnMut(&Finding),
) -> Result<TreeReport, EngineError> {
    let remote = Remote {
        mirror,
        what,
        at_once: mirror.limits().requests_max.max(1),
    };
    let mut teller = Teller {
        report: TreeReport::default(),
        tell,
    };
    let state = remote.state().await?;
    for problem in &state.metadata.problems {
        teller.find(&Finding::from(problem));
    }
    let pages = state
        .targets
        .keys()
        .filter(|path| project_of(path).is_some());
    teller.report.pages = pages.count() as u64;
    let mut doubts = Doubts::new();
    remote.content(&state, &mut teller, &mut doubts).await?;
    remote.rest(&state, doubts, &mut teller).await?;
    Ok(teller.report)
}

struct Remote<'a> {
    mirror: &'a Upstream,
    what: &'a TreeCheck<'a>,
    at_once: usize,
}

/// What came of looking at one thing.
enum Seen {
    Found(Finding),
    /// Nothing is known of it.
    Unanswered(String, UpstreamError),
    Page {
        doubts: Option<(ProjectName, Vec<Finding>)>,
        parts: Vec<Part>,
    },
    File {
        size_bytes: u64,
    },
    Absent,
}

impl Seen {
    fn is_about(&self, path: &str) -> bool {
        match self {
            Self::Found(finding) => finding.path == path,
            Self::Unanswered(unanswered, _) => unanswered == path,
            _ => false,
        }
    }
}

impl Remote<'_> {
    /// Reads all metadata. Where the mirror does not give it, nothing can be said of the rest.
    async fn state(&self) -> Result<State, EngineError> {
        let mut check = self.what.begin()?;
        let mut ahead: BTreeMap<String, Fetched> = BTreeMap::new();
        let mut timestamp = None;
        let mut targets = BTreeMap::new();
        while let Some(wanted) = check.wanted() {
            if !ahead.contains_key(&wanted.file) {
                ahead = self.metadata_ahead(&check).await;
            }
            let fetched = if let Some(fetched) = ahead.remove(&wanted.file) {
                fetched
            } else {
                let path = format!("tuf/{}", wanted.file);
                self.get(&path, wanted.max_bytes).await
            };
            match fetched {
                Ok(bytes) => {
                    check.take(bytes.as_deref());
                    if wanted.file == "timestamp.json" {
                        timestamp = bytes;
                    }
                }
                Err(error) if error.kind() == FailureKind::Unfit => {
                    check.refuse(ProblemKind::Invalid, &error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
            targets.extend(check.take_targets());
        }
        Ok(State::new(timestamp, targets, check.finish()))
    }

    /// The next metadata files that the check is going to want.
    async fn metadata_ahead(&self, check: &Check) -> BTreeMap<String, Fetched> {
        let wanted = check.wanted_ahead(self.at_once);
        stream::iter(wanted)
            .map(|Wanted { file, max_bytes }| async move {
                let fetched = self.get(&format!("tuf/{file}"), max_bytes).await;
                (file, fetched)
            })
            .buffer_unordered(self.at_once)
            .collect()
            .await
    }

    /// Looks at every page, and at the files that are wanted.
    async fn content(
        &self,
        state: &State,
        teller: &mut Teller<impl FnMut(&Finding)>,
        doubts: &mut Doubts,
    ) -> Result<(), EngineError> {
        let holds_all = holds_all(&state.metadata);
        let mut draw = Draw::new(self.what.files);
        let mut unanswered = 0;
        let targets: Vec<_> = state.targets.iter().collect();
        // Pages to their end before their files: an answer that nobody reads on with would time out.
        for targets in targets.chunks(PAGES_TOGETHER) {
            let mut now = Vec::new();
            let mut pages = stream::iter(targets)
                .map(|(path, file)| self.page(path, **file))
                .buffer_unordered(self.at_once);
            while let Some(seen) = pages.next().await {
                for seen in seen {
                    if let Some(parts) = settle(seen, teller, doubts, &mut unanswered)? {
                        teller.report.named += parts.len() as u64;
                        now.extend(parts.into_iter().filter_map(|part| draw.take(part)));
                    }
                }
            }
            self.files(now, holds_all, teller, &mut unanswered).await?;
        }
        self.files(draw.drawn(), holds_all, teller, &mut unanswered)
            .await
    }

    async fn files(
        &self,
        parts: Vec<Part>,
        holds_all: bool,
        teller: &mut Teller<impl FnMut(&Finding)>,
        unanswered: &mut u32,
    ) -> Result<(), EngineError> {
        let mut files = stream::iter(parts)
            .map(|part| self.part(part, holds_all))
            .buffer_unordered(self.at_once);
        let mut none = Doubts::new();
        while let Some(seen) = files.next().await {
            for seen in seen {
                settle(seen, teller, &mut none, unanswered)?;
            }
        }
        Ok(())
    }

    /// One signed target: its consistent copy, its plain copy, and what it names.
    async fn page(&self, path: &str, file: TargetFile) -> Vec<Seen> {
        let copy = consistent(path, file);
        let bytes = match self.signed(&copy, file).await {
            Ok(bytes) => bytes,
            Err(seen) => return vec![seen],
        };
        let Some(project) = project_of(path) else {
            return match self.get(path, file.size_bytes).await {
                Ok(Some(plain)) if plain != bytes => {
                    let kind = FindingKind::Differs;
                    vec![Seen::Found(Finding::new(path, kind, NOT_SIGNED))]
                }
                Ok(_) => Vec::new(),
                Err(error) => vec![failed(path.to_owned(), error)],
            };
        };
        let page = match read_signed(&project, &bytes) {
            Ok(page) => page,
            Err(error) => {
                let kind = FindingKind::Wrong;
                return vec![Seen::Found(Finding::new(copy, kind, error.to_string()))];
            }
        };
        let (doubts, mut seen) = self.plain(&project, Some((&page, &bytes))).await;
        seen.push(Seen::Page {
            doubts: Some((project.clone(), doubts)).filter(|(_, doubts)| !doubts.is_empty()),
            parts: parts(&project, &page),
        });
        seen
    }

    /// The consistent copy of a target.
    async fn signed(&self, copy: &str, file: TargetFile) -> Result<Bytes, Seen> {
        let found = |kind, reason: &str| Err(Seen::Found(Finding::new(copy, kind, reason)));
        match self.get(copy, file.size_bytes).await {
            Ok(Some(bytes)) if Sha256::of(&bytes) == file.sha256 => Ok(bytes),
            Ok(Some(_)) => found(FindingKind::Wrong, NOT_SIGNED),
            Ok(None) => found(FindingKind::Missing, NOT_THERE),
            Err(error) => Err(failed(copy.to_owned(), error)),
        }
    }

    /// What is wrong with a project's plain documents, also at the address that installers ask, and what the mirror did
    /// not give.
    async fn plain(
        &self,
        project: &ProjectName,
        signed: Option<(&ProjectPage, &[u8])>,
    ) -> (Vec<Finding>, Vec<Seen>) {
        let limit_bytes = self.mirror.limits().page_bytes_max;
        let mut seen = Vec::new();
        let mut found = Vec::new();
        for (_, path) in document_places(project) {
            found.push(self.plain_or_seen(&path, limit_bytes, &mut seen).await);
        }
        let mut doubts = derived::judge(project, signed, &found, Source::Server);
        doubts.retain(|finding| !seen.iter().any(|seen| seen.is_about(&finding.path)));
        let asked = format!("simple/{project}/");
        let answer = self.plain_or_seen(&asked, limit_bytes, &mut seen).await;
        doubts.extend(derived::judge_answer(
            &asked,
            signed,
            answer.as_deref(),
            &found,
        ));
        (doubts, seen)
    }

    /// A document; what is longer than any can be counts as one that is empty.
    async fn plain_or_seen(
        &self,
        path: &str,
        limit_bytes: u64,
        seen: &mut Vec<Seen>,
    ) -> Option<Bytes> {
        match self.get(path, limit_bytes).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == FailureKind::Unfit => Some(Bytes::new()),
            Err(error) => {
                seen.push(failed(path.to_owned(), error));
                None
            }
        }
    }

    /// A file, and where it is there what stands beside it.
    async fn part(&self, part: Part, holds_all: bool) -> Vec<Seen> {
        let first = self.file(part.path, &part.expected, holds_all).await;
        let is_there = matches!(first, Seen::File { .. });
        let mut seen = vec![first];
        if is_there {
            for (path, sha256) in part.beside {
                seen.push(self.file(path, &of(sha256), holds_all).await);
            }
        }
        seen
    }

    /// One file, hashed as it comes.
    async fn file(&self, path: String, expected: &Expected, holds_all: bool) -> Seen {
        let request = FileRequest {
            sources: vec![self.address(&path)],
            expected_size_bytes: expected.size_bytes,
            limit_bytes: Some(expected.size_bytes.unwrap_or(BESIDE_BYTES_MAX)),
            caches: Caches::Allow,
        };
        let mut hasher = sha2::Sha256::new();
        let got = self
            .mirror
            .download(&request, |download| {
                match download {
                    Download::Started { resumed_at: 0, .. } => hasher = sha2::Sha256::new(),
                    Download::Started { .. } => {}
                    Download::Chunk(bytes) => hasher.update(&bytes),
                }
                Ok::<(), std::convert::Infallible>(())
            })
            .await;
        let size_bytes = match got {
            Ok(done) => done.size_bytes,
            Err(DownloadError::Caller(never)) => match never {},
            Err(DownloadError::Upstream(error)) if error.kind() == FailureKind::Gone => {
                if !holds_all {
                    return Seen::Absent;
                }
                return Seen::Found(Finding::new(path, FindingKind::Missing, NAMED));
            }
            Err(DownloadError::Upstream(error)) => return failed(path, error),
        };
        match expected.check(Sha256::from_bytes(hasher.finalize().into()), size_bytes) {
            Ok(()) => Seen::File { size_bytes },
            Err(error) => Seen::Found(Finding::new(path, FindingKind::Wrong, error.to_string())),
        }
    }

    /// Root lists, and what was doubted until then: a mirror in use goes on while it is looked at, and what is right in
    /// its newer state is right.
    async fn rest(
        &self,
        state: &State,
        mut doubts: Doubts,
        teller: &mut Teller<impl FnMut(&Finding)>,
    ) -> Result<(), EngineError> {
        let mut seen = Vec::new();
        let mut lists = Vec::new();
        for path in LISTS {
            let limit_bytes = self.mirror.limits().list_bytes_max;
            lists.push(self.plain_or_seen(path, limit_bytes, &mut seen).await);
        }
        let mut listed = derived::judge_lists(&lists, Source::Server);
        (listed.findings).retain(|finding| !seen.iter().any(|seen| seen.is_about(&finding.path)));
        seen.extend(listed.findings.into_iter().map(Seen::Found));
        // Without valid metadata everything would count as unsigned. A tree of what somebody asked for may list what its
        // upstream has.
        let is_whole = state.is_whole() && holds_all(&state.metadata);
        let projects = listed.projects.filter(|_| is_whole);
        if let Some(projects) = &projects {
            state.doubt_listed(projects, &mut doubts);
        }
        let lacking = |state: &State| {
            projects
                .as_ref()
                .and_then(|projects| state.lacking(projects))
        };
        let mut newer = None;
        if !doubts.is_empty() || lacking(state).is_some() {
            newer = self.newer(state).await?;
        }
        for (project, doubts) in doubts {
            match &newer {
                None => seen.extend(doubts.into_iter().map(Seen::Found)),
                Some(newer) => seen.extend(self.resolved(&project, newer).await),
            }
        }
        seen.extend(lacking(newer.as_ref().unwrap_or(state)).map(Seen::Found));
        let mut unanswered = 0;
        for seen in seen {
            settle(seen, teller, &mut Doubts::new(), &mut unanswered)?;
        }
        Ok(())
    }

    /// The state that the mirror has gone on to, where it has.
    async fn newer(&self, state: &State) -> Result<Option<State>, EngineError> {
        let limit_bytes = heliostat_trust::check::Limits::default().timestamp_bytes;
        let timestamp = self.get("tuf/timestamp.json", limit_bytes).await;
        if timestamp.ok().flatten() == state.timestamp {
            return Ok(None);
        }
        let newer = self.state().await?;
        Ok(Some(newer).filter(|newer| newer.metadata.problems.is_empty()))
    }

    /// What is wrong with a project's plain documents in a newer state.
    async fn resolved(&self, project: &ProjectName, newer: &State) -> Vec<Seen> {
        let Some(file) = newer.page(project) else {
            let (doubts, mut seen) = self.plain(project, None).await;
            seen.extend(doubts.into_iter().map(Seen::Found));
            return seen;
        };
        let seen = self.page(&page_of(project), file).await.into_iter();
        let plain = seen.flat_map(|seen| match seen {
            Seen::Page { doubts, .. } => {
                let doubts = doubts.map(|(_, doubts)| doubts).unwrap_or_default();
                doubts.into_iter().map(Seen::Found).collect()
            }
            seen => vec![seen],
        });
        plain.collect()
    }

    /// A document of at most so many bytes; `None` where the mirror has none.
    async fn get(&self, path: &str, limit_bytes: u64) -> Fetched {
        match self.mirror.document(&self.address(path), limit_bytes).await {
            Ok(Answer::Fresh(bytes)) => Ok(Some(bytes)),
            Ok(Answer::Gone | Answer::Unchanged) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn address(&self, path: &str) -> Url {
        let mut url = self.mirror.root().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }
}

type Fetched = Result<Option<Bytes>, UpstreamError>;

/// Tells and counts what was seen; gives the parts of a page.
fn settle(
    seen: Seen,
    teller: &mut Teller<impl FnMut(&Finding)>,
    doubts: &mut Doubts,
    unanswered: &mut u32,
) -> Result<Option<Vec<Part>>, EngineError> {
    if let Seen::Unanswered(path, error) = seen {
        *unanswered += 1;
        teller.find(&Finding::new(
            path,
            FindingKind::Unanswered,
            error.to_string(),
        ));
        return if *unanswered < UNANSWERED_MAX {
            Ok(None)
        } else {
            Err(error.into())
        };
    }
    *unanswered = 0;
    match seen {
        Seen::Found(finding) => teller.find(&finding),
        Seen::File { size_bytes } => {
            teller.report.files += 1;
            teller.report.size_bytes += size_bytes;
        }
        Seen::Absent => teller.report.absent += 1,
        Seen::Page {
            doubts: found,
            parts,
        } => {
            doubts.extend(found);
            return Ok(Some(parts));
        }
        Seen::Unanswered(..) => {}
    }
    Ok(None)
}

/// A request that brought nothing: either the mirror gave what it must not give, or nothing is known.
fn failed(path: String, error: UpstreamError) -> Seen {
    match error.kind() {
        FailureKind::Unfit => {
            Seen::Found(Finding::new(path, FindingKind::Wrong, error.to_string()))
        }
        FailureKind::Gone => {
            Seen::Found(Finding::new(path, FindingKind::Missing, error.to_string()))
        }
        FailureKind::Settings | FailureKind::Unreachable | FailureKind::Refused => {
            Seen::Unanswered(path, error)
        }
    }
}

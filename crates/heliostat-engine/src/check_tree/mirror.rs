//! The same check over HTTP: a running mirror, of which nothing is believed. Asked with bounded concurrency, and read no
//! further than what is signed is long.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use heliostat_pypi::page::{MediaType, read_list, read_signed};
use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::Expected;
use heliostat_trust::check::{Check, Report, Wanted};
use heliostat_trust::metadata::TargetFile;
use heliostat_upstream::{
    Answer, Caches, Download, DownloadError, FailureKind, FileRequest, Upstream, UpstreamError,
};
use sha2::Digest as _;
use url::Url;

use super::finding::Teller;
use super::parts::{Draw, Part, parts};
use super::{Finding, FindingKind, NOT_SIGNED, PLAIN_DIFFERS, TreeCheck, TreeReport};
use super::{consistent, holds_all, of, project_of};
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
    let mut doubts = Doubts::default();
    remote.content(&state, &mut teller, &mut doubts).await?;
    // Without valid metadata everything would count as unsigned. A tree of what somebody asked for may list what its
    // upstream has.
    if state.metadata.bins.is_some() && holds_all(&state.metadata) {
        remote.listed(&state, &mut teller, &mut doubts).await?;
    }
    if !doubts.is_empty() {
        remote.resolve(&state, doubts, &mut teller).await?;
    }
    Ok(teller.report)
}

struct Remote<'a> {
    mirror: &'a Upstream,
    what: &'a TreeCheck<'a>,
    at_once: usize,
}

/// What a mirror's metadata says.
struct State {
    timestamp: Option<Bytes>,
    targets: BTreeMap<String, TargetFile>,
    metadata: Report,
}

/// What is wrong unless the mirror has gone on to a newer state in the meantime.
#[derive(Default)]
struct Doubts {
    /// Plain pages that are not the signed ones, with the digest of what they are; `None` where there is none.
    differing: Vec<(String, Option<Sha256>)>,
    /// Pages in the root list that no target is.
    unsigned: Vec<String>,
}

impl Doubts {
    const fn is_empty(&self) -> bool {
        self.differing.is_empty() && self.unsigned.is_empty()
    }
}

/// What came of looking at one thing.
enum Seen {
    Found(Finding),
    /// Nothing is known of it.
    Unanswered(String, UpstreamError),
    Page {
        differs: Option<(String, Option<Sha256>)>,
        parts: Vec<Part>,
    },
    File {
        size_bytes: u64,
    },
    Absent,
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
                    check.refuse(&error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
            targets.extend(check.take_targets());
        }
        Ok(State {
            timestamp,
            targets,
            metadata: check.finish(),
        })
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
        let mut none = Doubts::default();
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
        let found = |kind, reason: &str| vec![Seen::Found(Finding::new(&*copy, kind, reason))];
        let bytes = match self.get(&copy, file.size_bytes).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return found(FindingKind::Missing, "it is signed and not there"),
            Err(error) => return vec![failed(copy, error)],
        };
        if Sha256::of(&bytes) != file.sha256 {
            return found(FindingKind::Wrong, "it is not what was signed");
        }
        let Some(project) = project_of(path) else {
            return Vec::new();
        };
        let limits = self.mirror.limits();
        let mut seen = Vec::new();
        let differs = match self.get(path, limits.page_bytes_max).await {
            Ok(plain) if plain.as_ref() == Some(&bytes) => None,
            Ok(plain) => Some((path.to_owned(), plain.map(|plain| Sha256::of(&plain)))),
            Err(error) => {
                seen.push(failed(path.to_owned(), error));
                None
            }
        };
        match read_signed(&project, &bytes) {
            Ok(page) => seen.push(Seen::Page {
                differs,
                parts: parts(&project, &page),
            }),
            Err(error) => seen.extend(found(FindingKind::Wrong, &error.to_string())),
        }
        seen
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
                let reason = "a signed page names it";
                return Seen::Found(Finding::new(path, FindingKind::Missing, reason));
            }
            Err(DownloadError::Upstream(error)) => return failed(path, error),
        };
        match expected.check(Sha256::from_bytes(hasher.finalize().into()), size_bytes) {
            Ok(()) => Seen::File { size_bytes },
            Err(error) => Seen::Found(Finding::new(path, FindingKind::Wrong, error.to_string())),
        }
    }

    /// Pages that the root list names and that no target is.
    async fn listed(
        &self,
        state: &State,
        teller: &mut Teller<impl FnMut(&Finding)>,
        doubts: &mut Doubts,
    ) -> Result<(), EngineError> {
        const LIST: &str = "simple/index.v1_json";
        let bytes = match self.get(LIST, self.mirror.limits().list_bytes_max).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let reason =
                    "there is no root list, so that pages which nobody signed are not seen";
                teller.find(&Finding::new(LIST, FindingKind::Missing, reason));
                return Ok(());
            }
            Err(error) => {
                return settle(failed(LIST.to_owned(), error), teller, doubts, &mut 0).map(|_| ());
            }
        };
        match read_list(&bytes, MediaType::Json) {
            Ok(list) => {
                let paths = list.projects.iter().map(|(name, _)| page_of(name));
                let unsigned = paths.filter(|path| !state.targets.contains_key(path));
                doubts.unsigned.extend(unsigned);
            }
            Err(error) => {
                teller.find(&Finding::new(LIST, FindingKind::Odd, error.to_string()));
            }
        }
        Ok(())
    }

    /// Tells what is wrong for certain: a mirror in use goes on while it is looked at, and a page that is the one of its
    /// newer state is right.
    async fn resolve(
        &self,
        state: &State,
        doubts: Doubts,
        teller: &mut Teller<impl FnMut(&Finding)>,
    ) -> Result<(), EngineError> {
        let limit = heliostat_trust::check::Limits::default().timestamp_bytes;
        let timestamp = self.get("tuf/timestamp.json", limit).await.ok().flatten();
        let newer = if timestamp == state.timestamp {
            None
        } else {
            Some(self.state().await?).filter(|newer| newer.metadata.problems.is_empty())
        };
        let signed = |path: &str| newer.as_ref().map(|newer| newer.targets.get(path));
        for (path, plain) in doubts.differing {
            let is_newer = signed(&path).is_some_and(|file| file.map(|file| file.sha256) == plain);
            if !is_newer {
                teller.find(&Finding::new(path, FindingKind::Differs, PLAIN_DIFFERS));
            }
        }
        for path in doubts.unsigned {
            if signed(&path).flatten().is_none() {
                teller.find(&Finding::new(path, FindingKind::Unsigned, NOT_SIGNED));
            }
        }
        Ok(())
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
        Seen::Page { differs, parts } => {
            doubts.differing.extend(differs);
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

fn page_of(project: &ProjectName) -> String {
    format!("simple/{project}/index.v1_json")
}

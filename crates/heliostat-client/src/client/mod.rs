//! What the proxy is made of: pages and files of a signed tree, from any number of mirrors, verified.
//!
//! Owns when the state is confirmed, what a missing name means, and that each thing is fetched once however many wait
//! for it. Does not speak HTTP to clients; `heliostat-serve` does.

mod files;
mod vouch;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use heliostat_pypi::{ProjectName, Sha256, TreePath, project_candidates};
use sigstore_tuf::TargetFile;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::files::{address, provenance_address};
use crate::answer::{ClientOptions, FileAnswer, FilePart, PageAnswer};
use crate::mirrors::{self, Base, Mirrors, Wanted};
use crate::nameless::NamelessFiles;
use crate::origin::{Origin, OriginOrder, origin_address};
use crate::pages::{Pages, SignedPage};
use crate::plain_client::{check, now};
use crate::proof::Prover;
use crate::session::{Pulse, Session};
use crate::spoilt::Spoilt;
use crate::spool::Spool;
use crate::tested::Tested;
use crate::tuf::{MetadataDirectory, Naming, Needed, Step, Trusted, Walk, refused};
use crate::turns::Turns;
use crate::{
    Candidate, ClientError, Clock, ErrorKind, JournalEntry, Limits, Single, Standing, disk,
};

/// A verified view of a signed tree. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    mirrors: Mirrors,
    directory: MetadataDirectory,
    pages: Pages,
    origin: Option<Origin>,
    prover: Option<Prover>,
    clock: Clock,
    state: Mutex<State>,
    refreshing: Single<(), Result<Arc<Session>, Arc<ClientError>>>,
    loading: Single<(u64, Needed), Result<(), Arc<ClientError>>>,
    fetching: Single<(ProjectName, Sha256), Result<Arc<SignedPage>, Arc<ClientError>>>,
    files: Mutex<HashMap<TreePath, Spool>>,
    spoilt: Spoilt,
    incoming: Arc<NamelessFiles>,
    turns: Turns,
    asked: Mutex<HashMap<ProjectName, Instant>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Arc<Session>>,
    pulse: Pulse,
}

/// A name that nobody knows is asked for at a mirror no more often than this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Mirrors that are tested at once.
const TESTED_AT_ONCE: usize = 16;

/// Names remembered as asked for.
const ASKED_MAX: usize = 10_000;

impl Client {
    /// A client; reads its state and makes no request.
    pub fn open(options: ClientOptions, clock: Clock) -> Result<Self, ClientError> {
        let limits = &options.limits;
        let directory = &options.directory;
        disk::make_directory(directory)?;
        let mirrors = Mirrors::new(
            &options.mirrors,
            Some(directory.clone()),
            clock.clone(),
            limits,
        )?;
        // A root that cannot be used is told now, not at the first request.
        let pinned = Trusted::from_root(&options.root, Naming::Ours).map_err(|source| {
            ClientError::PinnedRoot {
                name: options.root_name.clone(),
                source,
            }
        })?;
        let root = (pinned.root_version(), &*options.root);
        let incoming = Arc::new(NamelessFiles::new(directory.join("incoming"), limits));
        let inner = Inner {
            mirrors,
            directory: MetadataDirectory::of_notary(directory, root, limits)?,
            pages: Pages::new(directory.join("pages"), limits, Arc::clone(&incoming)),
            origin: options.origin.clone().map(Origin::new).transpose()?,
            prover: (options.proof.clone()).map(|proof| Prover::new(proof, limits)),
            clock,
            state: Mutex::default(),
            refreshing: Single::default(),
            loading: Single::default(),
            fetching: Single::default(),
            files: Mutex::default(),
            spoilt: Spoilt::default(),
            incoming,
            turns: Turns::new(limits),
            asked: Mutex::default(),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            options,
        };
        inner.walk().open_from(pinned, &inner.options.root)?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A project's page: the signed one, or the origin's where there is an origin and its turn has come.
    pub async fn page(&self, name: &ProjectName) -> Result<PageAnswer, ClientError> {
        let Some(origin) = &self.inner.origin else {
            return self.signed_page(name).await;
        };
        if origin.order == OriginOrder::First
            && let Some(page) = origin.page(name).await?
        {
            return Ok(PageAnswer::Origin(page));
        }
        match self.signed_page(name).await? {
            PageAnswer::Absent | PageAnswer::Unknown if origin.order == OriginOrder::Last => {
                let page = origin.page(name).await?;
                Ok(page.map_or(PageAnswer::Absent, PageAnswer::Origin))
            }
            answer => Ok(answer),
        }
    }

    async fn signed_page(&self, name: &ProjectName) -> Result<PageAnswer, ClientError> {
        let session = self.session().await?;
        match self.page_of(&session, name).await {
            // A publish in the middle of the walk took away what we were looking for: once more, from the newest state.
            Err(error) if error.is_missing_somewhere() => {
                let newer = self.confirm().await?;
                if newer.id == session.id {
                    return Err(error);
                }
                self.page_of(&newer, name).await
            }
            Ok(PageAnswer::Unknown) => self.ask_for(name).await,
            answer => answer,
        }
    }

    /// A file, its metadata or its provenance, by its place in the tree.
    pub async fn file(&self, path: &TreePath, part: FilePart) -> Result<FileAnswer, ClientError> {
        let mut unknown = false;
        for name in project_candidates(path.filename()) {
            let signed = match self.page(&name).await? {
                PageAnswer::Signed(signed) => signed,
                PageAnswer::Origin(page) => match origin_address(&page, path, part) {
                    Some(address) => return Ok(FileAnswer::Redirect(address)),
                    None => continue,
                },
                PageAnswer::Absent => continue,
                PageAnswer::Unknown => {
                    unknown = true;
                    continue;
                }
            };
            let mut files = signed.page.files.iter();
            let Some(file) = files.find(|file| file.path == *path) else {
                continue;
            };
            let document = match part {
                FilePart::File => {
                    return self.hand_out(&name, file).await.map(FileAnswer::Stream);
                }
                FilePart::Metadata => match file.core_metadata {
                    heliostat_pypi::page::CoreMetadata::Sha256(digest) => {
                        Some((format!("{}.metadata", address(path)), digest))
                    }
                    heliostat_pypi::page::CoreMetadata::Absent => None,
                    // Nothing proves it, and whoever was offered it does not go on without.
                    heliostat_pypi::page::CoreMetadata::Offered => {
                        return Err(ClientError::Refused {
                            what: format!("the metadata of `{}`", path.filename()),
                            reason: "the notary's page offers it and does not tell its sha256"
                                .to_owned(),
                        });
                    }
                },
                FilePart::Provenance => provenance_address(&name, file).zip(file.provenance_sha256),
            };
            return match document {
                Some((path, digest)) => self.document(&path, digest).await,
                None => Ok(FileAnswer::Absent),
            };
        }
        Ok(if unknown {
            FileAnswer::Unknown
        } else {
            FileAnswer::Absent
        })
    }

    /// A file of a project, by its name.
    pub async fn file_named(
        &self,
        name: &ProjectName,
        filename: &str,
    ) -> Result<Option<TreePath>, ClientError> {
        let answer = self.page(name).await?;
        let page = match &answer {
            PageAnswer::Signed(signed) => &signed.page,
            PageAnswer::Origin(page) => page,
            PageAnswer::Absent | PageAnswer::Unknown => return Ok(None),
        };
        let mut files = page.files.iter();
        Ok(files
            .find(|file| file.filename() == filename)
            .map(|file| file.path.clone()))
    }

    /// What mirrors answered about paths that `of` accepts, the oldest first.
    pub fn why(
        directory: &Path,
        of: impl Fn(&str) -> bool,
    ) -> Result<Vec<JournalEntry>, ClientError> {
        mirrors::read_journal(directory, Limits::default().journal_bytes_max, of)
    }

    /// How each mirror stands: those that are asked in the order in which they are, then the others.
    pub fn standings(&self) -> Vec<Standing> {
        self.inner.mirrors.standings()
    }

    /// How the mirrors stand of which a client in `directory` knew last, in the order in which it would ask them; nothing
    /// where none has run there. Asks nobody.
    ///
    /// # Errors
    /// [`ClientError::Disk`], or [`ClientError::Refused`] for what the user decided where that cannot be read.
    pub fn standings_kept(
        directory: &Path,
        clock: &Clock,
    ) -> Result<Option<Vec<Standing>>, ClientError> {
        mirrors::as_kept(directory, clock.now(), &Limits::default())
    }

    /// Asks the best `most` mirrors for the newest state, three times each, and tells what each gave. What is measured is
    /// kept.
    ///
    /// # Errors
    /// [`ClientError::PinnedRoot`], [`ClientError::Disk`]; what a mirror does is no error.
    pub async fn test_mirrors(&self, most: usize) -> Result<Vec<Tested>, ClientError> {
        let inner = &self.inner;
        let walk = inner.walk();
        let trusted = walk.open(&inner.options.root, &inner.options.root_name)?;
        let tests = inner.mirrors.all().into_iter().take(most);
        let tests = tests.map(|id| walk.test(id, &trusted));
        let tested: Vec<Tested> = futures_util::stream::iter(tests)
            .buffer_unordered(TESTED_AT_ONCE)
            .collect()
            .await;
        inner.mirrors.save();
        Ok(tested)
    }

    /// From now on these mirrors are asked besides those that the options gave, and no others that were listed before.
    /// Where that leaves nobody, `refusal` is why; `notes` are for people.
    ///
    /// # Errors
    /// [`ClientError::Configure`] for an address that cannot be asked, [`ClientError::Disk`].
    pub fn list(
        &self,
        candidates: &[Candidate],
        refusal: Option<String>,
        notes: Vec<String>,
    ) -> Result<(), ClientError> {
        self.inner.mirrors.list(candidates, refusal, notes)
    }

    /// Sentences about the list that the mirrors come from, for people.
    pub fn list_notes(&self) -> Vec<String> {
        self.inner.mirrors.list_notes()
    }

    /// A sentence about our clock, where mirrors agree that it is wrong.
    pub fn clock_warning(&self) -> Option<String> {
        let ahead = self.inner.mirrors.clock_skew_seconds()?;
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        Some(format!(
            "your clock is {} s {side} those of all mirrors, which agree with each other: set it right",
            ahead.unsigned_abs()
        ))
    }

    /// Stops: what is under way is cut.
    pub async fn stop(&self) {
        self.inner.cancel.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.mirrors.save();
    }

    /// The state that this request sees.
    async fn session(&self) -> Result<Arc<Session>, ClientError> {
        if let Some(reason) = self.inner.mirrors.refusal() {
            return Err(ClientError::NoMirror { reason });
        }
        let (held, confirm) = {
            let mut state = self.inner.state();
            let confirm = state.pulse.beat(Instant::now(), &self.inner.options.limits);
            (state.session.clone(), confirm)
        };
        let Some(held) = held.filter(|_| !confirm) else {
            return self.confirm().await;
        };
        match self.inner.check(&held) {
            Ok(()) => Ok(held),
            Err(_expired) => self.confirm().await,
        }
    }

    /// The newest state. While mirrors cannot be reached, the one we have, for as long as it is in force.
    async fn confirm(&self) -> Result<Arc<Session>, ClientError> {
        let work = Arc::clone(&self.inner);
        let answer = self
            .inner
            .refreshing
            .run(&self.inner.tasks, (), |answering| async move {
                let refreshing = work.refresh();
                if let Some(outcome) = work.cancel.run_until_cancelled(refreshing).await {
                    let outcome = outcome.inspect_err(|error| work.make_room(error));
                    answering.answer(outcome.map_err(Arc::new));
                }
            })
            .await;
        let error = match answer {
            Some(Ok(session)) => return Ok(session),
            Some(Err(error)) => error,
            None => return Err(ClientError::Stopping),
        };
        let held = self.inner.state().session.clone();
        match held.filter(|held| self.inner.check(held).is_ok()) {
            Some(held) if error.kind() == ErrorKind::Disk => {
                tracing::error!(
                    error = &*error as &dyn std::error::Error,
                    "a newer state cannot be kept; the one from before is used while it is in force"
                );
                Ok(held)
            }
            Some(held) if error.kind() != ErrorKind::Integrity => {
                tracing::warn!(%error, "the mirrors do not confirm the state; the one from before is used while it is in force");
                Ok(held)
            }
            _ => Err(ClientError::Shared(error)),
        }
    }

    async fn page_of(
        &self,
        session: &Arc<Session>,
        name: &ProjectName,
    ) -> Result<PageAnswer, ClientError> {
        let path = format!("simple/{name}/index.v1_json");
        let Some(target) = self.target(session, &path).await? else {
            return Ok(if session.is_complete_for(name) {
                PageAnswer::Absent
            } else {
                PageAnswer::Unknown
            });
        };
        let digest = target.hashes.get("sha256").and_then(|hex| hex.parse().ok());
        let sha256: Sha256 = digest.ok_or_else(|| ClientError::Refused {
            what: format!("`{path}`"),
            reason: "no sha256 is signed for it".to_owned(),
        })?;
        if let Some(page) = self.inner.pages.held(name, sha256)? {
            return Ok(PageAnswer::Signed(page));
        }
        let (work, wanted) = (Arc::clone(&self.inner), name.clone());
        let answer = self
            .inner
            .fetching
            .run(
                &self.inner.tasks,
                (name.clone(), sha256),
                |answering| async move {
                    let fetching = work.fetch_page(&wanted, sha256, &target);
                    if let Some(outcome) = work.cancel.run_until_cancelled(fetching).await {
                        answering.answer(outcome.map_err(Arc::new));
                    }
                },
            )
            .await;
        answer
            .ok_or(ClientError::Stopping)?
            .map(PageAnswer::Signed)
            .map_err(ClientError::Shared)
    }

    /// What the signed state says about a target, with the roles that it takes fetched as needed.
    async fn target(
        &self,
        session: &Arc<Session>,
        path: &str,
    ) -> Result<Option<TargetFile>, ClientError> {
        loop {
            let needed = match self.inner.resolve(session, path)? {
                Step::Found(found) => return Ok(Some(found)),
                Step::Absent => return Ok(None),
                Step::Need(needed) => needed,
            };
            let (work, session) = (Arc::clone(&self.inner), Arc::clone(session));
            let key = (session.id.1, needed.clone());
            let answer = self
                .inner
                .loading
                .run(&self.inner.tasks, key, |answering| async move {
                    let walk = work.walk();
                    let loading = walk.load(session.consistent, &needed, |body| {
                        session.trusted().update_delegated(body, &needed, walk.now)
                    });
                    if let Some(outcome) = work.cancel.run_until_cancelled(loading).await {
                        let outcome = outcome.inspect_err(|error| work.make_room(error));
                        answering.answer(outcome.map_err(Arc::new));
                    }
                })
                .await;
            answer
                .ok_or(ClientError::Stopping)?
                .map_err(ClientError::Shared)?;
        }
    }

    /// Asks a mirror for a page that the signed state does not know: a mirror that takes on demand may take it, and
    /// the notary behind it sign it. What it answers is not looked at.
    async fn ask_for(&self, name: &ProjectName) -> Result<PageAnswer, ClientError> {
        {
            let mut asked = self
                .inner
                .asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            asked.retain(|_, at| now.duration_since(*at) < ASK_AGAIN_AFTER);
            if asked.len() >= ASKED_MAX || asked.insert(name.clone(), now).is_some() {
                return Ok(PageAnswer::Unknown);
            }
        }
        let wanted = Wanted {
            base: Base::Target,
            path: &format!("simple/{name}/"),
            limit_bytes: self.inner.options.limits.target_bytes_max,
        };
        let asked = self.inner.mirrors.anywhere(wanted, |_| Ok(())).await;
        if let Err(error) = asked {
            tracing::debug!(%name, %error, "no mirror takes an unknown project");
            return Ok(PageAnswer::Unknown);
        }
        let session = self.confirm().await?;
        self.page_of(&session, name).await
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, HashMap<TreePath, Spool>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn walk(&self) -> Walk<'_> {
        Walk {
            mirrors: &self.mirrors,
            directory: &self.directory,
            limits: &self.options.limits,
            naming: Naming::Ours,
            now: now(&self.clock),
        }
    }

    /// What the disk did not take may have room the next time.
    fn make_room(&self, error: &ClientError) {
        if error.kind() == ErrorKind::Disk {
            self.incoming.forget_idle();
        }
    }

    fn check(&self, session: &Session) -> Result<(), ClientError> {
        session.check(
            self.clock.now(),
            self.options.staleness_max,
            self.options.limits.signed_ahead_max,
        )
    }

    fn resolve(&self, session: &Session, path: &str) -> Result<Step, ClientError> {
        let limits = &self.options.limits;
        let step = session
            .trusted()
            .resolve(path, limits.delegations_max, now(&self.clock));
        step.map_err(|error| refused(&format!("`{path}`"), &error))
    }

    /// Whether what is kept on disk is this state. Another process that shares the directory may be further.
    fn is_kept(&self, session: &Session) -> Result<bool, ClientError> {
        let floor = self.directory.floor()?;
        let newest = self.directory.role("timestamp")?;
        Ok(newest.is_some_and(|timestamp| session.is_of(&timestamp))
            && floor.is_some_and(|(timestamp, _)| session.is_of(&timestamp)))
    }

    /// Walks to the newest state and makes it the one in use.
    async fn refresh(&self) -> Result<Arc<Session>, ClientError> {
        let walk = self.walk();
        let held = self.state().session.clone();
        let mut trusted = match &held {
            // Nobody else has gone on with what is kept: what it says is in memory, verified.
            Some(held) if self.is_kept(held)? => held.trusted().clone(),
            _ => walk.open(&self.options.root, &self.options.root_name)?,
        };
        let mut outcome = walk.refresh(&mut trusted).await;
        if outcome
            .as_ref()
            .is_err_and(ClientError::is_missing_somewhere)
        {
            // Published while we walked: what the timestamp named may be gone already.
            outcome = walk.refresh(&mut trusted).await;
        }
        let refreshed = outcome?;
        let seen_at = self.directory.first_seen(
            trusted.timestamp_version().unwrap_or_default(),
            self.clock.now(),
        )?;
        if let Some(held) = &held {
            trusted.take_over(&held.trusted());
        }
        let kept = self.directory.role("timestamp")?.unwrap_or_default();
        let mut session = Arc::new(Session::new(trusted, kept, &refreshed, seen_at));
        self.check(&session)?;
        let mut state = self.state();
        match &state.session {
            // The same state: its roles are loaded already.
            Some(held) if held.id == session.id => session = Arc::clone(held),
            _ => {
                tracing::info!(
                    timestamp = session.id.0,
                    snapshot = session.id.1,
                    doubtful = ?session.doubtful,
                    "a new signed state is in use"
                );
                state.session = Some(Arc::clone(&session));
            }
        }
        state.pulse.confirmed = Some(Instant::now());
        Ok(session)
    }

    async fn fetch_page(
        &self,
        name: &ProjectName,
        sha256: Sha256,
        target: &TargetFile,
    ) -> Result<Arc<SignedPage>, ClientError> {
        let wanted = Wanted {
            base: Base::Target,
            path: &format!("simple/{name}/{sha256}.index.v1_json"),
            limit_bytes: target.length.min(self.options.limits.target_bytes_max),
        };
        let body = self
            .mirrors
            .anywhere(wanted, |body| check(target, body).map(|()| body.clone()))
            .await?;
        // The bytes are the notary's, so what is wrong with them is not the mirror's fault.
        let page = SignedPage::read(name, body, sha256).map_err(|reason| ClientError::Refused {
            what: format!("the signed page of `{name}` (wrong project)"),
            reason,
        })?;
        Ok(self.pages.keep(page))
    }
}

//! Fetches what the plan wants of one project: its page, then the files that are missing. Nothing here commits; what
//! was fetched goes to the one committer.

use std::sync::{Mutex, PoisonError};

use heliostat_pypi::Serial;
use heliostat_pypi::filter::FileFilter;
use heliostat_pypi::page::ProjectPage;
use heliostat_pypi::select::Wanted;
use heliostat_store::{LedgerEntry, ProjectRecord};
use heliostat_upstream::{Answer, Caches, FetchedPage, Validators};
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep};

use super::plan::{Refresh, RefreshReason};
use super::project::Project;
use super::{Depth, Files, Work};
use crate::context::Context;
use crate::error::EngineError;
use crate::events::{Event, ProjectOutcome};
use crate::learned::carry_over;
use crate::ledger::{WithSerial as _, failure, reason_of};
use crate::validators;

/// How often a page older than the list promised is asked for again within one run.
const STALE_TRIES: u32 = 3;

/// What is wanted of every project in a run.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) context: Context,
    pub(super) filter: FileFilter,
    pub(super) files: Files,
    /// Files of one project under way at once.
    pub(super) jobs: usize,
    /// Seconds since 1970, one value for the whole run.
    pub(super) now: i64,
    /// The upstream's root, redacted, as records name it.
    pub(super) root: String,
    /// The waiting time before a stale page is asked for again; doubles.
    pub(super) stale_pause: Duration,
    /// How far serials are trusted.
    pub(super) depth: Depth,
    /// Projects we hold whose page is gone, as their ledger is to say it. What becomes of them is decided at the end,
    /// when it is known how many they are.
    pub(super) gone: Mutex<Vec<LedgerEntry>>,
}

/// What the page request came to.
enum PageNow {
    Page {
        page: Box<ProjectPage>,
        validators: Validators,
        outcome: ProjectOutcome,
    },
    Gone,
}

impl Fetcher {
    /// Fetches one project and hands what it got to the committer. Failures of the project are work too: they go
    /// into the ledger. An error is one of the whole run.
    pub(super) async fn fetch(
        &self,
        refresh: &Refresh,
        wanted: &Wanted,
        older: &[LedgerEntry],
        work: &mpsc::Sender<Work>,
    ) -> Result<(), EngineError> {
        let name = refresh.name.clone();
        let record = self
            .context
            .on_disk({
                let name = name.clone();
                move |store| store.project(&name)
            })
            .await?;
        let fail = |reason: &str| {
            failure(older, &name, "", reason, self.now).with_serial(refresh.wanted_serial)
        };
        let now = match self.page(refresh, record.as_ref()).await {
            Ok(now) => now,
            // Its page names files that are gone: what can be had is taken, and the rest is dropped from the page.
            Err(reason) if refresh.reason == RefreshReason::Damaged && record.is_some() => {
                tracing::warn!(project = %name, reason, "a damaged project's page cannot be asked for");
                match &record {
                    Some(record) => PageNow::Page {
                        page: Box::new(record.page.clone()),
                        validators: Validators::default(),
                        outcome: ProjectOutcome::Failed,
                    },
                    None => return Ok(()),
                }
            }
            Err(reason) => return send(work, Work::failed(fail(&reason))).await,
        };
        match now {
            PageNow::Gone
                if record
                    .as_ref()
                    .is_some_and(|record| record.keeper.is_synced()) =>
            {
                self.gone
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(fail(GONE_LISTED));
                Ok(())
            }
            PageNow::Gone => send(work, Work::failed(fail(GONE))).await,
            PageNow::Page {
                page,
                validators,
                outcome,
            } => {
                let project = Project {
                    fetcher: self,
                    refresh,
                    record,
                    validators,
                    outcome,
                    page: *page,
                    older,
                    work,
                };
                project.take(wanted).await
            }
        }
    }

    /// The newest page, never older than what the list promised or what we hold.
    async fn page(
        &self,
        refresh: &Refresh,
        record: Option<&ProjectRecord>,
    ) -> Result<PageNow, String> {
        let known = record.filter(|record| record.upstream == self.root);
        let condition = self.condition(known).await;
        let condition = condition.map_err(|error| reason_of(&error))?;
        // What is signed is no older for what a page claims that may never have been verified.
        let is_attested = self.context.upstream.is_attested();
        let unsigned = record.filter(|_| !is_attested);
        let held = known.and(unsigned).and_then(|record| record.page.serial);
        let mut caches = Caches::Allow;
        let mut pause = self.stale_pause;
        let mut stale = String::new();
        for attempt in 0..=STALE_TRIES {
            if attempt > 0 {
                sleep(pause).await;
                pause *= 2;
            }
            let validators = match caches {
                Caches::Allow => condition.clone(),
                Caches::Bypass => Validators::default(),
            };
            match self
                .context
                .upstream
                .page(&refresh.name, &validators, caches)
                .await
            {
                Err(error) => return Err(reason_of(&error)),
                Ok(Answer::Gone) => {
                    // The list still names it: a cache on the way may be wrong once.
                    if refresh.wanted_serial.is_none() || caches == Caches::Bypass {
                        return Ok(PageNow::Gone);
                    }
                }
                Ok(Answer::Unchanged) => {
                    let record =
                        known.ok_or("the upstream answered 304 to an unconditional request")?;
                    match refresh.wanted_serial {
                        Some(wanted)
                            if record.page.serial.is_some_and(|serial| serial < wanted) =>
                        {
                            stale = stale_reason(record.page.serial, Some(wanted));
                        }
                        _ => {
                            return Ok(PageNow::Page {
                                page: Box::new(record.page.clone()),
                                validators,
                                outcome: ProjectOutcome::Unchanged,
                            });
                        }
                    }
                }
                Ok(Answer::Fresh(fetched)) => {
                    let serial = fetched.read.page.serial;
                    let floor = match refresh.wanted_serial {
                        // An upstream may go back, as after a restored backup: its list says so, and its page past
                        // all caches says the same.
                        Some(wanted) if caches == Caches::Bypass => Some(wanted),
                        wanted => wanted.max(held),
                    };
                    if serial.is_some() && serial < floor {
                        stale = stale_reason(serial, floor);
                    } else if let Some(reason) = emptied(&fetched.read.page, refresh, unsigned) {
                        stale = reason;
                    } else {
                        return Ok(self.accepted(fetched, unsigned));
                    }
                }
            }
            caches = Caches::Bypass;
        }
        Err(stale)
    }

    /// What makes the request for a page conditional: what the upstream said of it, and of a signed one, the page that
    /// stands here. Who gave that may have said anything of it.
    async fn condition(&self, known: Option<&ProjectRecord>) -> Result<Validators, EngineError> {
        match known {
            Some(record) if self.context.upstream.is_attested() => {
                let name = record.page.name.clone();
                let target = self.context.on_disk(move |store| store.target(&name));
                Ok(Validators {
                    etag: target.await?.map(|target| format!("\"{}\"", target.sha256)),
                    last_modified: None,
                })
            }
            Some(record) => Ok(validators::of(record)),
            None => Ok(Validators::default()),
        }
    }

    /// Pages found gone of which nothing has been decided. A run that is stopped has not seen how many they are, so it
    /// leaves them to the next one.
    pub(super) fn gone_count(&self) -> u64 {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.len() as u64
    }

    /// Removes the projects whose page is gone; the ledger keeps their names while somebody names them. When more are
    /// gone than a run may remove, the upstream is more likely broken than right, and all of them stay.
    pub(super) async fn let_go(
        &self,
        gone_max: u64,
        work: &mpsc::Sender<Work>,
    ) -> Result<(), EngineError> {
        let gone = std::mem::take(&mut *self.gone.lock().unwrap_or_else(PoisonError::into_inner));
        let too_many = gone.len() as u64 > gone_max;
        for entry in gone {
            let item = if too_many {
                let reason = format!(
                    "{}; it is kept, because more are gone than one run may remove",
                    entry.reason
                );
                Work::failed(LedgerEntry { reason, ..entry })
            } else {
                Work::gone(entry.project.clone(), entry)
            };
            send(work, item).await?;
        }
        Ok(())
    }

    fn accepted(&self, fetched: FetchedPage, record: Option<&ProjectRecord>) -> PageNow {
        let mut page = fetched.read.page;
        if let Some(first) = fetched.read.rejected.first() {
            self.context.events.tell(Event::Rejected {
                project: page.name.clone(),
                count: fetched.read.rejected.len() as u64,
                first: format!("{}: {}", first.item, first.reason),
            });
        }
        if let Some(record) = record {
            carry_over(&mut page, &record.page);
        }
        PageNow::Page {
            page: Box::new(page),
            validators: fetched.validators,
            outcome: ProjectOutcome::Updated,
        }
    }
}

const GONE: &str = "the upstream has no such project";
const GONE_LISTED: &str =
    "the upstream has no page for it any more, though its list may still name it";

/// Whether an entry says that the upstream has no such project, and not that it could not be had.
pub(crate) fn says_gone(entry: &LedgerEntry) -> bool {
    entry.item.is_empty() && [GONE, GONE_LISTED].contains(&entry.reason.as_str())
}

fn stale_reason(found: Option<Serial>, wanted: Option<Serial>) -> String {
    let text = |serial: Option<Serial>| {
        serial.map_or_else(|| "no serial".to_owned(), |serial| serial.to_string())
    };
    format!(
        "the upstream's page is stale: it is at {}, and {} was promised",
        text(found),
        text(wanted)
    )
}

/// A page without files where some were held, or without the serial that was promised, and without a word about it:
/// a broken answer, not a deletion.
fn emptied(
    page: &ProjectPage,
    refresh: &Refresh,
    record: Option<&ProjectRecord>,
) -> Option<String> {
    if !page.files.is_empty() {
        return None;
    }
    if page.serial.is_none()
        && let Some(wanted) = refresh.wanted_serial
    {
        return Some(format!(
            "the upstream's page has no files and no serial, and {wanted} was promised"
        ));
    }
    let record = record.filter(|record| !record.page.files.is_empty())?;
    let told = page.serial > record.page.serial || !page.status.is_active();
    (!told).then(|| {
        format!(
            "the upstream's page lost all {} files without a newer serial",
            record.page.files.len()
        )
    })
}

/// Hands work to the committer.
pub(super) async fn send(work: &mpsc::Sender<Work>, item: Work) -> Result<(), EngineError> {
    work.send(item)
        .await
        .map_err(|_| EngineError::Worker("the committer stopped".to_owned()))
}

//! Pages on demand: fresh ones as they are, old ones confirmed, and the old one again when the upstream is down.

use std::sync::Arc;
use std::time::Duration;

use heliostat_pypi::ProjectName;
use heliostat_store::{Change, CommitPolicy, Keeper, ProjectRecord, Put};
use heliostat_upstream::{Answer, Caches};

use super::{Inner, OnDemandError, PageState, Passing};
use crate::error::EngineError;
use crate::learned::carry_over;
use crate::validators;
use heliostat_client::Answering;

/// What asking the upstream came to.
#[derive(Debug, Clone)]
pub(super) enum Refreshed {
    InTree,
    Passing(Arc<Passing>),
    Gone,
}

type Shared = Result<Refreshed, Arc<OnDemandError>>;

/// What whoever asks has found in the catalog.
enum Look {
    /// This, and it is still so.
    Current(Option<Box<ProjectRecord>>),
    /// Something that may have changed since.
    Old,
}

pub(super) async fn page(
    inner: &Arc<Inner>,
    name: &ProjectName,
) -> Result<PageState, OnDemandError> {
    if inner.negative.knows(name) {
        return Ok(PageState::NoSuchProject);
    }
    let looked_at = inner.pages.moment();
    let record = record(inner, name).await?;
    let now = inner.context.clock.now();
    if record
        .as_ref()
        .is_some_and(|record| is_fresh(record, inner.options.max_age, now))
    {
        return Ok(PageState::Ready);
    }
    let age_seconds = record
        .as_ref()
        .map(|record| now.saturating_sub(record.confirmed_at).max(0));
    let may_be_stale = age_seconds.is_some_and(|age| {
        inner
            .options
            .stale_for
            .is_none_or(|limit| age.unsigned_abs() <= limit.as_secs())
    });
    let running = {
        let inner = Arc::clone(inner);
        let name = name.clone();
        async move {
            let work = Arc::clone(&inner);
            inner
                .pages
                .run(&inner.tasks, name.clone(), |answering| {
                    let look = if answering.began_at(looked_at) {
                        Look::Current(record.map(Box::new))
                    } else {
                        Look::Old
                    };
                    refresh(work, name, look, answering)
                })
                .await
        }
    };
    let answer = if may_be_stale {
        // The work goes on behind; whoever asks next has the new page.
        match tokio::time::timeout(inner.options.patience, running).await {
            Ok(answer) => answer,
            Err(_) => return Ok(PageState::Stale),
        }
    } else {
        let waited = inner.options.patience_without_page;
        // Installers give up by themselves and ask again; a word comes before that.
        match tokio::time::timeout(waited, running).await {
            Ok(answer) => answer,
            Err(_) => return Err(OnDemandError::Slow { waited }),
        }
    };
    match answer {
        Some(Ok(Refreshed::InTree)) => Ok(PageState::Ready),
        Some(Ok(Refreshed::Passing(passing))) => Ok(PageState::Passing(passing)),
        Some(Ok(Refreshed::Gone)) => Ok(PageState::NoSuchProject),
        Some(Err(error)) if may_be_stale && error.is_outage() => Ok(PageState::Stale),
        Some(Err(error)) => Err(OnDemandError::Shared(error)),
        None => Err(OnDemandError::Stopping),
    }
}

/// The catalog's record of a project.
pub(super) async fn record(
    inner: &Inner,
    name: &ProjectName,
) -> Result<Option<ProjectRecord>, OnDemandError> {
    let name = name.clone();
    inner
        .context
        .on_disk(move |store| store.project(&name))
        .await
        .map_err(OnDemandError::Engine)
}

/// Pages that `sync` answers for are served as they stand; others while they are young enough.
fn is_fresh(record: &ProjectRecord, max_age: Duration, now: i64) -> bool {
    let age_seconds = now.saturating_sub(record.confirmed_at);
    // A clock that was set back makes a page look young for ever; then it counts as old.
    record.keeper.is_synced()
        || (0..i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX)).contains(&age_seconds)
}

async fn refresh(inner: Arc<Inner>, name: ProjectName, look: Look, answering: Answering<Shared>) {
    match try_refresh(&inner, &name, look, &answering).await {
        Ok(()) => super::root::changed(&inner),
        Err(error) => answering.answer(Err(Arc::new(error))),
    }
}

/// Notes that the upstream confirmed our page.
async fn confirm(
    inner: &Inner,
    name: &ProjectName,
    validators: heliostat_store::Validators,
    now: i64,
) -> Result<(), OnDemandError> {
    let touch = Change::Touch {
        name: name.clone(),
        confirmed_at: now,
        validators,
    };
    commit(inner, touch).await
}

async fn try_refresh(
    inner: &Inner,
    name: &ProjectName,
    look: Look,
    answering: &Answering<Shared>,
) -> Result<(), OnDemandError> {
    let context = &inner.context;
    // Between the look of whoever asks and this work, an earlier one may have committed; then we look again.
    let record = match look {
        Look::Current(record) => record,
        Look::Old => record(inner, name).await?.map(Box::new),
    };
    let root = context.upstream.root().to_string();
    let known = record.as_deref().filter(|record| record.upstream == root);
    let validators = known.map(validators::of).unwrap_or_default();
    let now = context.clock.now();
    if record
        .as_ref()
        .is_some_and(|record| is_fresh(record, inner.options.max_age, now))
    {
        // It came while whoever asks was looking: there is nothing to ask for.
        answering.answer(Ok(Refreshed::InTree));
        return Ok(());
    }
    // Asking can be cut off at any moment; what came is committed all the same.
    let asking = context.upstream.page(name, &validators, Caches::Allow);
    let Some(answer) = inner.cancel.run_until_cancelled(asking).await else {
        return Err(OnDemandError::Stopping);
    };
    match answer.map_err(OnDemandError::Upstream)? {
        Answer::Unchanged => {
            let validators = known
                .map(|record| record.validators.clone())
                .unwrap_or_default();
            confirm(inner, name, validators, now).await?;
            answering.answer(Ok(Refreshed::InTree));
        }
        Answer::Gone => {
            inner.negative.remember(name);
            answering.answer(Ok(Refreshed::Gone));
            if record.is_some() {
                commit(inner, Change::DropOnDemand { name: name.clone() }).await?;
            }
        }
        Answer::Fresh(fetched) => {
            inner.negative.forget(name);
            let mut page = fetched.read.page;
            if known.is_some_and(|record| page.serial < record.page.serial) {
                // An older page than ours is a stale cache on the way; ours stays.
                answering.answer(Ok(Refreshed::InTree));
                return Ok(());
            }
            if let Some(record) = &record {
                carry_over(&mut page, &record.page);
            }
            let passing = Arc::new(Passing::new(page));
            answering.answer(Ok(Refreshed::Passing(Arc::clone(&passing))));
            // Nobody waits for the copy: whoever asked has the page.
            let page = passing.page.clone();
            drop(passing);
            let failures = super::provenance::carried(context, &page).await?;
            let record = ProjectRecord {
                hidden: std::collections::BTreeSet::new(),
                keeper: Keeper::OnDemand,
                published_serial: page.serial,
                validators: validators::remembered(fetched.validators),
                confirmed_at: now,
                upstream: root,
                page,
            };
            commit(
                inner,
                Change::Put(Box::new(Put {
                    record,
                    blobs: Vec::new(),
                    failures,
                })),
            )
            .await?;
        }
    }
    Ok(())
}

/// Commits one change of an on-demand project. One that a sync has taken over meanwhile is the sync's to change.
pub(super) async fn commit(inner: &Inner, change: Change) -> Result<(), OnDemandError> {
    commit_all(inner, vec![change]).await
}

/// The same of several changes at once.
pub(super) async fn commit_all(inner: &Inner, changes: Vec<Change>) -> Result<(), OnDemandError> {
    let policy = CommitPolicy::at(inner.context.clock.now());
    let committed = inner
        .context
        .on_disk(move |store| store.commit(changes, &policy))
        .await
        .map_err(OnDemandError::Engine)?;
    let mut refused = committed.refused.into_iter();
    match refused.find(|refusal| !refusal.error.is_synced()) {
        Some(refusal) => Err(OnDemandError::Engine(EngineError::Store(refusal.error))),
        None => Ok(()),
    }
}

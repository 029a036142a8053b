//! The second pass of an import: what is new is taken in and committed, project by project. Everything is checked once
//! more while it is written. A kill at any point leaves whole projects, old or new; running it again goes on.

use std::collections::BTreeSet;

use heliostat_pypi::ProjectName;
use heliostat_pypi::bundle::{
    BundleLimits, Content, Contents, Item, Line, PartKind, Place, Project, contents,
};
use heliostat_pypi::page::ProjectPage;
use heliostat_store::{
    Admission, Change, CommitPolicy, Expected, Keeper, Part, ProjectRecord, Put, Store, Validators,
    VerifiedBlob,
};
use tokio_util::sync::CancellationToken;

use super::Bundle;
use super::check::{Held, Standing, page};
use super::import::Origin;
use super::leaving::Leaving;
use crate::error::EngineError;
use crate::events::{Event, Events, ProjectOutcome};

/// Projects committed at once: enough to share the price of making them durable, few enough to be visible soon.
const BATCH_PROJECTS_MAX: usize = 128;
/// Bytes that wait for a commit.
const BATCH_BYTES_MAX: u64 = 1 << 30;
/// Stands for the upstream's address where the bundle does not tell it. The name cannot exist (RFC 6761).
const PLACE: &str = "http://bundle.invalid/simple/";

/// What the second pass did.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    pub(super) removed: u64,
    pub(super) newer: u64,
    pub(super) files: u64,
    pub(super) size_bytes: u64,
    pub(super) refused: Vec<String>,
    pub(super) stopped: bool,
}

/// Whether a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Take,
    PassOver,
}

/// Takes a bundle that was checked.
pub(super) struct Taker<'a> {
    store: &'a Store,
    events: &'a Events,
    now: i64,
    origin: &'a Origin,
    taken: Taken,
    batch: Vec<Change>,
    outcomes: Vec<(ProjectName, ProjectOutcome)>,
    batch_bytes: u64,
}

impl<'a> Taker<'a> {
    pub(super) fn new(
        store: &'a Store,
        events: &'a Events,
        (now, origin): (i64, &'a Origin),
    ) -> Self {
        Self {
            store,
            events,
            now,
            origin,
            taken: Taken::default(),
            batch: Vec::new(),
            outcomes: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Goes through the whole bundle, or until it is told to stop. `each` hears of every project's line.
    pub(super) fn take(
        mut self,
        bundle: &mut Bundle,
        leaving: &Leaving,
        cancel: &CancellationToken,
    ) -> Result<Taken, EngineError> {
        while let Some(line) = bundle.next_line()? {
            if cancel.is_cancelled() {
                self.taken.stopped = true;
                break;
            }
            match line {
                Line::Trust(item) if item.place == Place::Bundle => {
                    bundle.document(&item)?;
                }
                Line::Removed(name) if leaving.goes(&name) => self.remove(name)?,
                Line::Project(project) => self.project(bundle, &project)?,
                _ => {}
            }
        }
        self.commit()?;
        Ok(self.taken)
    }

    /// Removes projects beyond those that the bundle names.
    pub(super) fn remove_all(
        mut self,
        names: impl IntoIterator<Item = ProjectName>,
    ) -> Result<Taken, EngineError> {
        for name in names {
            self.remove(name)?;
        }
        self.commit()?;
        Ok(self.taken)
    }

    fn remove(&mut self, name: ProjectName) -> Result<(), EngineError> {
        if self.store.project_state(&name)?.is_none() {
            return Ok(());
        }
        self.outcomes.push((name.clone(), ProjectOutcome::Dropped));
        self.batch.push(Change::Drop { name });
        self.commit_when_full()
    }

    fn project(&mut self, bundle: &mut Bundle, project: &Project) -> Result<(), EngineError> {
        let held = Held::of(self.store, project)?;
        // The first pass saw that everything is there; what went since is told by the committer.
        let Some(page) = page(bundle, project, &held)? else {
            return Err(EngineError::BundleLacks { lacks: 1 });
        };
        let contents = contents(project, &page)?;
        let standing = held.standing(project, &page, &contents);
        let mut blobs = Vec::new();
        for content in &contents.parts {
            if content.item.place == Place::Base {
                continue;
            }
            let want = if standing == Standing::Older && !held.has(content) {
                Want::Take
            } else {
                Want::PassOver
            };
            if let Some(blob) = self.part(bundle, content, want)? {
                blobs.push(blob);
            }
        }
        match standing {
            Standing::Newer => self.taken.newer += 1,
            Standing::Same => self.taken.unchanged += 1,
            Standing::Older => {
                let upstream = project
                    .upstream
                    .clone()
                    .or_else(|| self.origin.upstream.clone());
                let confirmed_at = self.origin.made_at;
                let record = record(page, &contents, &held, (upstream, confirmed_at));
                self.outcomes
                    .push((project.name.clone(), ProjectOutcome::Updated));
                self.batch.push(Change::Put(Box::new(Put {
                    record,
                    blobs,
                    failures: Vec::new(),
                })));
                return self.commit_when_full();
            }
        }
        self.events.tell(Event::Project {
            project: project.name.clone(),
            outcome: ProjectOutcome::Unchanged,
        });
        Ok(())
    }

    /// Reads a part over, or takes it in.
    fn part(
        &mut self,
        bundle: &mut Bundle,
        content: &Content,
        want: Want,
    ) -> Result<Option<Admission>, EngineError> {
        let item = &content.item;
        if want == Want::PassOver {
            bundle.bytes(item, |_| Ok::<(), EngineError>(()))?;
            return Ok(None);
        }
        let blob = intake(self.store, bundle, item)?;
        self.events.tell(Event::Bytes {
            count: item.size_bytes,
        });
        self.taken.files += u64::from(content.kind == PartKind::File);
        self.taken.size_bytes += item.size_bytes;
        self.batch_bytes += item.size_bytes;
        Ok(Some(Admission {
            path: content.path.clone(),
            part: match content.kind {
                PartKind::File => Part::File,
                PartKind::Metadata => Part::Metadata,
                PartKind::Provenance => Part::Provenance,
            },
            blob,
        }))
    }

    fn commit_when_full(&mut self) -> Result<(), EngineError> {
        if self.batch.len() < BATCH_PROJECTS_MAX && self.batch_bytes < BATCH_BYTES_MAX {
            return Ok(());
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<(), EngineError> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let committed = self.store.commit(batch, &CommitPolicy::at(self.now))?;
        let refused: BTreeSet<Option<ProjectName>> = committed
            .refused
            .iter()
            .map(|refusal| refusal.project.clone())
            .collect();
        for refusal in committed.refused {
            let project = refusal.project.map(|name| name.to_string());
            self.taken.refused.push(format!(
                "`{}` {}: {}",
                project.unwrap_or_default(),
                refusal.item,
                refusal.error
            ));
        }
        for (project, outcome) in std::mem::take(&mut self.outcomes) {
            let outcome = if refused.contains(&Some(project.clone())) {
                ProjectOutcome::Failed
            } else {
                outcome
            };
            match outcome {
                ProjectOutcome::Updated => self.taken.updated += 1,
                ProjectOutcome::Dropped => self.taken.removed += 1,
                ProjectOutcome::Unchanged | ProjectOutcome::Failed => {}
            }
            self.events.tell(Event::Project { project, outcome });
        }
        Ok(())
    }
}

fn intake(store: &Store, bundle: &mut Bundle, item: &Item) -> Result<VerifiedBlob, EngineError> {
    let limit = item.size_bytes.min(BundleLimits::default().file_bytes_max);
    let mut intake = store.intake(limit)?;
    bundle.bytes(item, |chunk| Ok::<(), EngineError>(intake.write(chunk)?))?;
    Ok(intake.finish(&Expected {
        sha256: Some(item.sha256),
        size_bytes: Some(item.size_bytes),
    })?)
}

/// The record that publishes the page of the bundle. Where only some of its files are in it, those that are held already,
/// and that the page still lists, stay.
fn record(
    page: ProjectPage,
    contents: &Contents,
    held: &Held,
    (upstream, confirmed_at): (Option<String>, i64),
) -> ProjectRecord {
    let mut hidden = contents.left_out.clone();
    if let Some(old) = held.record().filter(|old| old.keeper == Keeper::Mirror) {
        for file in old.listed() {
            let stays = page
                .files
                .iter()
                .any(|new| new.path == file.path && new.sha256 == file.sha256);
            if stays {
                hidden.remove(file.filename());
            }
        }
    }
    ProjectRecord {
        published_serial: page.serial,
        page,
        hidden,
        keeper: Keeper::Mirror,
        validators: Validators::default(),
        confirmed_at,
        upstream: upstream.unwrap_or_else(|| PLACE.to_owned()),
    }
}

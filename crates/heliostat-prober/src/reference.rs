//! What is right: the index that mirrors are compared with, its newest changes and its pages, each asked for once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use heliostat_client::{Carried, Client, PageAnswer, SignedPage};
use heliostat_directory::EndpointId;
use heliostat_pypi::page::{PageFile, ProjectPage};
use heliostat_pypi::{ProjectName, Serial};
use heliostat_upstream::{Answer, Caches, Upstream, Validators};
use tokio::sync::OnceCell;

use crate::checks::CANARY;
use crate::error::ProbeError;
use crate::memory::{Memory, Withdrawn};
use crate::options::Limits;

type Known = Arc<OnceCell<Right>>;

/// An index whose word counts for a round.
#[derive(Debug)]
pub struct Reference {
    upstream: Upstream,
    /// What is signed of it, and verified; its pages are then the signed ones.
    signed: Option<Client>,
    /// Every project with a serial, the newest change first; the rest by name.
    changes: Vec<(Serial, ProjectName)>,
    projects: Vec<ProjectName>,
    pages: Mutex<BTreeMap<ProjectName, Known>>,
    /// What was seen of it before.
    memory: Mutex<Memory>,
}

/// What the reference says of one project.
#[derive(Debug, Clone)]
pub(crate) enum Right {
    /// Its page.
    Page(Arc<RightPage>),
    /// That there is none.
    Gone,
    /// Nothing that could be used.
    Unknown,
}

/// A page that is right.
#[derive(Debug)]
pub(crate) enum RightPage {
    /// Because the reference says so.
    Said(ProjectPage),
    /// Because the notary signed it.
    Signed(Arc<SignedPage>),
}

impl RightPage {
    /// What it says.
    pub(crate) fn page(&self) -> &ProjectPage {
        match self {
            Self::Said(page) => page,
            Self::Signed(signed) => &signed.page,
        }
    }

    /// The signed document, where there is one.
    pub(crate) fn signed(&self) -> Option<&SignedPage> {
        match self {
            Self::Said(_) => None,
            Self::Signed(signed) => Some(signed),
        }
    }
}

impl Reference {
    /// Asks an index for its list of projects.
    pub async fn open(upstream: Upstream) -> Result<Self, ProbeError> {
        let answer = upstream.list(&Validators::default(), Caches::Bypass).await;
        let list = match answer.map_err(ProbeError::ReadReference)? {
            Answer::Fresh(list) => list,
            Answer::Unchanged | Answer::Gone => return Err(ProbeError::EmptyReference),
        };
        let mut changes: Vec<(Serial, ProjectName)> = list
            .projects
            .iter()
            .filter_map(|(name, serial)| Some(((*serial)?, name.clone())))
            .collect();
        changes.sort_by(|one, other| other.cmp(one));
        let projects: Vec<ProjectName> = list.projects.into_iter().map(|(name, _)| name).collect();
        if projects.is_empty() {
            return Err(ProbeError::EmptyReference);
        }
        Ok(Self {
            upstream,
            signed: None,
            changes,
            projects,
            pages: Mutex::default(),
            memory: Mutex::default(),
        })
    }

    /// The same, of which only what verifies counts.
    pub async fn signed_by(mut self, client: Client) -> Result<Self, ProbeError> {
        let first = self.canary(CANARY).clone();
        client
            .page(&first)
            .await
            .map_err(ProbeError::VerifyReference)?;
        self.signed = Some(client);
        Ok(self)
    }

    /// The same, that goes on from what was seen of it before. What was seen of another reference is forgotten.
    #[must_use]
    pub fn remembering(self, memory: Memory) -> Self {
        *self.memory() = memory;
        self
    }

    /// Takes what this round saw into the memory, with what changed of what is remembered, and gives it as it then is.
    pub(crate) async fn learn(&self, limits: &Limits, now: i64) -> Memory {
        let newest = limits.changes_back_max.min(self.changes.len());
        let mut changed = (self.memory()).changed(&self.projects, &self.changes[..newest]);
        changed.truncate(limits.remembered);
        for project in &changed {
            self.right(project).await;
        }
        let seen: Vec<(ProjectName, Right)> = {
            let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            let seen =
                |(name, cell): (&ProjectName, &Known)| Some((name.clone(), cell.get()?.clone()));
            pages.iter().filter_map(seen).collect()
        };
        let mut memory = self.memory();
        for (project, right) in seen {
            match right {
                Right::Page(right) => memory.see(&project, Some(right.page()), now),
                Right::Gone => memory.see(&project, None, now),
                Right::Unknown => {}
            }
        }
        memory.trim(now);
        memory.clone()
    }

    /// What an endpoint can be asked for, though upstream took it away.
    pub(crate) fn withdrawn_for(&self, endpoint: &EndpointId) -> Vec<Withdrawn> {
        self.memory().withdrawn_for(endpoint)
    }

    /// Remembers what a mirror offers that is not there.
    pub(crate) fn offered(
        &self,
        (project, file): (&ProjectName, &PageFile),
        endpoint: &EndpointId,
        now: i64,
    ) {
        self.memory().offered((project, file), endpoint, now);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look at what a mirror carries of the reference's signed state; `None` where that is not known.
    pub(crate) async fn carried(&self) -> Option<Carried> {
        self.signed.as_ref()?.carried().await.ok()
    }

    /// The files that prove the signed page of a project, each with its path.
    pub(crate) async fn proof(&self, project: &ProjectName) -> Vec<(String, Bytes)> {
        match &self.signed {
            Some(client) => client.proof(project).await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Projects by their last change, the newest first; empty where the index tells no serials.
    pub(crate) fn changes(&self) -> &[(Serial, ProjectName)] {
        &self.changes
    }

    /// Every project.
    pub(crate) fn projects(&self) -> &[ProjectName] {
        &self.projects
    }

    /// The project that shows whether a mirror is there: this one where it is listed, else the one that has not changed
    /// for longest.
    pub(crate) fn canary(&self, wanted: &str) -> &ProjectName {
        let found = self
            .projects
            .binary_search_by(|name| name.as_str().cmp(wanted));
        match found {
            Ok(index) => &self.projects[index],
            Err(_) => self
                .changes
                .last()
                .map_or(&self.projects[0], |(_, name)| name),
        }
    }

    /// What is right of one project.
    pub(crate) async fn right(&self, project: &ProjectName) -> Right {
        let cell = {
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(pages.entry(project.clone()).or_default())
        };
        cell.get_or_init(|| self.ask(project)).await.clone()
    }

    async fn ask(&self, project: &ProjectName) -> Right {
        if let Some(client) = &self.signed {
            return match client.page(project).await {
                Ok(PageAnswer::Signed(page)) => Right::Page(Arc::new(RightPage::Signed(page))),
                Ok(PageAnswer::Absent) => Right::Gone,
                Ok(PageAnswer::Origin(_) | PageAnswer::Unknown) => Right::Unknown,
                Err(error) => {
                    tracing::warn!(%project, %error, "the reference does not give the signed page");
                    Right::Unknown
                }
            };
        }
        let fresh = Validators::default();
        match self.upstream.page(project, &fresh, Caches::Allow).await {
            Ok(Answer::Fresh(page)) => Right::Page(Arc::new(RightPage::Said(page.read.page))),
            Ok(Answer::Gone) => Right::Gone,
            Ok(Answer::Unchanged) | Err(_) => Right::Unknown,
        }
    }
}

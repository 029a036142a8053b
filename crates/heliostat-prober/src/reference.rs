//! What is right: the index that mirrors are compared with, its newest changes and its pages, each asked for once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use heliostat_pypi::page::ProjectPage;
use heliostat_pypi::{ProjectName, Serial};
use heliostat_upstream::{Answer, Caches, Upstream, Validators};
use tokio::sync::OnceCell;

use crate::error::ProbeError;

type Known = Arc<OnceCell<Right>>;

/// An index whose word counts for a round.
#[derive(Debug)]
pub struct Reference {
    upstream: Upstream,
    /// Every project with a serial, the newest change first; the rest by name.
    changes: Vec<(Serial, ProjectName)>,
    projects: Vec<ProjectName>,
    pages: Mutex<BTreeMap<ProjectName, Known>>,
}

/// What the reference says of one project.
#[derive(Debug, Clone)]
pub(crate) enum Right {
    /// Its page.
    Page(Arc<ProjectPage>),
    /// That there is none.
    Gone,
    /// Nothing that could be used.
    Unknown,
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
            changes,
            projects,
            pages: Mutex::default(),
        })
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
        let fresh = Validators::default();
        match self.upstream.page(project, &fresh, Caches::Allow).await {
            Ok(Answer::Fresh(page)) => Right::Page(Arc::new(page.read.page)),
            Ok(Answer::Gone) => Right::Gone,
            Ok(Answer::Unchanged) | Err(_) => Right::Unknown,
        }
    }
}

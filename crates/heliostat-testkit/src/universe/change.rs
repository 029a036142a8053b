//! Changes to an index. Each takes the next serial, or one that was reserved before.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{Presence, Project, Release, StoredFile, Universe, Yank};
use crate::fixture::{Artifact, normalise};

/// The upload time of the first change: 2026-01-01T00:00:00Z.
const FIRST_UPLOAD_SECONDS: i64 = 1_767_225_600;

/// How an index shows that a project is quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantine {
    /// PEP 792: the page says so and offers no files.
    Status,
    /// The page answers 404 while the root list still names the project.
    PageGone,
    /// Gone from the root list, and the page answers 404.
    Unlisted,
}

impl Universe {
    /// Adds a project with its releases in one change; adds the releases when the project is already there.
    pub fn add_project(&mut self, name: &str, releases: &[Release]) {
        let key = normalise(name);
        self.renamed.remove(&key);
        let time = self.next_upload_time();
        let built: Vec<_> = releases
            .iter()
            .map(|release| (release.version.clone(), release.build(name, &time)))
            .collect();
        for file in built.iter().flat_map(|(_, files)| files) {
            self.stored.insert(file.path(), Arc::clone(file));
        }
        self.projects
            .entry(key)
            .or_insert_with(|| Project::named(name));
        self.change(name, |project| {
            for (version, files) in built {
                if !project.versions.contains(&version) {
                    project.versions.push(version);
                }
                project.files.extend(files);
            }
        });
    }

    /// Adds one release.
    pub fn add_release(&mut self, name: &str, release: &Release) {
        self.add_project(name, std::slice::from_ref(release));
    }

    /// Adds one file to a release, new or not.
    pub fn add_file(&mut self, name: &str, version: &str, artifact: Artifact) {
        self.add_release(name, &Release::new(version).artifact(artifact));
    }

    /// Adds `count` names to the root list that have pages without files, all at the present serial. Costs no memory.
    pub fn add_bulk_names(&mut self, count: usize) {
        self.bulk_names += count;
        self.revision += 1;
    }

    /// Yanks every file of a release.
    pub fn yank(&mut self, name: &str, version: &str, reason: &str) {
        let yank = if reason.is_empty() {
            Yank::Yes
        } else {
            Yank::Because(reason.to_owned())
        };
        self.set_yanked(name, version, &yank);
    }

    /// Takes the yank of a release back.
    pub fn unyank(&mut self, name: &str, version: &str) {
        self.set_yanked(name, version, &Yank::No);
    }

    /// Deletes one file, also from the files host.
    pub fn delete_file(&mut self, name: &str, filename: &str) {
        let deleted = self.change(name, |project| {
            let at = project
                .files
                .iter()
                .position(|file| file.filename == filename);
            project
                .files
                .remove(at.unwrap_or_else(|| panic!("no file `{filename}` to delete")))
        });
        self.stored.remove(&deleted.path());
    }

    /// Deletes a release with its files.
    pub fn delete_release(&mut self, name: &str, version: &str) {
        let deleted = self.change(name, |project| {
            project.versions.retain(|other| other != version);
            let (deleted, kept) = std::mem::take(&mut project.files)
                .into_iter()
                .partition(|file| file.version == version);
            project.files = kept;
            deleted
        });
        self.forget(&deleted);
    }

    /// Deletes a project with its files.
    pub fn delete_project(&mut self, name: &str) {
        self.take_serial();
        self.revision += 1;
        let project = self.projects.remove(&normalise(name));
        let project = project.unwrap_or_else(|| panic!("no project `{name}` to delete"));
        self.forget(&project.files);
    }

    /// Quarantines a project. Its files stay reachable by their addresses.
    pub fn quarantine(&mut self, name: &str, how: Quarantine) {
        self.change(name, |project| {
            project.presence = match how {
                Quarantine::Status => Presence::WithoutFiles,
                Quarantine::PageGone => Presence::PageGone,
                Quarantine::Unlisted => Presence::Unlisted,
            };
            "quarantined".clone_into(&mut project.status);
        });
    }

    /// Ends a quarantine.
    pub fn restore(&mut self, name: &str) {
        self.change(name, |project| {
            project.presence = Presence::Whole;
            "active".clone_into(&mut project.status);
            project.status_reason = None;
        });
    }

    /// Sets the PEP 792 status.
    pub fn set_status(&mut self, name: &str, status: &str, reason: Option<&str>) {
        self.change(name, |project| {
            status.clone_into(&mut project.status);
            project.status_reason = reason.map(str::to_owned);
        });
    }

    /// Gives a project another name; the old page redirects to the new one.
    pub fn rename(&mut self, old: &str, new: &str) {
        let mut project = self
            .projects
            .remove(&normalise(old))
            .unwrap_or_else(|| panic!("no project `{old}` to rename"));
        new.clone_into(&mut project.display_name);
        self.projects.insert(normalise(new), project);
        self.renamed.insert(normalise(old), normalise(new));
        self.change(new, |_| ());
    }

    /// Replaces what `<file>.metadata` answers and advertises, without touching the file.
    pub fn set_metadata(&mut self, name: &str, filename: &str, metadata: Bytes) {
        self.change_file(name, filename, |file| file.metadata = Some(metadata));
    }

    /// Gives a file another provenance object, or takes the one it has away.
    pub fn set_provenance(&mut self, name: &str, filename: &str, provenance: Option<Bytes>) {
        self.change_file(name, filename, |file| file.provenance = provenance);
    }

    /// Bumps a project's serial without changing anything a page shows.
    pub fn touch(&mut self, name: &str) {
        self.change(name, |_| ());
    }

    /// Takes the next serial out of the row, so that a later change can commit it out of order.
    pub fn reserve_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The next change commits this serial instead of a new one.
    pub fn commit_next_with(&mut self, serial: u64) {
        self.reserved.push(serial);
    }

    /// Adds a release to every `step`th project, e.g. 100 for one per cent; returns how many changed.
    pub fn release_in_every(&mut self, step: usize, release: &Release) -> usize {
        let names: Vec<_> = self
            .projects
            .values()
            .step_by(step)
            .map(|project| project.display_name.clone())
            .collect();
        for name in &names {
            self.add_release(name, release);
        }
        names.len()
    }

    fn change_file(&mut self, name: &str, filename: &str, edit: impl FnOnce(&mut StoredFile)) {
        let file = self.change(name, |project| {
            let file = project
                .files
                .iter_mut()
                .find(|file| file.filename == filename);
            let file = file.unwrap_or_else(|| panic!("no file `{filename}` to change"));
            edit(Arc::make_mut(file));
            Arc::clone(file)
        });
        self.stored.insert(file.path(), file);
    }

    fn set_yanked(&mut self, name: &str, version: &str, yank: &Yank) {
        self.change(name, |project| {
            for file in project
                .files
                .iter_mut()
                .filter(|file| file.version == version)
            {
                Arc::make_mut(file).yanked = yank.clone();
            }
        });
    }

    fn forget(&mut self, files: &[Arc<StoredFile>]) {
        for file in files {
            self.stored.remove(&file.path());
        }
    }

    /// Every change of a project goes through here: it keeps what was, and stamps what is.
    fn change<R>(&mut self, name: &str, edit: impl FnOnce(&mut Project) -> R) -> R {
        let serial = self.take_serial();
        self.revision += 1;
        let project = self
            .projects
            .get_mut(&normalise(name))
            .unwrap_or_else(|| panic!("no project `{name}` to change"));
        let before = Project {
            previous: None,
            ..project.clone()
        };
        let result = edit(project);
        project.serial = serial;
        project.revision = self.revision;
        // A project that was only just made has no past.
        project.previous = (before.revision > 0).then(|| Arc::new(before));
        result
    }

    fn take_serial(&mut self) -> u64 {
        self.reserved.pop().unwrap_or_else(|| self.reserve_serial())
    }

    /// One minute later with every change, so that ages differ and never depend on the clock.
    fn next_upload_time(&self) -> String {
        let minutes = i64::try_from(self.revision).expect("fewer changes than that");
        let first = Timestamp::from_second(FIRST_UPLOAD_SECONDS).expect("a moment in 2026");
        let time = first + SignedDuration::from_mins(minutes);
        time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }
}

impl Project {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            display_name: name.to_owned(),
            serial: 0,
            status: "active".to_owned(),
            status_reason: None,
            presence: Presence::Whole,
            versions: Vec::new(),
            files: Vec::new(),
            revision: 0,
            previous: None,
        }
    }
}

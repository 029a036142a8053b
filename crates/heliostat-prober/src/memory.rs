//! What the reference was seen to have in earlier rounds, and what it has taken away since.
//!
//! A mirror's page can be clean while a cache before it still hands out what was deleted. Nobody's page names such a file
//! any more, so that only who remembers it can ask for it. Pure; kept by whoever keeps the list.

use std::collections::BTreeMap;

use heliostat_directory::EndpointId;
use heliostat_pypi::page::{PageFile, ProjectPage, StatusKind};
use heliostat_pypi::{ProjectName, Serial, Sha256, TreePath};
use serde::{Deserialize, Serialize};

/// Projects whose pages are remembered; those that were looked at longest ago are forgotten first.
const PROJECTS_MAX: usize = 2000;
/// Files of one page that are remembered, the newest ones.
const FILES_MAX: usize = 200;
/// Withdrawn files that are remembered, the last ones.
const WITHDRAWN_MAX: usize = 2000;
/// For how long mirrors are asked for a file that was withdrawn.
const WITHDRAWN_SECONDS_MAX: i64 = 30 * 86_400;

/// What was seen of one reference over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Memory {
    /// The reference's address; what another one lacks is no withdrawal.
    pub reference: String,
    /// The pages of projects as they were last seen.
    #[serde(default)]
    pages: BTreeMap<ProjectName, Remembered>,
    /// What was on them, or on a mirror's, and is not there any more.
    #[serde(default)]
    withdrawn: Vec<Withdrawn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Remembered {
    /// When it was last looked at, in seconds since 1970.
    at: i64,
    /// The serial that it then had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    files: Vec<RememberedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RememberedFile {
    path: TreePath,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
}

/// A file that upstream took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Withdrawn {
    pub(crate) project: ProjectName,
    /// Where trees that are laid out as PyPI's have it.
    pub(crate) path: TreePath,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<Sha256>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size_bytes: Option<u64>,
    /// When it was first seen to be gone, in seconds since 1970.
    pub(crate) since: i64,
    /// Whose page offered it after that, and at which address. Only there it is asked for, for nobody else told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offered: Option<Offered>,
}

/// Where one mirror offered a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Offered {
    pub(crate) endpoint: EndpointId,
    pub(crate) url: String,
}

impl Memory {
    /// Nothing yet of this reference.
    pub fn of(reference: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            ..Self::default()
        }
    }

    /// The page of a project as the reference gives it now; `None` where the project is gone.
    pub(crate) fn see(&mut self, project: &ProjectName, page: Option<&ProjectPage>, now: i64) {
        // Whoever quarantines takes nothing away for good, and need not remove a byte.
        if page.is_some_and(|page| page.status.kind == StatusKind::Quarantined) {
            return;
        }
        let files: Vec<&PageFile> = page.map_or_else(Vec::new, |page| page.files.iter().collect());
        let is_there = |path: &TreePath| {
            let same = |file: &&PageFile| file.path.filename() == path.filename();
            files.iter().any(same)
        };
        self.withdrawn
            .retain(|one| one.project != *project || !is_there(&one.path));
        if let Some(before) = self.pages.remove(project) {
            let gone = before
                .files
                .into_iter()
                .filter(|file| !is_there(&file.path));
            for file in gone {
                self.withdraw(Withdrawn {
                    project: project.clone(),
                    path: file.path,
                    sha256: file.sha256,
                    size_bytes: file.size_bytes,
                    since: now,
                    offered: None,
                });
            }
        }
        let Some(page) = page else { return };
        let newest = files.len().saturating_sub(FILES_MAX);
        let remembered = Remembered {
            at: now,
            serial: page.serial.map(|serial| serial.0),
            files: files[newest..]
                .iter()
                .map(|file| RememberedFile {
                    path: file.path.clone(),
                    sha256: file.sha256,
                    size_bytes: file.size_bytes,
                })
                .collect(),
        };
        self.pages.insert(project.clone(), remembered);
    }

    /// A mirror's page offers what upstream does not have.
    pub(crate) fn offered(
        &mut self,
        (project, file): (&ProjectName, &PageFile),
        endpoint: &EndpointId,
        now: i64,
    ) {
        self.withdraw(Withdrawn {
            project: project.clone(),
            path: file.path.clone(),
            sha256: file.sha256,
            size_bytes: file.size_bytes,
            since: now,
            offered: Some(Offered {
                endpoint: endpoint.clone(),
                url: file.url.clone(),
            }),
        });
    }

    fn withdraw(&mut self, one: Withdrawn) {
        let known = self.withdrawn.iter().any(|other| {
            other.project == one.project
                && other.path.filename() == one.path.filename()
                && other.offered.as_ref().map(|offered| &offered.endpoint)
                    == one.offered.as_ref().map(|offered| &offered.endpoint)
        });
        if !known {
            self.withdrawn.push(one);
        }
    }

    /// Forgets what is too old or too much.
    pub(crate) fn trim(&mut self, now: i64) {
        self.withdrawn
            .retain(|one| now - one.since <= WITHDRAWN_SECONDS_MAX);
        let excess = self.withdrawn.len().saturating_sub(WITHDRAWN_MAX);
        self.withdrawn.drain(..excess);
        while self.pages.len() > PROJECTS_MAX {
            let oldest = self.pages.iter().min_by_key(|(_, page)| page.at);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.pages.remove(&name);
        }
    }

    /// Remembered projects that are not among all of them any more, or whose serial is newer than the remembered one.
    /// `all` is sorted.
    pub(crate) fn changed(
        &self,
        all: &[ProjectName],
        changes: &[(Serial, ProjectName)],
    ) -> Vec<ProjectName> {
        let is_gone = |name: &&ProjectName| all.binary_search(name).is_err();
        let gone = self.pages.keys().filter(is_gone);
        let is_newer = |(serial, name): &&(Serial, ProjectName)| {
            let page = self.pages.get(name);
            page.is_some_and(|page| Some(serial.0) > page.serial)
        };
        let newer = changes.iter().filter(is_newer).map(|(_, name)| name);
        gone.chain(newer).cloned().collect()
    }

    /// What an endpoint can be asked for, though upstream took it away.
    pub(crate) fn withdrawn_for(&self, endpoint: &EndpointId) -> Vec<Withdrawn> {
        let its = |one: &&Withdrawn| {
            let offered = one.offered.as_ref();
            offered.is_none_or(|offered| offered.endpoint == *endpoint)
        };
        self.withdrawn.iter().filter(its).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ProjectName {
        text.parse().unwrap()
    }

    fn page(project: &str, serial: u64, files: &[&str]) -> ProjectPage {
        let files: Vec<_> = files
            .iter()
            .map(|file| {
                serde_json::json!({
                    "path": format!("packages/aa/bb/{}/{file}", "c".repeat(60)),
                    "url": format!("https://files.example/{file}"),
                })
            })
            .collect();
        serde_json::from_value(
            serde_json::json!({"name": project, "serial": serial, "files": files}),
        )
        .unwrap()
    }

    fn known(memory: &Memory, endpoint: &str) -> Vec<(String, i64)> {
        let endpoint = endpoint.to_owned().try_into().unwrap();
        let all = memory.withdrawn_for(&endpoint);
        all.iter()
            .map(|one| (one.path.filename().to_owned(), one.since))
            .collect()
    }

    #[test]
    fn what_a_page_had_and_has_no_more_is_known_until_it_is_back_or_a_month_is_over() {
        let mut memory = Memory::of("https://reference.example/simple/");
        let alpha = name("alpha");
        memory.see(&alpha, Some(&page("alpha", 5, &["a.whl", "b.whl"])), 100);
        assert_eq!(known(&memory, "m"), []);
        memory.see(&alpha, Some(&page("alpha", 6, &["b.whl"])), 200);
        memory.see(&alpha, Some(&page("alpha", 6, &["b.whl"])), 300);
        assert_eq!(known(&memory, "m"), [("a.whl".to_owned(), 200)]);
        memory.see(&alpha, None, 400);
        assert_eq!(known(&memory, "m").len(), 2);
        memory.see(&alpha, Some(&page("alpha", 9, &["a.whl"])), 500);
        assert_eq!(known(&memory, "m"), [("b.whl".to_owned(), 400)]);
        memory.trim(400 + WITHDRAWN_SECONDS_MAX + 1);
        assert_eq!(known(&memory, "m"), []);
    }

    #[test]
    fn what_one_mirror_alone_offered_is_asked_for_there_only() {
        let mut memory = Memory::default();
        let theirs = page("alpha", 5, &["x.whl"]);
        let endpoint = "liar".to_owned().try_into().unwrap();
        let alpha = name("alpha");
        memory.offered((&alpha, &theirs.files[0]), &endpoint, 100);
        memory.offered((&alpha, &theirs.files[0]), &endpoint, 200);
        assert_eq!(known(&memory, "liar"), [("x.whl".to_owned(), 100)]);
        assert_eq!(known(&memory, "other"), []);
    }

    #[test]
    fn projects_that_changed_or_vanished_are_looked_at_again_and_few_are_remembered() {
        let mut memory = Memory::default();
        for (index, project) in ["alpha", "beta", "gamma"].into_iter().enumerate() {
            memory.see(
                &name(project),
                Some(&page(project, 5, &["f.whl"])),
                i64::try_from(index).unwrap(),
            );
        }
        let all = [name("alpha"), name("beta")];
        let changes = [(Serial(6), name("beta")), (Serial(5), name("alpha"))];
        assert_eq!(
            memory.changed(&all, &changes),
            [name("gamma"), name("beta")]
        );
        for index in 0..PROJECTS_MAX {
            let project = format!("p{index}");
            memory.see(&name(&project), Some(&page(&project, 1, &[])), 1000);
        }
        memory.trim(1000);
        assert_eq!(memory.pages.len(), PROJECTS_MAX);
        assert!(!memory.pages.contains_key(&name("alpha")));
    }
}

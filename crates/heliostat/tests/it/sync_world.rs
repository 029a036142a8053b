//! What the tests of `sync` add to a world: what a run should have asked for, and whether a data directory holds
//! exactly what the upstream holds and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use heliostat_testkit::fixture::sha256_hex;
use heliostat_testkit::process::Finished;
use heliostat_testkit::pypi::{FakePyPi, Kind};
use heliostat_testkit::tree::{
    Expect, Page, Problem, What, assert_mirrors, assert_none, check_data, compare_with,
};
use heliostat_testkit::universe::{BenchSet, MetadataOffer, Release, Universe, Yank};
use serde_json::Value;

use crate::world::World;

/// What may lie in `state/` between runs.
const STATE: [&str; 8] = [
    "catalog.sqlite",
    "catalog.sqlite-shm",
    "catalog.sqlite-wal",
    "commit.lock",
    "publish.lock",
    "incoming",
    "keys",
    "sync.lock",
];

/// Six projects with a bit of everything that an index can say.
pub(crate) fn small() -> Universe {
    let mut universe = Universe::new();
    universe.add_project(
        "Alpha",
        &[
            Release::simple("1.0"),
            Release::new("2.0")
                .wheel()
                .requires_dist("beta>=1")
                .requires_python(">=3.8"),
        ],
    );
    universe.add_project("beta", &[Release::simple("1.0").provenance()]);
    universe.add_project(
        "gamma.core",
        &[
            Release::new("1.0").wheel().sdist(),
            Release::new("1.1")
                .wheel_tagged("cp312-cp312-manylinux_2_17_x86_64")
                .wheel_tagged("cp312-cp312-win_amd64"),
        ],
    );
    universe.add_project(
        "delta",
        &[Release::new("0.9").sdist(), Release::new("1.0rc1").sdist()],
    );
    universe.add_project(
        "epsilon",
        &[
            Release::new("1.0")
                .wheel()
                .yanked(Yank::Because("broken & <bad>".to_owned())),
            Release::new("1.1").wheel(),
        ],
    );
    universe.add_project("zeta", &[Release::simple("3.0").payload_bytes(20_000)]);
    universe
}

/// So many projects of three small files each.
pub(crate) fn many(projects: usize) -> Universe {
    BenchSet {
        projects,
        wheels: 2,
        sdists: 1,
        file_bytes: 3000,
    }
    .universe()
}

/// The requests of each kind that taking everything needs, and no more.
pub(crate) fn needed(universe: &Universe) -> BTreeMap<Kind, u64> {
    let mut needed = BTreeMap::from([(Kind::List, 1)]);
    let mut add = |kind| *needed.entry(kind).or_default() += 1;
    for (_, project) in universe
        .projects()
        .filter(|(_, project)| project.is_listed())
    {
        add(Kind::Page);
        for file in project.offered() {
            add(Kind::File);
            // What has a digest on its page is in the wheel, and need not be asked for.
            if file.offered_metadata().is_some() && file.metadata_offer == MetadataOffer::Unhashed {
                add(Kind::Metadata);
            }
            if file.provenance.is_some() {
                add(Kind::Provenance);
            }
        }
    }
    needed
}

/// The requests of each kind that were made.
pub(crate) fn asked(pypi: &FakePyPi) -> BTreeMap<Kind, u64> {
    Kind::ALL
        .into_iter()
        .map(|kind| (kind, pypi.count(kind)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// A universe in which no wheel's metadata is offered.
pub(crate) fn without_metadata() -> Universe {
    let mut universe = Universe::new();
    for name in ["alpha", "beta"] {
        let release = Release::simple("1.0").metadata(MetadataOffer::Absent);
        universe.add_project(name, &[release]);
    }
    universe
}

impl World {
    /// Fails the test unless the data directory holds exactly what the upstream holds, and nothing lies about in it.
    #[track_caller]
    pub(crate) fn assert_in_step(&self) {
        self.assert_in_step_as(&Expect::default());
    }

    /// The same for a part of the upstream, or another kind of tree.
    #[track_caller]
    pub(crate) fn assert_in_step_as(&self, expect: &Expect) {
        let universe = self.pypi.universe();
        assert_mirrors(self.heliostat.data(), &universe, expect);
        self.assert_provenance();
        assert_no_litter(self.heliostat.data());
    }

    /// Fails the test unless the mirror is one of exactly these projects.
    #[track_caller]
    pub(crate) fn assert_holds(&self, names: &[&str]) {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(self.projects(), names);
    }

    /// Fails the test unless every promise of the tree is kept: whatever is missing, no page names it.
    #[track_caller]
    pub(crate) fn assert_consistent(&self) {
        assert_none(&check_data(self.heliostat.data(), &Expect::default()));
        assert_no_litter(self.heliostat.data());
    }

    /// Fails the test if a client that follows a page of the tree would get an error or wrong bytes. What lies about,
    /// and that the documents of one project or the root list are not all from the same moment, is no concern: this is
    /// for the time between a kill and the next run.
    #[track_caller]
    pub(crate) fn assert_safe_for_clients(&self) {
        let problems: Vec<Problem> = check_data(self.heliostat.data(), &Expect::default())
            .into_iter()
            .filter(|problem| problem.what.is_bad_for_clients())
            .filter(|problem| {
                problem.what != What::Missing || !problem.place.starts_with("simple/")
            })
            .collect();
        assert_none(&problems);
    }

    /// What the upstream has and the tree has not, or otherwise.
    pub(crate) fn behind(&self) -> Vec<Problem> {
        let universe = self.pypi.universe();
        compare_with(&self.heliostat.web(), &universe, &Expect::default())
    }

    /// Fails the test unless a run against a misbehaving upstream told the truth: its exit code, its ledger and the
    /// serial it claims say what is missing, and what is there is right.
    #[track_caller]
    pub(crate) fn assert_honest(&self, run: &Finished) {
        self.assert_consistent();
        let behind = self.behind();
        let expected = i32::from(!behind.is_empty());
        assert!(
            run.code() == Some(expected) || run.code() == Some(1),
            "{} differences, first {:?}\n{run}",
            behind.len(),
            behind.first()
        );
        let failed: BTreeSet<String> = self
            .ledger()
            .into_iter()
            .map(|(project, _)| project)
            .collect();
        assert_eq!(
            run.code() == Some(1),
            !failed.is_empty(),
            "{failed:?}\n{run}"
        );
        let universe = self.pypi.universe();
        for problem in &behind {
            assert!(failed.contains(&problem.place), "{problem}\n{failed:?}");
            let serial = universe
                .project(&problem.place)
                .map(|project| project.serial);
            assert!(
                self.claimed_serial() < serial,
                "claims {:?} and lacks {problem} of {serial:?}",
                self.claimed_serial()
            );
        }
    }

    /// Fails the test unless one run makes everything right, and a further one finds nothing to do.
    #[track_caller]
    pub(crate) fn assert_heals(&self) {
        self.sync(&[]).assert_code(0);
        self.assert_in_step();
        assert_eq!(self.ledger(), BTreeSet::new());
        self.pypi.clear_log();
        let settled = self.sync(&[]);
        settled.assert_code(0);
        assert_eq!(
            asked(&self.pypi),
            BTreeMap::from([(Kind::List, 1)]),
            "{settled}"
        );
    }

    /// Every project with a folder under `simple/`.
    pub(crate) fn projects(&self) -> BTreeSet<String> {
        let Ok(entries) = std::fs::read_dir(self.heliostat.web().join("simple")) else {
            return BTreeSet::new();
        };
        entries
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    /// A page of the tree.
    #[track_caller]
    pub(crate) fn page(&self, name: &str) -> Page {
        let path = self
            .heliostat
            .web()
            .join(format!("simple/{name}/index.v1_json"));
        Page::from_json(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The files that a page of the tree lists.
    #[track_caller]
    pub(crate) fn listed(&self, name: &str) -> Vec<String> {
        self.page(name).files.into_keys().collect()
    }

    /// The files whose upstream requests were answered since the log was cleared.
    pub(crate) fn files_fetched(&self) -> BTreeSet<String> {
        self.pypi
            .requests_of(Kind::File)
            .into_iter()
            .filter_map(|request| request.path.rsplit('/').next().map(str::to_owned))
            .collect()
    }

    /// `status --json`.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.heliostat.command("status").arg("--json").run().json()
    }

    /// What stands in the ledger: project and item.
    #[track_caller]
    pub(crate) fn ledger(&self) -> BTreeSet<(String, String)> {
        let status = self.status();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        status["failures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (text(&entry["project"]), text(&entry["item"])))
            .collect()
    }

    /// The serial that the root list claims.
    pub(crate) fn claimed_serial(&self) -> Option<u64> {
        let path = self.heliostat.web().join("simple/index.v1_json");
        let list: Value = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
        list["meta"]["_last-serial"].as_u64()
    }

    /// The whole tree but its time stamp and what it says of itself: path to digest.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut tree = digests(&self.heliostat.web());
        tree.retain(|path, _| {
            !path.ends_with("last-modified") && !path.ends_with("heliostat-mirror.json")
        });
        tree
    }

    #[track_caller]
    fn assert_provenance(&self) {
        let universe = self.pypi.universe();
        for (name, project) in universe.projects() {
            for file in project.offered() {
                let Some(document) = &file.provenance else {
                    continue;
                };
                let path = format!(
                    "integrity/{name}/{}/{}/provenance",
                    file.version, file.filename
                );
                let Ok(held) = std::fs::read(self.heliostat.web().join(&path)) else {
                    continue;
                };
                assert_eq!(sha256_hex(&held), sha256_hex(document), "{path}");
            }
        }
    }
}

/// Every file below a directory: path to digest.
pub(crate) fn digests(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for path in walk(directory).0 {
        let bytes = std::fs::read(&path).unwrap();
        found.insert(
            path.strip_prefix(directory).unwrap().to_owned(),
            sha256_hex(&bytes),
        );
    }
    found
}

/// Fails the test if anything lies in a data directory that has no place there, an empty folder included.
#[track_caller]
pub(crate) fn assert_no_litter(data: &Path) {
    let names = |directory: &Path| -> BTreeSet<String> {
        std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names(data), ["state", "web"].map(str::to_owned).into());
    let litter: Vec<_> = names(&data.join("state"))
        .into_iter()
        .filter(|name| !STATE.contains(&name.as_str()))
        .collect();
    assert!(litter.is_empty(), "in state/: {litter:?}");
    assert_eq!(names(&data.join("state/incoming")), BTreeSet::new());
    let web = data.join("web");
    let empty: Vec<_> = walk(&web)
        .1
        .into_iter()
        .filter(|directory| *directory != web && directory.parent() != Some(&web))
        .collect();
    assert!(empty.is_empty(), "empty folders: {empty:?}");
}

/// Every file, and every empty folder, below a directory.
fn walk(directory: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut empty) = (Vec::new(), Vec::new());
    let mut waiting = vec![directory.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        if entries.is_empty() {
            empty.push(folder);
            continue;
        }
        for entry in entries {
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    (files, empty)
}

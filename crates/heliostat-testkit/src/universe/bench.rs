//! Universes of the sizes that docs/benchmarks.md compares on.

use bytes::Bytes;

use super::{Release, Universe};
use crate::fixture::{Artifact, payload};

/// How large a benchmark universe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchSet {
    /// Projects, one release each.
    pub projects: usize,
    /// Wheels in each release; each offers its metadata.
    pub wheels: usize,
    /// Sdists in each release.
    pub sdists: usize,
    /// The size of each file, to within a few hundred bytes.
    pub file_bytes: usize,
}

/// What a fixture takes beside its payload, roughly.
const OVERHEAD_BYTES: usize = 1100;

impl BenchSet {
    /// 2,000 projects × 5 files × 20 kB: 10,000 files, 6,000 `.metadata`.
    pub const A: Self = Self {
        projects: 2000,
        wheels: 3,
        sdists: 2,
        file_bytes: 20_000,
    };
    /// 20,000 projects × 2 files × 2.8 kB.
    pub const B: Self = Self {
        projects: 20_000,
        wheels: 1,
        sdists: 1,
        file_bytes: 2800,
    };
    /// 500 projects × 5 files × 20 kB, for runs with faults.
    pub const R: Self = Self {
        projects: 500,
        ..Self::A
    };

    /// Makes the universe. Names are `project-00000` and on; every project depends on its neighbour's name being there.
    pub fn universe(self) -> Universe {
        let mut universe = Universe::new();
        for index in 0..self.projects {
            universe.add_project(&Self::name(index), &self.releases(index));
        }
        universe
    }

    /// The name of project number `index`.
    pub fn name(index: usize) -> String {
        format!("project-{index:05}")
    }

    fn releases(self, index: usize) -> Vec<Release> {
        const TAGS: [&str; 4] = [
            "py3-none-any",
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp313-cp313-macosx_11_0_arm64",
            "cp313-cp313-win_amd64",
        ];
        assert!(
            self.wheels <= TAGS.len(),
            "at most {} wheels a project",
            TAGS.len()
        );
        // One release for each sdist, since a release has at most one; the wheels go to the newest.
        let newest = self.sdists.max(1);
        (1..=newest)
            .map(|number| {
                let mut release = Release::new(&format!("{number}.0"))
                    .payload_bytes(self.file_bytes.saturating_sub(OVERHEAD_BYTES))
                    .requires_python(">=3.8");
                if number <= self.sdists {
                    release = release.sdist();
                }
                if number == newest {
                    release = TAGS
                        .iter()
                        .take(self.wheels)
                        .fold(release, |release, tags| release.wheel_tagged(tags));
                    if index > 0 && index.is_multiple_of(10) {
                        release = release.requires_dist(&format!("{}>=1", Self::name(index - 1)));
                    }
                }
                release
            })
            .collect()
    }
}

impl Universe {
    /// Adds a project with `files` tiny files over `files / 20` versions, all on one page. They are not installable.
    pub fn add_large_project(&mut self, name: &str, files: usize) {
        let releases: Vec<_> = (0..files.div_ceil(20))
            .map(|number| {
                let version = format!("1.{number}");
                (number * 20..files.min(number * 20 + 20)).fold(
                    Release::new(&version),
                    |release, index| {
                        let filename = format!(
                            "{}-{version}-py3-none-tag_{index}.whl",
                            crate::fixture::underscored(name)
                        );
                        let bytes = Bytes::from(payload(&filename, 48));
                        release.artifact(Artifact {
                            filename,
                            bytes,
                            metadata: None,
                            requires_python: Some(">=3.8".to_owned()),
                        })
                    },
                )
            })
            .collect();
        self.add_project(name, &releases);
    }
}

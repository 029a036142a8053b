//! What most tests need: a PyPI that misbehaves, one heliostat with a data directory of its own, and the two joined.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heliostat_testkit::process::{Finished, Heliostat, Invocation, Serving};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::tree::{Expect, Held, assert_mirrors, assert_none, check_data};
use heliostat_testkit::universe::{StoredFile, Universe};
use tempfile::TempDir;

/// How long a test waits for something that is sure to come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Options that keep a failing upstream from taking long.
pub(crate) const QUICK: [&str; 4] = ["--tries", "2", "--read-timeout", "1"];

/// An upstream and a mirror of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) pypi: FakePyPi,
    pub(crate) heliostat: Heliostat,
    directory: TempDir,
}

impl World {
    /// An ordinary upstream that holds this, and an empty data directory.
    pub(crate) fn new(universe: Universe) -> Self {
        Self::with(FakePyPi::serve(universe))
    }

    /// An upstream as it is, and an empty data directory.
    pub(crate) fn with(pypi: FakePyPi) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let heliostat = heliostat(&directory.path().join("data"));
        Self {
            pypi,
            heliostat,
            directory,
        }
    }

    /// The same mirror with another upstream behind it.
    pub(crate) fn moved_to(self, pypi: FakePyPi) -> Self {
        Self { pypi, ..self }
    }

    /// The same upstream with a mirror elsewhere.
    pub(crate) fn kept_in(self, data: &Path) -> Self {
        Self {
            heliostat: heliostat(data),
            ..self
        }
    }

    /// A place of this test's own, beside the data directory.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `heliostat sync ARGUMENTS…` from the upstream.
    pub(crate) fn sync(&self, arguments: &[&str]) -> Finished {
        let arguments = [&QUICK[..], arguments].concat();
        self.heliostat.sync(&self.pypi.index_url(), &arguments)
    }

    /// `heliostat serve ARGUMENTS…` with the upstream behind it, once it listens.
    #[track_caller]
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serving {
        let upstream = self.pypi.index_url();
        let all = [&["--upstream", upstream.as_str()][..], &QUICK, arguments].concat();
        self.heliostat.serve(all)
    }

    /// `heliostat verify ARGUMENTS…` with the upstream for repairs.
    pub(crate) fn verify(&self, arguments: &[&str]) -> Finished {
        let upstream = self.pypi.index_url();
        let all = [&["--upstream", upstream.as_str()][..], &QUICK, arguments].concat();
        self.heliostat.verify(&all)
    }

    /// A file that the upstream holds.
    #[track_caller]
    pub(crate) fn file(&self, filename: &str) -> StoredFile {
        let universe = self.pypi.universe();
        let file = universe.stored_by_filename(filename);
        StoredFile::clone(file.unwrap_or_else(|| panic!("there is no `{filename}`")))
    }

    /// Where a file of the upstream lies in our tree.
    #[track_caller]
    pub(crate) fn path_in_tree(&self, filename: &str) -> PathBuf {
        self.heliostat.web().join(self.file(filename).path())
    }

    /// Fails the test unless the tree is right in itself and the same as the upstream.
    #[track_caller]
    pub(crate) fn assert_mirrors(&self) {
        let universe = self.pypi.universe();
        assert_mirrors(self.heliostat.data(), &universe, &Expect::default());
    }

    /// Fails the test unless whatever is held is right, and nothing lies about.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let expect = Expect {
            files: Held::Some,
            ..Expect::default()
        };
        assert_none(&check_data(self.heliostat.data(), &expect));
    }
}

/// The program under test, over a data directory.
pub(crate) fn heliostat(data: &Path) -> Heliostat {
    Heliostat::new(env!("CARGO_BIN_EXE_heliostat"), data)
}

/// The program under test, without any argument.
pub(crate) fn bare() -> Invocation {
    heliostat(Path::new("/nonexistent")).bare()
}

/// Waits until something is so; what never comes fails the test.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails the test unless each of these stands in a text.
#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

//! Virtual environments with Python programs: peers to measure beside, and installers to try.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{self, find};
use crate::workspace::Workspace;

/// The oldest Python that today's peers take.
const OLDEST_MINOR: u32 = 9;
/// The newest minor version looked for by name.
const NEWEST_MINOR: u32 = 15;

/// A virtual environment under `target/`, kept between runs.
#[derive(Debug)]
pub(crate) struct Environment {
    directory: PathBuf,
}

impl Environment {
    /// `target/<area>/<name>`, made with the newest Python of this machine and filled by pip where it is not there yet.
    pub(crate) fn ensure(
        workspace: &Workspace,
        area: &str,
        name: &str,
        packages: &[&str],
    ) -> Result<Self> {
        let environment = Self {
            directory: workspace.target_directory().join(area).join(name),
        };
        // Written last, so that an installation which broke off is begun again.
        let finished = environment.directory.join("finished");
        if finished.is_file() {
            return Ok(environment);
        }
        let python = newest().context("no Python 3 on PATH")?;
        let talk = || Stdio::from(std::io::stderr());
        let mut make = Command::new(python);
        command::run(
            make.args(["-m", "venv", "--clear"])
                .arg(&environment.directory)
                .stdout(talk()),
        )?;
        let mut install = Command::new(environment.program("pip"));
        install
            .args([
                "install",
                "--quiet",
                "--upgrade",
                "--upgrade-strategy",
                "eager",
            ])
            .args(packages);
        command::run(install.env("PIP_NO_INPUT", "1").stdout(talk()))?;
        fs::write(&finished, "")
            .with_context(|| format!("failed to write `{}`", finished.display()))?;
        Ok(environment)
    }

    /// A program of this environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    /// A package's name and installed version, for the heading of a table.
    pub(crate) fn version(&self, package: &str) -> Result<String> {
        let code = format!("import importlib.metadata as m; print(m.version('{package}'))");
        let version = command::stdout_of(Command::new(self.program("python")).args(["-c", &code]))?;
        Ok(format!("{package} {}", version.trim()))
    }
}

/// The newest Python 3 here: by name on `PATH`, else among the versions that pyenv keeps, else `python3`.
fn newest() -> Option<PathBuf> {
    let named = (OLDEST_MINOR..=NEWEST_MINOR).rev().find_map(|minor| {
        let candidates = [find(&format!("python3.{minor}")), kept_by_pyenv(minor)];
        candidates
            .into_iter()
            .flatten()
            .find(|candidate| works(candidate))
    });
    named.or_else(|| find("python3").filter(|candidate| works(candidate)))
}

fn kept_by_pyenv(minor: u32) -> Option<PathBuf> {
    let root = env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".pyenv")))?;
    let wanted = format!("3.{minor}.");
    let is_wanted = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&wanted);
    let version = fs::read_dir(root.join("versions"))
        .ok()?
        .flatten()
        .find(is_wanted)?;
    Some(version.path().join("bin/python3")).filter(|program| program.is_file())
}

/// A name on `PATH` may be a shim that answers for no installed version.
fn works(python: &Path) -> bool {
    let mut probe = Command::new(python);
    probe
        .args(["-c", "import venv, ensurepip"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Where an installer puts what it installs: emptied before each use.
pub(crate) fn empty_directory(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("failed to empty `{}`: {error}", path.display()),
    }
    fs::create_dir_all(path).with_context(|| format!("failed to make `{}`", path.display()))
}

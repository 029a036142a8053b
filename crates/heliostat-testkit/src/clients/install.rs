//! Getting clients: Python tools into virtual environments below `target/clients`, others from Debian.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Skip;
use crate::process::find_program;

/// A Python tool, each in a virtual environment of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The newest pip there is.
    PipNewest,
    /// pip 23.3, the last before many changes to how it treats indexes.
    Pip23,
    /// uv.
    Uv,
    /// twine.
    Twine,
    /// The newest bandersnatch that this machine's Python can run.
    Bandersnatch,
    /// poetry.
    Poetry,
    /// pdm.
    Pdm,
    /// pipenv.
    Pipenv,
    /// pypi-attestations: PyPI's own verifier of provenance, with the real files and attestations of its tests.
    PypiAttestations,
    /// python-tuf, the reference implementation of TUF: a library.
    PythonTuf,
    /// pip-tools: pip-compile.
    PipTools,
    /// tox.
    Tox,
    /// zc.buildout.
    Buildout,
    /// jsonschema, the reference validator of Python's: a library.
    JsonSchema,
    /// feedparser and Prometheus's own parser: what reads what a list of mirrors publishes.
    Readers,
}

/// A program that comes from Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebianPackage {
    /// nginx.
    Nginx,
    /// chromium, headless. Large.
    Chromium,
    /// wrk, for measurements.
    Wrk,
}

/// Why a tool could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no Python to make environments with.
    #[error("there is no python3")]
    NoPython,
    /// A program could not be started, or a file not be made.
    #[error("cannot {what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program said no.
    #[error("{what} failed: {output}")]
    Failed {
        /// The command line.
        what: String,
        /// The end of what it wrote.
        output: String,
    },
}

impl Tool {
    /// Every tool.
    pub const ALL: [Self; 15] = [
        Self::PipNewest,
        Self::Pip23,
        Self::Uv,
        Self::Twine,
        Self::Bandersnatch,
        Self::Poetry,
        Self::Pdm,
        Self::Pipenv,
        Self::PypiAttestations,
        Self::PythonTuf,
        Self::PipTools,
        Self::Tox,
        Self::Buildout,
        Self::JsonSchema,
        Self::Readers,
    ];

    /// The folder of its environment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PipNewest => "pip-newest",
            Self::Pip23 => "pip-23",
            Self::Uv => "uv",
            Self::Twine => "twine",
            Self::Bandersnatch => "bandersnatch",
            Self::Poetry => "poetry",
            Self::Pdm => "pdm",
            Self::Pipenv => "pipenv",
            Self::PypiAttestations => "pypi-attestations",
            Self::PythonTuf => "python-tuf",
            Self::PipTools => "pip-tools",
            Self::Tox => "tox",
            Self::Buildout => "buildout",
            Self::JsonSchema => "jsonschema",
            Self::Readers => "readers",
        }
    }

    const fn requirements(self) -> &'static [&'static str] {
        match self {
            Self::PipNewest => &["pip"],
            Self::Pip23 => &["pip==23.3.2"],
            Self::Uv => &["uv"],
            Self::Twine => &["twine"],
            Self::Bandersnatch => &["bandersnatch"],
            // With the plugin by which `heliostat exec` tells it of an index.
            Self::Poetry => &["poetry", "poetry-plugin-pypi-mirror"],
            // With the versions of its dependencies that it was released with: it runs with no others for long.
            Self::Pdm => &["pdm[locked]"],
            Self::Pipenv => &["pipenv"],
            Self::PypiAttestations => &[PYPI_ATTESTATIONS],
            Self::PythonTuf => &["tuf==7.0.*"],
            Self::PipTools => &["pip-tools"],
            Self::Tox => &["tox"],
            Self::Buildout => &["zc.buildout"],
            Self::JsonSchema => &["jsonschema"],
            Self::Readers => &["feedparser", "prometheus-client"],
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::PipNewest | Self::Pip23 | Self::PythonTuf | Self::JsonSchema | Self::Readers => {
                "python"
            }
            Self::Uv => "uv",
            Self::Twine => "twine",
            Self::Bandersnatch => "bandersnatch",
            Self::Poetry => "poetry",
            Self::Pdm => "pdm",
            Self::Pipenv => "pipenv",
            Self::PypiAttestations => "pypi-attestations",
            Self::PipTools => "pip-compile",
            Self::Tox => "tox",
            Self::Buildout => "buildout",
        }
    }

    /// Its program, where it has been installed. For pip, python-tuf, jsonschema and readers this is their Python.
    ///
    /// # Errors
    /// [`Skip`] where it has not.
    pub fn find(self) -> Result<PathBuf, Skip> {
        Ok(self.environment()?.join("bin").join(self.program()))
    }

    /// The folder of its environment, where it has been installed.
    pub(super) fn environment(self) -> Result<PathBuf, Skip> {
        let environment = clients_directory().join(self.name());
        if environment.join(MARKER).is_file() {
            return Ok(environment);
        }
        Err(Skip(format!(
            "{} is not installed; `heliostat-testkit install-clients` gets it",
            self.name()
        )))
    }

    /// Installs it unless it is there. Runs that are at it at the same time wait for each other.
    pub fn install(self) -> Result<(), InstallError> {
        let clients = clients_directory();
        let environment = clients.join(self.name());
        let lock_path = clients.join(format!("{}.lock", self.name()));
        std::fs::create_dir_all(&clients).map_err(io("make the folder for clients"))?;
        let lock = File::create(lock_path).map_err(io("make a lock file"))?;
        lock.lock().map_err(io("lock a client's folder"))?;
        if environment.join(MARKER).is_file() {
            return Ok(());
        }
        let python = find_program(&["python3"]).ok_or(InstallError::NoPython)?;
        run(Command::new(python)
            .args(["-m", "venv", "--clear"])
            .arg(&environment))?;
        // With the machine's own pip configuration: where packages come from is its business.
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--upgrade",
        ]);
        pip.args(self.requirements());
        run(&mut pip)?;
        if self == Self::PypiAttestations {
            unpack_sdist(&environment)?;
        }
        std::fs::write(environment.join(MARKER), "").map_err(io("mark a client as installed"))
    }
}

impl DebianPackage {
    const fn package(self) -> &'static str {
        match self {
            Self::Nginx => "nginx-light",
            Self::Chromium => "chromium",
            Self::Wrk => "wrk",
        }
    }

    /// Its program, wherever it came from.
    ///
    /// # Errors
    /// [`Skip`] where there is none.
    pub fn find(self) -> Result<PathBuf, Skip> {
        let programs: &[&str] = match self {
            Self::Nginx => &["nginx"],
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome"],
            Self::Wrk => &["wrk"],
        };
        find_program(programs).ok_or_else(|| {
            Skip(format!(
                "there is no {}; Debian's package is `{}`",
                programs[0],
                self.package()
            ))
        })
    }
}

/// Installs every Python tool; tells of each what came of it.
pub fn install_all() -> Vec<(Tool, Result<(), InstallError>)> {
    Tool::ALL.map(|tool| (tool, tool.install())).into()
}

/// Installs a Debian package unless its program is there. Needs to be root, and Debian.
pub fn install_debian(package: DebianPackage) -> Result<(), InstallError> {
    if package.find().is_ok() {
        return Ok(());
    }
    let mut install = Command::new("apt-get");
    install.args([
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        package.package(),
    ]);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    if run(&mut install).is_ok() {
        return Ok(());
    }
    // The lists may be old or missing.
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    run(&mut install)
}

/// The release whose source distribution holds the fixtures that our tests name.
const PYPI_ATTESTATIONS: &str = "pypi-attestations==0.0.30";

/// Gets the tool's source distribution and unpacks it into `sdist/` of its environment.
fn unpack_sdist(environment: &Path) -> Result<(), InstallError> {
    let python = environment.join("bin/python");
    let folder = environment.join("sdist");
    run(Command::new(&python)
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--no-binary", "pypi-attestations", "--dest"])
        .arg(&folder)
        .arg(PYPI_ATTESTATIONS))?;
    let archive = folder.join("pypi_attestations-0.0.30.tar.gz");
    run(Command::new(&python)
        .args(["-m", "tarfile", "--filter", "data", "-e"])
        .arg(&archive)
        .arg(&folder))
    .or_else(|_older_python| {
        run(Command::new(&python)
            .args(["-m", "tarfile", "-e"])
            .arg(&archive)
            .arg(&folder))
    })
}

/// Stands in an environment once everything is in it.
const MARKER: &str = "installed";

fn clients_directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from);
    std::path::absolute(target)
        .expect("the target directory has a path")
        .join("clients")
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates lie two folders down")
}

fn run(command: &mut Command) -> Result<(), InstallError> {
    let what = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(io(&format!("start {what}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().collect();
    Err(InstallError::Failed {
        what,
        output: lines[lines.len().saturating_sub(5)..].join("\n"),
    })
}

fn io(what: &str) -> impl FnOnce(std::io::Error) -> InstallError + use<> {
    let what = what.to_owned();
    move |source| InstallError::Io { what, source }
}

//! pip, the real one.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Skip, Tool};
use crate::process::{Finished, Invocation};

/// One pip with a cache of its own.
#[derive(Debug)]
pub struct Pip {
    python: PathBuf,
    cache: TempDir,
}

impl Pip {
    /// The newest.
    ///
    /// # Errors
    /// [`Skip`] where it has not been installed.
    pub fn newest() -> Result<Self, Skip> {
        Self::with(Tool::PipNewest)
    }

    /// 23.3.
    ///
    /// # Errors
    /// [`Skip`] where it has not been installed.
    pub fn v23() -> Result<Self, Skip> {
        Self::with(Tool::Pip23)
    }

    fn with(tool: Tool) -> Result<Self, Skip> {
        let cache = tempfile::tempdir().expect("a temporary folder can be made");
        Ok(Self {
            python: tool.find()?,
            cache,
        })
    }

    /// `pip SUBCOMMAND`, configured by nothing but its arguments.
    pub fn command(&self, subcommand: &str) -> Invocation {
        Invocation::new(&self.python)
            .args([
                "-m",
                "pip",
                "--no-input",
                "--disable-pip-version-check",
                "--retries",
                "1",
                "--timeout",
                "20",
            ])
            .arg("--cache-dir")
            .arg(self.cache.path())
            .arg(subcommand)
            .env("PIP_CONFIG_FILE", "/dev/null")
    }

    /// `pip install --target DIRECTORY`.
    pub fn install(&self, index_url: &str, requirements: &[&str], directory: &Path) -> Finished {
        let command = self
            .command("install")
            .args(["--index-url", index_url, "--target"])
            .arg(directory);
        command.args(requirements).run()
    }

    /// `pip download --dest DIRECTORY`, without building anything.
    pub fn download(&self, index_url: &str, requirements: &[&str], directory: &Path) -> Finished {
        let command = self
            .command("download")
            .args(["--index-url", index_url, "--dest"])
            .arg(directory);
        command.args(requirements).run()
    }

    /// The Python beside it.
    pub fn python(&self) -> &Path {
        &self.python
    }
}

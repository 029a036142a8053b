//! uv, the real one.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Skip, Tool};
use crate::process::{Finished, Invocation};

/// uv with a cache of its own.
#[derive(Debug)]
pub struct Uv {
    program: PathBuf,
    cache: TempDir,
}

impl Uv {
    /// The installed one.
    ///
    /// # Errors
    /// [`Skip`] where it has not been installed.
    pub fn find() -> Result<Self, Skip> {
        let cache = tempfile::tempdir().expect("a temporary folder can be made");
        Ok(Self {
            program: Tool::Uv.find()?,
            cache,
        })
    }

    /// `uv SUBCOMMAND`, configured by nothing but its arguments; it never downloads a Python.
    pub fn command(&self, subcommand: &str) -> Invocation {
        Invocation::new(&self.program)
            .args(subcommand.split(' '))
            .args(["--no-config", "--no-progress", "--cache-dir"])
            .arg(self.cache.path())
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_PYTHON", self.python())
    }

    /// `uv pip install --target DIRECTORY`.
    pub fn pip_install(
        &self,
        index_url: &str,
        requirements: &[&str],
        directory: &Path,
    ) -> Finished {
        let command = self
            .command("pip install")
            .args(["--default-index", index_url, "--target"])
            .arg(directory);
        command.args(requirements).run()
    }

    /// `uv lock` of the project in a directory.
    pub fn lock(&self, index_url: &str, project: &Path) -> Finished {
        self.command("lock")
            .args(["--default-index", index_url])
            .current_dir(project)
            .run()
    }

    /// Forgets everything it has cached.
    pub fn clear_cache(&self) -> Finished {
        self.command("cache clean").run()
    }

    /// The Python beside it.
    fn python(&self) -> PathBuf {
        self.program.with_file_name("python")
    }
}

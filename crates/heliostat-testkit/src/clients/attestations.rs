//! PyPI's own verifier of provenance as an oracle, and the real files with real attestations that its tests use.

use std::path::{Path, PathBuf};

use super::{Skip, Tool};
use crate::process::{Finished, Invocation};

/// The installed pypi-attestations.
#[derive(Debug)]
pub struct PypiAttestations {
    program: PathBuf,
    assets: PathBuf,
}

impl PypiAttestations {
    /// The installed one.
    ///
    /// # Errors
    /// [`Skip`] where it has not been installed.
    pub fn find() -> Result<Self, Skip> {
        let assets = "sdist/pypi_attestations-0.0.30/test/assets";
        Ok(Self {
            program: Tool::PypiAttestations.find()?,
            assets: Tool::PypiAttestations.environment()?.join(assets),
        })
    }

    /// A file of its tests: a distribution, its `.provenance` or its `.publish.attestation`.
    pub fn asset(&self, name: &str) -> PathBuf {
        self.assets.join(name)
    }

    /// `pypi-attestations verify pypi --offline`: 0 where the provenance holds for the file, 1 where it does not.
    /// `identity` is what the publisher must be, e.g. `["--repository", "https://github.com/a/b"]`.
    pub fn verify(&self, file: &Path, provenance: &Path, identity: &[&str]) -> Finished {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        Invocation::new(&self.program)
            .args(["verify", "pypi", "--offline", "--provenance-file"])
            .arg(provenance)
            .args(identity)
            .arg(file)
            .env("HOME", home.path())
            .run()
    }
}

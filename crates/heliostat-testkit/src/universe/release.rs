//! A release to be added: which files it has and what they say.

use std::sync::Arc;

use bytes::Bytes;

use super::{MetadataOffer, StoredFile, Yank, is_wheel_name};
use crate::fixture::{Artifact, SdistSpec, WheelSpec, blake2b_256_hex, sha256_hex};

/// What an sdist carries beyond a wheel, its build backend above all: so much less payload makes both equally large.
const SDIST_EXTRA_BYTES: usize = 1500;

/// The provenance of a release's files.
#[derive(Debug, Clone)]
enum Provenance {
    None,
    Unsigned,
    Document(Bytes),
}

/// One release, described. Files are made when it is added to a universe.
#[derive(Debug, Clone)]
pub struct Release {
    pub(super) version: String,
    wheel_tags: Vec<String>,
    sdist: bool,
    artifacts: Vec<Artifact>,
    requires_dist: Vec<String>,
    extras: Vec<String>,
    requires_python: Option<String>,
    yanked: Yank,
    metadata_offer: MetadataOffer,
    provenance: Provenance,
    payload_bytes: usize,
    upload_time: Option<String>,
}

impl Release {
    /// A release without files.
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            wheel_tags: Vec::new(),
            sdist: false,
            artifacts: Vec::new(),
            requires_dist: Vec::new(),
            extras: Vec::new(),
            requires_python: None,
            yanked: Yank::No,
            metadata_offer: MetadataOffer::Hashed,
            provenance: Provenance::None,
            payload_bytes: 0,
            upload_time: None,
        }
    }

    /// A release with a pure wheel and an sdist.
    pub fn simple(version: &str) -> Self {
        Self::new(version).wheel().sdist()
    }

    /// Adds a pure wheel.
    #[must_use]
    pub fn wheel(self) -> Self {
        self.wheel_tagged("py3-none-any")
    }

    /// Adds a wheel with these tags, e.g. `cp312-cp312-manylinux_2_17_x86_64`.
    #[must_use]
    pub fn wheel_tagged(mut self, tags: &str) -> Self {
        self.wheel_tags.push(tags.to_owned());
        self
    }

    /// Adds an sdist.
    #[must_use]
    pub fn sdist(mut self) -> Self {
        self.sdist = true;
        self
    }

    /// Adds a file as it is.
    #[must_use]
    pub fn artifact(mut self, artifact: Artifact) -> Self {
        self.artifacts.push(artifact);
        self
    }

    /// Adds a `Requires-Dist` line.
    #[must_use]
    pub fn requires_dist(mut self, requirement: &str) -> Self {
        self.requires_dist.push(requirement.to_owned());
        self
    }

    /// Adds an extra.
    #[must_use]
    pub fn extra(mut self, name: &str) -> Self {
        self.extras.push(name.to_owned());
        self
    }

    /// Sets `Requires-Python`.
    #[must_use]
    pub fn requires_python(mut self, specifier: &str) -> Self {
        self.requires_python = Some(specifier.to_owned());
        self
    }

    /// Yanks every file.
    #[must_use]
    pub fn yanked(mut self, yank: Yank) -> Self {
        self.yanked = yank;
        self
    }

    /// Sets how the wheels' metadata is offered. Sdists never offer theirs, as at PyPI.
    #[must_use]
    pub fn metadata(mut self, offer: MetadataOffer) -> Self {
        self.metadata_offer = offer;
        self
    }

    /// Gives every file a provenance object of the right shape, signed by nobody.
    #[must_use]
    pub fn provenance(mut self) -> Self {
        self.provenance = Provenance::Unsigned;
        self
    }

    /// Gives every file this provenance object.
    #[must_use]
    pub fn provenance_document(mut self, document: Bytes) -> Self {
        self.provenance = Provenance::Document(document);
        self
    }

    /// Bytes of incompressible data in each wheel; sdists get less, so that they come out about as large.
    #[must_use]
    pub fn payload_bytes(mut self, payload_bytes: usize) -> Self {
        self.payload_bytes = payload_bytes;
        self
    }

    /// Sets the upload time, `yyyy-mm-ddThh:mm:ss[.ffffff]Z`.
    #[must_use]
    pub fn uploaded_at(mut self, time: &str) -> Self {
        self.upload_time = Some(time.to_owned());
        self
    }

    /// Makes the files of this release for one project. `default_time` is used where no upload time was set.
    pub(super) fn build(&self, name: &str, default_time: &str) -> Vec<Arc<StoredFile>> {
        let wheels = self
            .wheel_tags
            .iter()
            .map(|tags| self.wheel_spec(name, tags).build());
        let sdist = self.sdist.then(|| self.sdist_spec(name).build());
        wheels
            .chain(sdist)
            .chain(self.artifacts.iter().cloned())
            .map(|artifact| Arc::new(self.store(name, artifact, default_time)))
            .collect()
    }

    fn wheel_spec(&self, name: &str, tags: &str) -> WheelSpec {
        WheelSpec {
            tags: tags.to_owned(),
            requires_dist: self.requires_dist.clone(),
            requires_python: self.requires_python.clone(),
            extras: self.extras.clone(),
            payload_bytes: self.payload_bytes,
            ..WheelSpec::new(name, &self.version)
        }
    }

    fn sdist_spec(&self, name: &str) -> SdistSpec {
        SdistSpec {
            requires_dist: self.requires_dist.clone(),
            requires_python: self.requires_python.clone(),
            extras: self.extras.clone(),
            payload_bytes: self.payload_bytes.saturating_sub(SDIST_EXTRA_BYTES),
            ..SdistSpec::new(name, &self.version)
        }
    }

    fn store(&self, name: &str, artifact: Artifact, default_time: &str) -> StoredFile {
        let is_wheel = is_wheel_name(&artifact.filename);
        let sha256 = sha256_hex(&artifact.bytes);
        StoredFile {
            version: self.version.clone(),
            blake2b_256: blake2b_256_hex(&artifact.bytes),
            upload_time: self
                .upload_time
                .clone()
                .unwrap_or_else(|| default_time.to_owned()),
            requires_python: artifact.requires_python,
            yanked: self.yanked.clone(),
            metadata_offer: if is_wheel && artifact.metadata.is_some() {
                self.metadata_offer
            } else {
                MetadataOffer::Absent
            },
            metadata: artifact.metadata,
            provenance: match &self.provenance {
                Provenance::None => None,
                Provenance::Unsigned => Some(provenance(name, &artifact.filename, &sha256)),
                Provenance::Document(document) => Some(document.clone()),
            },
            sha256,
            filename: artifact.filename,
            bytes: artifact.bytes,
        }
    }
}

/// A provenance object of the right shape (PEP 740). Its signature does not verify.
fn provenance(name: &str, filename: &str, sha256: &str) -> Bytes {
    use base64::Engine as _;
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
        "predicateType": "https://docs.pypi.org/attestations/publish/v1",
        "predicate": null,
    });
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let document = serde_json::json!({
        "version": 1,
        "attestation_bundles": [{
            "publisher": {"kind": "GitHub", "repository": format!("example/{name}"), "workflow": "release.yml", "environment": null},
            "attestations": [{
                "version": 1,
                "verification_material": {"certificate": encode(b"not a certificate"), "transparency_entries": []},
                "envelope": {"statement": encode(statement.to_string().as_bytes()), "signature": encode(b"not a signature")},
            }],
        }],
    });
    Bytes::from(document.to_string())
}

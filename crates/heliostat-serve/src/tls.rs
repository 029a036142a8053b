//! The certificate: read from two PEM files, and read again when they change.
//!
//! A new pair that cannot be used is reported once and the old one stays in force, so that a renewal that goes
//! wrong half way never takes the mirror down.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::ServeError;
use crate::options::TlsFiles;

/// The configuration in force, which can be replaced while connections are being accepted.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
    /// Of the files that were looked at last, also when they could not be used.
    seen: RwLock<Option<Marks>>,
}

/// What came of looking at the files again.
#[derive(Debug)]
pub(crate) enum Reload {
    /// They are as they were.
    Unchanged,
    /// The new pair is in force.
    Replaced,
    /// The new pair cannot be used; the old one stays.
    Refused(ServeError),
}

/// What tells that a file was changed: time, size.
type Mark = (Option<SystemTime>, u64);

/// The marks of the certificate and of the key.
type Marks = (Mark, Mark);

impl Tls {
    /// Reads the files for the first time.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, ServeError> {
        let seen = RwLock::new(marks(&files));
        let current = RwLock::new(Arc::new(read_config(&files)?));
        Ok(Self {
            files,
            current,
            seen,
        })
    }

    /// The configuration for the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files and takes them when they changed. Blocking.
    pub(crate) fn reload(&self) -> Reload {
        let marks = marks(&self.files);
        {
            let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            // A file that is missing for a moment, between the two renames of a renewal, is looked at later.
            if marks.is_none() || *seen == marks {
                return Reload::Unchanged;
            }
            *seen = marks;
        }
        match read_config(&self.files) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                Reload::Replaced
            }
            Err(error) => Reload::Refused(error),
        }
    }
}

fn marks(files: &TlsFiles) -> Option<Marks> {
    let mark = |path: &Path| {
        let metadata = path.metadata().ok()?;
        Some((metadata.modified().ok(), metadata.len()))
    };
    Some((mark(&files.certificate)?, mark(&files.key)?))
}

fn read_config(files: &TlsFiles) -> Result<ServerConfig, ServeError> {
    let parse = |path: &Path, wanted, source: rustls::pki_types::pem::Error| ServeError::ParseTls {
        path: path.to_owned(),
        wanted,
        source: source.into(),
    };
    let certificates = CertificateDer::pem_slice_iter(&read(&files.certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| parse(&files.certificate, "certificate", source))?;
    if certificates.is_empty() {
        let source = rustls::pki_types::pem::Error::NoItemsFound;
        return Err(parse(&files.certificate, "certificate", source));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|source| parse(&files.key, "private key", source))?;
    let pair = |source| ServeError::PairTls {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates belong to the listener, not to the data on disk"
)]
fn read(path: &Path) -> Result<Vec<u8>, ServeError> {
    std::fs::read(path).map_err(|source| ServeError::ReadTls {
        path: path.to_owned(),
        source,
    })
}

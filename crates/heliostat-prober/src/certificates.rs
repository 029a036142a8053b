//! Certificates: what one says, and those that a server shows where clients refuse them.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heliostat_directory::Certificate;
use heliostat_pypi::Sha256;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde::Serialize;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Certificates of one chain that are kept, and bytes of one.
const CHAIN_MAX: usize = 8;
const DER_BYTES_MAX: usize = 16_384;
/// Names of one certificate that are kept.
const NAMES_MAX: usize = 32;

/// A certificate as a server showed it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    sha256: String,
    #[serde(flatten)]
    read: Option<Read>,
    der_base64: String,
}

/// What can be read of it.
#[derive(Debug, Serialize)]
struct Read {
    subject: String,
    issuer: String,
    /// In seconds since 1970.
    not_before: u64,
    not_after: u64,
    names: Vec<String>,
}

/// Takes note of what a server shows, and refuses it: nothing is ever said over such a connection.
#[derive(Debug)]
pub(crate) struct Recorder {
    provider: Arc<CryptoProvider>,
    shown: Mutex<Vec<Shown>>,
}

impl Recorder {
    pub(crate) fn new(provider: &Arc<CryptoProvider>) -> Self {
        Self {
            provider: Arc::clone(provider),
            shown: Mutex::default(),
        }
    }

    /// A configuration under which it is asked.
    pub(crate) fn config(self: &Arc<Self>) -> Result<rustls::ClientConfig, rustls::Error> {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?;
        let verifier = Arc::clone(self) as Arc<dyn ServerCertVerifier>;
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth())
    }

    /// What was shown, the server's own first; nothing where TLS did not come so far.
    pub(crate) fn into_shown(self: Arc<Self>) -> Vec<Shown> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *shown)
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let shown = chain.take(CHAIN_MAX).map(|der| shown(der)).collect();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        Err(seen())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(seen())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(seen())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn seen() -> rustls::Error {
    rustls::Error::General("its certificate was only looked at".to_owned())
}

fn shown(der: &[u8]) -> Shown {
    Shown {
        sha256: Sha256::of(der).to_hex(),
        read: read(der),
        der_base64: STANDARD.encode(&der[..der.len().min(DER_BYTES_MAX)]),
    }
}

fn read(der: &[u8]) -> Option<Read> {
    let fields = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
    let names = fields.get::<SubjectAltName>().ok().flatten();
    let names = names.map_or_else(Vec::new, |(_, names)| names.0);
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => Some(format!("{:?}", bytes.as_bytes())),
        _ => None,
    };
    Some(Read {
        subject: short(&fields.subject),
        issuer: short(&fields.issuer),
        not_before: fields.validity.not_before.to_unix_duration().as_secs(),
        not_after: fields.validity.not_after.to_unix_duration().as_secs(),
        names: names.iter().filter_map(name).take(NAMES_MAX).collect(),
    })
}

fn short(name: &x509_cert::name::Name) -> String {
    name.to_string().chars().take(200).collect()
}

/// What a certificate says, where it can be read; clients have accepted it by then.
pub(crate) fn certificate(
    leaf: &[u8],
    protocol: Option<rustls::ProtocolVersion>,
) -> Option<Certificate> {
    let read = read(leaf)?;
    let protocol = match protocol {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        other => format!("{other:?}"),
    };
    Some(Certificate {
        not_after: i64::try_from(read.not_after).unwrap_or(i64::MAX),
        issuer: read.issuer,
        protocol,
    })
}

//! A certificate authority for one test, and a certificate for loopback signed by it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a TLS server and its clients need.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The authority's certificate, PEM: for `--cacert` and the like.
    pub ca_pem: String,
    /// The server's certificate for `127.0.0.1`, `::1` and `localhost`, PEM.
    pub certificate_pem: String,
    /// The server's private key, PEM (PKCS #8).
    pub key_pem: String,
    certificate_der: Vec<u8>,
    key_der: Vec<u8>,
}

impl Authority {
    /// Makes a new authority and one server certificate.
    pub fn new() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        ca.distinguished_name
            .push(DnType::CommonName, "heliostat test authority");
        let ca_key = KeyPair::generate().expect("a key can be made");
        let ca_certificate = ca
            .self_signed(&ca_key)
            .expect("our own parameters are valid");
        let issuer = Issuer::new(ca, ca_key);
        let names = ["localhost", "127.0.0.1", "::1"]
            .map(str::to_owned)
            .to_vec();
        let mut server = CertificateParams::new(names).expect("loopback names are valid");
        server
            .distinguished_name
            .push(DnType::CommonName, "heliostat test server");
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = server
            .signed_by(&key, &issuer)
            .expect("our own parameters are valid");
        Self {
            ca_pem: ca_certificate.pem(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate_der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
        }
    }

    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring knows the default protocol versions")
                .with_no_client_auth()
                .with_single_cert(vec![self.certificate_der.clone().into()], key)
                .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

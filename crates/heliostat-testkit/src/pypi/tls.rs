//! A certificate authority for one test, and a certificate for loopback signed by it.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
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
    /// Makes a new authority and one server certificate for loopback.
    pub fn new() -> Self {
        Self::for_names(&["localhost", "127.0.0.1", "::1"])
    }

    /// The same for other names.
    pub fn for_names(names: &[&str]) -> Self {
        Self::ending(names, None)
    }

    /// The same with a certificate that ends on the day that is so many days from now, or was.
    pub fn for_names_until(names: &[&str], days: i64) -> Self {
        let day = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let day = day.to_zoned(TimeZone::UTC).date();
        Self::ending(names, Some(day))
    }

    fn ending(names: &[&str], end: Option<Date>) -> Self {
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
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut server = CertificateParams::new(names).expect("names of hosts");
        if let Some(day) = end {
            let month = u8::try_from(day.month()).expect("a month");
            let of_month = u8::try_from(day.day()).expect("a day");
            server.not_after = rcgen::date_time_ymd(i32::from(day.year()), month, of_month);
        }
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
        self.server_config_of(&[b"h2".as_slice(), b"http/1.1".as_slice()])
    }

    /// What a server needs that speaks these protocols.
    pub(crate) fn server_config_of(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring knows the default protocol versions")
                .with_no_client_auth()
                .with_single_cert(vec![self.certificate_der.clone().into()], key)
                .expect("the key belongs to the certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

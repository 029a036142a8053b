//! Whom we trust: the platform's roots and the certificates the caller adds. rustls with the ring provider, chosen
//! here and not by a process-wide default, HTTP/2 by ALPN.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::UpstreamError;

/// The TLS settings of a client. A platform without any roots is no error here, so that plain http works in a bare
/// container; an https request then fails to connect.
pub fn client_config(additions_pem: &[Vec<u8>]) -> Result<ClientConfig, UpstreamError> {
    let mut roots = RootCertStore::empty();
    let platform = rustls_native_certs::load_native_certs();
    for error in &platform.errors {
        tracing::debug!(%error, "some of the platform's certificates cannot be read");
    }
    let (_added, ignored) = roots.add_parsable_certificates(platform.certs);
    if ignored > 0 {
        tracing::debug!(
            ignored,
            "some of the platform's certificates are not understood"
        );
    }
    for pem in additions_pem {
        add_all(&mut roots, pem)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Adds every certificate of a PEM text; a text without any is a mistake worth an error.
fn add_all(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), UpstreamError> {
    let mut count = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| refused(&error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refused(&error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        return Err(refused("there is no PEM certificate in it"));
    }
    Ok(())
}

fn refused(reason: &str) -> UpstreamError {
    UpstreamError::Configure {
        reason: format!("the trusted certificates cannot be used: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_holds_no_certificate() {
        for pem in [
            &b""[..],
            b"hello",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(client_config(&[pem.to_vec()]).is_err());
        }
    }

    #[test]
    fn takes_every_certificate_of_a_text() {
        let pem = || {
            rcgen::generate_simple_self_signed(["localhost".to_owned()])
                .unwrap()
                .cert
                .pem()
        };
        let mut roots = RootCertStore::empty();
        add_all(&mut roots, format!("{}\n{}", pem(), pem()).as_bytes()).unwrap();
        assert_eq!(roots.len(), 2);
    }
}

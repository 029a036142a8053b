//! HTTPS with a certificate of our own, HTTP/2 by ALPN.

use std::sync::Arc;

use bytes::Bytes;
use heliostat_testkit::pypi::{FakePyPi, Fault, Kind, Options, Rule, Scheme, Truncation};
use heliostat_testkit::universe::{Release, Universe};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};

fn pypi() -> FakePyPi {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::simple("1.0")]);
    Options::default().scheme(Scheme::Https).serve(universe)
}

async fn fetch(pypi: &FakePyPi, path: &str) -> (http::Response<()>, Result<Bytes, hyper::Error>) {
    let mut roots = rustls::RootCertStore::empty();
    let ca_pem = &pypi.authority().unwrap().ca_pem;
    roots
        .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
        .unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(pypi.address())
        .await
        .unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let uri = format!("{}{}", pypi.base_url().trim_end_matches('/'), path);
    let request = http::Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    let exchange = async {
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        (
            http::Response::from_parts(head, ()),
            body.collect()
                .await
                .map(http_body_util::Collected::to_bytes),
        )
    };
    tokio::select! {
        answer = exchange => answer,
        ended = connection => panic!("the connection ended first: {ended:?}"),
    }
}

#[tokio::test]
async fn pages_come_over_http_2() {
    let pypi = pypi();
    assert!(pypi.index_url().starts_with("https://127.0.0.1:"));
    let (head, body) = fetch(&pypi, "/simple/alpha/").await;
    assert_eq!(
        (head.status().as_u16(), head.version()),
        (200, http::Version::HTTP_2)
    );
    assert!(
        std::str::from_utf8(&body.unwrap())
            .unwrap()
            .contains("alpha-1.0.tar.gz")
    );
    assert_eq!(pypi.requests()[0].protocol, "HTTP/2.0");
}

#[tokio::test]
async fn a_truncated_stream_is_an_error_over_http_2() {
    let pypi = pypi();
    pypi.misbehave(Rule::new(Fault::Truncate(Truncation::LengthKnown)).on(Kind::Page));
    let (head, body) = fetch(&pypi, "/simple/alpha/").await;
    assert_eq!(head.status().as_u16(), 200);
    assert!(body.is_err());
}

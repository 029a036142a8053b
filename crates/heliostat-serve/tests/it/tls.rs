//! TLS: the protocols, the header that only it carries, and certificates that change under a running server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use heliostat_serve::{Limits, ServeError, ServeOptions, Server, TlsFiles};
use rcgen::CertifiedKey;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http2;
use crate::support::{Data, Running, start};

const NAME: &str = "mirror.test";

struct Pair {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

fn make_pair() -> Pair {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    Pair {
        certificate: cert.der().clone(),
        certificate_pem: cert.pem(),
        key_pem: signing_key.serialize_pem(),
    }
}

fn files_in(directory: &Path) -> TlsFiles {
    TlsFiles {
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    }
}

fn write(files: &TlsFiles, pair: &Pair) {
    std::fs::write(&files.key, &pair.key_pem).unwrap();
    std::fs::write(&files.certificate, &pair.certificate_pem).unwrap();
}

fn serve(data: &Data) -> (Running, TlsFiles, Pair) {
    let (files, pair) = (files_in(data.directory.path()), make_pair());
    write(&files, &pair);
    let limits = Limits {
        tls_poll_interval: Duration::from_millis(20),
        ..Limits::default()
    };
    (
        start(&data.store, limits, Some(files.clone()), None),
        files,
        pair,
    )
}

async fn connect(
    server: &Running,
    trusted: &Pair,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(server.address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(NAME).unwrap(), stream)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_spoken_and_say_to_stay_with_tls() {
    let data = Data::new();
    let (server, _files, pair) = serve(&data);
    let stream = connect(&server, &pair, b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, _tasks) = http2::client(stream).await;
    let (parts, body) = http2::get(
        &mut sender,
        &format!("https://{NAME}{}", data.sdist.address()),
    )
    .await;
    assert_eq!(
        parts.headers["strict-transport-security"],
        "max-age=63072000"
    );
    assert!(body == data.sdist.bytes, "other bytes over HTTP/2");
    let (_, home) = http2::get(&mut sender, &format!("https://{NAME}/")).await;
    assert!(
        String::from_utf8(home.to_vec())
            .unwrap()
            .contains("index-url = https://mirror.test/simple/")
    );

    let stream = connect(&server, &pair, b"http/1.1").await.unwrap();
    let answer = ask(stream, "/simple/sample/").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("strict-transport-security: max-age=63072000"),
        "{answer}"
    );
    let plain = data.serve().get("/simple/sample/", &[]).await;
    assert_eq!(plain.header("strict-transport-security"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let data = Data::new();
    let (server, files, first) = serve(&data);
    let second = make_pair();
    assert!(connect(&server, &second, b"h2").await.is_err());
    write(&files, &second);
    until_trusted(&server, &second).await;
    assert!(connect(&server, &first, b"h2").await.is_err());

    std::fs::write(&files.certificate, &first.certificate_pem).unwrap();
    // The pair does not match now. Later pairs are still looked at, so the server has looked at this one too.
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(connect(&server, &second, b"h2").await.is_ok());
    std::fs::remove_file(&files.key).unwrap();
    assert!(connect(&server, &second, b"h2").await.is_ok());
    write(&files, &first);
    until_trusted(&server, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_tls_does_no_harm() {
    let data = Data::new();
    let (server, _files, pair) = serve(&data);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _outcome = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"));
    assert!(connect(&server, &pair, b"h2").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_files_is_said() {
    let data = Data::new();
    let (files, pair) = (files_in(data.directory.path()), make_pair());
    let bind = || {
        let options = ServeOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: Some(files.clone()),
            version: String::new(),
            limits: Limits::default(),
        };
        let clock = heliostat_engine::Clock::new(|| 0);
        Server::new(options, data.store.clone(), None, clock)
            .bind()
            .map(|_| ())
    };
    assert!(matches!(bind(), Err(ServeError::ReadTls { .. })));
    write(&files, &pair);
    assert!(bind().is_ok());
    std::fs::write(&files.certificate, "nothing").unwrap();
    assert!(matches!(
        bind(),
        Err(ServeError::ParseTls {
            wanted: "certificate",
            ..
        })
    ));
    std::fs::write(&files.certificate, make_pair().certificate_pem).unwrap();
    assert!(matches!(bind(), Err(ServeError::PairTls { .. })));
    std::fs::write(&files.key, &pair.certificate_pem).unwrap();
    assert!(matches!(
        bind(),
        Err(ServeError::ParseTls {
            wanted: "private key",
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_is_said() {
    let data = Data::new();
    let server = data.serve();
    let options = ServeOptions {
        listen: server.address,
        tls: None,
        version: String::new(),
        limits: Limits::default(),
    };
    let clock = heliostat_engine::Clock::new(|| 0);
    let error = Server::new(options, data.store.clone(), None, clock)
        .bind()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on `{}`", server.address)
    );
}

async fn until_trusted(server: &Running, pair: &Pair) {
    let trusted = async {
        while connect(server, pair, b"h2").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), trusted)
        .await
        .expect("the new certificate was not taken");
}

async fn ask(mut stream: TlsStream<TcpStream>, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
        .await
        .unwrap();
    answer
}

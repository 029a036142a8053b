//! TLS, HTTP/2 and proxies.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use heliostat_upstream::{Answer, Caches, Upstream, UpstreamError, UpstreamOptions, Validators};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::server::{Door, JSON, Server, json, json_page, options};

/// A certificate for `localhost` and what trusts it.
fn certificate(alpn: &[&[u8]]) -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    (
        TlsAcceptor::from(Arc::new(config)),
        made.cert.pem().into_bytes(),
    )
}

fn https(address: SocketAddr) -> UpstreamOptions {
    options(&format!("https://localhost:{}/simple/", address.port()))
}

async fn fetch(options: UpstreamOptions) -> Result<(), UpstreamError> {
    let upstream = Upstream::new(options)?;
    let answer = upstream
        .page(
            &"foo".parse().unwrap(),
            &Validators::default(),
            Caches::Allow,
        )
        .await?;
    assert!(matches!(answer, Answer::Fresh(_)), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn an_added_certificate_is_trusted_and_no_other() {
    let (acceptor, pem) = certificate(&[b"http/1.1"]);
    let server = Server::start_with(Door::Tls(acceptor), |_, _| json("foo")).await;
    let mut options = https(server.address);
    let error = fetch(options.clone()).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::Connect { tries: 1, .. }),
        "a refused certificate is final: {error:?}"
    );
    assert!(server.asked().is_empty());
    options.ca_certificates_pem.push(pem);
    fetch(options).await.unwrap();
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let (acceptor, pem) = certificate(&[b"h2", b"http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
        let answer = service_fn(|request: hyper::Request<Incoming>| async move {
            // Only HTTP/2 gets the page.
            let found = if request.version() == hyper::Version::HTTP_2 {
                "foo"
            } else {
                "other"
            };
            let body = Full::new(Bytes::from(json_page(found)));
            let answer = hyper::Response::builder()
                .header("content-type", JSON)
                .body(body);
            Ok::<_, Infallible>(answer.unwrap())
        });
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _gone = server.serve_connection(stream, answer).await;
    });
    let mut options = https(address);
    options.ca_certificates_pem.push(pem);
    fetch(options).await.unwrap();
}

#[tokio::test]
async fn a_proxy_is_asked_for_everything() {
    let proxy = Server::start(|_, _| json("foo")).await;
    let mut options = options("http://index.invalid/simple/");
    options.proxy = Some(
        proxy
            .url("/")
            .replace("http://", "http://who:word@")
            .parse()
            .unwrap(),
    );
    fetch(options).await.unwrap();
    let asked = &proxy.asked()[0];
    assert_eq!(asked.target, "http://index.invalid/simple/foo/");
    assert_eq!(asked.header("proxy-authorization"), "Basic d2hvOndvcmQ=");
    assert_eq!(asked.header("authorization"), "");
}

#[tokio::test]
async fn a_socks_proxy_looks_names_up() {
    let proxy = Server::start_with(Door::Socks, |_, _| json("foo")).await;
    let mut options = options("http://index.invalid/simple/");
    options.proxy = Some(proxy.url("/").replace("http:", "socks5h:").parse().unwrap());
    fetch(options).await.unwrap();
    assert_eq!(proxy.asked()[0].target, "/simple/foo/");
    assert_eq!(proxy.asked()[0].header("host"), "index.invalid");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    let with = |change: fn(&mut UpstreamOptions)| {
        let mut options = options("https://index.example/simple/");
        change(&mut options);
        Upstream::new(options)
    };
    assert!(with(|_| ()).is_ok());
    for (what, made) in [
        (
            "user agent",
            with(|options| options.user_agent = "a\nb".to_owned()),
        ),
        (
            "certificate",
            with(|options| options.ca_certificates_pem.push(b"nothing".to_vec())),
        ),
        (
            "proxy",
            with(|options| options.proxy = Some("gopher://proxy.example".parse().unwrap())),
        ),
        (
            "netrc",
            with(|options| options.netrc = Some("login without machine".to_owned())),
        ),
        (
            "file mirror",
            with(|options| {
                options
                    .file_mirrors
                    .push("file:///mirror/".parse().unwrap());
            }),
        ),
    ] {
        assert!(
            matches!(made, Err(UpstreamError::Configure { .. })),
            "{what}: {made:?}"
        );
    }
}

#[test]
fn everything_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Upstream>();
    is_shared::<UpstreamError>();
    let upstream = Upstream::new(options("http://127.0.0.1:1/simple/")).unwrap();
    let validators = Validators::default();
    is_send(&upstream.list(&validators, Caches::Allow));
    let file = heliostat_upstream::FileRequest {
        sources: Vec::new(),
        expected_size_bytes: None,
        limit_bytes: None,
        caches: Caches::Allow,
    };
    is_send(&upstream.download(&file, |_| Ok::<(), String>(())));
}

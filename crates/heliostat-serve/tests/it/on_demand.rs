//! On demand: what clients are told while pages and files are taken, and when the upstream fails.

use std::time::Duration;

use heliostat_engine::{Attestations, Clock, Context, Events, OnDemand, OnDemandOptions};
use heliostat_serve::Limits;
use heliostat_store::Store;
use heliostat_testkit::pypi::{FakePyPi, Fault, Kind, Rule};
use heliostat_testkit::universe::{Release, Universe};
use heliostat_upstream::{Upstream, UpstreamOptions};
use tempfile::TempDir;

use crate::support::{Answer, NOW, Running, start};

const JSON: &str = "Accept: application/vnd.pypi.simple.v1+json";

struct Mirror {
    upstream: FakePyPi,
    server: Running,
    store: Store,
    _directory: TempDir,
}

impl Mirror {
    fn new() -> Self {
        Self::with(OnDemandOptions::default())
    }

    fn with(options: OnDemandOptions) -> Self {
        let mut universe = Universe::new();
        universe.add_project(
            "sample",
            &[Release::simple("1.0").provenance().payload_bytes(300_000)],
        );
        let upstream = FakePyPi::serve(universe);
        let directory = TempDir::new().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let root = upstream.index_url().parse().unwrap();
        let mut to_upstream = UpstreamOptions::new(root, "heliostat-test");
        to_upstream.limits.tries_max = 1;
        let context = Context {
            notary: None,
            attestations: Attestations::default(),
            store: store.clone(),
            upstream: Upstream::new(to_upstream).unwrap(),
            events: Events::none(),
            clock: Clock::new(|| NOW),
        };
        let on_demand = OnDemand::new(context, options);
        let server = start(&store, Limits::default(), None, Some(on_demand));
        Self {
            upstream,
            server,
            store,
            _directory: directory,
        }
    }

    async fn page(&self) -> Answer {
        self.server.get("/simple/sample/", &[JSON]).await
    }

    /// The address on our server of the file whose name ends so.
    async fn address(&self, ending: &str) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.page().await.body).unwrap();
        let files = document["files"].as_array().unwrap();
        let urls = files.iter().map(|file| file["url"].as_str().unwrap());
        let url = urls.into_iter().find(|url| url.ends_with(ending)).unwrap();
        url.trim_start_matches("../..").to_owned()
    }

    fn upstream_bytes(&self, ending: &str) -> Vec<u8> {
        let universe = self.upstream.universe();
        let file = universe
            .project("sample")
            .unwrap()
            .files
            .iter()
            .find(|file| file.path().ends_with(ending));
        file.unwrap().bytes.to_vec()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_taken_and_kept() {
    let mirror = Mirror::new();
    let first = mirror.page().await;
    assert_eq!(
        (first.status, first.header("content-type")),
        (200, "application/vnd.pypi.simple.v1+json")
    );
    assert_ne!(first.header("etag"), "");
    let committed = async {
        while mirror
            .store
            .project(&"sample".parse().unwrap())
            .unwrap()
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), committed)
        .await
        .unwrap();
    let asked = mirror.upstream.count(Kind::Page);
    let second = mirror.page().await;
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(mirror.upstream.count(Kind::Page), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_streamed_and_kept() {
    let mirror = Mirror::new();
    let address = mirror.address(".whl").await;
    let bytes = mirror.upstream_bytes(".whl");
    for _ in 0..2 {
        let answer = mirror.server.get(&address, &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-length"), bytes.len().to_string());
        assert!(answer.body == bytes, "other bytes");
    }
    let piece = mirror.server.get(&address, &["Range: bytes=-1000"]).await;
    assert!(piece.status == 206 && piece.body == bytes[bytes.len() - 1000..]);
    assert_eq!(mirror.upstream.count(Kind::File), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_of_a_file_can_be_had_while_it_is_taken() {
    let mirror = Mirror::new();
    let (address, bytes) = (mirror.address(".whl").await, mirror.upstream_bytes(".whl"));
    let tail = mirror.server.get(&address, &["Range: bytes=-1000"]).await;
    assert_eq!(tail.status, 206);
    assert!(tail.body == bytes[bytes.len() - 1000..], "other bytes");
    let head = mirror.server.ask("HEAD", &address, &[]).await;
    assert_eq!((head.status, head.header("accept-ranges")), (200, "bytes"));
    assert_eq!(head.header("content-length"), bytes.len().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_provenance_are_taken() {
    let mirror = Mirror::new();
    let address = mirror.address(".whl").await;
    let metadata = mirror.server.get(&format!("{address}.metadata"), &[]).await;
    assert_eq!(metadata.status, 200);
    assert!(
        metadata.text().contains("Name: sample"),
        "{}",
        metadata.text()
    );
    let filename = address.rsplit('/').next().unwrap();
    for _ in 0..2 {
        let target = format!("/integrity/sample/1.0/{filename}/provenance");
        let provenance = mirror.server.get(&target, &[]).await;
        assert_eq!(
            (provenance.status, provenance.header("content-type")),
            (200, "application/vnd.pypi.integrity.v1+json")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_upstream_is_absence_here() {
    let mirror = Mirror::new();
    for target in [
        "/simple/absent/",
        "/pypi/absent/json",
        "/integrity/absent/1.0/a.whl/provenance",
    ] {
        assert_eq!(mirror.server.get(target, &[]).await.status, 404, "{target}");
    }
    let nowhere = format!("/packages/aa/bb/{}/sample-9.9.tar.gz", "c".repeat(60));
    assert_eq!(mirror.server.get(&nowhere, &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_never_an_absence() {
    let mirror = Mirror::new();
    let address = mirror.address(".tar.gz").await;
    mirror.upstream.stop();
    for target in ["/simple/unseen/", "/pypi/unseen/json", &address] {
        let answer = mirror.server.get(target, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (502, "application/problem+json"),
            "{target}"
        );
    }
    assert_eq!(mirror.page().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_ever_on_an_upstream_that_hangs() {
    let mirror = Mirror::with(OnDemandOptions {
        patience_without_page: Duration::from_millis(200),
        ..OnDemandOptions::default()
    });
    let hang = mirror
        .upstream
        .misbehave(Rule::new(Fault::Hang).on(Kind::Page));
    let answer = mirror.page().await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("still being asked"));
    while mirror.upstream.strikes(hang) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(mirror.page().await.status, 503);
    // Both waited for the same request, which goes on.
    assert_eq!(mirror.upstream.strikes(hang), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_never_a_complete_file() {
    let mirror = Mirror::new();
    let address = mirror.address(".whl").await;
    mirror
        .upstream
        .misbehave(Rule::new(Fault::Corrupt).on(Kind::File));
    let request = format!("GET {address} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    if let Some(answer) = mirror.server.raw_or_cut(request.as_bytes()).await {
        if answer.status == 200 {
            let promised: usize = answer.header("content-length").parse().unwrap();
            assert!(answer.body.len() < promised, "a wrong file came whole");
        } else {
            assert_eq!(answer.status, 422);
        }
    }
    mirror.upstream.behave();
    // Another try of the wrong bytes may still be under way; whoever joins that one is cut as well.
    let bytes = mirror.upstream_bytes(".whl");
    let healed = async {
        loop {
            let answer = mirror.server.raw_or_cut(request.as_bytes()).await;
            if answer.is_some_and(|answer| answer.body == bytes) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), healed)
        .await
        .unwrap();
}

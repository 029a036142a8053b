//! A store with a few projects, a server on it, and a client that hides nothing.

use std::io::ErrorKind;
use std::net::SocketAddr;

use heliostat_engine::{Clock, OnDemand};
use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage, ProjectStatus, Yanked};
use heliostat_pypi::{ProjectName, Serial, Sha256, TreePath};
use heliostat_serve::{Drained, Limits, ServeOptions, Server, TlsFiles};
use heliostat_store::{
    Admission, Change, CommitPolicy, Expected, Keeper, Part, ProjectRecord, Put, Store, Validators,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// 2026-08-01 12:00 UTC.
pub(crate) const NOW: i64 = 1_785_585_600;

/// The metadata of `sample`'s wheel.
pub(crate) const METADATA: &[u8] = b"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n";

/// A data directory with the projects `sample` (a small wheel with metadata, and a large sdist) and `other`.
pub(crate) struct Data {
    pub(crate) directory: TempDir,
    pub(crate) store: Store,
    pub(crate) wheel: Held,
    pub(crate) sdist: Held,
}

/// One file and its bytes.
pub(crate) struct Held {
    pub(crate) path: TreePath,
    pub(crate) bytes: Vec<u8>,
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<Drained>,
}

/// One answer, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Held {
    fn new(filename: &str, bytes: Vec<u8>) -> Self {
        let path = TreePath::new(*Sha256::of(&bytes).as_bytes(), filename).unwrap();
        Self { path, bytes }
    }

    /// The address on a server.
    pub(crate) fn address(&self) -> String {
        format!("/{}", self.path)
    }

    fn listed(&self, core_metadata: CoreMetadata) -> PageFile {
        PageFile {
            path: self.path.clone(),
            url: format!("https://upstream.example/{}", self.path),
            sha256: Some(Sha256::of(&self.bytes)),
            other_hashes: std::collections::BTreeMap::new(),
            size_bytes: Some(self.bytes.len() as u64),
            upload_time: Some("2026-07-01T00:00:00.000000Z".to_owned()),
            requires_python: Some(">=3.9".to_owned()),
            core_metadata,
            yanked: Yanked::No,
            provenance: None,
            provenance_sha256: None,
            gpg_sig: None,
        }
    }
}

impl Data {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let wheel = Held::new(
            "sample-1.0-py3-none-any.whl",
            b"a small wheel, as wheels go\n".repeat(20),
        );
        let sdist = Held::new(
            "sample-1.0.tar.gz",
            (0..3_000_000_u32)
                .map(|n| (n * 7 / 3).to_le_bytes()[0])
                .collect(),
        );
        let data = Self {
            directory,
            store,
            wheel,
            sdist,
        };
        data.commit_sample(&[&data.wheel, &data.sdist], 42);
        data.commit_pages_only();
        data.store.publish_root(Some(Serial(43)), NOW).unwrap();
        data
    }

    /// Commits `sample` with these files and this serial.
    pub(crate) fn commit_sample(&self, files: &[&Held], serial: u64) {
        let metadata = CoreMetadata::Sha256(Sha256::of(METADATA));
        let listed = files.iter().map(|file| {
            let is_wheel = file.path.filename().ends_with("any.whl");
            file.listed(if is_wheel {
                metadata
            } else {
                CoreMetadata::Absent
            })
        });
        let record = record("sample", Keeper::Mirror, serial, listed.collect());
        let mut blobs = vec![self.admission(&self.wheel.path, Part::Metadata, METADATA)];
        for file in files {
            blobs.push(self.admission(&file.path, Part::File, &file.bytes));
        }
        self.put(record, blobs);
    }

    fn commit_pages_only(&self) {
        let elsewhere = Held::new("other-2.0.tar.gz", b"not here".to_vec());
        let files = vec![elsewhere.listed(CoreMetadata::Absent)];
        self.put(record("other", Keeper::PagesOnly, 43, files), Vec::new());
    }

    fn put(&self, record: ProjectRecord, blobs: Vec<Admission>) {
        let put = Put {
            record,
            blobs,
            failures: Vec::new(),
        };
        let policy = CommitPolicy {
            now: NOW,
            grace_seconds: 0,
        };
        let committed = self
            .store
            .commit(vec![Change::Put(Box::new(put))], &policy)
            .unwrap();
        assert!(committed.refused.is_empty(), "{committed:?}");
    }

    fn admission(&self, path: &TreePath, part: Part, bytes: &[u8]) -> Admission {
        let blob = self
            .store
            .blob_from_bytes(bytes, &Expected::default())
            .unwrap();
        Admission {
            path: path.clone(),
            part,
            blob,
        }
    }

    /// A server that makes no requests, with the usual limits.
    pub(crate) fn serve(&self) -> Running {
        self.serve_with(Limits::default())
    }

    /// A server that makes no requests.
    pub(crate) fn serve_with(&self, limits: Limits) -> Running {
        start(&self.store, limits, None, None)
    }
}

/// Starts a server on any free port of loopback.
pub(crate) fn start(
    store: &Store,
    limits: Limits,
    tls: Option<TlsFiles>,
    on_demand: Option<OnDemand>,
) -> Running {
    let listen = "127.0.0.1:0".parse().unwrap();
    let options = ServeOptions {
        listen,
        tls,
        version: "0.0.0-test".to_owned(),
        limits,
    };
    let server = Server::new(options, store.clone(), on_demand, Clock::new(|| NOW));
    let bound = server.bind().unwrap();
    let address = bound.local_address();
    let (stop, stopped) = oneshot::channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let shutdown = async {
            let _outcome = stopped.await;
        };
        bound.run(shutdown).await
    });
    Running {
        address,
        stop,
        tasks,
    }
}

impl Running {
    /// Asks the server to stop and waits until it has.
    pub(crate) async fn stop(self) -> Drained {
        let Self {
            stop, mut tasks, ..
        } = self;
        stop.send(()).unwrap();
        tasks.join_next().await.unwrap().unwrap()
    }

    /// Asks the server to stop; it is joined by what is returned.
    pub(crate) fn begin_stop(self) -> JoinSet<Drained> {
        self.stop.send(()).unwrap();
        self.tasks
    }

    /// GET with further headers, each `Name: value`.
    pub(crate) async fn get(&self, target: &str, headers: &[&str]) -> Answer {
        self.ask("GET", target, headers).await
    }

    /// Any method with further headers.
    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: mirror.test\r\nConnection: close\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        self.raw(request.as_bytes()).await
    }

    /// Sends bytes and reads one answer to the end of the connection.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        self.raw_or_cut(request).await.expect("the head has an end")
    }

    /// As `raw`, or nothing where the connection ended before the head did: an answer that is given up at once need not leave the server's buffer.
    pub(crate) async fn raw_or_cut(&self, request: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A reset ends an answer as an end does; what came before it stays.
        if let Err(error) = stream.read_to_end(&mut answer).await {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        Answer::parse(&answer)
    }

    /// Asks for something large and reads only its beginning, with as little as possible buffered on the way.
    pub(crate) async fn stall(&self, target: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        stream
    }

    /// The value of one metric, labels and all.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics", &[]).await.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no `{name}` in\n{text}"))
            .parse()
            .unwrap()
    }
}

impl Answer {
    /// An answer, or nothing where its head has no end.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Some(Self {
            status,
            headers,
            body: bytes[end + 4..].to_vec(),
        })
    }

    /// A header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Status and headers, sorted, without what changes from run to run.
    pub(crate) fn head(&self) -> String {
        let mut lines: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| !["date", "connection"].contains(&name.as_str()))
            .map(|(name, value)| match name.as_str() {
                "last-modified" => {
                    assert!(value.ends_with(" GMT"), "{value}");
                    format!("{name}: [date]")
                }
                _ => format!("{name}: {value}"),
            })
            .collect();
        lines.sort();
        format!("{}\n{}", self.status, lines.join("\n"))
    }
}

fn record(name: &str, keeper: Keeper, serial: u64, files: Vec<PageFile>) -> ProjectRecord {
    let name: ProjectName = name.parse().unwrap();
    ProjectRecord {
        page: ProjectPage {
            name,
            serial: Some(Serial(serial)),
            status: ProjectStatus::default(),
            versions: vec!["1.0".to_owned(), "2.0".to_owned()],
            files,
        },
        hidden: std::collections::BTreeSet::new(),
        keeper,
        published_serial: Some(Serial(serial)),
        validators: Validators::default(),
        confirmed_at: NOW,
        upstream: "https://upstream.example/simple/".to_owned(),
    }
}

//! A mirror that lies: a plain HTTP server over a good tree on disk, with one thing wrong with it.
//!
//! Owns what goes over the wire, byte by byte. Knows nothing of signatures: what is wrong is told by path and bytes.

use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::listening::Listening;

/// What a mirror does to the answers whose path contains a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Which paths: those that contain this.
    pub path: String,
    /// What it does to them.
    pub twist: Twist,
}

/// One thing that is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Twist {
    /// The last byte is another one; the length is right.
    FlipLastByte,
    /// One text is replaced by another wherever it stands.
    Replace(String, String),
    /// A status without a body worth reading.
    Status(u16),
    /// Bytes without end, and without a length.
    Endless,
    /// The right bytes, and then more, with the length of all.
    Longer(usize),
    /// The right bytes, so many every tenth of a second.
    Drip(usize),
    /// The same with another first byte.
    DripAltered(usize),
    /// So many bytes, the first of them another one, and then the connection is cut; the head promises all.
    CutAltered(usize),
    /// The connection is cut before an answer.
    Reset,
}

/// A mirror on loopback, until it is dropped.
#[derive(Debug)]
pub struct TreeMirror {
    listening: Listening,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tree: PathBuf,
    mutations: Vec<Mutation>,
    requests: Vec<String>,
    delay: Duration,
}

impl Mutation {
    /// This, done to answers whose path contains `path`.
    pub fn new(path: impl Into<String>, twist: Twist) -> Self {
        Self {
            path: path.into(),
            twist,
        }
    }
}

impl TreeMirror {
    /// A good mirror of a tree, so far.
    #[track_caller]
    pub fn serve(tree: impl Into<PathBuf>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                tree: tree.into(),
                mutations: Vec::new(),
                requests: Vec::new(),
                delay: Duration::ZERO,
            }),
        });
        let served = Arc::clone(&shared);
        let listening = Listening::at((Ipv4Addr::LOCALHOST, 0).into(), move |stream| {
            converse(stream, &served)
        });
        Self { listening, shared }
    }

    /// A mirror of a tree with things wrong with it.
    #[track_caller]
    pub fn evil(tree: impl Into<PathBuf>, mutations: impl IntoIterator<Item = Mutation>) -> Self {
        let mirror = Self::serve(tree);
        mirror.mutate(mutations);
        mirror
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/", self.listening.address())
    }

    /// What is wrong from now on, instead of what was.
    pub fn mutate(&self, mutations: impl IntoIterator<Item = Mutation>) {
        self.shared.state().mutations = mutations.into_iter().collect();
    }

    /// Serves another tree from now on.
    pub fn move_to(&self, tree: impl Into<PathBuf>) {
        self.shared.state().tree = tree.into();
    }

    /// Waits so long before each answer from now on.
    pub fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// The paths it was asked for, in order.
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }

    /// Dies: takes no further connection and cuts those there are, as a process that was killed.
    pub fn kill(&mut self) {
        self.listening.kill();
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let Some((path, from)) = read_head(&mut reader)? else {
            return Ok(());
        };
        let (tree, twist, delay) = {
            let mut state = shared.state();
            state.requests.push(path.clone());
            let found = state.mutations.iter().find(|one| path.contains(&one.path));
            let twist = found.map(|one| one.twist.clone());
            (state.tree.clone(), twist, state.delay)
        };
        std::thread::sleep(delay);
        if !respond(&mut stream, &tree, (&path, from), twist)? {
            return stream.shutdown(Shutdown::Both);
        }
    }
}

/// The path and the first byte of its range; `None` where the client has left.
fn read_head(reader: &mut impl io::BufRead) -> io::Result<Option<(String, u64)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut from = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            return Ok(Some((path, from)));
        }
        if let Some(range) = header.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap_or(0);
        }
    }
}

/// Answers; tells whether the connection lives on.
fn respond(
    stream: &mut TcpStream,
    tree: &Path,
    (path, from): (&str, u64),
    twist: Option<Twist>,
) -> io::Result<bool> {
    let Some(mut body) = read(tree, path, from) else {
        return head(stream, 404, 0, "").map(|()| true);
    };
    match twist {
        None => {}
        Some(Twist::FlipLastByte) => {
            if let Some(last) = body.last_mut() {
                *last ^= 1;
            }
        }
        Some(Twist::Replace(old, new)) => body = replaced(&body, &old, &new),
        Some(Twist::Status(status)) => {
            head(stream, status, 0, "")?;
            return Ok(true);
        }
        Some(Twist::Longer(bytes)) => body.resize(body.len() + bytes, b' '),
        Some(Twist::Endless) => return endless(stream),
        Some(Twist::Drip(bytes)) => return drip(stream, &body, (from, bytes)),
        Some(Twist::DripAltered(bytes)) => {
            if let (Some(first), 0) = (body.first_mut(), from) {
                *first ^= 1;
            }
            return drip(stream, &body, (from, bytes));
        }
        Some(Twist::CutAltered(bytes)) => {
            if let Some(first) = body.first_mut() {
                *first ^= 1;
            }
            head_of(stream, &body, from)?;
            stream.write_all(&body[..body.len().min(bytes)])?;
            return Ok(false);
        }
        Some(Twist::Reset) => return Ok(false),
    }
    head_of(stream, &body, from)?;
    stream.write_all(&body)?;
    Ok(true)
}

/// A file's bytes from an offset on. Names are taken as they come, which a test may rely on: the tree is its own.
fn read(tree: &Path, path: &str, from: u64) -> Option<Vec<u8>> {
    let relative = path.trim_start_matches('/');
    if relative.split('/').any(|segment| segment == "..") {
        return None;
    }
    let mut file = std::fs::File::open(tree.join(relative)).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut body = Vec::new();
    file.read_to_end(&mut body).ok()?;
    Some(body)
}

fn head_of(stream: &mut TcpStream, body: &[u8], from: u64) -> io::Result<()> {
    if from == 0 {
        return head(stream, 200, body.len(), "");
    }
    let (last, total) = (
        from + (body.len() as u64).saturating_sub(1),
        from + body.len() as u64,
    );
    let range = format!("Content-Range: bytes {from}-{last}/{total}\r\n");
    head(stream, 206, body.len(), &range)
}

fn head(stream: &mut TcpStream, status: u16, length: usize, more: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} As Asked\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes())
}

fn drip(stream: &mut TcpStream, body: &[u8], (from, bytes): (u64, usize)) -> io::Result<bool> {
    head_of(stream, body, from)?;
    for drop in body.chunks(bytes.max(1)) {
        stream.write_all(drop)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(true)
}

fn endless(stream: &mut TcpStream) -> io::Result<bool> {
    stream.write_all(b"HTTP/1.1 200 As Asked\r\nConnection: close\r\n\r\n")?;
    let block = [b' '; 16 << 10];
    loop {
        stream.write_all(&block)?;
    }
}

fn replaced(body: &[u8], old: &str, new: &str) -> Vec<u8> {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let mut result = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        if !old.is_empty() && body[at..].starts_with(old) {
            result.extend_from_slice(new);
            at += old.len();
        } else {
            result.push(body[at]);
            at += 1;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(mirror: &TreeMirror, path: &str, more: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(mirror.listening.address()).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut answer = Vec::new();
        let _timed_out = stream.read_to_end(&mut answer);
        answer
    }

    #[test]
    fn does_what_it_is_told_and_only_there() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(tree.path().join("a"), b"hello").unwrap();
        std::fs::write(tree.path().join("b"), b"there").unwrap();
        let mut mirror = TreeMirror::serve(tree.path());
        assert!(ask(&mirror, "/a", "").ends_with(b"\r\n\r\nhello"));
        assert!(ask(&mirror, "/a", "Range: bytes=2-\r\n").ends_with(b"\r\n\r\nllo"));
        assert!(ask(&mirror, "/c", "").starts_with(b"HTTP/1.1 404"));
        mirror.mutate([Mutation::new("/a", Twist::FlipLastByte)]);
        assert!(ask(&mirror, "/a", "").ends_with(b"\r\n\r\nhelln"));
        assert!(ask(&mirror, "/b", "").ends_with(b"\r\n\r\nthere"));
        mirror.mutate([Mutation::new(
            "/a",
            Twist::Replace("ll".into(), "LL".into()),
        )]);
        assert!(ask(&mirror, "/a", "").ends_with(b"\r\n\r\nheLLo"));
        mirror.mutate([Mutation::new("/a", Twist::Status(410))]);
        assert!(ask(&mirror, "/a", "").starts_with(b"HTTP/1.1 410"));
        assert_eq!(mirror.requests().len(), 7);
        mirror.kill();
        TcpStream::connect(mirror.listening.address()).unwrap_err();
    }
}

//! A mirror over TLS: a good tree on disk behind a name of its own, with things wrong with it on demand.
//!
//! Serves as nginx in front of a tree would, HTTP/1.1 only, one thread for each connection. Knows nothing of signatures
//! and serials.

mod reply;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use crate::listening::Listening;
use crate::pypi::Authority;
use reply::{Asked, answer};

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Something wrong with some answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    path: String,
    agent: Option<String>,
    twist: FrontTwist,
}

/// One thing that is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrontTwist {
    /// One more header.
    Header(&'static str, String),
    /// One header less.
    Without(&'static str),
    /// A status with a short body.
    Status(u16),
    /// 503, to be asked again after so many seconds.
    Busy(u32),
    /// 302 to this address.
    Redirect(String),
    /// 200 with a page for people.
    Html(String),
    /// The last byte is another one; the length is right.
    FlipLastByte,
    /// One text is replaced by another wherever it stands.
    Replace(String, String),
    /// The connection is cut in the middle of the body.
    Truncate,
    /// Bytes without end.
    Endless,
    /// No answer, for longer than anybody waits.
    Stall,
    /// Compressed twice, as caches do that mean well.
    GzipTwice,
    /// Parts begin one byte too late.
    RangeOffByOne,
}

/// A mirror on loopback, until it is dropped.
#[derive(Debug)]
pub struct Front {
    listening: Listening,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    tls: Arc<rustls::ServerConfig>,
}

#[derive(Debug)]
struct State {
    tree: PathBuf,
    wrong: Vec<Wrong>,
    requests: Vec<String>,
    /// Connections that are open now, and the most that were at once.
    open: (usize, usize),
    sent_bytes: usize,
}

impl Wrong {
    /// This, with answers whose path contains `path`.
    pub fn new(path: impl Into<String>, twist: FrontTwist) -> Self {
        Self {
            path: path.into(),
            agent: None,
            twist,
        }
    }

    /// Only for clients whose `User-Agent` contains this.
    #[must_use]
    pub fn only_for(mut self, agent: &str) -> Self {
        self.agent = Some(agent.to_owned());
        self
    }
}

impl Front {
    /// A good mirror of a tree, so far, on `127.0.0.1`.
    #[track_caller]
    pub fn serve(tree: impl Into<PathBuf>, authority: &Authority) -> Self {
        Self::at((Ipv4Addr::LOCALHOST.into(), 0), tree, authority)
    }

    /// The same at another address; port 0 picks one.
    #[track_caller]
    pub fn at(address: (IpAddr, u16), tree: impl Into<PathBuf>, authority: &Authority) -> Self {
        Self::choosing(&[b"http/1.1".as_slice()], address, tree, authority)
    }

    /// A mirror that chooses HTTP/2 where it is offered, and speaks HTTP/1.1 all the same.
    #[track_caller]
    pub fn claiming_http2(tree: impl Into<PathBuf>, authority: &Authority) -> Self {
        let protocols = [b"h2".as_slice(), b"http/1.1".as_slice()];
        let address = (Ipv4Addr::LOCALHOST.into(), 0);
        Self::choosing(&protocols, address, tree, authority)
    }

    #[track_caller]
    fn choosing(
        protocols: &[&[u8]],
        address: (IpAddr, u16),
        tree: impl Into<PathBuf>,
        authority: &Authority,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                tree: tree.into(),
                wrong: Vec::new(),
                requests: Vec::new(),
                open: (0, 0),
                sent_bytes: 0,
            }),
            tls: authority.server_config_of(protocols),
        });
        let served = Arc::clone(&shared);
        let listening = Listening::at(address.into(), move |stream| {
            served.count_open(1);
            let ended = converse(stream, &served);
            served.count_open(-1);
            ended
        });
        Self { listening, shared }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.listening.address().port()
    }

    /// What is wrong from now on, instead of what was.
    pub fn spoil(&self, wrong: impl IntoIterator<Item = Wrong>) {
        self.shared.state().wrong = wrong.into_iter().collect();
    }

    /// The most connections that were open at once.
    pub fn connections_max(&self) -> usize {
        self.shared.state().open.1
    }

    /// Bytes of all bodies that were sent.
    pub fn sent_bytes(&self) -> usize {
        self.shared.state().sent_bytes
    }

    /// Serves another tree from now on.
    pub fn move_to(&self, tree: impl Into<PathBuf>) {
        self.shared.state().tree = tree.into();
    }

    /// What it was asked for: method, path and the first word of the `User-Agent`, in order.
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }

    /// Dies: takes no further connection and cuts those there are.
    pub fn kill(&mut self) {
        self.listening.kill();
    }
}

impl Shared {
    fn count_open(&self, change: isize) {
        let mut state = self.state();
        let (now, max) = state.open;
        let now = now.saturating_add_signed(change);
        state.open = (now, max.max(now));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let session = ServerConnection::new(Arc::clone(&shared.tls)).map_err(io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(session, stream));
    while let Some(asked) = read_head(&mut reader)? {
        let (tree, twist) = {
            let mut state = shared.state();
            let agent = asked.agent.split('/').next().unwrap_or_default();
            let line = format!("{} {} {agent}", asked.method, asked.path);
            state.requests.push(line);
            let found = state.wrong.iter().find(|wrong| applies(wrong, &asked));
            (state.tree.clone(), found.map(|wrong| wrong.twist.clone()))
        };
        let (lives, sent_bytes) = respond(reader.get_mut(), &tree, &asked, twist.as_ref())?;
        shared.state().sent_bytes += sent_bytes;
        if !lives {
            break;
        }
    }
    let stream = reader.get_mut();
    stream.conn.send_close_notify();
    stream.flush()
}

fn applies(wrong: &Wrong, asked: &Asked) -> bool {
    let agent = |agent: &String| asked.agent.contains(agent.as_str());
    asked.path.contains(&wrong.path) && wrong.agent.as_ref().is_none_or(agent)
}

fn read_head(reader: &mut BufReader<Stream>) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let mut asked = Asked {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or("/").to_owned(),
        ..Asked::default()
    };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some(asked));
        };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "user-agent" => asked.agent = value,
            "accept" => asked.accept = value,
            "range" => asked.range = Some(value),
            "if-none-match" => asked.if_none_match = Some(value),
            _ => {}
        }
    }
}

/// Answers; tells whether the connection lives on, and how many bytes of a body were sent.
fn respond(
    stream: &mut Stream,
    tree: &Path,
    asked: &Asked,
    twist: Option<&FrontTwist>,
) -> io::Result<(bool, usize)> {
    match twist {
        Some(FrontTwist::Stall) => {
            std::thread::sleep(Duration::from_mins(2));
            return Ok((false, 0));
        }
        Some(FrontTwist::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 16 << 10])?;
            }
        }
        _ => {}
    }
    let reply = answer(tree, asked, twist);
    stream.write_all(reply.head().as_bytes())?;
    if asked.method == "HEAD" {
        stream.flush()?;
        return Ok((true, 0));
    }
    let cut = twist == Some(&FrontTwist::Truncate);
    let sent = if cut {
        reply.body.len() / 2
    } else {
        reply.body.len()
    };
    stream.write_all(&reply.body[..sent])?;
    stream.flush()?;
    Ok((!cut, sent))
}

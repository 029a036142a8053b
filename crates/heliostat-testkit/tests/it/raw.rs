//! An HTTP/1.1 client that reports exactly what came over the wire and how the connection ended.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything promised came.
    Whole,
    /// The connection closed before.
    Short,
    /// The connection was reset.
    Reset,
    /// Nothing came for the patience given.
    Silence,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) const JSON: (&str, &str) = ("Accept", "application/vnd.pypi.simple.v1+json");

/// Asks, with patience for slow machines.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(
        address,
        ("GET", path),
        headers,
        Limit {
            patience: Duration::from_secs(20),
            bytes: usize::MAX,
        },
    )
}

/// What a client puts up with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) patience: Duration,
    pub(crate) bytes: usize,
}

pub(crate) fn ask(
    address: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    limit: Limit,
) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(limit.patience)).unwrap();
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (bytes, stopped) = read_all(&mut stream, limit.bytes);
    parse(&bytes, stopped, method)
}

fn read_all(stream: &mut TcpStream, bytes_max: usize) -> (Vec<u8>, Option<End>) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65536];
    while bytes.len() < bytes_max {
        match stream.read(&mut buffer) {
            Ok(0) => return (bytes, None),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => {
                let end = match error.kind() {
                    ErrorKind::ConnectionReset => End::Reset,
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Silence,
                    other => panic!("unexpected {other}"),
                };
                return (bytes, Some(end));
            }
        }
    }
    (bytes, Some(End::Short))
}

fn parse(bytes: &[u8], stopped: Option<End>, method: &str) -> Answer {
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer {
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
            end: stopped.unwrap_or(End::Short),
        };
    };
    let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
        end: End::Whole,
    };
    let raw = &bytes[head_end + 4..];
    let whole = if answer.header("transfer-encoding") == Some("chunked") {
        let (body, whole) = dechunk(raw);
        answer.body = body;
        whole
    } else {
        answer.body = raw.to_vec();
        let promised = answer
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(raw.len());
        method == "HEAD" || raw.len() == promised
    };
    answer.end = if whole {
        End::Whole
    } else {
        stopped.unwrap_or(End::Short)
    };
    answer
}

fn dechunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line_end) = raw.windows(2).position(|window| window == b"\r\n") {
        let size =
            usize::from_str_radix(std::str::from_utf8(&raw[..line_end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let data = &raw[line_end + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        if data.len() < size + 2 {
            return (body, false);
        }
        raw = &data[size + 2..];
    }
    (body, false)
}

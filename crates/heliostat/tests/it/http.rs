//! An HTTP/1.1 client for tests: what came over the wire, and whether all that was promised came.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long a client of a test waits for the next byte. Only something that hangs meets it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks for the JSON form of a page.
pub(crate) const JSON: (&str, &str) = ("Accept", "application/vnd.pypi.simple.v1+json");

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether every byte that was promised came.
    pub(crate) whole: bool,
}

/// A request under way, of which the answer is read as a test wants.
#[derive(Debug)]
pub(crate) struct Asking {
    stream: TcpStream,
    received: Vec<u8>,
    method: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(600)]).into_owned();
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("whole", &self.whole)
            .field("length_bytes", &self.body.len())
            .field("begins", &text)
            .finish()
    }
}

impl Answer {
    /// A header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The file names on a JSON page, in its order.
    pub(crate) fn filenames(&self) -> Vec<String> {
        let page = self.json();
        let files = page["files"].as_array().unwrap();
        files
            .iter()
            .map(|file| file["filename"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// `GET url`, with every header given.
#[track_caller]
pub(crate) fn get_with(url: &str, headers: &[(&str, &str)]) -> Answer {
    Asking::start("GET", url, headers).finish()
}

/// `GET url`.
#[track_caller]
pub(crate) fn get(url: &str) -> Answer {
    get_with(url, &[])
}

/// `GET url` for the JSON form of a page.
#[track_caller]
pub(crate) fn get_json(url: &str) -> Answer {
    get_with(url, &[JSON])
}

impl Asking {
    /// Sends a request on a connection of its own.
    #[track_caller]
    pub(crate) fn start(method: &str, url: &str, headers: &[(&str, &str)]) -> Self {
        let (authority, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .unwrap_or_else(|| panic!("`{url}` is no plain address with a path"));
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request =
            format!("{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        Self {
            stream,
            received: Vec::new(),
            method: method.to_owned(),
        }
    }

    /// Reads until so many bytes of head and body are there.
    #[track_caller]
    pub(crate) fn read_at_least(&mut self, bytes: usize) {
        let mut buffer = [0; 4096];
        while self.received.len() < bytes {
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "it ended after {} bytes", self.received.len());
            self.received.extend_from_slice(&buffer[..count]);
        }
    }

    /// Reads to the end, however it comes.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Answer {
        let mut buffer = vec![0; 65536];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("no end came: {error}"),
            }
        }
        parse(&self.received, &self.method)
    }
}

fn parse(bytes: &[u8], method: &str) -> Answer {
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer {
            status: 0,
            headers: Vec::new(),
            body: bytes.to_vec(),
            whole: false,
        };
    };
    let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap();
    let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: bytes[head_end + 4..].to_vec(),
        whole: true,
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        (answer.body, answer.whole) = dechunk(&answer.body);
    } else if let Some(length) = answer.header("content-length") {
        let length: usize = length.parse().unwrap();
        answer.whole = method == "HEAD" || status == 304 || answer.body.len() == length;
    }
    answer
}

/// The bytes of a chunked body, and whether its end came.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line_end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return (body, false);
        };
        let line = std::str::from_utf8(&rest[..line_end]).unwrap();
        let size = usize::from_str_radix(line, 16).unwrap();
        rest = &rest[line_end + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            body.extend_from_slice(&rest[..rest.len().min(size)]);
            return (body, false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

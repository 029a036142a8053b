//! One request to the proxy, as something other than an installer makes it.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// What the proxy answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Header fields in an answer at the most.
const FIELDS_MAX: usize = 64;
/// How long one is waited for.
const WAIT_MAX: Duration = Duration::from_secs(45);

/// Asks for a path below an address. HTTP/1.0, so that the end of the body is the end of the connection.
pub(crate) fn get(url: &str, path: &str) -> io::Result<Answered> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    let request = format!(
        "GET /{path} HTTP/1.0\r\nHost: {authority}\r\nAccept: application/vnd.pypi.simple.v1+json, */*;q=0.1\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let parsed = head.parse(&answer).map_err(invalid)?;
    match (parsed, head.code) {
        (httparse::Status::Complete(end), Some(status)) => Ok(Answered {
            status,
            body: answer.split_off(end),
        }),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

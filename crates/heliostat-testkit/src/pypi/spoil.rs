//! Carries out the faults that befall an answer on its way: status, headers, length, timing.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tokio::sync::Notify;

use super::body::{Ending, ReplyBody};
use super::fault::{Fault, Gzip, Truncation};
use super::log::Meter;
use super::reply::{Reply, header};
use super::state::gzip;

/// How the answer leaves.
#[derive(Debug)]
pub(super) struct Departure {
    reply: Reply,
    ending: Ending,
    bytes_per_second: Option<u32>,
    /// `None`: chunked.
    declared_bytes: Option<usize>,
}

/// Replaces the answer where the fault is an answer of its own.
pub(super) fn replace(reply: Reply, fault: &Fault, path_and_query: &str) -> Reply {
    match fault {
        Fault::Status(status) => Reply::text(*status, "on purpose"),
        Fault::RetryAfter(status, after) => {
            Reply::text(*status, "on purpose").with(RETRY_AFTER, after)
        }
        Fault::RedirectLoop => Reply::redirect(302, &next_turn(path_and_query)),
        Fault::RedirectTo(address) => Reply::redirect(302, address),
        Fault::Replace(media_type, body) => {
            let mut reply = Reply::text(200, "");
            reply.body = Bytes::from(body.clone());
            reply.with(CONTENT_TYPE, media_type)
        }
        Fault::ContentType(media_type) => reply.with(CONTENT_TYPE, media_type),
        Fault::Gzip(Gzip::Encoded) => {
            let mut reply = reply;
            reply.body = gzip(&reply.body);
            reply.with(CONTENT_ENCODING, "gzip")
        }
        Fault::Gzip(Gzip::LabelOnly) => reply.with(CONTENT_ENCODING, "gzip"),
        Fault::Corrupt => corrupt(reply),
        Fault::ShiftRange => shift_range(reply),
        _ => reply,
    }
}

/// Decides length, pace and ending.
pub(super) fn depart(reply: Reply, fault: Option<&Fault>, reset: &Arc<Notify>) -> Departure {
    let whole = reply.body.len();
    let half = whole / 2;
    let mut departure = Departure {
        reply,
        ending: Ending::Clean,
        bytes_per_second: None,
        declared_bytes: Some(whole),
    };
    match fault {
        Some(Fault::StallAfter(bytes)) => departure.cut(*bytes, Ending::Stall),
        Some(Fault::ResetAfter(bytes)) => departure.cut(*bytes, Ending::Reset(Arc::clone(reset))),
        Some(Fault::Truncate(Truncation::LengthKnown)) => departure.cut(half, Ending::Abort),
        Some(Fault::Truncate(Truncation::Chunked)) => {
            departure.cut(half, Ending::Clean);
            departure.declared_bytes = None;
        }
        Some(Fault::Truncate(Truncation::ShortLength)) => {
            departure.cut(half, Ending::Clean);
            departure.declared_bytes = Some(half);
        }
        Some(Fault::SlowBytesPerSecond(rate)) => departure.bytes_per_second = Some(*rate),
        Some(Fault::Endless) => {
            departure.reply.body = Bytes::from(vec![b' '; 64 * 1024]);
            departure.ending = Ending::Repeat;
            departure.declared_bytes = None;
        }
        _ => {}
    }
    departure
}

impl Departure {
    fn cut(&mut self, bytes: usize, ending: Ending) {
        self.reply.body.truncate(bytes);
        self.ending = ending;
    }

    /// The HTTP response. A 304 and the answer to a HEAD have no body; the latter still tells the length.
    pub(super) fn respond(self, method: &Method, meter: Meter) -> Response<ReplyBody> {
        let mut headers: HeaderMap = self.reply.headers;
        let bodiless = self.reply.status == StatusCode::NOT_MODIFIED;
        if let Some(bytes) = self.declared_bytes.filter(|_| !bodiless) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        let body = if bodiless || method == Method::HEAD {
            ReplyBody::new(Bytes::new(), Ending::Clean, None, meter)
        } else {
            ReplyBody::new(self.reply.body, self.ending, self.bytes_per_second, meter)
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.reply.status;
        *response.headers_mut() = headers;
        response
    }
}

fn corrupt(mut reply: Reply) -> Reply {
    let mut bytes = Vec::from(reply.body);
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x5a;
    }
    reply.body = Bytes::from(bytes);
    reply
}

/// Moves a 206 one byte on. Anything else stays as it is.
fn shift_range(mut reply: Reply) -> Reply {
    let shifted = header(&reply.headers, &CONTENT_RANGE).and_then(|value| {
        let (first, rest) = value.strip_prefix("bytes ")?.split_once('-')?;
        let first: usize = first.parse().ok()?;
        Some(format!("bytes {}-{rest}", first + 1))
    });
    match shifted {
        Some(range) if reply.status == StatusCode::PARTIAL_CONTENT && reply.body.len() > 1 => {
            reply.body = reply.body.slice(1..);
            reply.with(CONTENT_RANGE, &range)
        }
        _ => reply,
    }
}

fn next_turn(path_and_query: &str) -> String {
    let (path, query) = path_and_query
        .split_once('?')
        .unwrap_or((path_and_query, ""));
    let turn: u64 = query
        .strip_prefix("turn=")
        .and_then(|turn| turn.parse().ok())
        .unwrap_or(0);
    format!("{path}?turn={}", turn + 1)
}

//! What a mirror sends back, as a value: an honest answer, or one of the ways to harm whoever asked.
//!
//! Decides nothing about sockets (`server`) and nothing about which answer a script wants (`script`).

use std::sync::Arc;
use std::time::Duration;

/// Bytes that many answers share.
pub(crate) type Shared = Arc<[u8]>;

/// One request, as far as a mirror of plain files looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// `GET` or `HEAD`; anything else is answered with 405 before it comes here.
    pub(crate) method: Method,
    /// The path without its leading slash and without a query, as it came.
    pub(crate) path: String,
    /// Where a `Range: bytes=N-` begins, when there is one.
    pub(crate) range_start: Option<u64>,
}

/// The methods a mirror knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Header fields beside the framing, which follows from the body.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The body and how it is sent.
    pub(crate) body: Body,
}

/// A body and how it is sent. Everything is bounded, also what looks endless.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// Whole, with its length.
    Whole(Shared),
    /// These bytes over and over, without a length, until the other side has had enough or this many were sent.
    Endless {
        /// What is repeated; never empty.
        chunk: Shared,
        /// Where it ends after all.
        size_bytes_max: u64,
    },
    /// The true length, then one byte at a time.
    Drip {
        /// What is promised.
        bytes: Shared,
        /// Between two bytes.
        pause: Duration,
    },
    /// The true length, a part, then silence.
    Stall {
        /// What is promised.
        bytes: Shared,
        /// How many of them come.
        sent_bytes: usize,
    },
    /// The true length, a part, then the connection is closed.
    Cut {
        /// What is promised.
        bytes: Shared,
        /// How many of them come.
        sent_bytes: usize,
    },
    /// The connection is closed without a word.
    Reset,
}

impl Answer {
    /// 200 with these bytes.
    pub(crate) fn ok(bytes: Shared) -> Self {
        Self::whole(200, bytes)
    }

    /// A status with one sentence.
    pub(crate) fn refusal(status: u16, sentence: &str) -> Self {
        Self::whole(status, Shared::from(format!("{sentence}\n").into_bytes()))
    }

    /// 200 with a body that is sent in some other way.
    pub(crate) fn sent(body: Body) -> Self {
        Self {
            status: 200,
            fields: Vec::new(),
            body,
        }
    }

    fn whole(status: u16, bytes: Shared) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: Body::Whole(bytes),
        }
    }
}

/// What a mirror of plain files says honestly: 200, 206 from where the range begins, 416 behind the end, or 404.
pub(crate) fn honest(file: Option<&Shared>, ask: &Ask) -> Answer {
    let Some(bytes) = file else {
        return Answer::refusal(404, "there is no such file here");
    };
    let Some(start) = ask.range_start else {
        let mut answer = Answer::ok(Arc::clone(bytes));
        answer.fields.push(("Accept-Ranges", "bytes".to_owned()));
        answer.fields.push(("Content-Type", media_type(&ask.path)));
        return answer;
    };
    let size = bytes.len();
    match usize::try_from(start).ok().filter(|start| *start < size) {
        Some(start) => Answer {
            status: 206,
            fields: vec![(
                "Content-Range",
                format!("bytes {start}-{}/{size}", size - 1),
            )],
            body: Body::Whole(Shared::from(&bytes[start..])),
        },
        None => Answer {
            status: 416,
            fields: vec![("Content-Range", format!("bytes */{size}"))],
            body: Body::Whole(Shared::from(&b""[..])),
        },
    }
}

/// As a web server configured for a tree of ours would say it.
fn media_type(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    let media_type = match last.rsplit_once('.') {
        Some((_, "v1_json")) => "application/vnd.pypi.simple.v1+json",
        None if last.is_empty() => "application/vnd.pypi.simple.v1+json",
        Some((_, "json")) => "application/json",
        Some((_, "html")) => "text/html",
        _ => "application/octet-stream",
    };
    media_type.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(range_start: Option<u64>) -> Ask {
        Ask {
            method: Method::Get,
            path: "a".to_owned(),
            range_start,
        }
    }

    fn told(answer: &Answer) -> (u16, Vec<u8>) {
        match &answer.body {
            Body::Whole(bytes) => (answer.status, bytes.to_vec()),
            other => panic!("not whole: {other:?}"),
        }
    }

    #[test]
    fn an_honest_mirror_serves_wholes_and_ranges() {
        let file = Shared::from(&b"0123456789"[..]);
        assert_eq!(told(&honest(Some(&file), &ask(None))), (200, file.to_vec()));
        assert_eq!(
            told(&honest(Some(&file), &ask(Some(7)))),
            (206, b"789".to_vec())
        );
        assert_eq!(honest(Some(&file), &ask(Some(10))).status, 416);
        assert_eq!(honest(None, &ask(None)).status, 404);
    }
}

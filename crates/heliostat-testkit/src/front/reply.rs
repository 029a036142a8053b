//! What a mirror answers: the tree's bytes, by path, `Accept`, `Range` and condition, and what a twist makes of them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::FrontTwist;
use crate::fixture::sha256_hex;

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const HTML: &str = "text/html; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// A request's head.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) agent: String,
    pub(super) accept: String,
    pub(super) range: Option<String>,
    pub(super) if_none_match: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, media: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![
                ("Content-Type", media.to_owned()),
                ("Strict-Transport-Security", "max-age=31536000".to_owned()),
            ],
            body,
        }
    }

    pub(super) fn head(&self) -> String {
        let mut head = format!(
            "HTTP/1.1 {} As Asked\r\nContent-Length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            let _infallible = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

/// The answer to a request.
pub(super) fn answer(tree: &Path, asked: &Asked, twist: Option<&FrontTwist>) -> Reply {
    let mut reply = found(tree, asked).unwrap_or_else(|| {
        let body = b"<!DOCTYPE html><title>404</title>".to_vec();
        Reply::new(404, HTML, body)
    });
    if let Some(twist) = twist {
        spoil(&mut reply, twist);
    }
    if reply.status != 200 {
        return reply;
    }
    let etag = format!("\"{}\"", &sha256_hex(&reply.body)[..16]);
    if asked.if_none_match.as_deref() == Some(etag.as_str()) {
        reply.status = 304;
        reply.body.clear();
    }
    reply.headers.push(("ETag", etag));
    if let Some(range) = asked.range.as_deref().and_then(parse_range)
        && reply.status == 200
    {
        let late = usize::from(twist == Some(&FrontTwist::RangeOffByOne));
        cut(&mut reply, range, late);
    }
    reply
}

fn found(tree: &Path, asked: &Asked) -> Option<Reply> {
    let relative = asked.path.trim_start_matches('/');
    if relative.split('/').any(|segment| segment == "..") {
        return None;
    }
    let path = tree.join(relative);
    if !path.is_dir() {
        return Some(Reply::new(200, BYTES, std::fs::read(path).ok()?));
    }
    let json = asked.accept.contains("json");
    let (name, media) = if json {
        ("index.v1_json", JSON)
    } else {
        ("index.html", HTML)
    };
    let mut reply = Reply::new(200, media, std::fs::read(path.join(name)).ok()?);
    reply.headers.push(("Vary", "Accept".to_owned()));
    Some(reply)
}

/// `bytes=a-b`
fn parse_range(text: &str) -> Option<(usize, usize)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn cut(reply: &mut Reply, (from, to): (usize, usize), late: usize) {
    let total = reply.body.len();
    if to >= total || from > to {
        return;
    }
    let (first, last) = ((from + late).min(total - 1), (to + late).min(total - 1));
    reply.body = reply.body[first..=last].to_vec();
    reply.status = 206;
    let range = format!("bytes {from}-{to}/{total}");
    reply.headers.push(("Content-Range", range));
}

fn spoil(reply: &mut Reply, twist: &FrontTwist) {
    match twist {
        FrontTwist::Header(name, value) => reply.headers.push((name, value.clone())),
        FrontTwist::Without(name) => reply.headers.retain(|(other, _)| other != name),
        FrontTwist::Status(status) => *reply = Reply::new(*status, HTML, b"no".to_vec()),
        FrontTwist::Busy(seconds) => {
            *reply = Reply::new(503, HTML, b"busy".to_vec());
            reply.headers.push(("Retry-After", seconds.to_string()));
        }
        FrontTwist::Redirect(to) => {
            *reply = Reply::new(302, HTML, Vec::new());
            reply.headers.push(("Location", to.clone()));
        }
        FrontTwist::Html(text) => *reply = Reply::new(200, HTML, text.clone().into_bytes()),
        FrontTwist::FlipLastByte => {
            if let Some(last) = reply.body.last_mut() {
                *last ^= 1;
            }
        }
        FrontTwist::Replace(old, new) => {
            let text = String::from_utf8_lossy(&reply.body).replace(old, new);
            reply.body = text.into_bytes();
        }
        FrontTwist::GzipTwice => {
            reply.body = gzip(&gzip(&reply.body));
            reply.headers.push(("Content-Encoding", "gzip".to_owned()));
        }
        FrontTwist::Truncate
        | FrontTwist::Endless
        | FrontTwist::Stall
        | FrontTwist::RangeOffByOne => {}
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

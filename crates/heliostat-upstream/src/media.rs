//! Which kind of Simple API document an answer is: by its content type, and where that is wrong or missing, by its
//! look if it leaves no doubt. Pure.

use heliostat_pypi::page::MediaType;

/// The kind of a document, or `None` where it is neither.
pub(crate) fn media_type(content_type: Option<&[u8]>, body: &[u8]) -> Option<MediaType> {
    declared(content_type.unwrap_or_default()).or_else(|| look(body))
}

/// What PEP 691 and practice name the two kinds.
fn declared(content_type: &[u8]) -> Option<MediaType> {
    let plain = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    match plain.trim_ascii().to_ascii_lowercase().as_slice() {
        b"application/vnd.pypi.simple.v1+json"
        | b"application/vnd.pypi.simple.latest+json"
        | b"application/json" => Some(MediaType::Json),
        b"application/vnd.pypi.simple.v1+html"
        | b"application/vnd.pypi.simple.latest+html"
        | b"text/html"
        | b"application/xhtml+xml" => Some(MediaType::Html),
        _ => None,
    }
}

/// What a body plainly is: a JSON object, or a document that begins as HTML does.
fn look(body: &[u8]) -> Option<MediaType> {
    let body = body
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(body)
        .trim_ascii_start();
    let begins = |start: &[u8]| {
        body.get(..start.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(start))
    };
    if body.first() == Some(&b'{') {
        Some(MediaType::Json)
    } else if begins(b"<!doctype html") || begins(b"<html") {
        Some(MediaType::Html)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_decide() {
        for (content_type, expected) in [
            ("application/vnd.pypi.simple.v1+json", Some(MediaType::Json)),
            ("Application/JSON; charset=utf-8", Some(MediaType::Json)),
            ("text/html ; charset=utf-8", Some(MediaType::Html)),
            ("application/vnd.pypi.simple.v1+html", Some(MediaType::Html)),
            ("image/png", None),
            ("", None),
        ] {
            assert_eq!(
                media_type(Some(content_type.as_bytes()), b""),
                expected,
                "{content_type}"
            );
        }
        assert_eq!(media_type(Some(b"text/html"), b"{}"), Some(MediaType::Html));
    }

    #[test]
    fn looks_decide_where_types_do_not() {
        for (body, expected) in [
            ("{\"meta\":{}}", Some(MediaType::Json)),
            ("\u{feff}\n {", Some(MediaType::Json)),
            ("\n<!DOCTYPE html><html>", Some(MediaType::Html)),
            ("<HTML>", Some(MediaType::Html)),
            ("[]", None),
            ("<?xml version='1.0'?>", None),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(media_type(None, body.as_bytes()), expected, "{body}");
            assert_eq!(
                media_type(Some(b"application/octet-stream"), body.as_bytes()),
                expected,
                "{body}"
            );
        }
    }
}

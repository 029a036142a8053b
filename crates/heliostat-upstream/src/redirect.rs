//! Where a redirect may lead. Pure. Counting them and choosing credentials for each hop is `client`'s work.

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use crate::redact::bare;

/// Whether a status with a `Location` sends us elsewhere (RFC 9110, section 15.4).
pub(crate) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where an answer from `from` sends us, or why we do not go there. User information in it is dropped: an upstream
/// has no business handing us credentials.
pub(crate) fn target(from: &Url, headers: &HeaderMap) -> Result<Url, &'static str> {
    let location = headers.get(LOCATION).ok_or("it names no place to go to")?;
    let location =
        std::str::from_utf8(location.as_bytes()).map_err(|_| "the place to go to is not UTF-8")?;
    let target = from
        .join(location)
        .map_err(|_| "the place to go to is not an address")?;
    match (from.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(bare(&target)),
        (_, "http") => Err("it leads from https to http"),
        _ => Err("it leads to something other than http and https"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(from: &str, location: &str) -> Result<String, &'static str> {
        let headers = [(LOCATION, location.parse().unwrap())]
            .into_iter()
            .collect();
        target(&from.parse().unwrap(), &headers).map(Into::into)
    }

    #[test]
    fn follows_within_http() {
        for (from, location, expected) in [
            (
                "http://a.example/simple/x",
                "x/",
                "http://a.example/simple/x/",
            ),
            (
                "http://a.example/simple/x",
                "https://a.example/simple/x/",
                "https://a.example/simple/x/",
            ),
            (
                "https://a.example/x",
                "//b.example/y?z#f",
                "https://b.example/y?z",
            ),
            (
                "https://a.example/x",
                "https://user:secret@b.example/",
                "https://b.example/",
            ),
        ] {
            assert_eq!(go(from, location).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn refuses_what_could_hurt() {
        for location in [
            "http://a.example/x",
            "file:///etc/passwd",
            "ftp://a.example/",
            "http://[",
            "data:,x",
        ] {
            assert!(go("https://a.example/x", location).is_err(), "{location}");
        }
        assert!(target(&"https://a.example/".parse().unwrap(), &HeaderMap::new()).is_err());
    }
}

//! The address that a client used to reach us, as far as it can be believed.
//!
//! `Host` and `X-Forwarded-Proto` are the client's (or its proxy's) words. They are checked to be an authority and a
//! scheme before they are written into a document, and such documents say `Vary`.

use http::StatusCode;
use http::header::HOST;

use crate::problem::Problem;
use crate::service::{Asked, Scheme};

/// The longest authority we repeat, in bytes: a full domain name and a port.
const AUTHORITY_BYTES_MAX: usize = 255 + 6;

/// `http://host:port`, without a slash at its end; 400 where the request names no plain host.
pub(crate) fn base_url(asked: &Asked<'_>) -> Result<String, Problem> {
    let named = asked
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or(asked.authority);
    let authority = named.filter(|text| is_authority(text)).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "The request names no host that could be written into an address.",
        )
    })?;
    let forwarded = asked
        .headers
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok());
    let scheme = match (asked.scheme, forwarded) {
        (Scheme::Https, _) | (Scheme::Http, Some("https")) => "https",
        (Scheme::Http, _) => "http",
    };
    Ok(format!("{scheme}://{authority}"))
}

/// A host name, an IPv4 address or a bracketed IPv6 address, with or without a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => return address.parse::<std::net::Ipv6Addr>().is_ok(),
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
            match port.strip_prefix(':') {
                Some(port) => ("v6", Some(port)),
                None => return false,
            }
        }
        Some(_) => return false,
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    text.len() <= AUTHORITY_BYTES_MAX
        && !host.is_empty()
        && host.bytes().all(named)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_hosts_are_believed() {
        for text in [
            "localhost",
            "mirror.example",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a_b:1",
        ] {
            assert!(is_authority(text), "{text}");
        }
        for text in [
            "",
            ":80",
            "a:b",
            "a:99999",
            "a/b",
            "a\"b",
            "<x>",
            "a b",
            "user@host",
            "[::1",
            "[x]:1",
            "[::1]1",
        ] {
            assert!(!is_authority(text), "{text}");
        }
        assert!(!is_authority(&"a".repeat(300)));
    }

    proptest! {
        #[test]
        fn what_is_believed_needs_no_escaping(text in "[ -~]{0,40}") {
            if is_authority(&text) {
                prop_assert!(!text.contains(['<', '>', '"', '\'', '&', '/', '@', ' ', '$', '`', '\\']));
            }
        }
    }
}

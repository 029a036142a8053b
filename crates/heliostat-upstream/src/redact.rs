//! Addresses as they may be shown: without credentials, and without the query, where signed addresses keep theirs.

use url::Url;

/// The address for logs and errors: user information becomes `***`, a query becomes `…`, a fragment is left out.
pub fn redacted(url: &Url) -> String {
    let mut shown = String::from(url.scheme());
    shown.push(':');
    if let Some(host) = url.host_str() {
        shown.push_str("//");
        if has_credentials(url) {
            shown.push_str("***@");
        }
        shown.push_str(host);
        if let Some(port) = url.port() {
            shown.push(':');
            shown.push_str(&port.to_string());
        }
    }
    shown.push_str(url.path());
    if url.query().is_some() {
        shown.push_str("?…");
    }
    shown
}

/// Whether the address carries user information.
pub(crate) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The address without user information and fragment, as it goes over the wire.
pub fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // Both setters refuse only addresses without a host, which have no user information to remove.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.set_fragment(None);
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_neither_credentials_nor_queries() {
        for (given, shown) in [
            (
                "https://user:secret@example.org:8443/simple/?sig=abc#x",
                "https://***@example.org:8443/simple/?…",
            ),
            ("https://token@example.org/", "https://***@example.org/"),
            ("http://[::1]:9000/simple/", "http://[::1]:9000/simple/"),
            ("https://example.org/simple/", "https://example.org/simple/"),
        ] {
            assert_eq!(redacted(&given.parse().unwrap()), shown);
        }
    }

    #[test]
    fn goes_over_the_wire_bare() {
        let url: Url = "https://user:secret@example.org/a?b#c".parse().unwrap();
        assert_eq!(bare(&url).as_str(), "https://example.org/a?b");
    }
}

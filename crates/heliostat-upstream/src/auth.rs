//! Whose credentials go where. Basic authentication only; a credential is bound to one origin (scheme, host and
//! port) and is never sent to another, also not after a redirect.

use std::fmt;
use std::str::FromStr;

use netrc::Netrc;
use percent_encoding::percent_decode_str;
use url::{Origin, Url};

use crate::redact::has_credentials;
use crate::{UpstreamError, UpstreamOptions};

/// A user name and password, decoded. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Basic {
    pub(crate) username: String,
    pub(crate) password: Option<String>,
}

/// Every credential we hold, each with the origin it belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials(Vec<(Origin, Basic)>);

impl Basic {
    /// The user information of an address, percent-decoded.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        has_credentials(url).then(|| Self {
            username: decode(url.username()),
            password: url.password().map(decode),
        })
    }
}

impl Credentials {
    /// Gathers the credentials of the root and the file mirrors: their own user information, else netrc's.
    pub(crate) fn gather(options: &UpstreamOptions) -> Result<Self, UpstreamError> {
        let netrc = match &options.netrc {
            // The parser's message quotes what it stumbled over, which may be a password.
            Some(text) => Netrc::from_str(text).map_err(|_| UpstreamError::Configure {
                reason: "the netrc text does not follow netrc's grammar".to_owned(),
            })?,
            None => Netrc::default(),
        };
        let entry = |host: &str| {
            netrc.hosts.get(host).map(|found| Basic {
                username: found.login.clone(),
                password: Some(found.password.clone()),
            })
        };
        let mut gathered = Vec::new();
        let root_host = options.root.host_str().unwrap_or_default();
        let of_root = Basic::of(&options.root)
            .or_else(|| entry(root_host))
            .or_else(|| entry("default"));
        gathered.extend(of_root.map(|basic| (options.root.origin(), basic)));
        for mirror in &options.file_mirrors {
            let basic = Basic::of(mirror).or_else(|| entry(mirror.host_str().unwrap_or_default()));
            gathered.extend(basic.map(|basic| (mirror.origin(), basic)));
        }
        Ok(Self(gathered))
    }

    /// The credential for an address, if its origin has one.
    pub(crate) fn for_url(&self, url: &Url) -> Option<&Basic> {
        let origin = url.origin();
        self.0
            .iter()
            .find(|(owner, _)| *owner == origin)
            .map(|(_, basic)| basic)
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(root: &str) -> UpstreamOptions {
        UpstreamOptions::new(root.parse().unwrap(), "test")
    }

    fn found(credentials: &Credentials, url: &str) -> Option<(String, Option<String>)> {
        credentials
            .for_url(&url.parse().unwrap())
            .map(|basic| (basic.username.clone(), basic.password.clone()))
    }

    fn pair(username: &str, password: &str) -> (String, Option<String>) {
        (username.to_owned(), Some(password.to_owned()))
    }

    #[test]
    fn user_information_belongs_to_one_origin() {
        let credentials =
            Credentials::gather(&options("https://a%40b:p%2520w@index.example/simple/")).unwrap();
        assert_eq!(
            found(&credentials, "https://index.example/packages/x"),
            Some(pair("a@b", "p%20w"))
        );
        for other in [
            "http://index.example/",
            "https://index.example:444/",
            "https://files.index.example/",
        ] {
            assert_eq!(found(&credentials, other), None, "{other}");
        }
    }

    #[test]
    fn netrc_fills_in_by_host() {
        let mut options = options("https://index.example/simple/");
        options
            .file_mirrors
            .push("https://mirror.example/".parse().unwrap());
        options
            .file_mirrors
            .push("https://open.example/".parse().unwrap());
        options.netrc = Some(
            "machine mirror.example login m password mm\n# a comment\nmachine index.example login i password i%41i\n\
             default login d password dd\n"
                .to_owned(),
        );
        let credentials = Credentials::gather(&options).unwrap();
        assert_eq!(
            found(&credentials, "https://index.example/x"),
            Some(pair("i", "i%41i"))
        );
        assert_eq!(
            found(&credentials, "https://mirror.example/x"),
            Some(pair("m", "mm"))
        );
        assert_eq!(
            found(&credentials, "https://open.example/x"),
            None,
            "the default is for the root only"
        );
        options.root = "https://other.example/".parse().unwrap();
        let credentials = Credentials::gather(&options).unwrap();
        assert_eq!(
            found(&credentials, "https://other.example/"),
            Some(pair("d", "dd"))
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut options = options("https://user:hunter2@index.example/simple/");
        options.netrc =
            Some("machine index.example login user password hunter2 hunter2".to_owned());
        options.proxy = Some("http://user:hunter2@proxy.example/".parse().unwrap());
        let shown = format!("{options:?} {:?}", Credentials::gather(&options));
        assert!(!shown.contains("hunter2"), "{shown}");
        options.netrc = None;
        let shown = format!("{:?}", Credentials::gather(&options).unwrap());
        assert!(
            shown.contains("Basic(***)") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

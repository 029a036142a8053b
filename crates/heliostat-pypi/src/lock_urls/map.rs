//! Which address becomes which.

use url::{Host, Position, Url};

use super::LockFormat;
use crate::select::LockKind;

/// Where addresses shall lead: the index that everybody can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// The Simple API root as it shall be spelt, usually without a slash at its end.
    pub index: String,
    /// What stands before `packages/…` in the addresses of files, with a slash at its end.
    pub files: String,
}

/// A place on the way: what its index and its files have in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRoot(Url);

/// Every place on the way, and where its addresses belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlMap {
    /// Places that were named.
    pub from: Vec<MovedRoot>,
    /// Whether whatever is served on this machine's loopback is on the way too.
    pub loopback: Loopback,
    /// Where to.
    pub to: Canonical,
    /// The plain index beside the signed tree, which decides for whole projects.
    pub beside: Beside,
}

/// What is known of a plain index beside the signed tree, whose files lock files name by its own addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// Nothing: the index of a package whose files are elsewhere is left as it is, and told.
    Unknown,
    /// It has this Simple API root, which such a package's index becomes.
    Named(Url),
    /// Addresses are led to the place on the way: this Simple API root as well, where there is one.
    Hidden(Option<Url>),
}

/// Whether addresses on loopback are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// They are: nobody else can use them.
    Mapped,
    /// Only what is named is.
    Left,
}

/// What becomes of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is none of our business.
    Foreign,
    /// It is on the way, and has no counterpart.
    Nowhere,
    /// It becomes this.
    To(String),
}

impl MovedRoot {
    /// From the Simple API root of a proxy or mirror, or from what lies above it.
    pub fn new(mut url: Url) -> Self {
        let path = url.path().trim_end_matches('/');
        let above = path.strip_suffix("/simple").unwrap_or(path);
        let above = format!("{above}/");
        url.set_path(&above);
        url.set_query(None);
        url.set_fragment(None);
        Self(url)
    }

    /// The path below this root, where the address lies there.
    fn below<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let same = self.0.scheme() == url.scheme()
            && self.0.host() == url.host()
            && self.0.port_or_known_default() == url.port_or_known_default();
        url.path().strip_prefix(self.0.path()).filter(|_below| same)
    }
}

impl UrlMap {
    /// What becomes of a text that stands in a lock file.
    pub(super) fn apply(&self, text: &str, format: LockFormat) -> Moved {
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Moved::Foreign;
        }
        let Ok(url) = text.parse::<Url>() else {
            return Moved::Foreign;
        };
        match &self.beside {
            Beside::Named(index) if MovedRoot::new(index.clone()).below(&url).is_some() => {
                return Moved::Foreign;
            }
            Beside::Hidden(Some(index)) if is_same_root(index.as_str(), text) => {
                return Moved::To(self.to.index.clone());
            }
            _ => {}
        }
        let named = self.from.iter().find_map(|root| root.below(&url));
        let below = match named {
            Some(below) => below,
            None if self.loopback == Loopback::Mapped && is_loopback(&url) => {
                // Something else may be served there as well, so only what looks like an index is taken for one.
                match below_any_root(url.path()) {
                    Some(below) => below,
                    None => return Moved::Foreign,
                }
            }
            None => return Moved::Foreign,
        };
        match self.canonical(below, format) {
            Some(moved) => Moved::To(moved + &url[Position::AfterPath..]),
            None => Moved::Nowhere,
        }
    }

    /// Whether a file's address is neither on the way nor where it shall lead.
    pub(super) fn is_elsewhere(&self, text: &str, format: LockFormat) -> bool {
        self.apply(text, format) == Moved::Foreign
            && text.parse::<Url>().is_ok_and(|url| url.has_host())
            && !text.starts_with(&self.to.files)
    }

    fn canonical(&self, below: &str, format: LockFormat) -> Option<String> {
        if is_file(below) {
            return Some(format!("{}{below}", self.to.files));
        }
        let page = below.strip_prefix("simple")?;
        let root = self.to.index.trim_end_matches('/');
        match page {
            "/" if has_slash(format) => Some(format!("{root}/")),
            "" | "/" => Some(self.to.index.clone()),
            page => page.starts_with('/').then(|| format!("{root}{page}")),
        }
    }
}

/// Whether the root of an index stands there with a slash: PEP 751's own examples have it, the other tools spell the
/// root as they were told.
pub(super) fn has_slash(format: LockFormat) -> bool {
    format == LockFormat::Toml(LockKind::Pylock)
}

fn is_same_root(left: &str, right: &str) -> bool {
    left.trim_end_matches('/') == right.trim_end_matches('/')
}

/// Whether nobody but this machine can reach the address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// What lies below the root of an index, wherever on its host that is.
fn below_any_root(path: &str) -> Option<&str> {
    let segments = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
    segments
        .filter(|below| is_file(below) || *below == "simple" || below.starts_with("simple/"))
        .max_by_key(|below| below.len())
}

/// `packages/aa/bb/<60 hex>/<file>`, PyPI's own path, which mirrors keep.
fn is_file(below: &str) -> bool {
    let Some(rest) = below.strip_prefix("packages/") else {
        return false;
    };
    let mut parts = rest.split('/');
    let lengths = [2, 2, 60];
    let hex = lengths.iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    });
    hex && parts.next().is_some_and(|name| !name.is_empty()) && parts.next().is_none()
}

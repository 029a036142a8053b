//! How an index is laid out and what it does not offer.

use std::collections::BTreeSet;

use base64::Engine as _;

use super::{FakePyPi, LogDepth};
use crate::universe::Universe;

/// How to serve a universe. Start from `Options::default()`, end with [`Options::serve`].
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) port: u16,
    pub(super) root: String,
    pub(super) flat_files: Option<String>,
    pub(super) files_host: FilesHost,
    pub(super) scheme: Scheme,
    pub(super) urls: UrlStyle,
    pub(super) page_coding: PageCoding,
    pub(super) lacks: BTreeSet<Lack>,
    pub(super) authorization: Option<String>,
    pub(super) log_depth: LogDepth,
}

/// Where files are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FilesHost {
    /// Beside the index.
    #[default]
    Same,
    /// On another port, as PyPI has another host. Each port answers everything; only the addresses in pages differ.
    OtherPort,
}

/// HTTP or HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// HTTP/1.1 and prior-knowledge HTTP/2.
    #[default]
    Http,
    /// HTTP/1.1 and HTTP/2 by ALPN, with a certificate from [`FakePyPi::authority`].
    Https,
}

/// How pages give the addresses of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UrlStyle {
    /// As PyPI.
    #[default]
    Absolute,
    /// As bandersnatch.
    Relative,
}

/// Whether documents are compressed for clients that accept it. Files never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageCoding {
    /// Compressed.
    #[default]
    Gzip,
    /// Never.
    Identity,
}

/// Something that poorer indexes do not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// JSON pages: everything is `text/html`, whatever was asked for.
    Json,
    /// Digests of files.
    Hashes,
    /// Sizes, and with them versions and status: JSON says it is version 1.0.
    Sizes,
    /// Upload times.
    UploadTimes,
    /// `<file>.metadata`, and its advertisement.
    Metadata,
    /// Provenance.
    Provenance,
    /// Serials, in documents and headers.
    Serials,
    /// `ETag` on documents.
    Etags,
    /// `Range` on files.
    Ranges,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            root: "/simple/".to_owned(),
            flat_files: None,
            files_host: FilesHost::default(),
            scheme: Scheme::default(),
            urls: UrlStyle::default(),
            page_coding: PageCoding::default(),
            lacks: BTreeSet::new(),
            authorization: None,
            log_depth: LogDepth::default(),
        }
    }
}

impl Options {
    /// The index port; 0 picks one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The path of the Simple API root, e.g. `/whl/cpu/`. Begins and ends with a slash.
    #[must_use]
    pub fn root(mut self, root: &str) -> Self {
        assert!(
            root.starts_with('/') && root.ends_with('/'),
            "`{root}` must begin and end with a slash"
        );
        root.clone_into(&mut self.root);
        self
    }

    /// Serves files as `<prefix><file name>` instead of PyPI's paths. Begins and ends with a slash.
    #[must_use]
    pub fn flat_files(mut self, prefix: &str) -> Self {
        self.flat_files = Some(prefix.to_owned());
        self
    }

    /// Where files are served.
    #[must_use]
    pub fn files_host(mut self, files_host: FilesHost) -> Self {
        self.files_host = files_host;
        self
    }

    /// HTTP or HTTPS.
    #[must_use]
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// How pages give the addresses of files.
    #[must_use]
    pub fn urls(mut self, urls: UrlStyle) -> Self {
        self.urls = urls;
        self
    }

    /// Whether documents are compressed.
    #[must_use]
    pub fn page_coding(mut self, coding: PageCoding) -> Self {
        self.page_coding = coding;
        self
    }

    /// Leaves something out.
    #[must_use]
    pub fn lacks(mut self, lack: Lack) -> Self {
        self.lacks.insert(lack);
        self
    }

    /// Requires basic authentication for everything on both hosts.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        let credentials =
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.authorization = Some(format!("Basic {credentials}"));
        self
    }

    /// Whether each request is kept.
    #[must_use]
    pub fn log_depth(mut self, depth: LogDepth) -> Self {
        self.log_depth = depth;
        self
    }

    /// Starts serving.
    pub fn serve(self, universe: Universe) -> FakePyPi {
        FakePyPi::with_options(self, universe)
    }
}

impl Scheme {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

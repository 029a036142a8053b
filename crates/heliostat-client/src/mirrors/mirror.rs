//! One mirror: its addresses and its connections.

use std::sync::OnceLock;

use heliostat_upstream::{
    Coding, Incoming, Plain, Upstream, UpstreamError, UpstreamOptions, redacted,
};
use url::Url;

use super::Wanted;
use crate::{ClientError, Limits};

/// Which mirrors there are and how to reach them.
#[derive(Debug, Clone)]
pub struct MirrorOptions {
    /// Their addresses: where `tuf/`, `simple/` and `packages/` are found.
    pub mirrors: Vec<Url>,
    /// How to reach them.
    pub transport: Transport,
}

/// How mirrors are reached.
#[derive(Debug, Clone, Default)]
pub struct Transport {
    /// The whole `User-Agent`.
    pub user_agent: String,
    /// Certificates trusted beside the platform's own, each a PEM text of one or more.
    pub ca_certificates_pem: Vec<Vec<u8>>,
    /// A proxy for everything; `None` follows the environment's usual variables.
    pub proxy: Option<Url>,
    /// The text of a netrc file, for mirrors that want credentials.
    pub netrc: Option<String>,
}

impl Transport {
    /// What is asked at this address, reached so; limits are the caller's.
    pub fn upstream_options(&self, root: Url) -> UpstreamOptions {
        let mut options = UpstreamOptions::new(root, self.user_agent.clone());
        options
            .ca_certificates_pem
            .clone_from(&self.ca_certificates_pem);
        options.proxy.clone_from(&self.proxy);
        options.netrc.clone_from(&self.netrc);
        options
    }
}

/// Which of a mirror's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// Where metadata is.
    Metadata,
    /// Where everything else is.
    Target,
}

/// One mirror.
#[derive(Debug)]
pub(crate) struct Mirror {
    shown: String,
    metadata: Url,
    target: Url,
    options: UpstreamOptions,
    /// Made when it is first needed: a list may name thousands.
    upstream: OnceLock<Upstream>,
}

impl Mirror {
    /// A mirror with heliostat's layout: metadata is in `tuf/`.
    pub(crate) fn new(url: &Url, transport: &Transport, limits: &Limits) -> Self {
        let target = with_slash(url.clone());
        let mut metadata = target.clone();
        if let Ok(mut segments) = metadata.path_segments_mut() {
            segments.pop_if_empty().push("tuf").push("");
        }
        Self::with_bases(metadata, target, transport, limits)
    }

    /// A mirror with any layout.
    pub(crate) fn with_bases(
        metadata: Url,
        target: Url,
        transport: &Transport,
        limits: &Limits,
    ) -> Self {
        let mut options = transport.upstream_options(target.clone());
        options.limits = heliostat_upstream::Limits {
            requests_max: limits.requests_max,
            idle_max: limits.idle_max,
            tries_max: 1,
            connect_timeout: limits.connect_timeout,
            read_timeout: limits.document_stall,
            speed_bytes_per_second_min: limits.speed_bytes_per_second_min,
            speed_window: limits.speed_window,
            ..heliostat_upstream::Limits::default()
        };
        Self {
            shown: redacted(&target),
            metadata,
            target,
            options,
            upstream: OnceLock::new(),
        }
    }

    /// Makes its connections' settings now, so that what is wrong with them is told.
    pub(crate) fn prepared(self) -> Result<Self, ClientError> {
        self.upstream().map_err(ClientError::Configure)?;
        Ok(self)
    }

    fn upstream(&self) -> Result<&Upstream, UpstreamError> {
        if let Some(upstream) = self.upstream.get() {
            return Ok(upstream);
        }
        let upstream = Upstream::new(self.options.clone())?;
        Ok(self.upstream.get_or_init(|| upstream))
    }

    /// Its address, as it may be shown.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// A whole document.
    pub(crate) async fn get(
        &self,
        wanted: Wanted<'_>,
        limits: &Limits,
    ) -> Result<Plain, UpstreamError> {
        let url = self.address(wanted.base, wanted.path)?;
        self.upstream()?
            .get(
                &url,
                wanted.limit_bytes,
                Coding::Compressed,
                limits.document_deadline,
            )
            .await
    }

    /// A file, from an offset on.
    pub(crate) async fn open(
        &self,
        path: &str,
        from: u64,
        patience: std::time::Duration,
    ) -> Result<Incoming<'_>, UpstreamError> {
        let url = self.address(Base::Target, path)?;
        self.upstream()?.open(&url, from, patience).await
    }

    fn address(&self, base: Base, path: &str) -> Result<Url, UpstreamError> {
        let base = match base {
            Base::Metadata => &self.metadata,
            Base::Target => &self.target,
        };
        // Not `join`: a path must not be read as another address, whatever is in it.
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path()));
        if url.path().starts_with(base.path()) {
            Ok(url)
        } else {
            Err(UpstreamError::Address {
                url: redacted(&url),
                reason: "it leads out of the mirror",
            })
        }
    }
}

/// An address under which others are found.
pub(crate) fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

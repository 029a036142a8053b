//! One place of a published list: a folder or a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heliostat_upstream::{Coding, Upstream, UpstreamError, redacted};
use url::Url;

use super::ListPlace;
use crate::mirrors::{Transport, with_slash};
use crate::{ClientError, Limits, disk};

/// A place.
#[derive(Debug)]
pub(super) enum Place {
    Folder(PathBuf),
    Server {
        base: Url,
        upstream: Upstream,
        deadline: Duration,
    },
}

impl Place {
    /// Makes no request.
    pub(super) fn new(
        place: ListPlace,
        transport: &Transport,
        limits: &Limits,
    ) -> Result<Self, ClientError> {
        let base = match place {
            ListPlace::Folder(folder) => return Ok(Self::Folder(folder)),
            ListPlace::Server(url) => with_slash(url),
        };
        let mut options = transport.upstream_options(base.clone());
        options.limits = heliostat_upstream::Limits {
            tries_max: 2,
            connect_timeout: limits.connect_timeout,
            read_timeout: limits.document_stall,
            ..heliostat_upstream::Limits::default()
        };
        Ok(Self::Server {
            base,
            upstream: Upstream::new(options).map_err(ClientError::Configure)?,
            deadline: limits.document_deadline,
        })
    }

    /// What was kept.
    pub(super) fn kept(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }

    /// A file below the list, at most so many bytes; nothing where there is none, or where it is longer.
    pub(super) async fn read(
        &self,
        path: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        let (base, upstream, deadline) = match self {
            Self::Folder(folder) => return disk::read(&folder.join(path), bytes_max),
            Self::Server {
                base,
                upstream,
                deadline,
            } => (base, upstream, *deadline),
        };
        let unreachable = |source: UpstreamError| ClientError::ListUnreachable {
            place: self.to_string(),
            source,
        };
        let url = base.join(path).map_err(|_| {
            unreachable(UpstreamError::Address {
                url: redacted(base),
                reason: "nothing can be below it",
            })
        })?;
        match upstream
            .get(&url, bytes_max, Coding::Compressed, deadline)
            .await
        {
            Ok(plain) => Ok(Some(plain.body.to_vec())),
            Err(error) if matches!(error.status(), Some(404 | 410)) => Ok(None),
            // Longer than what was signed is something else; nothing at all says the same.
            Err(UpstreamError::Limit { .. }) => Ok(Some(Vec::new())),
            Err(error) => Err(unreachable(error)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Server { base, .. } => f.write_str(&redacted(base)),
        }
    }
}

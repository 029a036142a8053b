//! Everything that can go wrong with an upstream, and what it means. Addresses in errors are redacted.

use std::error::Error;
use std::io;
use std::time::Duration;

use heliostat_pypi::page::{BindError, PageError};
use heliostat_pypi::{ProjectName, Sha256};

use crate::retry::{Trouble, is_transient};

/// Why an upstream could not be used, or did not give what was asked for. `url` is redacted, `tries` counts all of
/// them, and the answer is final: what may be repeated has been repeated.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The options contradict themselves or cannot be read.
    #[error("the upstream settings cannot be used: {reason}")]
    Configure {
        /// What is wrong, without secrets.
        reason: String,
    },
    /// Not an address we fetch from.
    #[error("`{url}` cannot be fetched: {reason}")]
    Address {
        /// The address as given, shortened and escaped where it is no address at all.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// No connection: name, TCP, TLS or proxy.
    #[error("cannot connect to fetch {url} (tries: {tries})")]
    Connect {
        /// The address asked for.
        url: String,
        /// Tries made.
        tries: u32,
        /// The cause.
        source: reqwest::Error,
    },
    /// The connection broke off or nothing came in time.
    #[error("cannot read the answer of {url} (tries: {tries})")]
    Read {
        /// The address asked for.
        url: String,
        /// Tries made.
        tries: u32,
        /// The cause.
        source: reqwest::Error,
    },
    /// The body came in more slowly than the limit allows.
    #[error("{url} sends less than {bytes_per_second_min} bytes a second (tries: {tries})")]
    Slow {
        /// The address asked for.
        url: String,
        /// Tries made.
        tries: u32,
        /// The limit.
        bytes_per_second_min: u64,
    },
    /// The answer was not there in the time that the caller allows.
    #[error("{url} does not answer within {deadline:?}")]
    Late {
        /// The address asked for.
        url: String,
        /// The time allowed.
        deadline: Duration,
    },
    /// The body ended before the whole was there, although the connection was closed in good order.
    #[error("{url} ended after {received_bytes} bytes, before its end (tries: {tries})")]
    Truncated {
        /// The address asked for.
        url: String,
        /// Tries made.
        tries: u32,
        /// What came.
        received_bytes: u64,
    },
    /// A status that is neither what was asked for nor a plain "no such thing".
    #[error("{url} answers {status} (tries: {tries})")]
    Answer {
        /// The address that answered, after redirects.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Tries made.
        tries: u32,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// A redirect that we do not follow.
    #[error("{url} redirects: {reason}")]
    Redirect {
        /// The address that redirects.
        url: String,
        /// Why we do not follow.
        reason: &'static str,
    },
    /// A body in an encoding that was not asked for, such as gzip around a file.
    #[error("{url} is sent with content encoding `{encoding}`, which was not asked for")]
    Encoding {
        /// The address that answered.
        url: String,
        /// The encoding, shortened and escaped for display.
        encoding: String,
    },
    /// A compressed body that cannot be decompressed.
    #[error("cannot decompress {url} (tries: {tries})")]
    Decode {
        /// The address that answered.
        url: String,
        /// Tries made.
        tries: u32,
        /// The cause.
        source: io::Error,
    },
    /// A file of another length than its page says.
    #[error("{url} has {found_bytes} bytes, its page says {expected_bytes}")]
    Size {
        /// The address that answered.
        url: String,
        /// What it has, or at least so many.
        found_bytes: u64,
        /// What the page says.
        expected_bytes: u64,
    },
    /// An answer larger than the limit for its kind.
    #[error("{url} is larger than the limit of {limit_bytes} bytes")]
    Limit {
        /// The address that answered.
        url: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// A range request answered with another range, or with none that fits.
    #[error("{url} does not resume where it was asked to (tries: {tries})")]
    Resume {
        /// The address that answered.
        url: String,
        /// Tries made.
        tries: u32,
    },
    /// Neither a JSON nor an HTML page by its content type nor by its look.
    #[error("{url} has content type `{content_type}`, which is no Simple API document")]
    Media {
        /// The address that answered.
        url: String,
        /// The content type, shortened and escaped for display; empty where it is missing.
        content_type: String,
    },
    /// A Simple API document that cannot be read.
    #[error("cannot read the Simple API document {url}")]
    Page {
        /// The address that answered.
        url: String,
        /// The cause.
        source: PageError,
    },
    /// The page of another project: renamed by a redirect, or mixed up.
    #[error("the page of `{project}` leads to that of `{found}` at {url}")]
    OtherProject {
        /// What was asked for.
        project: ProjectName,
        /// Whose page came.
        found: String,
        /// The address that answered.
        url: String,
    },
    /// What is signed is not there.
    #[error("{url} is not there, although it is signed")]
    Lacking {
        /// The address.
        url: String,
    },
    /// Other bytes than those that are signed.
    #[error("{url} is not what was signed: it has sha256 {found}, not {expected}")]
    Forged {
        /// The address.
        url: String,
        /// What was signed.
        expected: Sha256,
        /// What came.
        found: Sha256,
    },
    /// A signed page that is not what a signed page must be.
    #[error("the page at {url} is refused")]
    Unbound {
        /// The address.
        url: String,
        /// Why.
        source: BindError,
    },
    /// Work on an answer was cut off because the program is shutting down.
    #[error("reading {url} was interrupted")]
    Interrupted {
        /// The address that answered.
        url: String,
    },
}

/// Why a download stopped.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError<E> {
    /// No source gave the file; the error is the last source's, which is the page's own address.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The receiver of the bytes stopped it.
    #[error("the receiver stopped the download")]
    Caller(E),
}

/// What a failure means to a caller, and to exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The settings are wrong; no request was made.
    Settings,
    /// The upstream is out of reach, overloaded or broken: nothing is known, try later.
    Unreachable,
    /// 404 or 410: the upstream says that there is no such thing.
    Gone,
    /// Another definite refusal, such as 401, 403 or 451, or a redirect we do not follow.
    Refused,
    /// It answered with something that must not be taken.
    Unfit,
}

impl UpstreamError {
    /// What the failure means.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Configure { .. } | Self::Address { .. } => FailureKind::Settings,
            Self::Connect { .. }
            | Self::Read { .. }
            | Self::Slow { .. }
            | Self::Late { .. }
            | Self::Truncated { .. }
            | Self::Interrupted { .. } => FailureKind::Unreachable,
            Self::Answer {
                status: 404 | 410, ..
            } => FailureKind::Gone,
            Self::Answer { status, .. } if is_transient(*status) => FailureKind::Unreachable,
            Self::Answer { .. } | Self::Redirect { .. } => FailureKind::Refused,
            Self::Encoding { .. }
            | Self::Decode { .. }
            | Self::Size { .. }
            | Self::Limit { .. }
            | Self::Resume { .. }
            | Self::Media { .. }
            | Self::Page { .. }
            | Self::Lacking { .. }
            | Self::Forged { .. }
            | Self::Unbound { .. }
            | Self::OtherProject { .. } => FailureKind::Unfit,
        }
    }

    /// Whether the upstream is out of reach (network, timeouts, 5xx, 429), so that nothing is known about what was
    /// asked for. Everything else is a definite answer.
    pub fn is_outage(&self) -> bool {
        self.kind() == FailureKind::Unreachable
    }

    /// The HTTP status, where the failure is one.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the failure of one try means for the next one.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Connect { source, .. } if is_certificate_refused(source) => Trouble::Definite,
            Self::Connect { .. }
            | Self::Read { .. }
            | Self::Slow { .. }
            | Self::Truncated { .. }
            | Self::Decode { .. }
            | Self::Resume { .. } => Trouble::Broken,
            Self::Page {
                source: PageError::Json(_) | PageError::Html(_),
                ..
            } => Trouble::Doubtful,
            Self::Answer {
                status,
                retry_after,
                ..
            } => Trouble::Status(*status, *retry_after),
            _ => Trouble::Definite,
        }
    }
}

/// Whether a certificate was looked at and refused, which no further try changes.
fn is_certificate_refused(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if matches!(
            error.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        ) {
            return true;
        }
        // An I/O error passes on its content's cause and leaves out the content itself.
        cause = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(content) => Some(content),
            None => error.source(),
        };
    }
    false
}

/// Text from outside, fit to stand in an error: shortened and escaped.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .take(80)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

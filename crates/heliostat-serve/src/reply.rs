//! Answers before they are sent: status, headers and payload, and the headers that every answer carries.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::account::Download;
use crate::body::Payload;
use crate::problem::Problem;
use crate::service::Scheme;

/// The methods that every address knows.
pub(crate) const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// What a file, and everything else that never changes under its address, is cached like.
pub(crate) const IMMUTABLE: HeaderValue =
    HeaderValue::from_static("max-age=365000000, immutable, public");

/// For what changes at any time and is cheap to ask for again.
pub(crate) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// For answers that must not be kept at all: failures, and redirects that depend on the moment.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// One answer, not yet sent.
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers that are this answer's own.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) payload: Payload,
    /// What to count once all of the body was taken.
    pub(crate) download: Option<Download>,
}

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::with_capacity(16),
            payload: Payload::Empty,
            download: None,
        }
    }

    /// 200 with bytes in memory.
    pub(crate) fn bytes(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply =
            Self::empty(StatusCode::OK).with(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply.payload = Payload::Bytes(body.into());
        reply
    }

    /// A problem document.
    pub(crate) fn problem(problem: &Problem) -> Self {
        let mut reply = Self::bytes("application/problem+json", problem.to_json())
            .with(CACHE_CONTROL, NO_STORE);
        reply.status = problem.status;
        if problem.status == StatusCode::METHOD_NOT_ALLOWED {
            reply.headers.insert(ALLOW, ALLOWED);
        }
        reply
    }

    /// A redirect. `target` must be a URI reference; anything that cannot stand in a header is an internal problem.
    pub(crate) fn redirect(status: StatusCode, target: &str) -> Result<Self, Problem> {
        let target = HeaderValue::from_str(target).map_err(|_| Problem::internal())?;
        Ok(Self::empty(status).with(LOCATION, target))
    }

    /// Adds one header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds the headers of every answer, and takes the body away from what must not have one.
    pub(crate) fn finish(&mut self, method: &Method, scheme: Scheme) {
        let headers = &mut self.headers;
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if scheme == Scheme::Https {
            let two_years = HeaderValue::from_static("max-age=63072000");
            headers.insert(STRICT_TRANSPORT_SECURITY, two_years);
        }
        // 304 and 204 have no length; a HEAD tells that of its GET.
        if !matches!(
            self.status,
            StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT
        ) && let Some(size_bytes) = self.payload.size_bytes()
        {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(size_bytes));
        }
        if *method == Method::HEAD {
            self.payload = Payload::Empty;
            self.download = None;
        }
    }
}

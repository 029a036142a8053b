//! Telling a server something: one POST, one try, no credentials and no redirects.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;

use crate::{Upstream, UpstreamError, redacted};

impl Upstream {
    /// One POST. Any status but 2xx is [`UpstreamError::Answer`], a redirect among them: what is told to one address is
    /// not told to another. What the server answers is not read; a header that cannot be sent is left out.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<(), UpstreamError> {
        let headers: HeaderMap = headers
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).ok()?,
                ))
            })
            .collect();
        let late = || UpstreamError::Late {
            url: redacted(url),
            deadline,
        };
        let reply = timeout(deadline, self.tell(url, headers, Bytes::from(body)))
            .await
            .unwrap_or_else(|_elapsed| Err(late()))?;
        if (200..300).contains(&reply.status()) {
            Ok(())
        } else {
            Err(reply.refusal())
        }
    }
}

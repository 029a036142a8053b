//! Whole bodies: asks until there is an answer, reads it, and has it made into a value. Also small documents
//! (`.metadata`, provenance), which are taken as they are.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use url::Url;

use crate::body::Whole;
use crate::client::Request;
use crate::counters::count;
use crate::decode::Encoding;
use crate::error::quoted;
use crate::{Answer, Upstream, UpstreamError, redacted};

/// Bodies above this size are read on a thread where blocking is allowed.
const INLINE_BYTES_MAX: usize = 64 * 1024;

impl Upstream {
    /// A small document such as `.metadata` or provenance, without conditions and uncompressed. The limit is the
    /// smaller of `limit_bytes` and [`Limits::document_bytes_max`](crate::Limits::document_bytes_max).
    pub async fn document(
        &self,
        url: &Url,
        limit_bytes: u64,
    ) -> Result<Answer<Bytes>, UpstreamError> {
        let limit_bytes = limit_bytes.min(self.limits().document_bytes_max);
        self.as_it_is(url, limit_bytes).await
    }

    /// Bytes that are to be kept as they stand there: without conditions and uncompressed.
    pub(crate) async fn as_it_is(
        &self,
        url: &Url,
        limit_bytes: u64,
    ) -> Result<Answer<Bytes>, UpstreamError> {
        let headers: HeaderMap = [(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]
            .into_iter()
            .collect();
        let request = Request {
            url: url.clone(),
            headers,
        };
        self.fetch(&request, limit_bytes, |whole| {
            refuse_encoding(&whole.url, &whole.headers)?;
            Ok(whole.body)
        })
        .await
    }

    /// Asks until there is an answer that `make` accepts. `make` gets the body as it was sent.
    pub(crate) async fn fetch<T: Send + 'static>(
        &self,
        request: &Request,
        limit_bytes: u64,
        make: impl Fn(Whole) -> Result<T, UpstreamError> + Clone + Send + 'static,
    ) -> Result<Answer<T>, UpstreamError> {
        let mut tries = 1;
        loop {
            match self
                .fetch_once(request, limit_bytes, make.clone(), tries)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(error) => self.back_off(error, tries).await?,
            }
            tries += 1;
        }
    }

    async fn fetch_once<T: Send + 'static>(
        &self,
        request: &Request,
        limit_bytes: u64,
        make: impl Fn(Whole) -> Result<T, UpstreamError> + Send + 'static,
        tries: u32,
    ) -> Result<Answer<T>, UpstreamError> {
        let reply = self.ask(request, tries).await?;
        match reply.status() {
            200 => {}
            304 if is_conditional(request) => {
                count(&self.counters().not_modified, 1);
                return Ok(Answer::Unchanged);
            }
            404 | 410 => return Ok(Answer::Gone),
            _ => return Err(reply.refusal()),
        }
        let whole = reply.read_whole(limit_bytes).await?;
        if whole.body.len() <= INLINE_BYTES_MAX {
            return make(whole).map(Answer::Fresh);
        }
        let url = redacted(&whole.url);
        match tokio::task::spawn_blocking(move || make(whole)).await {
            Ok(value) => value.map(Answer::Fresh),
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(UpstreamError::Interrupted { url }),
        }
    }
}

/// An error for a body that is not what it will be stored as.
pub(crate) fn refuse_encoding(url: &Url, headers: &HeaderMap) -> Result<(), UpstreamError> {
    let encoding = match Encoding::of(headers) {
        Ok(Encoding::Identity) => return Ok(()),
        Ok(Encoding::Gzip) => "gzip".to_owned(),
        Ok(Encoding::Zstd) => "zstd".to_owned(),
        Err(unknown) => quoted(&unknown),
    };
    Err(UpstreamError::Encoding {
        url: redacted(url),
        encoding,
    })
}

fn is_conditional(request: &Request) -> bool {
    use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
    [IF_NONE_MATCH, IF_MODIFIED_SINCE]
        .iter()
        .any(|name| request.headers.contains_key(name))
}

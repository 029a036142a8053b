//! The upstream itself: its connection pool, one try of one request with its redirects, and the wait between tries.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use heliostat_pypi::TreePath;
use http::{HeaderMap, Method};
use tokio::time::sleep;
use url::Url;

use crate::attested::Attested;
use crate::auth::{Basic, Credentials};
use crate::body::Reply;
use crate::counters::{Counters, count};
use crate::error::quoted;
use crate::gate::Gate;
use crate::redact::bare;
use crate::{Limits, Stats, UpstreamError, UpstreamOptions, redacted, redirect, retry, transport};

/// One upstream index, with its connection pool. Cheap to clone; clones share the pool, the limit on requests under
/// way, the pauses and the counters.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
    pub(crate) attested: Option<Arc<Attested>>,
}

struct Inner {
    http: reqwest::Client,
    root: Url,
    file_mirrors: Vec<Url>,
    credentials: Credentials,
    limits: Limits,
    gate: Gate,
    counters: Counters,
}

/// A GET to send, as often as it takes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
}

impl Upstream {
    /// Prepares to talk to an upstream; makes no request.
    pub fn new(options: UpstreamOptions) -> Result<Self, UpstreamError> {
        check_base(&options.root, "the upstream")?;
        for mirror in &options.file_mirrors {
            check_base(mirror, "the file mirror")?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                http: transport::http_client(&options)?,
                root: with_slash(bare(&options.root)),
                credentials: Credentials::gather(&options)?,
                file_mirrors: options
                    .file_mirrors
                    .iter()
                    .map(bare)
                    .map(with_slash)
                    .collect(),
                gate: Gate::new(options.limits.requests_max),
                limits: options.limits,
                counters: Counters::default(),
            }),
            attested: None,
        })
    }

    /// The Simple API root, without credentials and with a slash at its end.
    pub fn root(&self) -> &Url {
        &self.inner.root
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// What has been asked and sent so far.
    pub fn stats(&self) -> Stats {
        self.inner.counters.read()
    }

    /// Where a file may be had, the best first: the file mirrors, then the address on its page.
    pub fn file_sources(&self, path: &TreePath, page_url: &str) -> Result<Vec<Url>, UpstreamError> {
        let page_url = Url::parse(page_url).map_err(|_| UpstreamError::Address {
            url: quoted(page_url.as_bytes()),
            reason: "it is not an absolute address",
        })?;
        let mut sources = Vec::with_capacity(self.inner.file_mirrors.len() + 1);
        for mirror in &self.inner.file_mirrors {
            let mut source = mirror.clone();
            if let Ok(mut segments) = source.path_segments_mut() {
                segments.pop_if_empty().extend(path.to_string().split('/'));
            }
            sources.push(source);
        }
        sources.retain(|source| *source != page_url);
        sources.push(page_url);
        Ok(sources)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// One try: waits for a place, asks, follows redirects, and gives whatever answer is not a redirect.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        tries: u32,
    ) -> Result<Reply<'_>, UpstreamError> {
        let place = self.inner.gate.enter().await;
        let own = Basic::of(&request.url);
        let mut url = bare(&request.url);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UpstreamError::Address {
                url: redacted(&url),
                reason: "it is neither http nor https",
            });
        }
        let mut visited = vec![url.clone()];
        loop {
            let at_home = url.origin() == request.url.origin();
            let basic = own
                .as_ref()
                .filter(|_| at_home)
                .or_else(|| self.inner.credentials.for_url(&url));
            let response = self.send(&url, &request.headers, basic, tries).await?;
            if !redirect::is_redirect(response.status().as_u16()) {
                let shared = (&self.inner.limits, &self.inner.counters);
                return Ok(Reply::new(url, tries, response, shared, place));
            }
            let refuse = |reason| UpstreamError::Redirect {
                url: redacted(&url),
                reason,
            };
            let target = redirect::target(&url, response.headers()).map_err(refuse)?;
            if visited.contains(&target) {
                return Err(refuse("it leads in a circle"));
            }
            if visited.len() > self.inner.limits.redirects_max as usize {
                return Err(refuse("there are too many, one after the other"));
            }
            visited.push(target.clone());
            url = target;
        }
    }

    /// Waits before the try after `tries`, or gives up with `error`.
    pub(crate) async fn back_off(
        &self,
        error: UpstreamError,
        tries: u32,
    ) -> Result<(), UpstreamError> {
        let next = retry::decide(error.trouble(), tries, &self.inner.limits, fastrand::f64());
        if let Some(pause) = next.pause_all {
            self.inner.gate.pause(pause);
        }
        let Some(wait) = next.retry_after else {
            return Err(error);
        };
        tracing::debug!(%error, ?wait, "trying again");
        count(&self.inner.counters.retries, 1);
        sleep(wait).await;
        Ok(())
    }

    async fn send(
        &self,
        url: &Url,
        headers: &HeaderMap,
        basic: Option<&Basic>,
        tries: u32,
    ) -> Result<reqwest::Response, UpstreamError> {
        count(&self.inner.counters.requests, 1);
        let mut request = self
            .inner
            .http
            .request(Method::GET, url.clone())
            .headers(headers.clone());
        if let Some(basic) = basic {
            request = request.basic_auth(&basic.username, basic.password.as_ref());
        }
        answer_of(request, url, tries).await
    }

    /// One POST, whatever the answer. Neither credentials nor redirects.
    pub(crate) async fn tell(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Reply<'_>, UpstreamError> {
        let place = self.inner.gate.enter().await;
        count(&self.inner.counters.requests, 1);
        let request = self
            .inner
            .http
            .post(url.clone())
            .headers(headers)
            .body(body);
        let response = answer_of(request, url, 1).await?;
        let shared = (&self.inner.limits, &self.inner.counters);
        Ok(Reply::new(url.clone(), 1, response, shared, place))
    }
}

async fn answer_of(
    request: reqwest::RequestBuilder,
    url: &Url,
    tries: u32,
) -> Result<reqwest::Response, UpstreamError> {
    request.send().await.map_err(|source| {
        let source = source.without_url();
        let url = redacted(url);
        if source.is_connect() {
            UpstreamError::Connect { url, tries, source }
        } else {
            UpstreamError::Read { url, tries, source }
        }
    })
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("root", &self.inner.root.as_str())
            .finish_non_exhaustive()
    }
}

/// An address under which others are found: http or https, and nothing after its path.
fn check_base(url: &Url, what: &str) -> Result<(), UpstreamError> {
    let refuse = |reason| {
        Err(UpstreamError::Configure {
            reason: format!("{what} `{}` {reason}", redacted(url)),
        })
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("is neither http nor https");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("has a query or a fragment, under which nothing can be found");
    }
    Ok(())
}

fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(root: &str, file_mirrors: &[&str]) -> Result<Upstream, UpstreamError> {
        let mut options = UpstreamOptions::new(root.parse().unwrap(), "test");
        options.file_mirrors = file_mirrors
            .iter()
            .map(|mirror| mirror.parse().unwrap())
            .collect();
        Upstream::new(options)
    }

    #[test]
    fn any_path_is_a_root() {
        for (given, root) in [
            (
                "https://user:secret@a.example/simple",
                "https://a.example/simple/",
            ),
            ("https://a.example/simple/", "https://a.example/simple/"),
            ("https://a.example", "https://a.example/"),
            ("http://[::1]:9000/whl/cpu", "http://[::1]:9000/whl/cpu/"),
        ] {
            let upstream = upstream(given, &[]).unwrap();
            assert_eq!(upstream.root().as_str(), root);
            assert!(!format!("{upstream:?}").contains("secret"));
        }
        for given in [
            "ftp://a.example/",
            "file:///simple/",
            "https://a.example/?x=1",
            "https://a.example/#x",
        ] {
            assert!(
                matches!(upstream(given, &[]), Err(UpstreamError::Configure { .. })),
                "{given}"
            );
        }
    }

    #[test]
    fn mirrors_come_before_the_pages_own_address() {
        let path: TreePath = format!("packages/aa/bb/{}/a b%23-1.0.tar.gz", "c".repeat(60))
            .parse()
            .unwrap();
        let page = format!(
            "https://files.example/packages/aa/bb/{}/a%20b%2523-1.0.tar.gz",
            "c".repeat(60)
        );
        let upstream = upstream(
            "https://a.example/",
            &["https://m.example/pypi", "https://files.example"],
        )
        .unwrap();
        let sources: Vec<String> = upstream
            .file_sources(&path, &page)
            .unwrap()
            .into_iter()
            .map(Into::into)
            .collect();
        let mirror = page.replace("files.example", "m.example/pypi");
        assert_eq!(sources, [mirror, page]);
        assert!(matches!(
            upstream.file_sources(&path, "../x"),
            Err(UpstreamError::Address { .. })
        ));
    }
}

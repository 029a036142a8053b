//! The upstream itself: its connection pool, one try of one request with its redirects, and the wait between tries.

use std::fmt;
use std::sync::Arc;

use heliostat_pypi::TreePath;
use http::header::{HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use tokio::time::sleep;
use url::{Host, Url};

use crate::auth::{Basic, Credentials};
use crate::body::Reply;
use crate::counters::{Counters, count};
use crate::error::quoted;
use crate::gate::Gate;
use crate::redact::bare;
use crate::{Limits, Stats, UpstreamError, UpstreamOptions, redacted, redirect, retry, tls};

/// One upstream index, with its connection pool. Cheap to clone; clones share the pool, the limit on requests under
/// way, the pauses and the counters.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

/// The kinds of proxy that the HTTP client can use; it takes others without a word and fails on each request.
const PROXY_SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

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
                http: http_client(&options)?,
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
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("root", &self.inner.root.as_str())
            .finish_non_exhaustive()
    }
}

fn http_client(options: &UpstreamOptions) -> Result<reqwest::Client, UpstreamError> {
    let refused = |reason: String| UpstreamError::Configure { reason };
    let user_agent = HeaderValue::from_str(&options.user_agent).map_err(|_| {
        refused("the user agent has characters that a header cannot carry".to_owned())
    })?;
    let limits = &options.limits;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(&options.ca_certificates_pem)?)
        .default_headers([(USER_AGENT, user_agent)].into_iter().collect())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .no_zstd()
        .no_brotli()
        .no_deflate()
        .tcp_nodelay(true)
        .connect_timeout(limits.connect_timeout)
        .read_timeout(limits.read_timeout)
        .pool_max_idle_per_host(limits.requests_max);
    if let Some(proxy) = &options.proxy {
        let known = PROXY_SCHEMES.contains(&proxy.scheme());
        let proxy = known
            .then(|| reqwest::Proxy::all(proxy.clone()).ok())
            .flatten()
            .ok_or_else(|| {
                refused(format!(
                    "`{}` is not the address of an http or socks proxy",
                    redacted(proxy)
                ))
            })?;
        builder = builder.proxy(proxy);
    } else if is_loopback(&options.root) {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| refused(error.without_url().to_string()))
}

/// Whether an address is on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
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

    #[test]
    fn loopback_is_recognised() {
        for (url, expected) in [
            ("http://localhost/", true),
            ("http://x.localhost/", true),
            ("http://127.8.9.1/", true),
            ("http://[::1]/", true),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}

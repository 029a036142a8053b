//! The HTTP client and its connections: trust, time-outs, proxies. Sends nothing by itself.

use http::header::{HeaderValue, USER_AGENT};
use url::{Host, Url};

use crate::{UpstreamError, UpstreamOptions, redacted, tls};

/// The kinds of proxy that the HTTP client can use; it takes others without a word and fails on each request.
const PROXY_SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The client behind an upstream: its connections, their time-outs and the way through a proxy. Redirects, retries and
/// decompression are switched off, because each of them hides what this crate has to see.
pub(crate) fn http_client(options: &UpstreamOptions) -> Result<reqwest::Client, UpstreamError> {
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
        // Without it every try of a request would go down the same dead HTTP/2 connection.
        .http2_keep_alive_interval(limits.read_timeout / 2)
        .http2_keep_alive_timeout(limits.connect_timeout)
        .connect_timeout(limits.connect_timeout)
        .read_timeout(limits.read_timeout)
        .pool_max_idle_per_host(limits.idle_max);
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

#[cfg(test)]
mod tests {
    use super::*;

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

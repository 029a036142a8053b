//! `/`: the page for people. What this is, what it holds, how fresh it is, and lines to copy.
//!
//! Everything on it is in it: no scripts, no foreign assets, one style sheet that the content policy names by digest.

use std::sync::Arc;

use askama::Template;
use base64::Engine as _;
use heliostat_pypi::Sha256;
use heliostat_store::{StoreError, Totals};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};

use super::{blocking, failed};
use crate::host::base_url;
use crate::problem::Problem;
use crate::reply::{NO_CACHE, Reply};
use crate::service::Asked;
use crate::site::Site;

const STYLE: &str = include_str!("../../templates/home.css");

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    style: &'static str,
    base: &'a str,
    host: &'a str,
    plain_host: &'a str,
    needs_trust: bool,
    is_offline: bool,
    version: &'a str,
    projects: String,
    files: String,
    size: String,
    serial: Option<u64>,
    published: Option<String>,
    last_run: Option<String>,
}

struct Holdings {
    totals: Totals,
    serial: Option<u64>,
    published_at: Option<i64>,
    last_run_at: Option<i64>,
}

/// `/`
pub(crate) async fn home(site: &Arc<Site>, asked: &Asked<'_>) -> Result<Reply, Problem> {
    let base = base_url(asked)?;
    let store = site.tree.store.clone();
    let look = move || -> Result<Holdings, StoreError> {
        let root = store.root()?;
        Ok(Holdings {
            totals: store.totals()?,
            serial: root
                .as_ref()
                .and_then(|root| root.serial)
                .map(|serial| serial.0),
            published_at: root.map(|root| root.published_at),
            last_run_at: store.runs(1)?.first().map(|run| run.finished_at),
        })
    };
    let holdings = blocking(look).await?.map_err(|error| failed(&error))?;
    let body = render(site, &base, &holdings).map_err(|error| failed(&error))?;
    let digest =
        base64::engine::general_purpose::STANDARD.encode(Sha256::of(STYLE.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy).map_err(|error| failed(&error))?;
    Ok(Reply::bytes("text/html; charset=utf-8", body)
        .with(CACHE_CONTROL, NO_CACHE)
        .with(VARY, HeaderValue::from_static("X-Forwarded-Proto"))
        .with(CONTENT_SECURITY_POLICY, policy))
}

fn render(site: &Site, base: &str, holdings: &Holdings) -> Result<String, askama::Error> {
    let now = site.clock.now();
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    let plain_host = strip_port(host);
    Home {
        style: STYLE,
        base,
        host,
        plain_host,
        needs_trust: base.starts_with("http://") && !is_loopback(plain_host),
        is_offline: site.demand.is_offline(),
        version: &site.version,
        projects: grouped(holdings.totals.projects),
        files: grouped(holdings.totals.files_held),
        size: size(holdings.totals.bytes_held),
        serial: holdings.serial,
        published: holdings.published_at.map(|at| ago(now, at)),
        last_run: holdings.last_run_at.map(|at| ago(now, at)),
    }
    .render()
}

fn strip_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What pip trusts without TLS.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.") || host == "[::1]"
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if 0 < place && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in decimal units, as disks are sold.
fn size(bytes: u64) -> String {
    let mut unit = ("B", 1);
    for next in [
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ] {
        if next.1 <= bytes {
            unit = next;
        }
    }
    let tenths = u128::from(bytes) * 10 / u128::from(unit.1);
    if unit.1 == 1 {
        format!("{bytes} B")
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, unit.0)
    }
}

/// A point in time, as people say it and as it is.
fn ago(now: i64, at: i64) -> String {
    let seconds = now.saturating_sub(at).max(0);
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    let exact = jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!(
        "{count} {unit}{plural} ago ({})",
        exact.strftime("%Y-%m-%d %H:%M UTC")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0, 999, 1_000, 1_550_000, 31_200_000_000_000].map(size),
            ["0 B", "999 B", "1.0 kB", "1.5 MB", "31.2 TB"]
        );
        assert_eq!(ago(100, 99), "1 second ago (1970-01-01 00:01 UTC)");
        assert_eq!(ago(7200, 0), "2 hours ago (1970-01-01 00:00 UTC)");
        assert_eq!(ago(0, 60), "0 seconds ago (1970-01-01 00:01 UTC)");
    }

    #[test]
    fn ports_are_told_from_addresses() {
        for (host, expected) in [
            ("mirror.example:8080", "mirror.example"),
            ("mirror.example", "mirror.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(strip_port(host), expected, "{host}");
        }
    }
}

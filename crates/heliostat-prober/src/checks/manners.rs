//! How a server speaks HTTP: what is missing, negotiation, conditional requests, parts, TLS only, protocols.

use std::net::SocketAddr;

use heliostat_directory::{Check, Class};
use heliostat_pypi::page::MediaType;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, LOCATION,
    STRICT_TRANSPORT_SECURITY, VARY,
};
use http::{Method, StatusCode};
use url::Url;

use super::alive::CANARY;
use super::{passable, samples};
use crate::agents::{self, PIP};
use crate::line::{Ask, Http2, Line};
use crate::reference::Reference;
use crate::reply::Reply;
use crate::trouble::Trouble;
use crate::walk::Visit;

/// Half a year.
const HSTS_SECONDS_MIN: u64 = 15_552_000;
/// Bytes of an error page.
const ERROR_BYTES_MAX: usize = 256 * 1024;

/// A page that cannot be there.
pub(super) async fn missing_page(visit: &mut Visit<'_, '_>) -> Result<(), Trouble> {
    let name = format!("heliostat-probe-{:016x}", visit.random.u64(..));
    let Ok(url) = visit.target.index.join(&format!("{name}/")) else {
        return Ok(());
    };
    let ask = Ask::get(&url, PIP.header, ERROR_BYTES_MAX).with(ACCEPT, agents::ACCEPT);
    let Ok(reply) = passable(visit.follow(ask).await)? else {
        return Ok(());
    };
    if !matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        let text = format!(
            "answers {} for a project that does not exist; installers need 404",
            reply.status.as_u16()
        );
        let address = Some(visit.address());
        visit.notes.warn(Check::SampleIndex, address, text);
    }
    Ok(())
}

/// Everything that is looked at once a day.
pub(super) async fn check(visit: &mut Visit<'_, '_>, reference: &Reference) -> Result<(), Trouble> {
    debug_assert_eq!(visit.options.class, Class::Daily);
    let url = visit.page_url(reference.canary(CANARY));
    let json = visit.get(&url, agents::ACCEPT, &[]).await?;
    let html = visit.get(&url, agents::ACCEPT_HTML, &[]).await?;
    if let (Some(json), Some(html)) = (&json, &html) {
        negotiation(visit, json, html);
    }
    if let Some(json) = &json {
        head(visit, json).await?;
        conditional(visit, json).await?;
        hsts(visit, json);
    }
    compressed(visit, &url).await?;
    plain_http(visit).await;
    protocols(visit).await
}

fn negotiation(visit: &mut Visit<'_, '_>, json: &Reply, html: &Reply) {
    let address = Some(visit.address());
    if json.media() != Some(MediaType::Json) {
        let text = "has no JSON pages (PEP 691), which installers prefer";
        visit.notes.note(Check::Negotiation, address, text);
    }
    if html.media() != Some(MediaType::Html) {
        let text = "gives no HTML to installers that ask for it";
        visit.notes.warn(Check::Negotiation, address, text);
    }
    let varies = |reply: &Reply| {
        reply.headers.get_all(VARY).iter().any(|value| {
            let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
            value
                .split(',')
                .any(|name| matches!(name.trim(), "accept" | "*"))
        })
    };
    if json.media() != html.media() && !(varies(json) && varies(html)) {
        let text =
            "gives JSON or HTML by `Accept` without `Vary: Accept`, so that caches mix them up";
        visit.notes.warn(Check::Negotiation, address, text);
    }
}

async fn head(visit: &mut Visit<'_, '_>, get: &Reply) -> Result<(), Trouble> {
    let mut ask = Ask::get(&get.url, PIP.header, 0).with(ACCEPT, agents::ACCEPT);
    ask.method = Method::HEAD;
    let Ok(reply) = passable(visit.follow(ask).await)? else {
        return Ok(());
    };
    let length = |reply: &Reply| reply.header(&CONTENT_LENGTH).map(str::to_owned);
    let lengths_differ =
        length(&reply).is_some() && length(get).is_some() && length(&reply) != length(get);
    if reply.status != get.status || lengths_differ {
        let text = format!(
            "answers HEAD of `{}` in another way than GET",
            get.url.path()
        );
        let address = Some(visit.address());
        visit.notes.warn(Check::Negotiation, address, text);
    }
    Ok(())
}

async fn conditional(visit: &mut Visit<'_, '_>, get: &Reply) -> Result<(), Trouble> {
    let address = Some(visit.address());
    let Some(etag) = get.header(&ETAG).map(str::to_owned) else {
        let text = "sends no `ETag` with pages, so that nothing can be asked for again cheaply";
        visit.notes.note(Check::Negotiation, address, text);
        return Ok(());
    };
    let more = [(IF_NONE_MATCH, etag.as_str())];
    let Some(reply) = visit.get(&get.url, agents::ACCEPT, &more).await? else {
        return Ok(());
    };
    let same = reply.header(&ETAG) == Some(etag.as_str());
    if reply.status != StatusCode::NOT_MODIFIED && same {
        let text = "sends a page again that has not changed, whatever `If-None-Match` says";
        visit.notes.warn(Check::Negotiation, address, text);
    }
    Ok(())
}

async fn compressed(visit: &mut Visit<'_, '_>, url: &Url) -> Result<(), Trouble> {
    let more = [(ACCEPT_ENCODING, "gzip")];
    let Some(reply) = visit.get(url, agents::ACCEPT, &more).await? else {
        return Ok(());
    };
    let plain = reply.plain(visit.options.limits.page_bytes_max);
    let text = match plain {
        Err(fault) => format!("a page {fault}"),
        Ok(plain) if plain.starts_with(&[0x1f, 0x8b]) => "a page is compressed twice".to_owned(),
        Ok(_) => return Ok(()),
    };
    let address = Some(visit.address());
    visit.notes.warn(Check::Negotiation, address, text);
    Ok(())
}

fn hsts(visit: &mut Visit<'_, '_>, reply: &Reply) {
    let value = reply.header(&STRICT_TRANSPORT_SECURITY).unwrap_or_default();
    let age = value.split(';').find_map(|part| {
        let (name, age) = part.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("max-age");
        named.then(|| age.trim().trim_matches('"').parse::<u64>().ok())?
    });
    if age.is_none_or(|age| age < HSTS_SECONDS_MIN) {
        let text = format!("sends no `Strict-Transport-Security` of at least {HSTS_SECONDS_MIN} s");
        let address = Some(visit.address());
        visit.notes.warn(Check::Hsts, address, text);
    }
}

/// Nothing may be served without TLS; a closed port is best.
async fn plain_http(visit: &mut Visit<'_, '_>) {
    let host = visit.target.base.host_str().unwrap_or_default().to_owned();
    let port = visit.options.plain_port;
    let address = SocketAddr::new(visit.line.address(), port);
    let mut url = visit.target.index.clone();
    let changed = url.set_scheme("http").is_ok() && url.set_port(Some(port)).is_ok();
    if !changed {
        return;
    }
    let limits = &visit.options.limits;
    let mut line = Line::new((address, &host), None, limits, ERROR_BYTES_MAX);
    let Ok(reply) = line.ask(&Ask::get(&url, PIP.header, ERROR_BYTES_MAX)).await else {
        return;
    };
    let location = reply
        .header(&LOCATION)
        .and_then(|to| reply.url.join(to).ok());
    let secure =
        location.is_some_and(|to| to.scheme() == "https" && to.host_str() == Some(host.as_str()));
    if !reply.status.is_redirection() || !secure {
        let text = format!(
            "answers {} on port {port} without TLS, and does not lead to https",
            reply.status.as_u16()
        );
        let address = Some(visit.address());
        visit.notes.warn(Check::PlainHttp, address, text);
    }
}

async fn protocols(visit: &mut Visit<'_, '_>) -> Result<(), Trouble> {
    let Ok(http2) = passable(visit.line.http2().await)? else {
        return Ok(());
    };
    let address = Some(visit.address());
    match http2 {
        Http2::Speaks => {}
        Http2::Absent => {
            let text = "does not offer HTTP/2";
            visit.notes.note(Check::Protocols, address, text);
        }
        Http2::Broken => {
            let text =
                "offers HTTP/2 and does not speak it, so that clients that take it get nothing";
            visit.notes.warn(Check::Protocols, address, text);
        }
    }
    Ok(())
}

/// Asks for a part of a file whose bytes are known.
pub(super) async fn ranges(
    visit: &mut Visit<'_, '_>,
    (url, whole): (&Url, &[u8]),
) -> Result<(), Trouble> {
    let size = whole.len();
    if size < 4 {
        return Ok(());
    }
    let (from, to) = (size / 4, size / 2);
    let Ok(reply) = passable(visit.follow(samples::part(url, (from, to))).await)? else {
        return Ok(());
    };
    let address = Some(visit.address());
    let path = url.path();
    match reply.status {
        StatusCode::OK => {
            let text =
                "gives whole files where a part was asked for, so that no download can be resumed";
            visit.notes.note(Check::Ranges, address, text);
        }
        StatusCode::PARTIAL_CONTENT => {
            let right = format!("bytes {from}-{to}/{size}");
            if reply.header(&CONTENT_RANGE) != Some(right.as_str())
                || reply.body != whole[from..=to]
            {
                let text = format!("gives another part of `{path}` than was asked for");
                visit.notes.warn(Check::Ranges, address, text);
            }
        }
        status => {
            let text = format!(
                "answers {} where a part of `{path}` was asked for",
                status.as_u16()
            );
            visit.notes.warn(Check::Ranges, address, text);
        }
    }
    Ok(())
}

impl Visit<'_, '_> {
    /// Asks for a page in a given form; `None` where no answer came that could be read.
    async fn get(
        &mut self,
        url: &Url,
        accept: &str,
        more: &[(http::header::HeaderName, &str)],
    ) -> Result<Option<Reply>, Trouble> {
        let limit = self.options.limits.page_bytes_max;
        let mut ask = Ask::get(url, PIP.header, limit).with(ACCEPT, accept);
        for (name, value) in more {
            ask = ask.with(name.clone(), value);
        }
        Ok(passable(self.follow(ask).await)?.ok())
    }
}

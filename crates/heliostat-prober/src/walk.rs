//! One address of one endpoint, asked as an installer asks: redirects followed as far as they may lead, and every answer
//! looked at for what no mirror may send.

use std::net::IpAddr;

use heliostat_client::Carried;
use heliostat_directory::{Check, Count, Gate, VantageId};
use heliostat_pypi::ProjectName;
use heliostat_pypi::page::ProjectPage;
use http::StatusCode;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, HeaderName, LOCATION, RETRY_AFTER, SET_COOKIE,
};
use url::Url;

use crate::agents::{self, Agent};
use crate::evidence::{Evidence, Proof};
use crate::line::{Ask, Line};
use crate::notes::Notes;
use crate::options::{ProberOptions, Target};
use crate::reply::{Reply, short};
use crate::trouble::Trouble;

/// The longest pause that a mirror gets.
const PAUSE_SECONDS_MAX: i64 = 3600;
/// A way to set cookies' place on fire; as little a mirror's business as setting them.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// One address of one endpoint while it is looked at.
#[derive(Debug)]
pub(crate) struct Visit<'v, 'n> {
    pub(crate) target: &'v Target,
    pub(crate) options: &'v ProberOptions,
    pub(crate) notes: &'v mut Notes<'n>,
    pub(crate) line: Line,
    pub(crate) now: i64,
    pub(crate) random: fastrand::Rng,
    pub(crate) seen: Seen,
    /// What it carries of the reference's signed state, once it was looked at.
    pub(crate) carried: Option<Carried>,
}

/// What one address showed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) present: Count,
    pub(crate) intact: Count,
    pub(crate) lag_seconds: Option<u64>,
    pub(crate) serial_claimed: Option<u64>,
    pub(crate) serial_proved: Option<u64>,
    pub(crate) first_byte_milliseconds: Option<u32>,
    pub(crate) goodput_bytes_per_second: Option<u64>,
    pub(crate) pause_until: Option<i64>,
    /// Bytes of all bodies.
    pub(crate) received_bytes: u64,
    pub(crate) receipt: Option<heliostat_directory::Receipt>,
    /// The canary's page, to be compared with what other addresses give.
    pub(crate) canary: Option<(ProjectPage, Reply)>,
}

/// Whether caches on the way may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Any,
    NoCache,
}

impl Visit<'_, '_> {
    pub(crate) const fn address(&self) -> IpAddr {
        self.line.address()
    }

    pub(crate) const fn vantage(&self) -> &VantageId {
        &self.options.vantage
    }

    pub(crate) fn page_url(&self, project: &ProjectName) -> Url {
        let mut url = self.target.index.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(project.as_str()).push("");
        }
        url
    }

    /// The page of a project, as an installer gets it.
    pub(crate) async fn page(
        &mut self,
        project: &ProjectName,
        agent: &Agent,
        freshness: Freshness,
    ) -> Result<Reply, Trouble> {
        let url = self.page_url(project);
        let limit = self.options.limits.page_bytes_max;
        let mut ask = Ask::get(&url, agent.header, limit)
            .with(ACCEPT, agents::ACCEPT)
            .with(ACCEPT_ENCODING, "gzip");
        if freshness == Freshness::NoCache {
            ask = ask.with(CACHE_CONTROL, "no-cache");
        }
        self.follow(ask).await
    }

    /// Asks, and follows redirects as far as they may lead.
    pub(crate) async fn follow(&mut self, mut ask: Ask) -> Result<Reply, Trouble> {
        let mut been = vec![ask.url.clone()];
        loop {
            let reply = self.line.ask(&ask).await?;
            self.inspect(&reply);
            self.heed(&reply)?;
            if !reply.status.is_redirection() || reply.headers.get(LOCATION).is_none() {
                return Ok(reply);
            }
            let next = self.next(&reply, &been)?;
            been.push(next.clone());
            ask.url = next;
        }
    }

    /// A server that asks for a pause gets it: nothing more in this round, nor before its end.
    fn heed(&mut self, reply: &Reply) -> Result<(), Trouble> {
        let busy = matches!(
            reply.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let Some(after) = reply.header(&RETRY_AFTER).filter(|_| busy) else {
            return Ok(());
        };
        // The other form, a date, comes from servers whose clock we do not know.
        let pause = after.trim().parse().unwrap_or(PAUSE_SECONDS_MAX);
        let pause = pause.clamp(0, PAUSE_SECONDS_MAX);
        self.seen.pause_until = Some(self.now + pause);
        self.line.stop();
        let status = reply.status.as_u16();
        let text = format!("answers {status} and asks for a pause, which it gets: {pause} s");
        Err(Trouble::Answer(text))
    }

    /// Where a redirect leads, if it may lead there.
    fn next(&mut self, reply: &Reply, been: &[Url]) -> Result<Url, Trouble> {
        let location = reply.header(&LOCATION).unwrap_or_default();
        let from = reply.url.path();
        let Ok(next) = reply.url.join(location) else {
            let text = format!(
                "`{from}` redirects to `{}`, which is no address",
                short(location)
            );
            return Err(Trouble::Redirect(text));
        };
        let host = next.host_str().unwrap_or_default();
        let declared = self.target.hosts.iter().any(|one| one == host);
        let downgraded = self.target.base.scheme() == "https" && next.scheme() != "https";
        if !declared || downgraded {
            let text = format!(
                "`{from}` redirects to `{}`, which is not the mirror's",
                short(next.as_str())
            );
            self.prove_redirect(text.clone(), reply);
            return Err(Trouble::Redirect(text));
        }
        if last_segment(&next) != last_segment(&reply.url) {
            let text = format!(
                "`{from}` redirects to another name, `{}`",
                short(next.path())
            );
            self.prove_redirect(text.clone(), reply);
            return Err(Trouble::Redirect(text));
        }
        if been.contains(&next) || been.len() > self.options.limits.redirects_max {
            let text = format!("`{}` redirects without end", been[0].path());
            return Err(Trouble::Redirect(text));
        }
        if !self.line.leads_to(&next) {
            let text = format!("`{from}` is at `{host}`, which is looked at by itself");
            return Err(Trouble::Redirect(text));
        }
        Ok(next)
    }

    /// What no answer of a mirror may have.
    pub(crate) fn inspect(&mut self, reply: &Reply) {
        let path = reply.url.path();
        for name in [SET_COOKIE, CLEAR_SITE_DATA] {
            if reply.headers.contains_key(&name) {
                let text = format!("sends `{name}` with `{path}`");
                self.prove_header((Check::Cookies, Gate::Cookies), text, reply);
            }
        }
        if reply.is_html() && has_refresh(&reply.body) {
            let text = format!("`{path}` sends people elsewhere with a meta refresh");
            self.prove_redirect(text, reply);
        }
    }

    /// Warns about a project.
    pub(crate) fn warn_of(&mut self, check: Check, project: &ProjectName, text: String) {
        self.notes.warn(check, Some(self.line.address()), text);
        self.notes.about(project);
    }

    /// Notes something about a project.
    pub(crate) fn note_of(&mut self, check: Check, project: &ProjectName, text: String) {
        self.notes.note(check, Some(self.line.address()), text);
        self.notes.about(project);
    }

    fn prove_redirect(&mut self, text: String, reply: &Reply) {
        let expected = serde_json::json!({"hosts": self.target.hosts});
        let kind = (Check::Redirects, Gate::Redirects);
        self.prove(kind, text, (reply, ""), expected);
    }

    fn prove_header(&mut self, (check, gate): (Check, Gate), text: String, reply: &Reply) {
        let expected = serde_json::json!("no such header");
        self.prove((check, gate), text, (reply, ""), expected);
    }

    /// Notes a violation with its proof.
    pub(crate) fn prove(
        &mut self,
        (check, gate): (Check, Gate),
        text: String,
        (reply, agent): (&Reply, &str),
        expected: serde_json::Value,
    ) {
        let proof = Proof {
            endpoint: &self.target.endpoint,
            vantage: self.vantage(),
            at: self.now,
            check,
            gate,
            address: Some(self.address()),
            agent,
            text: &text,
            expected,
        };
        let evidence = Evidence::of(&proof, reply, self.options.limits.evidence_bytes_max);
        let address = Some(self.address());
        self.notes.prove((check, gate), address, text, evidence);
    }
}

/// The last part of a path that says something; what Simple API roots do to the spelling of names is no change.
fn last_segment(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.contains('.') && !url.path().ends_with('/') {
        return last.to_owned();
    }
    last.parse::<ProjectName>()
        .map_or_else(|_| last.to_owned(), |name| name.to_string())
}

fn has_refresh(body: &[u8]) -> bool {
    let head = &body[..body.len().min(16_384)];
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    text.contains("http-equiv=\"refresh\"") || text.contains("http-equiv=refresh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_indexes_do_and_files_by_their_bytes() {
        let last = |text: &str| last_segment(&text.parse().unwrap());
        assert_eq!(
            last("https://m.example/simple/Foo_Bar"),
            last("https://m.example/x/foo-bar/")
        );
        assert_ne!(
            last("https://m.example/foo-1.0.zip"),
            last("https://m.example/Foo-1.0.zip")
        );
        assert_ne!(
            last("https://m.example/a.zip"),
            last("https://m.example/b.zip")
        );
    }

    #[test]
    fn a_meta_refresh_is_seen() {
        assert!(has_refresh(
            b"<html><META HTTP-EQUIV=\"Refresh\" content=\"0; url=x\">"
        ));
        assert!(!has_refresh(b"<html><meta charset=utf-8>"));
    }
}

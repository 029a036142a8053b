//! What can go wrong, and for which requests. Deciding is pure; `spoil` carries it out.

use std::collections::HashMap;

use super::route::{Asked, Kind};
use crate::fixture::normalise;

/// One way of misbehaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status and a short text.
    Status(u16),
    /// Answers with this status and a `Retry-After` of seconds or an HTTP date, e.g. `RetryAfter(429, "1".into())`.
    RetryAfter(u16, String),
    /// Takes the request and never answers.
    Hang,
    /// Sends the head and so many bytes of the body, then nothing, with the connection open.
    StallAfter(usize),
    /// Sends the body at this rate.
    SlowBytesPerSecond(u32),
    /// Sends half of the body.
    Truncate(Truncation),
    /// Sends a body of the right length with one byte wrong.
    Corrupt,
    /// Resets the connection before answering.
    Reset,
    /// Resets the connection after so many bytes of the body.
    ResetAfter(usize),
    /// Sends a body that never ends.
    Endless,
    /// Redirects to itself for ever, each time with another query.
    RedirectLoop,
    /// Redirects (302) to this address.
    RedirectTo(String),
    /// Sends the right body under this content type.
    ContentType(String),
    /// Meddles with the content coding.
    Gzip(Gzip),
    /// Answers a `Range` request with 200 and everything.
    IgnoreRange,
    /// Answers a `Range` request with 206 and bytes from one further on, saying so in `Content-Range`.
    ShiftRange,
    /// Serves the page as it was before the last change, with the serial it had then. A page without a past comes
    /// without files and one serial low.
    Stale,
    /// Serves the present page or list under a serial that is so much larger or smaller.
    SerialOffset(i64),
    /// Serves another project's page under this one's address.
    PageOf(String),
    /// Answers in HTML whatever was asked for.
    Html,
    /// Answers 200 with this content type and body.
    Replace(String, String),
}

/// How a body that is cut in half pretends to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncation {
    /// The true length is promised, and the connection closes early.
    LengthKnown,
    /// Chunked, with a clean end.
    Chunked,
    /// `Content-Length` is that of the half.
    ShortLength,
}

/// What can be wrong with a content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gzip {
    /// The body is compressed and labelled so, although nobody asked.
    Encoded,
    /// The body is as it should be but labelled as compressed.
    LabelOnly,
}

/// Which requests a fault befalls. The first rule that matches a request decides.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    kind: Option<Kind>,
    project: Option<String>,
    path_part: Option<String>,
    when: When,
    caches: Caches,
}

#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    First(u64),
    FirstPerPath(u64),
    Chance { per_mille: u64, seed: u64 },
    PathShare { per_mille: u64, seed: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caches {
    Regardless,
    /// Only where the request would be answered by a cache: one with `Cache-Control: no-cache` is served well.
    OnlyCached,
}

impl Rule {
    /// This fault, for every request.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            kind: None,
            project: None,
            path_part: None,
            when: When::Always,
            caches: Caches::Regardless,
        }
    }

    /// Only requests of this kind.
    #[must_use]
    pub fn on(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only requests that belong to this project.
    #[must_use]
    pub fn project(mut self, name: &str) -> Self {
        self.project = Some(normalise(name));
        self
    }

    /// Only requests whose path contains this text.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path_part = Some(part.to_owned());
        self
    }

    /// Only the first `count` matching requests.
    #[must_use]
    pub fn first(mut self, count: u64) -> Self {
        self.when = When::First(count);
        self
    }

    /// Only the first `count` matching requests of each path.
    #[must_use]
    pub fn first_per_path(mut self, count: u64) -> Self {
        self.when = When::FirstPerPath(count);
        self
    }

    /// So many of a thousand requests. The n-th request of a path always meets the same fate under the same seed.
    #[must_use]
    pub fn chance(mut self, per_mille: u64, seed: u64) -> Self {
        self.when = When::Chance { per_mille, seed };
        self
    }

    /// So many of a thousand paths, each of them always.
    #[must_use]
    pub fn path_share(mut self, per_mille: u64, seed: u64) -> Self {
        self.when = When::PathShare { per_mille, seed };
        self
    }

    /// Only requests that do not say `Cache-Control: no-cache`.
    #[must_use]
    pub fn unless_no_cache(mut self) -> Self {
        self.caches = Caches::OnlyCached;
        self
    }
}

/// A rule at work, with what it has seen.
#[derive(Debug)]
pub(super) struct ActiveRule {
    rule: Rule,
    pub(super) hits: u64,
    seen: HashMap<String, u64>,
}

impl ActiveRule {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            hits: 0,
            seen: HashMap::new(),
        }
    }

    /// The fault for this request, if it is to meet it.
    pub(super) fn judge(&mut self, asked: &Asked, bypasses_caches: bool) -> Option<Fault> {
        let rule = &self.rule;
        let matches = rule.kind.is_none_or(|kind| kind == asked.kind)
            && rule
                .project
                .as_ref()
                .is_none_or(|name| asked.project.as_ref() == Some(name))
            && rule
                .path_part
                .as_ref()
                .is_none_or(|part| asked.path.contains(part.as_str()))
            && !(bypasses_caches && rule.caches == Caches::OnlyCached);
        if !matches {
            return None;
        }
        let strikes = match rule.when {
            When::Always => true,
            When::First(count) => self.hits < count,
            When::FirstPerPath(count) => self.turn(&asked.path) < count,
            When::Chance { per_mille, seed } => {
                let turn = self.turn(&asked.path);
                dice(&asked.path, seed.wrapping_add(turn << 32)) < per_mille
            }
            When::PathShare { per_mille, seed } => dice(&asked.path, seed) < per_mille,
        };
        strikes.then(|| {
            self.hits += 1;
            self.rule.fault.clone()
        })
    }

    /// How often this path came before.
    fn turn(&mut self, path: &str) -> u64 {
        let seen = self.seen.entry(path.to_owned()).or_default();
        *seen += 1;
        *seen - 1
    }
}

/// A number below 1000 that depends only on the path and the seed.
fn dice(path: &str, seed: u64) -> u64 {
    let mut mixed = path
        .bytes()
        .fold(seed ^ 0x9e37_79b9_7f4a_7c15, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> Asked {
        Asked {
            kind: Kind::Page,
            project: Some("alpha".to_owned()),
            filename: None,
            path: path.to_owned(),
        }
    }

    #[test]
    fn first_per_path_counts_each_path_alone() {
        let mut rule = ActiveRule::new(Rule::new(Fault::Hang).first_per_path(1));
        assert!(rule.judge(&asked("/a"), false).is_some());
        assert!(rule.judge(&asked("/a"), false).is_none());
        assert!(rule.judge(&asked("/b"), false).is_some());
        assert_eq!(rule.hits, 2);
    }

    #[test]
    fn chances_are_about_right_and_repeatable() {
        let run = || {
            let mut rule = ActiveRule::new(Rule::new(Fault::Hang).chance(50, 7));
            (0..4000)
                .map(|turn| {
                    rule.judge(&asked(&format!("/{}", turn % 40)), false)
                        .is_some()
                })
                .collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first, run());
        let hits = first.iter().filter(|hit| **hit).count();
        assert!((120..280).contains(&hits), "{hits} of 4000");
    }

    #[test]
    fn a_request_that_bypasses_caches_is_spared_where_the_rule_says_so() {
        let mut rule = ActiveRule::new(Rule::new(Fault::Stale).unless_no_cache());
        assert!(rule.judge(&asked("/a"), true).is_none());
        assert!(rule.judge(&asked("/a"), false).is_some());
    }

    #[test]
    fn a_rule_for_another_project_does_not_match() {
        let mut rule = ActiveRule::new(Rule::new(Fault::Hang).on(Kind::Page).project("Be.ta"));
        assert!(rule.judge(&asked("/a"), false).is_none());
    }
}

//! What an old name answers to one request: a fixed target from the map, or that it is gone, and why.

use super::timeline::Phase;
use crate::kind::Kind;
use crate::map::{Address, DEFAULT_PORTS, Decision, Map};

/// The longest path that is redirected, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// How a request asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET or HEAD.
    Read,
    /// POST: an upload.
    Upload,
    /// Any other.
    Other,
}

/// A request to an old name.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// How.
    pub method: Method,
    /// The name asked for, as it came, perhaps with a port.
    pub host: &'a str,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// The path as it came, still encoded.
    pub path: &'a str,
    /// The moment, in seconds since 1970.
    pub now: i64,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 301 or 308, never to be kept.
    Redirect {
        /// The status.
        status: u16,
        /// Where to, from the map alone.
        location: String,
    },
    /// Anything else, with a reason phrase that uv shows and a text for people.
    Refuse {
        /// The status.
        status: u16,
        /// One line of ASCII.
        reason: String,
    },
}

/// Answers by the map. Queries are not forwarded: a token may be in one.
pub fn answer(map: &Map, asked: &Asked<'_>) -> Answer {
    let host = host_of(asked.host);
    let Some(entry) = map.find(&host) else {
        return refuse(421, "not a retired host");
    };
    let plan = entry.timeline.as_ref().map(|timeline| timeline.plan(&host));
    let phase = plan.map_or(Phase::Redirect, |plan| plan.phase(asked.now));
    let end = entry.timeline.as_ref().map(super::Timeline::end);
    let kind = match (asked.method, asked.path) {
        (Method::Upload, _) => Kind::Upload,
        (_, path) if path.starts_with("/packages") => Kind::Artifact,
        _ => Kind::Index,
    };
    // The port is the proxy's in front or a test's: the map's own, whichever it is, was asked for.
    let port = entry.ports.first().copied().unwrap_or(DEFAULT_PORTS[1]);
    let target = plain(asked.path).then(|| {
        map.decide(&Address {
            host: &host,
            port: Some(port),
            path: asked.path,
            kind,
        })
    });
    let location = match target.flatten() {
        Some((
            _,
            Decision::Rewrite {
                to, path_length, ..
            },
        )) => Some(format!("{to}{}", &asked.path[path_length..])),
        _ => None,
    };
    let instead = location
        .as_deref()
        .map(|location| format!(" use {location}"))
        .unwrap_or_default();
    match phase {
        Phase::Off | Phase::Parked => {
            let since = end.map(|end| format!(" {end}")).unwrap_or_default();
            return refuse(410, &format!("Retired{since}{instead}"));
        }
        Phase::BrownOut => {
            let until = end.map(|end| format!(" on {end}")).unwrap_or_default();
            return refuse(410, &format!("Brown-out, retires{until}{instead}"));
        }
        Phase::Redirect => {}
    }
    let http_allowed = entry
        .timeline
        .as_ref()
        .and_then(|timeline| timeline.http_until)
        .is_some_and(|until| {
            until
                .to_zoned(jiff::tz::TimeZone::UTC)
                .is_ok_and(|until| asked.now < until.timestamp().as_second())
        });
    if !asked.encrypted && !http_allowed {
        return refuse(403, &format!("SSL is required,{instead}"));
    }
    match (location, asked.method) {
        (Some(location), Method::Read) => Answer::Redirect {
            status: 301,
            location,
        },
        (Some(location), _) => Answer::Redirect {
            status: 308,
            location,
        },
        (None, _) => refuse(410, "Retired, nothing is in its place"),
    }
}

/// The host of a `Host` header as it is compared: lower case, without port and without a dot at its end.
pub fn host_of(header: &str) -> String {
    header
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(header, |(host, _)| host)
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

/// Whether a path can stand in a `Location`: ASCII, no second host, no way up.
fn plain(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && path.starts_with('/')
        && !path.contains("//")
        && !path.contains(['\\', '?', '#'])
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && !path.split('/').any(|segment| {
            matches!(
                segment.to_ascii_lowercase().as_str(),
                ".." | "." | "%2e" | "%2e%2e" | ".%2e" | "%2e."
            )
        })
}

fn refuse(status: u16, reason: &str) -> Answer {
    Answer::Refuse {
        status,
        reason: reason
            .chars()
            .map(|character| {
                if character.is_ascii_graphic() || character == ' ' {
                    character
                } else {
                    '?'
                }
            })
            .collect(),
    }
}

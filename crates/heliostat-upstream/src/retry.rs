//! Whether and when a failed try is repeated. Pure: no clock, no chance; both come in as values.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::Limits;

/// What went wrong with a try, as far as repeating it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection failed, broke off, timed out or was too slow.
    Broken,
    /// The server answered with this status, and asked for this much patience.
    Status(u16, Option<Duration>),
    /// The answer came whole and makes no sense: worth one more look, since a cut body can have a proper end.
    Doubtful,
    /// The answer will be the same the next time.
    Definite,
}

/// What to do after a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    /// Wait this long and try again; `None` gives up.
    pub(crate) retry_after: Option<Duration>,
    /// Hold back every other request to this upstream for so long.
    pub(crate) pause_all: Option<Duration>,
}

/// Statuses that may go away by themselves: RFC 9110's 408, 500, 502, 503 and 504, RFC 6585's 429, and the range
/// 520 to 529 in which CDNs report trouble behind them.
pub(crate) const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 520..=529)
}

/// Decides what follows after the try number `tries` (the first is 1) failed. `chance` lies in `0.0..1.0`.
pub(crate) fn decide(trouble: Trouble, tries: u32, limits: &Limits, chance: f64) -> Next {
    let (tries_max, asked) = match trouble {
        Trouble::Broken => (limits.tries_max, None),
        Trouble::Status(status, asked) if is_transient(status) => (limits.tries_max, asked),
        Trouble::Doubtful => (limits.tries_max.min(2), None),
        Trouble::Status(..) | Trouble::Definite => (1, None),
    };
    let obeyed = asked.filter(|asked| *asked <= limits.retry_after_max);
    let pause_all = match trouble {
        // "Too many requests" is about all of them, so it also slows the client when it asks for more patience
        // than one request has; a 503 with a long wait may be about one page only.
        Trouble::Status(429, Some(asked)) => Some(asked.min(limits.retry_after_max)),
        Trouble::Status(503, _) => obeyed,
        _ => None,
    };
    let patient = asked.is_none() || obeyed.is_some();
    let retry_after = (patient && tries < tries_max).then(|| {
        obeyed
            .unwrap_or_default()
            .saturating_add(backoff(tries, limits, chance))
    });
    Next {
        retry_after,
        pause_all,
    }
}

/// Exponential back-off with full jitter: anything between nothing and `base` doubled with each try.
fn backoff(tries: u32, limits: &Limits, chance: f64) -> Duration {
    let doubled = limits
        .backoff_base
        .saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
    doubled
        .min(limits.backoff_max)
        .mul_f64(chance.clamp(0.0, 1.0))
}

/// How long an answer asks us to wait: `Retry-After` in seconds, or as a date, which is read against the answer's
/// own `Date` so that neither clock needs to be right (RFC 9110, sections 10.2.3 and 6.6.1).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = |text: &str| -> Option<SystemTime> { httpdate::parse_http_date(text).ok() };
    let until = date(text)?;
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn only_transient_trouble_is_repeated() {
        let limits = Limits::default();
        let repeated = |trouble| decide(trouble, 1, &limits, 0.5).retry_after.is_some();
        assert!(repeated(Trouble::Broken));
        assert!(!repeated(Trouble::Definite));
        assert!(repeated(Trouble::Doubtful));
        assert_eq!(decide(Trouble::Doubtful, 2, &limits, 0.5).retry_after, None);
        for status in [408, 429, 500, 502, 503, 504, 520, 522, 527, 529] {
            assert!(repeated(Trouble::Status(status, None)), "{status}");
        }
        for status in [
            300, 400, 401, 403, 404, 407, 410, 416, 421, 451, 501, 505, 511, 519, 530,
        ] {
            assert!(!repeated(Trouble::Status(status, None)), "{status}");
        }
    }

    #[test]
    fn tries_are_bounded() {
        let limits = Limits {
            tries_max: 3,
            ..Limits::default()
        };
        let more: Vec<bool> = (1..=4)
            .map(|tries| {
                decide(Trouble::Broken, tries, &limits, 0.0)
                    .retry_after
                    .is_some()
            })
            .collect();
        assert_eq!(more, [true, true, false, false]);
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_chance_takes_any_part_of_it() {
        let limits = Limits {
            tries_max: u32::MAX,
            backoff_base: seconds(1),
            backoff_max: seconds(5),
            ..Limits::default()
        };
        let wait = |tries, chance| {
            decide(Trouble::Broken, tries, &limits, chance)
                .retry_after
                .unwrap()
        };
        assert_eq!(
            [1, 2, 3, 4, 1_000_000].map(|tries| wait(tries, 1.0)),
            [1, 2, 4, 5, 5].map(seconds)
        );
        assert_eq!(wait(3, 0.25), seconds(1));
        assert_eq!(wait(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn asked_patience_is_obeyed_and_slows_everybody() {
        let limits = Limits {
            backoff_base: seconds(1),
            ..Limits::default()
        };
        for status in [429, 503] {
            let next = decide(Trouble::Status(status, Some(seconds(7))), 1, &limits, 1.0);
            assert_eq!(
                next,
                Next {
                    retry_after: Some(seconds(8)),
                    pause_all: Some(seconds(7))
                }
            );
            let last = decide(
                Trouble::Status(status, Some(seconds(7))),
                limits.tries_max,
                &limits,
                1.0,
            );
            assert_eq!(
                last,
                Next {
                    retry_after: None,
                    pause_all: Some(seconds(7))
                }
            );
        }
        let next = decide(Trouble::Status(500, Some(seconds(7))), 1, &limits, 0.0);
        assert_eq!(
            next,
            Next {
                retry_after: Some(seconds(7)),
                pause_all: None
            }
        );
    }

    #[test]
    fn too_long_a_wait_ends_the_request() {
        let limits = Limits {
            retry_after_max: seconds(10),
            ..Limits::default()
        };
        let next = |status| decide(Trouble::Status(status, Some(seconds(11))), 1, &limits, 0.5);
        assert_eq!(
            next(503),
            Next {
                retry_after: None,
                pause_all: None
            }
        );
        assert_eq!(
            next(429),
            Next {
                retry_after: None,
                pause_all: Some(seconds(10))
            }
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        for (text, expected) in [
            ("0", Some(seconds(0))),
            ("120", Some(seconds(120))),
            ("99999999999999999999999", Some(seconds(u64::MAX))),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(seconds(30))),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(seconds(30))),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(seconds(0))),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                retry_after(&headers(&[(RETRY_AFTER, text), now.clone()])),
                expected,
                "{text:?}"
            );
        }
        assert_eq!(
            retry_after(&headers(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")])),
            None
        );
        assert_eq!(retry_after(&headers(&[now])), None);
    }
}

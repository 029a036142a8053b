//! Sending clients to other mirrors for files, by a published list: only where that mirror is known to be far enough.
//!
//! Deciding is a pure function of the list, the file and what the client wants to avoid. The list is read by whoever
//! owns it, and read again now and then.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;

/// The header in which clients say which countries and mirrors they want to avoid, as `?avoid=` does.
pub(crate) const AVOID: &str = "x-heliostat-avoid";
/// Names that one request may avoid.
const AVOIDED_MAX: usize = 32;
/// Alternates that one answer names.
pub(crate) const ALTERNATES_MAX: usize = 5;
/// It is looked again whether the list has changed after so long.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// A mirror of a list, as far as sending clients there needs it known. Lists give them the best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Elsewhere {
    /// The endpoint's name.
    pub endpoint: String,
    /// The root of its tree, with a slash at the end.
    pub base: String,
    /// Two letters, where known.
    pub country: Option<String>,
    /// Why nobody is sent there whatever the file; nothing where clients may be.
    pub refused: Option<String>,
    /// The newest serial up to which every change that was looked for is there.
    pub serial_proved: Option<u64>,
    /// Which share of clients is sent there, 0 to 1; those without any come after those with.
    pub weight: f64,
}

/// Reads the list, or nothing where it is as it was the last time; the error is for the log.
pub type ReadList = Box<dyn Fn() -> Result<Option<Vec<Elsewhere>>, String> + Send + Sync>;

/// The list, and how it is read again.
pub struct Redirector {
    read: ReadList,
    current: Mutex<(Instant, Arc<[Elsewhere]>)>,
}

/// What is to be had elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Below the tree's root.
    pub(crate) path: &'a str,
    /// The serial of the project's last change: a mirror that has not proved it may lack the file.
    pub(crate) serial: u64,
    /// Countries in small letters, and endpoints.
    pub(crate) avoid: &'a BTreeSet<String>,
}

/// Every mirror with what was decided, in the order of the list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice<'a> {
    pub(crate) mirror: &'a Elsewhere,
    /// Why not; nothing where a client may be sent there.
    pub(crate) refused: Option<String>,
}

impl Redirector {
    /// With a list that can be read now.
    pub fn new(read: ReadList) -> Result<Self, String> {
        let first = read()?.unwrap_or_default().into();
        Ok(Self {
            read,
            current: Mutex::new((Instant::now(), first)),
        })
    }

    /// The list, at most a second old. One that cannot be read any more is kept, and that is logged.
    pub(crate) fn list(&self) -> Arc<[Elsewhere]> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0.elapsed() >= FRESH_FOR {
            current.0 = Instant::now();
            match (self.read)() {
                Ok(Some(list)) => current.1 = list.into(),
                Ok(None) => {}
                Err(reason) => {
                    tracing::warn!(
                        reason,
                        "the list of mirrors cannot be read again; the old one is kept"
                    );
                }
            }
        }
        Arc::clone(&current.1)
    }
}

impl fmt::Debug for Redirector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirector").finish_non_exhaustive()
    }
}

/// Decides on every mirror of the list. Of many files each mirror comes first for its share of them, and always for the
/// same ones, so that what caches there hold is asked for again (weighted rendezvous hashing, Thaler and Ravishankar 1998).
pub(crate) fn choose<'a>(list: &'a [Elsewhere], wanted: &Wanted<'_>) -> Vec<Choice<'a>> {
    let mut choices: Vec<Choice<'a>> = list
        .iter()
        .map(|mirror| Choice {
            mirror,
            refused: refusal(mirror, wanted),
        })
        .collect();
    choices.sort_by(|one, other| {
        let turn = |choice: &Choice<'_>| turn(choice.mirror, wanted.path);
        one.refused
            .is_some()
            .cmp(&other.refused.is_some())
            .then_with(|| turn(other).total_cmp(&turn(one)))
    });
    choices
}

/// How early a mirror's turn comes for a file, the larger the earlier; 0 where it has no share.
fn turn(mirror: &Elsewhere, path: &str) -> f64 {
    if mirror.weight <= 0.0 {
        return 0.0;
    }
    let mut hasher = DefaultHasher::new();
    (path, &mirror.endpoint).hash(&mut hasher);
    // Half a step above a multiple of 2^-32, so that it is neither 0 nor 1.
    let draw =
        (f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) + 0.5) / 4_294_967_296.0;
    -mirror.weight / draw.ln()
}

fn refusal(mirror: &Elsewhere, wanted: &Wanted<'_>) -> Option<String> {
    if let Some(reason) = &mirror.refused {
        return Some(reason.clone());
    }
    let country = mirror.country.as_deref().unwrap_or_default();
    if wanted.avoid.contains(&mirror.endpoint)
        || wanted.avoid.contains(&country.to_ascii_lowercase())
    {
        return Some("you want to avoid it".to_owned());
    }
    match mirror.serial_proved {
        None => Some("no serial of it is proved".to_owned()),
        Some(proved) if proved < wanted.serial => Some(format!(
            "it proved serial {proved}, and the project changed last at {}",
            wanted.serial
        )),
        Some(_) => None,
    }
}

/// The addresses of a choice that a client may be sent to, the best first.
pub(crate) fn targets(choices: &[Choice<'_>], path: &str) -> Vec<(String, Option<String>)> {
    choices
        .iter()
        .filter(|choice| choice.refused.is_none())
        .map(|choice| {
            let country = choice.mirror.country.as_ref();
            (
                format!("{}{path}", choice.mirror.base),
                country.map(|country| country.to_ascii_lowercase()),
            )
        })
        .take(ALTERNATES_MAX)
        .collect()
}

/// `Link` as RFC 6249 has it: duplicates by priority, with where they are.
pub(crate) fn links(targets: &[(String, Option<String>)]) -> String {
    let mut text = String::new();
    for (priority, (url, country)) in (1..).zip(targets) {
        let comma = if text.is_empty() { "" } else { ", " };
        let _infallible = write!(text, "{comma}<{url}>; rel=duplicate; pri={priority}");
        if let Some(country) = country {
            let _infallible = write!(text, "; geo={country}");
        }
    }
    text
}

/// What a client wants to avoid, from `?avoid=ru,by` and from the header.
pub(crate) fn avoided(query: Option<&str>, headers: &HeaderMap) -> BTreeSet<String> {
    let asked = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.strip_prefix("avoid="));
    let sent = headers
        .get_all(AVOID)
        .iter()
        .filter_map(|value| value.to_str().ok());
    asked
        .chain(sent)
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .take(AVOIDED_MAX)
        .collect()
}

/// Whether a client wants to be told and not to be sent.
pub(crate) fn is_traced(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "trace=1"))
}

/// The decisions as text, for `?trace=1`.
pub(crate) fn trace(choices: &[Choice<'_>], wanted: &Wanted<'_>) -> String {
    let mut text = format!(
        "{}\nthe project changed last at serial {}\n\n",
        wanted.path, wanted.serial
    );
    let mut position = 0;
    for choice in choices {
        position += usize::from(choice.refused.is_none());
        let verdict = match (&choice.refused, position) {
            (Some(reason), _) => format!("no: {reason}"),
            (None, 1) => "sent here".to_owned(),
            (None, _) => format!("alternate {position}"),
        };
        let country = choice.mirror.country.as_deref().unwrap_or("--");
        let _infallible = writeln!(text, "{country} {:<24} {verdict}", choice.mirror.endpoint);
    }
    if position == 0 {
        text.push_str("\nnobody: answered from here\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(endpoint: &str, country: &str, serial_proved: Option<u64>) -> Elsewhere {
        Elsewhere {
            endpoint: endpoint.to_owned(),
            base: format!("https://{endpoint}.example/pypi/"),
            country: Some(country.to_owned()),
            refused: None,
            serial_proved,
            weight: 0.0,
        }
    }

    #[test]
    fn each_mirror_comes_first_for_its_share_of_files() {
        let weighs = |endpoint: &str, weight| Elsewhere {
            weight,
            ..mirror(endpoint, "CH", Some(9))
        };
        let list = [
            weighs("a", 0.5),
            weighs("b", 0.25),
            weighs("c", 0.25),
            weighs("d", 0.0),
        ];
        let avoid = BTreeSet::new();
        let first = |list: &[Elsewhere], path: &str| {
            let wanted = Wanted {
                path,
                serial: 7,
                avoid: &avoid,
            };
            choose(list, &wanted)[0].mirror.endpoint.clone()
        };
        let paths: Vec<String> = (0..4000)
            .map(|number| format!("packages/{number}"))
            .collect();
        let firsts: Vec<String> = paths.iter().map(|path| first(&list, path)).collect();
        let count = |name: &str| firsts.iter().filter(|first| *first == name).count();
        assert!((1900..2100).contains(&count("a")), "{}", count("a"));
        assert!((900..1100).contains(&count("b")), "{}", count("b"));
        assert_eq!(count("d"), 0);
        // Where one goes, files of the others stay where they are.
        let moved = paths
            .iter()
            .zip(&firsts)
            .filter(|(path, before)| {
                *before != "b" && first(&[list[0].clone(), list[2].clone()], path) != **before
            })
            .count();
        assert_eq!(moved, 0);
    }

    #[test]
    fn nobody_is_sent_where_the_file_may_not_be() {
        let list = [
            mirror("behind", "CH", Some(6)),
            Elsewhere {
                refused: Some("it is degraded".to_owned()),
                ..mirror("ill", "CH", Some(9))
            },
            mirror("silent", "CH", None),
            mirror("unwanted", "RU", Some(9)),
            mirror("even", "EE", Some(7)),
            mirror("ahead", "SG", Some(9)),
        ];
        let query = Some("avoid=ru,by&trace=1");
        let wanted = Wanted {
            path: "packages/a",
            serial: 7,
            avoid: &avoided(query, &HeaderMap::new()),
        };
        let choices = choose(&list, &wanted);
        let targets = targets(&choices, wanted.path);
        assert_eq!(
            links(&targets),
            "<https://even.example/pypi/packages/a>; rel=duplicate; pri=1; geo=ee, \
             <https://ahead.example/pypi/packages/a>; rel=duplicate; pri=2; geo=sg"
        );
        assert!(is_traced(query) && !is_traced(Some("trace=10")));
        let text = trace(&choices, &wanted);
        for line in [
            "behind                   no: it proved serial 6, and the project changed last at 7",
            "ill                      no: it is degraded",
            "silent                   no: no serial of it is proved",
            "RU unwanted                 no: you want to avoid it",
            "EE even                     sent here",
            "SG ahead                    alternate 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_avoided_is_said_in_either_place() {
        let mut headers = HeaderMap::new();
        headers.insert(AVOID, http::HeaderValue::from_static("Kestrel-Main, by"));
        assert_eq!(
            avoided(Some("x=1&avoid=RU,,"), &headers),
            ["by", "kestrel-main", "ru"].map(str::to_owned).into()
        );
    }
}

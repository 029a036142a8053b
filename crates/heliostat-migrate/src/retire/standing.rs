//! What stands in the way of a retirement: extra indexes on the host, which pip would skip without a word, and
//! installers that still come.

use serde::Serialize;

use super::traffic::{DAY_SECONDS, Traffic};
use crate::kind::Kind;
use crate::map::Retired;
use crate::scan::Finding;

/// What stands in the way; nothing when all of it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Live extra indexes on a host of the entry.
    pub extra_indexes: Vec<Finding>,
    /// Hosts to which an installer came, with the last time in seconds since 1970.
    pub visited: Vec<(String, i64)>,
    /// Hosts of which nobody can say that no installer came: there is no log, or not for long enough.
    pub unseen: Vec<String>,
}

impl Standing {
    /// Whether nothing is in the way.
    pub const fn is_clear(&self) -> bool {
        self.extra_indexes.is_empty() && self.visited.is_empty() && self.unseen.is_empty()
    }
}

/// Looks at findings and at the traffic of each host of an entry, where there is a log of it.
pub fn standing<'a>(
    entry: &Retired,
    findings: impl IntoIterator<Item = &'a Finding>,
    traffic: impl Fn(&str) -> Option<Traffic>,
    now: i64,
    clear_days: i64,
) -> Standing {
    let mut standing = Standing {
        extra_indexes: findings
            .into_iter()
            .filter(|one| {
                one.active && one.kind == Kind::ExtraIndex && entry.hosts.contains(&one.host)
            })
            .cloned()
            .collect(),
        ..Standing::default()
    };
    let since = now - clear_days * DAY_SECONDS;
    for host in &entry.hosts {
        match traffic(host) {
            Some(traffic) if traffic.is_clear(now, clear_days) => {}
            Some(Traffic {
                last_real: Some(last),
                ..
            }) if last >= since => standing.visited.push((host.clone(), last)),
            _ => standing.unseen.push(host.clone()),
        }
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Map;
    use crate::scan::Scanner;

    #[test]
    fn extra_indexes_and_visits_stand_in_the_way() {
        let map = "builtin = false\n[[retired]]\nhosts = ['old.example', 'older.example']\n[[retired.rule]]\nto = 'https://new.example'\n";
        let scanner = Scanner::new(Map::parse("m.toml", map).unwrap());
        let text = b"-i https://old.example/simple\n--extra-index-url https://old.example/simple\n# --extra-index-url https://old.example/simple\n";
        let scan = scanner.scan("requirements.txt", text);
        let entry = &scanner.map().entries()[0];
        let day = |days: i64| Some(days * DAY_SECONDS);
        let came = |first, last| Traffic {
            first,
            last_real: last,
            ..Traffic::default()
        };
        let all = |host: &str| (host == "old.example").then(|| came(day(0), day(90)));
        let seen = standing(entry, &scan.findings, all, 100 * DAY_SECONDS, 30);
        assert_eq!(seen.extra_indexes.len(), 1);
        assert_eq!(seen.extra_indexes[0].line, 2);
        assert_eq!(seen.visited, [("old.example".to_owned(), 90 * DAY_SECONDS)]);
        assert_eq!(seen.unseen, ["older.example"]);
        let quiet = |_: &str| Some(came(day(0), day(20)));
        assert!(standing(entry, &[], quiet, 100 * DAY_SECONDS, 30).is_clear());
        let young = |_: &str| Some(came(day(90), None));
        assert!(!standing(entry, &[], young, 100 * DAY_SECONDS, 30).is_clear());
    }
}

//! From what a list says to the mirrors that may be asked. Pure.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_client::{Advice, Candidate, Carries, Prior};
use heliostat_directory::{
    AdminState, Endpoint, EndpointStatus, Layout, Mirror, MirrorList, State, StatusList,
};
use jiff::Timestamp;
use url::Url;

use super::addresses::Addresses;
use super::rules::{MirrorRule, Subject, forbidden};

/// What a list comes to for this client.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The mirrors that may be asked.
    pub(super) candidates: Vec<Candidate>,
    /// Endpoints that may not, with the reason.
    pub(super) left_out: Vec<(String, String)>,
    /// How many operators the candidates have.
    pub(super) operators: usize,
}

impl Chosen {
    /// Those that carry the signed tree.
    pub(super) fn signed(&self) -> impl Iterator<Item = &Candidate> {
        let mut candidates = self.candidates.iter();
        std::iter::from_fn(move || {
            candidates.find(|candidate| candidate.carries == Carries::SignedTree)
        })
    }

    /// Whom to ask for the list itself: those of different operators first, and before them those that do well.
    pub(super) fn carriers(&self) -> Vec<Url> {
        let mut ordered: Vec<&Candidate> = self.signed().collect();
        ordered.sort_by_key(|candidate| candidate.prior.advice == Advice::Avoid);
        let mut operators = BTreeSet::new();
        let (first, others): (Vec<&Candidate>, Vec<&Candidate>) = ordered
            .into_iter()
            .partition(|candidate| operators.insert(candidate.operator.as_deref()));
        first
            .into_iter()
            .chain(others)
            .map(|candidate| candidate.url.clone())
            .collect()
    }
}

/// Whom to ask for the list at this turn: the mirrors that the user gave, then those of the list, beginning with others
/// each time, so that whoever has none or lies is asked no more often than the others.
pub(super) fn carriers(given: &[Url], listed: &[Url], turn: u64) -> Vec<Url> {
    let begin = turn
        .checked_rem(listed.len() as u64)
        .and_then(|at| usize::try_from(at).ok())
        .unwrap_or(0);
    let (later, first) = listed.split_at(begin);
    let listed = first.iter().chain(later);
    let listed = listed.filter(|url| !given.contains(url));
    given.iter().chain(listed).cloned().collect()
}

/// What the user wants of mirrors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) only: &'a [MirrorRule],
    pub(super) never: &'a [MirrorRule],
    /// What their names stand for, as far as rules need it.
    pub(super) addresses: &'a Addresses,
}

/// The mirrors of a list that may be asked at this time. `status` moves them, and takes none away.
pub(super) fn choose(
    list: &MirrorList,
    status: Option<&StatusList>,
    rules: Rules<'_>,
    now: Timestamp,
) -> Chosen {
    let known: BTreeMap<&str, &EndpointStatus> = status
        .iter()
        .flat_map(|status| &status.endpoints)
        .map(|endpoint| (endpoint.endpoint.as_str(), endpoint))
        .collect();
    let mut chosen = Chosen::default();
    let mut operators = BTreeSet::new();
    for mirror in &list.mirrors {
        for endpoint in &mirror.endpoints {
            let subject = Subject {
                mirror,
                endpoint,
                addresses: rules.addresses.of(&endpoint.base),
            };
            let reason = off_the_list(mirror, now)
                .or_else(|| unfit(endpoint))
                .or_else(|| forbidden(rules.only, rules.never, subject));
            if let Some(reason) = reason {
                let id = endpoint.id.as_str().to_owned();
                chosen.left_out.push((id, reason));
                continue;
            }
            operators.insert(&mirror.operator.name);
            let status = known.get(endpoint.id.as_str()).copied();
            chosen.candidates.push(Candidate {
                url: root(endpoint),
                id: Some(endpoint.id.as_str().to_owned()),
                operator: Some(mirror.operator.name.clone()),
                carries: match endpoint.layout {
                    Layout::Heliostat => Carries::SignedTree,
                    Layout::Bandersnatch | Layout::Pep503 => Carries::Files,
                },
                prior: status.map(prior).unwrap_or_default(),
            });
        }
    }
    chosen.operators = operators.len();
    chosen
}

/// What the people who keep the list decided.
fn off_the_list(mirror: &Mirror, now: Timestamp) -> Option<String> {
    match (mirror.admin_state, &mirror.retires) {
        (AdminState::Retired, _) => Some("its keepers have retired it".to_owned()),
        (AdminState::Vetoed, _) => Some("its keepers have taken it off".to_owned()),
        (AdminState::Listed, Some(retirement)) if retirement.at <= now => {
            Some(format!("it retired on {}", retirement.at))
        }
        _ => None,
    }
}

/// Whether an endpoint can be asked at all.
fn unfit(endpoint: &Endpoint) -> Option<String> {
    if endpoint.layout == Layout::Pep503 {
        return Some(
            "only its own pages, which nobody signed, tell where its files are".to_owned(),
        );
    }
    let base = &endpoint.base;
    let is_loopback = match base.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    // What is asked for stays between the client and the mirror.
    (base.scheme() != "https" && !is_loopback)
        .then(|| format!("`{base}` does not begin with `https://`"))
}

/// Where `packages/` is found: beside the Simple API.
fn root(endpoint: &Endpoint) -> Url {
    let base = &endpoint.base;
    let beside = match endpoint.layout {
        Layout::Heliostat => None,
        Layout::Bandersnatch | Layout::Pep503 => {
            let simple = base.join(&endpoint.simple).ok();
            simple.and_then(|simple| simple.join("..").ok())
        }
    };
    // What an entry says of its layout must not lead elsewhere.
    let beside = beside.filter(|url| url.as_str().starts_with(base.as_str()));
    beside.unwrap_or_else(|| base.clone())
}

/// What a list's status says, as far as ranking cares.
fn prior(status: &EndpointStatus) -> Prior {
    let mut times: Vec<u32> = status
        .vantages
        .iter()
        .filter_map(|vantage| vantage.first_byte_milliseconds.map(|times| times.p50))
        .collect();
    times.sort_unstable();
    Prior {
        advice: match status.state {
            State::Active => Advice::Use,
            State::Candidate | State::Probation | State::Degraded | State::Maintenance => {
                Advice::Spare
            }
            State::Suspended | State::Quarantined | State::Vetoed | State::Retired => Advice::Avoid,
        },
        health: status.health.map(|health| health / 100.0),
        lag_seconds: status.lag_seconds,
        first_byte_milliseconds: times.get(times.len() / 2).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        format!("https://{host}.example/").parse().unwrap()
    }

    #[test]
    fn what_is_asked_of_an_endpoint_follows_from_its_layout() {
        let list: MirrorList = serde_json::from_value(serde_json::json!({
            "schema": "heliostat.directory.mirrors/1", "policy-version": 1, "policy-sha256": "",
            "mirrors": [{
                "id": "campus", "operator": {"name": "Campus"}, "inception": "2026-10-01",
                "endpoints": [
                    {"id": "campus-signed", "base": "https://a.example/"},
                    {"id": "campus-tree", "base": "https://b.example/pypi/", "layout": "bandersnatch"},
                    {"id": "campus-web", "base": "https://c.example/", "layout": "bandersnatch", "simple": "web/simple/"},
                    {"id": "campus-api", "base": "https://d.example/", "layout": "pep503"},
                ],
            }],
        }))
        .unwrap();
        let rules = Rules {
            only: &[],
            never: &[],
            addresses: &Addresses::default(),
        };
        let chosen = choose(&list, None, rules, Timestamp::UNIX_EPOCH);
        let found: Vec<(&str, Carries)> = chosen
            .candidates
            .iter()
            .map(|candidate| (candidate.url.as_str(), candidate.carries))
            .collect();
        assert_eq!(
            found,
            [
                ("https://a.example/", Carries::SignedTree),
                ("https://b.example/pypi/", Carries::Files),
                ("https://c.example/web/", Carries::Files),
            ]
        );
        assert_eq!(chosen.left_out[0].0, "campus-api");
        assert_eq!(chosen.signed().count(), 1);
    }

    #[test]
    fn the_list_is_asked_for_at_mirrors_in_turn_and_of_different_operators() {
        let candidate = |host: &str, operator: &str, advice| Candidate {
            url: url(host),
            id: Some(host.to_owned()),
            operator: Some(operator.to_owned()),
            carries: Carries::SignedTree,
            prior: Prior {
                advice,
                ..Prior::default()
            },
        };
        let chosen = Chosen {
            candidates: vec![
                candidate("bad", "Bad", Advice::Avoid),
                candidate("one", "Same", Advice::Use),
                candidate("two", "Same", Advice::Use),
                candidate("three", "Other", Advice::Spare),
            ],
            ..Chosen::default()
        };
        let listed = chosen.carriers();
        assert_eq!(listed, ["one", "three", "bad", "two"].map(url));
        let given = [url("two")];
        assert_eq!(
            carriers(&given, &listed, 1),
            ["two", "three", "bad", "one"].map(url)
        );
        assert_eq!(carriers(&given, &listed, 4)[1], url("one"));
        assert_eq!(carriers(&given, &[], 7), given);
    }
}

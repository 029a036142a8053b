//! `--mirrors-only` and `--mirrors-never`: which mirrors of a list may be used. Pure.

use std::fmt;
use std::str::FromStr;

use heliostat_directory::{CountryCode, Endpoint, Mirror};

/// One thing that may hold of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MirrorRule {
    /// It stands in this country, or whoever runs it does.
    Country(String),
    /// It is run by this operator or organisation; capitals do not matter.
    Operator(String),
    /// It is in this autonomous system.
    Network(u32),
    /// It has this id, or its endpoint has.
    Mirror(String),
}

impl FromStr for MirrorRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shapes = "`country=CH`, `operator=NAME`, `network=AS64500` or `mirror=ID`";
        let Some((kind, value)) = text.split_once('=') else {
            return Err(format!("a rule looks like {shapes}"));
        };
        let value = value.trim();
        match kind.trim() {
            "country" => {
                let code = value.to_ascii_uppercase();
                CountryCode::try_from(code.clone())
                    .map_err(|_| format!("`{value}` is no country of two letters, as `CH`"))?;
                Ok(Self::Country(code))
            }
            "network" => {
                let digits = value.trim_start_matches(['A', 'S', 'a', 's']);
                let number = digits.parse().map_err(|_| {
                    format!("`{value}` is no autonomous system, as `AS64500`; lists name no other networks")
                })?;
                Ok(Self::Network(number))
            }
            "operator" if !value.is_empty() => Ok(Self::Operator(value.to_lowercase())),
            "mirror" if !value.is_empty() => Ok(Self::Mirror(value.to_owned())),
            _ => Err(format!("a rule looks like {shapes}")),
        }
    }
}

impl fmt::Display for MirrorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(code) => write!(f, "country={code}"),
            Self::Operator(name) => write!(f, "operator={name}"),
            Self::Network(number) => write!(f, "network=AS{number}"),
            Self::Mirror(id) => write!(f, "mirror={id}"),
        }
    }
}

impl MirrorRule {
    /// Whether it holds of an endpoint.
    pub(super) fn holds(&self, mirror: &Mirror, endpoint: &Endpoint) -> bool {
        match self {
            Self::Country(code) => countries(mirror, endpoint).any(|country| country == *code),
            Self::Operator(name) => {
                let operator = &mirror.operator;
                let known = [Some(&operator.name), operator.organisation.as_ref()];
                known
                    .into_iter()
                    .flatten()
                    .any(|known| known.to_lowercase() == *name)
            }
            Self::Network(number) => endpoint.asn == Some(*number),
            Self::Mirror(id) => mirror.id.as_str() == id || endpoint.id.as_str() == id,
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Country(_) => 0,
            Self::Operator(_) => 1,
            Self::Network(_) => 2,
            Self::Mirror(_) => 3,
        }
    }
}

fn countries(mirror: &Mirror, endpoint: &Endpoint) -> impl Iterator<Item = String> {
    [endpoint.country, mirror.operator.country]
        .into_iter()
        .flatten()
        .map(String::from)
}

/// Why a mirror may not be used, if it may not. Of the rules in `only`, one of each kind that occurs must hold, and
/// where countries are named neither the mirror nor its operator may be in another; of those in `never`, none may.
pub(super) fn forbidden(
    only: &[MirrorRule],
    never: &[MirrorRule],
    mirror: &Mirror,
    endpoint: &Endpoint,
) -> Option<String> {
    if let Some(rule) = never.iter().find(|rule| rule.holds(mirror, endpoint)) {
        return Some(format!("`--mirrors-never {rule}`"));
    }
    for rule in only {
        let same_kind = || only.iter().filter(|other| other.kind() == rule.kind());
        if !same_kind().any(|other| other.holds(mirror, endpoint)) {
            return Some(format!("not `--mirrors-only {rule}`"));
        }
        let is_meant = |country: String| {
            same_kind().any(|other| *other == MirrorRule::Country(country.clone()))
        };
        if matches!(rule, MirrorRule::Country(_)) && !countries(mirror, endpoint).all(is_meant) {
            return Some(format!("not only `--mirrors-only {rule}`"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(operator: &str, country: &str) -> Mirror {
        serde_json::from_value(serde_json::json!({
            "id": "campus", "operator": {"name": operator, "organisation": "Example University", "country": country},
            "inception": "2026-10-01",
            "endpoints": [
                {"id": "campus-main", "base": "https://mirror.example/", "asn": 64_500, "country": "CH"},
                {"id": "campus-bare", "base": "https://bare.example/"},
            ],
        }))
        .unwrap()
    }

    fn rules(texts: &[&str]) -> Vec<MirrorRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn rules_allow_and_forbid() {
        let mirror = mirror("Campus", "DE");
        let [main, bare] = [0, 1].map(|at| &mirror.endpoints[at]);
        let may = |only: &[&str], never: &[&str], endpoint| {
            forbidden(&rules(only), &rules(never), &mirror, endpoint).is_none()
        };
        assert!(may(&[], &[], main));
        assert!(may(&["country=ch", "country=DE"], &[], main));
        assert!(
            !may(&["country=CH"], &[], main),
            "its operator is elsewhere"
        );
        assert!(!may(&[], &["country=DE"], main));
        assert!(may(&["operator=campus", "network=AS64500"], &[], main));
        assert!(may(
            &["operator=other", "operator=EXAMPLE university"],
            &[],
            main
        ));
        assert!(
            !may(&["operator=campus", "network=AS64501"], &[], main),
            "both kinds must hold"
        );
        assert!(
            !may(&["network=64500"], &[], bare),
            "what is not said is not so"
        );
        assert!(may(&[], &["network=64500"], bare));
        assert!(!may(&[], &["mirror=campus"], bare));
        assert!(may(&[], &["mirror=campus-main"], bare));
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for text in [
            "CH",
            "country=Swiss",
            "network=192.0.2.0/24",
            "colour=red",
            "operator=",
        ] {
            text.parse::<MirrorRule>().unwrap_err();
        }
    }
}

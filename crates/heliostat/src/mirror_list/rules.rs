//! `--mirrors-only` and `--mirrors-never`: which mirrors of a list may be used. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use heliostat_directory::{CountryCode, Endpoint, Mirror};
use ipnet::IpNet;

/// An endpoint that is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) endpoint: &'a Endpoint,
    /// The addresses that its host stands for; none where they are not known.
    pub(super) addresses: &'a [IpAddr],
}

/// One thing that may hold of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MirrorRule {
    /// It stands in this country, or whoever runs it does.
    Country(String),
    /// It is run by this operator or organisation; capitals do not matter.
    Operator(String),
    /// It is in this autonomous system, as the list says.
    Network(u32),
    /// An address of its is in this range.
    Range(IpNet),
    /// It has this id, or its endpoint has.
    Mirror(String),
}

impl FromStr for MirrorRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shapes = "`country=CH`, `operator=NAME`, `network=AS64500`, `network=192.0.2.0/24` or `mirror=ID`";
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
            "network" => network(value),
            "operator" if !value.is_empty() => Ok(Self::Operator(value.to_lowercase())),
            "mirror" if !value.is_empty() => Ok(Self::Mirror(value.to_owned())),
            _ => Err(format!("a rule looks like {shapes}")),
        }
    }
}

fn network(value: &str) -> Result<MirrorRule, String> {
    let upper = value.to_ascii_uppercase();
    let digits = upper.strip_prefix("AS").unwrap_or(&upper);
    if let Ok(number) = digits.parse() {
        return Ok(MirrorRule::Network(number));
    }
    let range = value.parse::<IpNet>().ok();
    let range = range.or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from));
    let range = range.ok_or_else(|| {
        format!(
            "`{value}` is neither an autonomous system, as `AS64500`, nor a range of addresses, as `192.0.2.0/24` or \
             `2001:db8::/32`"
        )
    })?;
    // Either the address or the length is not what was meant.
    if range != range.trunc() {
        return Err(format!(
            "`{value}` begins in the middle of a range: write `{}`, or `{}` for the one address",
            range.trunc(),
            range.addr()
        ));
    }
    Ok(MirrorRule::Range(range))
}

impl fmt::Display for MirrorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(code) => write!(f, "country={code}"),
            Self::Operator(name) => write!(f, "operator={name}"),
            Self::Network(number) => write!(f, "network=AS{number}"),
            Self::Range(range) => write!(f, "network={range}"),
            Self::Mirror(id) => write!(f, "mirror={id}"),
        }
    }
}

impl MirrorRule {
    /// Whether it can be judged only by the addresses of a mirror.
    pub(super) const fn is_about_addresses(&self) -> bool {
        matches!(self, Self::Range(_))
    }

    /// Whether it holds of an endpoint.
    fn holds(&self, subject: Subject<'_>) -> bool {
        let Subject {
            mirror, endpoint, ..
        } = subject;
        match self {
            Self::Country(code) => countries(subject).any(|country| country == *code),
            Self::Operator(name) => {
                let operator = &mirror.operator;
                let known = [Some(&operator.name), operator.organisation.as_ref()];
                known
                    .into_iter()
                    .flatten()
                    .any(|known| known.to_lowercase() == *name)
            }
            Self::Network(number) => endpoint.asn == Some(*number),
            Self::Range(_) => subject
                .addresses
                .iter()
                .any(|address| self.contains(*address)),
            Self::Mirror(id) => mirror.id.as_str() == id || endpoint.id.as_str() == id,
        }
    }

    /// Whether it is a range that this address is in.
    fn contains(&self, address: IpAddr) -> bool {
        matches!(self, Self::Range(range) if range.contains(&address.to_canonical()))
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Country(_) => 0,
            Self::Operator(_) => 1,
            Self::Network(_) | Self::Range(_) => 2,
            Self::Mirror(_) => 3,
        }
    }
}

fn countries(subject: Subject<'_>) -> impl Iterator<Item = String> {
    [subject.endpoint.country, subject.mirror.operator.country]
        .into_iter()
        .flatten()
        .map(String::from)
}

/// Why a mirror may not be used, if it may not. Of the rules in `only`, one of each kind that occurs must hold, and
/// where countries are named neither the mirror nor its operator may be in another, nor, where ranges are, any address
/// of its outside all of them; of those in `never`, none may. A range is not known to be avoided while the addresses
/// are not known.
pub(super) fn forbidden(
    only: &[MirrorRule],
    never: &[MirrorRule],
    subject: Subject<'_>,
) -> Option<String> {
    if let Some(rule) = never.iter().find(|rule| rule.holds(subject)) {
        return Some(format!("`--mirrors-never {rule}`"));
    }
    let ranges = never.iter().find(|rule| rule.is_about_addresses());
    if let (Some(rule), []) = (ranges, subject.addresses) {
        return Some(format!(
            "its addresses are not known, as `--mirrors-never {rule}` needs"
        ));
    }
    for rule in only {
        let same_kind = || only.iter().filter(|other| other.kind() == rule.kind());
        if !same_kind().any(|other| other.holds(subject)) {
            return Some(format!("not `--mirrors-only {rule}`"));
        }
        let is_meant = |country: String| {
            same_kind().any(|other| *other == MirrorRule::Country(country.clone()))
        };
        if matches!(rule, MirrorRule::Country(_)) && !countries(subject).all(is_meant) {
            return Some(format!("not only `--mirrors-only {rule}`"));
        }
        let by_system =
            || same_kind().any(|other| !other.is_about_addresses() && other.holds(subject));
        let outside = |address: &&IpAddr| !same_kind().any(|other| other.contains(**address));
        if rule.is_about_addresses()
            && !by_system()
            && let Some(address) = subject.addresses.iter().find(outside)
        {
            return Some(format!("`{address}` is not `--mirrors-only {rule}`"));
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
            let subject = Subject {
                mirror: &mirror,
                endpoint,
                addresses: &[],
            };
            forbidden(&rules(only), &rules(never), subject).is_none()
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
    fn ranges_are_judged_by_addresses() {
        let mirror = mirror("Campus", "CH");
        let may = |only: &[&str], never: &[&str], addresses: &[&str]| {
            let addresses: Vec<IpAddr> =
                addresses.iter().map(|text| text.parse().unwrap()).collect();
            let subject = Subject {
                mirror: &mirror,
                endpoint: &mirror.endpoints[0],
                addresses: &addresses,
            };
            forbidden(&rules(only), &rules(never), subject).is_none()
        };
        let both = ["192.0.2.7", "2001:db8::7"];
        assert!(!may(&[], &["network=192.0.2.0/24"], &both));
        assert!(!may(&[], &["network=2001:db8::/32"], &both));
        assert!(may(
            &[],
            &["network=192.0.2.8", "network=2001:db9::/32"],
            &both
        ));
        assert!(!may(&[], &["network=192.0.2.7"], &["::ffff:192.0.2.7"]));
        assert!(
            !may(&[], &["network=198.51.100.0/24"], &[]),
            "a name may turn out to stand for it"
        );
        assert!(
            !may(&["network=192.0.2.0/24"], &[], &both),
            "another is outside"
        );
        let named = ["network=192.0.2.0/24", "network=2001:db8::/32"];
        assert!(may(&named, &[], &both));
        assert!(!may(&named, &[], &[]));
        assert!(
            may(&["network=AS64500", "network=198.51.100.0/24"], &[], &both),
            "either word for the network will do"
        );
        assert!(!may(
            &["network=AS64501", "network=192.0.2.0/24"],
            &[],
            &both
        ));
    }

    #[test]
    fn a_rule_reads_as_it_is_written() {
        for text in [
            "country=CH",
            "network=AS64500",
            "network=192.0.2.0/24",
            "network=2001:db8::/32",
            "mirror=campus",
        ] {
            assert_eq!(text.parse::<MirrorRule>().unwrap().to_string(), text);
        }
        let one: MirrorRule = "network=192.0.2.7".parse().unwrap();
        assert_eq!(one.to_string(), "network=192.0.2.7/32");
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for (text, told) in [
            ("CH", "network=192.0.2.0/24"),
            ("country=Swiss", "two letters"),
            ("network=192.0.2.0/33", "range of addresses"),
            ("network=192.0.2.7/24", "write `192.0.2.0/24`"),
            ("network=ASX", "autonomous system"),
            ("network=", "autonomous system"),
            ("colour=red", "a rule looks like"),
            ("operator=", "a rule looks like"),
        ] {
            let refused = text.parse::<MirrorRule>().unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }
}

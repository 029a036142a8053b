//! What two states of a list differ in, for whoever is about to sign the newer one.
//!
//! Every value of every entry is compared, so that nothing can change unseen; endpoints and contacts are told apart by
//! what they are called and not by where they stand.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::registry::Mirror;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// What happened.
    pub change: Change,
    /// Whether it decides where clients go or who may speak for whom, so that it wants a second look.
    pub weighty: bool,
    /// The mirror's id, or `policy`.
    pub of: String,
    /// Which value, as `endpoints.campus-main.base`; empty for a whole mirror.
    pub key: String,
    /// What it was.
    pub old: Option<Value>,
    /// What it is.
    pub new: Option<Value>,
}

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not there before.
    Added,
    /// It is no longer there.
    Removed,
    /// It says something else.
    Changed,
}

/// Everything that differs between two sets of entries, in the order of ids.
pub fn differences<'a>(
    old: impl IntoIterator<Item = &'a Mirror>,
    new: impl IntoIterator<Item = &'a Mirror>,
) -> Vec<Difference> {
    let by_id = |mirror: &'a Mirror| (mirror.id.to_string(), mirror);
    let old: BTreeMap<String, &Mirror> = old.into_iter().map(by_id).collect();
    let new: BTreeMap<String, &Mirror> = new.into_iter().map(by_id).collect();
    let mut found = Vec::new();
    for (id, mirror) in &old {
        match new.get(id) {
            Some(now) => found.extend(values(id, &entry(mirror), &entry(now))),
            None => found.push(whole(id, Change::Removed, mirror)),
        }
    }
    let added = new.iter().filter(|(id, _)| !old.contains_key(*id));
    found.extend(added.map(|(id, mirror)| whole(id, Change::Added, mirror)));
    found.sort_by(|one, other| (&one.of, &one.key).cmp(&(&other.of, &other.key)));
    found
}

/// Everything that differs between two policies, or other documents, called `of`.
pub fn document_differences(of: &str, old: &Value, new: &Value) -> Vec<Difference> {
    values(of, &flat(old), &flat(new))
}

/// A whole mirror, told by its addresses.
fn whole(id: &str, change: Change, mirror: &Mirror) -> Difference {
    let bases = mirror
        .endpoints
        .iter()
        .map(|endpoint| Value::from(endpoint.base.as_str()));
    let told = Some(Value::Array(
        std::iter::once(Value::from(mirror.operator.name.as_str()))
            .chain(bases)
            .collect(),
    ));
    let (old, new) = match change {
        Change::Removed => (told, None),
        Change::Added | Change::Changed => (None, told),
    };
    Difference {
        change,
        weighty: true,
        of: id.to_owned(),
        key: String::new(),
        old,
        new,
    }
}

fn values(
    of: &str,
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
) -> Vec<Difference> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter_map(|key| {
            let (was, is) = (old.get(key), new.get(key));
            let change = match (was, is) {
                (Some(was), Some(is)) if was == is => return None,
                (Some(_), Some(_)) => Change::Changed,
                (Some(_), None) => Change::Removed,
                (None, _) => Change::Added,
            };
            Some(Difference {
                change,
                weighty: is_weighty(key),
                of: of.to_owned(),
                key: key.clone(),
                old: was.cloned(),
                new: is.cloned(),
            })
        })
        .collect()
}

/// Where clients go, who speaks for whom, and what people decided.
fn is_weighty(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    [
        "base",
        "simple",
        "layout",
        "coverage",
        "own_domain",
        "threshold",
        "keys",
        "expires",
    ]
    .contains(&last)
        || [
            "admin-state",
            "admitted",
            "lifted",
            "retires",
            "contacts",
            "operator.name",
        ]
        .iter()
        .any(|of| key.starts_with(of))
}

/// An entry's values by their keys; what lists hold is called by its id, or by what it says.
fn entry(mirror: &Mirror) -> BTreeMap<String, Value> {
    serde_json::to_value(mirror).map_or_else(|_| BTreeMap::new(), |value| flat(&value))
}

fn flat(value: &Value) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    flatten("", value, &mut values);
    values
}

fn flatten(key: &str, value: &Value, values: &mut BTreeMap<String, Value>) {
    let below = |name: &str| {
        if key.is_empty() {
            name.to_owned()
        } else {
            format!("{key}.{name}")
        }
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                flatten(&below(name), member, values);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                let named = ["id", "sha256", "url", "from"]
                    .iter()
                    .find_map(|name| item.get(name)?.as_str());
                let name = named.map_or_else(|| item.to_string(), ToOwned::to_owned);
                flatten(&below(&name), item, values);
            }
        }
        other => {
            values.insert(key.to_owned(), other.clone());
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.change {
            Change::Added => '+',
            Change::Removed => '-',
            Change::Changed => '~',
        };
        let heavy = if self.weighty { '!' } else { ' ' };
        write!(f, "{mark}{heavy} {:<24} {}", self.of, self.key)?;
        let gap = if self.key.is_empty() { "" } else { "  " };
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{gap}{old} -> {new}"),
            (Some(only), None) | (None, Some(only)) => write!(f, "{gap}{only}"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    const CAMPUS: &str = "id = \"campus\"\ninception = \"2026-11-01\"\noperator = { name = \"Campus\" }\n\n\
                          [[endpoints]]\nid = \"a\"\nbase = \"https://a.example.edu/\"\n\n\
                          [[endpoints]]\nid = \"b\"\nbase = \"https://b.example.edu/\"\n";

    fn registry(text: &str) -> Registry {
        let id = text.split('"').nth(1).unwrap();
        Registry::read([(format!("{id}.toml").as_str(), text)], None).unwrap()
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        let (old, new) = (registry(old), registry(new));
        differences(old.mirrors(), new.mirrors())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn nothing_changes_unseen_and_what_matters_is_marked() {
        assert_eq!(told(CAMPUS, CAMPUS), [] as [&str; 0]);
        let moved = CAMPUS
            .replace("b.example.edu", "b.example.org")
            .replace("\"Campus\"", "\"Campus Two\"");
        assert_eq!(
            told(CAMPUS, &moved),
            [
                "~! campus                   endpoints.b.base  \"https://b.example.edu/\" -> \"https://b.example.org/\"",
                "~! campus                   operator.name  \"Campus\" -> \"Campus Two\"",
            ]
        );
        let more = format!("{CAMPUS}asn = 559\n");
        assert_eq!(
            told(CAMPUS, &more),
            ["+  campus                   endpoints.b.asn  559"]
        );
        let other = CAMPUS.replace("campus", "other");
        assert_eq!(
            told(CAMPUS, &other),
            [
                "-! campus                   [\"Campus\",\"https://a.example.edu/\",\"https://b.example.edu/\"]",
                "+! other                    [\"Campus\",\"https://a.example.edu/\",\"https://b.example.edu/\"]",
            ]
        );
    }

    #[test]
    fn the_order_of_endpoints_is_no_difference() {
        let (head, tail) = CAMPUS.split_once("[[endpoints]]").unwrap();
        let (first, second) = tail.split_once("[[endpoints]]").unwrap();
        let turned = format!("{head}[[endpoints]]{second}\n[[endpoints]]{first}");
        assert_eq!(told(CAMPUS, &turned), [] as [&str; 0]);
    }
}

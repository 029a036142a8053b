//! JSON in which no object says a name twice. Pure.
//!
//! Parsers disagree about which of two values counts (RFC 8259, section 4), so that what one program verified may not
//! be what another reads. Signed documents of ours never say a name twice; one that does was made to be misread.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Refuses a document in which an object says a name twice. Depth is bounded by the parser (128).
///
/// # Errors
/// The parser's, which tells line and column.
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Unambiguous>(bytes).map(|Unambiguous| ())
}

struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walker)
    }
}

struct Walker;

impl<'de> Visitor<'de> for Walker {
    type Value = Unambiguous;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_unit<E>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unambiguous, A::Error> {
        while items.next_element::<Unambiguous>()?.is_some() {}
        Ok(Unambiguous)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unambiguous, A::Error> {
        let mut names = Names::default();
        while let Some(Name(name)) = entries.next_key()? {
            if let Some(twice) = names.add(name) {
                let _rest: IgnoredAny = entries.next_value()?;
                return Err(A::Error::custom(format_args!(
                    "an object says `{}` twice",
                    twice.escape_debug()
                )));
            }
            entries.next_value::<Unambiguous>()?;
        }
        Ok(Unambiguous)
    }
}

/// A name, where it stands in the text unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The names of one object. Most have a handful, for which a list takes less than a table.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    const FEW: usize = 8;

    /// Takes a name; gives it back where it was there.
    fn add(&mut self, name: Cow<'a, str>) -> Option<Cow<'a, str>> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Some(name);
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_stand_once_in_each_object() {
        for fine in [
            r#"{"a":1,"b":{"a":[1,-2,3.5,null,true,"a"]}}"#,
            r#"[{"a":1},{"a":2}]"#,
            "7",
        ] {
            assert!(check(fine.as_bytes()).is_ok(), "{fine}");
        }
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"b":2,"a":3}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            let error = check(twice.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("says `a` twice"), "{error}");
        }
        assert!(check(b"{\"a\":").is_err());
    }
}

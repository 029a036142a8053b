//! The loose form both shapes of a page are brought into before anything is judged.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most keys kept of one object; no object of the specification has near as many.
const OBJECT_KEYS_MAX: usize = 64;

/// A JSON value of any type, so that a wrong type in one file does not fail the whole page. Borrows from the document.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Loose<'a> {
    /// Absent, or `null`.
    #[default]
    Null,
    Bool(bool),
    /// A whole number from 0 up.
    Number(u64),
    Text(Cow<'a, str>),
    /// The first keys of an object, in document order.
    Object(Vec<(Cow<'a, str>, Self)>),
    /// A list, a fraction or a negative number: nothing we have a use for.
    Other,
}

/// One file as a document spells it. HTML attributes come as texts, under the names of JSON's keys.
#[derive(Debug, Default)]
pub(super) struct RawFile<'a> {
    pub(super) filename: Loose<'a>,
    pub(super) url: Loose<'a>,
    pub(super) hashes: Loose<'a>,
    pub(super) size: Loose<'a>,
    pub(super) upload_time: Loose<'a>,
    pub(super) requires_python: Loose<'a>,
    pub(super) core_metadata: Loose<'a>,
    pub(super) yanked: Loose<'a>,
    pub(super) provenance: Loose<'a>,
    pub(super) provenance_sha256: Loose<'a>,
    pub(super) gpg_sig: Loose<'a>,
}

impl<'a> Loose<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// The value of an object's key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// A whole number, also where it was written as a text (bandersnatch writes serials so).
    pub(super) fn as_number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

impl<'a> RawFile<'a> {
    /// From one element of `files`; `None` where it is not an object. PEP 714's names come before the older ones.
    pub(super) fn from_json(element: Loose<'a>) -> Option<Self> {
        let Loose::Object(entries) = element else {
            return None;
        };
        let mut file = Self::default();
        let (mut older, mut oldest) = (Loose::Null, Loose::Null);
        for (key, value) in entries {
            let slot = match key.as_ref() {
                "filename" => &mut file.filename,
                "url" => &mut file.url,
                "hashes" => &mut file.hashes,
                "size" => &mut file.size,
                "upload-time" => &mut file.upload_time,
                "requires-python" => &mut file.requires_python,
                "core-metadata" => &mut file.core_metadata,
                "dist-info-metadata" => &mut older,
                "data-dist-info-metadata" => &mut oldest,
                "yanked" => &mut file.yanked,
                "provenance" => &mut file.provenance,
                "_provenance-sha256" => &mut file.provenance_sha256,
                "gpg-sig" => &mut file.gpg_sig,
                _ => continue,
            };
            *slot = value;
        }
        for fallback in [older, oldest] {
            if file.core_metadata.is_null() {
                file.core_metadata = fallback;
            }
        }
        Some(file)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(LooseVisitor)
            .map(|value| value as Loose<'de>)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Loose::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Loose::Number(value))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < OBJECT_KEYS_MAX {
            match map.next_entry::<Key<'de>, Loose<'de>>()? {
                Some((key, value)) => entries.push((key.0, value)),
                None => return Ok(Loose::Object(entries)),
            }
        }
        drain(map)?;
        Ok(Loose::Object(entries))
    }
}

/// An object's key, borrowed where the document lets it be.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(LooseVisitor)? {
            Loose::Text(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a key that is not a text")),
        }
    }
}

fn drain<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

//! The bytes of a file as text, and the way back from a place in the text to a place in the bytes.
//!
//! Owns encodings: UTF-8 with and without a byte order mark, UTF-16 with one, Latin-1 for the rest. Does not know what
//! the text means.

use std::borrow::Cow;

/// How a file's bytes make text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, perhaps behind a byte order mark.
    Utf8,
    /// UTF-16, little end first, behind its byte order mark: what PowerShell 5 writes with `>`.
    Utf16Le,
    /// UTF-16, big end first, behind its byte order mark.
    Utf16Be,
    /// Bytes that are no UTF-8, each taken for one character.
    Latin1,
}

/// A file's text with the places of its bytes.
#[derive(Debug, Clone)]
pub struct Text<'a> {
    view: Cow<'a, str>,
    encoding: Encoding,
    /// Bytes before the text: the byte order mark.
    skipped: usize,
    /// For each byte of the view (and its end) the byte of the file, where the two differ.
    places: Option<Vec<usize>>,
}

/// Bytes looked at to tell text from something else.
const BINARY_PROBE_BYTES: usize = 8 * 1024;

impl<'a> Text<'a> {
    /// The text of `bytes`; `None` when they are none (a zero byte near the beginning).
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xfe, rest @ ..] => wide(rest, Encoding::Utf16Le, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => wide(rest, Encoding::Utf16Be, u16::from_be_bytes),
            _ if bytes[..bytes.len().min(BINARY_PROBE_BYTES)].contains(&0) => None,
            [0xef, 0xbb, 0xbf, rest @ ..] if str::from_utf8(rest).is_ok() => Some(Self {
                view: Cow::Borrowed(str::from_utf8(rest).unwrap_or_default()),
                encoding: Encoding::Utf8,
                skipped: 3,
                places: None,
            }),
            _ => Some(match str::from_utf8(bytes) {
                Ok(view) => Self {
                    view: Cow::Borrowed(view),
                    encoding: Encoding::Utf8,
                    skipped: 0,
                    places: None,
                },
                Err(_) => latin1(bytes),
            }),
        }
    }

    /// The text itself, without a byte order mark.
    pub fn view(&self) -> &str {
        &self.view
    }

    /// How the bytes make text.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The byte of the file at which the character at byte `at` of the view begins.
    pub fn byte(&self, at: usize) -> usize {
        match &self.places {
            Some(places) => places[at.min(places.len() - 1)],
            None => self.skipped + at,
        }
    }

    /// Text in the file's encoding, to stand between others.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Encoding::Latin1 => text
                .chars()
                .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
                .collect(),
        }
    }
}

fn wide(rest: &[u8], encoding: Encoding, join: fn([u8; 2]) -> u16) -> Option<Text<'static>> {
    let (pairs, left) = rest.as_chunks::<2>();
    if !left.is_empty() {
        return None;
    }
    let mut view = String::with_capacity(pairs.len());
    let mut places = Vec::with_capacity(pairs.len() + 1);
    let mut at = 2;
    for character in char::decode_utf16(pairs.iter().map(|pair| join(*pair))) {
        let character = character.ok()?;
        places.resize(places.len() + character.len_utf8(), at);
        view.push(character);
        at += 2 * character.len_utf16();
    }
    places.push(at);
    Some(Text {
        view: Cow::Owned(view),
        encoding,
        skipped: 2,
        places: Some(places),
    })
}

fn latin1(bytes: &[u8]) -> Text<'static> {
    let mut places = Vec::with_capacity(bytes.len() + 1);
    for (at, byte) in bytes.iter().enumerate() {
        places.resize(places.len() + char::from(*byte).len_utf8(), at);
    }
    places.push(bytes.len());
    Text {
        view: Cow::Owned(bytes.iter().copied().map(char::from).collect()),
        encoding: Encoding::Latin1,
        skipped: 0,
        places: Some(places),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        [0xff, 0xfe]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect()
    }

    #[test]
    fn every_encoding_leads_back_to_its_bytes() {
        let plain = Text::read(b"ab").unwrap();
        assert_eq!((plain.view(), plain.byte(1)), ("ab", 1));
        let marked = Text::read(b"\xef\xbb\xbfab").unwrap();
        assert_eq!((marked.view(), marked.byte(1)), ("ab", 4));
        let bytes = utf16("aé😀b");
        let wide = Text::read(&bytes).unwrap();
        assert_eq!(wide.view(), "aé😀b");
        assert_eq!(wide.byte("aé😀".len()), 2 + 2 + 2 + 4);
        assert_eq!(wide.encode("b"), b"b\0");
        let latin = Text::read(b"\xe9 a").unwrap();
        assert_eq!((latin.view(), latin.byte("é ".len())), ("é a", 2));
    }

    #[test]
    fn other_things_are_no_text() {
        assert!(Text::read(b"PK\x03\x04\0\0").is_none());
        assert!(Text::read(b"\xff\xfea").is_none());
        assert!(Text::read(b"\xff\xfe\x00\xd8").is_none());
    }

    proptest! {
        #[test]
        fn the_whole_text_encodes_to_the_bytes_it_came_from(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(text) = Text::read(&bytes) {
                let begin = text.byte(0);
                prop_assert_eq!(text.encode(text.view()), &bytes[begin..]);
                prop_assert_eq!(text.byte(text.view().len()), bytes.len());
            }
        }
    }
}

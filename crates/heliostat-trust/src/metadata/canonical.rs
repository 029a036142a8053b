//! Canonical JSON as TUF signs it (OLPC's): sorted keys, no spaces, only `"` and `\` escaped.
//!
//! Writes straight from values, whose fields stand in sorted order; a test compares with `sigstore_tuf`'s encoder.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

/// The canonical bytes of a value. Its fields must serialise in sorted order; maps are ordered maps.
pub(crate) fn canonical(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, Canonical))
        .expect("strings and integers into memory");
    bytes
}

struct Canonical;

impl Formatter for Canonical {
    fn write_char_escape<W>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let raw: &[u8] = match escape {
            CharEscape::Quote => b"\\\"",
            CharEscape::ReverseSolidus => b"\\\\",
            CharEscape::Solidus => b"/",
            CharEscape::Backspace => b"\x08",
            CharEscape::FormFeed => b"\x0c",
            CharEscape::LineFeed => b"\n",
            CharEscape::CarriageReturn => b"\r",
            CharEscape::Tab => b"\t",
            CharEscape::AsciiControl(byte) => return writer.write_all(&[byte]),
        };
        writer.write_all(raw)
    }
}

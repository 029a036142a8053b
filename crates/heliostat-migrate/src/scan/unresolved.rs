//! Addresses of indexes whose host is a variable: nobody can tell from the file where they lead.

use super::format::Format;
use super::hit::authority_length;
use super::setting::{Lines, setting_before};
use super::{Unresolved, position, redacted};
use crate::kind::Kind;
use crate::text::Text;

/// What begins a host that is a variable.
const MARKS: [&str; 3] = ["://$", "://{{", "://%"];

/// Whether such an address may be in these bytes.
pub(super) fn may_hold(bytes: &[u8]) -> bool {
    // Few files have one with a word of ours near; this only has to be quick.
    MARKS
        .iter()
        .any(|mark| memchr::memmem::find(bytes, mark.as_bytes()).is_some())
        && [b"pip".as_slice(), b"PIP", b"ndex", b"NDEX"]
            .iter()
            .any(|word| memchr::memmem::find(bytes, word).is_some())
}

/// Every such address that is a setting of ours.
pub(super) fn find(
    file: &str,
    text: &Text<'_>,
    lines: &Lines<'_>,
    format: Format,
) -> Vec<Unresolved> {
    if format == Format::Prose {
        return Vec::new();
    }
    let view = lines.text;
    let mut found = Vec::new();
    for (at, _) in view.match_indices("://") {
        let authority = &view[at + 3..];
        if !["$", "{{", "%"]
            .iter()
            .any(|mark| authority.starts_with(mark))
        {
            continue;
        }
        let length = authority_length(authority);
        let host = &authority[..length];
        if host.contains('@')
            && !host
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .contains(['$', '{', '%'])
        {
            continue;
        }
        let begin = at
            - view[..at]
                .bytes()
                .rev()
                .take_while(u8::is_ascii_alphanumeric)
                .count();
        let number = lines.number(begin);
        if format.comments(lines.line(number), begin - lines.span(number).start) {
            continue;
        }
        let Some(setting) = setting_before(lines, begin, format) else {
            continue;
        };
        if !matches!(
            setting.meaning.kind,
            Kind::Index | Kind::ExtraIndex | Kind::FindLinks | Kind::Upload
        ) {
            continue;
        }
        let tail = &authority[length..];
        let end = at
            + 3
            + length
            + tail
                .find(|character: char| character.is_whitespace() || "\"'`<>".contains(character))
                .unwrap_or(tail.len());
        let (line, column) = position(lines, begin);
        found.push(Unresolved {
            file: file.to_owned(),
            line,
            column,
            start: text.byte(begin),
            end: text.byte(end),
            text: redacted(&view[begin..end]),
            kind: setting.meaning.kind,
            names_retired_host: false,
            reason: "the host is a variable: look where it is set".to_owned(),
        });
    }
    found
}

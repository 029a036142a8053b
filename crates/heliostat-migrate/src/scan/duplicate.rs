//! Indexes that are the same after the move: an extra index that the map leads to where the first one is already. One
//! of them is enough, and a person takes the other out; the roles stay as they are written.

use std::ops::Range;

use super::context;
use super::finding::Finding;
use super::format::Format;
use super::hit::{Hit, authority_length};
use super::settle::Place;
use crate::kind::{Action, Kind};

/// How many lines apart two settings of one command or one list of variables are, where a file is no settings of one
/// installer as a whole.
const LINES_APART_MAX: usize = 3;

/// The most places of one address that are looked at.
const PLACES_MAX: usize = 100;

/// Says of each index that moves, and is another one's double then, which line the other is in.
pub(super) fn mark(place: &Place<'_>, findings: &mut [Finding], format: Format) {
    let moved: Vec<(usize, Kind, usize, String)> = findings
        .iter()
        .enumerate()
        .filter(|(_, one)| one.active && one.action == Action::Rewrite && is_index(one.kind))
        .filter_map(|(index, one)| {
            let new = normal(one.replacement.as_deref()?);
            Some((index, one.kind, one.line, new.to_owned()))
        })
        .collect();
    for (index, kind, line, new) in &moved {
        let near = |other: usize| is_whole(format) || other.abs_diff(*line) <= LINES_APART_MAX;
        let among = moved
            .iter()
            .find(|(other, other_kind, other_line, other_new)| {
                let second =
                    *kind == Kind::ExtraIndex && (*other_kind == Kind::Index || other < index);
                second && other != index && other_new == new && near(*other_line)
            });
        let other = among.map(|(_, _, line, _)| *line).or_else(|| {
            standing(place, new, format).find_map(|(other_kind, other_line)| {
                let extra = [*kind, other_kind].contains(&Kind::ExtraIndex);
                (extra && near(other_line)).then_some(other_line)
            })
        });
        if let Some(other) = other {
            let words = format!("the same index as in line {other} then: one of them is enough");
            let reason = &mut findings[*index].reason;
            *reason = Some(match reason.take() {
                Some(before) => format!("{before}; {words}"),
                None => words,
            });
        }
    }
}

const fn is_index(kind: Kind) -> bool {
    matches!(kind, Kind::Index | Kind::ExtraIndex)
}

/// Whether a file as a whole is the settings of one installer.
const fn is_whole(format: Format) -> bool {
    matches!(
        format,
        Format::Requirements | Format::PipConf | Format::Toml
    )
}

/// An address without the slash at its end, which means the same index.
fn normal(address: &str) -> &str {
    address.trim_end_matches('/')
}

/// Where the address stands as an index already: the use and the line, from 1.
fn standing<'a>(
    place: &'a Place<'_>,
    address: &'a str,
    format: Format,
) -> impl Iterator<Item = (Kind, usize)> + 'a {
    let (lines, text) = (place.lines, place.lines.text);
    text.match_indices(address)
        .take(PLACES_MAX)
        .filter_map(move |(begin, _)| {
            let end = begin + address.len();
            let rest = text[end..].strip_prefix('/').unwrap_or(&text[end..]);
            let ends = !rest
                .starts_with(|next: char| next.is_alphanumeric() || "-._~%/:@?#+{$".contains(next));
            let number = lines.number(begin);
            let at = begin - lines.span(number).start;
            if !ends || format.comments(lines.line(number), at) {
                return None;
            }
            let hit = hit_of(text, begin..end)?;
            let kind = context::purpose(lines, &hit, format).kind;
            is_index(kind).then_some((kind, number + 1))
        })
}

/// An address that is no retired one, as a hit.
fn hit_of(text: &str, span: Range<usize>) -> Option<Hit> {
    let authority = span.start + text[span.clone()].find("//")? + 2;
    let end = authority + authority_length(&text[authority..span.end]);
    Some(Hit::elsewhere(text, span, authority..end))
}

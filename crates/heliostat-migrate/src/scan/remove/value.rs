//! Where the value of a setting begins and ends, and which items it has.

use std::ops::Range;

use super::cut::indent;
use crate::scan::format::Format;
use crate::scan::setting::{Lines, is_value_only};

/// The whole value of the key that ends at `word_end`: a string, an array, the rest of the line, indented lines.
pub(super) fn value_of(
    lines: &Lines<'_>,
    word_end: usize,
    value: &Range<usize>,
    format: Format,
) -> Option<Range<usize>> {
    let text = lines.text;
    let sign = text[word_end..value.start]
        .trim_start_matches(['"', '\''])
        .trim_start();
    let sign = ["=>", ":=", "?=", "+=", "=", ":"]
        .iter()
        .find_map(|mark| sign.strip_prefix(mark))
        .unwrap_or(sign);
    let begin = value.start - sign.trim_start().len();
    let head = &text[begin..];
    if head.starts_with('[') {
        let end = begin + head.find(']')? + 1;
        return (value.end < end).then_some(begin..end);
    }
    if let Some(quote @ ('"' | '\'')) = head.chars().next() {
        let end = begin + 1 + head[1..].find(quote)? + 1;
        return (value.end <= end).then_some(begin..end);
    }
    let number = lines.number(begin);
    let head_of_line = &text[lines.span(lines.number(word_end)).start..word_end];
    // `setenv = KEY=value`: an assignment in the value of another key.
    let inside = head_of_line.contains(['=', ':']);
    // A pip.conf that stands in another file: its keys are no variables, and deeper lines go on with the value.
    let embedded = !format.is_ini()
        && lines.text[lines.span(lines.number(word_end)).start..word_end]
            .trim_start()
            .starts_with(|first: char| first.is_ascii_lowercase());
    if (format.is_ini() || embedded && goes_on_below(lines, word_end)) && !inside
        || (format == Format::Yaml && lines.number(value.start) > lines.number(word_end))
    {
        let mut last = lines.number(word_end);
        let own = indent(lines.line(last));
        while last + 1 < lines.count() {
            let next = lines.line(last + 1);
            let goes_on = !next.trim().is_empty()
                && (!embedded
                    || is_value_only(next)
                    || next.trim_start().starts_with(['-', '#', ';']))
                && (indent(next) > own
                    || next.trim_start().starts_with("- ")
                        && format == Format::Yaml
                        && indent(next) >= own);
            if !goes_on {
                break;
            }
            last += 1;
        }
        let span = lines.span(last);
        let end = span.start + lines.line(last).trim_end().len();
        return Some(begin..end.max(value.end));
    }
    if format == Format::Yaml && in_flow(lines, value.start) {
        let end = head.find([',', '}', '\n']).unwrap_or(head.len());
        return Some(begin..begin + head[..end].trim_end().len());
    }
    let of_yaml = format == Format::Yaml && !text[word_end..].trim_start().starts_with('=');
    if of_yaml || word_is_alone(lines, word_end) {
        let span = lines.span(number);
        let line = lines.line(number);
        let end = line.find(" #").unwrap_or(line.len());
        let end = span.start
            + line[..end]
                .trim_end()
                .trim_end_matches('\\')
                .trim_end()
                .len();
        return Some(begin..end.max(value.end));
    }
    // One word of a shell.
    let length =
        head.find(|character: char| character.is_whitespace() || ";&|\"')`".contains(character));
    Some(begin..begin + length.unwrap_or(head.len()))
}

/// Whether the line below one is deeper than it, and nothing but values.
pub(super) fn goes_on_below(lines: &Lines<'_>, at: usize) -> bool {
    let number = lines.number(at);
    number + 1 < lines.count() && {
        let (own, next) = (lines.line(number), lines.line(number + 1));
        !next.trim().is_empty() && indent(next) > indent(own) && is_value_only(next)
    }
}

/// Whether a map in braces is open on the line before `at`.
pub(super) fn in_flow(lines: &Lines<'_>, at: usize) -> bool {
    let head = &lines.text[lines.span(lines.number(at)).start..at];
    let plain = head.replace("${", "").replace("{{", "").replace("}}", "");
    plain.matches('{').count() > plain.matches('}').count()
}

/// `ENV KEY value of several words`: the key is followed by white space and no sign.
pub(super) fn word_is_alone(lines: &Lines<'_>, word_end: usize) -> bool {
    lines.text[word_end..].starts_with(' ')
}

/// The items of a value: strings of an array, else words, without comments.
pub(super) fn items(text: &str, whole: &Range<usize>) -> Vec<Range<usize>> {
    let value = &text[whole.clone()];
    let mut items = Vec::new();
    let array = value.starts_with('[');
    let inner = if value.starts_with(['"', '\'']) && value.len() >= 2 {
        whole.start + 1..whole.end - 1
    } else {
        whole.clone()
    };
    let mut at = inner.start;
    for line in text[inner].split_inclusive('\n') {
        let comment = line.trim_start().starts_with(['#', ';']);
        let mut place = 0;
        while !comment && place < line.len() {
            let rest = &line[place..];
            let next = rest.chars().next().unwrap_or(' ');
            if array && matches!(next, '"' | '\'') {
                let length = rest[1..].find(next).map_or(rest.len(), |length| length + 2);
                items.push(at + place..at + place + length);
                place += length;
            } else if next.is_whitespace()
                || next == ','
                || array && matches!(next, '[' | ']')
                || rest.starts_with("- ")
            {
                place += next.len_utf8();
            } else {
                let length = rest
                    .find(|character: char| {
                        character.is_whitespace() || character == ',' || array && character == ']'
                    })
                    .unwrap_or(rest.len());
                items.push(at + place..at + place + length);
                place += length;
            }
        }
        at += line.len();
    }
    items
}

//! Taking a value out of its setting, and the setting with it when nothing is left: lines, options, list items.
//!
//! Owns where to cut. A cut that cannot be made without a guess is not made.

mod block;
mod command;
mod cut;
#[cfg(test)]
mod tests;
mod value;

use std::ops::Range;

use super::format::Format;
use super::setting::{Lines, Setting};
use super::word::meaning;
use block::{Left, left};
use cut::{indent, is_item, only_child, whole_lines, with_comma, with_separator, with_space};
use value::{in_flow, items, value_of};

/// The cuts that take `value` out of `setting`; `others` are the spans of values of the same setting that go too.
/// `None` when a person has to do it.
pub(crate) fn cuts(
    lines: &Lines<'_>,
    setting: &Setting,
    value: &Range<usize>,
    others: &[Range<usize>],
    format: Format,
) -> Option<Vec<Range<usize>>> {
    let cuts = found_cuts(lines, setting, value, others, format)?;
    with_block(lines, cuts, format).filter(|cuts| are_closed(lines.text, cuts))
}

/// The item of a list that is only a variable's name and value, `- name: KEY` with `value: HOST` below it or above.
pub(crate) fn named_item(
    lines: &Lines<'_>,
    value: &Range<usize>,
    format: Format,
) -> Option<Vec<Range<usize>>> {
    let number = lines.number(value.start);
    let begins = |number: usize| lines.line(number).trim_start().starts_with("- ");
    let first = if begins(number) {
        number
    } else {
        number.checked_sub(1)?
    };
    let last = first + 1;
    if format != Format::Yaml || last >= lines.count() {
        return None;
    }
    let own = indent(lines.line(first));
    let below = lines.line(last);
    let keys = [
        lines.line(first).trim_start().trim_start_matches("- "),
        below.trim_start(),
    ];
    let one = |key: &str| keys.iter().find_map(|line| line.strip_prefix(key));
    let name = one("name:")?.trim().trim_matches(['"', '\'']);
    let whole = widen_quotes(lines.text, value);
    let alone = lines.text[whole.end..lines.span(number).end].trim();
    if !lines.text[..whole.start].trim_end().ends_with(':')
        || !(alone.is_empty() || alone.starts_with('#'))
    {
        return None;
    }
    let ends = last + 1 >= lines.count() || indent(lines.line(last + 1)) <= own;
    if !begins(first) || begins(last) || indent(below) <= own || !ends {
        return None;
    }
    if !meaning(name)?.known || one("value:").is_none() || only_child(lines, first, last) {
        return None;
    }
    let both = lines.span(first).start..lines.span(last).end;
    Some(vec![both])
}

/// The cuts, with the line that begins a block of which nothing would be left.
fn with_block(
    lines: &Lines<'_>,
    mut cuts: Vec<Range<usize>>,
    format: Format,
) -> Option<Vec<Range<usize>>> {
    for cut in &mut cuts {
        let first = lines.number(cut.start);
        let is_lines = lines.span(first).start == cut.start
            && (lines.text[..cut.end].ends_with('\n') || cut.end == lines.text.len());
        if !is_lines || cut.start == cut.end {
            continue;
        }
        match left(lines, first, lines.number(cut.end - 1), format) {
            Left::Something => {}
            Left::GoesToo(above) => cut.start = lines.span(above).start,
            Left::Nothing => return None,
        }
    }
    Some(cuts)
}

/// Whether quotes and brackets are closed in what goes: one half of a pair never goes alone.
fn are_closed(text: &str, cuts: &[Range<usize>]) -> bool {
    let gone: String = cuts
        .iter()
        .flat_map(|cut| text[cut.clone()].split_inclusive('\n'))
        .map(|line| line.split(" #").next().unwrap_or_default())
        .collect();
    let count = |wanted: char| gone.matches(wanted).count();
    count('"').is_multiple_of(2)
        && count('\'').is_multiple_of(2)
        && count('(') == count(')')
        && count('[') == count(']')
        && count('{') == count('}')
}

fn found_cuts(
    lines: &Lines<'_>,
    setting: &Setting,
    value: &Range<usize>,
    others: &[Range<usize>],
    format: Format,
) -> Option<Vec<Range<usize>>> {
    let text = lines.text;
    let word = &text[setting.word.clone()];
    let value = widen_quotes(text, value);
    if !setting.meaning.known {
        return None;
    }
    if word.starts_with('-') {
        return option(lines, setting.word.clone(), value);
    }
    if text[..setting.word.start].ends_with("set ")
        && text[lines.span(lines.number(setting.word.start)).start..setting.word.start]
            .contains("config")
    {
        // In a text that is a value of another file, words that go are held against those that stay.
        if !matches!(format, Format::Shell | Format::Docker | Format::Batch) {
            return None;
        }
        return command::cut(lines, &setting.word, &value).map(|cut| vec![cut]);
    }
    assignment(lines, setting.word.clone(), &value, others, format)
}

/// A value with the quotes around it.
fn widen_quotes(text: &str, value: &Range<usize>) -> Range<usize> {
    let before = text[..value.start].chars().next_back();
    let after = text[value.end..].chars().next();
    match (before, after) {
        (Some(left @ ('"' | '\'' | '`')), Some(right)) if left == right => {
            value.start - 1..value.end + 1
        }
        _ => value.clone(),
    }
}

fn option(lines: &Lines<'_>, word: Range<usize>, value: Range<usize>) -> Option<Vec<Range<usize>>> {
    let text = lines.text;
    let between = &text[word.end..value.start];
    let array = text[..word.start].ends_with(['"', '\'']) && between.starts_with(['"', '\'']);
    let word = if array {
        word.start - 1..word.end + 1
    } else {
        word
    };
    let between = &text[word.end..value.start];
    let direct = between == "="
        || !between.is_empty()
            && between
                .chars()
                .all(|character| character.is_whitespace() || ",\\-^`".contains(character));
    // `"--trusted-host=HOST"` as one string.
    let one = !array
        && between == "="
        && text[..word.start].ends_with(['"', '\''])
        && text[value.end..].starts_with(['"', '\'']);
    if !direct {
        return None;
    }
    let unit = if one {
        word.start - 1..value.end + 1
    } else {
        word.start..value.end
    };
    let ends = text[unit.end..].chars().next();
    if ends.is_some_and(|next| !next.is_whitespace() && !"\"'`,])};&|\\".contains(next)) {
        return None;
    }
    if array || one {
        return Some(vec![with_comma(lines, unit)]);
    }
    // `"--trusted-host HOST"` as one item of a list: an empty one would be an argument of its own.
    let quoted = widen_quotes(text, &unit);
    if quoted != unit && text[..quoted.start].trim_end().ends_with(['[', ',']) {
        return Some(vec![with_comma(lines, quoted)]);
    }
    if is_item(lines, &quoted) {
        return whole_lines(lines, quoted);
    }
    Some(whole_lines(lines, unit.clone()).unwrap_or_else(|| vec![with_space(text, unit)]))
}

fn assignment(
    lines: &Lines<'_>,
    word: Range<usize>,
    value: &Range<usize>,
    others: &[Range<usize>],
    format: Format,
) -> Option<Vec<Range<usize>>> {
    let text = lines.text;
    if let Some(unit) = escaped_line(text, &word, value) {
        return Some(vec![unit]);
    }
    if let Some(unit) = quoted_assignment(text, &word, value) {
        let after = &text[unit.end..];
        let next = after.trim_start_matches([' ', '\t']);
        if next.starts_with(',') || text[..unit.start].trim_end().ends_with(',') {
            return Some(vec![with_comma(lines, unit)]);
        }
        let cut = if next.is_empty() || next.starts_with(['\n', '\r']) {
            with_space(text, unit.clone())
        } else {
            unit.start..text.len() - next.len()
        };
        return whole_lines(lines, unit).or_else(|| Some(vec![cut]));
    }
    let whole = value_of(lines, word.end, value, format)?;
    let gone = |item: &Range<usize>| {
        item.start <= value.start && value.end <= item.end
            || others
                .iter()
                .any(|other| item.start <= other.start && other.end <= item.end)
    };
    let items = items(text, &whole);
    if items.is_empty() {
        return None;
    }
    if items.iter().all(gone) {
        let quote = text[..word.start].ends_with(['"', '\'']);
        let begin = word.start - usize::from(quote);
        return whole_lines(lines, begin..whole.end)
            .or_else(|| inline_assignment(lines, begin..whole.end, format));
    }
    let item = items
        .iter()
        .find(|item| item.start <= value.start && value.end <= item.end)?;
    if text[item.clone()].starts_with(['"', '\'']) || text[whole.clone()].starts_with('[') {
        return Some(vec![with_comma(lines, item.clone())]);
    }
    Some(match whole_lines(lines, item.clone()) {
        Some(cuts) if lines.number(item.start) > lines.number(word.start) => cuts,
        _ => vec![with_separator(text, item.clone(), &whole)],
    })
}

/// `KEY = value` as a line of its own inside of a string, whose lines end in `\n`: it goes with one of them.
fn escaped_line(text: &str, word: &Range<usize>, value: &Range<usize>) -> Option<Range<usize>> {
    let (before, after) = (&text[..word.start], &text[value.end..]);
    let sign = &text[word.end..value.start];
    if sign.is_empty() || !sign.trim_matches([' ', '=', ':']).is_empty() {
        return None;
    }
    let quotes = ['"', '\''];
    if before.ends_with("\\n") && (after.starts_with("\\n") || after.starts_with(quotes)) {
        return Some(word.start - 2..value.end);
    }
    (before.ends_with(quotes) && after.starts_with("\\n")).then(|| word.start..value.end + 2)
}

/// `"KEY=value"` of one value, as systemd writes it, with its quotes.
fn quoted_assignment(
    text: &str,
    word: &Range<usize>,
    value: &Range<usize>,
) -> Option<Range<usize>> {
    let quote = text[..word.start].chars().next_back()?;
    let one = matches!(quote, '"' | '\'')
        && &text[word.end..value.start] == "="
        && text[value.end..].starts_with(quote);
    one.then(|| word.start - 1..value.end + 1)
}

/// An assignment among others on one line: it goes with the white space beside it.
fn inline_assignment(
    lines: &Lines<'_>,
    unit: Range<usize>,
    format: Format,
) -> Option<Vec<Range<usize>>> {
    let text = lines.text;
    let in_map = text[unit.end..].trim_start().starts_with([',', '}'])
        && format == Format::Yaml
        && in_flow(lines, unit.start);
    if text[unit.clone()].starts_with('"')
        || matches!(format, Format::Json | Format::Toml)
        || in_map
    {
        return Some(vec![with_comma(lines, unit)]);
    }
    // A whole quoted `KEY=value`, as an element or an argument.
    let after = text[unit.end..].chars().next();
    let before = text[..unit.start].chars().next_back();
    if let (Some(left @ ('"' | '\'')), Some(right)) = (before, after)
        && left == right
    {
        let unit = unit.start - 1..unit.end + 1;
        return whole_lines(lines, unit.clone()).or_else(|| Some(vec![with_comma(lines, unit)]));
    }
    if after.is_some_and(|next| !next.is_whitespace() && !";&)".contains(next))
        || before == Some(':')
    {
        return None;
    }
    // The only item of a list: without it the list would hold nothing, or a nothing.
    if is_item(lines, &unit) {
        return None;
    }
    let unit = with_flag(text, unit);
    let line = lines.number(unit.start);
    let head = text[lines.span(line).start..unit.start].trim();
    let rest = text[unit.end..].trim_start_matches([' ', '\t']);
    if matches!(head, "ENV" | "ARG" | "export" | "-e" | "env") && rest.starts_with('\\') {
        let rest = rest[1..].trim_start();
        let joined = unit.start..text.len() - rest.len();
        return Some(vec![joined]);
    }
    let more = rest
        .split_whitespace()
        .next()
        .is_some_and(|word| word.contains('='));
    if rest.starts_with([';', '&', ')']) || head.ends_with("export") && !more {
        return None;
    }
    Some(vec![with_space(text, unit)])
}

/// An assignment with the option that hands it on: `-e KEY=value`, `--build-arg KEY=value`, `--repo_env=KEY=value`.
fn with_flag(text: &str, unit: Range<usize>) -> Range<usize> {
    let head = &text[..unit.start];
    let glued = head.strip_suffix('=').map_or(head, |head| head);
    let flag = glued.trim_end_matches([' ', '\t']);
    let begin = flag.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let word = &flag[begin..];
    let carries = if glued.len() < head.len() {
        word.starts_with("--")
    } else {
        flag.len() < head.len() && matches!(word, "--build-arg" | "-e" | "--env")
    };
    if carries { begin..unit.end } else { unit }
}

//! Taking a value out of its setting, and the setting with it when nothing is left: lines, options, list items.
//!
//! Owns where to cut. A cut that cannot be made without a guess is not made.

use std::ops::Range;

use super::format::Format;
use super::setting::{Lines, Setting};

/// The cuts that take `value` out of `setting`; `others` are the spans of values of the same setting that go too.
/// `None` when a person has to do it.
pub(crate) fn cuts(
    lines: &Lines<'_>,
    setting: &Setting,
    value: &Range<usize>,
    others: &[Range<usize>],
    format: Format,
) -> Option<Vec<Range<usize>>> {
    found_cuts(lines, setting, value, others, format).filter(|cuts| are_closed(lines.text, cuts))
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
        return None;
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

/// The whole value of the key that ends at `word_end`: a string, an array, the rest of the line, indented lines.
fn value_of(
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
    if format.is_ini() && !inside
        || (format == Format::Yaml && lines.number(value.start) > lines.number(word_end))
    {
        let mut last = lines.number(word_end);
        let own = indent(lines.line(last));
        while last + 1 < lines.count() {
            let next = lines.line(last + 1);
            let goes_on = !next.trim().is_empty()
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

/// `ENV KEY value of several words`: the key is followed by white space and no sign.
fn word_is_alone(lines: &Lines<'_>, word_end: usize) -> bool {
    lines.text[word_end..].starts_with(' ')
}

/// The items of a value: strings of an array, else words, without comments.
fn items(text: &str, whole: &Range<usize>) -> Vec<Range<usize>> {
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

/// The lines of a unit that has them for itself, with what joins them to their neighbours; else `None`.
fn whole_lines(lines: &Lines<'_>, unit: Range<usize>) -> Option<Vec<Range<usize>>> {
    let text = lines.text;
    let (first, last) = (
        lines.number(unit.start),
        lines.number(unit.end.max(unit.start + 1) - 1),
    );
    let span = lines.span(first).start..lines.span(last).end;
    let head = text[span.start..unit.start].trim();
    let tail = lines.text[unit.end..span.end].trim();
    let head_is_nothing = matches!(
        head,
        "" | "-"
            | "export"
            | "ENV"
            | "ARG"
            | "set"
            | "$env:"
            | "Environment="
            | "env"
            | "declare -x"
            | "- export"
            | "set -x"
            | "set -gx"
            | "set -Ux"
            | "set -xg"
            | "set -xU"
            | "set -Ugx"
            | "set --export"
            | "set --universal --export"
            | "set --global --export"
            | "setx"
    );
    let tail_is_nothing =
        matches!(tail, "" | "," | ";" | "\\" | "^" | "`") || tail.starts_with('#');
    if !head_is_nothing || !tail_is_nothing {
        return None;
    }
    let goes_on = ["\\", "^", "`"].contains(&tail);
    // The first word of a statement stays while the statement goes on.
    if goes_on && !head.is_empty() && head != "-" {
        return None;
    }
    if head == "-" && only_child(lines, first, last) {
        return None;
    }
    let mut cuts = vec![span.clone()];
    if first > 0 && !goes_on {
        let above = lines.line(first - 1);
        let start = lines.span(first - 1).start;
        let kept = above.trim_end();
        if let Some(joined) = kept
            .strip_suffix(['\\', '^'])
            .filter(|joined| joined.ends_with([' ', '\t']) || kept.ends_with('\\'))
        {
            let from = start + joined.trim_end().len();
            cuts.insert(0, from..start + kept.len());
        }
        // JSON: no comma before a closing bracket.
        let closes =
            last + 1 < lines.count() && lines.line(last + 1).trim_start().starts_with(['}', ']']);
        if closes && tail.is_empty() && kept.ends_with(',') && text[unit.clone()].starts_with('"') {
            cuts.insert(0, start + kept.len() - 1..start + kept.len());
        }
    }
    Some(cuts)
}

/// Whether a unit is all of an item of a list, `- UNIT`.
fn is_item(lines: &Lines<'_>, unit: &Range<usize>) -> bool {
    let span = lines.span(lines.number(unit.start));
    let end = lines.span(lines.number(unit.end - 1)).end;
    lines.text[span.start..unit.start].trim() == "-" && lines.text[unit.end..end].trim().is_empty()
}

/// Whether these lines are the only items of a list: without them the key would have no value.
fn only_child(lines: &Lines<'_>, first: usize, last: usize) -> bool {
    let own = indent(lines.line(first));
    let is_item = |number: usize| {
        let line = lines.line(number);
        indent(line) == own && line.trim_start().starts_with("- ")
    };
    let before = first > 0 && (is_item(first - 1) || indent(lines.line(first - 1)) > own);
    let after = last + 1 < lines.count() && is_item(last + 1);
    !before && !after
}

/// An assignment among others on one line: it goes with the white space beside it.
fn inline_assignment(
    lines: &Lines<'_>,
    unit: Range<usize>,
    format: Format,
) -> Option<Vec<Range<usize>>> {
    let text = lines.text;
    if text[unit.clone()].starts_with('"') || matches!(format, Format::Json | Format::Toml) {
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
    if rest.starts_with([';', '&', ')']) || head.ends_with("export") {
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

/// A unit with the white space after it, or before it at the end of a line.
fn with_space(text: &str, unit: Range<usize>) -> Range<usize> {
    let after = &text[unit.end..];
    let space = after.len() - after.trim_start_matches([' ', '\t']).len();
    let ends =
        after[space..].is_empty() || after[space..].starts_with(['\n', '\r', '"', '\'', ')']);
    if space > 0 && !ends {
        return unit.start..unit.end + space;
    }
    let before = &text[..unit.start];
    let kept = before.trim_end_matches([' ', '\t']);
    let at_line_start = kept.is_empty() || kept.ends_with('\n');
    if at_line_start {
        unit.start..unit.end + space
    } else {
        kept.len()..unit.end
    }
}

/// An item of a list of words with the separator beside it, inside of `whole`.
fn with_separator(text: &str, item: Range<usize>, whole: &Range<usize>) -> Range<usize> {
    let separators = [' ', '\t', ','];
    let after = &text[item.end..whole.end];
    let next = after.trim_start_matches(separators);
    let space = after.len() - next.len();
    if space > 0 && !next.is_empty() && !next.starts_with(['\n', '\r', '"', '\'']) {
        return item.start..item.end + space;
    }
    let before = &text[whole.start..item.start];
    whole.start + before.trim_end_matches(separators).len()..item.end
}

/// A string of an array, or a key with its value, with one comma beside it.
fn with_comma(lines: &Lines<'_>, unit: Range<usize>) -> Range<usize> {
    let text = lines.text;
    let after = &text[unit.end..];
    let next = after.trim_start();
    if next.starts_with(',') {
        let end = unit.end + (after.len() - next.len()) + 1;
        let rest = &text[end..];
        let space = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let line = lines.number(unit.start);
        let alone = text[lines.span(line).start..unit.start].trim().is_empty();
        if alone && rest[space..].starts_with(['\n', '\r']) {
            return lines.span(line).start..lines.span(lines.number(end - 1)).end;
        }
        return unit.start..end + space;
    }
    let kept = text[..unit.start].trim_end();
    match kept.strip_suffix(',') {
        Some(kept) => kept.len()..unit.end,
        None => unit,
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

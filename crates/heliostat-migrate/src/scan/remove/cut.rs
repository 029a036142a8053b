//! How a unit goes: with its lines, with one comma, with the white space beside it.

use std::ops::Range;

use crate::scan::setting::Lines;

/// The lines of a unit that has them for itself, with what joins them to their neighbours; else `None`.
pub(super) fn whole_lines(lines: &Lines<'_>, unit: Range<usize>) -> Option<Vec<Range<usize>>> {
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
pub(super) fn is_item(lines: &Lines<'_>, unit: &Range<usize>) -> bool {
    let span = lines.span(lines.number(unit.start));
    let end = lines.span(lines.number(unit.end - 1)).end;
    lines.text[span.start..unit.start].trim() == "-" && lines.text[unit.end..end].trim().is_empty()
}

/// Whether these lines are the only items of a list: without them the key would have no value.
pub(super) fn only_child(lines: &Lines<'_>, first: usize, last: usize) -> bool {
    let own = indent(lines.line(first));
    let is_item = |number: usize| {
        let line = lines.line(number);
        indent(line) == own && line.trim_start().starts_with("- ")
    };
    let before = first > 0 && (is_item(first - 1) || indent(lines.line(first - 1)) > own);
    let after = last + 1 < lines.count() && is_item(last + 1);
    !before && !after
}

/// A unit with the white space after it, or before it at the end of a line.
pub(super) fn with_space(text: &str, unit: Range<usize>) -> Range<usize> {
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
pub(super) fn with_separator(text: &str, item: Range<usize>, whole: &Range<usize>) -> Range<usize> {
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
pub(super) fn with_comma(lines: &Lines<'_>, unit: Range<usize>) -> Range<usize> {
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

pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

//! A command that does nothing but set what goes (`pip config set global.trusted-host HOST`): all of it goes, and with
//! it the `&&` that joined it to the others.

use std::ops::Range;

use crate::scan::setting::Lines;

/// Commands that ask something, whose failure ends a strict script when nothing is joined to them.
const QUESTIONS: [&str; 7] = ["[", "[[", "test", "!", "command", "which", "grep"];

/// Signs that make a word more than an option.
const UNSAFE: [char; 12] = ['|', ';', '&', '(', ')', '$', '`', '\\', '"', '\'', '<', '>'];

/// The cut that takes the command out whose setting is `word` and whose value is `value`; `None` when it is a part of
/// something larger.
pub(super) fn cut(
    lines: &Lines<'_>,
    word: &Range<usize>,
    value: &Range<usize>,
) -> Option<Range<usize>> {
    let text = lines.text;
    let line = lines.span(lines.number(word.start)).start;
    let head = &text[line..word.start];
    let begin = head.rfind("&&").map_or(line, |at| line + at + 2);
    let begin = begin + spaces(&text[begin..word.start]);
    let (begin, carried) = match text[begin..word.start].strip_prefix("RUN ") {
        Some(rest) => (begin + 4 + spaces(rest), true),
        None => (begin, false),
    };
    if !sets_alone(&text[begin..word.start]) {
        return None;
    }
    let after = &text[value.end..];
    let next = after.trim_start_matches([' ', '\t']);
    if let Some(rest) = next.strip_prefix("&&") {
        return Some(begin..text.len() - joined(rest).len());
    }
    if !(next.is_empty() || next.starts_with(['\n', '\r', '#']) || is_joint(next)) {
        return None;
    }
    let before = text[..begin]
        .trim_end_matches(|character: char| character.is_whitespace() || character == '\\');
    if !carried && let Some(kept) = before.strip_suffix("&&") {
        // What only asks may fail in front of an `&&`, and not alone.
        let asks = kept.rsplit("&&").next().map_or(kept, |last| {
            last.rsplit(['\n', ';', '|']).next().unwrap_or(last)
        });
        if asks
            .split_whitespace()
            .next()
            .is_some_and(|first| QUESTIONS.contains(&first))
        {
            return None;
        }
        let kept =
            kept.trim_end_matches(|character: char| character.is_whitespace() || character == '\\');
        return Some(kept.len()..value.end);
    }
    // A line of its own.
    let alone = text[line..begin].trim().trim_start_matches('@').is_empty() || carried;
    let joins = text[..line].trim_end_matches(['\n', '\r']).ends_with('\\');
    (alone && !joins && !is_joint(next)).then(|| lines.span(lines.number(word.start)))
}

/// Whether these words, up to the name of the setting, are one call of pip's `config set`: `sudo python3 -m pip config
/// --user set `.
fn sets_alone(head: &str) -> bool {
    let mut words = head.split_whitespace();
    let is_caller = |word: &str| {
        let program = word.rsplit('/').next().unwrap_or(word);
        let plain = program.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.');
        matches!(plain, "sudo" | "pip" | "python" | "py" | "uv")
            || word.len() > 1 && word.starts_with('-') && !word.contains(UNSAFE)
    };
    let calls = words.by_ref().take_while(|word| *word != "config");
    let mut called = false;
    for word in calls {
        if !is_caller(word) {
            return false;
        }
        called = true;
    }
    let mut rest = words.skip_while(|word| word.starts_with('-'));
    called && rest.next() == Some("set") && rest.all(|word| word.starts_with('-'))
}

/// Whether a line goes on here.
fn is_joint(text: &str) -> bool {
    text.strip_prefix('\\')
        .is_some_and(|rest| rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n'))
}

/// What follows an `&&`, on this line or on the one that it is joined to.
fn joined(rest: &str) -> &str {
    let rest = rest.trim_start_matches([' ', '\t']);
    if is_joint(rest) || rest.starts_with(['\n', '\r']) {
        rest.trim_start_matches('\\').trim_start()
    } else {
        rest
    }
}

fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_goes_with_what_joined_it() {
        for (text, expected) in [
            (
                "a\npip config set global.trusted-host HOST\nb\n",
                Some("a\nb\n"),
            ),
            (
                "RUN pip config set global.trusted-host HOST\nb\n",
                Some("b\n"),
            ),
            (
                "RUN pip config set global.trusted-host HOST && b\n",
                Some("RUN b\n"),
            ),
            (
                "RUN a && pip config set global.trusted-host HOST\n",
                Some("RUN a\n"),
            ),
            (
                "RUN a && pip config set global.trusted-host HOST && b\n",
                Some("RUN a && b\n"),
            ),
            (
                "RUN a \\\n    && pip3 config --user set global.trusted-host HOST \\\n    && b\n",
                Some("RUN a \\\n    && b\n"),
            ),
            (
                "RUN a \\\n    && pip config set global.trusted-host HOST\nUSER x\n",
                Some("RUN a\nUSER x\n"),
            ),
            (
                "RUN a && \\\n    pip config set global.trusted-host HOST && \\\n    b\n",
                Some("RUN a && \\\n    b\n"),
            ),
            (
                "RUN a && \\\n    pip config set global.trusted-host HOST\nUSER x\n",
                Some("RUN a\nUSER x\n"),
            ),
            (
                "RUN --mount=type=cache,target=/x pip config set global.trusted-host HOST\nb\n",
                Some("b\n"),
            ),
            (
                "sudo python3 -m pip config --site set global.trusted-host HOST\nb\n",
                Some("b\n"),
            ),
            (
                "[ -f y ] && pip config set global.trusted-host HOST\n",
                None,
            ),
            (
                "a && test x && pip config set global.trusted-host HOST\n",
                None,
            ),
            (
                "test x && pip config set global.trusted-host HOST && b\n",
                Some("test x && b\n"),
            ),
            ("- run: pip config set global.trusted-host HOST\n", None),
            ("- pip config set global.trusted-host HOST\n", None),
            ("if pip config set global.trusted-host HOST; then\n", None),
            ("x || pip config set global.trusted-host HOST\n", None),
            ("sh -c 'pip config set global.trusted-host HOST'\n", None),
        ] {
            let lines = Lines::new(text);
            let word = text.find("global").unwrap();
            let value = text.find("HOST").unwrap();
            let after = cut(&lines, &(word..word + 19), &(value..value + 4))
                .map(|cut| format!("{}{}", &text[..cut.start], &text[cut.end..]));
            assert_eq!(after.as_deref(), expected, "{text}");
        }
    }
}

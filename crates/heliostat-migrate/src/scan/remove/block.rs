//! Blocks that a removal would leave empty: `then` and `fi` with nothing between them are no shell any more, a key of
//! YAML without its only child has no value, a block of Python without a statement is none.

use crate::scan::format::Format;
use crate::scan::setting::Lines;

/// Keys that only hold variables: without any of them the key itself goes too.
const HOLDERS: [&str; 3] = ["env:", "environment:", "variables:"];

/// What becomes of a block when lines of it go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Other lines stay in it, or it may be empty.
    Something,
    /// Nothing: the line of this number, which begins it, has to go too.
    GoesToo(usize),
    /// Nothing, and it cannot be without.
    Nothing,
}

/// What is left of the block around the lines `first..=last` without them.
pub(super) fn left(lines: &Lines<'_>, first: usize, last: usize, format: Format) -> Left {
    let is_blank = |number: &usize| lines.line(*number).trim().is_empty();
    let Some(above) = (0..first).rev().find(|number| !is_blank(number)) else {
        return Left::Something;
    };
    let below = (last + 1..lines.count()).find(|number| !is_blank(number));
    let below = below.map_or("", |number| lines.line(number));
    let opener = lines.line(above);
    if is_shell_block(opener.trim(), below.trim()) {
        return Left::Nothing;
    }
    let begins = match format {
        Format::Yaml => {
            let plain = opener.split(" #").next().unwrap_or_default().trim_end();
            plain.ends_with([':', '|', '>']) || plain.ends_with("|-") || plain.ends_with(">-")
        }
        Format::Python => opener.trim_end().ends_with(':'),
        _ => false,
    };
    let own = indent(lines.line(first));
    if !begins || indent(opener) >= own || indent(below) >= own {
        return Left::Something;
    }
    let holds = format == Format::Yaml && HOLDERS.contains(&opener.trim());
    if holds && left(lines, above, last, format) == Left::Something {
        return Left::GoesToo(above);
    }
    Left::Nothing
}

/// Whether two lines of a shell begin and end a block.
fn is_shell_block(above: &str, below: &str) -> bool {
    let last = above.rsplit([' ', ';']).next().unwrap_or_default();
    let first = below.split([' ', ';']).next().unwrap_or_default();
    match last {
        "then" | "else" => matches!(first, "fi" | "else" | "elif"),
        "do" => first == "done",
        "{" => first == "}" && above.trim_end_matches(['{', ' ']).ends_with(')'),
        _ => below.starts_with(";;") && above.ends_with(')'),
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_only_line_is_told_from_one_of_several() {
        for (format, text, expected) in [
            (Format::Shell, "if x; then\n  GONE\nfi\n", Left::Nothing),
            (
                Format::Shell,
                "if x; then\n  GONE\n  y\nfi\n",
                Left::Something,
            ),
            (
                Format::Shell,
                "for a in b; do\n\n  GONE\ndone",
                Left::Nothing,
            ),
            (Format::Shell, "f() {\n  GONE\n}\n", Left::Nothing),
            (
                Format::Shell,
                "case a in\n  b)\n  GONE\n  ;;\nesac",
                Left::Nothing,
            ),
            (Format::Yaml, "env: # x\n  GONE\na: b\n", Left::Nothing),
            (Format::Yaml, "env:\n  GONE\na: b\n", Left::GoesToo(0)),
            (
                Format::Yaml,
                "env:\n  A: b\n  GONE\na: b\n",
                Left::Something,
            ),
            (Format::Yaml, "env:\n  GONE\n  A: b\n", Left::Something),
            (Format::Yaml, "job:\n  env:\n    GONE\n", Left::Nothing),
            (Format::Yaml, "run: |\n  GONE\n", Left::Nothing),
            (Format::Python, "if a:\n    GONE\nb\n", Left::Nothing),
            (Format::Ini, "setenv =\n    GONE\n[a]\n", Left::Something),
        ] {
            let lines = Lines::new(text);
            let number = lines.number(text.find("GONE").unwrap());
            assert_eq!(left(&lines, number, number, format), expected, "{text}");
        }
    }
}

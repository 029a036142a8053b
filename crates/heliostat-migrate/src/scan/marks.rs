//! What a file says of a place in it: leave this line alone, a program wrote this, this string is documentation, these
//! comments are settings.

use super::setting::Lines;

/// A mark that leaves a line alone; `heliostat:ignore[host]` for one host only.
const IGNORE_MARK: &str = "heliostat:ignore";

/// How many lines at the top may say that a file is generated.
const GENERATED_LINES: usize = 5;

/// Whether the line asks to be left alone, for every host or for this one.
pub(super) fn ignored(line: &str, host: &str) -> bool {
    line.match_indices(IGNORE_MARK).any(|(at, mark)| {
        match line[at + mark.len()..].strip_prefix('[') {
            Some(list) => list
                .split(']')
                .next()
                .unwrap_or_default()
                .split(',')
                .any(|name| name.trim().eq_ignore_ascii_case(host)),
            None => true,
        }
    })
}

/// Whether a file's first lines say that a program wrote it and will write it again.
pub(super) fn is_generated(text: &str) -> bool {
    text.lines().take(GENERATED_LINES).any(|line| {
        line.contains("@generated") || line.contains("DO NOT EDIT") && line.contains("enerated")
    })
}

/// Whether a byte of Python is in a string that is a statement of its own: documentation.
pub(super) fn in_docstring(text: &str, at: usize) -> bool {
    let mut open: Option<(&str, bool)> = None;
    let mut place = 0;
    while place < at {
        let rest = &text[place..];
        let mark = ["\"\"\"", "'''"]
            .into_iter()
            .find(|mark| rest.starts_with(mark));
        match (mark, open) {
            (Some(mark), None) => {
                let line = text[..place].rsplit('\n').next().unwrap_or_default();
                let alone = line
                    .trim_start()
                    .trim_start_matches(['r', 'R', 'u', 'U'])
                    .is_empty();
                open = Some((mark, alone));
                place += 3;
            }
            (Some(mark), Some((opened, _))) if mark == opened => {
                open = None;
                place += 3;
            }
            _ => place += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    open.is_some_and(|(_, alone)| alone)
}

/// Whether a line of Python is in a `# /// script` block, whose comments are settings (PEP 723).
pub(super) fn in_script_block(lines: &Lines<'_>, number: usize) -> bool {
    (0..number)
        .rev()
        .map(|above| lines.line(above))
        .take_while(|line| line.starts_with('#') && line.trim_end() != "# ///")
        .any(|line| line.trim_end() == "# /// script")
}

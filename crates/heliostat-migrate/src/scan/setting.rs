//! Which setting an address is the value of: the nearest word before it that means something, with nothing between
//! that does not belong to the value. One rule for options, assignments, lists over several lines, arrays and maps of
//! every format.

use std::ops::Range;

use super::format::Format;
use super::word::{Meaning, meaning};
use crate::kind::Kind;

/// How many lines up the key of a list is looked for.
const LINES_UP_MAX: usize = 200;

/// The setting that a value belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The word in the text.
    pub(crate) word: Range<usize>,
    pub(crate) meaning: Meaning,
}

/// The lines of a text with where each begins.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// The number of the line, from 0, in which the byte is.
    pub(crate) fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) - 1
    }

    /// The bytes of a line with its end.
    pub(crate) fn span(&self, number: usize) -> Range<usize> {
        let end = self
            .starts
            .get(number + 1)
            .copied()
            .unwrap_or(self.text.len());
        self.starts[number]..end
    }

    /// A line without its end.
    pub(crate) fn line(&self, number: usize) -> &'a str {
        self.text[self.span(number)].trim_end_matches(['\n', '\r'])
    }

    pub(crate) const fn count(&self) -> usize {
        self.starts.len()
    }
}

/// Line and column of a byte, from 1, in characters.
pub(crate) fn position(lines: &Lines<'_>, at: usize) -> (usize, usize) {
    let number = lines.number(at);
    let start = lines.span(number).start;
    (number + 1, lines.text[start..at].chars().count() + 1)
}

/// The setting whose value begins at `begin`.
pub(crate) fn setting_before(lines: &Lines<'_>, begin: usize, format: Format) -> Option<Setting> {
    let last = lines.number(begin);
    let lowest = last.saturating_sub(LINES_UP_MAX);
    for number in (lowest..=last).rev() {
        let span = lines.span(number);
        let head = &lines.text[span.start..span.end.min(begin)];
        if number < last && format.comments(head, head.len().saturating_sub(1)) {
            continue;
        }
        match word_in(lines, span.start, head, begin, format) {
            Some(Ok(setting)) => return Some(setting),
            Some(Err(Elsewhere)) => return None,
            None => {}
        }
        let continued = number > 0 && {
            let above = lines.line(number - 1).trim_end();
            above.ends_with([
                '\\', '^', '`', '[', '(', '{', ',', '=', ':', '|', '>', '-', '+',
            ]) || format.is_ini()
                || above.trim().is_empty()
                || is_value_only(above)
                || heads_list(above, head)
                || format.comments(above, above.len().saturating_sub(1))
        };
        if !is_value_only(head) && !head.trim_start().starts_with("- ") || !continued {
            return None;
        }
    }
    None
}

/// Whether a line of a pip.conf that stands in another file begins a list that `below`, which is deeper, goes on with.
fn heads_list(above: &str, below: &str) -> bool {
    let key = above.trim_start();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let deeper = indent(below) > above.len() - key.len();
    deeper
        && key.starts_with(|first: char| first.is_ascii_lowercase())
        && key
            .split_once(['=', ':'])
            .and_then(|(key, _)| meaning(key.trim_end()))
            .is_some_and(|meaning| meaning.many)
}

/// A word was found, and what is between says that the value is another's.
struct Elsewhere;

fn word_in(
    lines: &Lines<'_>,
    start: usize,
    head: &str,
    begin: usize,
    format: Format,
) -> Option<Result<Setting, Elsewhere>> {
    for word in words_backward(head) {
        let place = start + word.start..start + word.end;
        let text = &lines.text[place.clone()];
        let Some(mut meaning) = meaning(text).or_else(|| glued_short(text)) else {
            continue;
        };
        if matches!(text, "-i" | "-f" | "-H" | "-M") && !short_option_is_ours(&head[..word.start]) {
            continue;
        }
        if matches!(text, "-r" | "--repository") && !uploads(head) {
            continue;
        }
        if text == "--index" && (head.contains("pip search") || head.contains(" search ")) {
            meaning.kind = Kind::Search;
        }
        if matches!(text, "-i" | "--index-url") && head[..word.start].contains("pip search") {
            meaning.kind = Kind::Search;
        }
        let between = &lines.text[place.end..begin];
        return Some(if belongs(between, meaning, format) {
            Ok(Setting {
                word: place,
                meaning,
            })
        } else {
            Err(Elsewhere)
        });
    }
    None
}

/// Whether a command that sends releases somewhere stands in a line.
fn uploads(head: &str) -> bool {
    ["twine", "setup.py", "upload", "publish"]
        .iter()
        .any(|word| head.contains(word))
}

/// `-ihttps://…` and `-fhttps://…`: the option ends where the address begins.
fn glued_short(text: &str) -> Option<Meaning> {
    matches!(text, "-i" | "-f").then(|| meaning(text)).flatten()
}

/// The words of a line from its end: runs of letters, digits, `_`, `-` and `.` that begin where a word can.
fn words_backward(head: &str) -> Vec<Range<usize>> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let bytes = head.as_bytes();
    let mut words = Vec::new();
    let mut end = bytes.len();
    while end > 0 {
        if !inside(bytes[end - 1]) {
            end -= 1;
            continue;
        }
        let mut begin = end;
        while begin > 0 && inside(bytes[begin - 1]) {
            begin -= 1;
        }
        let before = begin.checked_sub(1).map(|at| bytes[at]);
        let escape = before == Some(b'\\') && bytes[begin] == b'n';
        let begins = before.is_none_or(|byte| {
            byte.is_ascii_whitespace() || b"\"'`([{,;:=|&$!@+*%~<>".contains(&byte)
        }) || escape;
        if begins {
            words.push(begin + usize::from(escape)..end);
        }
        end = begin;
    }
    words
}

/// `-i` and `-f` are options of many programs; ours unless a fetcher or an editor is called, and it calls no installer.
fn short_option_is_ours(head: &str) -> bool {
    let command = head
        .rsplit([';', '|'])
        .next()
        .map_or(head, |last| last.rsplit("&&").next().unwrap_or(last));
    let foreign = [
        "curl", "wget", "http", "sed", "grep", "ssh", "scp", "tail", "xargs", "docker", "make",
        "rm", "cp", "ln", "test",
    ];
    let installers = [
        "pip",
        "pipx",
        "pipenv",
        "uv",
        "uvx",
        "easy_install",
        "pip-compile",
        "pip-sync",
    ];
    command
        .split(|character: char| character.is_whitespace() || "\"'`()[]{},=$@".contains(character))
        .filter(|word| !word.contains("://"))
        .rev()
        .find_map(|word| {
            let program = word.rsplit('/').next().unwrap_or(word);
            let plain = program.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.');
            if installers.contains(&plain) {
                Some(true)
            } else {
                foreign.contains(&program).then_some(false)
            }
        })
        .unwrap_or(true)
}

/// Whether what stands between a word and an address leaves the address a value of the word.
fn belongs(between: &str, meaning: Meaning, format: Format) -> bool {
    // `{{ name | default('…') }}`: the name is the template's.
    let default = between.rfind("{{").and_then(|open| {
        let close = open + between[open..].find("default(")?;
        Some(between[..open].to_owned() + &between[close + "default(".len()..])
    });
    let between = default.as_deref().unwrap_or(between);
    let mut signs = 0;
    for line in between.split('\n') {
        if line.trim_start().starts_with(['#', ';']) && between.contains('\n') {
            continue;
        }
        for piece in pieces(line) {
            if is_sign(piece) {
                signs += 1;
                if matches!(piece, "=" | ":" | "=>" | ":=" | "?=" | "+=" | "-=") && signs > 3 {
                    return false;
                }
                continue;
            }
            let value = piece.contains("://")
                || piece.contains('.') && !piece.contains("..") && !piece.starts_with('-')
                || piece.starts_with('$')
                || piece.starts_with('<');
            let named = piece.ends_with('=') && !piece.starts_with('-');
            let default = piece.starts_with("${") && piece.ends_with('-');
            if default || named && meaning.kind == Kind::ExtraIndex {
                continue;
            }
            if !(value && meaning.many) {
                return false;
            }
        }
    }
    // Two lines without a sign that joins them are two settings, but for options and lists.
    !between.contains('\n')
        || format.is_ini()
        || between.contains(['=', ':', '[', '(', '\\', '^', '`', '-', '"'])
}

/// The parts of what stands between, without quotes, commas and brackets.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| character.is_whitespace() || "\"'`,[](){}".contains(character))
        .flat_map(|piece| {
            // An equals sign glued to the word stands for itself.
            let (sign, rest) = ["=>", ":=", "?=", "+=", "-=", "="]
                .iter()
                .find_map(|sign| piece.strip_prefix(sign).map(|rest| (*sign, rest)))
                .unwrap_or(("", piece));
            [sign, rest]
        })
        .filter(|piece| !piece.is_empty())
}

fn is_sign(piece: &str) -> bool {
    matches!(
        piece,
        "=" | ":"
            | "=>"
            | ":="
            | "?="
            | "+="
            | "-="
            | "=="
            | "-"
            | "\\"
            | "^"
            | "|"
            | "|-"
            | ">"
            | ">-"
            | ">>"
            | "f"
            | "r"
            | "b"
            | "u"
            | "or"
            | "||"
            | "??"
            | "default"
            | "default:"
            | "value"
            | "value:"
            | "url"
            | "url:"
            | "set"
            | "add"
            | "\\n"
            | ":-"
            | "-r"
            | "?"
            | "\\\\"
            | "$"
            | "-n"
            | "description:"
            | "to"
            | ";"
            | "n"
    ) || piece.starts_with("${") && piece.ends_with(":-")
        || piece.ends_with(":-")
        || piece.starts_with("env:") && piece.ends_with(':')
        || piece.starts_with('&')
        || piece.starts_with("!!")
}

/// Whether a line is nothing but values of a list: addresses, quotes, commas, bullets.
pub(crate) fn is_value_only(line: &str) -> bool {
    line.split(|character: char| character.is_whitespace() || "\"'`,[]()".contains(character))
        .filter(|piece| !piece.is_empty() && *piece != "-" && *piece != "\\" && *piece != "^")
        .all(|piece| {
            piece.contains("://")
                || piece.contains('.')
                    && !piece.contains('=')
                    && !piece.starts_with('-')
                    && !piece.ends_with(':')
                || piece.starts_with('$')
                || piece.starts_with('#')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str, format: Format) -> Option<Kind> {
        let at = text.rfind("URL").unwrap();
        setting_before(&Lines::new(text), at, format).map(|setting| setting.meaning.kind)
    }

    #[test]
    fn a_value_belongs_to_the_word_before_it() {
        use Format::{Docker, Json, PipConf, Python, Requirements, Shell, Toml, Yaml};
        for (format, text, expected) in [
            (Requirements, "--index-url URL", Some(Kind::Index)),
            (Requirements, "-iURL", Some(Kind::Index)),
            (Requirements, "-i URL", Some(Kind::Index)),
            (
                Requirements,
                "--extra-index-url=URL",
                Some(Kind::ExtraIndex),
            ),
            (PipConf, "[global]\nINDEX_URL : URL", Some(Kind::Index)),
            (
                PipConf,
                "extra-index-url =\n    https://x.example/simple\n    # no\n    URL",
                Some(Kind::ExtraIndex),
            ),
            (
                PipConf,
                "trusted-host = a.example\n   b.example URL",
                Some(Kind::TrustedHost),
            ),
            (
                Shell,
                "PIP_INDEX_URL=\"URL\" pip install x",
                Some(Kind::Index),
            ),
            (
                Shell,
                "pip install --index-url https://a.example/simple x && curl URL",
                None,
            ),
            (Shell, "curl -i URL", None),
            (Shell, "pip install -i \\\n  URL", Some(Kind::Index)),
            (
                Shell,
                "export PIP_INDEX_URL=${PIP_INDEX_URL:-URL}",
                Some(Kind::Index),
            ),
            (Docker, "ENV PIP_INDEX_URL URL", Some(Kind::Index)),
            (
                Docker,
                "RUN [\"pip\", \"install\", \"--index-url\", \"URL\"]",
                Some(Kind::Index),
            ),
            (
                Toml,
                "find-links = [\n  \"https://a.example\",\n  \"URL\",\n]",
                Some(Kind::FindLinks),
            ),
            (
                Yaml,
                "extra_index_urls:\n  - https://a.example\n  - URL",
                Some(Kind::ExtraIndex),
            ),
            (
                Yaml,
                "env:\n  PIP_INDEX_URL: >-\n    URL",
                Some(Kind::Index),
            ),
            (Json, "{\"PIP_INDEX_URL\": \"URL\"}", Some(Kind::Index)),
            (
                Python,
                "dependency_links=[\n    'https://a.example/x',\n    'URL',\n]",
                Some(Kind::DependencyLink),
            ),
            (
                Python,
                "os.environ.get('PIP_INDEX_URL', 'URL')",
                Some(Kind::Index),
            ),
            (
                Shell,
                "pip config set global.index-url URL",
                Some(Kind::Index),
            ),
            (
                Shell,
                "twine upload --repository-url URL dist/*",
                Some(Kind::Upload),
            ),
            (Shell, "UV_INDEX=\"acme=URL\"", Some(Kind::ExtraIndex)),
            (
                Shell,
                "printf '[global]\\nindex-url = URL\\n'",
                Some(Kind::Index),
            ),
            (Yaml, "homepage: URL", None),
        ] {
            assert_eq!(kind(text, format), expected, "{text}");
        }
    }
}

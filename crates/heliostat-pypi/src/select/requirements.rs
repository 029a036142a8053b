//! Requirements files as pip reads them.
//!
//! Owns the syntax: continuation lines, comments, options. Nothing in a file is passed over silently: what is not
//! taken is returned with its line and the reason. Includes are returned for the caller to read and feed back.

use std::fmt;

use crate::{Requirement, RequirementSource};

/// The longest requirements file we read, in bytes.
pub const REQUIREMENTS_BYTES_MAX: usize = 16 << 20;

/// A requirements file, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequirementsRead {
    /// What an index can serve, in order.
    pub entries: Vec<Entry>,
    /// Other files it names, in order.
    pub includes: Vec<Include>,
    /// Everything else, in order.
    pub not_taken: Vec<NotTaken>,
}

/// One requirement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line it starts on, from 1.
    pub line: usize,
    /// The requirement; its source is always an index.
    pub requirement: Requirement,
    /// `--hash` options as written, such as `sha256:…`.
    pub hashes: Vec<String>,
}

/// Another file that is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The line it starts on, from 1.
    pub line: usize,
    /// What the file is to be read as.
    pub kind: IncludeKind,
    /// The path or address as written, relative to the file that names it.
    pub path: String,
}

/// What an included file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeKind {
    /// `-r`: further requirements.
    Requirements,
    /// `-c`: constraints, which narrow versions and select nothing.
    Constraints,
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// The line it starts on, from 1; 0 for the file as a whole.
    pub line: usize,
    /// The line, shortened and escaped for display.
    pub text: String,
    /// Why, as a lower-case fragment.
    pub reason: String,
}

/// Options with a value that concern the installer alone.
const OPTIONS_WITH_VALUE: [&str; 11] = [
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
    "--use-feature",
    "--pypi-url",
    "--uploaded-prior-to",
    "--config-settings",
    "--global-option",
];
/// Options without one.
const OPTIONS_ALONE: [&str; 5] = [
    "--no-index",
    "--prefer-binary",
    "--require-hashes",
    "--pre",
    "--always-unzip",
];
/// Short spellings.
const SHORT_OPTIONS: [(&str, &str); 6] = [
    ("-r", "--requirement"),
    ("-c", "--constraint"),
    ("-e", "--editable"),
    ("-i", "--index-url"),
    ("-f", "--find-links"),
    ("-Z", "--always-unzip"),
];

/// Reads a requirements or constraints file.
pub fn read_requirements(text: &str) -> RequirementsRead {
    let mut read = RequirementsRead::default();
    if text.len() > REQUIREMENTS_BYTES_MAX {
        read.refuse(0, "", "the file is larger than 16 MiB");
        return read;
    }
    for (line, text) in logical_lines(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if names_environment(text) {
            read.refuse(
                line,
                text,
                "it takes a part from an environment variable, which heliostat does not read",
            );
        } else if text.starts_with('-') {
            read.take_option(line, text);
        } else {
            read.take_requirement(line, text);
        }
    }
    read
}

impl RequirementsRead {
    fn refuse(&mut self, line: usize, text: &str, reason: impl Into<String>) {
        let text = text
            .chars()
            .take(160)
            .collect::<String>()
            .escape_debug()
            .to_string();
        self.not_taken.push(NotTaken {
            line,
            text,
            reason: reason.into(),
        });
    }

    fn take_option(&mut self, line: usize, text: &str) {
        let (option, value) = split_option(text);
        let kind = match option {
            "--requirement" => IncludeKind::Requirements,
            "--constraint" => IncludeKind::Constraints,
            "--editable" => {
                return self.refuse(line, text, "an editable installation is not from an index");
            }
            _ if OPTIONS_ALONE.contains(&option) || OPTIONS_WITH_VALUE.contains(&option) => {
                return self.refuse(
                    line,
                    text,
                    "an option for the installer, which does not choose what is mirrored",
                );
            }
            _ => return self.refuse(line, text, "an option that requirements files do not have"),
        };
        match unquote(value) {
            "" => self.refuse(line, text, "the option names no file"),
            path => self.includes.push(Include {
                line,
                kind,
                path: path.to_owned(),
            }),
        }
    }

    fn take_requirement(&mut self, line: usize, text: &str) {
        let (text, options) = split_options(text);
        let mut hashes = Vec::new();
        for option in options {
            match split_option(option) {
                ("--hash", hash) if !hash.is_empty() => hashes.push(unquote(hash).to_owned()),
                (name, _) if OPTIONS_WITH_VALUE.contains(&name) => {}
                _ => self.refuse(
                    line,
                    option,
                    "an option that requirements do not have; the requirement is taken",
                ),
            }
        }
        if let Some(reason) = is_no_name(text) {
            return self.refuse(line, text, reason);
        }
        match text.parse::<Requirement>() {
            Ok(Requirement {
                source: RequirementSource::Address(_),
                ..
            }) => {
                self.refuse(
                    line,
                    text,
                    "it names an address, and heliostat mirrors indexes",
                );
            }
            Ok(requirement) => self.entries.push(Entry {
                line,
                requirement,
                hashes,
            }),
            Err(error) => self.refuse(line, text, error.reason),
        }
    }
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`: {}", self.line, self.text, self.reason)
    }
}

/// Lines without comments, joined over a backslash at the end, each with the number it starts on. As in pip, a
/// comment line inside a continuation ends it.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (index, line) in text.lines().enumerate() {
        let is_comment = line.trim_start().starts_with('#');
        let (line, continues) = match line.strip_suffix('\\') {
            Some(front) if !is_comment => (front, true),
            _ => (line, false),
        };
        let line = without_comment(line);
        match lines.last_mut() {
            Some((_, open)) if is_open => {
                open.push(' ');
                open.push_str(line.trim());
            }
            _ => lines.push((index + 1, line.to_owned())),
        }
        is_open = continues;
    }
    lines
}

/// A comment starts the line or follows white space: `#` inside an address is none.
fn without_comment(line: &str) -> &str {
    let starts = line.match_indices('#').map(|(at, _)| at);
    let mut comments = starts.filter(|at| *at == 0 || line[..*at].ends_with(char::is_whitespace));
    comments.next().map_or(line, |at| &line[..at])
}

/// `${NAME}`, the only form that pip expands.
fn names_environment(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| {
        let name = text[at + 2..].split_once('}').map_or("", |(name, _)| name);
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

/// `--option value`, `--option=value`, `-o value` and `-ovalue`, with the long name.
fn split_option(text: &str) -> (&str, &str) {
    if text.starts_with("--") {
        let end = text
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(text.len());
        let (option, value) = text.split_at(end);
        return (option, value.trim_start_matches(['=', ' ', '\t']).trim());
    }
    for (short, long) in SHORT_OPTIONS {
        if let Some(value) = text.strip_prefix(short) {
            return (long, value.trim_start_matches(['=', ' ', '\t']).trim());
        }
    }
    (text.split_whitespace().next().unwrap_or(text), "")
}

/// Splits a requirement from the options after it.
fn split_options(text: &str) -> (&str, Vec<&str>) {
    let starts: Vec<usize> = text
        .match_indices("--")
        .map(|(at, _)| at)
        .filter(|at| text[..*at].ends_with(char::is_whitespace))
        .collect();
    let Some(first) = starts.first() else {
        return (text, Vec::new());
    };
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    let options = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| text[*start..end].trim())
        .collect();
    (text[..*first].trim_end(), options)
}

fn unquote(text: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(text)
}

/// Why a line names something else than a project: an address, or a path to a file or directory.
fn is_no_name(text: &str) -> Option<&'static str> {
    let first = text
        .split([';', '@', '[', '<', '>', '=', '!', '~', ' '])
        .next()
        .unwrap_or(text);
    if first.contains("://") || first.starts_with("git+") || first.starts_with("file:") {
        return Some("it names an address, and heliostat mirrors indexes");
    }
    let suffixes = [".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz"];
    let lower = first.to_ascii_lowercase();
    let is_path = first.starts_with(['.', '/', '~']) || first.contains(['/', '\\']);
    (is_path || suffixes.iter().any(|suffix| lower.ends_with(suffix)))
        .then_some("it names a local file or directory, and heliostat mirrors indexes")
}

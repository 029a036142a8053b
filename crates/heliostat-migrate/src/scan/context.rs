//! What an address is there for when no word of its own says so: the section or table it stands in, the kind of lock
//! file, the shape of a requirement.

use std::ops::Range;

use super::format::Format;
use super::hit::Hit;
use super::setting::{Lines, Setting, setting_before};
use super::word::meaning;
use crate::kind::Kind;

/// How far a neighbour line may name the variable whose value this is.
const NEIGHBOURS_MAX: usize = 3;

/// How far back the brackets around an address are looked for.
const OWNER_BYTES_MAX: usize = 4096;

/// The purpose of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purpose {
    pub(crate) kind: Kind,
    /// The word that says so, for taking a setting out.
    pub(crate) setting: Option<Setting>,
}

/// What the address at `hit` is there for, comments and prose aside.
pub(crate) fn purpose(lines: &Lines<'_>, hit: &Hit, format: Format) -> Purpose {
    let begin = hit.span().start;
    let plain = |kind| Purpose {
        kind,
        setting: None,
    };
    if let Some(kind) = lock_kind(lines, begin, format) {
        return plain(kind);
    }
    if format == Format::Netrc || is_keyring(lines, begin) {
        return plain(Kind::Credential);
    }
    if let Some(setting) = setting_before(lines, begin, format) {
        let kind = by_section(lines, begin, format, setting.meaning.kind);
        return Purpose {
            kind,
            setting: Some(setting),
        };
    }
    if let Some(kind) = by_key(lines, begin, format) {
        return plain(kind);
    }
    let line = lines.number(begin);
    let head = &lines.text[lines.span(line).start..begin];
    if hit.url.is_none() {
        return plain(Kind::Host);
    }
    if head.contains("poetry source add") {
        let second = head.contains("supplemental") || head.contains("secondary");
        return plain(if second {
            Kind::ExtraIndex
        } else {
            Kind::Index
        });
    }
    if is_metadata(head) || format == Format::Python && is_homepage(lines, begin) {
        return plain(Kind::Doc);
    }
    if head.trim_end().ends_with('@') || format == Format::Requirements {
        return plain(Kind::DirectUrl);
    }
    let path = hit
        .url
        .as_ref()
        .map_or("", |url| &lines.text[url.rest.clone()]);
    plain(if path.replace("\\/", "/").starts_with("/packages/") {
        Kind::Artifact
    } else {
        Kind::Other
    })
}

/// The `url` that a setup.py gives its project.
fn is_homepage(lines: &Lines<'_>, begin: usize) -> bool {
    lines.text.contains("setup(") && key_before(lines, begin).as_deref() == Some("url")
}

/// Whether a command asks a keyring, or tells it: its services are addresses, and its secrets are not in the file.
fn is_keyring(lines: &Lines<'_>, begin: usize) -> bool {
    let head = &lines.text[lines.span(lines.number(begin)).start..begin];
    ["keyring set ", "keyring get ", "keyring del "]
        .iter()
        .any(|command| head.contains(command))
}

fn lock_kind(lines: &Lines<'_>, begin: usize, format: Format) -> Option<Kind> {
    let key = key_before(lines, begin);
    let key = key.as_deref().unwrap_or_default();
    Some(match format {
        Format::UvLock => match key {
            "registry" | "index" | "index-url" => Kind::LockSource,
            _ => Kind::LockArtifact,
        },
        Format::Pylock if key == "index" => Kind::LockSource,
        Format::OtherLock if is_source_of_lock(lines, begin) => Kind::LockSource,
        Format::Pylock | Format::PdmLock | Format::OtherLock => Kind::LockArtifact,
        Format::PoetryLock => {
            if header(lines, begin).contains("package.source") {
                Kind::LockSource
            } else {
                Kind::LockArtifact
            }
        }
        Format::PipfileLock => {
            let head = &lines.text[..begin];
            let sources = head.rfind("\"sources\"");
            let packages = head.rfind("\"default\"").max(head.rfind("\"develop\""));
            if sources > packages {
                Kind::LockSource
            } else {
                Kind::LockArtifact
            }
        }
        _ => return None,
    })
}

/// Whether an address of a conda-lock.yml or pixi.lock stands in its list of channels or indexes.
fn is_source_of_lock(lines: &Lines<'_>, begin: usize) -> bool {
    let number = lines.number(begin);
    (number.saturating_sub(NEIGHBOURS_MAX * 8)..number)
        .rev()
        .map(|above| lines.line(above).trim())
        .find(|line| line.ends_with(':') && !line.starts_with('-'))
        .is_some_and(|line| matches!(line, "channels:" | "indexes:"))
}

/// Sections change what a word means: `index` of `[search]`.
fn by_section(lines: &Lines<'_>, begin: usize, format: Format, kind: Kind) -> Kind {
    let section = header(lines, begin).to_ascii_lowercase();
    match kind {
        Kind::Index if format == Format::PipConf && section == "search" => Kind::Search,
        _ => kind,
    }
}

/// The key right before the value, judged by file and section.
fn by_key(lines: &Lines<'_>, begin: usize, format: Format) -> Option<Kind> {
    let key = key_before(lines, begin)?;
    let section = header(lines, begin).to_ascii_lowercase();
    match format {
        Format::Pypirc => (key == "repository").then_some(Kind::Upload),
        Format::PipConf => match key.as_str() {
            "index" if section == "search" => Some(Kind::Search),
            "index" => Some(Kind::Index),
            "mirrors" | "use-mirrors" => Some(Kind::DeadSetting),
            _ => None,
        },
        Format::Ini | Format::Unit => by_ini_key(lines, begin, &key, &section),
        Format::Toml => by_toml_key(lines, begin, &key, &section),
        Format::Requirements => None,
        Format::Hash
            if key == "index"
                && lines.text[..begin]
                    .trim_end_matches(['\'', '"'])
                    .ends_with("=> ") =>
        {
            Some(Kind::Index)
        }
        _ => by_neighbour(lines, begin, &key)
            .or_else(|| by_plugin(lines, begin, &key))
            .or_else(|| by_parent(lines, begin, &key))
            .or_else(|| by_owner(lines, begin, format)),
    }
}

/// What holds an address in brackets, as `{"x": URL}` behind `experimental_index_url_overrides =`.
fn by_owner(lines: &Lines<'_>, begin: usize, format: Format) -> Option<Kind> {
    if !matches!(format, Format::Hash | Format::Json) {
        return None;
    }
    match owner(lines, begin)?.as_str() {
        "auths" => Some(Kind::Credential),
        word => meaning(word).map(|meaning| meaning.kind),
    }
}

/// An address that a plugin of a forge sends releases to, or takes packages from, by the lines around it.
fn by_plugin(lines: &Lines<'_>, begin: usize, key: &str) -> Option<Kind> {
    let number = lines.number(begin);
    if key == "repository" && lines.line(number).contains("pypirc") {
        return Some(Kind::Upload);
    }
    let lowest = number.saturating_sub(NEIGHBOURS_MAX * 2);
    let highest = (number + NEIGHBOURS_MAX * 2).min(lines.count() - 1);
    let near = |word: &str| {
        (lowest..=highest).any(|other| other != number && lines.line(other).contains(word))
    };
    match key {
        "repository" | "repository_url" if near("pypi") => Some(Kind::Upload),
        "url" if near("python-index") => Some(Kind::Index),
        _ => None,
    }
}

/// The key in front of the innermost brackets around `begin` that has one, in lower case.
fn owner(lines: &Lines<'_>, begin: usize) -> Option<String> {
    let head = &lines.text.as_bytes()[..begin];
    let mut depth = 0_usize;
    for (back, byte) in head.iter().rev().take(OWNER_BYTES_MAX).enumerate() {
        match byte {
            b']' | b'}' | b')' => depth += 1,
            b'[' | b'{' | b'(' if depth > 0 => depth -= 1,
            b'[' | b'{' | b'(' => {
                let before = lines.text[..begin - back - 1].trim_end();
                if !before.ends_with(['[', '{', '(', ',']) {
                    return key_of(before);
                }
            }
            _ => {}
        }
    }
    None
}

fn by_ini_key(lines: &Lines<'_>, begin: usize, key: &str, section: &str) -> Option<Kind> {
    match key {
        "index" | "indexserver" => Some(Kind::Index),
        "repository" if section != "metadata" => Some(Kind::Upload),
        "url" | "home-page" | "home_page" | "download-url" if section == "metadata" => {
            Some(Kind::Doc)
        }
        "url" => Some(Kind::Artifact),
        _ => {
            // tox before 4: `indexserver =` with `NAME = URL` below it.
            let number = lines.number(begin);
            let own = lines.line(number);
            let above = (0..number)
                .rev()
                .map(|above| lines.line(above))
                .find(|line| !line.trim().is_empty() && indent(line) < indent(own))?;
            above
                .trim_start()
                .starts_with("indexserver")
                .then_some(Kind::Index)
        }
    }
}

fn by_toml_key(lines: &Lines<'_>, begin: usize, key: &str, section: &str) -> Option<Kind> {
    let line = lines.line(lines.number(begin));
    let table = section.trim_matches(['[', ']']);
    let owner = owner(lines, begin);
    let owner = owner.as_deref().unwrap_or_default();
    let inline = key == "url"
        && (owner == "index" && matches!(table, "" | "tool.uv")
            || owner == "sources" && table == "tool.rye");
    if inline {
        return Some(Kind::Index);
    }
    if table == "publish.index" && key == "repo" {
        return Some(Kind::Upload);
    }
    if table.starts_with("tool.uv.sources") && key == "url" {
        return Some(Kind::DirectUrl);
    }
    if let Some(meaning) = meaning(owner) {
        return Some(meaning.kind);
    }
    let source = matches!(
        table,
        "source"
            | "sources"
            | "index"
            | "tool.poetry.source"
            | "tool.pdm.source"
            | "tool.uv.index"
            | "tool.rye.sources"
    );
    if source || line.contains("tool.uv.index") {
        let block = table_block(lines, begin);
        let has = |word: &str| {
            block
                .iter()
                .any(|line| line.replace(' ', "").starts_with(word))
        };
        if has("type=\"find_links\"") || has("format=\"flat\"") {
            return Some(Kind::FindLinks);
        }
        let second = has("priority=\"supplemental\"")
            || has("priority=\"secondary\"")
            || has("secondary=true");
        return Some(if second {
            Kind::ExtraIndex
        } else {
            Kind::Index
        });
    }
    if table.starts_with("repositories.")
        || table.starts_with("repository.")
        || table.starts_with("publish.index.repos")
        || table.contains("repositories")
    {
        return Some(Kind::Upload);
    }
    if table == "pypi" || table.starts_with("pypi.") {
        return Some(Kind::Index);
    }
    if table.ends_with("urls")
        || matches!(
            key,
            "homepage" | "repository" | "documentation" | "Homepage"
        )
    {
        return Some(Kind::Doc);
    }
    if matches!(key, "indexes" | "index") && table.contains("python-repos") {
        return Some(Kind::Index);
    }
    if table.contains("dependencies") && matches!(key, "url" | "file") {
        return Some(Kind::DirectUrl);
    }
    by_neighbour(lines, begin, key).or_else(|| by_parent(lines, begin, key))
}

/// `name: PIP_INDEX_URL` beside `value: URL`, in either order; `option:`/`key:` likewise.
fn by_neighbour(lines: &Lines<'_>, begin: usize, key: &str) -> Option<Kind> {
    if !matches!(key, "value" | "default" | "defaultvalue" | "to" | "content") {
        return None;
    }
    let number = lines.number(begin);
    // `option=trusted-host value=HOST` on one line.
    let here = &lines.text[lines.span(number).start..begin];
    if let Some((_, option)) = here.rsplit_once("option=") {
        let word = option.split_whitespace().next().unwrap_or_default();
        return meaning(word).map(|meaning| meaning.kind);
    }
    let lowest = number.saturating_sub(NEIGHBOURS_MAX);
    let highest = (number + NEIGHBOURS_MAX).min(lines.count() - 1);
    let near = (lowest..=number).rev().chain(number + 1..=highest);
    for other in near {
        let line = lines.line(other);
        let named = line
            .trim_start()
            .trim_start_matches(['-', ' ', '{', '"'])
            .split_once([':', '='])
            .filter(|(left, _)| {
                matches!(
                    left.trim().trim_matches('"'),
                    "name" | "option" | "key" | "variable"
                )
            });
        if let Some((_, right)) = named {
            let word = right
                .split([',', '}'])
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches(['"', '\'', ',']);
            return meaning(word).map(|meaning| meaning.kind);
        }
    }
    None
}

/// A map under a key that means something, as `PIP_INDEX_URL:` with `default: URL` below it; a `source` of packages.
fn by_parent(lines: &Lines<'_>, begin: usize, key: &str) -> Option<Kind> {
    if matches!(key, "channels" | "channel_alias" | "default_channels") {
        return Some(Kind::Other);
    }
    let number = lines.number(begin);
    let own = indent(lines.line(number));
    let above = (number.saturating_sub(20)..number)
        .rev()
        .map(|above| lines.line(above))
        .find(|line| !line.trim().is_empty() && indent(line) < own)?;
    let parent = above
        .trim()
        .trim_start_matches("- ")
        .trim_end_matches(['{', ' ', ':', '=', '['])
        .trim_matches('"');
    let last = parent.rsplit([' ', '"']).next().unwrap_or(parent);
    if last == "deploy" && key == "server" {
        return Some(Kind::Upload);
    }
    meaning(last).map(|meaning| meaning.kind)
}

/// The key whose value begins at `begin` on its line, in lower case: what stands before the last `=`, `:` or `=>`.
fn key_before(lines: &Lines<'_>, begin: usize) -> Option<String> {
    let number = lines.number(begin);
    let own = &lines.text[lines.span(number).start..begin];
    key_of(own).or_else(|| {
        // The value of a list: the line above with a lesser indentation has the key.
        let above = (number.saturating_sub(50)..number)
            .rev()
            .map(|above| lines.line(above))
            .find(|line| {
                !line.trim().is_empty() && line.trim_end().ends_with(['=', ':', '[', '('])
            })?;
        key_of(&format!(
            "{} ",
            above.trim_end().trim_end_matches(['[', '('])
        ))
    })
}

fn key_of(head: &str) -> Option<String> {
    let head = head.trim_end_matches(['"', '\'', ' ', '\t', '{', '[', '(', '>', '|', '-']);
    let head = head
        .strip_suffix([':', '='])?
        .trim_end_matches(['=', ':', '?', '+', ' ', '\t', '"', '\'']);
    let word = head
        .bytes()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
        .count();
    (word > 0).then(|| head[head.len() - word..].to_ascii_lowercase())
}

/// The section or table header above, without its outer brackets.
pub(crate) fn header<'a>(lines: &Lines<'a>, begin: usize) -> &'a str {
    (0..=lines.number(begin))
        .rev()
        .map(|number| lines.line(number))
        .find(|line| line.starts_with('[') && line.trim_end().ends_with(']'))
        .map_or("", |line| {
            let line = line.trim_end();
            &line[1..line.len() - 1]
        })
}

/// The lines of the table around `begin`.
pub(crate) fn table_block<'a>(lines: &Lines<'a>, begin: usize) -> Vec<&'a str> {
    let number = lines.number(begin);
    let is_header = |line: &str| line.starts_with('[');
    let first = (0..=number)
        .rev()
        .find(|above| is_header(lines.line(*above)))
        .unwrap_or(0);
    (first + 1..lines.count())
        .map(|below| lines.line(below))
        .take_while(|line| !is_header(line))
        .collect()
}

/// What switches the certificate's check off in the table around `begin`, or in the whole of a conda's settings.
pub(crate) fn unchecked(lines: &Lines<'_>, begin: usize, format: Format) -> Option<Range<usize>> {
    let number = lines.number(begin);
    let is_header = |number: &usize| lines.line(*number).starts_with('[');
    let after_header = match format {
        Format::Toml => (0..=number).rev().find(is_header).unwrap_or(0) + 1,
        _ => 0,
    };
    (after_header..lines.count())
        .take_while(|number| format != Format::Toml || !is_header(number))
        .find_map(|number| {
            let line = lines.line(number);
            let plain = line.replace([' ', '\t'], "").to_ascii_lowercase();
            let is_it = if format == Format::Toml {
                plain.starts_with("verify_ssl=false") || plain.starts_with("ssl_verify=false")
            } else {
                // YAML 1.1's other words for false.
                ["ssl_verify:false", "ssl_verify:no", "ssl_verify:off"]
                    .iter()
                    .any(|word| plain.starts_with(word))
            };
            let start = lines.span(number).start + indent(line);
            let end = line.find('#').unwrap_or(line.len());
            is_it.then(|| start..lines.span(number).start + line[..end].trim_end().len())
        })
}

fn is_metadata(head: &str) -> bool {
    let lower = head.to_ascii_lowercase();
    [
        "home_page",
        "homepage",
        "download_url",
        "project_urls",
        "documentation",
        "description",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

//! Where retired hosts stand in a text, strictly: as the host of an authority, or as a bare host name, and never as a
//! part of a longer name, of a login, of a path or of a query.
//!
//! Owns the one rule about where a URL begins and ends. Does not know what a host is there for.

#[cfg(test)]
mod tests;

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, packed};

use crate::map::Map;

/// How far back from a host the beginning of its authority is looked for.
const USERINFO_BYTES_MAX: usize = 1024;

/// The longest variable of a template that is looked through.
const VARIABLE_BYTES_MAX: usize = 256;

/// So few names the automaton alone finds as quickly, without a copy in lower case.
const FEW_NAMES: usize = 3;

/// How far a URL is followed.
const URL_BYTES_MAX: usize = 8 * 1024;

/// A prefilter over the hosts of a map.
#[derive(Debug)]
pub struct Needles {
    automaton: AhoCorasick,
    /// The same names for bytes in lower case, many times as quick; where the processor and the number of names allow.
    packed: Option<packed::Searcher>,
}

/// A retired host in a text; all places are bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The host in lower case, without a dot at its end.
    pub(crate) name: String,
    /// The host as it stands, with a dot at its end if it has one.
    pub(crate) host: Range<usize>,
    /// The port as it stands, without the colon.
    pub(crate) port: Option<u16>,
    /// After the port, or after the host.
    pub(crate) authority_end: usize,
    /// The rest, when it is a URL.
    pub(crate) url: Option<UrlPlace>,
    /// Why it cannot be decided what host this is: a variable is glued to it.
    pub(crate) doubt: Option<&'static str>,
}

/// The parts of a URL around a retired host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlPlace {
    /// Where the scheme begins.
    pub(crate) begin: usize,
    /// http, https, or something else.
    pub(crate) scheme: Scheme,
    /// The login with its `@`, empty when there is none.
    pub(crate) login: Range<usize>,
    /// The path, query and fragment.
    pub(crate) rest: Range<usize>,
}

/// What stands before `://`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    /// Another one, none, or a variable.
    Other,
}

impl Hit {
    /// An https address on a host that is not retired.
    pub(crate) fn elsewhere(text: &str, span: Range<usize>, host: Range<usize>) -> Self {
        Self {
            name: text[host.clone()].to_owned(),
            port: None,
            authority_end: host.end,
            url: Some(UrlPlace {
                begin: span.start,
                scheme: Scheme::Https,
                login: host.start..host.start,
                rest: host.end..span.end,
            }),
            host,
            doubt: None,
        }
    }

    /// Whether this is `*.HOST`, which stands for the names below the host.
    pub(crate) fn is_glob(&self, text: &str) -> bool {
        text[self.host.clone()].starts_with('*')
    }

    /// The whole of it in the text.
    pub(crate) fn span(&self) -> Range<usize> {
        match &self.url {
            Some(url) => url.begin..url.rest.end,
            None => self.host.start..self.authority_end,
        }
    }

    /// The port that is meant, where that is known.
    pub(crate) fn port_meant(&self) -> Option<u16> {
        self.port
            .or_else(|| match self.url.as_ref().map(|url| url.scheme) {
                Some(Scheme::Http) => Some(80),
                Some(Scheme::Https) => Some(443),
                _ => None,
            })
    }
}

impl Needles {
    /// The needles of a map.
    pub fn new(map: &Map) -> Self {
        let mut words: Vec<&str> = map
            .entries()
            .iter()
            .flat_map(|entry| {
                let below = entry.patterns.iter().map(|pattern| &pattern[1..]);
                entry.hosts.iter().map(String::as_str).chain(below)
            })
            .collect();
        // A name that ends in another is found by the other: the run around it is looked at as a whole.
        words.sort_by_key(|word| word.len());
        let mut kept: Vec<&str> = Vec::new();
        for word in words {
            if !kept.iter().any(|shorter| word.ends_with(shorter)) {
                kept.push(word);
            }
        }
        let lower: Vec<String> = kept.iter().map(|word| word.to_ascii_lowercase()).collect();
        let packed = (lower.len() > FEW_NAMES)
            .then(|| packed::Searcher::new(&lower))
            .flatten();
        let build = |words: &[&str]| {
            AhoCorasickBuilder::new()
                .ascii_case_insensitive(true)
                .build(words)
        };
        // An automaton over names of bounded length can always be built; without any it finds nothing.
        let automaton = build(&kept)
            .or_else(|_| AhoCorasick::new(Vec::<&str>::new()))
            .unwrap_or_else(|_| unreachable!("an automaton over nothing"));
        Self { automaton, packed }
    }

    /// Whether any name occurs in these bytes; quick, and no more than a reason to look closer.
    pub fn occur(&self, bytes: &[u8]) -> bool {
        match &self.packed {
            Some(packed) => packed.find(bytes.to_ascii_lowercase()).is_some(),
            None => self.automaton.is_match(bytes),
        }
    }

    /// Every retired host in the text, in order.
    pub(crate) fn hits(&self, text: &str, map: &Map) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        for found in self.automaton.find_iter(text) {
            if hits
                .last()
                .is_some_and(|last| found.start() < last.host.end)
            {
                continue;
            }
            // What would begin inside of the hit before it is no address of its own.
            if let Some(hit) = hit_at(text, found.range(), map)
                && hits
                    .last()
                    .is_none_or(|last| hit.span().start >= last.host.end)
            {
                hits.push(hit);
            }
        }
        hits
    }
}

fn hit_at(text: &str, found: Range<usize>, map: &Map) -> Option<Hit> {
    let bytes = text.as_bytes();
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let begin = found.start
        - bytes[..found.start]
            .iter()
            .rev()
            .take_while(|byte| in_name(byte))
            .count();
    let end = found.end
        + bytes[found.end..]
            .iter()
            .take_while(|byte| in_name(byte))
            .count();
    // A bare `-H` or `-i` may be glued to what follows; the name itself never begins with a hyphen.
    let run = &text[begin..end];
    let dotless = run.strip_suffix('.').unwrap_or(run);
    let name = dotless.to_ascii_lowercase();
    if let Some(below) = name.strip_prefix('.')
        && text[..begin].ends_with('*')
        && !text[..begin - 1].ends_with(|before: char| !" \t\n=:,;[\"'".contains(before))
        && map.find(below).is_some()
    {
        return Some(Hit {
            name: below.to_owned(),
            host: begin - 1..end,
            port: None,
            authority_end: end,
            url: None,
            doubt: None,
        });
    }
    map.find(&name)?;
    let glued = |character: char| !character.is_ascii() && character.is_alphanumeric();
    if text[..begin].chars().next_back().is_some_and(glued)
        || text[end..].chars().next().is_some_and(glued)
    {
        return None;
    }
    let authority = authority_before(text, begin);
    let dot_belongs = dotless.len() < run.len()
        && (text[end..].starts_with(['/', ':', '?', '#'])
            || (authority.is_some() && text[end..].starts_with(['"', '\'', '\\'])));
    let host = begin..(begin + dotless.len() + usize::from(dot_belongs));
    let (port, authority_end) = port_after(text, host.end)?;
    let doubt = glued_variable(text, begin, authority.is_some(), authority_end);
    let after = &text[authority_end..];
    if after.starts_with('@') || (after.starts_with('%') && doubt.is_none()) {
        return None;
    }
    match authority {
        Some(authority) => {
            if authority < begin && doubt.is_none() && bytes[begin - 1] != b'@' {
                return None;
            }
            // The last `@` of the authority ends the login: this host must not be a part of one.
            if login_goes_on(&text[authority_end..]) {
                return None;
            }
            let url = url_around(text, authority, begin, authority_end)?;
            Some(Hit {
                name,
                host,
                port,
                authority_end,
                url: Some(url),
                doubt,
            })
        }
        None if bare_is_fine(text, begin) => Some(Hit {
            name,
            host,
            port,
            authority_end,
            url: None,
            doubt,
        }),
        None => None,
    }
}

/// Where the authority begins that the byte at `at` is in: right after `//` (or `\/\/`), if no other end comes first.
fn authority_before(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let lowest = at.saturating_sub(USERINFO_BYTES_MAX);
    let mut begin = at;
    while begin > lowest {
        if let Some(start) = variable_before(text, begin) {
            begin = start;
        } else if ends_authority(bytes[begin - 1]) {
            break;
        } else {
            begin -= 1;
        }
    }
    while !text.is_char_boundary(begin) {
        begin += 1;
    }
    let before = &text[..begin];
    (before.ends_with("//") || before.ends_with("\\/\\/")).then_some(begin)
}

/// Where a variable of a template begins that ends at `end`: `{{ name }}` with whatever stands in it, `$(name)`.
fn variable_before(text: &str, end: usize) -> Option<usize> {
    if !text.is_char_boundary(end) {
        return None;
    }
    let head = &text[text.floor_char_boundary(end.saturating_sub(VARIABLE_BYTES_MAX))..end];
    let begin = end - head.len();
    if head.ends_with("}}") {
        let at = head.rfind("{{")?;
        return (!head[at..].contains('\n')).then_some(begin + at);
    }
    if head.ends_with(')') {
        let at = head.rfind("$(")?;
        return (!head[at..].contains(char::is_whitespace)).then_some(begin + at);
    }
    None
}

/// Where an authority ends that `text` begins with. Variables of templates are a part of it, with the spaces in them.
pub(crate) fn authority_length(text: &str) -> usize {
    let mut at = 0;
    while at < text.len().min(USERINFO_BYTES_MAX) {
        let rest = &text[at..];
        let variable = [("{{", "}}"), ("$(", ")")]
            .iter()
            .find(|(open, _)| rest.starts_with(open))
            .and_then(|(_, close)| Some((rest.find(close)?, close.len())))
            .filter(|(length, _)| !rest[..*length].contains('\n') && *length < VARIABLE_BYTES_MAX);
        if let Some((length, close)) = variable {
            at += length + close;
        } else if ends_authority(rest.as_bytes()[0]) {
            break;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

const fn ends_authority(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'/' | b'\\' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'?' | b'#' | b'|' | b'(' | b')'
        )
}

/// The port after a host and where the authority ends; `None` when digits run into something else.
fn port_after(text: &str, at: usize) -> Option<(Option<u16>, usize)> {
    let Some(rest) = text[at..].strip_prefix(':') else {
        return Some((None, at));
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        // An empty port is the scheme's.
        let empty = rest.starts_with('/') && !rest.starts_with("//");
        return Some((None, at + usize::from(empty)));
    }
    let port = rest[..digits].parse().ok()?;
    let next = rest[digits..].chars().next();
    if next.is_some_and(|next| next.is_alphanumeric() || "._-".contains(next)) && next != Some('.')
    {
        return None;
    }
    Some((Some(port), at + 1 + digits))
}

/// Whether more of a login follows: the text up to the end of the authority has an `@`.
fn login_goes_on(after: &str) -> bool {
    let length = after
        .bytes()
        .take(USERINFO_BYTES_MAX)
        .take_while(|byte| !ends_authority(*byte) && *byte != b',')
        .count();
    after.as_bytes()[..length].contains(&b'@')
}

fn glued_variable(text: &str, begin: usize, in_url: bool, end: usize) -> Option<&'static str> {
    let before = text[..begin].chars().next_back();
    let after = &text[end..];
    let opens = ["${", "$(", "{{", "$"]
        .iter()
        .any(|mark| after.starts_with(mark))
        && !after.starts_with("$\"")
        && after.len() > 1
        && after[1..].starts_with(|next: char| next.is_ascii_alphabetic() || "{(_".contains(next));
    if opens {
        return Some("a variable follows the host");
    }
    if after.starts_with(":$") || after.starts_with(":{{") {
        return Some("the port is a variable");
    }
    (in_url && before == Some('}')).then_some("a variable stands before the host")
}

/// The URL whose authority begins at `authority`; `None` when it is a part of another URL.
fn url_around(text: &str, authority: usize, host: usize, authority_end: usize) -> Option<UrlPlace> {
    let slashes = if text[..authority].ends_with("\\/\\/") {
        4
    } else {
        2
    };
    let before = &text[..authority - slashes];
    let (begin, scheme) = match before.strip_suffix(':') {
        Some(head) => {
            let word = head
                .bytes()
                .rev()
                .take_while(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(byte))
                .count();
            let word = &head[head.len() - word..];
            let lower = word.to_ascii_lowercase();
            // What stands glued to the left (`-i`, `git+`) is no part of the address.
            let (length, scheme) = if lower.ends_with("https") {
                (5, Scheme::Https)
            } else if lower.ends_with("http") {
                (4, Scheme::Http)
            } else {
                (word.len(), Scheme::Other)
            };
            (head.len() - length, scheme)
        }
        None => (authority - slashes, Scheme::Other),
    };
    if inside_other_url(text, begin) {
        return None;
    }
    let rest = authority_end..rest_end(text, authority_end);
    Some(UrlPlace {
        begin,
        scheme,
        login: authority..host,
        rest,
    })
}

/// Whether what begins at `begin` is the path or query of a URL that began before it in the same word.
fn inside_other_url(text: &str, begin: usize) -> bool {
    let head = &text[..begin];
    let lowest = head.len().saturating_sub(URL_BYTES_MAX);
    let word = head
        .bytes()
        .rev()
        .take(head.len() - lowest)
        .take_while(|byte| !byte.is_ascii_whitespace() && !b"\"'`<>()[]|".contains(byte))
        .count();
    let word = &head.as_bytes()[head.len() - word..];
    let separated = matches!(word.last(), Some(b',' | b';')) && !word.contains(&b'?');
    !separated && word.windows(3).any(|three| three == b"://")
        || word.ends_with(b"%2F%2F")
        || word.last() == Some(&b'/') && text[begin..].starts_with("//")
}

/// A bare host stands alone: not in a path, not in a URL, not after an `@`, not behind a backslash.
fn bare_is_fine(text: &str, begin: usize) -> bool {
    let before = text[..begin].chars().next_back();
    !matches!(
        before,
        Some('/' | '\\' | '@' | '%' | '$' | '}' | '?' | '&' | '#' | '+' | '~')
    ) && !inside_other_url(text, begin)
}

/// Where path, query and fragment end.
fn rest_end(text: &str, from: usize) -> usize {
    let after = &text[from..];
    if !after.starts_with(['/', '?', '#']) && !after.starts_with("\\/") {
        return from;
    }
    let bytes = after.as_bytes();
    let mut depth = 0_i32;
    let mut end = 0;
    while end < bytes.len().min(URL_BYTES_MAX) {
        match bytes[end] {
            b'\\' if bytes.get(end + 1) == Some(&b'/') => end += 1,
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' if depth == 0 => break,
            b'}' | b')' | b']' => depth -= 1,
            b' ' | b'\t'
                if depth > 0 && after[..end].ends_with(['{', '|'])
                    || variable_open(&after[..end]) => {}
            byte if byte.is_ascii_whitespace() || b"\"'`<>|\\^".contains(&byte) => break,
            b',' if after[end + 1..]
                .trim_start_matches("\\n")
                .starts_with("http")
                || after[end + 1..].starts_with(char::is_whitespace)
                || end + 1 == bytes.len() =>
            {
                break;
            }
            b';' | b'&'
                if after[end + 1..].starts_with(char::is_whitespace)
                    || end + 1 == bytes.len()
                    || bytes[end + 1] == b'&' =>
            {
                break;
            }
            _ => {}
        }
        end += 1;
    }
    while !after.is_char_boundary(end) {
        end -= 1;
    }
    // The dot of a sentence is none of the address's.
    let trimmed = after[..end].trim_end_matches(['.', ',', ';', ':', '!']);
    from + trimmed.len()
}

/// Whether a `{{` of a template is open.
fn variable_open(text: &str) -> bool {
    text.rfind("{{")
        .is_some_and(|open| !text[open..].contains("}}"))
}

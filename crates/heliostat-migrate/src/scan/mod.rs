//! One file's bytes in, its references out: where each retired host stands, what it is there for, what the map says,
//! and the edits that do it. Pure; walking and writing are the program's.

mod context;
mod format;
pub(crate) mod hit;
mod marks;
mod notebook;
mod remove;
mod setting;
#[cfg(test)]
mod tests;
mod unresolved;
mod word;

use std::ops::Range;

use serde::Serialize;

pub use format::Format;
pub use hit::Needles;

use crate::edit::{Edit, settle};
use crate::kind::{Action, Kind, Severity};
use crate::map::{Address, Decision, Login, Map, Retired};
use crate::text::Text;
use context::Purpose;
use hit::{Hit, Scheme};
use marks::{ignored, in_docstring, in_script_block, is_generated};
use notebook::Code;
pub(crate) use setting::Lines;
pub(crate) use word::meaning;

/// A reference to a retired host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named, with `/` between names.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// The first byte in the file.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What stands there, without a login's secrets.
    pub text: String,
    /// What it is there for.
    pub kind: Kind,
    /// What is done about it.
    pub action: Action,
    /// Whether a tool acts on it: not in a comment, not in prose.
    pub active: bool,
    /// What comes in its place, without a login's secrets; `None` when it goes or nothing is known.
    pub replacement: Option<String>,
    /// Whether a login stands in it.
    pub has_credentials: bool,
    /// The retired host in lower case.
    pub host: String,
    /// How much it matters.
    pub severity: Severity,
    /// Why a person has to look, or what to know.
    pub reason: Option<String>,
}

/// An address that cannot be decided: a variable is where the host would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unresolved {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// The first byte in the file.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What stands there.
    pub text: String,
    /// What it is there for.
    pub kind: Kind,
    /// Whether a retired host stands in it all the same.
    pub names_retired_host: bool,
    /// Why it cannot be decided.
    pub reason: String,
}

/// What one file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileScan {
    /// References, in order.
    pub findings: Vec<Finding>,
    /// What cannot be decided.
    pub unresolved: Vec<Unresolved>,
    /// The edits of every finding that is rewritten or removed, settled.
    pub edits: Vec<Edit>,
}

impl Finding {
    /// Whether something is changed for it.
    pub const fn is_safe(&self) -> bool {
        !matches!(self.action, Action::Report)
    }
}

/// A map with its needles, ready for any number of files.
#[derive(Debug)]
pub struct Scanner {
    map: Map,
    needles: Needles,
}

impl Scanner {
    /// A scanner for a map.
    pub fn new(map: Map) -> Self {
        let needles = Needles::new(&map);
        Self { map, needles }
    }

    /// The map.
    pub const fn map(&self) -> &Map {
        &self.map
    }

    /// Whether a file of these bytes is worth a scan. Quick: this is all that most files cost.
    pub fn may_hold(&self, bytes: &[u8]) -> bool {
        let wide = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        wide || self.needles.occur(bytes) || unresolved::may_hold(bytes)
    }

    /// Whether a retired host's name stands anywhere in a text.
    pub(crate) fn occurs(&self, text: &str) -> bool {
        self.needles.occur(text.as_bytes())
    }

    /// Scans one file.
    pub fn scan(&self, file: &str, bytes: &[u8]) -> FileScan {
        if !self.may_hold(bytes) {
            return FileScan::default();
        }
        let Some(text) = Text::read(bytes) else {
            return FileScan::default();
        };
        let lines = Lines::new(text.view());
        let format = Format::of(file, text.view());
        let generated = !format.is_lock() && is_generated(text.view());
        let place = Place {
            file,
            text: &text,
            lines: &lines,
        };
        let code = (format == Format::Notebook).then(|| Code::of(text.view()));
        let judged: Vec<Judged<'_>> = self
            .needles
            .hits(text.view(), &self.map)
            .into_iter()
            .filter_map(|hit| self.judge(&lines, hit, format, code.as_ref()))
            .collect();
        let mut scan = FileScan::default();
        let mut edits = Vec::new();
        for index in 0..judged.len() {
            if let Some(reason) = judged[index].hit.doubt {
                scan.unresolved
                    .push(place.unresolved(&judged[index], reason));
                continue;
            }
            let (mut finding, mut spans) = settle_one(&place, &judged, index, format);
            if generated && finding.active && finding.action != Action::Report {
                finding.action = Action::Report;
                finding.reason = Some(
                    "the file says that it is generated: change what it is made from".to_owned(),
                );
                spans.clear();
            }
            if finding.action == Action::Rewrite && matches!(format, Format::Toml | Format::Yaml) {
                scan.findings
                    .extend(place.unchecked(&judged[index], format));
            }
            edits.extend(spans.into_iter().map(|(span, new)| Edit {
                span: text.byte(span.start)..text.byte(span.end),
                new: text.encode(&new),
            }));
            scan.findings.push(finding);
        }
        scan.findings.extend(stale_hashes(&place, &scan.findings));
        scan.unresolved
            .extend(unresolved::find(file, &text, &lines, format));
        scan.unresolved.sort_by_key(|unresolved| unresolved.start);
        scan.findings.sort_by_key(|finding| finding.start);
        scan.findings
            .dedup_by(|a, b| a.start == b.start && a.kind == b.kind);
        scan.edits = settle(edits);
        scan
    }

    fn judge(
        &self,
        lines: &Lines<'_>,
        hit: Hit,
        format: Format,
        code: Option<&Code>,
    ) -> Option<Judged<'_>> {
        let number = lines.number(hit.host.start);
        let line = lines.line(number);
        if ignored(line, &hit.name) {
            return None;
        }
        let at = hit.span().start.saturating_sub(lines.span(number).start);
        let mut purpose = context::purpose(lines, &hit, format);
        let script = format == Format::Python && in_script_block(lines, number);
        let code = code.map(|code| code.before(lines.text, hit.span().start));
        let comment = !script
            && match code {
                Some(code) => code.is_some_and(|code| format::begins_comment(code, "#")),
                None => {
                    format.comments(line, at.min(line.len()))
                        || format == Format::Python && in_docstring(lines.text, hit.host.start)
                }
            };
        if script && purpose.kind == Kind::Other {
            purpose.kind = Kind::Index;
        }
        let prose = format == Format::Prose || code == Some(None) || purpose.kind == Kind::Doc;
        let url = hit.url.as_ref();
        let raw = url.map_or("", |url| &lines.text[url.rest.clone()]);
        let path = raw.replace("\\/", "/");
        let (entry, decision) = self.map.decide(&Address {
            host: &hit.name,
            port: hit.port_meant(),
            path: &path,
            kind: purpose.kind,
        })?;
        Some(Judged {
            hit,
            entry,
            decision,
            purpose,
            shown: if prose {
                Some(Kind::Doc)
            } else {
                comment.then_some(Kind::Comment)
            },
        })
    }
}

fn settle_one(
    place: &Place<'_>,
    judged: &[Judged<'_>],
    index: usize,
    format: Format,
) -> (Finding, Vec<(Range<usize>, String)>) {
    let one = &judged[index];
    let active = one.shown.is_none();
    let mut finding = place.finding(one);
    let mut spans = Vec::new();
    match &one.decision {
        Decision::Rewrite {
            to,
            path_length,
            login,
        } => {
            let rewritten = rewritten(place.lines.text, &one.hit, to, *path_length, *login);
            match rewritten {
                Some((span, new)) => {
                    let rest = &place.lines.text[span.end..one.hit.span().end];
                    finding.replacement = Some(redacted(&format!("{new}{rest}")));
                    finding.action = Action::Rewrite;
                    if finding.has_credentials {
                        finding.reason = Some(login_words(*login).to_owned());
                    }
                    spans.push((span, new));
                }
                None => {
                    finding.reason =
                        Some("its scheme is not known: write the new address by hand".to_owned());
                }
            }
        }
        Decision::Hosts(hosts) => match allowed(place, one, hosts) {
            Some((span, new)) => {
                finding.replacement = Some(new.clone());
                finding.action = Action::Rewrite;
                spans.push((span, new));
            }
            None => {
                finding.reason = Some(format!("allow {} in its place", hosts.join(" and ")));
            }
        },
        Decision::Remove => match removal(place.lines, judged, index, format) {
            Some(cuts) => {
                finding.action = Action::Remove;
                spans.extend(cuts.into_iter().map(|cut| (cut, String::new())));
            }
            None => {
                finding.reason =
                    Some("delete this setting: it must not be given to the new host".to_owned());
            }
        },
        Decision::Report { reason } => finding.reason = Some(reason.clone()),
    }
    let by_hand = active.then(|| by_hand(place, one, format)).flatten();
    if !active || format == Format::Unknown || by_hand.is_some() || one.entry_is_out_of_reach() {
        finding.action = Action::Report;
        spans.clear();
        if let Some(reason) = by_hand {
            finding.reason = Some(reason.to_owned());
        }
        if active && format == Format::Unknown {
            finding.reason.get_or_insert_with(|| {
                "a kind of file that is not known: change it by hand".to_owned()
            });
        }
    }
    (finding, spans)
}

/// Why an address that could be rewritten is left to a person.
fn by_hand(place: &Place<'_>, one: &Judged<'_>, format: Format) -> Option<&'static str> {
    let line = place.lines.number(one.hit.host.start);
    let head = &place.lines.text[place.lines.span(line).start..one.hit.span().start];
    if format == Format::PipConf && one.purpose.kind == Kind::Other && head.contains([';', '#']) {
        return Some(
            "pip knows no comments behind a value: all of the line is its value, put it right by hand",
        );
    }
    (format == Format::OtherLock && place.file.ends_with("MODULE.bazel.lock"))
        .then_some("bazel makes this file: run `bazel mod deps --lockfile_mode=update`")
}

/// What becomes of a login, which pip and uv do not take along when they are redirected to another host.
const fn login_words(login: Login) -> &'static str {
    match login {
        Login::Drop => {
            "the login is left out, and no redirect carries it: give it to the new host with netrc or a keyring, if it \
             needs one"
        }
        Login::Keep => {
            "the login goes along, but no redirect carries it: rewrite this before the old name only redirects"
        }
    }
}

fn allowed(
    place: &Place<'_>,
    one: &Judged<'_>,
    hosts: &[String],
) -> Option<(Range<usize>, String)> {
    let text = place.lines.text;
    let setting = one.purpose.setting.as_ref()?;
    let quoted = text[setting.word.end..one.hit.host.start].contains('[');
    let line = place.lines.line(place.lines.number(one.hit.host.start));
    let separator = if text[..setting.word.end].ends_with("-H") || line.contains(',') {
        ","
    } else {
        " "
    };
    (!quoted && one.hit.url.is_none()).then(|| (one.hit.span(), hosts.join(separator)))
}

/// A hit with all that is known of it.
#[derive(Debug)]
struct Judged<'map> {
    hit: Hit,
    entry: &'map Retired,
    decision: Decision,
    purpose: Purpose,
    /// Comment or prose, which is shown in place of the purpose.
    shown: Option<Kind>,
}

impl Judged<'_> {
    /// Other schemes than http and https are not an index's.
    fn entry_is_out_of_reach(&self) -> bool {
        self.hit
            .url
            .as_ref()
            .is_some_and(|url| url.scheme == Scheme::Other)
            && matches!(self.decision, Decision::Rewrite { .. })
    }
}

/// A file's text with what places in it need.
struct Place<'a> {
    file: &'a str,
    text: &'a Text<'a>,
    lines: &'a Lines<'a>,
}

impl Place<'_> {
    fn finding(&self, one: &Judged<'_>) -> Finding {
        let span = one.hit.span();
        let (line, column) = position(self.lines, span.start);
        let kind = one.shown.unwrap_or(one.purpose.kind);
        let login = one
            .hit
            .url
            .as_ref()
            .is_some_and(|url| !url.login.is_empty());
        Finding {
            file: self.file.to_owned(),
            line,
            column,
            start: self.text.byte(span.start),
            end: self.text.byte(span.end),
            text: redacted(&self.lines.text[span]),
            kind,
            action: Action::Report,
            active: one.shown.is_none(),
            replacement: None,
            has_credentials: login,
            host: one.hit.name.clone(),
            severity: kind.severity(),
            reason: (one.shown.is_some() && one.entry.rules.is_empty())
                .then(|| one.entry.why.clone()),
        }
    }

    /// A source that moves, and whose certificate nobody checks: the new one is to be checked.
    fn unchecked(&self, one: &Judged<'_>, format: Format) -> Option<Finding> {
        let span = context::unchecked(self.lines, one.hit.host.start, format)?;
        let (line, column) = position(self.lines, span.start);
        Some(Finding {
            line,
            column,
            start: self.text.byte(span.start),
            end: self.text.byte(span.end),
            text: self.lines.text[span].to_owned(),
            kind: Kind::TrustedHost,
            severity: Kind::TrustedHost.severity(),
            has_credentials: false,
            reason: Some(
                "this source's certificate is not checked: turn that on for the new host"
                    .to_owned(),
            ),
            ..self.finding(one)
        })
    }

    fn unresolved(&self, one: &Judged<'_>, reason: &str) -> Unresolved {
        let span = one.hit.span();
        let (line, column) = position(self.lines, span.start);
        Unresolved {
            file: self.file.to_owned(),
            line,
            column,
            start: self.text.byte(span.start),
            end: self.text.byte(span.end),
            text: redacted(&self.lines.text[span]),
            kind: one.purpose.kind,
            names_retired_host: true,
            reason: reason.to_owned(),
        }
    }
}

/// The most platforms that a conda-lock.yml is for.
const PLATFORMS_MAX: usize = 64;

/// conda-lock's hashes, one a platform, over what it locked: the channels, every dependency as it understood them and its
/// own list of virtual packages. Only conda-lock can make them again.
fn stale_hashes(place: &Place<'_>, findings: &[Finding]) -> Vec<Finding> {
    let moved = findings
        .iter()
        .find(|one| one.kind == Kind::LockSource && one.action == Action::Rewrite);
    let Some(moved) = moved.filter(|_| place.file.contains("conda-lock")) else {
        return Vec::new();
    };
    let lines = place.lines;
    let of_hash = |number: &usize| {
        let line = lines.line(*number);
        let (key, digits) = line.trim().split_once(": ").unwrap_or_default();
        let mut above = (number.saturating_sub(PLATFORMS_MAX)..*number)
            .rev()
            .map(|above| lines.line(above).trim());
        !key.is_empty()
            && digits.len() == 64
            && digits.is_ascii()
            && above.find(|line| line.ends_with(':')) == Some("content_hash:")
    };
    (0..lines.count())
        .filter(of_hash)
        .map(|number| {
            let span = lines.span(number);
            let line = lines.line(number).trim_end();
            let start = span.start + line.len() - 64;
            let (number, column) = position(lines, start);
            Finding {
                line: number,
                column,
                start: place.text.byte(start),
                end: place.text.byte(start + 64),
                text: lines.text[start..start + 64].to_owned(),
                kind: Kind::LockContentHash,
                action: Action::Report,
                replacement: None,
                has_credentials: false,
                severity: Kind::LockContentHash.severity(),
                reason: Some(
                    "covers the channels: after the move run `conda-lock lock`, which makes it anew"
                        .to_owned(),
                ),
                ..moved.clone()
            }
        })
        .collect()
}

/// Line and column of a byte, from 1, in characters.
pub(crate) fn position(lines: &Lines<'_>, at: usize) -> (usize, usize) {
    let number = lines.number(at);
    let start = lines.span(number).start;
    (number + 1, lines.text[start..at].chars().count() + 1)
}

/// The span that a rewrite replaces, and what comes there. `None` when the address has no scheme of ours.
fn rewritten(
    text: &str,
    hit: &Hit,
    to: &str,
    path_length: usize,
    login: Login,
) -> Option<(Range<usize>, String)> {
    let url = hit.url.as_ref()?;
    if url.scheme == Scheme::Other {
        return None;
    }
    let rest = &text[url.rest.clone()];
    let escaped = text[url.begin..url.rest.end].contains("\\/");
    // The prefix in the text is longer than in the map where its slashes are escaped.
    let mut raw = 0;
    for _ in 0..path_length {
        raw += if rest[raw..].starts_with("\\/") {
            2
        } else {
            rest[raw..].chars().next().map_or(0, char::len_utf8)
        };
    }
    let raw = raw.min(rest.len());
    let mut new = to.to_owned();
    let kept = &text[url.login.clone()];
    if login == Login::Keep && !kept.is_empty() {
        new = new.replacen("://", &format!("://{kept}"), 1);
    }
    if escaped {
        new = new.replace('/', "\\/");
    }
    Some((url.begin..url.rest.start + raw, new))
}

/// The cuts for a value that goes, together with its fellows in the same setting.
fn removal(
    lines: &Lines<'_>,
    judged: &[Judged<'_>],
    index: usize,
    format: Format,
) -> Option<Vec<Range<usize>>> {
    let one = &judged[index];
    let setting = one.purpose.setting.as_ref()?;
    let fellows: Vec<Range<usize>> = judged
        .iter()
        .filter(|other| {
            other.purpose.setting.as_ref() == Some(setting) && other.decision == Decision::Remove
        })
        .map(|other| other.hit.span())
        .collect();
    remove::cuts(lines, setting, &one.hit.span(), &fellows, format)
}

/// An address without the secret of its login.
pub fn redacted(text: &str) -> String {
    let Some(begin) = text
        .find("//")
        .map(|at| at + 2)
        .or_else(|| text.find("\\/\\/").map(|at| at + 4))
    else {
        return text.to_owned();
    };
    let end = text[begin..]
        .find(['/', '?', '#', '\\'])
        .map_or(text.len(), |length| begin + length);
    let Some(at) = text[begin..end].rfind('@') else {
        return text.to_owned();
    };
    let login = &text[begin..begin + at];
    let hidden = match login.split_once(':') {
        Some((user, _)) if !user.is_empty() && user.len() < 20 => format!("{user}:****"),
        _ => "****".to_owned(),
    };
    format!("{}{hidden}{}", &text[..begin], &text[begin + at..])
}

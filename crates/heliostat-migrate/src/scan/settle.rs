//! What is done about one hit: the finding that tells it and the spans that change, by what the map decided.

use std::ops::Range;

use super::context::{self, Purpose};
use super::finding::{Finding, Unresolved, redacted};
use super::format::Format;
use super::hit::{Hit, Scheme};
use super::remove;
use super::setting::{Lines, position};
use crate::kind::{Action, Kind};
use crate::map::{Decision, Login, Retired};
use crate::text::Text;

/// The finding of one hit, and what is written in place of which spans.
pub(super) fn settle_one(
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
        Decision::Hosts(hosts) if one.hit.is_glob(place.lines.text) => {
            finding.reason = Some(format!(
                "also stands for retired hosts: allow {} too",
                hosts.join(" and ")
            ));
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
pub(super) struct Judged<'map> {
    pub(super) hit: Hit,
    pub(super) entry: &'map Retired,
    pub(super) decision: Decision,
    pub(super) purpose: Purpose,
    /// Comment or prose, which is shown in place of the purpose.
    pub(super) shown: Option<Kind>,
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
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a Text<'a>,
    pub(super) lines: &'a Lines<'a>,
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
    pub(super) fn unchecked(&self, one: &Judged<'_>, format: Format) -> Option<Finding> {
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

    pub(super) fn unresolved(&self, one: &Judged<'_>, reason: &str) -> Unresolved {
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
    let Some(setting) = one.purpose.setting.as_ref() else {
        return remove::named_item(lines, &one.hit.span(), format);
    };
    let fellows: Vec<Range<usize>> = judged
        .iter()
        .filter(|other| {
            other.purpose.setting.as_ref() == Some(setting) && other.decision == Decision::Remove
        })
        .map(|other| other.hit.span())
        .collect();
    remove::cuts(lines, setting, &one.hit.span(), &fellows, format)
}

//! One file's bytes in, its references out: where each retired host stands, what it is there for, what the map says,
//! and the edits that do it. Pure; walking and writing are the program's.

mod context;
mod duplicate;
mod finding;
mod format;
pub(crate) mod hit;
mod marks;
mod notebook;
mod remove;
mod setting;
mod settle;
mod stale;
#[cfg(test)]
mod tests;
mod unresolved;
mod word;

pub use finding::{FileScan, Finding, Unresolved, redacted};
pub use format::Format;
pub use hit::Needles;

use crate::edit::{Edit, settle};
use crate::kind::{Action, Kind};
use crate::map::{Address, Map};
use crate::text::Text;
use hit::Hit;
use marks::{ignored, in_docstring, in_script_block, is_generated};
use notebook::Code;
pub(crate) use setting::{Lines, position};
use settle::{Judged, Place, settle_one};
use stale::stale_hashes;
pub(crate) use word::meaning;

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
        duplicate::mark(&place, &mut scan.findings, format);
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
        if hit.is_glob(lines.text) && purpose.kind != Kind::AllowedHost {
            return None;
        }
        // A name of one label is a word like any other where nothing takes a host.
        if hit.url.is_none() && !hit.name.contains('.') && purpose.kind == Kind::Host {
            return None;
        }
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

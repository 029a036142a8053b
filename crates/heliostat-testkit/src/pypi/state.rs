//! What the index holds at the moment, the rules in force, and the documents rendered from it.

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::fault::{ActiveRule, Fault};
use super::negotiate::Format;
use super::render::{self, Style};
use super::route::Asked;
use super::{Lack, Options, UrlStyle};
use crate::universe::{Project, Universe};

/// Bodies smaller than this are not compressed, as at most servers.
const GZIP_MIN_BYTES: usize = 500;
/// Documents kept rendered; cleared whole when exceeded.
const RENDERED_MAX: usize = 50_000;

#[derive(Debug)]
pub(super) struct State {
    pub(super) universe: Universe,
    pub(super) rules: Vec<ActiveRule>,
    pub(super) lacks: BTreeSet<Lack>,
    rendered: HashMap<Key, (u64, Rendered)>,
}

/// A document, ready to send.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    pub(super) body: Bytes,
    pub(super) etag: String,
    pub(super) gzipped: Option<Bytes>,
}

/// Where the index and its files can be reached, each ending in a slash.
#[derive(Debug, Clone)]
pub(super) struct Bases {
    pub(super) index: String,
    pub(super) files: String,
}

/// Which variant of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Variant {
    Simple(Format),
    Legacy,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// Empty for the root list.
    name: String,
    variant: Variant,
}

impl State {
    pub(super) fn new(universe: Universe, lacks: BTreeSet<Lack>) -> Self {
        Self {
            universe,
            rules: Vec::new(),
            lacks,
            rendered: HashMap::new(),
        }
    }

    /// The fault this request is to meet.
    pub(super) fn judge(&mut self, asked: &Asked, bypasses_caches: bool) -> Option<Fault> {
        self.rules
            .iter_mut()
            .find_map(|rule| rule.judge(asked, bypasses_caches))
    }

    pub(super) fn set_lacks(&mut self, lacks: BTreeSet<Lack>) {
        self.lacks = lacks;
        self.rendered.clear();
    }

    /// The root list as it is now.
    pub(super) fn list(&mut self, format: Format, bases: &Bases, options: &Options) -> Rendered {
        let key = Key {
            name: String::new(),
            variant: Variant::Simple(format),
        };
        let revision = self.universe.revision();
        if let Some((_, rendered)) = self
            .rendered
            .get(&key)
            .filter(|(known, _)| *known == revision)
        {
            return rendered.clone();
        }
        let rendered = self.list_under(self.universe.serial(), format, bases, options);
        self.rendered.insert(key, (revision, rendered.clone()));
        rendered
    }

    /// The root list under another serial, as a misbehaving index shows it.
    pub(super) fn list_under(
        &self,
        serial: u64,
        format: Format,
        bases: &Bases,
        options: &Options,
    ) -> Rendered {
        let body = match format {
            Format::Json => render::list_json(&self.universe, serial, &self.style(bases, options)),
            Format::Html | Format::HtmlV1 => render::list_html(&self.universe),
        };
        Rendered::new(body, options)
    }

    /// A project's document as it is now; the caller has made sure that the project is there.
    pub(super) fn project(
        &mut self,
        name: &str,
        variant: Variant,
        bases: &Bases,
        options: &Options,
    ) -> Option<Rendered> {
        let revision = self.universe.project(name)?.revision;
        let key = Key {
            name: name.to_owned(),
            variant,
        };
        if let Some((_, rendered)) = self
            .rendered
            .get(&key)
            .filter(|(known, _)| *known == revision)
        {
            return Some(rendered.clone());
        }
        let rendered = self.render_project(
            name,
            self.universe.project(name)?,
            variant,
            (bases, options),
        );
        if self.rendered.len() >= RENDERED_MAX {
            self.rendered.clear();
        }
        self.rendered.insert(key, (revision, rendered.clone()));
        Some(rendered)
    }

    /// Some project's document, not kept.
    pub(super) fn render_project(
        &self,
        name: &str,
        project: &Project,
        variant: Variant,
        (bases, options): (&Bases, &Options),
    ) -> Rendered {
        let style = self.style(bases, options);
        let body = match variant {
            Variant::Simple(Format::Json) => render::page_json(name, project, &style),
            Variant::Simple(Format::Html | Format::HtmlV1) => {
                render::page_html(name, project, &style)
            }
            Variant::Legacy => render::legacy_json(name, project, &style),
        };
        Rendered::new(body, options)
    }

    fn style(&self, bases: &Bases, options: &Options) -> Style<'_> {
        // Relative addresses climb from `<root><name>/` to the top.
        let files_base = match options.urls {
            UrlStyle::Absolute => bases.files.clone(),
            UrlStyle::Relative => "../".repeat(options.root.matches('/').count()),
        };
        let flat_base = options
            .flat_files
            .as_ref()
            .map(|prefix| match options.urls {
                UrlStyle::Absolute => format!("{}{}", bases.files.trim_end_matches('/'), prefix),
                UrlStyle::Relative => prefix.clone(),
            });
        Style {
            files_base,
            index_base: bases.index.clone(),
            flat_base,
            lacks: &self.lacks,
        }
    }
}

impl Rendered {
    fn new(body: Vec<u8>, options: &Options) -> Self {
        let etag = format!("\"{}\"", &crate::fixture::sha256_hex(&body)[..32]);
        let compress =
            options.page_coding == super::PageCoding::Gzip && body.len() >= GZIP_MIN_BYTES;
        Self {
            gzipped: compress.then(|| gzip(&body)),
            body: Bytes::from(body),
            etag,
        }
    }
}

pub(super) fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .expect("writing to memory cannot fail");
    Bytes::from(encoder.finish().expect("writing to memory cannot fail"))
}

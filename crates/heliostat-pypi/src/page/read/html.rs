//! PEP 503 HTML, through a tokenizer that follows the HTML standard. Builds no tree: anchors are judged as they pass.

use std::borrow::Cow;
use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use url::Url;

use super::check::{PageCheck, PageHead, project_status};
use super::raw::{Loose, RawFile};
use super::{
    LIST_PROJECTS_MAX, ListRead, PAGE_FILES_MAX, PageError, PageRead, Rejected, check_api_version,
};
use crate::{ProjectName, Serial};

/// Attributes kept of one tag; more are passed over.
const ATTRIBUTES_MAX: usize = 32;

/// Bytes kept of an anchor's text and of a page's headings.
const TEXT_BYTES_MAX: usize = 1_024;

/// What headings of empty listings say: PyPI's and its imitators', web servers' directory listings.
const LISTING_WORDS: [&str; 3] = ["links for", "index of", "simple index"];

/// A finished `<a>`, or the start of any other tag we listen to.
#[derive(Debug, Default)]
struct Tag {
    name: TagName,
    attributes: Vec<(String, String)>,
    /// What stands between `<a>` and `</a>`.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum TagName {
    A,
    Base,
    Meta,
    #[default]
    Other,
}

/// Where text that passes belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Body,
    Anchor,
    /// `<title>` or `<h1>`.
    Heading,
    /// `<script>` or `<style>`.
    Hidden,
}

/// Turns the tokenizer's events into anchors, which go to `take` one by one, and findings.
struct Scan<F> {
    take: F,
    anchors_max: usize,
    tag: Tag,
    anchor: Option<Tag>,
    in_start_tag: bool,
    place: Place,
    found: Findings,
}

/// What a document says apart from its anchors.
#[derive(Debug, Default)]
struct Findings {
    anchors: usize,
    /// The first `<base href>`, which stands before the anchors it is for.
    base: Option<String>,
    version: Option<String>,
    status: Option<String>,
    status_reason: Option<String>,
    /// From PyPI's `<!--SERIAL n-->`.
    serial: Option<Serial>,
    headings: String,
    tags: usize,
    /// Bytes of text, white space aside, outside of anchors and headings.
    text_bytes: usize,
    html: Element,
}

/// How far an element got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Element {
    #[default]
    Absent,
    Open,
    Closed,
}

pub(super) fn read_page(
    name: &ProjectName,
    body: &[u8],
    base: &Url,
) -> Result<PageRead, PageError> {
    let mut check = PageCheck::new(name, base);
    let mut rebased = false;
    let found = scan(body, PAGE_FILES_MAX, |anchor, base| {
        if let Some(base) = base
            && !rebased
        {
            check.rebase(base);
            rebased = true;
        }
        if let Some(raw) = anchor.as_file() {
            check.take(&raw);
        }
    })?;
    if check.accepted() == 0 && !found.is_listing() {
        return Err(PageError::Html(
            "it lists no file and does not say that it is a listing".to_owned(),
        ));
    }
    let status = project_status(found.status.as_deref(), found.status_reason.as_deref());
    Ok(check.finish(PageHead {
        serial: found.serial,
        status,
        versions: Vec::new(),
    }))
}

pub(super) fn read_list(body: &[u8]) -> Result<ListRead, PageError> {
    let (mut projects, mut rejected) = (Vec::new(), Vec::new());
    let found = scan(body, LIST_PROJECTS_MAX, |anchor, _base| {
        let Some(href) = anchor.attribute("href") else {
            return;
        };
        let text = anchor.text.trim().trim_end_matches('/');
        let segment = href
            .split(['?', '#'])
            .next()
            .unwrap_or(href)
            .trim_end_matches('/')
            .rsplit('/')
            .next();
        // The text is the name by PEP 503; directory listings cut it short, and then the address has it whole.
        match text
            .parse::<ProjectName>()
            .or_else(|error| segment.unwrap_or_default().parse().map_err(|_| error))
        {
            Ok(name) => projects.push((name, None)),
            Err(error) => rejected.push(Rejected::new(
                if text.is_empty() { href } else { text },
                error.reason,
            )),
        }
    })?;
    if projects.is_empty() && !found.is_listing() {
        return Err(PageError::Html(
            "it names no project and does not say that it is a listing".to_owned(),
        ));
    }
    Ok(ListRead {
        serial: found.serial,
        projects,
        rejected,
    })
}

fn scan<F>(body: &[u8], anchors_max: usize, take: F) -> Result<Findings, PageError>
where
    F: FnMut(&Tag, Option<&str>),
{
    let mut scan = Scan {
        take,
        anchors_max,
        tag: Tag::default(),
        anchor: None,
        in_start_tag: false,
        place: Place::Body,
        found: Findings::default(),
    };
    let mut emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>, _span: Span<()>| -> Option<Infallible> {
            scan.handle(&event);
            None
        },
    );
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(body, emitter).finish();
    if scan.anchor.is_some() || scan.in_start_tag || scan.found.html == Element::Open {
        return Err(PageError::Html("it is cut short".to_owned()));
    }
    if scan.found.anchors > anchors_max {
        return Err(PageError::Html(format!(
            "it has more than {anchors_max} anchors"
        )));
    }
    check_api_version(scan.found.version.as_deref())?;
    Ok(scan.found)
}

impl<F: FnMut(&Tag, Option<&str>)> Scan<F> {
    fn handle(&mut self, event: &CallbackEvent<'_>) {
        match *event {
            CallbackEvent::OpenStartTag { name } => self.open(name),
            // The tokenizer reports attributes of end tags too; nobody wants those.
            CallbackEvent::AttributeName { name } if self.in_start_tag => self.tag.push_name(name),
            CallbackEvent::AttributeValue { value } if self.in_start_tag => {
                self.tag.push_value(value);
            }
            CallbackEvent::CloseStartTag { .. } => self.close_start(),
            CallbackEvent::EndTag { name } => self.end(name),
            CallbackEvent::String { value } => self.text(value),
            CallbackEvent::Comment { value } => self.comment(value),
            _ => {}
        }
    }

    fn open(&mut self, name: &[u8]) {
        self.found.tags += 1;
        self.in_start_tag = true;
        self.tag = Tag {
            name: match name {
                b"a" => TagName::A,
                b"base" => TagName::Base,
                b"meta" => TagName::Meta,
                _ => TagName::Other,
            },
            ..Tag::default()
        };
        match name {
            b"html" => self.found.html = Element::Open,
            b"title" | b"h1" => self.place = Place::Heading,
            b"script" | b"style" => self.place = Place::Hidden,
            _ => {}
        }
    }

    fn close_start(&mut self) {
        self.in_start_tag = false;
        let tag = std::mem::take(&mut self.tag);
        match tag.name {
            TagName::A => {
                self.finish_anchor();
                self.anchor = Some(tag);
                self.place = Place::Anchor;
            }
            TagName::Base if self.found.base.is_none() => {
                self.found.base = tag.attribute("href").map(str::to_owned);
            }
            TagName::Meta => {
                let slot = match tag.attribute("name") {
                    Some("pypi:repository-version") => &mut self.found.version,
                    Some("pypi:project-status") => &mut self.found.status,
                    Some("pypi:project-status-reason") => &mut self.found.status_reason,
                    _ => return,
                };
                *slot = tag.attribute("content").map(str::to_owned);
            }
            TagName::Base | TagName::Other => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        self.in_start_tag = false;
        match name {
            b"a" => self.finish_anchor(),
            b"html" => self.found.html = Element::Closed,
            b"title" | b"h1" | b"script" | b"style" => self.place = Place::Body,
            _ => {}
        }
    }

    fn text(&mut self, value: &[u8]) {
        let value = String::from_utf8_lossy(value);
        match (self.place, &mut self.anchor) {
            (Place::Anchor, Some(anchor)) => append(&mut anchor.text, &value),
            (Place::Heading, _) => append(&mut self.found.headings, &value),
            (Place::Hidden, _) => {}
            _ => self.found.text_bytes += value.trim().len(),
        }
    }

    fn comment(&mut self, value: &[u8]) {
        let serial = str::from_utf8(value)
            .ok()
            .and_then(|text| text.trim().strip_prefix("SERIAL"));
        if let Some(serial) = serial.and_then(|digits| digits.trim().parse().ok()) {
            self.found.serial = Some(Serial(serial));
        }
    }

    fn finish_anchor(&mut self) {
        self.place = Place::Body;
        if let Some(anchor) = self.anchor.take() {
            self.found.anchors += 1;
            if self.found.anchors <= self.anchors_max {
                (self.take)(&anchor, self.found.base.as_deref());
            }
        }
    }
}

impl Findings {
    /// Whether a document without a single acceptable entry is an index all the same. An empty project's page is
    /// legal; an error page, a login form or a captive portal served with 200 must not pass for one.
    fn is_listing(&self) -> bool {
        let headings = self.headings.to_lowercase();
        self.version.is_some()
            || LISTING_WORDS.iter().any(|words| headings.contains(words))
            || (self.tags > 0
                && self.anchors == 0
                && self.text_bytes == 0
                && headings.trim().is_empty())
    }
}

impl Tag {
    fn push_name(&mut self, name: &[u8]) {
        if self.attributes.len() < ATTRIBUTES_MAX {
            self.attributes
                .push((String::from_utf8_lossy(name).into_owned(), String::new()));
        }
    }

    fn push_value(&mut self, value: &[u8]) {
        if let Some((_, last)) = self.attributes.last_mut() {
            *last = String::from_utf8_lossy(value).into_owned();
        }
    }

    /// The first attribute of this name, as HTML decides.
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The anchor under JSON's keys; `None` without `href`, when it is not a link at all.
    fn as_file(&self) -> Option<RawFile<'_>> {
        let text = |name| self.attribute(name).map_or(Loose::Null, Loose::text);
        let mut core_metadata = text("data-core-metadata");
        if core_metadata.is_null() {
            core_metadata = text("data-dist-info-metadata");
        }
        Some(RawFile {
            url: Loose::Text(Cow::Borrowed(self.attribute("href")?.trim())),
            core_metadata,
            requires_python: text("data-requires-python"),
            yanked: match self.attribute("data-yanked") {
                Some("") => Loose::Bool(true),
                Some(reason) => Loose::text(reason),
                None => Loose::Null,
            },
            provenance: text("data-provenance"),
            gpg_sig: text("data-gpg-sig"),
            size: text("data-size"),
            upload_time: text("data-upload-time"),
            ..RawFile::default()
        })
    }
}

fn append(text: &mut String, more: &str) {
    if text.len() + more.len() <= TEXT_BYTES_MAX {
        text.push_str(more);
    }
}

//! PEP 503 HTML as we write it, frozen at repository version 1.4 (PEP 833), one file or project in a line.

use std::fmt::{self, Display, Write};

use super::json::marker;
use super::{Entry, Listing};
use crate::page::{CoreMetadata, PageFile, ProjectPage, Yanked};
use crate::{ProjectName, Serial};

/// Algorithms that a link may name, best first: uv refuses a page with any other in a fragment.
const FRAGMENT_HASHES: [&str; 4] = ["sha512", "sha384", "blake2b", "md5"];

/// A text as it may stand between tags and in attributes.
struct Escaped<'a>(&'a str);

pub(super) fn page(page: &ProjectPage, listing: &Listing<'_>) -> Vec<u8> {
    let mut body = String::with_capacity(600 + listing.files.len() * 700);
    write_page(&mut body, page, listing).expect("writing to memory");
    body.into_bytes()
}

pub(super) fn list<'a>(
    projects: impl Iterator<Item = (&'a ProjectName, Option<Serial>)>,
    serial: Option<Serial>,
) -> Vec<u8> {
    let mut body = String::with_capacity(300 + projects.size_hint().0 * 64);
    body.push_str("<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n");
    body.push_str(
        "<meta name=\"pypi:repository-version\" content=\"1.4\">\n<title>Simple index</title>\n",
    );
    body.push_str("</head>\n<body>\n");
    for (name, _) in projects {
        // By hand: 900,000 entries, and a project's name needs no escaping.
        for part in [
            "<a href=\"",
            name.as_str(),
            "/\">",
            name.as_str(),
            "</a><br />\n",
        ] {
            body.push_str(part);
        }
    }
    body.push_str("</body>\n</html>\n");
    write_serial(&mut body, serial).expect("writing to memory");
    body.into_bytes()
}

fn write_page(body: &mut String, page: &ProjectPage, listing: &Listing<'_>) -> fmt::Result {
    body.push_str("<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n");
    body.push_str("<meta name=\"pypi:repository-version\" content=\"1.4\">\n");
    if !page.status.is_active() {
        let status = Escaped(marker(&page.status.kind));
        writeln!(
            body,
            "<meta name=\"pypi:project-status\" content=\"{status}\">"
        )?;
        if let Some(reason) = &page.status.reason {
            writeln!(
                body,
                "<meta name=\"pypi:project-status-reason\" content=\"{}\">",
                Escaped(reason)
            )?;
        }
    }
    let name = &page.name;
    write!(
        body,
        "<title>Links for {name}</title>\n</head>\n<body>\n<h1>Links for {name}</h1>\n"
    )?;
    for entry in &listing.files {
        write_file(body, listing, (entry, name))?;
    }
    body.push_str("</body>\n</html>\n");
    write_serial(body, page.serial)
}

fn write_file(
    body: &mut String,
    listing: &Listing<'_>,
    (entry, project): (&Entry<'_>, &ProjectName),
) -> fmt::Result {
    let file = entry.file;
    let address = listing.url(file);
    write!(body, "<a href=\"{}{}\"", Escaped(&address), fragment(file))?;
    if let Some(requires) = &file.requires_python {
        write_attribute(body, "requires-python", Escaped(requires))?;
    }
    match file.core_metadata {
        CoreMetadata::Absent => {}
        CoreMetadata::Offered => write_metadata(body, "true")?,
        CoreMetadata::Sha256(digest) => write_metadata(body, format_args!("sha256={digest}"))?,
    }
    match &file.yanked {
        Yanked::No => {}
        Yanked::Yes => write_attribute(body, "yanked", "")?,
        Yanked::Because(reason) => write_attribute(body, "yanked", Escaped(reason))?,
    }
    if let Some(address) = listing.provenance(entry, project) {
        write_attribute(body, "provenance", Escaped(&address))?;
    }
    if let Some(signed) = file.gpg_sig {
        write_attribute(body, "gpg-sig", signed)?;
    }
    // The next two are no part of the specification; uv reads them, and its cool-down needs the time.
    if let Some(size_bytes) = file.size_bytes {
        write_attribute(body, "size", size_bytes)?;
    }
    if let Some(time) = &file.upload_time {
        write_attribute(body, "upload-time", Escaped(time))?;
    }
    writeln!(body, ">{}</a><br />", Escaped(file.filename()))
}

/// Both names of the attribute, as PEP 714 asks for HTML.
fn write_metadata(body: &mut String, value: impl Display) -> fmt::Result {
    write_attribute(body, "dist-info-metadata", &value)?;
    write_attribute(body, "core-metadata", value)
}

fn write_attribute(body: &mut String, name: &str, value: impl Display) -> fmt::Result {
    write!(body, " data-{name}=\"{value}\"")
}

/// As PyPI ends its pages; bandersnatch and devpi read it.
fn write_serial(body: &mut String, serial: Option<Serial>) -> fmt::Result {
    serial.map_or(Ok(()), |serial| writeln!(body, "<!--SERIAL {serial}-->"))
}

/// A link can carry one digest.
fn fragment(file: &PageFile) -> String {
    if let Some(digest) = file.sha256 {
        return format!("#sha256={digest}");
    }
    let known = FRAGMENT_HASHES
        .iter()
        .find_map(|name| Some((name, file.other_hashes.get(*name)?)));
    known
        .map(|(name, digest)| format!("#{name}={digest}"))
        .unwrap_or_default()
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\r']) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            f.write_str(match special.as_bytes()[0] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#x27;",
                _ => "&#13;",
            })?;
            rest = &special[1..];
        }
        f.write_str(rest)
    }
}

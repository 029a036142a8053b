//! Index documents as PyPI writes them: JSON 1.4, HTML 1.4, and the legacy JSON. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Lack;
use crate::universe::{MetadataOffer, Project, StoredFile, Universe, Yank};

const IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// What pages say beyond their content.
#[derive(Debug)]
pub(super) struct Style<'a> {
    /// What stands before `packages/…` in file addresses.
    pub(super) files_base: String,
    /// What stands before `integrity/…`; always absolute.
    pub(super) index_base: String,
    /// What stands before the bare file name, where files do not lie under `packages/`.
    pub(super) flat_base: Option<String>,
    pub(super) lacks: &'a BTreeSet<Lack>,
}

impl Style<'_> {
    fn has(&self, what: Lack) -> bool {
        !self.lacks.contains(&what)
    }

    fn file_url(&self, file: &StoredFile) -> String {
        let (base, path) = match &self.flat_base {
            Some(base) => (base, file.filename.clone()),
            None => (&self.files_base, file.path()),
        };
        format!("{base}{}", utf8_percent_encode(&path, IN_PATHS))
    }

    fn provenance_url(&self, name: &str, file: &StoredFile) -> Option<String> {
        let path = format!(
            "integrity/{name}/{}/{}/provenance",
            file.version, file.filename
        );
        let offered = file.provenance.is_some() && self.has(Lack::Provenance);
        offered.then(|| {
            format!(
                "{}{}",
                self.index_base,
                utf8_percent_encode(&path, IN_PATHS)
            )
        })
    }

    fn metadata_offer(&self, file: &StoredFile) -> MetadataOffer {
        if file.metadata.is_some() && self.has(Lack::Metadata) {
            file.metadata_offer
        } else {
            MetadataOffer::Absent
        }
    }
}

/// `application/vnd.pypi.simple.v1+json` of one project.
pub(super) fn page_json(name: &str, project: &Project, style: &Style<'_>) -> Vec<u8> {
    let sized = style.has(Lack::Sizes);
    let mut meta = json!({"api-version": if sized { "1.4" } else { "1.0" }});
    if style.has(Lack::Serials) {
        meta["_last-serial"] = project.serial.into();
    }
    let files: Vec<_> = project
        .offered()
        .iter()
        .map(|file| file_json(name, file, style))
        .collect();
    let mut page = json!({"meta": meta, "name": name, "files": files});
    if sized {
        page["versions"] = json!(project.versions);
        let mut status = json!({"status": project.status});
        if let Some(reason) = &project.status_reason {
            status["reason"] = json!(reason);
        }
        page["project-status"] = status;
    }
    to_bytes(&page)
}

fn file_json(name: &str, file: &StoredFile, style: &Style<'_>) -> Value {
    let offer = match (style.metadata_offer(file), &file.metadata) {
        (MetadataOffer::Hashed, Some(metadata)) => {
            json!({"sha256": crate::fixture::sha256_hex(metadata)})
        }
        (MetadataOffer::Unhashed, _) => json!(true),
        _ => json!(false),
    };
    let hashes = if style.has(Lack::Hashes) {
        json!({"sha256": file.sha256})
    } else {
        json!({})
    };
    let mut entry = json!({
        "core-metadata": offer,
        "data-dist-info-metadata": offer,
        "filename": file.filename,
        "hashes": hashes,
        "provenance": style.provenance_url(name, file),
        "requires-python": file.requires_python,
        "url": style.file_url(file),
        "yanked": match &file.yanked {
            Yank::No => json!(false),
            Yank::Yes => json!(true),
            Yank::Because(reason) => json!(reason),
        },
    });
    if style.has(Lack::Sizes) {
        entry["size"] = json!(file.bytes.len());
    }
    if style.has(Lack::UploadTimes) {
        entry["upload-time"] = json!(file.upload_time);
    }
    entry
}

/// `text/html` of one project.
pub(super) fn page_html(name: &str, project: &Project, style: &Style<'_>) -> Vec<u8> {
    let mut html = head(&format!("Links for {name}"));
    if project.status != "active" {
        push_meta(&mut html, "pypi:project-status", &project.status);
        if let Some(reason) = &project.status_reason {
            push_meta(&mut html, "pypi:project-status-reason", reason);
        }
    }
    push_text(
        &mut html,
        format_args!("</head>\n<body>\n<h1>Links for {name}</h1>\n"),
    );
    for file in project.offered() {
        let mut url = style.file_url(file);
        if style.has(Lack::Hashes) {
            url.push_str("#sha256=");
            url.push_str(&file.sha256);
        }
        let mut attributes = vec![("href", url)];
        if let Some(specifier) = &file.requires_python {
            attributes.push(("data-requires-python", specifier.clone()));
        }
        let offer = match (style.metadata_offer(file), &file.metadata) {
            (MetadataOffer::Hashed, Some(metadata)) => {
                Some(format!("sha256={}", crate::fixture::sha256_hex(metadata)))
            }
            (MetadataOffer::Unhashed, _) => Some("true".to_owned()),
            _ => None,
        };
        if let Some(offer) = offer {
            attributes.push(("data-dist-info-metadata", offer.clone()));
            attributes.push(("data-core-metadata", offer));
        }
        match &file.yanked {
            Yank::No => {}
            Yank::Yes => attributes.push(("data-yanked", String::new())),
            Yank::Because(reason) => attributes.push(("data-yanked", reason.clone())),
        }
        if let Some(url) = style.provenance_url(name, file) {
            attributes.push(("data-provenance", url));
        }
        push_anchor(&mut html, &attributes, &file.filename);
    }
    html.push_str("</body>\n</html>\n");
    if style.has(Lack::Serials) {
        push_text(&mut html, format_args!("<!--SERIAL {}-->", project.serial));
    }
    html.into_bytes()
}

/// `application/vnd.pypi.simple.v1+json` of the root list. Written as text, since it may have 900,000 entries.
pub(super) fn list_json(universe: &Universe, serial: u64, style: &Style<'_>) -> Vec<u8> {
    let serials = style.has(Lack::Serials);
    let mut text = String::from("{\"meta\":{");
    if serials {
        push_text(&mut text, format_args!("\"_last-serial\":{serial},"));
    }
    text.push_str("\"api-version\":\"1.4\"},\"projects\":[");
    let mut separator = "";
    let mut push = |display_name: &str, serial: u64| {
        text.push_str(separator);
        separator = ",";
        text.push('{');
        if serials {
            push_text(&mut text, format_args!("\"_last-serial\":{serial},"));
        }
        push_text(
            &mut text,
            format_args!("\"name\":{}}}", json!(display_name)),
        );
    };
    for (_, project) in universe
        .projects()
        .filter(|(_, project)| project.is_listed())
    {
        push(&project.display_name, project.serial);
    }
    for index in 0..universe.bulk_names() {
        push(&Universe::bulk_name(index), BULK_SERIAL);
    }
    text.push_str("]}");
    text.into_bytes()
}

/// The serial of every bulk name, below any change's.
pub(super) const BULK_SERIAL: u64 = 1000;

/// `text/html` of the root list.
pub(super) fn list_html(universe: &Universe) -> Vec<u8> {
    let mut html = head("Simple index");
    html.push_str("</head>\n<body>\n");
    for (name, project) in universe
        .projects()
        .filter(|(_, project)| project.is_listed())
    {
        push_anchor(
            &mut html,
            &[("href", format!("{name}/"))],
            &project.display_name,
        );
    }
    for name in (0..universe.bulk_names()).map(Universe::bulk_name) {
        push_anchor(&mut html, &[("href", format!("{name}/"))], &name);
    }
    html.push_str("</body>\n</html>\n");
    html.into_bytes()
}

/// `/pypi/<project>/json`, with the deprecated `releases` that older mirror clients need.
pub(super) fn legacy_json(name: &str, project: &Project, style: &Style<'_>) -> Vec<u8> {
    let mut releases: Map<String, Value> = project
        .versions
        .iter()
        .map(|version| (version.clone(), json!([])))
        .collect();
    for file in project.offered() {
        if let Some(Value::Array(files)) = releases.get_mut(&file.version) {
            files.push(legacy_file(file, style));
        }
    }
    let newest = project.versions.last().cloned().unwrap_or_default();
    let urls = releases.get(&newest).cloned().unwrap_or_else(|| json!([]));
    to_bytes(&json!({
        "info": {"name": project.display_name, "version": newest, "summary": "A fixture", "yanked": false,
                 "package_url": format!("{}project/{name}/", style.index_base)},
        "last_serial": project.serial,
        "releases": releases,
        "urls": urls,
        "vulnerabilities": [],
    }))
}

fn legacy_file(file: &StoredFile, style: &Style<'_>) -> Value {
    let seconds = file
        .upload_time
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches('Z');
    json!({
        "comment_text": "",
        "digests": {"blake2b_256": file.blake2b_256, "sha256": file.sha256},
        "downloads": -1,
        "filename": file.filename,
        "has_sig": false,
        "packagetype": if file.is_wheel() { "bdist_wheel" } else { "sdist" },
        "python_version": if file.is_wheel() { "py3" } else { "source" },
        "requires_python": file.requires_python,
        "size": file.bytes.len(),
        "upload_time": seconds,
        "upload_time_iso_8601": file.upload_time,
        "url": style.file_url(file),
        "yanked": file.yanked != Yank::No,
        "yanked_reason": match &file.yanked { Yank::Because(reason) => Some(reason), _ => None },
    })
}

fn to_bytes(document: &Value) -> Vec<u8> {
    serde_json::to_vec(document).expect("a JSON value can be written")
}

fn head(title: &str) -> String {
    let mut html = String::from("<!DOCTYPE html>\n<html>\n<head>\n");
    push_meta(&mut html, "pypi:repository-version", "1.4");
    push_text(&mut html, format_args!("<title>{title}</title>\n"));
    html
}

fn push_meta(html: &mut String, name: &str, content: &str) {
    push_text(
        html,
        format_args!("<meta name=\"{name}\" content=\"{}\">\n", escape(content)),
    );
}

fn push_anchor(html: &mut String, attributes: &[(&str, String)], text: &str) {
    html.push_str("<a");
    for (name, value) in attributes {
        for part in [" ", name, "=\"", &escape(value), "\""] {
            html.push_str(part);
        }
    }
    for part in [">", &escape(text), "</a><br />\n"] {
        html.push_str(part);
    }
}

fn push_text(to: &mut String, text: std::fmt::Arguments<'_>) {
    to.write_fmt(text).expect("writing to a string cannot fail");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
}

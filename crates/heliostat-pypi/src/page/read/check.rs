//! The rules for one file of a page: what is refused, what is repaired, what is left out of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use jiff::{Timestamp, tz};
use percent_encoding::percent_decode_str;
use url::Url;

use super::raw::{Loose, RawFile};
use super::{
    PageRead, REASON_BYTES_MAX, REQUIRES_PYTHON_BYTES_MAX, Rejected, URL_BYTES_MAX,
    VERSION_BYTES_MAX,
};
use crate::page::{CoreMetadata, PageFile, ProjectPage, ProjectStatus, StatusKind, Yanked};
use crate::{FileName, ProjectName, Serial, Sha256, TreePath};

/// Other digests kept of one file.
const OTHER_HASHES_MAX: usize = 16;

/// The longest digest kept, in hexadecimal digits (SHA-512 has 128).
const DIGEST_DIGITS_MAX: usize = 256;

/// The longest marker of a project status, in bytes.
const STATUS_BYTES_MAX: usize = 64;

/// Gathers a page file by file.
#[derive(Debug)]
pub(super) struct PageCheck<'p> {
    project: &'p ProjectName,
    base: Url,
    names: HashSet<String>,
    files: Vec<PageFile>,
    rejected: Vec<Rejected>,
    dropped: Vec<Rejected>,
}

/// What a page says besides its files.
#[derive(Debug, Default)]
pub(super) struct PageHead {
    pub(super) serial: Option<Serial>,
    pub(super) status: ProjectStatus,
    pub(super) versions: Vec<String>,
}

impl<'p> PageCheck<'p> {
    pub(super) fn new(project: &'p ProjectName, base: &Url) -> Self {
        Self {
            project,
            base: without_credentials(base),
            names: HashSet::new(),
            files: Vec::new(),
            rejected: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Addresses that follow are relative to this (HTML's `<base href>`), itself relative to the document.
    pub(super) fn rebase(&mut self, href: &str) {
        match self.base.join(href) {
            Ok(base) if matches!(base.scheme(), "http" | "https") => self.base = base,
            _ => self.dropped.push(Rejected::new(
                href,
                "the page's base is not an http or https address",
            )),
        }
    }

    /// How many files were accepted so far.
    pub(super) fn accepted(&self) -> usize {
        self.files.len()
    }

    pub(super) fn reject(&mut self, item: &str, reason: &str) {
        self.rejected.push(Rejected::new(item, reason));
    }

    /// Judges one file and keeps it or the reason against it.
    pub(super) fn take(&mut self, raw: &RawFile<'_>) {
        if let Err(reason) = self.judge(raw) {
            let item = raw
                .filename
                .as_text()
                .or(raw.url.as_text())
                .unwrap_or("(a file without name and address)");
            self.rejected.push(Rejected::new(item, reason));
        }
    }

    /// Judges one entry of `versions`.
    pub(super) fn version(&mut self, value: &Loose<'_>) -> Option<String> {
        match value.as_text().map(str::trim) {
            Some(text)
                if !text.is_empty()
                    && text.len() <= VERSION_BYTES_MAX
                    && !text.chars().any(char::is_control) =>
            {
                Some(text.to_owned())
            }
            _ => {
                self.dropped.push(Rejected::new(
                    value.as_text().unwrap_or("versions"),
                    "it is not a version",
                ));
                None
            }
        }
    }

    /// The whole page.
    pub(super) fn finish(self, head: PageHead) -> PageRead {
        PageRead {
            page: ProjectPage {
                name: self.project.clone(),
                serial: head.serial,
                status: head.status,
                versions: head.versions,
                files: self.files,
            },
            rejected: self.rejected,
            dropped_values: self.dropped,
        }
    }

    fn judge(&mut self, raw: &RawFile<'_>) -> Result<(), String> {
        let url = raw.url.as_text().ok_or("it has no address")?;
        let (url, fragment) = self.resolve(url)?;
        let filename = last_segment(&url).ok_or("its address does not end in a file name")?;
        match &raw.filename {
            Loose::Null => {}
            Loose::Text(given) if *given == filename => {}
            _ => return Err("its name is not the last part of its address".to_owned()),
        }
        FileName::parse(&filename, self.project).map_err(|error| error.reason.to_owned())?;
        let requires_python = self.requires_python(&filename, &raw.requires_python)?;
        let (sha256, other_hashes) = self.hashes(&filename, &raw.hashes, &fragment)?;
        let path = TreePath::for_upstream(url.as_str(), &filename, sha256.as_ref())
            .map_err(|error| error.reason.to_owned())?;
        if !self.names.insert(filename.to_string()) {
            return Err("the page lists another file of this name before it".to_owned());
        }
        let file = PageFile {
            path,
            sha256,
            other_hashes,
            size_bytes: self.soft(&filename, "size", &raw.size, size),
            upload_time: self.soft(&filename, "upload-time", &raw.upload_time, upload_time),
            requires_python,
            core_metadata: self
                .soft(
                    &filename,
                    "core-metadata",
                    &raw.core_metadata,
                    core_metadata,
                )
                .unwrap_or_default(),
            yanked: yanked(&raw.yanked),
            provenance: self.provenance(&filename, &raw.provenance),
            provenance_sha256: self.soft(
                &filename,
                "_provenance-sha256",
                &raw.provenance_sha256,
                |value| value.as_text()?.parse().ok(),
            ),
            gpg_sig: self.soft(&filename, "gpg-sig", &raw.gpg_sig, truth),
            url: url.into(),
        };
        self.files.push(file);
        Ok(())
    }

    /// The absolute address without its fragment, and the fragment.
    fn resolve(&self, text: &str) -> Result<(Url, String), String> {
        if text.len() > URL_BYTES_MAX {
            return Err(format!("its address is longer than {URL_BYTES_MAX} bytes"));
        }
        let mut url = self.base.join(text).map_err(|_| "its address is not one")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its address is neither http nor https".to_owned());
        }
        let fragment = url.fragment().unwrap_or_default().to_owned();
        url.set_fragment(None);
        Ok((url, fragment))
    }

    /// A value that may be left out when it makes no sense: the file is kept and the loss is counted.
    fn soft<T>(
        &mut self,
        item: &str,
        key: &str,
        value: &Loose<'_>,
        parse: fn(&Loose<'_>) -> Option<T>,
    ) -> Option<T> {
        if value.is_null() {
            return None;
        }
        let parsed = parse(value);
        if parsed.is_none() {
            self.dropped
                .push(Rejected::new(item, format!("its {key} makes no sense")));
        }
        parsed
    }

    /// Kept as spelt. Not soft: without it the file would be offered where it does not run.
    fn requires_python(&mut self, item: &str, value: &Loose<'_>) -> Result<Option<String>, String> {
        match value {
            Loose::Null => Ok(None),
            Loose::Text(text) if text.len() > REQUIRES_PYTHON_BYTES_MAX => Err(format!(
                "its requires-python is longer than {REQUIRES_PYTHON_BYTES_MAX} bytes"
            )),
            Loose::Text(text) if text.trim().is_empty() => Ok(None),
            Loose::Text(text) => Ok(Some(clean(text).into_owned())),
            _ => {
                self.dropped
                    .push(Rejected::new(item, "its requires-python is not a text"));
                Ok(None)
            }
        }
    }

    fn hashes(
        &mut self,
        item: &str,
        value: &Loose<'_>,
        fragment: &str,
    ) -> Result<(Option<Sha256>, BTreeMap<String, String>), String> {
        let (mut sha256, mut others) = (None, BTreeMap::new());
        let listed = if let Loose::Object(entries) = value {
            entries.as_slice()
        } else {
            &[]
        };
        let listed = listed
            .iter()
            .map(|(name, digest)| (name.as_ref(), digest.as_text().unwrap_or_default()));
        let linked = fragment
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| is_hash_name(name));
        for (name, digest) in listed.chain(linked) {
            if name.eq_ignore_ascii_case("sha256") {
                let digest: Sha256 = digest
                    .parse()
                    .map_err(|_| "its sha256 is not 64 hexadecimal digits")?;
                if sha256
                    .replace(digest)
                    .is_some_and(|earlier| earlier != digest)
                {
                    return Err("it has two different sha256 digests".to_owned());
                }
            } else if is_hash_name(name) && is_digest(digest) && others.len() < OTHER_HASHES_MAX {
                others
                    .entry(name.to_ascii_lowercase())
                    .or_insert_with(|| digest.to_ascii_lowercase());
            } else {
                self.dropped
                    .push(Rejected::new(item, "one of its hashes makes no sense"));
            }
        }
        Ok((sha256, others))
    }

    fn provenance(&mut self, item: &str, value: &Loose<'_>) -> Option<String> {
        let text = match value {
            Loose::Null => return None,
            value => value.as_text().unwrap_or_default(),
        };
        let resolved = self.resolve(text).ok().filter(|_| !text.is_empty());
        if resolved.is_none() {
            self.dropped.push(Rejected::new(
                item,
                "its provenance is not an http or https address",
            ));
        }
        resolved.map(|(url, _)| url.into())
    }
}

/// PEP 792, from the two values both shapes have. An unknown marker is kept; one that cannot be a marker is not.
pub(super) fn project_status(status: Option<&str>, reason: Option<&str>) -> ProjectStatus {
    let kind = match status.map(str::trim).unwrap_or_default() {
        "" | "active" => StatusKind::Active,
        "archived" => StatusKind::Archived,
        "quarantined" => StatusKind::Quarantined,
        "deprecated" => StatusKind::Deprecated,
        other if other.len() <= STATUS_BYTES_MAX => StatusKind::Other(clean(other).into_owned()),
        _ => StatusKind::Active,
    };
    ProjectStatus {
        kind,
        reason: reason.and_then(reason_text),
    }
}

fn without_credentials(base: &Url) -> Url {
    let mut base = base.clone();
    // Both fail only for addresses that cannot have credentials.
    let _: Result<(), ()> = base.set_username("");
    let _: Result<(), ()> = base.set_password(None);
    base
}

fn last_segment(url: &Url) -> Option<Cow<'_, str>> {
    let segment = url.path_segments()?.next_back()?;
    percent_decode_str(segment)
        .decode_utf8()
        .ok()
        .filter(|name| !name.is_empty())
}

fn size(value: &Loose<'_>) -> Option<u64> {
    // What a signed 64-bit column takes.
    value
        .as_number()
        .filter(|size| i64::try_from(*size).is_ok())
}

/// PEP 700's shape is kept as it is; other ways to write the same instant are brought into it.
fn upload_time(value: &Loose<'_>) -> Option<String> {
    let text = value.as_text()?.trim();
    let parsed: Timestamp = match text.parse() {
        Ok(timestamp) => timestamp,
        // No offset at all: the specification knows no other than UTC.
        Err(_) => text
            .parse::<jiff::civil::DateTime>()
            .ok()?
            .to_zoned(tz::TimeZone::UTC)
            .ok()?
            .timestamp(),
    };
    if is_pep_700_time(text) {
        return Some(text.to_owned());
    }
    let microseconds = parsed.as_microsecond().rem_euclid(1_000_000);
    let format = if microseconds == 0 {
        "%Y-%m-%dT%H:%M:%SZ"
    } else {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    };
    let text = parsed.strftime(format).to_string();
    is_pep_700_time(&text).then_some(text)
}

/// `yyyy-mm-ddThh:mm:ss[.f{1,6}]Z`, by shape alone.
fn is_pep_700_time(text: &str) -> bool {
    let Some((whole, fraction)) = text
        .strip_suffix('Z')
        .and_then(|text| text.split_at_checked(19))
    else {
        return false;
    };
    let shape_fits = whole
        .bytes()
        .zip(*b"dddd-dd-ddTdd:dd:dd")
        .all(|(byte, shape)| {
            if shape == b'd' {
                byte.is_ascii_digit()
            } else {
                byte == shape
            }
        });
    let fraction_fits = fraction.is_empty()
        || fraction.strip_prefix('.').is_some_and(|digits| {
            (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
    shape_fits && fraction_fits
}

/// PEP 714: a truth value, an object of digests, or (in HTML) `true` or `<algorithm>=<digest>`.
fn core_metadata(value: &Loose<'_>) -> Option<CoreMetadata> {
    match value {
        Loose::Bool(true) => Some(CoreMetadata::Offered),
        Loose::Bool(false) => Some(CoreMetadata::Absent),
        Loose::Object(_) => match value.get("sha256") {
            None => Some(CoreMetadata::Offered),
            Some(digest) => digest.as_text()?.parse().ok().map(CoreMetadata::Sha256),
        },
        Loose::Text(text) => match text.trim().split_once('=') {
            Some(("sha256", digest)) => digest.parse().ok().map(CoreMetadata::Sha256),
            Some(_) => Some(CoreMetadata::Offered),
            None => match text.trim() {
                "true" => Some(CoreMetadata::Offered),
                "false" => Some(CoreMetadata::Absent),
                _ => None,
            },
        },
        _ => None,
    }
}

/// PEP 592. An empty text is no yank: the specification wants a reason to be non-empty, pip reads an empty one so, and
/// indexes that keep the reason in a text column send it for every file. (In HTML the attribute's presence counts;
/// its reader says so with a truth value.)
fn yanked(value: &Loose<'_>) -> Yanked {
    match value {
        Loose::Null | Loose::Bool(false) => Yanked::No,
        Loose::Text(text) if text.is_empty() => Yanked::No,
        Loose::Text(text) => reason_text(text).map_or(Yanked::Yes, Yanked::Because),
        // A wrong type: better held back than offered.
        Loose::Bool(true) | Loose::Number(_) | Loose::Object(_) | Loose::Other => Yanked::Yes,
    }
}

fn truth(value: &Loose<'_>) -> Option<bool> {
    match value {
        Loose::Bool(truth) => Some(*truth),
        Loose::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A reason in the index's words, or `None` where nothing is left of it.
fn reason_text(text: &str) -> Option<String> {
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = clean(&text[..end]);
    (!text.trim().is_empty()).then(|| text.into_owned())
}

/// Texts are kept as spelt, without the control characters that neither HTML nor a terminal can carry.
fn clean(text: &str) -> Cow<'_, str> {
    let unwanted = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(unwanted) {
        text.replace(unwanted, "").into()
    } else {
        text.into()
    }
}

fn is_hash_name(name: &str) -> bool {
    let known = ["md5", "sha", "blake"].iter().any(|family| {
        name.get(..family.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(family))
    });
    known
        && name.len() <= 32
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    !digest.is_empty()
        && digest.len() <= DIGEST_DIGITS_MAX
        && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

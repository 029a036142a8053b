//! The legacy JSON documents `/pypi/<project>/json` and `/pypi/<project>/<version>/json`, for clients that still ask.
//!
//! Built from the page, which knows names, versions, files and yanks, and from the release's core metadata where that is
//! at hand. What neither tells stands there with `null`, because clients index into it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Entry, Listing, encoded_path};
use crate::metadata::Described;
use crate::page::{CoreMetadata, PageFile, ProjectPage, Yanked};
use crate::{FileName, LegacyKind, ProjectName, Serial, TreePath, Version};

#[derive(Serialize)]
struct Document<'a> {
    info: Info<'a>,
    last_serial: Option<Serial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    releases: Option<Releases<'a>>,
    urls: Vec<File<'a>>,
}

/// Every version with its files, oldest first.
struct Releases<'a>(Vec<(&'a str, Vec<File<'a>>)>);

/// PyPI's keys in PyPI's order.
#[derive(Serialize)]
struct Info<'a> {
    author: Option<&'a str>,
    author_email: Option<&'a str>,
    bugtrack_url: (),
    classifiers: &'a [String],
    description: Option<&'a str>,
    description_content_type: Option<&'a str>,
    docs_url: (),
    download_url: Option<&'a str>,
    downloads: Downloads,
    dynamic: Option<&'a [String]>,
    home_page: Option<&'a str>,
    keywords: Option<&'a str>,
    license: Option<&'a str>,
    license_expression: Option<&'a str>,
    license_files: Option<&'a [String]>,
    maintainer: Option<&'a str>,
    maintainer_email: Option<&'a str>,
    name: &'a ProjectName,
    package_url: (),
    platform: Option<&'a str>,
    project_url: (),
    project_urls: Option<BTreeMap<&'a str, &'a str>>,
    provides_extra: Option<&'a [String]>,
    release_url: (),
    requires_dist: Option<&'a [String]>,
    requires_python: Option<&'a str>,
    summary: Option<&'a str>,
    version: &'a str,
    yanked: bool,
    yanked_reason: Option<&'a str>,
}

/// PyPI has counted nothing here for years and says so with -1.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the keys are PyPI's")]
struct Downloads {
    last_day: i8,
    last_month: i8,
    last_week: i8,
}

#[derive(Serialize)]
struct File<'a> {
    comment_text: &'static str,
    /// Not in PyPI's older documents; bandersnatch 8 looks for it here.
    #[serde(rename = "core-metadata")]
    core_metadata: serde_json::Value,
    digests: BTreeMap<&'a str, String>,
    downloads: i8,
    filename: &'a str,
    has_sig: bool,
    md5_digest: Option<&'a str>,
    packagetype: &'static str,
    python_version: String,
    requires_python: Option<&'a str>,
    size: Option<u64>,
    upload_time: Option<&'a str>,
    upload_time_iso_8601: Option<&'a str>,
    url: String,
    yanked: bool,
    yanked_reason: Option<&'a str>,
}

/// One release of the page.
struct Release<'l> {
    version: &'l Version,
    entries: Vec<&'l Entry<'l>>,
}

pub(super) fn document(
    page: &ProjectPage,
    listing: &Listing<'_>,
    version: Option<&str>,
    files_base: &str,
    described: Option<&Described>,
) -> Option<Vec<u8>> {
    let releases = releases(listing);
    let chosen = chosen(&releases, version)?;
    let document = Document {
        info: info(page, chosen, described),
        last_serial: page.serial,
        releases: version.is_none().then(|| {
            Releases(
                releases
                    .iter()
                    .map(|release| (release.version.as_str(), files(release, files_base)))
                    .collect(),
            )
        }),
        urls: files(chosen, files_base),
    };
    let mut body = Vec::with_capacity(1_500 + listing.files.len() * 900);
    serde_json::to_writer(&mut body, &document).expect("texts and numbers go into memory");
    body.push(b'\n');
    Some(body)
}

/// The files of the release that a document is about: the core metadata of any of them tells of it, offered or not.
pub(super) fn sources<'l>(listing: &'l Listing<'l>, version: Option<&str>) -> Vec<&'l TreePath> {
    let releases = releases(listing);
    let Some(chosen) = chosen(&releases, version) else {
        return Vec::new();
    };
    chosen
        .entries
        .iter()
        .map(|entry| &entry.file.path)
        .collect()
}

/// The release that a document is about.
fn chosen<'r, 'l>(releases: &'r [Release<'l>], version: Option<&str>) -> Option<&'r Release<'l>> {
    let Some(text) = version else {
        return releases
            .iter()
            .max_by(|left, right| left.rank().cmp(&right.rank()));
    };
    let exact = releases
        .iter()
        .find(|release| release.version.as_str() == text);
    exact.or_else(|| {
        releases
            .iter()
            .find(|release| *release.version == Version::parse(text))
    })
}

fn files<'a>(release: &Release<'a>, files_base: &str) -> Vec<File<'a>> {
    release
        .entries
        .iter()
        .map(|entry| file(entry, files_base))
        .collect()
}

/// The listing by release. Files whose name tells no version belong to none and do not appear here.
fn releases<'l>(listing: &'l Listing<'_>) -> Vec<Release<'l>> {
    let mut releases: Vec<Release<'l>> = listing
        .versions
        .iter()
        .map(|version| Release {
            version,
            entries: Vec::new(),
        })
        .collect();
    for entry in &listing.files {
        let Some(version) = entry.version() else {
            continue;
        };
        let spelt_so = |release: &Release<'_>| release.version.as_str() == version.as_str();
        let first = releases
            .partition_point(|release| super::listing_order(release.version, version).is_lt());
        let same = releases[first..]
            .iter()
            .take_while(|release| release.version == version)
            .count();
        let at = releases[first..first + same]
            .iter()
            .position(spelt_so)
            .unwrap_or(0);
        if let Some(release) = releases.get_mut(first + at) {
            release.entries.push(entry);
        }
    }
    releases
}

impl Release<'_> {
    /// The greatest is the one a project's document is about: with files, not yanked, no prerelease, newest.
    fn rank(&self) -> (bool, bool, bool, &Version) {
        (
            !self.entries.is_empty(),
            self.yank().is_none(),
            !self.version.is_prerelease(),
            self.version,
        )
    }

    /// The yank of the release, when every file of it is yanked.
    fn yank(&self) -> Option<&Yanked> {
        let all =
            !self.entries.is_empty() && self.entries.iter().all(|entry| !entry.file.yanked.is_no());
        all.then(|| &self.entries[0].file.yanked)
    }
}

fn info<'a>(
    page: &'a ProjectPage,
    release: &'a Release<'_>,
    described: Option<&'a Described>,
) -> Info<'a> {
    let requires = release
        .entries
        .iter()
        .find_map(|entry| entry.file.requires_python.as_deref());
    let one = |field| described.and_then(|described| described.one(field));
    let all = |field| described.and_then(|described| described.all(field));
    Info {
        author: one("author"),
        author_email: one("author-email"),
        bugtrack_url: (),
        classifiers: all("classifier").unwrap_or_default(),
        description: one("description"),
        description_content_type: one("description-content-type"),
        docs_url: (),
        download_url: one("download-url"),
        downloads: Downloads {
            last_day: -1,
            last_month: -1,
            last_week: -1,
        },
        dynamic: all("dynamic"),
        home_page: one("home-page"),
        keywords: one("keywords"),
        license: one("license"),
        license_expression: one("license-expression"),
        license_files: all("license-file"),
        maintainer: one("maintainer"),
        maintainer_email: one("maintainer-email"),
        name: &page.name,
        package_url: (),
        platform: one("platform"),
        project_url: (),
        project_urls: described.and_then(Described::project_urls),
        provides_extra: all("provides-extra"),
        release_url: (),
        requires_dist: all("requires-dist"),
        requires_python: requires,
        summary: one("summary"),
        version: release.version.as_str(),
        yanked: release.yank().is_some(),
        yanked_reason: release.yank().and_then(reason),
    }
}

fn file<'a>(entry: &Entry<'a>, files_base: &str) -> File<'a> {
    let file = entry.file;
    let time = file.upload_time.as_deref();
    let (packagetype, python_version) = kind(file, entry.name.as_ref());
    File {
        comment_text: "",
        core_metadata: match file.core_metadata {
            CoreMetadata::Absent => false.into(),
            CoreMetadata::Offered => true.into(),
            CoreMetadata::Sha256(digest) => serde_json::json!({ "sha256": digest.to_hex() }),
        },
        digests: digests(file),
        downloads: -1,
        filename: file.filename(),
        has_sig: file.gpg_sig.unwrap_or(false),
        md5_digest: file.other_hashes.get("md5").map(String::as_str),
        packagetype,
        python_version,
        requires_python: file.requires_python.as_deref(),
        size: file.size_bytes,
        // Without fraction and zone, as the older key always was.
        upload_time: time.and_then(|time| time.get(..19)),
        upload_time_iso_8601: time,
        url: format!(
            "{}/{}",
            files_base.trim_end_matches('/'),
            encoded_path(file)
        ),
        yanked: !file.yanked.is_no(),
        yanked_reason: reason(&file.yanked),
    }
}

fn digests(file: &PageFile) -> BTreeMap<&str, String> {
    let mut digests: BTreeMap<&str, String> = file
        .other_hashes
        .iter()
        .map(|(name, digest)| (name.as_str(), digest.clone()))
        .collect();
    if let Some(sha256) = file.sha256 {
        digests.insert("sha256", sha256.to_hex());
    }
    // PyPI's paths are the BLAKE2b-256 of the content; of any other upstream's we know no such thing.
    let directory = file.path.directory();
    if file
        .url
        .split(['?', '#'])
        .next()
        .is_some_and(|url| url.contains(&format!("/{directory}/")))
    {
        digests.insert("blake2b_256", file.path.id_hex());
    }
    digests
}

fn kind(file: &PageFile, name: Option<&FileName>) -> (&'static str, String) {
    match name {
        Some(FileName::Wheel(wheel)) => ("bdist_wheel", wheel.python.join(".")),
        Some(FileName::Other { kind, .. }) => match kind {
            LegacyKind::Egg => ("bdist_egg", python_of(file.filename())),
            LegacyKind::WindowsInstaller => ("bdist_wininst", python_of(file.filename())),
            LegacyKind::Msi => ("bdist_msi", python_of(file.filename())),
            LegacyKind::Rpm => ("bdist_rpm", "any".to_owned()),
            LegacyKind::Dmg => ("bdist_dmg", "any".to_owned()),
            LegacyKind::Deb | LegacyKind::Dumb => ("bdist_dumb", "any".to_owned()),
            LegacyKind::Unnamed => ("sdist", "source".to_owned()),
        },
        Some(FileName::Sdist(_)) | None => ("sdist", "source".to_owned()),
    }
}

/// `2.7` of `acme-1.0-py2.7.egg`.
fn python_of(filename: &str) -> String {
    let version = filename.rsplit_once("-py").map(|(_, rest)| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        rest[..end].trim_end_matches('.')
    });
    version
        .filter(|version| !version.is_empty())
        .unwrap_or("any")
        .to_owned()
}

fn reason(yanked: &Yanked) -> Option<&str> {
    match yanked {
        Yanked::Because(reason) => Some(reason),
        Yanked::No | Yanked::Yes => None,
    }
}

impl Serialize for Releases<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (version, files) in &self.0 {
            map.serialize_entry(version, files)?;
        }
        map.end()
    }
}

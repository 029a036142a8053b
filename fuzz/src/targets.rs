//! What each fuzz target does with its bytes. The tests of `heliostat-pypi` include this file to replay the corpora.

use std::io::Cursor;

use heliostat_pypi::bundle::{
    BundleError, BundleLimits, BundleReader, Header, Item, Line, ManifestReader, ManifestWriter,
    Place,
};
use heliostat_pypi::client_config::{Judged, Source, SourceKind, judge, settings};
use heliostat_pypi::lock_urls::{Beside, Canonical, LockFormat, Loopback, UrlMap, canonical_lock};
use heliostat_pypi::metadata::extract_wheel_metadata;
use heliostat_pypi::page::{
    Format, MediaType, ProjectPage, check_signable, read_list, read_page, read_signed,
    render_legacy, render_list, render_page,
};
use heliostat_pypi::select::{read_lock, read_requirements};
use heliostat_pypi::{FileName, ProjectName, RelPath, TreePath};
use url::Url;

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("page_json", page_json),
    ("page_html", page_html),
    ("list_json", list_json),
    ("list_html", list_html),
    ("name", name),
    ("filename", filename),
    ("tree_path", tree_path),
    ("requirements", requirements),
    ("lock", lock),
    ("client_config", client_config),
    ("wheel", wheel),
    ("bundle", bundle),
    ("bundle_archive", bundle_archive),
    ("bundle_manifest", bundle_manifest),
    ("signed_page", signed_page),
];

/// A JSON page: whatever is accepted can be written and read again without loss.
pub fn page_json(body: &[u8]) {
    page(body, MediaType::Json);
}

/// An HTML page, likewise.
pub fn page_html(body: &[u8]) {
    page(body, MediaType::Html);
}

/// A page whose bytes were verified: one that is taken binds every file to its project, and can be written and read
/// again.
pub fn signed_page(body: &[u8]) {
    let project = project_name("acme");
    let Ok(page) = read_signed(&project, body) else {
        return;
    };
    assert_eq!(page.name, project);
    assert!(check_signable(&page).is_ok());
    for file in &page.files {
        FileName::parse(file.filename(), &project).expect("a signed page lists files of its own");
    }
    // What it leaves out, as its versions, stands in it once it is written anew; from then on nothing changes.
    let again = |page: &ProjectPage| {
        read_signed(&project, &render_page(page, Format::Json)).expect("what we write can be read")
    };
    let first = again(&page);
    assert_eq!(first.files.len(), page.files.len());
    assert_eq!(again(&first), first);
}

/// A JSON root list.
pub fn list_json(body: &[u8]) {
    list(body, MediaType::Json);
}

/// An HTML root list.
pub fn list_html(body: &[u8]) {
    list(body, MediaType::Html);
}

/// A project name: normalising is idempotent.
pub fn name(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(name) = text.parse::<ProjectName>() {
        assert_eq!(name.as_str().parse::<ProjectName>().as_ref(), Ok(&name));
    }
}

/// A file name: one that is accepted can stand in the tree.
pub fn filename(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for project in ["acme", "acme-sdk", "python-acme"] {
        if FileName::parse(text, &project_name(project)).is_ok() {
            TreePath::new([0; 32], text).expect("a file name is a path segment");
        }
    }
}

/// A path of the tree: one that is accepted is spelt in one way only and cannot leave its root.
pub fn tree_path(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(path) = text.parse::<TreePath>() {
        assert_eq!(path.to_string(), text);
        text.parse::<RelPath>()
            .expect("a path of the tree is relative");
    }
    if let Ok(path) = text.parse::<RelPath>() {
        assert!(
            !path
                .as_str()
                .split('/')
                .any(|segment| matches!(segment, "" | "." | ".."))
        );
    }
}

/// A requirements file.
pub fn requirements(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    drop(read_requirements(text));
}

/// A lock file, taken for each of the kinds in turn: its addresses can be made canonical once and no further.
pub fn lock(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for path in ["uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock"] {
        drop(read_lock(path, text));
    }
    let map = UrlMap {
        from: Vec::new(),
        loopback: Loopback::Mapped,
        beside: Beside::Unknown,
        to: Canonical {
            index: "https://index.example/simple".to_owned(),
            files: "https://files.example/".to_owned(),
        },
    };
    for path in ["uv.lock", "pylock.toml", "Pipfile.lock", "pixi.lock"] {
        let format = LockFormat::of_filename(path).expect("a constant");
        let Ok(lock) = canonical_lock(format, text, &map) else {
            continue;
        };
        if lock.changes.is_empty() {
            assert_eq!(lock.text, text);
        }
        let again = canonical_lock(format, &lock.text, &map).expect("what we write can be read");
        assert_eq!(again.text, lock.text);
    }
}

/// The configuration of an installer, taken for each of the kinds in turn: every setting found stands in a line that
/// there is, and judging it does not fail.
pub fn client_config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for kind in [
        SourceKind::PipConf,
        SourceKind::Requirements,
        SourceKind::UvToml,
        SourceKind::Pyproject,
        SourceKind::PoetryToml,
        SourceKind::PdmToml,
        SourceKind::Environment,
    ] {
        let source = Source {
            place: "fuzz".to_owned(),
            kind,
            text: text.to_owned(),
        };
        let Ok(found) = settings(&source) else {
            continue;
        };
        let lines = text.lines().count();
        assert!(
            found
                .iter()
                .all(|setting| setting.line.is_none_or(|line| (1..=lines).contains(&line)))
        );
        drop(judge(&found, &Judged::default()));
    }
}

/// A wheel, of which only the metadata is read.
pub fn wheel(bytes: &[u8]) {
    let project = project_name("acme");
    let name = FileName::parse("acme-1.0-py3-none-any.whl", &project).expect("a constant");
    let name = name.as_wheel().expect("a constant");
    drop(extract_wheel_metadata(Cursor::new(bytes), &project, name));
}

/// A bundle: whatever is read of it is what its manifest says, and no more than it declares.
pub fn bundle(bytes: &[u8]) {
    let limits = BundleLimits {
        slack_bytes: 1 << 20,
        ..BundleLimits::default()
    };
    drop(walk(bytes, limits));
}

/// An archive without its compression, so that what stands in it is reached: packed here, then read as a bundle.
pub fn bundle_archive(plain: &[u8]) {
    let packed = zstd::encode_all(plain, 1).expect("into memory");
    drop(walk(&packed, BundleLimits::default()));
}

/// A manifest: whatever is accepted can be written and read again without loss.
pub fn bundle_manifest(bytes: &[u8]) {
    let read = |bytes: &[u8]| -> Result<(Header, Vec<Line>), BundleError> {
        let mut reader = ManifestReader::start(Cursor::new(bytes), BundleLimits::default())?;
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            lines.push(line);
        }
        Ok((reader.header().clone(), lines))
    };
    let Ok((header, lines)) = read(bytes) else {
        return;
    };
    let mut again = Vec::new();
    let mut writer = ManifestWriter::start(&mut again, header.clone()).expect("into memory");
    for line in &lines {
        writer.write(line).expect("into memory");
    }
    writer.finish().expect("into memory");
    assert_eq!(
        read(&again).expect("what we write can be read"),
        (header, lines)
    );
}

fn walk(bytes: &[u8], limits: BundleLimits) -> Result<(), BundleError> {
    let mut bundle = BundleReader::open(Cursor::new(bytes), Cursor::new(bytes), limits)?;
    while let Some(line) = bundle.next_line()? {
        let items: Vec<Item> = match line {
            Line::Trust(item) => vec![item],
            Line::Project(project) => {
                let mut items = vec![project.page];
                items.extend(project.parts);
                items
            }
            _ => Vec::new(),
        };
        for item in items.iter().filter(|item| item.place == Place::Bundle) {
            let mut count = 0;
            bundle.bytes(item, |chunk| {
                count += chunk.len() as u64;
                assert!(count <= item.size_bytes);
                Ok::<(), BundleError>(())
            })?;
            assert_eq!(count, item.size_bytes);
        }
    }
    Ok(())
}

fn page(body: &[u8], media: MediaType) {
    let project = project_name("acme");
    let base: Url = "https://mirror.example/simple/acme/"
        .parse()
        .expect("a constant");
    let Ok(read) = read_page(&project, body, media, &base) else {
        return;
    };
    let again = |page: &ProjectPage, format| {
        let media = if format == Format::Json {
            MediaType::Json
        } else {
            MediaType::Html
        };
        let read = read_page(&project, &render_page(page, format), media, &base)
            .expect("what we write can be read");
        assert!(read.rejected.is_empty(), "{:?}", read.rejected);
        assert!(read.dropped_values.is_empty(), "{:?}", read.dropped_values);
        read.page
    };
    let first = again(&read.page, Format::Json);
    assert_eq!(again(&first, Format::Json), first);
    let html = again(&first, Format::Html);
    let names = |page: &ProjectPage| -> Vec<String> {
        page.files
            .iter()
            .map(|file| file.filename().to_owned())
            .collect()
    };
    assert_eq!(names(&html), names(&first));
    render_legacy(&first, None, "..", None);
}

fn list(body: &[u8], media: MediaType) {
    let Ok(read) = read_list(body, media) else {
        return;
    };
    assert!(read.projects.is_sorted_by(|left, right| left.0 < right.0));
    let projects = read.projects.iter().map(|(name, serial)| (name, *serial));
    let written = render_list(projects, read.serial, Format::Json);
    let again = read_list(&written, MediaType::Json).expect("what we write can be read");
    assert_eq!((again.projects, again.serial), (read.projects, read.serial));
}

fn project_name(text: &str) -> ProjectName {
    text.parse().expect("a constant")
}

//! The format against itself, and every way in which a bundle can be wrong that needs no mirror to see.

use std::io::{Cursor, Read};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::page::{Format, read_signed, render_page};

const MADE_AT: &str = "2026-11-25T16:00:00Z";

fn header() -> Header {
    Header {
        format: BUNDLE_FORMAT,
        made_at: MADE_AT.parse().unwrap(),
        coverage: Coverage::Selection,
        extent: Extent::Some,
        lacking: Vec::new(),
        selection: vec!["acme".to_owned()],
        upstream: Some("https://upstream.example/simple/".to_owned()),
        serial: Some(Serial(7)),
        since: None,
    }
}

fn item(path: &str, bytes: &[u8]) -> Item {
    Item::new(path.parse().unwrap(), Sha256::of(bytes), bytes.len() as u64)
}

fn project(name: &str, page: &[u8], parts: Vec<Item>) -> Project {
    Project {
        name: name.parse().unwrap(),
        extent: Extent::Whole,
        upstream: None,
        page: item(&format!("simple/{name}/index.v1_json"), page),
        parts,
    }
}

/// A manifest of these lines.
fn manifest(header: Header, lines: &[Line]) -> (Vec<u8>, Sha256) {
    let mut out = Vec::new();
    let mut writer = ManifestWriter::start(&mut out, header).unwrap();
    for line in lines {
        writer.write(line).unwrap();
    }
    let (_, sha256, size) = writer.finish().unwrap();
    assert_eq!(size, out.len() as u64);
    (out, sha256)
}

/// A bundle of one project with one file whose name is too long for a plain tar header.
fn bundle(content: &[u8]) -> (Vec<u8>, Vec<Line>) {
    let path = format!("packages/aa/bb/{}/acme-1.0.tar.gz", "c".repeat(60));
    let project = project("acme", b"page", vec![item(&path, content)]);
    let lines = vec![
        Line::Trust(item("tuf/1.root.json", b"root")),
        Line::Removed("aardvark".parse().unwrap()),
        Line::Project(project.clone()),
    ];
    let (manifest, sha256) = manifest(header(), &lines);
    let mut packer = Packer::start(Vec::new(), MADE_AT.parse().unwrap()).unwrap();
    packer
        .manifest(sha256, manifest.len() as u64, manifest.as_slice())
        .unwrap();
    packer
        .add(&item("tuf/1.root.json", b"root"), &b"root"[..])
        .unwrap();
    packer.add(&project.page, &b"page"[..]).unwrap();
    packer.add(&project.parts[0], content).unwrap();
    (packer.finish().unwrap(), lines)
}

/// Reads a bundle over; tells its lines.
fn read(bytes: &[u8]) -> Result<Vec<Line>, BundleError> {
    let limits = BundleLimits::default();
    let mut bundle = BundleReader::open(Cursor::new(bytes), Cursor::new(bytes), limits)?;
    let mut lines = Vec::new();
    while let Some(line) = bundle.next_line()? {
        match &line {
            Line::Trust(item) => drop(bundle.document(item)?),
            Line::Project(project) => {
                bundle.document(&project.page)?;
                for part in &project.parts {
                    bundle.bytes(part, |_| Ok::<(), BundleError>(()))?;
                }
            }
            _ => {}
        }
        lines.push(line);
    }
    Ok(lines)
}

#[test]
fn what_is_packed_is_what_is_read_and_the_same_state_is_the_same_bytes() {
    let content = vec![7; 300_000];
    let (bytes, lines) = bundle(&content);
    assert_eq!(read(&bytes).unwrap(), lines);
    assert_eq!(bundle(&content).0, bytes);
    // A plain tar reads it too.
    let plain = zstd::decode_all(bytes.as_slice()).unwrap();
    let mut archive = tar::Archive::new(plain.as_slice());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().to_str().unwrap().to_owned());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
    }
    assert_eq!(names[0], MANIFEST_NAME);
    assert!(names[3].ends_with("/acme-1.0.tar.gz"), "{names:?}");
}

#[test]
fn a_manifest_alone_and_one_in_a_bundle_are_read_alike() {
    let (bytes, lines) = bundle(b"content");
    let (alone, sha256) = manifest(header(), &lines);
    for source in [bytes, alone] {
        let mut reader = ManifestReader::of(Cursor::new(source), BundleLimits::default()).unwrap();
        assert_eq!(reader.header(), &header());
        let mut found = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            found.push(line);
        }
        assert_eq!(found, lines);
        assert_eq!(reader.sha256(), sha256);
        assert_eq!(reader.next_line().unwrap(), None);
    }
}

#[test]
fn a_manifest_reads_as_documented() {
    let mut with_base = header();
    with_base.since = Some(Base {
        manifest: Sha256::of(b""),
        made_at: MADE_AT.parse().unwrap(),
    });
    let mut part = item("packages/x", b"x");
    part.place = Place::Base;
    let mut some = project("acme", b"page", vec![part]);
    some.extent = Extent::Some;
    let (text, _) = manifest(with_base, &[Line::Project(some)]);
    insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
    {"header":{"heliostat-bundle":1,"made-at":"2026-11-25T16:00:00Z","coverage":"selection","extent":"some","selection":["acme"],"upstream":"https://upstream.example/simple/","serial":7,"since":{"manifest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","made-at":"2026-11-25T16:00:00Z"}}}
    {"project":{"name":"acme","extent":"some","page":{"path":"simple/acme/index.v1_json","sha256":"3660315a9af3df255d8f19ab077e4797822b41488a0e2a04bc6af71213c23274","size":4},"parts":[{"path":"packages/x","sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1,"in":"base"}]}}
    {"end":{"projects":1,"removed":0,"entries":1,"size":4,"in-base":1,"list":"991ddb792db9380ad218413a0707429db06668e7a6dfaf9e7105e13a47d2b803"}}
    "#);
}

/// Reads a manifest of these lines; tells why it is refused.
fn refusal(lines: &[serde_json::Value]) -> String {
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let text = lines.join("\n") + "\n";
    let read = || -> Result<(), BundleError> {
        let source = Cursor::new(text.clone().into_bytes());
        let mut reader = ManifestReader::of(source, BundleLimits::default())?;
        while reader.next_line()?.is_some() {}
        Ok(())
    };
    read().unwrap_err().to_string()
}

#[test]
fn a_manifest_out_of_order_or_bounds_is_refused() {
    let sha256 = Sha256::of(b"").to_hex();
    let header =
        json!({"header": {"heliostat-bundle": 1, "made-at": MADE_AT, "coverage": "complete"}});
    let item = |path: &str| json!({"path": path, "sha256": sha256, "size": 0});
    let project = |name: &str, parts: Vec<serde_json::Value>| {
        let page = item(&format!("simple/{name}/index.v1_json"));
        json!({"project": {"name": name, "page": page, "parts": parts}})
    };
    let trust = |path: &str| json!({"trust": item(path)});
    let removed = |name: &str| json!({"removed": name});
    let mut from_base = item("packages/a");
    from_base["in"] = json!("base");
    let mut wrong_page = project("a", vec![]);
    wrong_page["project"]["page"] = item("simple/b/index.v1_json");
    let mut large = item("packages/a");
    large["size"] = json!(1_u64 << 40);
    let much = |path: String| {
        let mut item = item(&path);
        item["size"] = json!(BundleLimits::default().document_bytes_max);
        json!({"trust": item})
    };
    for (lines, words) in [
        (vec![project("a", vec![])], "not a bundle"),
        (vec![header.clone(), header.clone()], "second header"),
        (
            vec![project("b", vec![]), project("a", vec![])],
            "out of order",
        ),
        (vec![removed("a"), project("a", vec![])], "out of order"),
        (vec![project("a", vec![]), trust("tuf/x")], "out of order"),
        (vec![trust("tuf/b"), trust("tuf/a")], "out of order"),
        (vec![trust("packages/a")], "trust file"),
        (vec![trust("tuf/../a")], "not an acceptable path"),
        (
            (10..30).map(|at| much(format!("tuf/{at}"))).collect(),
            "the trust files have more than 512000000 bytes together",
        ),
        (
            vec![project("a", vec![item("packages/b"), item("packages/a")])],
            "out of order",
        ),
        (
            vec![project("a", vec![item("packages/a"), item("packages/a")])],
            "out of order",
        ),
        (
            vec![project("a", vec![from_base])],
            "builds on another state",
        ),
        (vec![wrong_page], "page's path"),
        (vec![project("a", vec![large])], "more than"),
        (vec![project("a", vec![])], "cut off"),
        (
            vec![
                json!({"end": {"projects": 1, "removed": 0, "entries": 0, "size": 0, "in-base": 0}}),
            ],
            "counts otherwise",
        ),
        (vec![json!({"other": 1})], "unknown variant"),
    ] {
        let is_first = words == "not a bundle";
        let all: Vec<_> = (!is_first)
            .then(|| header.clone())
            .into_iter()
            .chain(lines)
            .collect();
        let refusal = refusal(&all);
        assert!(refusal.contains(words), "`{words}` is not in `{refusal}`");
    }
}

#[test]
fn bytes_that_are_not_what_the_manifest_says_are_not_packed() {
    let item = item("packages/x", b"right");
    for wrong in [&b"wrong"[..], b"righ", b"right and more"] {
        let mut packer = Packer::start(Vec::new(), MADE_AT.parse().unwrap()).unwrap();
        let error = packer.add(&item, wrong).unwrap_err().to_string();
        assert!(error.contains("expected sha256:"), "{error}");
    }
}

#[test]
fn a_project_must_have_what_its_page_lists() {
    let file = |name: &str, sha256: char| {
        let hex = |digit: char| digit.to_string().repeat(64);
        json!({
            "filename": name, "size": 3, "hashes": {"sha256": hex(sha256)},
            "url": format!("../../packages/{0}{0}/{0}{0}/{1}/{name}", sha256, sha256.to_string().repeat(60)),
            "core-metadata": if name.contains(".whl") { json!({"sha256": hex('e')}) } else { json!(false) },
        })
    };
    let page = json!({
        "meta": {"api-version": "1.4"}, "name": "acme", "versions": ["1"],
        "files": [file("acme-1-py3-none-any.whl", 'a'), file("acme-1.tar.gz", 'b')],
    });
    let name = "acme".parse().unwrap();
    let page = read_signed(&name, page.to_string().as_bytes()).unwrap();
    let bytes = render_page(&page, Format::Json);
    let wheel = page.files[0].path.to_string();
    let sdist = page.files[1].path.to_string();
    let at = |path: &str, digit: &str, size_bytes| {
        let sha256 = digit.repeat(64).parse().unwrap();
        Item::new(path.parse().unwrap(), sha256, size_bytes)
    };
    let metadata = format!("{wheel}.metadata");
    let all = vec![
        at(&wheel, "a", 3),
        at(&metadata, "e", 9),
        at(&sdist, "b", 3),
    ];
    let line = |parts: &[Item], extent| Project {
        extent,
        ..project("acme", &bytes, parts.to_vec())
    };
    let whole = contents(&line(&all, Extent::Whole), &page).unwrap();
    assert!(whole.left_out.is_empty());
    let kinds: Vec<_> = whole.parts.iter().map(|part| part.kind).collect();
    assert_eq!(kinds, [PartKind::File, PartKind::Metadata, PartKind::File]);
    let some = contents(&line(&all[2..], Extent::Some), &page).unwrap();
    assert_eq!(some.left_out, ["acme-1-py3-none-any.whl".to_owned()].into());
    for (parts, extent, words) in [
        (all[2..].to_vec(), Extent::Whole, "neither in it nor"),
        (all[..1].to_vec(), Extent::Some, "the metadata of"),
        (all[1..2].to_vec(), Extent::Some, "the file of"),
        (vec![at(&wheel, "f", 3)], Extent::Some, "another digest"),
        (vec![at(&wheel, "a", 4)], Extent::Some, "another digest"),
        (vec![at(&metadata, "f", 9)], Extent::Some, "another digest"),
        (vec![at("packages/other", "a", 3)], Extent::Some, "lists no"),
        (
            vec![at(&format!("{sdist}.metadata"), "e", 9)],
            Extent::Some,
            "offers no",
        ),
    ] {
        let error = contents(&line(&parts, extent), &page)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "`{words}` is not in `{error}`");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_bundle_with_any_byte_changed_is_refused_or_the_same(at in 0_usize..2_000, with in 1_u8..=255) {
        let (mut bytes, lines) = bundle(b"some content that is the same each time");
        let at = at % bytes.len();
        bytes[at] ^= with;
        // A change that no checksum covers, such as in a frame's spare bits, must leave what is read as it was.
        if let Ok(read) = read(&bytes) {
            prop_assert_eq!(read, lines);
        }
    }

    #[test]
    fn a_bundle_cut_off_anywhere_is_refused(keep in 0_usize..2_000) {
        let (bytes, _) = bundle(b"some content that is the same each time");
        let keep = keep % bytes.len();
        prop_assert!(read(&bytes[..keep]).is_err());
    }
}

//! Metadata as real uploads have it, and wheels as nobody should make them.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::{FileName, WheelName};

#[test]
fn the_fields_that_matter() {
    let document = "Metadata-Version: 2.4\r\nName: Acme_Core\r\nVersion: 1.2\r\nSummary: one\r\n  Requires-Dist: folded\r\n\
        Requires-Python: >=3.8.*\r\nRequires-Dist: tool[x] (>=2)\r\n ; extra ==\r\n\t'cli'\r\nrequires-dist: other\r\n\
        Requires-Dist: not a requirement\r\nProvides-Extra: CLI\r\nProvides-Extra: :bad\r\nno colon\r\n\r\nRequires-Dist: body\r\n";
    let metadata = CoreMetadata::parse(document.as_bytes()).unwrap();
    assert_eq!(metadata.name, Some("acme-core".parse().unwrap()));
    assert_eq!(metadata.version, Some(Version::parse("1.2")));
    assert_eq!(metadata.requires_python.to_string(), ">=3.8");
    let required: Vec<String> = metadata
        .requires_dist
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(required, ["tool[x]>=2 ; extra == 'cli'", "other"]);
    assert_eq!(metadata.provides_extra, ["cli".parse().unwrap()].into());
    assert_eq!(metadata.problems.len(), 2, "{:?}", metadata.problems);
    assert!(metadata.dependencies_are_static());
}

#[test]
fn static_dependencies_are_declared() {
    for (document, expected) in [
        ("Metadata-Version: 2.1\nName: a\n", false),
        ("Metadata-Version: 2.2\nName: a\n", true),
        ("Metadata-Version: 2.2\nDynamic: Requires-Dist\n", false),
        ("Metadata-Version: 2.3\nDynamic: Version\n", true),
    ] {
        assert_eq!(
            CoreMetadata::parse(document.as_bytes())
                .unwrap()
                .dependencies_are_static(),
            expected,
            "{document}"
        );
    }
    assert_eq!(
        CoreMetadata::parse(b"\n\nName: a"),
        Err(MetadataError::Empty)
    );
    assert!(
        CoreMetadata::parse(b"Name: a\nAuthor: \xff\xfe\n")
            .unwrap()
            .name
            .is_some()
    );
}

fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn named(filename: &str) -> (ProjectName, WheelName) {
    let project: ProjectName = filename.split('-').next().unwrap().parse().unwrap();
    let name = FileName::parse(filename, &project).unwrap();
    (project, name.as_wheel().unwrap().clone())
}

fn extract(bytes: &[u8], filename: &str) -> Result<Vec<u8>, WheelError> {
    let (project, name) = named(filename);
    extract_wheel_metadata(Cursor::new(bytes), &project, &name)
}

const WHEEL: &str = "Acme_Core-1.2.0-py3-none-any.whl";

#[test]
fn the_metadata_of_a_wheel_byte_for_byte() {
    let content = b"Name: Acme.Core\r\nVersion: 1.2\r\n\r\n\xff\x00 as it is";
    for directory in ["Acme_Core-1.2.0", "acme.core-1.2", "acme-core-1.2.0"] {
        let path = format!("{directory}.dist-info/METADATA");
        let bytes = wheel(&[
            ("acme/__init__.py", b"x = 1"),
            ("vendored/acme_core-1.2.0.dist-info/METADATA", b"no"),
            ("other-1.0.dist-info/METADATA", b"no"),
            (&path, content),
        ]);
        assert_eq!(extract(&bytes, WHEEL).unwrap(), content, "{directory}");
    }
    let local = wheel(&[("acme_core-1.0+cpu.dist-info/METADATA", b"x")]);
    assert_eq!(
        extract(&local, "acme_core-1.0+cpu-py3-none-any.whl").unwrap(),
        b"x"
    );
}

#[test]
fn a_wheel_without_its_metadata_is_an_error() {
    let other = wheel(&[
        ("acme_core-1.3.dist-info/METADATA", b"x"),
        ("METADATA", b"x"),
    ]);
    assert!(matches!(
        extract(&other, WHEEL),
        Err(WheelError::FindMetadata { .. })
    ));
    let several = wheel(&[
        ("acme_core-1.2.dist-info/METADATA", b"x"),
        ("Acme.Core-1.2.0.dist-info/METADATA", b"y"),
    ]);
    assert!(matches!(
        extract(&several, WHEEL),
        Err(WheelError::ChooseMetadata { .. })
    ));
    assert!(matches!(
        extract(b"", WHEEL),
        Err(WheelError::ReadArchive(_))
    ));
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = vec![b'a'; usize::try_from(METADATA_BYTES_MAX).unwrap() + 1];
    let bytes = wheel(&[("acme_core-1.2.dist-info/METADATA", &bomb)]);
    assert!(bytes.len() < 100_000);
    assert!(matches!(
        extract(&bytes, WHEEL),
        Err(WheelError::MetadataTooLarge)
    ));
}

#[test]
fn damage_anywhere_is_an_error_or_harmless() {
    let content = "Name: acme-core\n".repeat(50);
    let bytes = wheel(&[
        ("a.py", b"x"),
        ("acme_core-1.2.dist-info/METADATA", content.as_bytes()),
    ]);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        if let Ok(found) = extract(&damaged, WHEEL) {
            assert_eq!(found, content.as_bytes(), "byte {at}");
        }
        assert!(extract(&bytes[..at], WHEEL).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn no_document_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), near in "((Name|Version|Requires-Dist|Requires-Python|Dynamic): ?[a-z0-9;=<> '.]{0,12}\r?\n( x\n)?){0,6}") {
        drop(CoreMetadata::parse(&bytes));
        drop(CoreMetadata::parse(near.as_bytes()));
        drop(extract(&bytes, WHEEL));
    }
}

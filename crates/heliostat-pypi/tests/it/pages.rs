//! Properties of reading and writing pages.

use std::collections::{BTreeMap, BTreeSet};

use heliostat_pypi::page::{
    CoreMetadata, Format, MediaType, PageFile, ProjectPage, ProjectStatus, StatusKind, Yanked,
    read_list, read_page, render_legacy, render_list, render_page,
};
use heliostat_pypi::{ProjectName, Serial, Sha256, TreePath};
use proptest::prelude::*;
use url::Url;

fn base() -> Url {
    "http://mirror.example/simple/acme-sdk/".parse().unwrap()
}

fn acme() -> ProjectName {
    "acme-sdk".parse().unwrap()
}

/// Words in an index's own language, as a yank's or a status's reason.
fn reason() -> impl Strategy<Value = String> {
    "[\\PC\n\t]{0,20}[^\\s\\p{C}][\\PC\n\t]{0,20}"
}

fn filename() -> impl Strategy<Value = String> {
    let version = "([0-9]{1,2}!)?[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(rc[0-9]|\\.post[0-9]|\\+[a-z]{1,3}[0-9])?|dev-r[0-9]";
    let suffix = "\\.tar\\.gz|\\.zip|-py3-none-any\\.whl|-cp312-cp312-win_amd64\\.whl|-py2\\.7\\.egg|é\\.zip| &<\\.zip";
    ("acme_sdk|Acme-SDK|acme\\.sdk", version, suffix)
        .prop_map(|(name, version, suffix)| format!("{name}-{version}{suffix}"))
}

/// A file as it is read from a tree: its address is where its path says.
fn file() -> impl Strategy<Value = PageFile> {
    let hash = prop_oneof![
        Just("md5"),
        Just("sha512"),
        Just("blake2b"),
        Just("sha3_256")
    ];
    let facts = (
        any::<[u8; 32]>(),
        filename(),
        proptest::option::of(any::<[u8; 32]>()),
        proptest::collection::btree_map(hash.prop_map(str::to_owned), "[0-9a-f]{4}", 0..3),
        proptest::option::of(0..u64::from(u32::MAX)),
        proptest::option::of(
            "20[0-9]{2}-0[1-9]-1[0-9]T0[0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z",
        ),
    );
    let marks = (
        proptest::option::of(reason()),
        prop_oneof![
            Just(CoreMetadata::Absent),
            Just(CoreMetadata::Offered),
            any::<[u8; 32]>().prop_map(|bytes| CoreMetadata::Sha256(Sha256::from_bytes(bytes))),
        ],
        prop_oneof![
            Just(Yanked::No),
            Just(Yanked::Yes),
            reason().prop_map(Yanked::Because)
        ],
        any::<Option<Option<[u8; 32]>>>(),
        any::<Option<bool>>(),
    );
    (facts, marks).prop_map(
        |((id, name, sha256, other_hashes, size_bytes, upload_time), marks)| {
            let (requires_python, core_metadata, yanked, provenance, gpg_sig) = marks;
            let path = TreePath::new(id, &name).unwrap();
            let mut url = base().join("/").unwrap();
            url.path_segments_mut()
                .unwrap()
                .extend(path.directory().split('/'))
                .push(&name);
            PageFile {
                url: url.into(),
                sha256: sha256.map(Sha256::from_bytes),
                other_hashes,
                size_bytes,
                upload_time,
                requires_python,
                core_metadata,
                yanked,
                provenance: provenance.map(|_| "https://upstream.example/p".to_owned()),
                provenance_sha256: provenance.flatten().map(Sha256::from_bytes),
                gpg_sig,
                path,
            }
        },
    )
}

fn page() -> impl Strategy<Value = ProjectPage> {
    let status = prop_oneof![
        Just(StatusKind::Active),
        Just(StatusKind::Archived),
        Just(StatusKind::Deprecated),
        Just(StatusKind::Other("frozen".to_owned())),
    ];
    (
        proptest::option::of(any::<u64>().prop_map(Serial)),
        status,
        proptest::option::of(reason()),
        proptest::collection::vec("[0-9]\\.[0-9]|odd one", 0..4),
        proptest::collection::vec(file(), 0..8),
    )
        .prop_map(|(serial, kind, reason, versions, mut files)| {
            let mut seen = BTreeSet::new();
            files.retain(|file| seen.insert(file.filename().to_owned()));
            ProjectPage {
                name: acme(),
                serial,
                status: ProjectStatus { kind, reason },
                versions,
                files,
            }
        })
}

/// Reads what was written and demands that nothing was refused.
fn read_back(page: &ProjectPage, format: Format) -> ProjectPage {
    let media = match format {
        Format::Json => MediaType::Json,
        Format::Html => MediaType::Html,
    };
    let body = render_page(page, format);
    let read = read_page(&page.name, &body, media, &base()).unwrap();
    assert_eq!(
        (read.rejected, read.dropped_values),
        (vec![], vec![]),
        "{}",
        String::from_utf8_lossy(&body)
    );
    read.page
}

/// By name, without what legally differs: how an address is encoded, and whose provenance object it is.
fn by_name(files: &[PageFile]) -> BTreeMap<String, PageFile> {
    let plain = |file: &PageFile| PageFile {
        url: String::new(),
        provenance: None,
        // No digest without an address, which only a file with a version has.
        provenance_sha256: file
            .provenance_sha256
            .filter(|_| file.provenance_path(&acme()).is_some()),
        ..file.clone()
    };
    files
        .iter()
        .map(|file| (file.filename().to_owned(), plain(file)))
        .collect()
}

/// HTML has room for one digest.
fn with_one_hash(mut file: PageFile) -> PageFile {
    let best = ["sha512", "sha384", "blake2b", "md5"]
        .into_iter()
        .find(|name| file.other_hashes.contains_key(*name));
    file.provenance_sha256 = None;
    file.other_hashes
        .retain(|name, _| file.sha256.is_none() && Some(name.as_str()) == best);
    file
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn json_keeps_everything(page in page()) {
        let read = read_back(&page, Format::Json);
        prop_assert_eq!((&read.name, read.serial, &read.status), (&page.name, page.serial, &page.status));
        prop_assert_eq!(by_name(&read.files), by_name(&page.files));
        let missing: Vec<_> = page.versions.iter().filter(|version| !read.versions.contains(version)).collect();
        prop_assert!(missing.is_empty(), "{missing:?}");
        // From here on it is the identity, bytes included.
        prop_assert_eq!(render_page(&read, Format::Json), render_page(&page, Format::Json));
        prop_assert_eq!(&read_back(&read, Format::Json), &read);
    }

    #[test]
    fn html_carries_the_same_files(page in page()) {
        let json = read_back(&page, Format::Json);
        let html = read_back(&page, Format::Html);
        prop_assert_eq!((html.serial, &html.status), (json.serial, &json.status));
        let expected: Vec<PageFile> = json.files.into_iter().map(with_one_hash).collect();
        prop_assert_eq!(&html.files, &expected);
        prop_assert_eq!(render_page(&read_back(&html, Format::Html), Format::Html), render_page(&html, Format::Html));
    }

    #[test]
    fn the_order_of_files_does_not_matter(page in page(), seed in any::<prop::sample::Index>()) {
        let mut turned = page.clone();
        if !turned.files.is_empty() {
            let middle = seed.index(turned.files.len());
            turned.files.rotate_left(middle);
        }
        for format in [Format::Json, Format::Html] {
            prop_assert_eq!(render_page(&turned, format), render_page(&page, format));
        }
        prop_assert_eq!(render_legacy(&turned, None, "..", None), render_legacy(&page, None, "..", None));
    }

    #[test]
    fn the_legacy_document_holds_every_file_that_has_a_version(page in page()) {
        let Some(document) = render_legacy(&page, None, "http://m.example", None) else {
            prop_assert!(page.versions.is_empty());
            prop_assert!(page.files.iter().all(|file| file.version(&page.name).is_none()));
            return Ok(());
        };
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        let listed: BTreeSet<String> = document["releases"].as_object().unwrap().values()
            .flat_map(|files| files.as_array().unwrap())
            .map(|file| file["filename"].as_str().unwrap().to_owned())
            .collect();
        let held: BTreeSet<String> = page.files.iter()
            .filter(|file| file.version(&page.name).is_some())
            .map(|file| file.filename().to_owned()).collect();
        prop_assert_eq!(listed, held);
    }

    #[test]
    fn lists_are_read_back(entries in proptest::collection::btree_map("[a-z][a-z0-9]{0,5}(-[a-z]{1,3})?", any::<Option<u64>>(), 0..30), serial in any::<Option<u64>>()) {
        let projects: Vec<(ProjectName, Option<Serial>)> = entries.into_iter()
            .map(|(name, serial)| (name.parse().unwrap(), serial.map(Serial))).collect();
        let render = |format| render_list(projects.iter().map(|(name, serial)| (name, *serial)), serial.map(Serial), format);
        let json = read_list(&render(Format::Json), MediaType::Json).unwrap();
        prop_assert_eq!((&json.projects, json.serial), (&projects, serial.map(Serial)));
        let html = read_list(&render(Format::Html), MediaType::Html).unwrap();
        let names: Vec<(ProjectName, Option<Serial>)> = projects.iter().map(|(name, _)| (name.clone(), None)).collect();
        prop_assert_eq!((html.projects, html.serial), (names, serial.map(Serial)));
    }

    #[test]
    fn damaged_documents_never_panic(page in page(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for (format, media) in [(Format::Json, MediaType::Json), (Format::Html, MediaType::Html)] {
            let mut body = render_page(&page, format);
            let at = cut.index(body.len());
            body[at] = byte;
            drop(read_page(&acme(), &body, media, &base()));
            drop(read_list(&body, media));
            body.truncate(at);
            drop(read_page(&acme(), &body, media, &base()));
        }
    }

    #[test]
    fn a_page_cut_short_is_never_a_shorter_page(page in page(), cut in any::<prop::sample::Index>()) {
        for (format, media) in [(Format::Json, MediaType::Json), (Format::Html, MediaType::Html)] {
            let body = render_page(&page, format);
            let at = cut.index(body.len());
            if let Ok(read) = read_page(&acme(), &body[..at], media, &base()) {
                prop_assert_eq!(read.page.files.len(), page.files.len());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for media in [MediaType::Json, MediaType::Html] {
            drop(read_page(&acme(), &body, media, &base()));
            drop(read_list(&body, media));
        }
    }
}

//! A small made-up upstream to fill stores with, and the check that a whole data directory is as it must be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage, ProjectStatus, Yanked};
use heliostat_pypi::{ProjectName, Serial, Sha256, TreePath};
use heliostat_store::{
    Admission, Change, CommitPolicy, Committed, EntryKind, Expected, Foreign, Keeper, PageKind,
    Part, ProjectRecord, Put, Store, StoreError, Totals, Validators, document,
};

pub(crate) const NOW: i64 = 1_790_000_000;

pub(crate) fn name(text: &str) -> ProjectName {
    text.parse().unwrap()
}

/// The bytes of one release of a project: a function of both, so that any test can tell what must be on disk.
pub(crate) fn bytes(project: &str, release: u32) -> Vec<u8> {
    format!("{project} {release} ")
        .repeat(50 + release as usize)
        .into_bytes()
}

pub(crate) fn metadata_bytes(project: &str, release: u32) -> Vec<u8> {
    format!("Metadata-Version: 2.1\nName: {project}\nVersion: {release}\n").into_bytes()
}

pub(crate) fn filename(project: &str, release: u32) -> String {
    format!("{}-{release}-py3-none-any.whl", project.replace('-', "_"))
}

pub(crate) fn entry(project: &str, release: u32) -> PageFile {
    let content = bytes(project, release);
    let sha256 = Sha256::of(&content);
    let filename = filename(project, release);
    let url = format!("https://files.example/{filename}");
    PageFile {
        path: TreePath::for_upstream(&url, &filename, Some(&sha256)).unwrap(),
        url,
        sha256: Some(sha256),
        other_hashes: BTreeMap::new(),
        size_bytes: Some(content.len() as u64),
        upload_time: None,
        requires_python: None,
        core_metadata: CoreMetadata::Sha256(Sha256::of(&metadata_bytes(project, release))),
        yanked: Yanked::No,
        provenance: None,
        provenance_sha256: None,
        gpg_sig: None,
    }
}

pub(crate) fn record(
    project: &str,
    serial: u64,
    releases: &[u32],
    keeper: Keeper,
) -> ProjectRecord {
    ProjectRecord {
        page: ProjectPage {
            name: name(project),
            serial: Some(Serial(serial)),
            status: ProjectStatus::default(),
            versions: releases.iter().map(ToString::to_string).collect(),
            files: releases
                .iter()
                .map(|release| entry(project, *release))
                .collect(),
        },
        hidden: BTreeSet::new(),
        keeper,
        published_serial: Some(Serial(serial)),
        validators: Validators::default(),
        confirmed_at: NOW,
        upstream: "https://index.example/simple/".to_owned(),
    }
}

/// Both parts of one release, verified.
pub(crate) fn admissions(store: &Store, project: &str, release: u32) -> Vec<Admission> {
    let entry = entry(project, release);
    let expected = Expected {
        sha256: entry.sha256,
        size_bytes: entry.size_bytes,
    };
    let file = store
        .blob_from_bytes(&bytes(project, release), &expected)
        .unwrap();
    let metadata = store
        .blob_from_bytes(&metadata_bytes(project, release), &Expected::default())
        .unwrap();
    vec![
        Admission {
            path: entry.path.clone(),
            part: Part::File,
            blob: file,
        },
        Admission {
            path: entry.path,
            part: Part::Metadata,
            blob: metadata,
        },
    ]
}

/// A mirrored project's new page, with blobs for the releases that are not held yet.
pub(crate) fn mirror(store: &Store, project: &str, serial: u64, releases: &[u32]) -> Change {
    let blobs = releases
        .iter()
        .filter(|release| {
            store
                .file(&entry(project, **release).path)
                .unwrap()
                .is_none()
        })
        .flat_map(|release| admissions(store, project, *release))
        .collect();
    let record = record(project, serial, releases, Keeper::Mirror);
    Change::Put(Box::new(Put {
        record,
        blobs,
        failures: vec![],
    }))
}

pub(crate) fn on_demand(project: &str, serial: u64, releases: &[u32]) -> Change {
    let record = record(project, serial, releases, Keeper::OnDemand);
    Change::Put(Box::new(Put {
        record,
        blobs: vec![],
        failures: vec![],
    }))
}

/// Commits and insists that nothing was refused.
pub(crate) fn commit(store: &Store, changes: Vec<Change>) {
    let _committed = commit_all(store, changes);
}

/// The same, with what it did.
pub(crate) fn commit_all(store: &Store, changes: Vec<Change>) -> Committed {
    let committed = store.commit(changes, &CommitPolicy::at(NOW)).unwrap();
    assert!(committed.refused.is_empty(), "{:?}", committed.refused);
    committed
}

/// The releases that each project's page on disk lists, as a client would read them.
pub(crate) fn listed(data: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let tree = Foreign::new(&data.join("web"));
    let simple = "simple".parse().unwrap();
    let mut projects = BTreeMap::new();
    for project in tree.names(Some(&simple)).unwrap() {
        let path = format!("simple/{project}/index.v1_json").parse().unwrap();
        let Ok(Some(body)) = tree.read(&path, 1 << 24) else {
            continue;
        };
        let page: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let files = page["files"].as_array().unwrap();
        let names = files
            .iter()
            .map(|file| file["filename"].as_str().unwrap().to_owned())
            .collect();
        projects.insert(project, names);
    }
    projects
}

/// What must be true of the tree at any moment, also between two steps of a commit: every file that a mirrored
/// project's page names is there with the bytes that the page promises, and nothing is half-written.
pub(crate) fn assert_readers_are_safe(data: &Path, keeper_of: impl Fn(&str) -> Keeper) {
    let tree = Foreign::new(&data.join("web"));
    for (project, files) in listed(data) {
        if keeper_of(&project) != Keeper::Mirror {
            continue;
        }
        for file in files {
            let release = file.split('-').nth(1).unwrap().parse().unwrap();
            let path = entry(&project, release).path.to_string();
            let content = tree.read(&path.parse().unwrap(), 1 << 24).unwrap();
            assert_eq!(
                content,
                Some(bytes(&project, release)),
                "{path} is listed but not there"
            );
            let metadata = tree
                .read(&format!("{path}.metadata").parse().unwrap(), 1 << 24)
                .unwrap();
            assert_eq!(
                metadata,
                Some(metadata_bytes(&project, release)),
                "{path}.metadata"
            );
        }
    }
}

/// What must be true when nothing is under way: the tree is exactly what the catalog says, nothing more, nothing less;
/// the counts are the sums; nothing temporary is left.
pub(crate) fn assert_whole(store: &Store) {
    let mut expected = expected_tree(store);
    for root in [
        "simple/index.v1_json",
        "simple/index.v1_html",
        "simple/index.html",
        "last-modified",
        ".well-known/heliostat-mirror.json",
    ] {
        let content = Foreign::new(&store.web())
            .read(&root.parse().unwrap(), 1 << 24)
            .unwrap();
        expected.extend(content.map(|content| (root.to_owned(), content)));
    }
    let mut found = BTreeMap::new();
    for item in Foreign::new(&store.web()).walk(None) {
        let item = item.unwrap();
        let relative = item.relative.unwrap().to_string();
        match item.kind {
            EntryKind::File { .. } if is_signed_copy(&relative, &item.path) => {}
            EntryKind::File { .. } => {
                drop(found.insert(relative, std::fs::read(&item.path).unwrap()));
            }
            // The directories at the top stay.
            EntryKind::EmptyDirectory => assert!(!relative.contains('/'), "{relative} is empty"),
            EntryKind::Other => panic!("{relative} is neither file nor directory"),
        }
    }
    let differing: Vec<&String> = expected
        .keys()
        .chain(found.keys())
        .filter(|path| expected.get(*path) != found.get(*path))
        .collect();
    assert!(
        differing.is_empty(),
        "the tree is not what the catalog says: {differing:?}"
    );
    let temporaries: Vec<_> = Foreign::new(&store.data().join("state/incoming"))
        .walk(None)
        .map(|item| item.unwrap().path)
        .filter(|path| path.file_name().unwrap() != "owner.lock")
        .collect();
    assert!(
        temporaries.is_empty(),
        "temporary files are left: {temporaries:?}"
    );
}

/// Metadata, and copies of pages that carry their own digest: which of them must be there is the notary tests' matter.
fn is_signed_copy(relative: &str, path: &Path) -> bool {
    let name = relative.rsplit('/').next().unwrap();
    let Some(digest) = name.strip_suffix(".index.v1_json") else {
        return relative.starts_with("tuf/");
    };
    let content = std::fs::read(path).unwrap();
    assert_eq!(Sha256::of(&content).to_hex(), digest, "{relative}");
    true
}

/// Every path that the catalog answers for, with its content; checks the running counts on the way.
fn expected_tree(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let mut expected = BTreeMap::new();
    let mut sums = Totals::default();
    let each = |name: &ProjectName, record: Result<ProjectRecord, StoreError>| {
        let record = record.unwrap();
        sums.projects += 1;
        for (kind, path) in [
            (PageKind::Json, format!("simple/{name}/index.v1_json")),
            (PageKind::Html, format!("simple/{name}/index.v1_html")),
            (PageKind::Html, format!("simple/{name}/index.html")),
            (PageKind::Legacy, format!("pypi/{name}/json")),
        ] {
            expected.extend(document(&record, kind).map(|content| (path, content)));
        }
        let rows = store.project_files(name).unwrap();
        assert_eq!(
            rows.len(),
            record.listed().count(),
            "{name} has another number of rows than files"
        );
        for row in rows {
            sums.files_listed += 1;
            sums.files_held += u64::from(!row.held.is_empty());
            sums.bytes_held += row.bytes_held;
            if record.keeper == Keeper::Mirror {
                assert!(
                    row.held.starts_with(&[Part::File, Part::Metadata]),
                    "{}: {:?}",
                    row.path,
                    row.held
                );
            }
            expected.extend(
                row.held
                    .iter()
                    .map(|part| part_content(name, &row.path, *part)),
            );
        }
        std::ops::ControlFlow::Continue(())
    };
    store.for_each_project(None, each).unwrap();
    assert_eq!(store.totals().unwrap(), sums);
    expected
}

fn part_content(project: &ProjectName, path: &TreePath, part: Part) -> (String, Vec<u8>) {
    let filename = path.filename();
    let release = filename.split('-').nth(1).unwrap().parse().unwrap();
    match part {
        Part::File => (path.to_string(), bytes(project.as_str(), release)),
        Part::Metadata => (
            format!("{path}.metadata"),
            metadata_bytes(project.as_str(), release),
        ),
        Part::Provenance => (
            format!("integrity/{project}/{release}/{filename}/provenance"),
            b"{}".to_vec(),
        ),
    }
}

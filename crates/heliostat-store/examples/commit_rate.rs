//! Prints what the store costs at the sizes that matter: a first sync's commits, commits of one file, the list of all
//! projects, and the root list.
//!
//! `cargo run --release -p heliostat-store --example commit_rate -- [directory] [projects in the list]`
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measuring tool prints its figures and stops at the first trouble"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage, ProjectStatus, Yanked};
use heliostat_pypi::{Serial, Sha256, TreePath};
use heliostat_store::{
    Admission, Blobs, Change, CommitPolicy, Expected, Keeper, Part, ProjectRecord, Put, Store,
    Validators,
};

const PROJECTS: u32 = 2000;
const FILES: u32 = 5;
const FILE_BYTES: usize = 20_000;
const BATCH: usize = 200;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().unwrap_or_else(|| ".".to_owned());
    let listed: u32 = arguments
        .next()
        .map_or(890_000, |text| text.parse().unwrap());
    let data = Path::new(&parent).join("commit_rate");
    drop(std::fs::remove_dir_all(&data));
    let store = Store::open(&data).unwrap();
    first_sync(&store);
    single_files(&store);
    whole_list(&store, &data, listed);
    drop(store);
    std::fs::remove_dir_all(&data).unwrap();
}

fn first_sync(store: &Store) {
    let mut changes = Vec::new();
    let (start, mut committing) = (Instant::now(), 0.0);
    for project in 0..PROJECTS {
        changes.push(put(store, project, Keeper::Mirror));
        if changes.len() == BATCH {
            let started = Instant::now();
            let committed = store
                .commit(std::mem::take(&mut changes), &CommitPolicy::at(0))
                .unwrap();
            assert!(committed.refused.is_empty(), "{:?}", committed.refused);
            committing += started.elapsed().as_secs_f64();
        }
    }
    let whole = start.elapsed().as_secs_f64();
    println!(
        "{PROJECTS} projects of {FILES} files: {whole:.2} s, of which {committing:.2} s committing"
    );
}

fn single_files(store: &Store) {
    let _page = store
        .commit(
            vec![put(store, PROJECTS, Keeper::OnDemand)],
            &CommitPolicy::at(0),
        )
        .unwrap();
    let start = Instant::now();
    for file in 0..FILES {
        let path = entry(PROJECTS, file).path;
        let blob = store
            .blob_from_bytes(&bytes(PROJECTS, file), &Expected::default())
            .unwrap();
        let blobs = vec![Admission {
            path,
            part: Part::File,
            blob,
        }];
        let project = format!("project-{PROJECTS}").parse().unwrap();
        let change = Change::Blobs(Blobs {
            project,
            blobs,
            learned: vec![],
        });
        assert!(
            store
                .commit(vec![change], &CommitPolicy::at(0))
                .unwrap()
                .refused
                .is_empty()
        );
    }
    println!(
        "one file on demand: {:.1} ms",
        start.elapsed().as_secs_f64() * 1000.0 / f64::from(FILES)
    );
}

/// Fills the list behind the store's back: the pages of so many projects are not what is measured.
fn whole_list(store: &Store, data: &Path, count: u32) {
    let mut connection = rusqlite::Connection::open(data.join("state/catalog.sqlite")).unwrap();
    let transaction = connection.transaction().unwrap();
    let mut insert = transaction
        .prepare("INSERT INTO project VALUES (?1, ?2, 'mirror', ?2, 1700000000, '\"b1946ac92492d2347c6235b4d2611184\"', NULL)")
        .unwrap();
    for number in 0..count {
        let spread = number.wrapping_mul(2_654_435_761);
        insert
            .execute((
                format!("some-project-{spread:08x}"),
                i64::from(number) + 1_000_000,
            ))
            .unwrap();
    }
    drop(insert);
    transaction
        .execute(
            "UPDATE counter SET value = value + ?1 WHERE name = 'projects'",
            [count],
        )
        .unwrap();
    transaction.commit().unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let states = store.project_states().unwrap();
        println!(
            "{} projects listed: {:.2} s",
            states.len(),
            start.elapsed().as_secs_f64()
        );
    }
    let start = Instant::now();
    store.publish_root(Some(Serial(1)), 0).unwrap();
    println!(
        "root list published: {:.2} s",
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    assert!(
        store
            .commit(vec![put(store, 1, Keeper::Mirror)], &CommitPolicy::at(0))
            .unwrap()
            .refused
            .is_empty()
    );
    println!(
        "one project among them committed: {:.1} ms",
        start.elapsed().as_secs_f64() * 1000.0
    );
}

fn put(store: &Store, project: u32, keeper: Keeper) -> Change {
    let name = format!("project-{project}");
    let files: Vec<PageFile> = (0..FILES).map(|file| entry(project, file)).collect();
    let mut blobs = Vec::new();
    if keeper == Keeper::Mirror {
        for (file, entry) in files.iter().enumerate() {
            let expected = Expected {
                sha256: entry.sha256,
                size_bytes: entry.size_bytes,
            };
            let content = bytes(project, u32::try_from(file).unwrap());
            let blob = store.blob_from_bytes(&content, &expected).unwrap();
            blobs.push(Admission {
                path: entry.path.clone(),
                part: Part::File,
                blob,
            });
        }
    }
    let page = ProjectPage {
        name: name.parse().unwrap(),
        serial: Some(Serial(1)),
        status: ProjectStatus::default(),
        versions: (0..FILES).map(|file| file.to_string()).collect(),
        files,
    };
    let record = ProjectRecord {
        page,
        hidden: BTreeSet::new(),
        keeper,
        published_serial: Some(Serial(1)),
        validators: Validators::default(),
        confirmed_at: 0,
        upstream: "https://index.example/simple/".to_owned(),
    };
    Change::Put(Box::new(Put {
        record,
        blobs,
        failures: vec![],
    }))
}

fn entry(project: u32, file: u32) -> PageFile {
    let content = bytes(project, file);
    let sha256 = Sha256::of(&content);
    let filename = format!("project_{project}-{file}-py3-none-any.whl");
    let url = format!("https://files.example/{filename}");
    PageFile {
        path: TreePath::for_upstream(&url, &filename, Some(&sha256)).unwrap(),
        url,
        sha256: Some(sha256),
        other_hashes: BTreeMap::new(),
        size_bytes: Some(content.len() as u64),
        upload_time: None,
        requires_python: None,
        core_metadata: CoreMetadata::Absent,
        yanked: Yanked::No,
        provenance: None,
        provenance_sha256: None,
        gpg_sig: None,
    }
}

fn bytes(project: u32, file: u32) -> Vec<u8> {
    format!("{project} {file} ")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(FILE_BYTES)
        .collect()
}

//! What a notary adds to the tree: signed copies, pending places, versions, retired files. Metadata is made up here, in
//! the shape of TUF's chain: a timestamp names a snapshot, a snapshot names bins, bins name pages.

use std::collections::BTreeMap;
use std::path::Path;

use heliostat_pypi::Sha256;
use heliostat_store::{
    Change, Keeper, MetadataFile, MetadataStep, Origin, Pending, Places, Publication, RoleState,
    Store, place_of,
};

use crate::world::*;

const BINS: [Places; 2] = [
    Places {
        first: 0,
        last: (1 << 31) - 1,
    },
    Places {
        first: 1 << 31,
        last: u32::MAX,
    },
];

/// Publishes what is pending as a notary does: changed bins, snapshot, timestamp.
pub(crate) fn publish(store: &Store, now: i64) {
    let _lock = store.lock_publish().unwrap();
    let pending = store.pending().unwrap();
    let roles = store.roles().unwrap();
    let live = |name: &str| roles.iter().find(|role| role.name == name).cloned();
    let is_changed = |index: usize| {
        let places = BINS[index];
        live(&format!("bin-{index}")).is_none()
            || pending
                .places
                .iter()
                .any(|place| (places.first..=places.last).contains(place))
    };
    let changed: Vec<usize> = (0..BINS.len()).filter(|index| is_changed(*index)).collect();
    let mut names: Vec<String> = changed.iter().map(|index| format!("bin-{index}")).collect();
    names.extend(["snapshot".to_owned(), "timestamp".to_owned()]);
    let versions = store.reserve_versions(&names).unwrap();
    let (mut publication, mut files) = (Publication::default(), Vec::new());
    let mut snapshot: BTreeMap<String, u64> = roles
        .iter()
        .filter(|role| role.name.starts_with("bin-"))
        .map(|role| (role.name.clone(), role.version))
        .collect();
    let mut give_out = |name: &str, version: u64, bytes: &[u8]| {
        if let Some(old) = live(name)
            && name != "timestamp"
        {
            publication
                .replaced
                .push(format!("{}.{name}.json", old.version));
        }
        publication.roles.push(RoleState {
            name: name.to_owned(),
            version,
            signed_at: now,
            expires_at: now + 100,
            size_bytes: bytes.len() as u64,
            sha256: Sha256::of(bytes),
        });
        MetadataFile {
            name: match name {
                "timestamp" => "timestamp.json".to_owned(),
                name => format!("{version}.{name}.json"),
            },
            bytes: bytes.to_vec(),
        }
    };
    for (index, version) in changed.iter().zip(&versions) {
        let targets = store.targets(BINS[*index]).unwrap();
        let lines: BTreeMap<String, String> = targets
            .into_iter()
            .map(|target| (target.project.to_string(), target.sha256.to_string()))
            .collect();
        let name = format!("bin-{index}");
        snapshot.insert(name.clone(), *version);
        files.push(give_out(
            &name,
            *version,
            &serde_json::to_vec(&lines).unwrap(),
        ));
    }
    store.write_metadata(MetadataStep::Bins, &files).unwrap();
    let version = versions[changed.len()];
    let bytes = serde_json::to_vec(&snapshot).unwrap();
    let file = give_out("snapshot", version, &bytes);
    store
        .write_metadata(MetadataStep::Snapshot, &[file])
        .unwrap();
    let bytes = serde_json::to_vec(&version).unwrap();
    let file = give_out("timestamp", versions[changed.len() + 1], &bytes);
    store
        .write_metadata(MetadataStep::Timestamp, &[file])
        .unwrap();
    publication.generation = pending.generation;
    publication.keep_until = now + 48 * 3600;
    store.note_published(&publication).unwrap();
}

/// What a client sees that follows the chain from the timestamp. Everything that is named must be there, whole.
pub(crate) fn seen(data: &Path) -> Option<BTreeMap<String, String>> {
    let tuf = data.join("web/tuf");
    let version: u64 =
        serde_json::from_slice(&std::fs::read(tuf.join("timestamp.json")).ok()?).unwrap();
    let snapshot = std::fs::read(tuf.join(format!("{version}.snapshot.json"))).unwrap();
    let snapshot: BTreeMap<String, u64> = serde_json::from_slice(&snapshot).unwrap();
    let mut pages = BTreeMap::new();
    for (bin, version) in snapshot {
        let bytes = std::fs::read(tuf.join(format!("{version}.{bin}.json"))).unwrap();
        let bin: BTreeMap<String, String> = serde_json::from_slice(&bytes).unwrap();
        pages.extend(bin);
    }
    for (project, sha256) in &pages {
        let page = data.join(format!("web/simple/{project}/{sha256}.index.v1_json"));
        let bytes =
            std::fs::read(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert_eq!(Sha256::of(&bytes).to_hex(), *sha256, "{}", page.display());
    }
    Some(pages)
}

/// What the pages say now.
pub(crate) fn current(store: &Store) -> BTreeMap<String, String> {
    let states = store.project_states().unwrap();
    let page = |name: &heliostat_pypi::ProjectName| {
        let place = store.web().join(format!("simple/{name}/index.v1_json"));
        Sha256::of(&std::fs::read(place).unwrap()).to_hex()
    };
    states
        .into_iter()
        .map(|state| (state.name.to_string(), page(&state.name)))
        .collect()
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

#[test]
fn signing_switched_on_late_finds_every_page() {
    let (directory, store) = store();
    commit(&store, vec![mirror(&store, "alpha", 1, &[1, 2])]);
    commit(&store, vec![on_demand("gamma", 2, &[1])]);
    assert_eq!(store.targets_count().unwrap(), 0);
    assert!(store.pending().unwrap().places.is_empty());
    store.begin_notary(Origin::Own, NOW).unwrap();
    store.begin_notary(Origin::Own, NOW + 1).unwrap();
    // A commit before the index has run is signed like any other.
    commit(&store, vec![mirror(&store, "beta", 3, &[1])]);
    assert_eq!(store.targets_count().unwrap(), 1);
    store.index_targets(NOW).unwrap();
    assert_eq!(store.targets_count().unwrap(), 3);
    assert_eq!(store.notary().unwrap().unwrap().indexed_to, None);
    publish(&store, NOW);
    assert_eq!(seen(directory.path()).unwrap(), current(&store));
    assert_whole(&store);
}

#[test]
fn only_what_changed_is_pending_and_what_comes_meanwhile_stays_so() {
    let (directory, store) = store();
    store.begin_notary(Origin::Own, NOW).unwrap();
    store.index_targets(NOW).unwrap();
    commit(&store, vec![mirror(&store, "alpha", 1, &[1])]);
    assert_eq!(
        store.pending().unwrap().places,
        vec![place_of(&name("alpha"))]
    );
    publish(&store, NOW);
    assert_eq!(store.pending().unwrap().places, vec![] as Vec<u32>);
    // The same page again changes nothing.
    commit(&store, vec![mirror(&store, "alpha", 1, &[1])]);
    assert_eq!(store.pending().unwrap().places, vec![] as Vec<u32>);
    let before: Pending = store.pending().unwrap();
    commit(&store, vec![mirror(&store, "beta", 2, &[1])]);
    let publication = Publication {
        generation: before.generation,
        ..Publication::default()
    };
    store.note_published(&publication).unwrap();
    assert_eq!(
        store.pending().unwrap().places,
        vec![place_of(&name("beta"))]
    );
    commit(&store, vec![Change::Drop { name: name("beta") }]);
    publish(&store, NOW);
    assert_eq!(seen(directory.path()).unwrap(), current(&store));
}

#[test]
fn old_copies_stay_for_readers_of_older_snapshots_and_then_go() {
    let (directory, store) = store();
    store.begin_notary(Origin::Own, NOW).unwrap();
    store.index_targets(NOW).unwrap();
    let copy = |store: &Store, project: &str| {
        let target = store.target(&name(project)).unwrap().unwrap();
        let path = format!("simple/{project}/{}.index.v1_json", target.sha256);
        store.web().join(path)
    };
    commit(&store, vec![mirror(&store, "alpha", 1, &[1])]);
    let first = copy(&store, "alpha");
    commit(&store, vec![mirror(&store, "gone", 1, &[1])]);
    let gone = copy(&store, "gone");
    publish(&store, NOW);
    commit(
        &store,
        vec![
            mirror(&store, "alpha", 2, &[1, 2]),
            Change::Drop { name: name("gone") },
        ],
    );
    let second = copy(&store, "alpha");
    // Not published yet: the live snapshot still names them, however late it is.
    assert_eq!(store.sweep_retired(NOW + 1_000_000).unwrap(), 0);
    publish(&store, NOW);
    assert_eq!(store.sweep_retired(NOW + 48 * 3600 - 1).unwrap(), 0);
    assert!(first.exists() && gone.exists());
    assert!(store.answers_for(&relative(&store, &gone)).unwrap());
    // Back to the first page: it is wanted again and must not go with what was retired.
    commit(&store, vec![mirror(&store, "alpha", 1, &[1])]);
    publish(&store, NOW);
    assert!(store.sweep_retired(NOW + 48 * 3600).unwrap() > 0);
    assert!(first.exists() && !second.exists() && !gone.exists());
    assert!(!store.web().join("simple/gone").exists());
    assert_eq!(seen(directory.path()).unwrap(), current(&store));
    assert_whole(&store);
}

fn relative(store: &Store, path: &Path) -> heliostat_pypi::RelPath {
    let text = path.strip_prefix(store.web()).unwrap().to_str().unwrap();
    text.parse().unwrap()
}

#[test]
fn a_page_with_an_unknown_digest_is_told_and_not_signed() {
    let (_directory, store) = store();
    store.begin_notary(Origin::Own, NOW).unwrap();
    store.index_targets(NOW).unwrap();
    let mut record = record("gamma", 3, &[1], Keeper::OnDemand);
    record.page.files[0].sha256 = None;
    let put = |record| {
        Change::Put(Box::new(heliostat_store::Put {
            record,
            blobs: vec![],
            failures: vec![],
        }))
    };
    commit(&store, vec![put(record.clone())]);
    let unsigned = store.unsigned(10).unwrap();
    assert_eq!(unsigned[0].project, name("gamma"));
    assert!(
        unsigned[0].reason.contains("gamma-1-py3-none-any.whl"),
        "{unsigned:?}"
    );
    assert_eq!(store.target(&name("gamma")).unwrap(), None);
    record.page.files[0].sha256 = entry("gamma", 1).sha256;
    commit(&store, vec![put(record)]);
    assert_eq!(store.unsigned(10).unwrap(), vec![]);
    assert!(store.target(&name("gamma")).unwrap().is_some());
}

#[test]
fn versions_are_given_out_once() {
    let (_directory, store) = store();
    let names = ["snapshot".to_owned(), "bin-0".to_owned()];
    assert_eq!(store.reserve_versions(&names).unwrap(), vec![1, 1]);
    assert_eq!(store.reserve_versions(&names[..1]).unwrap(), vec![2]);
    // Given out, never published.
    assert_eq!(store.roles().unwrap(), vec![]);
}

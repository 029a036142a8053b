//! A notary at work on a store, checked by the client state machine that others use.

#![expect(
    clippy::disallowed_methods,
    reason = "a reader of the tree is played, who has nothing but files"
)]

use std::collections::BTreeSet;

use heliostat_pypi::page::{CoreMetadata, PageFile, ProjectPage, ProjectStatus, Yanked};
use heliostat_pypi::{ProjectName, Serial, Sha256, TreePath};
use heliostat_store::{Change, CommitPolicy, Keeper, ProjectRecord, Put, Store, Validators};
use heliostat_trust::bins::BinCount;
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    Authority, Delegation, Expiry, Metadata as _, RoleName, Root, Scope, Targets, Version,
};
use jiff::{SignedDuration, Timestamp as Instant};
use sigstore_tuf::TrustedMetadataSet;

use super::*;

mod rotation;

const NOW: i64 = 1_790_000_000;

fn name(text: &str) -> ProjectName {
    text.parse().unwrap()
}

fn put(project: &str, serial: u64) -> Change {
    let filename = format!("{project}-{serial}.tar.gz");
    let url = format!("https://files.example/{filename}");
    let sha256 = Sha256::of(filename.as_bytes());
    let page = ProjectPage {
        name: name(project),
        serial: Some(Serial(serial)),
        status: ProjectStatus::default(),
        versions: vec![serial.to_string()],
        files: vec![PageFile {
            path: TreePath::for_upstream(&url, &filename, Some(&sha256)).unwrap(),
            url,
            sha256: Some(sha256),
            other_hashes: [].into(),
            size_bytes: Some(3),
            upload_time: None,
            requires_python: None,
            core_metadata: CoreMetadata::Absent,
            yanked: Yanked::No,
            provenance: None,
            provenance_sha256: None,
            gpg_sig: None,
        }],
    };
    Change::Put(Box::new(Put {
        record: ProjectRecord {
            published_serial: page.serial,
            page,
            hidden: BTreeSet::new(),
            keeper: Keeper::OnDemand,
            validators: Validators::default(),
            confirmed_at: NOW,
            upstream: "https://index.example/simple/".to_owned(),
        },
        blobs: vec![],
        failures: vec![],
    }))
}

struct House {
    _directory: tempfile::TempDir,
    store: Store,
    seed: [u8; 32],
}

impl House {
    fn new(bins: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let house = Self {
            _directory: directory,
            store,
            seed: [7; 32],
        };
        install(&house.store, &house.offline(1, bins), NOW).unwrap();
        house
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed)
    }

    fn notary(&self) -> Notary {
        Notary::of_key(self.key())
    }

    /// Offline roles of a version, with one key for everything.
    fn offline(&self, version: u64, bins: u64) -> OfflineFiles {
        let key = self.key();
        let single = Authority::single(key.public().clone());
        let version = Version::new(version).unwrap();
        let now = Instant::from_second(NOW).unwrap();
        let expires = Expiry::after(now, SignedDuration::from_hours(365 * 24)).unwrap();
        let root = Root {
            version: Version::FIRST,
            expires,
            root: single.clone(),
            targets: single.clone(),
            snapshot: single.clone(),
            timestamp: single.clone(),
        };
        let targets = Targets {
            role: RoleName::targets(),
            version,
            expires,
            targets: [].into(),
            delegations: vec![Delegation {
                name: RoleName::bins(),
                authority: single.clone(),
                scope: Scope::Paths(vec!["simple/*/*".to_owned(), "heliostat/*".to_owned()]),
                terminating: false,
            }],
        };
        let bins = Targets {
            role: RoleName::bins(),
            version,
            expires,
            targets: [].into(),
            delegations: BinCount::new(bins).unwrap().delegations(&single),
        };
        OfflineFiles {
            roots: (version == Version::FIRST)
                .then(|| root.unsigned().sign(&key).to_file())
                .into_iter()
                .collect(),
            targets: Some(targets.unsigned().sign(&key).to_file()),
            bins: Some(bins.unsigned().sign(&key).to_file()),
            trusted_root: None,
        }
    }

    fn commit(&self, changes: Vec<Change>) {
        let committed = self.store.commit(changes, &CommitPolicy::at(NOW)).unwrap();
        assert!(committed.refused.is_empty(), "{:?}", committed.refused);
    }

    fn publish(&self, now: i64, urge: Urge) -> Option<Published> {
        publish_now(&self.store, &self.notary(), now, urge).unwrap()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.store.web().join("tuf").join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What a client trusts after it has walked from the first root to this project's bin.
    fn walk(&self, project: &str, now: i64) -> (TrustedMetadataSet, Option<(u64, String)>) {
        heliostat_trust::crypto::install();
        let now = Instant::from_second(now).unwrap();
        let mut set = TrustedMetadataSet::from_root(&self.file("1.root.json")).unwrap();
        set.update_timestamp(&self.file("timestamp.json"), now)
            .unwrap();
        let snapshot = set.timestamp().unwrap().snapshot_meta().unwrap().version;
        let file = self.file(&format!("{snapshot}.snapshot.json"));
        set.update_snapshot(&file, now).unwrap();
        let version = |set: &TrustedMetadataSet, role: &str| {
            set.snapshot().unwrap().meta[&format!("{role}.json")].version
        };
        let targets = self.file(&format!("{}.targets.json", version(&set, "targets")));
        set.update_targets(&targets, now).unwrap();
        let bins = self.file(&format!("{}.bins.json", version(&set, "bins")));
        set.update_delegated_targets(&bins, "bins", "targets", now)
            .unwrap();
        let path = format!("simple/{project}/index.v1_json");
        let count = offline::Offline::read(&self.store, &self.store.roles().unwrap(), None)
            .unwrap()
            .count;
        let bin = count.bin_of(&path).role().to_string();
        let file = self.file(&format!("{}.{bin}.json", version(&set, &bin)));
        set.update_delegated_targets(&file, &bin, "bins", now)
            .unwrap();
        let found = set.targets_role(&bin).unwrap().targets.get(&path);
        let found = found.map(|file| (file.length, file.hashes["sha256"].clone()));
        (set, found)
    }

    /// That the project's page is signed as it stands, and its consistent copy is there.
    fn assert_signed(&self, project: &str, now: i64) {
        let page = self
            .store
            .web()
            .join(format!("simple/{project}/index.v1_json"));
        let bytes = std::fs::read(page).unwrap();
        let (_, found) = self.walk(project, now);
        let (length, sha256) = found.expect("the page is in its bin");
        assert_eq!(
            (length, &sha256),
            (bytes.len() as u64, &Sha256::of(&bytes).to_hex())
        );
        let copy = self
            .store
            .web()
            .join(format!("simple/{project}/{sha256}.index.v1_json"));
        assert_eq!(std::fs::read(copy).unwrap(), bytes);
    }
}

#[test]
fn what_is_committed_is_signed_and_only_that() {
    for bins in [1, 16, 256] {
        let house = House::new(bins);
        house.commit(vec![put("alpha", 1), put("beta", 2)]);
        let first = house.publish(NOW, Urge::WhenDue).unwrap();
        assert_eq!((first.bins, first.snapshot, first.timestamp), (bins, 1, 1));
        house.assert_signed("alpha", NOW);
        house.assert_signed("beta", NOW);
        assert_eq!(house.walk("gamma", NOW).1, None, "absence is signed too");
        assert_eq!(
            house.publish(NOW, Urge::WhenDue),
            None,
            "there is nothing new"
        );
        house.commit(vec![put("alpha", 3)]);
        let second = house.publish(NOW + 1, Urge::WhenDue).unwrap();
        assert_eq!((second.bins, second.snapshot, second.timestamp), (1, 2, 2));
        house.assert_signed("alpha", NOW);
        house.commit(vec![Change::Drop { name: name("beta") }]);
        house.publish(NOW + 2, Urge::WhenDue).unwrap();
        assert_eq!(house.walk("beta", NOW).1, None);
    }
}

#[test]
fn timestamps_beat_hourly_and_bins_are_signed_again_at_half_their_life() {
    let house = House::new(16);
    house.commit(vec![put("alpha", 1)]);
    house.publish(NOW, Urge::WhenDue).unwrap();
    assert_eq!(house.publish(NOW + 3_599, Urge::WhenDue), None);
    let beat = house.publish(NOW + 3_600, Urge::WhenDue).unwrap();
    assert_eq!((beat.bins, beat.snapshot, beat.timestamp), (0, 1, 2));
    let urged = house.publish(NOW + 3_601, Urge::Heartbeat).unwrap();
    assert_eq!((urged.snapshot, urged.timestamp), (1, 3));
    let day = 24 * 3_600;
    let daily = house.publish(NOW + day, Urge::WhenDue).unwrap();
    assert_eq!(
        (daily.bins, daily.snapshot),
        (0, 2),
        "a snapshot lives two days"
    );
    let later = NOW + 7 * day;
    let weekly = house.publish(later, Urge::WhenDue).unwrap();
    assert_eq!(weekly.bins, 16, "bins live fourteen");
    house.assert_signed("alpha", later + day - 1);
}

#[test]
fn another_number_of_bins_breaks_no_client() {
    let house = House::new(16);
    house.commit(
        (0..40)
            .map(|i| put(&format!("project-{i}"), i + 1))
            .collect(),
    );
    house.publish(NOW, Urge::WhenDue).unwrap();
    let (mut client, _) = house.walk("project-1", NOW);
    install(&house.store, &house.offline(2, 32), NOW).unwrap();
    let published = house.publish(NOW + 1, Urge::WhenDue).unwrap();
    assert_eq!(published.bins, 32);
    for project in 0..40 {
        house.assert_signed(&format!("project-{project}"), NOW + 1);
    }
    // A client that knew the old bins goes on: none of them has left the snapshot.
    let now = Instant::from_second(NOW + 1).unwrap();
    client
        .update_timestamp(&house.file("timestamp.json"), now)
        .unwrap();
    let version = published.snapshot;
    client
        .update_snapshot(&house.file(&format!("{version}.snapshot.json")), now)
        .unwrap();
    let snapshot = client.snapshot().unwrap();
    for bin in BinCount::new(16).unwrap().bins() {
        let version = snapshot.meta[&format!("{}.json", bin.role())].version;
        assert_eq!(version, 2, "{}", bin.role());
        let file = house.file(&format!("{version}.{}.json", bin.role()));
        assert!(
            !String::from_utf8(file).unwrap().contains("simple/"),
            "emptied"
        );
    }
    // Old files are kept for those who still hold the old snapshot, and then go.
    let old = house.store.web().join("tuf/1.bin-16-0.json");
    assert!(old.exists());
    house.publish(NOW + 3 * 24 * 3_600, Urge::WhenDue).unwrap();
    assert!(!old.exists());
    house.assert_signed("project-1", NOW + 3 * 24 * 3_600);
}

#[test]
fn what_people_signed_is_checked_before_it_is_put_there() {
    let house = House::new(16);
    let before = house.store.metadata_names().unwrap();
    let mut foreign = house.offline(2, 16);
    let thief = House {
        seed: [9; 32],
        ..House::new(1)
    };
    foreign.bins = thief.offline(2, 16).bins;
    let error = install(&house.store, &foreign, NOW).unwrap_err();
    assert!(matches!(error, EngineError::Trust(_)), "{error}");
    let again = house.offline(1, 32);
    let stale = OfflineFiles {
        roots: vec![],
        ..again
    };
    let error = install(&house.store, &stale, NOW).unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");
    assert_eq!(house.store.metadata_names().unwrap(), before);
}

#[test]
fn without_the_right_key_nothing_is_written() {
    let house = House::new(1);
    house.commit(vec![put("alpha", 1)]);
    let other = Notary::of_key(SigningKey::from_seed(&[8; 32]));
    let error = publish_now(&house.store, &other, NOW, Urge::WhenDue).unwrap_err();
    assert!(matches!(error, EngineError::Sign { .. }), "{error}");
    assert!(!house.store.web().join("tuf/timestamp.json").exists());
    house.publish(NOW, Urge::WhenDue).unwrap();
    house.assert_signed("alpha", NOW);
}

#[test]
fn what_a_tree_claims_is_in_its_snapshot() {
    let house = House::new(1);
    let everything = heliostat_pypi::select::Selection::everything();
    claim(
        &house.store,
        Some(&everything),
        "https://up.example/simple/",
        Some(Serial(7)),
    )
    .unwrap();
    house.publish(NOW, Urge::WhenDue).unwrap();
    let claimed = |house: &House| {
        let (set, _) = house.walk("alpha", NOW);
        set.snapshot().unwrap().extra["x-heliostat"].clone()
    };
    assert_eq!(
        claimed(&house),
        serde_json::json!({"coverage": "complete", "format": 1, "serial": 7, "upstream": "https://up.example/simple/"})
    );
    // A page that cannot be signed is absent and exists all the same: nothing may be concluded from absence.
    let Change::Put(mut unsignable) = put("odd", 8) else {
        unreachable!()
    };
    unsignable.record.page.files[0].sha256 = None;
    house.commit(vec![Change::Put(unsignable)]);
    house.publish(NOW, Urge::WhenDue).unwrap();
    assert_eq!(claimed(&house)["coverage"], "partial");
}

#[test]
fn a_tree_that_is_taken_over_tells_the_digests_of_provenance_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let Change::Put(mut with) = put("alpha", 1) else {
        unreachable!()
    };
    let file = &mut with.record.page.files[0];
    file.provenance = Some("https://index.example/integrity/alpha/1/provenance".to_owned());
    let document = b"{\"version\": 1}";
    with.blobs.push(heliostat_store::Admission {
        path: file.path.clone(),
        part: heliostat_store::Part::Provenance,
        blob: store
            .blob_from_bytes(document, &heliostat_store::Expected::default())
            .unwrap(),
    });
    // As a record is that was written while nobody asked for digests.
    let without = Put {
        record: with.record.clone(),
        blobs: vec![],
        failures: vec![],
    };
    for change in [with, Box::new(without)] {
        let committed = store.commit(vec![Change::Put(change)], &CommitPolicy::at(NOW));
        assert!(committed.unwrap().refused.is_empty());
    }
    let digest = |store: &Store| {
        let record = store.project(&name("alpha")).unwrap().unwrap();
        record.page.files[0].provenance_sha256
    };
    assert_eq!(digest(&store), None);
    let house = House {
        _directory: directory,
        store,
        seed: [7; 32],
    };
    install(&house.store, &house.offline(1, 1), NOW).unwrap();
    house.publish(NOW, Urge::WhenDue).unwrap();
    assert_eq!(digest(&house.store), Some(Sha256::of(document)));
    let page = house.store.web().join("simple/alpha/index.v1_json");
    let page = std::fs::read(page).unwrap();
    let text = String::from_utf8(page.clone()).unwrap();
    assert!(text.contains(&Sha256::of(document).to_string()), "{text}");
    let (_, target) = house.walk("alpha", NOW);
    assert_eq!(target.unwrap().1, Sha256::of(&page).to_string());
}

#[test]
fn the_check_of_a_tree_tells_everything_that_is_wrong_with_it() {
    use crate::{FilesChecked, FindingKind, TreeCheck, check_tree};
    let house = House::new(16);
    house.commit(vec![put("alpha", 1), put("beta", 2), put("gamma", 3)]);
    house.publish(NOW, Urge::WhenDue).unwrap();
    let (web, root) = (house.store.web(), house.file("1.root.json"));
    let look = |now: i64| {
        let mut found = Vec::new();
        let what = TreeCheck {
            root: &root,
            files: FilesChecked::All,
            now,
        };
        let report = check_tree(&web, &what, |finding| {
            found.push((finding.kind, finding.path.clone()));
        })
        .unwrap();
        (report, found)
    };
    let (report, found) = look(NOW);
    assert_eq!(
        (report.pages, found),
        (3, vec![]),
        "a tree that claims nothing may lack files"
    );
    assert_eq!(report.absent, 3);
    // Everything is held: then a file that a page names and that is not there is told.
    let everything = heliostat_pypi::select::Selection::everything();
    claim(
        &house.store,
        Some(&everything),
        "https://up.example/simple/",
        Some(Serial(3)),
    )
    .unwrap();
    house.publish(NOW, Urge::WhenDue).unwrap();
    let (report, found) = look(NOW);
    assert_eq!((report.findings, report.integrity), (3, 0));
    assert!(
        found
            .iter()
            .all(|(kind, path)| *kind == FindingKind::Missing && path.starts_with("packages/"))
    );
    // One thing wrong with each project, and a page that nobody signed.
    let copy = |project: &str| {
        let target = house.store.target(&name(project)).unwrap().unwrap();
        web.join(format!("simple/{project}/{}.index.v1_json", target.sha256))
    };
    std::fs::write(copy("alpha"), b"{}").unwrap();
    std::fs::remove_file(copy("beta")).unwrap();
    std::fs::create_dir(web.join("simple/delta")).unwrap();
    std::fs::write(web.join("simple/delta/index.v1_json"), b"{}").unwrap();
    let (report, found) = look(NOW);
    let kinds = |kind| found.iter().filter(|(found, _)| *found == kind).count();
    assert_eq!(report.integrity, 2, "{found:?}");
    assert_eq!(
        (kinds(FindingKind::Wrong), kinds(FindingKind::Unsigned)),
        (1, 1),
        "{found:?}"
    );
    let bin = format!(
        "1.{}.json",
        BinCount::new(16)
            .unwrap()
            .bin_of("simple/gamma/index.v1_json")
            .role()
    );
    std::fs::remove_file(web.join("tuf").join(&bin)).unwrap();
    let (_, found) = look(NOW);
    assert!(
        found.contains(&(FindingKind::Missing, format!("tuf/{bin}"))),
        "{found:?}"
    );
    let (_, found) = look(NOW + 10 * 24 * 3_600);
    assert_eq!(
        found,
        vec![(FindingKind::Expired, "tuf/timestamp.json".to_owned())]
    );
}

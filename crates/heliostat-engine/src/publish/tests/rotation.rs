//! A root that names another online key: what clients of the old root and of the new one see at every step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use heliostat_trust::keys::PublicKey;

use super::*;

const NEW_SEED: [u8; 32] = [8; 32];

fn new_key() -> SigningKey {
    SigningKey::from_seed(&NEW_SEED)
}

impl House {
    /// Root 2 and what goes with it: the people are the same, the online key is another.
    fn rotated(&self) -> OfflineFiles {
        let people = Authority::single(self.key().public().clone());
        let online = Authority::single(new_key().public().clone());
        let second = Version::FIRST.next();
        let before = self.file("1.root.json");
        let before = heliostat_trust::metadata::Signed::<Root>::read(&before).unwrap();
        let root = Root {
            version: second,
            root: people.clone(),
            targets: people,
            snapshot: online.clone(),
            timestamp: online.clone(),
            expires: before.value.expires,
        };
        let mut below = self.offline(2, 16);
        let bins = Targets {
            role: RoleName::bins(),
            version: second,
            expires: before.value.expires,
            targets: [].into(),
            delegations: BinCount::new(16).unwrap().delegations(&online),
        };
        below.bins = Some(bins.unsigned().sign(&self.key()).to_file());
        below.roots = vec![root.unsigned().sign(&self.key()).to_file()];
        below
    }

    /// Whether a client of a root takes the timestamp and what it leads to.
    fn is_taken_under(&self, root: &str) -> bool {
        heliostat_trust::crypto::install();
        let now = Instant::from_second(NOW).unwrap();
        let mut set = TrustedMetadataSet::from_root(&self.file(root)).unwrap();
        if set
            .update_timestamp(&self.file("timestamp.json"), now)
            .is_err()
        {
            return false;
        }
        let pin = set.timestamp().unwrap().snapshot_meta().unwrap().version;
        let snapshot = self.file(&format!("{pin}.snapshot.json"));
        if set.update_snapshot(&snapshot, now).is_err() {
            return false;
        }
        let pin = set.snapshot().unwrap().meta["targets.json"].version;
        let targets = self.file(&format!("{pin}.targets.json"));
        set.update_targets(&targets, now).is_ok()
    }

    fn shows_root_2(&self) -> bool {
        self.store.web().join("tuf/2.root.json").exists()
    }

    fn with(&self, notary: &Notary, urge: Urge) -> Result<Option<Published>, EngineError> {
        publish_now(&self.store, notary, NOW, urge)
    }
}

fn published(bins: u64) -> House {
    let house = House::new(bins);
    house.commit(vec![put("alpha", 1)]);
    house.publish(NOW, Urge::WhenDue).unwrap();
    house
}

#[test]
fn a_new_root_is_seen_only_together_with_what_its_keys_signed() {
    let house = published(16);
    assert_eq!(waiting(&house.store).unwrap(), None);
    install(&house.store, &house.rotated(), NOW).unwrap();
    // What is given again is there already.
    install(&house.store, &house.rotated(), NOW).unwrap();
    let waits = waiting(&house.store).unwrap().unwrap();
    assert_eq!(waits.roles, ["root 2", "targets 2", "bins 2"]);
    assert_eq!(waits.keys, new_key().public().shown());
    assert!(!house.shows_root_2());

    // The old key goes on, and what is committed meanwhile is signed.
    house.commit(vec![put("beta", 2)]);
    house.publish(NOW, Urge::WhenDue).unwrap();
    house.assert_signed("beta", NOW);
    assert!(!house.shows_root_2() && house.is_taken_under("1.root.json"));

    // Neither key: it is told which one is missing, and nothing changes.
    let stranger = Notary::of_key(SigningKey::from_seed(&[9; 32]));
    let error = house.with(&stranger, Urge::Heartbeat).unwrap_err();
    assert!(error.to_string().contains(&waits.keys), "{error}");
    assert!(!house.shows_root_2() && house.is_taken_under("1.root.json"));

    house
        .with(&Notary::of_key(new_key()), Urge::WhenDue)
        .unwrap()
        .unwrap();
    assert!(house.shows_root_2() && house.is_taken_under("2.root.json"));
    assert!(
        !house.is_taken_under("1.root.json"),
        "the old key is believed no more"
    );
    assert_eq!(waiting(&house.store).unwrap(), None);
    // The old roles go when nobody can ask for them any more.
    let later = NOW + 3 * 24 * 3_600;
    publish_now(
        &house.store,
        &Notary::of_key(new_key()),
        later,
        Urge::WhenDue,
    )
    .unwrap();
    assert!(!house.store.web().join("tuf/1.targets.json").exists());
    assert!(house.store.web().join("tuf/1.root.json").exists());
}

#[test]
fn with_both_keys_at_hand_clients_of_either_root_go_on() {
    let house = published(16);
    install(&house.store, &house.rotated(), NOW).unwrap();
    let both = [house.key(), new_key()].map(Signer::of_key);
    let both = Notary::new(both.into(), Duration::ZERO);
    house.with(&both, Urge::WhenDue).unwrap().unwrap();
    assert!(house.shows_root_2());
    assert!(house.is_taken_under("1.root.json") && house.is_taken_under("2.root.json"));
    // The next one is signed by those alone whom the root names.
    house.with(&both, Urge::Heartbeat).unwrap().unwrap();
    assert!(!house.is_taken_under("1.root.json") && house.is_taken_under("2.root.json"));
}

#[test]
fn a_notary_at_work_takes_up_the_new_key_where_it_is_put() {
    let house = published(16);
    let is_there = Arc::new(AtomicBool::new(false));
    let (old, is_put) = (house.seed, Arc::clone(&is_there));
    let notary = house.notary().with_source(move || {
        let seed = if is_put.load(Ordering::Relaxed) {
            NEW_SEED
        } else {
            old
        };
        Ok(vec![Signer::of_key(SigningKey::from_seed(&seed))])
    });
    install(&house.store, &house.rotated(), NOW).unwrap();
    publish_now(&house.store, &notary, NOW, Urge::WhenDue).unwrap();
    assert!(!house.shows_root_2());
    is_there.store(true, Ordering::Relaxed);
    publish_now(&house.store, &notary, NOW + 1, Urge::WhenDue).unwrap();
    assert!(house.shows_root_2());
    assert!(
        house.is_taken_under("1.root.json") && house.is_taken_under("2.root.json"),
        "the old key was still in memory"
    );
    let by_hand = notary.by_hand().unwrap();
    assert_eq!(by_hand.public(), new_key().public());
}

#[test]
fn a_signature_that_fails_uses_up_no_version_and_changes_nothing() {
    let house = published(16);
    let public: PublicKey = house.key().public().clone();
    let broken = Signer::new(public, |_| Err("nobody touched it".to_owned()));
    let broken = Notary::new(vec![broken], Duration::ZERO);
    let names = ["bin-16-0", "snapshot", "timestamp"].map(str::to_owned);
    let before = house.store.next_versions(&names).unwrap();
    house.commit(vec![put("beta", 2)]);
    for _ in 0..3 {
        let error = house.with(&broken, Urge::WhenDue).unwrap_err();
        assert!(error.to_string().contains("nobody touched it"), "{error}");
    }
    assert_eq!(house.store.next_versions(&names).unwrap(), before);
    house.publish(NOW, Urge::WhenDue).unwrap();
    house.assert_signed("beta", NOW);
}

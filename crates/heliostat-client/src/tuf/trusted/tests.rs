//! What is taken over from one state to the next, and what is not.

use std::collections::BTreeMap;

use heliostat_trust::bins::{Bin, BinCount};
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    self as ours, Authority, Delegation, Expiry, Pin, RoleName, Scope, Version,
};
use jiff::SignedDuration;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const PATH: &str = "simple/a/index.v1_json";

/// The versions of a state's roles, one key for all.
#[derive(Clone, Copy)]
struct State {
    top: u64,
    targets: u64,
    bins: u64,
    bin: u64,
}

const FIRST: State = State {
    top: 1,
    targets: 1,
    bins: 1,
    bin: 1,
};

fn key() -> SigningKey {
    heliostat_trust::crypto::install();
    SigningKey::from_seed(&[7; 32])
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn expires() -> Expiry {
    Expiry::after(NOW, SignedDuration::from_hours(1)).unwrap()
}

fn bin() -> Bin {
    BinCount::new(16).unwrap().bin_of(PATH)
}

fn signed(value: &impl ours::Metadata) -> Vec<u8> {
    value.unsigned().sign(&key()).to_file()
}

fn role(name: RoleName, number: u64, delegations: Vec<Delegation>) -> Vec<u8> {
    signed(&ours::Targets {
        role: name,
        version: version(number),
        expires: expires(),
        targets: BTreeMap::new(),
        delegations,
    })
}

impl State {
    /// A client that knows the root and goes on to this state, from the top-level roles only.
    fn arrive(self, client: &mut Trusted) {
        self.arrive_with(client, [bin()]);
    }

    /// The same, where the snapshot pins these bins.
    fn arrive_with(self, client: &mut Trusted, bins: impl IntoIterator<Item = Bin>) {
        let offline = [
            (RoleName::targets(), self.targets),
            (RoleName::bins(), self.bins),
        ];
        let bins = bins.into_iter().map(|bin| (bin.role(), self.bin));
        let pins = offline.into_iter().chain(bins);
        let snapshot = signed(&ours::Snapshot {
            version: version(self.top),
            expires: expires(),
            roles: pins
                .map(|(name, number)| (name, Pin::version(version(number))))
                .collect(),
            coverage: None,
        });
        let timestamp = signed(&ours::Timestamp {
            version: version(self.top),
            expires: expires(),
            snapshot: Pin::exact(version(self.top), &snapshot),
            signed_at: None,
        });
        let bins = Delegation {
            name: RoleName::bins(),
            authority: Authority::single(key().public().clone()),
            scope: Scope::Paths(vec!["simple/*/*".to_owned()]),
            terminating: false,
        };
        client.update_timestamp(&timestamp, NOW).unwrap();
        client.update_snapshot(&snapshot, NOW).unwrap();
        let targets = role(RoleName::targets(), self.targets, vec![bins]);
        client.update_targets(&targets, NOW).unwrap();
    }

    /// The roles that a search for the path had to fetch.
    fn search(self, client: &mut Trusted) -> Vec<String> {
        let mut fetched = Vec::new();
        while let Step::Need(needed) = client.resolve(PATH, 32, NOW).unwrap() {
            let file = if needed.role == "bins" {
                let single = Authority::single(key().public().clone());
                let bins = BinCount::new(16).unwrap().delegations(&single);
                role(RoleName::bins(), self.bins, bins)
            } else {
                role(bin().role(), self.bin, Vec::new())
            };
            client.update_delegated(&file, &needed, NOW).unwrap();
            fetched.push(needed.role);
        }
        fetched
    }
}

fn client() -> Trusted {
    let single = Authority::single(key().public().clone());
    let root = signed(&ours::Root {
        version: version(1),
        expires: expires(),
        root: single.clone(),
        targets: single.clone(),
        snapshot: single.clone(),
        timestamp: single,
    });
    Trusted::from_root(&root, Naming::Ours).unwrap()
}

#[test]
fn a_new_snapshot_takes_over_what_it_pins_as_before() {
    let bin = bin().role().to_string();
    let mut first = client();
    FIRST.arrive(&mut first);
    assert_eq!(FIRST.search(&mut first), ["bins", &bin]);
    assert!(FIRST.search(&mut first).is_empty());
    let (next, both) = (
        State { top: 2, ..FIRST },
        vec!["bins".to_owned(), bin.clone()],
    );
    for (state, fetched) in [
        (next, vec![]),
        (State { bin: 2, ..next }, vec![bin]),
        // The same bin, and another role vouches for it: it is verified anew.
        (State { bins: 2, ..next }, both.clone()),
        (State { targets: 2, ..next }, both.clone()),
    ] {
        let mut second = client();
        state.arrive(&mut second);
        second.take_over(&first);
        assert_eq!(state.search(&mut second), fetched);
    }
    let mut without = client();
    next.arrive(&mut without);
    assert_eq!(next.search(&mut without), both);
}

/// What a stolen online key had signed is gone with the delegation to it, also where the bin's version stays.
#[test]
fn a_bin_is_not_taken_over_from_under_another_delegator() {
    let mut first = client();
    FIRST.arrive(&mut first);
    FIRST.search(&mut first);
    let next = State {
        top: 2,
        bins: 2,
        ..FIRST
    };
    let mut second = client();
    next.arrive(&mut second);
    let Step::Need(needed) = second.resolve(PATH, 32, NOW).unwrap() else {
        panic!("`bins` is needed first");
    };
    let stranger = Authority::single(SigningKey::from_seed(&[8; 32]).public().clone());
    let bins = BinCount::new(16).unwrap().delegations(&stranger);
    let bins = role(RoleName::bins(), next.bins, bins);
    second.update_delegated(&bins, &needed, NOW).unwrap();
    second.take_over(&first);
    let step = second.resolve(PATH, 32, NOW).unwrap();
    assert!(
        matches!(&step, Step::Need(needed) if needed.role == bin().role().to_string()),
        "{step:?}"
    );
}

/// A snapshot without a bin must not make its projects seem not to exist.
#[test]
fn a_bin_that_the_snapshot_leaves_out_is_no_absence() {
    let mut client = client();
    FIRST.arrive(&mut client);
    assert_eq!(FIRST.search(&mut client).len(), 2);
    assert_eq!(client.resolve(PATH, 32, NOW).unwrap(), Step::Absent);
    let other = (0..100)
        .map(|number| format!("simple/p{number}/index.v1_json"))
        .find(|path| BinCount::new(16).unwrap().bin_of(path) != bin())
        .unwrap();
    let refused = client.resolve(&other, 32, NOW);
    assert!(
        matches!(&refused, Err(Error::IntegrityMismatch(said)) if said.contains("does not name it")),
        "{refused:?}"
    );
    let refused = client.resolve(PATH, 1, NOW);
    assert!(
        matches!(&refused, Err(Error::IntegrityMismatch(said)) if said.contains("more than 1 roles")),
        "{refused:?}"
    );
}

/// Memory is bounded, not what can be asked: the bin that was taken longest ago makes room for one more, is needed again
/// when it is asked for, and is verified again. The role that delegates to all of them stays.
#[test]
fn one_bin_too_many_takes_the_place_of_the_oldest() {
    let count = BinCount::new(2 * BINS_HELD_MAX as u64).unwrap();
    let mut client = client();
    FIRST.arrive_with(&mut client, count.bins());
    let mut paths = BTreeMap::new();
    for number in 0.. {
        let path = format!("simple/p{number}/index.v1_json");
        paths.entry(count.bin_of(&path)).or_insert(path);
        if paths.len() > BINS_HELD_MAX {
            break;
        }
    }
    let paths: Vec<(Bin, String)> = paths.into_iter().collect();
    let single = Authority::single(key().public().clone());
    let search = |client: &mut Trusted, path: &str| {
        let mut fetched = Vec::new();
        while let Step::Need(needed) = client.resolve(path, 32, NOW).unwrap() {
            let delegations = match needed.role.as_str() {
                "bins" => count.delegations(&single),
                _ => Vec::new(),
            };
            let file = role(needed.role.parse().unwrap(), 1, delegations);
            client.update_delegated(&file, &needed, NOW).unwrap();
            fetched.push(needed.role);
        }
        assert_eq!(client.resolve(path, 32, NOW).unwrap(), Step::Absent);
        fetched
    };
    let name = |at: usize| paths[at].0.role().to_string();
    for (at, (_, path)) in paths.iter().enumerate() {
        let fetched = search(&mut client, path);
        assert_eq!(fetched.last(), Some(&name(at)));
        assert_eq!(fetched.len(), 1 + usize::from(at == 0), "{fetched:?}");
        assert!(client.delegated.len() <= 1 + BINS_HELD_MAX);
    }
    // All but the first are held; to have the first again costs the second, and nothing else.
    assert!(search(&mut client, &paths[1].1).is_empty());
    assert!(search(&mut client, &paths[BINS_HELD_MAX].1).is_empty());
    assert_eq!(search(&mut client, &paths[0].1), [name(0)]);
    assert!(search(&mut client, &paths[2].1).is_empty());
    assert_eq!(search(&mut client, &paths[1].1), [name(1)]);
    // What is fetched again must be what the snapshot pins and the delegator signs.
    let Step::Need(needed) = client.resolve(&paths[2].1, 32, NOW).unwrap() else {
        panic!("the third bin has made room");
    };
    let newer = role(paths[2].0.role(), 2, Vec::new());
    assert!(client.update_delegated(&newer, &needed, NOW).is_err());
    assert_eq!(client.delegated.len(), 1 + BINS_HELD_MAX);
}

#[test]
fn what_was_taken_over_expires_like_everything() {
    let mut first = client();
    FIRST.arrive(&mut first);
    FIRST.search(&mut first);
    let later = NOW + SignedDuration::from_hours(2);
    assert!(first.resolve(PATH, 32, NOW).is_ok());
    let refused = first.verify("bins", "targets", later);
    assert!(matches!(refused, Err(Error::Expired { .. })), "{refused:?}");
}

#[test]
fn another_root_takes_over_nothing() {
    let mut first = client();
    FIRST.arrive(&mut first);
    FIRST.search(&mut first);
    let two = Authority::new(
        [
            key().public().clone(),
            SigningKey::from_seed(&[8; 32]).public().clone(),
        ],
        1,
    )
    .unwrap();
    let root = signed(&ours::Root {
        version: version(1),
        expires: expires(),
        root: two.clone(),
        targets: two.clone(),
        snapshot: two.clone(),
        timestamp: two,
    });
    let mut second = Trusted::from_root(&root, Naming::Ours).unwrap();
    FIRST.arrive(&mut second);
    second.take_over(&first);
    assert_eq!(FIRST.search(&mut second).len(), 2);
}

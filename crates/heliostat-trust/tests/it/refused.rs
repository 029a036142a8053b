//! What the specification forbids is refused by python-tuf, by sigstore-tuf and by our check.

use std::fmt::Write as _;

use heliostat_trust::metadata::{Pin, RoleName, Version};

use crate::clients::{SigstoreClient, check};
use crate::python_tuf::PythonTuf;
use crate::repository::{
    Files, ONLINE, PEOPLE, Repository, STRANGER, earlier, key, one, path, projects, signed, two_of,
};

const PROJECT: &str = "project-7";

/// How a repository that was fine becomes one that must be refused.
type Spoil = fn(&mut Repository);

/// What the specification forbids, with what of it is broken (section of TUF 1.0.34).
const FORBIDDEN: &[(&str, Spoil)] = &[
    ("5.4.2 timestamp signed by a stranger", |r| {
        r.publish();
        let file = signed(&r.timestamp, &[STRANGER]);
        r.write("timestamp.json", file);
    }),
    ("5.4.2 timestamp not signed", |r| {
        r.publish();
        let file = signed(&r.timestamp, &[]);
        r.write("timestamp.json", file);
    }),
    ("5.4.2 timestamp changed after signing", |r| {
        r.publish();
        replace(r, "timestamp.json", "2027-11-25", "2028-11-25");
    }),
    ("5.4.3.1 timestamp rolled back", |r| {
        r.timestamp.version = Version::FIRST;
        r.sign_timestamp();
    }),
    ("5.4.3.2 snapshot rolled back in a newer timestamp", |r| {
        r.timestamp.version = r.timestamp.version.next();
        r.snapshot.version = Version::FIRST;
        r.sign_snapshot(&[ONLINE]);
    }),
    ("5.4.4 timestamp expired", |r| {
        r.timestamp.expires = earlier();
        r.publish();
    }),
    ("5.5.2 snapshot of other bytes", |r| {
        r.publish();
        let name = format!("{}.snapshot.json", r.snapshot.version);
        replace(r, &name, "2027-11-25", "2028-11-25");
    }),
    ("5.5.2 snapshot of another length", |r| {
        r.publish();
        let name = format!("{}.snapshot.json", r.snapshot.version);
        r.files.get_mut(&name).unwrap().push(b' ');
    }),
    ("5.5.3 snapshot signed by a stranger", |r| {
        r.publish();
        r.sign_snapshot(&[STRANGER]);
    }),
    (
        "5.5.4 snapshot of another version than the timestamp says",
        |r| {
            r.publish();
            let file = r.files[&format!("{}.snapshot.json", r.snapshot.version)].clone();
            r.timestamp.snapshot = Pin::exact(r.snapshot.version.next(), &file);
            r.write(
                &format!("{}.snapshot.json", r.snapshot.version.next()),
                file,
            );
            r.sign_timestamp();
        },
    ),
    ("5.5.5 a bin rolled back in a newer snapshot", |r| {
        let role = r.bin_of(PROJECT).role();
        r.publish();
        r.snapshot.roles.insert(role, Pin::version(Version::FIRST));
        r.sign_snapshot(&[ONLINE]);
    }),
    ("5.5.5 targets rolled back in a newer snapshot", |r| {
        r.publish();
        r.snapshot
            .roles
            .insert(RoleName::bins(), Pin::version(Version::FIRST));
        r.sign_snapshot(&[ONLINE]);
    }),
    ("5.5.5 a bin left out of a newer snapshot", |r| {
        let role = r.bin_of(PROJECT).role();
        r.publish();
        r.snapshot.roles.remove(&role);
        r.sign_snapshot(&[ONLINE]);
    }),
    ("5.5.6 snapshot expired", |r| {
        r.snapshot.expires = earlier();
        r.publish();
    }),
    ("5.5 no snapshot", |r| {
        r.publish();
        let name = format!("{}.snapshot.json", r.snapshot.version);
        r.remove(&name);
    }),
    ("5.6.3 targets signed by one of two", |r| {
        spoil_targets(r, &PEOPLE[..1]);
    }),
    ("5.6.3 targets signed by the online key", |r| {
        spoil_targets(r, &[ONLINE, PEOPLE[0]]);
    }),
    ("5.6.3 one key's signature counted twice", |r| {
        spoil_targets(r, &PEOPLE[..1]);
        let name = RoleName::targets().file(r.targets.version);
        let file = String::from_utf8(r.files[&name].clone()).unwrap();
        let start = file.find('[').unwrap() + 1;
        let end = file.find(']').unwrap();
        let twice = format!("{},{}{}", &file[..end], &file[start..end], &file[end..]);
        r.write(&name, twice.into_bytes());
    }),
    ("5.6.3 one key's signature under another key's id", |r| {
        spoil_targets(r, &PEOPLE[..1]);
        let name = RoleName::targets().file(r.targets.version);
        let file = String::from_utf8(r.files[&name].clone()).unwrap();
        let start = file.find('[').unwrap() + 1;
        let end = file.find(']').unwrap();
        let [alice, bob] = [PEOPLE[0], PEOPLE[1]].map(|number| key(number).id().to_string());
        let other = file[start..end].replace(&alice, &bob);
        let twice = format!(
            "{}{},{other}{}",
            &file[..start],
            &file[start..end],
            &file[end..]
        );
        r.write(&name, twice.into_bytes());
    }),
    (
        "5.6.4 targets of another version than the snapshot says",
        |r| {
            r.publish();
            r.targets.version = r.targets.version.next();
            let name = RoleName::targets().file(r.targets.version);
            let file = r.files[&RoleName::targets().file(Version::FIRST.next())].clone();
            r.write(&name, file);
            r.snapshot
                .roles
                .insert(RoleName::targets(), Pin::version(r.targets.version));
            r.sign_snapshot(&[ONLINE]);
        },
    ),
    ("5.6.5 targets expired", |r| {
        r.targets.expires = earlier();
        spoil_targets(r, &PEOPLE);
    }),
    ("5.6.7 bins signed by the online key", |r| {
        r.bins.version = r.bins.version.next();
        let name = RoleName::bins().file(r.bins.version);
        let file = signed(&r.bins, &[ONLINE]);
        r.write(&name, file);
        r.publish();
    }),
    ("5.6.7 bins expired", |r| {
        r.bins.version = r.bins.version.next();
        r.bins.expires = earlier();
        r.sign_people();
        r.publish();
    }),
    ("5.6.7 a bin signed by a stranger", |r| {
        spoil_bin(r, &[STRANGER]);
    }),
    ("5.6.7 a bin not signed", |r| spoil_bin(r, &[])),
    ("5.6.7 a bin changed after signing", |r| {
        let bin = r.bin_of(PROJECT);
        r.sign_bin(bin);
        let name = bin.role().file(r.bin[&bin.role()].version);
        replace(r, &name, "\"length\":", "\"length\":1");
        r.publish();
    }),
    ("5.6.7 a bin of an older version", |r| {
        let bin = r.bin_of(PROJECT);
        r.sign_bin(bin);
        r.publish();
        let old = r.files[&bin.role().file(Version::FIRST)].clone();
        r.write(&bin.role().file(r.bin[&bin.role()].version), old);
    }),
    ("5.6.7 a bin expired", |r| {
        let bin = r.bin_of(PROJECT);
        r.bin.get_mut(&bin.role()).unwrap().expires = earlier();
        r.sign_bin(bin);
        r.publish();
    }),
    ("5.6.7 no such bin", |r| {
        let bin = r.bin_of(PROJECT);
        r.sign_bin(bin);
        r.publish();
        r.remove(&bin.role().file(r.bin[&bin.role()].version));
    }),
    ("4.2 metadata of another type", |r| {
        r.publish();
        let file = signed(&r.snapshot, &[ONLINE]);
        r.write("timestamp.json", file);
    }),
    ("4.3 another specification", |r| {
        r.publish();
        let file = String::from_utf8(r.files["timestamp.json"].clone()).unwrap();
        let later = file.replace("\"1.0.34\"", "\"2.0.0\"");
        resign(r, "timestamp.json", &later);
    }),
    ("not JSON", |r| r.write("timestamp.json", b"{".to_vec())),
    ("5.3.4 root not signed by the old keys", |r| {
        next_root(r, &[4, 5], &[4, 5]);
    }),
    ("5.3.4 root not signed by its own keys", |r| {
        next_root(r, &[4, 5], &PEOPLE);
    }),
    ("5.3.4 root signed by one of two", |r| {
        next_root(r, &PEOPLE, &PEOPLE[..1]);
    }),
    ("5.3.5 root that skips a version", |r| {
        r.root.version = Version::new(7).unwrap();
        let file = signed(&r.root, &PEOPLE);
        r.write("2.root.json", file);
    }),
    ("5.3.5 root of the version that is known", |r| {
        r.root.version = Version::FIRST;
        let file = signed(&r.root, &PEOPLE);
        r.write("2.root.json", file);
    }),
    ("5.3.10 last root expired", |r| {
        r.root.expires = earlier();
        next_root(r, &PEOPLE, &PEOPLE);
    }),
    (
        "6.1 the bins' key replaced, a bin that the old one signed stays pinned",
        |r| {
            r.bins.version = r.bins.version.next();
            r.bins.delegations = r.count.delegations(&one(8));
            r.sign_people();
            r.publish();
        },
    ),
    ("6.1 online key replaced, old one still signs", |r| {
        r.root.snapshot = one(8);
        r.root.timestamp = one(8);
        next_root(r, &PEOPLE, &PEOPLE);
        r.publish();
    }),
];

/// A next root with these keys, signed by those.
fn next_root(r: &mut Repository, keys: &[u8], by: &[u8]) {
    r.root.version = r.root.version.next();
    r.root.root = two_of(keys);
    let file = signed(&r.root, by);
    r.write("2.root.json", file);
}

fn spoil_targets(r: &mut Repository, by: &[u8]) {
    r.targets.version = r.targets.version.next();
    r.publish();
    let file = signed(&r.targets, by);
    r.write(&RoleName::targets().file(r.targets.version), file);
}

fn spoil_bin(r: &mut Repository, by: &[u8]) {
    let bin = r.bin_of(PROJECT);
    r.sign_bin(bin);
    let targets = &r.bin[&bin.role()];
    let (name, file) = (bin.role().file(targets.version), signed(targets, by));
    r.write(&name, file);
    r.publish();
}

/// Changes a file, keeping its length where the words have the same.
fn replace(r: &mut Repository, name: &str, from: &str, to: &str) {
    let file = String::from_utf8(r.files[name].clone()).unwrap();
    assert!(file.contains(from));
    r.write(name, file.replacen(from, to, 1).into_bytes());
}

/// Signs changed text anew with the online key.
fn resign(r: &mut Repository, name: &str, text: &str) {
    let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
    let canonical = sigstore_tuf::canonical_json::to_canonical_bytes(&document["signed"]).unwrap();
    document["signatures"][0]["sig"] = key(ONLINE).sign(&canonical).to_string().into();
    r.write(name, document.to_string().into_bytes());
}

/// Published three times, so that every role but root can be rolled back.
fn honest() -> Repository {
    let mut repository = Repository::new(16, &projects(40));
    repository.sign_bin(repository.bin_of(PROJECT));
    repository.targets.version = repository.targets.version.next();
    repository.bins.version = repository.bins.version.next();
    repository.sign_people();
    repository.publish();
    repository.publish();
    repository
}

#[test]
fn nothing_forbidden_is_believed() {
    let honest = honest();
    let root = honest.files["1.root.json"].clone();
    let target = path(PROJECT);
    let targets = [target.as_str()];
    let mut python = PythonTuf::start();
    let mut reasons = String::new();
    for (name, spoil) in FORBIDDEN {
        let mut sigstore = SigstoreClient::new(&root);
        sigstore.ask(&honest.files, &targets).unwrap();
        let mut spoiled = honest.clone();
        spoil(&mut spoiled);
        let files: &Files = &spoiled.files;

        let refused = sigstore.ask(files, &targets);
        let sigstore_says = refused.expect_err(name);
        sigstore
            .ask(&honest.files, &targets)
            .unwrap_or_else(|error| panic!("{name} left a trace: {error}"));

        if let Some(python) = &mut python {
            let client = PythonTuf::client(&root);
            python.ask(&client, &honest.files, &targets).unwrap();
            let python_says = python.ask(&client, files, &targets).expect_err(name);
            let kind = python_says.split(':').next().unwrap_or_default();
            writeln!(
                reasons,
                "{name}\n    python-tuf: {kind}\n    sigstore-tuf: {sigstore_says}"
            )
            .unwrap();
        }

        let report = check(&root, Some(&honest.files), files);
        assert!(!report.is_fine(), "our check believes: {name}");
        for problem in &report.problems {
            writeln!(reasons, "    check: {:?} {problem}", problem.kind).unwrap();
        }
    }
    // Each for its own reason, not for any.
    if python.is_some() {
        insta::assert_snapshot!(reasons);
    }
}

/// A client that knew no earlier snapshot has nothing to compare with: that a delegated role is not in the one it gets is
/// refused, and is not taken for a project that does not exist.
#[test]
fn a_bin_left_out_of_a_first_snapshot_is_no_absence() {
    let mut repository = honest();
    let root = repository.files["1.root.json"].clone();
    let role = repository.bin_of(PROJECT).role();
    repository.snapshot.roles.remove(&role).unwrap();
    repository.sign_snapshot(&[ONLINE]);
    let wanted = [path(PROJECT), path("nobody-has-this")];
    for target in &wanted {
        let is_left_out = repository.count.bin_of(target).role() == role;
        let target = [target.as_str()];
        let mut sigstore = SigstoreClient::new(&root);
        let answer = sigstore.ask(&repository.files, &target);
        assert_eq!(answer.is_err(), is_left_out, "{answer:?}");
        if let Some(mut python) = PythonTuf::start() {
            let client = PythonTuf::client(&root);
            let answer = python.ask(&client, &repository.files, &target);
            assert_eq!(answer.is_err(), is_left_out, "{answer:?}");
            if let Err(said) = answer {
                assert!(said.contains("not part of snapshot"), "{said}");
            }
        }
    }
    let report = check(&root, None, &repository.files);
    assert!(!report.is_fine());
}

/// TUF alone does not tell whose file it is: signed by the right key, of the right version, another bin's. Clients that
/// know no better believe that the project is gone; the name that we sign with each role tells.
#[test]
fn another_bin_in_its_place_is_told_by_its_name() {
    let mut repository = honest();
    let root = repository.files["1.root.json"].clone();
    let bin = repository.bin_of(PROJECT);
    let other = repository.count.bins().find(|other| *other != bin).unwrap();
    repository.sign_bin(other);
    repository.publish();
    let [bin, other] = [bin, other].map(|bin| bin.role().file(repository.bin[&bin.role()].version));
    let impostor = repository.files[&other].clone();
    repository.write(&bin, impostor);

    let target = path(PROJECT);
    let mut sigstore = SigstoreClient::new(&root);
    let refused = sigstore.ask(&repository.files, &[&target]).unwrap_err();
    assert!(refused.contains("in the place of"), "{refused}");
    let report = check(&root, None, &repository.files);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(
        report.problems[0]
            .reason
            .contains("in the place of another role")
    );
}

/// Properly signed, but where no client looks: clients do not find it, and the check says so.
#[test]
fn a_target_in_a_foreign_bin_is_not_found() {
    let mut repository = honest();
    let root = repository.files["1.root.json"].clone();
    let bin = repository.bin_of("project-7");
    let stray = (0..).map(|number| format!("stray-{number}"));
    let stray = stray
        .take(1_000)
        .find(|name| repository.bin_of(name) != bin)
        .unwrap();
    let target = heliostat_trust::metadata::TargetFile::of(b"x");
    let targets = &mut repository.bin.get_mut(&bin.role()).unwrap().targets;
    targets.insert(path(&stray), target);
    repository.sign_bin(bin);
    repository.publish();

    let wanted = path(&stray);
    let wanted = [wanted.as_str()];
    let mut sigstore = SigstoreClient::new(&root);
    assert_eq!(sigstore.ask(&repository.files, &wanted), Ok(vec![None]));
    if let Some(mut python) = PythonTuf::start() {
        let client = PythonTuf::client(&root);
        assert_eq!(
            python.ask(&client, &repository.files, &wanted),
            Ok(vec![None])
        );
    }
    let report = check(&root, None, &repository.files);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(report.problems[0].reason.contains(&stray));
}

/// A stolen online key, moved to the last version there is: new keys, signed by people, let everybody go on.
#[test]
fn clients_recover_from_a_stolen_online_key() {
    let mut stolen = honest();
    let root = stolen.files["1.root.json"].clone();
    let recovered = stolen.clone();
    let target = path(PROJECT);
    let targets = [target.as_str()];
    stolen.timestamp.version = Version::new(1 << 62).unwrap();
    stolen.sign_timestamp();
    let mut sigstore = SigstoreClient::new(&root);
    sigstore.ask(&stolen.files, &targets).unwrap();

    let mut recovered = recovered;
    recovered.root.snapshot = one(8);
    recovered.root.timestamp = one(8);
    recovered.bins.delegations = recovered.count.delegations(&one(8));
    recovered.bins.version = recovered.bins.version.next();
    recovered.root.version = recovered.root.version.next();
    recovered.sign_people();
    for (name, bin) in &mut recovered.bin {
        bin.version = bin.version.next();
        recovered
            .files
            .insert(name.file(bin.version), signed(bin, &[8]));
    }
    recovered.publish();
    recovered.sign_snapshot(&[8]);
    let file = signed(&recovered.timestamp, &[8]);
    recovered.write("timestamp.json", file);

    let found = sigstore.ask(&recovered.files, &targets).unwrap();
    assert!(found[0].is_some());
    if let Some(mut python) = PythonTuf::start() {
        let client = PythonTuf::client(&root);
        python.ask(&client, &stolen.files, &targets).unwrap();
        python.ask(&client, &recovered.files, &targets).unwrap();
    }
    let report = check(&root, Some(&stolen.files), &recovered.files);
    assert!(report.is_fine(), "{:?}", report.problems);
}

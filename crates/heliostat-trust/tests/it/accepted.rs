//! What we write is accepted and refreshed by every client, at every size, also across a re-binning.

use heliostat_trust::bins::BinCount;
use heliostat_trust::metadata::{TargetFile, Version};

use crate::clients::{SigstoreClient, check};
use crate::python_tuf::{Kept, PythonTuf};
use crate::repository::{ONLINE, Repository, one, page, path, projects};

/// The clients that know a repository since its first root.
struct Clients {
    python: Option<(PythonTuf, Kept)>,
    sigstore: SigstoreClient,
    root: Vec<u8>,
}

impl Clients {
    fn new(repository: &Repository) -> Self {
        let root = repository.files["1.root.json"].clone();
        Self {
            python: PythonTuf::start().map(|python| (python, PythonTuf::client(&root))),
            sigstore: SigstoreClient::new(&root),
            root,
        }
    }

    /// All of them find these projects, and find that the other is not there.
    fn find(&mut self, repository: &Repository, present: &[&str], absent: &str) {
        let paths: Vec<_> = present
            .iter()
            .chain([&absent])
            .map(|name| path(name))
            .collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let expected: Vec<_> = present
            .iter()
            .map(|name| {
                let target = TargetFile::of(&page(name));
                Some((target.sha256.to_hex(), target.size_bytes))
            })
            .chain([None])
            .collect();
        let files = &repository.files;
        assert_eq!(self.sigstore.ask(files, &paths).as_ref(), Ok(&expected));
        if let Some((python, kept)) = &mut self.python {
            assert_eq!(python.ask(kept, files, &paths).as_ref(), Ok(&expected));
        }
        let report = check(&self.root, None, files);
        assert!(report.is_fine(), "{:?}", report.problems);
        assert_eq!(report.bins, Some(repository.count));
    }
}

fn accepted(count: u64) {
    let mut repository = Repository::new(count, &projects(200));
    let mut clients = Clients::new(&repository);
    clients.find(&repository, &["project-0", "project-199"], "project-200");

    repository.put("project-200");
    repository.sign_bin(repository.bin_of("project-200"));
    repository.publish();
    clients.find(&repository, &["project-0", "project-200"], "project-201");
}

#[test]
fn one_bin() {
    accepted(1);
}

#[test]
fn sixteen_bins() {
    accepted(16);
}

#[test]
fn two_hundred_fifty_six_bins() {
    accepted(256);
}

#[test]
fn eight_thousand_one_hundred_ninety_two_bins() {
    accepted(8_192);
}

/// From 16 to 32 bins: clients that knew the 16 go on, because the snapshot still names them.
#[test]
fn clients_go_on_after_re_binning() {
    let mut repository = Repository::new(16, &projects(100));
    let mut clients = Clients::new(&repository);
    clients.find(&repository, &["project-0", "project-99"], "project-100");

    let all = repository.bin.values().flat_map(|bin| bin.targets.clone());
    let all: Vec<_> = all.collect();
    repository.count = BinCount::new(32).unwrap();
    let empty = repository.bin.values().next().unwrap().clone();
    repository.bin.clear();
    for bin in repository.count.bins() {
        let mut fresh = empty.clone();
        fresh.role = bin.role();
        fresh.version = Version::FIRST;
        fresh.targets.clear();
        repository.bin.insert(bin.role(), fresh);
    }
    for (path, target) in all {
        let role = repository.count.bin_of(&path).role();
        repository
            .bin
            .get_mut(&role)
            .unwrap()
            .targets
            .insert(path, target);
    }
    repository.bins.version = repository.bins.version.next();
    repository.bins.delegations = repository.count.delegations(&one(ONLINE));
    repository.sign_people();
    repository.sign_bins();
    repository.publish();

    assert_eq!(repository.snapshot.roles.len(), 2 + 16 + 32);
    clients.find(&repository, &["project-0", "project-99"], "project-100");
    // And once more, from a state that is all new.
    repository.publish();
    clients.find(&repository, &["project-7"], "project-100");
}

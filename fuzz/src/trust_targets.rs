//! What each fuzz target of `heliostat-trust` does with its bytes. The tests of that crate include this file to replay
//! the corpora.

use heliostat_pypi::Sha256;
use heliostat_trust::attest::{AttestVerifier, Subject};
use heliostat_trust::publishers::{Memory, compare};

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[("provenance", provenance), ("memory", memory)];

/// A provenance document: none that nobody signed is believed.
pub fn provenance(bytes: &[u8]) {
    heliostat_trust::crypto::install();
    let file = Subject {
        filename: "acme-1.0.tar.gz",
        sha256: Sha256::of(b""),
    };
    let verifier = AttestVerifier::embedded().expect("a constant");
    assert!(verifier.verify(&file, bytes).is_err());
}

/// A `heliostat.trust`: one that is read can be written and read again, and is no different from itself.
pub fn memory(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(memory) = Memory::read(text) else {
        return;
    };
    let again = Memory::read(&memory.to_string()).expect("what we write can be read");
    assert_eq!(again, memory);
    assert!(compare(&memory, &again).is_empty());
}

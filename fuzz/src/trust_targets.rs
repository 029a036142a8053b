//! What each fuzz target of `heliostat-trust` does with its bytes. The tests of that crate include this file to replay
//! the corpora.

use heliostat_pypi::Sha256;
use heliostat_trust::TrustError;
use heliostat_trust::attest::{AttestVerifier, Subject};
use heliostat_trust::ceremony::{Draft, DraftSignatures, describe};
use heliostat_trust::keys::{PublicKey, SigningKey};
use heliostat_trust::metadata::{Coverage, Metadata, Root, Signed, Snapshot, Targets, Timestamp};
use heliostat_trust::publishers::{Memory, compare};
use heliostat_trust::receipt::{Receipt, Statement};

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("provenance", provenance),
    ("memory", memory),
    ("tuf_metadata", tuf_metadata),
    ("key", key),
    ("draft", draft),
    ("draft_signatures", draft_signatures),
    ("coverage", coverage),
    ("receipt", receipt),
];

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

/// A metadata file, taken for each of the roles in turn: one that is read can be written and read again, and says the
/// same.
pub fn tuf_metadata(bytes: &[u8]) {
    again::<Root>(bytes);
    again::<Targets>(bytes);
    again::<Snapshot>(bytes);
    again::<Timestamp>(bytes);
}

fn again<T: Metadata + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(read) = Signed::<T>::read(bytes) else {
        return;
    };
    let written = read.value.unsigned();
    let file = written.to_file();
    let again = Signed::<T>::read(&file).expect("what we write can be read");
    assert_eq!(again.value, read.value);
    assert_eq!(again.canonical, written.to_sign());
}

/// A key file, private or public: what is read can be written and read again, and is the same key. One that is
/// protected is read up to where the passphrase would be needed.
pub fn key(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(public) = PublicKey::from_file(text) {
        let again = PublicKey::from_file(&public.to_file()).expect("what we write can be read");
        assert_eq!(again, public);
    }
    let open = |text: &str| SigningKey::from_file(text, || Err(TrustError::PassphraseMissing));
    if let Ok(private) = open(text) {
        let file = private.to_plain_file().expect("a key can be written");
        let again = open(&file).expect("what we write can be read");
        assert_eq!(again.public(), private.public());
        let signature = again.sign(bytes);
        assert!(private.public().verify(bytes, &signature).is_ok());
    }
}

/// A draft: one that is read is what would be written, and can be shown.
pub fn draft(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(draft) = Draft::from_file(text) {
        assert_eq!(draft.to_file(), text);
        drop(describe(&draft, None));
    }
}

/// Detached signatures: what is read can be written and read again.
pub fn draft_signatures(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(signatures) = DraftSignatures::from_file(text) {
        let again =
            DraftSignatures::from_file(&signatures.to_file()).expect("what we write can be read");
        assert_eq!(again, signatures);
    }
}

/// What a snapshot claims: what is understood can be written and read again.
pub fn coverage(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice(bytes) else {
        return;
    };
    if let Some(claim) = Coverage::from_value(&value) {
        let written = serde_json::to_value(&claim).expect("a claim can be written");
        assert_eq!(Coverage::from_value(&written), Some(claim));
    }
}

/// What a mirror signs about itself, one receipt or one bare statement a line: only what the named key signed is taken,
/// no statement contradicts itself, and whether two contradict each other does not depend on which came first.
pub fn receipt(bytes: &[u8]) {
    heliostat_trust::crypto::install();
    let lines = bytes.split(|byte| *byte == b'\n');
    let mut statements: Vec<Statement> = Vec::new();
    for line in lines.take(8) {
        if let Ok(receipt) = serde_json::from_slice::<Receipt>(line) {
            if let Ok(statement) = receipt.verify() {
                let mut other = receipt.clone();
                other.statement.push(' ');
                assert!(other.verify().is_err(), "another text is not signed");
                statements.push(statement);
            }
        } else if let Ok(statement) = serde_json::from_slice(line) {
            statements.push(statement);
        }
    }
    for one in &statements {
        let written = serde_json::to_string(one).expect("a statement is JSON");
        let again: Statement = serde_json::from_str(&written).expect("what we write can be read");
        assert_eq!(&again, one);
        assert_eq!(one.contradicts(&again), None);
        for other in &statements {
            let (this, that) = (one.contradicts(other), other.contradicts(one));
            assert_eq!(this.is_some(), that.is_some());
        }
    }
}

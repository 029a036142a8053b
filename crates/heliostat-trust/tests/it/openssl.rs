//! Key files, as OpenSSL reads and writes them.

use std::path::Path;
use std::process::{Command, Output};

use heliostat_testkit::clients::{Skip, or_skip};
use heliostat_trust::TrustError;
use heliostat_trust::keys::{Passphrase, PublicKey, ScryptCost, SigningKey};

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn read(file: &str, typed: &str) -> Result<SigningKey, TrustError> {
    SigningKey::from_file(file, || Passphrase::new(typed.to_owned()))
}

/// OpenSSL in a directory; `None` where there is none.
fn openssl(directory: &Path, arguments: &[&str]) -> Option<Output> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output();
    or_skip(output.map_err(|error| Skip(format!("no openssl: {error}"))))
}

#[test]
fn openssl_opens_our_key_files_as_far_as_its_memory_goes() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let secret = Passphrase::new("correct horse".to_owned()).unwrap();
    write("plain", &key(1).to_plain_file().unwrap());
    for (name, cost) in [
        ("cheap", ScryptCost::Rehearsal),
        ("dear", ScryptCost::Guarded),
    ] {
        write(name, &key(1).to_protected_file(&secret, cost).unwrap());
    }
    let open = |name: &str, word: &str| {
        let word = format!("pass:{word}");
        openssl(
            directory.path(),
            &["pkey", "-in", name, "-passin", &word, "-pubout"],
        )
    };
    let Some(plain) = open("plain", "") else {
        return;
    };
    let public = |output: &Output| {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        PublicKey::from_file(&text).map(|key| key.id())
    };
    assert_eq!(public(&plain).unwrap(), key(1).id());
    assert_eq!(
        String::from_utf8(plain.stdout).unwrap(),
        key(1).public().to_pem()
    );
    assert_eq!(
        public(&open("cheap", "correct horse").unwrap()).unwrap(),
        key(1).id()
    );
    assert!(!open("cheap", "battery staple").unwrap().status.success());
    // A guess costs more than OpenSSL allows.
    assert!(!open("dear", "correct horse").unwrap().status.success());
}

#[test]
fn key_files_that_openssl_writes_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| openssl(directory.path(), arguments);
    let Some(made) = run(&["genpkey", "-algorithm", "ed25519", "-out", "plain"]) else {
        return;
    };
    assert!(made.status.success(), "{made:?}");
    let text = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let id = read(&text("plain"), "").unwrap().id();
    for (name, how) in [
        ("scrypt", &["-scrypt"][..]),
        ("pbkdf2", &["-v2", "aes-256-cbc"]),
    ] {
        let words = [
            "pkcs8",
            "-topk8",
            "-in",
            "plain",
            "-passout",
            "pass:correct horse",
            "-out",
            name,
        ];
        let made = run(&[&words[..], how].concat()).unwrap();
        assert!(made.status.success(), "{made:?}");
        assert_eq!(
            read(&text(name), "correct horse").unwrap().id(),
            id,
            "{name}"
        );
    }
}

use std::collections::BTreeSet;

use super::*;

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).unwrap()
}

fn read(file: &str, typed: &str) -> Result<SigningKey, TrustError> {
    SigningKey::from_file(file, || Passphrase::new(typed.to_owned()))
}

#[test]
fn ids_are_those_that_others_compute() {
    let key = key(1).public().clone().with_label("alice").unwrap();
    let tuf: sigstore_tuf::Key = serde_json::from_value(key.to_value()).unwrap();
    crate::crypto::install();
    assert_eq!(tuf.key_id().unwrap(), key.id().to_string());
}

#[test]
fn a_plain_file_is_read_back() {
    let file = key(1).to_plain_file().unwrap();
    assert!(file.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let again = SigningKey::from_file(&file, || -> Result<_, TrustError> {
        panic!("no passphrase is needed")
    });
    assert_eq!(again.unwrap().id(), key(1).id());
}

#[test]
fn a_protected_file_opens_with_its_passphrase_only() {
    let file = key(1)
        .to_protected_file(&passphrase("correct horse\n"), ScryptCost::Rehearsal)
        .unwrap();
    assert!(file.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    assert_eq!(read(&file, "correct horse").unwrap().id(), key(1).id());
    assert!(matches!(
        read(&file, "battery staple"),
        Err(TrustError::PassphraseWrong)
    ));
    assert!(matches!(read(&file, ""), Err(TrustError::PassphraseEmpty)));
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?} {:?}", key(1), passphrase("correct horse"));
    assert!(!shown.contains("horse"));
    assert!(!shown.contains("1, 1, 1"));
    assert!(!shown.contains(&"01".repeat(32)));
}

#[test]
fn key_files_that_are_none_say_why() {
    let plain = key(1).to_plain_file().unwrap();
    let cut = &plain[..plain.len() / 2];
    let public = key(1).public().to_file();
    let certificate = plain.replace("PRIVATE KEY", "CERTIFICATE");
    let long = "-".repeat(20_000);
    for file in ["", cut, &public, &certificate, &long] {
        let error = read(file, "x").unwrap_err();
        assert!(matches!(error, TrustError::ReadSigningKey(_)), "{error}");
    }
}

#[test]
fn public_keys_are_read_back_with_their_label() {
    let public = key(1).public().clone().with_label("alice").unwrap();
    assert_eq!(PublicKey::from_file(&public.to_file()).unwrap(), public);
    insta::assert_snapshot!(public.to_file(), @r#"
    {"keytype":"ed25519","keyval":{"public":"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"},"scheme":"ed25519","x-heliostat-label":"alice"}
    "#);
    public.clone().with_label("").unwrap_err();
    public.clone().with_label("a\u{1b}[31m").unwrap_err();
    public.with_label(&"x".repeat(101)).unwrap_err();
}

#[test]
fn public_keys_in_pem_are_read() {
    // RFC 8410 section 10.1.
    let ed25519 = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    let key = PublicKey::from_file(ed25519).unwrap();
    assert_eq!(key.scheme(), Scheme::Ed25519);
    // The public key of RFC 6979 appendix A.2.5.
    let p256 = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n\
        Yfps5mliLmDyn7Z5A/4QCLi8maQa6akatdIpWGEfyCvOiBKkNHRVlpBZlg==\n\
        -----END PUBLIC KEY-----\n";
    let key = PublicKey::from_file(p256).unwrap();
    assert_eq!(key.scheme(), Scheme::EcdsaP256);
    assert_eq!(PublicKey::from_file(&key.to_file()).unwrap(), key);
}

#[test]
fn public_keys_with_two_spellings_are_refused() {
    let file = key(1).public().to_file();
    let hexadecimal = hex::encode(key(1).secret.verifying_key().to_bytes());
    let shouted = file.replace(&hexadecimal, &hexadecimal.to_uppercase());
    let spaced = file.replace(&hexadecimal, &format!(" {hexadecimal}"));
    let mixed = file.replace(
        "\"scheme\":\"ed25519\"",
        "\"scheme\":\"ecdsa-sha2-nistp256\"",
    );
    let unknown = file.replace("\"scheme\":\"ed25519\"", "\"scheme\":\"ml-dsa-44/1\"");
    for bad in [&*shouted, &spaced, &mixed, &unknown, "{}", "[", "\"x\""] {
        let error = PublicKey::from_file(bad).unwrap_err();
        assert!(matches!(error, TrustError::ReadPublicKey(_)), "{error}");
    }
}

#[test]
fn a_signature_holds_for_its_bytes_and_key_only() {
    let signature = key(1).sign(b"page");
    key(1).public().verify(b"page", &signature).unwrap();
    key(1).public().verify(b"pagf", &signature).unwrap_err();
    key(2).public().verify(b"page", &signature).unwrap_err();
    let again: Signature = signature.to_string().parse().unwrap();
    assert_eq!(again, signature);
    for bad in ["", "0", "xx", &"00".repeat(2_000)] {
        bad.parse::<Signature>().unwrap_err();
    }
}

#[test]
fn ids_are_lower_case() {
    let id = key(1).id().to_string();
    assert_eq!(id.parse::<KeyId>().unwrap(), key(1).id());
    id.to_uppercase().parse::<KeyId>().unwrap_err();
    id[1..].parse::<KeyId>().unwrap_err();
}

#[test]
fn generated_keys_differ() {
    let ids: BTreeSet<_> = (0..4)
        .map(|_| SigningKey::generate().unwrap().id())
        .collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn words_can_be_read_aloud() {
    let digest = Sha256::of(b"");
    insta::assert_snapshot!(Words::of(digest), @"vavub-sidaf-nogus-dubih-norur-zigam-nojoz-rohoh");
    // The known words of an address: 127.0.0.1 is lusab-babad.
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&[127, 0, 0, 1]);
    assert!(
        Words::of(Sha256::from_bytes(bytes))
            .to_string()
            .starts_with("lusab-babad-")
    );
}

#[test]
fn signers_by_configuration() {
    let source = |text: &str| text.parse::<SignerSource>();
    assert_eq!(
        source("file:/k/online.key").unwrap(),
        SignerSource::File("/k/online.key".into())
    );
    assert_eq!(
        source("env:ONLINE_KEY").unwrap(),
        SignerSource::Environment("ONLINE_KEY".to_owned())
    );
    assert_eq!(
        source("command:kms-sign --key 7").unwrap(),
        SignerSource::Command(vec!["kms-sign".into(), "--key".into(), "7".into()])
    );
    for bad in ["", "online.key", "file:", "kms:x"] {
        source(bad).unwrap_err();
    }
}

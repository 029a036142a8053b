use serde_json::{Value, json};

use super::*;

/// A document whose one attestation says what `statement` says, signed by nobody.
fn unsigned(statement: &str) -> Value {
    json!({
        "version": 1,
        "attestation_bundles": [{
            "publisher": { "kind": "GitHub", "repository": "a/b", "workflow": "c.yml", "environment": null },
            "attestations": [{
                "version": 1,
                "verification_material": {
                    "certificate": "MAA=",
                    "transparency_entries": [{
                        "logIndex": "1",
                        "logId": { "keyId": "wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0=" },
                        "kindVersion": { "kind": "dsse", "version": "0.0.1" },
                        "integratedTime": "1733331797",
                        "canonicalizedBody": "e30=",
                    }],
                },
                "envelope": { "statement": base64(statement.as_bytes()), "signature": "AA==" },
            }],
        }],
    })
}

fn base64(bytes: &[u8]) -> String {
    sigstore_types::SignatureBytes::from_bytes(bytes).to_base64()
}

fn statement(subjects: &Value, predicate: &str) -> String {
    json!({ "_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": predicate, "predicate": null })
        .to_string()
}

const PUBLISH: &str = "https://docs.pypi.org/attestations/publish/v1";

fn verify(document: &Value) -> AttestError {
    crate::crypto::install();
    let file = Subject {
        filename: "a-1.tar.gz",
        sha256: Sha256::of(b"a"),
    };
    AttestVerifier::embedded()
        .unwrap()
        .verify(&file, document.to_string().as_bytes())
        .unwrap_err()
}

fn subject(name: &str, bytes: &[u8]) -> Value {
    json!({ "name": name, "digest": { "sha256": Sha256::of(bytes).to_hex() } })
}

#[test]
fn each_wrong_statement_is_named() {
    let right = subject("a-1.tar.gz", b"a");
    for (text, check) in [
        ("[]".to_owned(), "statement"),
        (statement(&json!([]), PUBLISH), "statement"),
        (statement(&json!([right, right]), PUBLISH), "statement"),
        (
            statement(&json!([right]), PUBLISH).replace("Statement/v1", "Statement/v0.1"),
            "statement",
        ),
        (
            statement(
                &json!([{ "name": "a-1.tar.gz", "digest": { "sha512": "00" } }]),
                PUBLISH,
            ),
            "statement",
        ),
        (
            statement(&json!([subject("b-1.tar.gz", b"a")]), PUBLISH),
            "subject-name",
        ),
        (
            statement(&json!([subject("a-1.tar.gz", b"b")]), PUBLISH),
            "subject-digest",
        ),
        (
            statement(&json!([right]), "https://x.example/v1"),
            "predicate-type",
        ),
        // Everything that is said is right, but nobody signed it.
        (statement(&json!([right]), PUBLISH), "signature"),
    ] {
        let error = verify(&unsigned(&text));
        assert_eq!(error.check(), check, "{text}: {error}");
    }
}

#[test]
fn each_wrong_document_is_named() {
    let good = unsigned(&statement(&json!([subject("a-1.tar.gz", b"a")]), PUBLISH));
    let changed = |path: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(path).unwrap() = value;
        document
    };
    let attestations = "/attestation_bundles/0/attestations";
    let first = good.pointer(attestations).unwrap()[0].clone();
    for (document, expected) in [
        (json!({}), "missing field"),
        (changed("/version", json!(2)), "its version is 2"),
        (
            changed("/attestation_bundles", json!([])),
            "holds no attestation",
        ),
        (changed(attestations, json!([])), "holds no attestation"),
        (
            changed(attestations, Value::Array(vec![first; 33])),
            "33 attestations",
        ),
        (
            changed(&format!("{attestations}/0/version"), json!(7)),
            "attestation 1: its version is 7",
        ),
        (
            changed(
                &format!("{attestations}/0/verification_material/transparency_entries"),
                json!([]),
            ),
            "no transparency log",
        ),
        (
            changed("/attestation_bundles/0/publisher/kind", json!("Carrier\n")),
            "publishers of kind `Carrier\\n`",
        ),
        (
            changed(
                "/attestation_bundles/0/publisher",
                json!({ "kind": "Google" }),
            ),
            "its publisher: missing field `email`",
        ),
    ] {
        let error = verify(&document).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let long = format!("{}{good}", " ".repeat(ATTEST_LIMITS.document_bytes_max));
    let file = Subject {
        filename: "a-1.tar.gz",
        sha256: Sha256::of(b"a"),
    };
    let error = AttestVerifier::embedded()
        .unwrap()
        .verify(&file, long.as_bytes());
    assert!(error.unwrap_err().to_string().contains("larger"));
}

#[test]
fn a_trusted_root_that_is_none_is_refused() {
    crate::crypto::install();
    for bytes in [&b"{}"[..], b"\xff", b"[1]"] {
        let error = AttestVerifier::from_json(bytes).unwrap_err();
        assert_eq!(error.check(), "trusted-root", "{error}");
    }
}

//! Real attestations of real files, right and tampered with, judged by us and by PyPI's own verifier.

use std::path::Path;

use heliostat_pypi::Sha256;
use heliostat_testkit::clients::{PypiAttestations, or_skip};
use heliostat_trust::attest::{
    AttestError, AttestVerifier, Attested, Predicate, Publisher, Subject,
};
use serde_json::{Value, json};

/// A file with its provenance, and how the oracle wants to be told the publisher.
struct Pair {
    filename: &'static str,
    publisher: &'static str,
    identity: &'static [&'static str],
}

const PAIRS: [Pair; 3] = [
    Pair {
        filename: "pypi_attestations-0.0.19.tar.gz",
        publisher: "GitHub trailofbits/pypi-attestations (release.yml)",
        identity: &[
            "--repository",
            "https://github.com/trailofbits/pypi-attestations",
        ],
    },
    Pair {
        filename: "gcb_attestation_test-0.0.0.tar.gz",
        publisher: "Google 919436158236-compute@developer.gserviceaccount.com",
        identity: &[
            "--gcp-service-account",
            "919436158236-compute@developer.gserviceaccount.com",
        ],
    },
    Pair {
        filename: "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl",
        publisher: "CircleCI fdd9283f-e619-46af-8f9c-851f7d3e8b2b (8e4f8ab2-8d7c-4827-9f15-de076d6d647f)",
        identity: &[
            "--circleci-project-id",
            "fdd9283f-e619-46af-8f9c-851f7d3e8b2b",
            "--circleci-pipeline-definition-id",
            "8e4f8ab2-8d7c-4827-9f15-de076d6d647f",
        ],
    },
];

fn verifier() -> AttestVerifier {
    heliostat_trust::crypto::install();
    AttestVerifier::embedded().unwrap()
}

fn verify(filename: &str, file: &[u8], provenance: &[u8]) -> Result<Vec<Attested>, AttestError> {
    let subject = Subject {
        filename,
        sha256: Sha256::of(file),
    };
    verifier().verify(&subject, provenance)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// What the oracle says of these bytes.
fn oracle_accepts(oracle: &PypiAttestations, pair: &Pair, file: &[u8], provenance: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(pair.filename);
    let beside = folder.path().join("provenance");
    std::fs::write(&path, file).unwrap();
    std::fs::write(&beside, provenance).unwrap();
    let said = oracle.verify(&path, &beside, pair.identity);
    // Anything but a judgement (a crash, a misspelt option) would make the comparison worthless.
    assert!(
        matches!(said.code(), Some(0 | 1)) && !said.stderr.contains("Traceback"),
        "{}",
        said.stderr
    );
    said.code() == Some(0)
}

/// The statement of an attestation, base64 as it stands, turned back into text.
fn envelope(document: &mut Value) -> &mut Value {
    document
        .pointer_mut("/attestation_bundles/0/attestations/0/envelope")
        .unwrap()
}

#[test]
fn real_provenance_holds_for_us_and_for_the_oracle() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    for pair in &PAIRS {
        let file = read(&oracle.asset(pair.filename));
        let provenance = read(&oracle.asset(&format!("{}.provenance", pair.filename)));
        let proved = verify(pair.filename, &file, &provenance).unwrap();
        assert_eq!(proved.len(), 1);
        assert_eq!(proved[0].publisher.to_string(), pair.publisher);
        assert_eq!(proved[0].predicate, Predicate::Publish);
        assert!(proved[0].logged_at.unwrap() > 1_700_000_000);
        assert!(oracle_accepts(&oracle, pair, &file, &provenance));
    }
}

#[test]
fn what_is_tampered_with_is_refused_by_us_and_by_the_oracle() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    for pair in &PAIRS {
        let file = read(&oracle.asset(pair.filename));
        let text = read(&oracle.asset(&format!("{}.provenance", pair.filename)));
        let document: Value = serde_json::from_slice(&text).unwrap();
        let mut longer = file.clone();
        longer.push(b'\n');
        let error = verify(pair.filename, &longer, &text).unwrap_err();
        assert_eq!(error.check(), "subject-digest", "{error}");
        assert!(!oracle_accepts(&oracle, pair, &longer, &text));

        let mut spoilt = Vec::new();
        // Another's signature, certificate or place in the log, on the same statement.
        let other = PAIRS.iter().find(|other| other.filename != pair.filename);
        let other = oracle.asset(&format!("{}.provenance", other.unwrap().filename));
        let other: Value = serde_json::from_slice(&read(&other)).unwrap();
        for path in [
            "/attestation_bundles/0/attestations/0/envelope/signature",
            "/attestation_bundles/0/attestations/0/verification_material/certificate",
            "/attestation_bundles/0/attestations/0/verification_material/transparency_entries",
        ] {
            let mut document = document.clone();
            *document.pointer_mut(path).unwrap() = other.pointer(path).unwrap().clone();
            spoilt.push((path, document, "signature"));
        }
        // A true attestation under another publisher's name.
        let mut misnamed = document.clone();
        *misnamed
            .pointer_mut("/attestation_bundles/0/publisher")
            .unwrap() = other
            .pointer("/attestation_bundles/0/publisher")
            .unwrap()
            .clone();
        spoilt.push(("publisher", misnamed, "publisher"));
        // The statement of another file.
        let mut foreign = document.clone();
        let statement = other
            .pointer("/attestation_bundles/0/attestations/0/envelope/statement")
            .unwrap();
        envelope(&mut foreign)["statement"] = statement.clone();
        spoilt.push(("statement", foreign, "subject-name"));
        for (what, document, check) in spoilt {
            let bytes = document.to_string();
            let error = verify(pair.filename, &file, bytes.as_bytes()).unwrap_err();
            assert_eq!(error.check(), check, "{} {what}: {error}", pair.filename);
            // A second each: the oracle judges one pair whole.
            assert!(
                pair.filename != PAIRS[0].filename
                    || !oracle_accepts(&oracle, pair, &file, bytes.as_bytes()),
                "{} {what}",
                pair.filename
            );
        }
    }
}

#[test]
fn entries_of_the_log_that_were_edited_do_not_hold() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let pair = &PAIRS[0];
    let file = read(&oracle.asset(pair.filename));
    let text = read(&oracle.asset(&format!("{}.provenance", pair.filename)));
    let document: Value = serde_json::from_slice(&text).unwrap();
    let entry =
        "/attestation_bundles/0/attestations/0/verification_material/transparency_entries/0";
    let edits = [
        // The certificate lives for ten minutes: another time is outside of it, and not what the log signed.
        ("integratedTime", json!("1893456000")),
        ("inclusionPromise/signedEntryTimestamp", json!("MEUCIQ==")),
        (
            "inclusionProof/rootHash",
            json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ),
    ];
    for (path, edited) in edits {
        let mut document = document.clone();
        let value = document
            .pointer_mut(&format!("{entry}/{path}"))
            .unwrap_or_else(|| panic!("no {path} in {text:?}"));
        *value = edited;
        let error = verify(pair.filename, &file, document.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.check(), "signature", "{path}: {error}");
    }
}

#[test]
fn single_attestations_of_gitlab_and_slsa_hold_under_their_publishers() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let github = |workflow: &str, repository: &str| json!({ "kind": "GitHub", "repository": repository, "workflow": workflow });
    for (filename, suffix, publisher, predicate) in [
        (
            "gitlab_oidc_project-0.0.3.tar.gz",
            "publish.attestation",
            json!({ "kind": "GitLab", "repository": "facutuesca/gitlab-oidc-project", "workflow_filepath": ".gitlab-ci.yml" }),
            Predicate::Publish,
        ),
        (
            "pypi_attestations-0.0.19.tar.gz",
            "slsa.attestation",
            github("release.yml", "trailofbits/pypi-attestations"),
            Predicate::Slsa,
        ),
    ] {
        let file = read(&oracle.asset(filename));
        let attestation = read(&oracle.asset(&format!("{filename}.{suffix}")));
        let attestation: Value = serde_json::from_slice(&attestation).unwrap();
        let provenance = |publisher: &Value| {
            json!({
                "version": 1,
                "attestation_bundles": [{ "publisher": publisher, "attestations": [attestation] }],
            })
            .to_string()
        };
        let proved = verify(filename, &file, provenance(&publisher).as_bytes()).unwrap();
        assert_eq!(proved[0].predicate, predicate);
        assert_eq!(proved[0].commit.as_ref().unwrap().len(), 40);
        // A fork, another workflow, a name that only begins alike.
        for key in ["repository", "workflow", "workflow_filepath"] {
            let mut other = publisher.clone();
            let Some(value) = other.get_mut(key) else {
                continue;
            };
            let text = value.as_str().unwrap();
            *value = json!(&text[..text.len() - 1]);
            let error = verify(filename, &file, provenance(&other).as_bytes()).unwrap_err();
            assert_eq!(error.check(), "publisher", "{key}: {error}");
        }
    }
}

#[test]
fn a_publisher_is_written_as_the_index_writes_it() {
    let publisher = Publisher::GitHub {
        repository: "a/b".to_owned(),
        workflow: "c.yml".to_owned(),
    };
    assert_eq!(
        serde_json::to_value(&publisher).unwrap(),
        json!({ "kind": "GitHub", "repository": "a/b", "workflow": "c.yml" })
    );
}

//! The provenance document itself (PEP 740, "Provenance objects"): read, counted, and each attestation turned into a
//! Sigstore bundle. Nothing is believed yet.

use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_types::Bundle;

use super::publisher::Publisher;
use super::{ATTEST_LIMITS, AttestError};

/// One attestation with the publisher whom the index names for it.
#[derive(Debug)]
pub(super) struct Claim {
    /// Its place in the document, from 1.
    pub(super) number: usize,
    /// Whom the index names.
    pub(super) publisher: Publisher,
    /// The attestation in Sigstore's form.
    pub(super) bundle: Bundle,
}

#[derive(Deserialize)]
struct Provenance {
    version: u64,
    attestation_bundles: Vec<AttestationBundle>,
}

#[derive(Deserialize)]
struct AttestationBundle {
    publisher: Value,
    attestations: Vec<Attestation>,
}

#[derive(Deserialize)]
struct Attestation {
    version: u64,
    verification_material: VerificationMaterial,
    envelope: Envelope,
}

#[derive(Deserialize)]
struct VerificationMaterial {
    /// Base64 of DER.
    certificate: String,
    /// Rekor's entries, as protobuf writes them in JSON.
    transparency_entries: Vec<Value>,
}

#[derive(Deserialize)]
struct Envelope {
    /// Base64 of an in-toto statement.
    statement: String,
    /// Base64.
    signature: String,
}

/// Every attestation of the document, in its order.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Claim>, AttestError> {
    let refuse = |reason: String| AttestError::Document(reason);
    if bytes.len() > ATTEST_LIMITS.document_bytes_max {
        return Err(refuse("it is larger than 1 MiB".to_owned()));
    }
    let document: Provenance =
        serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
    if document.version != 1 {
        return Err(refuse(format!("its version is {}", document.version)));
    }
    let count: usize = (document.attestation_bundles.iter())
        .map(|bundle| bundle.attestations.len())
        .sum();
    if count > ATTEST_LIMITS.attestations_max {
        return Err(refuse(format!("it holds {count} attestations")));
    }
    let mut claims = Vec::with_capacity(count);
    for bundle in document.attestation_bundles {
        let publisher = Publisher::from_json(bundle.publisher)?;
        for attestation in bundle.attestations {
            let number = claims.len() + 1;
            claims.push(Claim {
                number,
                publisher: publisher.clone(),
                bundle: bundle_of(&attestation)
                    .map_err(|reason| refuse(format!("attestation {number}: {reason}")))?,
            });
        }
    }
    Ok(claims)
}

fn bundle_of(attestation: &Attestation) -> Result<Bundle, String> {
    if attestation.version != 1 {
        return Err(format!("its version is {}", attestation.version));
    }
    if attestation
        .verification_material
        .transparency_entries
        .is_empty()
    {
        return Err("it stands in no transparency log".to_owned());
    }
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": { "rawBytes": attestation.verification_material.certificate },
            "tlogEntries": attestation.verification_material.transparency_entries,
        },
        "dsseEnvelope": {
            "payload": attestation.envelope.statement,
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{ "sig": attestation.envelope.signature }],
        },
    });
    Bundle::from_json(&bundle.to_string()).map_err(|error| error.to_string())
}

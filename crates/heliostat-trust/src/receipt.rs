//! A mirror's signed word about its own state: what it published, so that two such words that contradict each other
//! prove to everybody that it was not honest, or not itself.
//!
//! The signed bytes stand in the document as text, so that nobody has to spell JSON as the signer did.

use heliostat_pypi::Sha256;
use serde::{Deserialize, Serialize};

use crate::error::TrustError;
use crate::keys::{PublicKey, SigningKey};

/// The statement's schema and its version.
const SCHEMA: &str = "heliostat.receipt/1";
/// The longest statement that is read, in bytes.
const STATEMENT_BYTES_MAX: usize = 4096;

/// What a mirror states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    schema: String,
    /// The tree's public address, where its operator told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Counts the mirror's commits; never goes back.
    pub generation: u64,
    /// The serial that it answers for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// The signed snapshot that it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<StatedSnapshot>,
}

/// A signed snapshot, as a mirror names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedSnapshot {
    /// Its version.
    pub version: u64,
    /// The digest of its file.
    pub sha256: Sha256,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The mirror's ed25519 key, 32 bytes in lower-case hex.
    pub key: String,
    /// The statement, JSON, byte for byte as it was signed.
    pub statement: String,
    /// The signature over it, in hex.
    pub signature: String,
}

impl Statement {
    /// What a mirror states of its state.
    pub fn new(
        url: Option<String>,
        generation: u64,
        serial: Option<u64>,
        snapshot: Option<StatedSnapshot>,
    ) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            url,
            generation,
            serial,
            snapshot,
        }
    }

    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> Receipt {
        let statement = serde_json::to_string(self).unwrap_or_default();
        Receipt {
            key: public_hex(key),
            signature: key.sign(statement.as_bytes()).to_string(),
            statement,
        }
    }

    /// Why two statements of one mirror cannot both be true, in words, where that is so.
    pub fn contradicts(&self, other: &Self) -> Option<String> {
        let (one, two) = (self.snapshot.as_ref()?, other.snapshot.as_ref()?);
        if one.version == two.version && one.sha256 != two.sha256 {
            let version = one.version;
            return Some(format!("it says two things of the snapshot {version}"));
        }
        let (earlier, later) = if self.generation <= other.generation {
            ((self.generation, one), (other.generation, two))
        } else {
            ((other.generation, two), (self.generation, one))
        };
        (earlier.0 < later.0 && earlier.1.version > later.1.version).then(|| {
            format!(
                "its snapshot went back from {} to {} while its commits went on from {} to {}",
                earlier.1.version, later.1.version, earlier.0, later.0
            )
        })
    }
}

impl Receipt {
    /// The statement, if the signature is that of the key it names.
    ///
    /// # Errors
    /// [`TrustError::ReadReceipt`] for anything else.
    pub fn verify(&self) -> Result<Statement, TrustError> {
        let fault = |text: &str| TrustError::ReadReceipt(text.to_owned());
        if self.statement.len() > STATEMENT_BYTES_MAX {
            return Err(fault("its statement is too long"));
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(&self.key, &mut bytes)
            .map_err(|_unspecified| fault("its key is not 32 bytes in hex"))?;
        let key = PublicKey::ed25519(&bytes);
        let signature = self.signature.parse()?;
        key.verify(self.statement.as_bytes(), &signature)
            .map_err(|_unspecified| fault("its signature is not that of the key it names"))?;
        let statement: Statement = serde_json::from_str(&self.statement)
            .map_err(|error| fault(&format!("its statement cannot be read: {error}")))?;
        if statement.schema != SCHEMA {
            return Err(fault(&format!("its statement is not of `{SCHEMA}`")));
        }
        Ok(statement)
    }
}

fn public_hex(key: &SigningKey) -> String {
    let value = key.public().to_value();
    value["keyval"]["public"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(generation: u64, version: u64, digit: u8) -> Statement {
        let snapshot = StatedSnapshot {
            version,
            sha256: Sha256::of(&[digit]),
        };
        Statement::new(None, generation, Some(7), Some(snapshot))
    }

    #[test]
    fn a_receipt_is_what_its_key_signed_and_nothing_else() {
        let key = SigningKey::from_seed(&[7; 32]);
        let said = statement(3, 5, 1);
        let receipt = said.sign(&key);
        assert_eq!(receipt.verify().unwrap(), said);
        let other = SigningKey::from_seed(&[8; 32]);
        for wrong in [
            Receipt {
                statement: receipt.statement.replace('7', "8"),
                ..receipt.clone()
            },
            Receipt {
                key: said.sign(&other).key,
                ..receipt.clone()
            },
            Receipt {
                key: "00".repeat(31),
                ..receipt.clone()
            },
            Receipt {
                signature: "zz".to_owned(),
                ..receipt.clone()
            },
        ] {
            assert!(wrong.verify().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn two_words_of_one_snapshot_and_going_back_contradict() {
        let now = statement(3, 5, 1);
        assert_eq!(now.contradicts(&now), None);
        assert_eq!(now.contradicts(&statement(4, 6, 2)), None);
        // Signed anew without a commit.
        assert_eq!(now.contradicts(&statement(3, 6, 2)), None);
        let two = now.contradicts(&statement(9, 5, 2)).unwrap();
        assert!(two.contains("two things"), "{two}");
        for (one, other) in [(now.clone(), statement(4, 4, 2)), (statement(4, 4, 2), now)] {
            let back = one.contradicts(&other).unwrap();
            assert!(back.contains("from 5 to 4"), "{back}");
        }
    }
}

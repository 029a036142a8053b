//! The statement that was signed (in-toto Statement v1): one subject, which is the file, and a kind that PyPI takes.

use heliostat_pypi::{FileName, project_candidates};
use sigstore_types::{SignatureContent, Statement};

use super::document::Claim;
use super::{AttestError, Predicate, Subject};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PUBLISH: &str = "https://docs.pypi.org/attestations/publish/v1";
const SLSA: &str = "https://slsa.dev/provenance/v1";

/// Checks the claim's statement against the file and tells its kind.
pub(super) fn check(file: &Subject<'_>, claim: &Claim) -> Result<Predicate, AttestError> {
    let number = claim.number;
    let refuse = |reason: String| AttestError::Statement { number, reason };
    let SignatureContent::DsseEnvelope(envelope) = &claim.bundle.content else {
        return Err(refuse("it is no signed statement".to_owned()));
    };
    let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes())
        .map_err(|error| refuse(format!("its statement cannot be read: {error}")))?;
    if statement.type_ != STATEMENT {
        return Err(refuse(format!(
            "its statement is of type `{}`",
            shown(&statement.type_)
        )));
    }
    let [subject] = statement.subject.as_slice() else {
        let count = statement.subject.len();
        return Err(refuse(format!("it speaks of {count} files instead of one")));
    };
    if !is_same_name(&subject.name, file.filename) {
        return Err(AttestError::SubjectName {
            number,
            found: shown(&subject.name),
            expected: file.filename.to_owned(),
        });
    }
    let sha256 = (subject.digest.sha256.as_ref())
        .ok_or_else(|| refuse("it does not tell the file's sha256".to_owned()))?;
    if sha256.as_bytes() != file.sha256.as_bytes() {
        return Err(AttestError::SubjectDigest {
            number,
            found: sha256.to_hex(),
            expected: file.sha256,
        });
    }
    match statement.predicate_type.as_str() {
        PUBLISH => Ok(Predicate::Publish),
        SLSA => Ok(Predicate::Slsa),
        other => Err(AttestError::PredicateType {
            number,
            found: shown(other),
        }),
    }
}

/// The same name, or two spellings of one project, version, build and set of tags.
fn is_same_name(left: &str, right: &str) -> bool {
    left == right
        || project_candidates(right).iter().any(|project| {
            match (
                FileName::parse(left, project),
                FileName::parse(right, project),
            ) {
                (Ok(FileName::Other { .. }), _) | (_, Ok(FileName::Other { .. })) => false,
                (Ok(left), Ok(right)) => left == right,
                _ => false,
            }
        })
}

/// Outside text for a message.
fn shown(text: &str) -> String {
    text.chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::is_same_name;

    #[test]
    fn names_are_compared_as_names() {
        for (left, right, same) in [
            ("a-1.0.tar.gz", "a-1.0.tar.gz", true),
            ("A.B-1.0.tar.gz", "a_b-1.0.tar.gz", true),
            ("a-1.0.tar.gz", "a-1.tar.gz", true),
            ("a-1.0.tar.gz", "a-1.1.tar.gz", false),
            ("a-1.0.tar.gz", "b-1.0.tar.gz", false),
            ("a-1-py3-none-any.whl", "a-1-py3-none-any.whl", true),
            ("A-1-py3-none-any.whl", "a-1-py3-none-any.whl", true),
            ("a-1-1-py3-none-any.whl", "a-1-py3-none-any.whl", false),
            ("a-1-py2-none-any.whl", "a-1-py3-none-any.whl", false),
            ("a-1-py3-none-any.whl", "a-1.tar.gz", false),
            ("", "a-1.tar.gz", false),
            ("notes.txt", "letter.txt", false),
        ] {
            assert_eq!(is_same_name(left, right), same, "{left} {right}");
        }
    }
}

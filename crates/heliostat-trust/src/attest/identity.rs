//! What a certificate must say to be a publisher's.
//!
//! The rules are those of PyPI's own verifier: the issuer, the repository and the workflow come from Fulcio's
//! extensions (<https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>), not from the subject's name alone.

use serde_json::Value;
use sigstore_crypto::{CertificateInfo, SubjectAltName};

use super::{AttestError, Publisher};

const KINDS: [&str; 4] = ["GitHub", "GitLab", "Google", "CircleCI"];

impl Publisher {
    /// The `publisher` object of a provenance document. Unknown keys are left out.
    pub(super) fn from_json(value: Value) -> Result<Self, AttestError> {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or("");
        if !KINDS.contains(&kind) {
            let kind: String = kind.chars().take(40).collect();
            return Err(AttestError::PublisherKind(kind.escape_debug().to_string()));
        }
        serde_json::from_value(value)
            .map_err(|error| AttestError::Document(format!("its publisher: {error}")))
    }

    /// Whether the certificate is this publisher's; else what it says instead.
    pub(super) fn check(&self, certificate: &CertificateInfo) -> Result<(), String> {
        let claims = &certificate.ci_claims;
        let repository_uri = claims.source_repository_uri.as_deref();
        let build_config_uri = claims.build_config_uri.as_deref();
        // The configuration's address ends with the commit or the ref it was taken from; neither is the publisher's.
        let is_config = |config: &str| {
            [
                &claims.source_repository_digest,
                &claims.source_repository_ref,
            ]
            .into_iter()
            .flatten()
            .any(|suffix| build_config_uri == Some(&format!("{config}@{suffix}")))
        };
        match self {
            Self::GitHub {
                repository,
                workflow,
            } => {
                issued_by(certificate, "https://token.actions.githubusercontent.com")?;
                let uri = format!("https://github.com/{repository}");
                says("repository", repository_uri, &uri)?;
                let config = format!("{uri}/.github/workflows/{workflow}");
                holds("workflow", build_config_uri, is_config(&config))
            }
            Self::GitLab {
                repository,
                workflow_filepath,
            } => {
                issued_by(certificate, "https://gitlab.com")?;
                let uri = format!("https://gitlab.com/{repository}");
                says("repository", repository_uri, &uri)?;
                let config = format!("{uri}//{workflow_filepath}");
                holds("pipeline", build_config_uri, is_config(&config))
            }
            Self::Google { email } => {
                issued_by(certificate, "https://accounts.google.com")?;
                let found = match &certificate.identity {
                    Some(SubjectAltName::Email(found)) => Some(found.as_str()),
                    _ => None,
                };
                says("account", found, email)
            }
            Self::CircleCi {
                project_id,
                pipeline_definition_id,
            } => {
                issued_by(certificate, "https://oidc.circleci.com")?;
                let uri = format!(
                    "https://circleci.com/api/v2/projects/{project_id}/pipeline-definitions/{pipeline_definition_id}"
                );
                says("pipeline", claims.build_signer_uri.as_deref(), &uri)
            }
        }
    }
}

fn issued_by(certificate: &CertificateInfo, issuer: &str) -> Result<(), String> {
    says("issuer", certificate.issuer.as_deref(), issuer)
}

fn says(what: &str, found: Option<&str>, expected: &str) -> Result<(), String> {
    holds(what, found, found == Some(expected))
}

fn holds(what: &str, found: Option<&str>, right: bool) -> Result<(), String> {
    match (right, found) {
        (true, _) => Ok(()),
        (false, Some(found)) => Err(format!(
            "the certificate's {what} is `{}`",
            found.escape_debug()
        )),
        (false, None) => Err(format!("the certificate tells no {what}")),
    }
}

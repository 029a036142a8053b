//! The identities that publish: PyPI's trusted publishers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who published. Only what a certificate proves; an index's further claims, such as environments, are left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Publisher {
    /// A GitHub Actions workflow.
    GitHub {
        /// `owner/repository`
        repository: String,
        /// The file name below `.github/workflows/`.
        workflow: String,
    },
    /// A GitLab pipeline.
    GitLab {
        /// `group/…/project`
        repository: String,
        /// The path of its configuration in the repository.
        workflow_filepath: String,
    },
    /// A Google Cloud service account.
    Google {
        /// Its address.
        email: String,
    },
    /// A pipeline of `CircleCI`.
    #[serde(rename = "CircleCI")]
    CircleCi {
        /// The project's UUID.
        project_id: String,
        /// The pipeline definition's UUID.
        pipeline_definition_id: String,
    },
}

impl fmt::Display for Publisher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitHub {
                repository,
                workflow,
            } => write!(formatter, "GitHub {repository} ({workflow})"),
            Self::GitLab {
                repository,
                workflow_filepath,
            } => write!(formatter, "GitLab {repository} ({workflow_filepath})"),
            Self::Google { email } => write!(formatter, "Google {email}"),
            Self::CircleCi {
                project_id,
                pipeline_definition_id,
            } => write!(
                formatter,
                "CircleCI {project_id} ({pipeline_definition_id})"
            ),
        }
    }
}

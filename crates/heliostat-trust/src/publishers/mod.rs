//! Publisher memory: `heliostat.trust`, which stands beside a project's lock file and records who published what the
//! project uses, and the comparison with who does now.
//!
//! Pure. Where provenance comes from, and what follows from a change, is the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use heliostat_pypi::ProjectName;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::attest::Publisher;

/// The longest `heliostat.trust` we read, in bytes.
pub const MEMORY_BYTES_MAX: usize = 4 << 20;

/// How much of a release is attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// No file.
    None,
    /// Some files, not all.
    Partly,
    /// Every file that the lock file lists.
    Whole,
}

/// What is known of one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The release that was looked at.
    pub version: String,
    /// How much of it is attested.
    pub attested: Coverage,
    /// By whom.
    #[serde(default, deserialize_with = "publishers")]
    pub publishers: BTreeSet<Publisher>,
}

/// Publishers without a key that this program does not know: it might make them somebody else.
fn publishers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Publisher>, D::Error> {
    let given = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let read = given.into_iter().map(|keys| {
        let publisher = Publisher::deserialize(&keys).map_err(D::Error::custom)?;
        let known = serde_json::to_value(&publisher).map_err(D::Error::custom)?;
        let mut names = keys.as_object().into_iter().flat_map(serde_json::Map::keys);
        match names.find(|name| known.get(name.as_str()).is_none()) {
            Some(name) => Err(D::Error::custom(format!("a publisher has no key `{name}`"))),
            None => Ok(publisher),
        }
    });
    read.collect()
}

/// What is known of every project that a lock file names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// By name.
    pub projects: BTreeMap<ProjectName, Known>,
}

/// One difference between what was recorded and what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherChange {
    /// The project.
    pub project: ProjectName,
    /// What is different.
    pub kind: ChangeKind,
}

/// What can be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Somebody publishes who never did.
    Publisher {
        /// Who did.
        before: BTreeSet<Publisher>,
        /// Who is new.
        new: BTreeSet<Publisher>,
    },
    /// Less of the release is attested than was.
    Less {
        /// The release that was recorded.
        version: String,
        /// Who attested it.
        before: BTreeSet<Publisher>,
    },
    /// More of it is, and by nobody new.
    More,
    /// It was not recorded.
    Unknown,
}

/// Why a `heliostat.trust` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// Larger than [`MEMORY_BYTES_MAX`].
    #[error("it is larger than 4 MiB")]
    TooLarge,
    /// Not TOML, or not of this shape.
    #[error("{0}")]
    Syntax(String),
    /// Of a later format.
    #[error("its format is {0}; this heliostat reads 1")]
    Format(u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u64,
    #[serde(default)]
    projects: BTreeMap<ProjectName, Known>,
}

impl Memory {
    /// Reads a `heliostat.trust`.
    pub fn read(text: &str) -> Result<Self, MemoryError> {
        if text.len() > MEMORY_BYTES_MAX {
            return Err(MemoryError::TooLarge);
        }
        let document: Document =
            toml::from_str(text).map_err(|error| MemoryError::Syntax(error.to_string()))?;
        if document.format != 1 {
            return Err(MemoryError::Format(document.format));
        }
        Ok(Self {
            projects: document.projects,
        })
    }

    /// What is different about one file of a project, which its provenance proves to be by these publishers; none prove
    /// it where it has no provenance. A project that is not recorded, or was attested by nobody, can change as it likes.
    pub fn change_of_file(
        &self,
        project: &ProjectName,
        publishers: &BTreeSet<Publisher>,
    ) -> Option<ChangeKind> {
        let known = self.projects.get(project)?;
        if known.publishers.is_empty() {
            return None;
        }
        let before = known.publishers.clone();
        let new: BTreeSet<Publisher> = publishers.difference(&before).cloned().collect();
        if !new.is_empty() {
            return Some(ChangeKind::Publisher { before, new });
        }
        // Where a part of a release was attested, a file that is not may be of the other part.
        (publishers.is_empty() && known.attested == Coverage::Whole).then(|| ChangeKind::Less {
            version: known.version.clone(),
            before,
        })
    }
}

/// The file itself: sorted, one publisher a line, so that a change is a readable line of a diff.
impl fmt::Display for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "# Who published what this project uses, as `heliostat attest record` found it proved (PEP 740).\n\
             # `heliostat attest check` tells when somebody else does. Keep it beside the lock file.\nformat = 1"
        )?;
        for (name, known) in &self.projects {
            let attested = match known.attested {
                Coverage::None => "none",
                Coverage::Partly => "partly",
                Coverage::Whole => "whole",
            };
            writeln!(formatter, "\n[projects.{name}]")?;
            writeln!(formatter, "version = {}", quoted(&known.version))?;
            writeln!(formatter, "attested = \"{attested}\"")?;
            if known.publishers.is_empty() {
                continue;
            }
            writeln!(formatter, "publishers = [")?;
            for publisher in &known.publishers {
                writeln!(formatter, "    {},", inline(publisher))?;
            }
            writeln!(formatter, "]")?;
        }
        Ok(())
    }
}

fn inline(publisher: &Publisher) -> String {
    let parts: Vec<(&str, &str)> = match publisher {
        Publisher::GitHub {
            repository,
            workflow,
        } => vec![
            ("kind", "GitHub"),
            ("repository", repository),
            ("workflow", workflow),
        ],
        Publisher::GitLab {
            repository,
            workflow_filepath,
        } => vec![
            ("kind", "GitLab"),
            ("repository", repository),
            ("workflow_filepath", workflow_filepath),
        ],
        Publisher::Google { email } => vec![("kind", "Google"), ("email", email)],
        Publisher::CircleCi {
            project_id,
            pipeline_definition_id,
        } => vec![
            ("kind", "CircleCI"),
            ("project_id", project_id),
            ("pipeline_definition_id", pipeline_definition_id),
        ],
    };
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(key, value)| format!("{key} = {}", quoted(value)))
        .collect();
    format!("{{ {} }}", parts.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// What is different now. Projects that are no longer used are no difference.
pub fn compare(before: &Memory, now: &Memory) -> Vec<PublisherChange> {
    let mut changes = Vec::new();
    for (project, new) in &now.projects {
        let mut push = |kind| {
            changes.push(PublisherChange {
                project: project.clone(),
                kind,
            });
        };
        let Some(old) = before.projects.get(project) else {
            push(ChangeKind::Unknown);
            continue;
        };
        if new.attested < old.attested {
            push(ChangeKind::Less {
                version: old.version.clone(),
                before: old.publishers.clone(),
            });
        }
        let strangers: BTreeSet<Publisher> = new
            .publishers
            .difference(&old.publishers)
            .cloned()
            .collect();
        // The first attestation of a project is no change of hands: there was nobody to take over from.
        if !strangers.is_empty() && !old.publishers.is_empty() {
            push(ChangeKind::Publisher {
                before: old.publishers.clone(),
                new: strangers,
            });
        } else if new.attested > old.attested {
            push(ChangeKind::More);
        }
    }
    changes
}

impl ChangeKind {
    /// Whether somebody should look before the release is used.
    pub const fn is_suspicious(&self) -> bool {
        matches!(self, Self::Publisher { .. } | Self::Less { .. })
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publisher { before, new } => write!(
                formatter,
                "now published by {}, before by {}",
                names(new),
                names(before)
            ),
            Self::Less { version, before } => write!(
                formatter,
                "less of it is attested than of {version}, which was by {}",
                names(before)
            ),
            Self::More => formatter.write_str("more of it is attested than was"),
            Self::Unknown => formatter.write_str("not recorded yet"),
        }
    }
}

fn names(publishers: &BTreeSet<Publisher>) -> String {
    let names: Vec<String> = publishers.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;

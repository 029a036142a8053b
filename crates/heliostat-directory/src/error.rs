//! What can be wrong with a registry or a policy.

use std::fmt;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A registry's file is not TOML, or has unknown keys.
    #[error("cannot read the entry `{name}`")]
    ReadEntry {
        /// Its file name.
        name: String,
        /// What the parser says, with the line.
        source: Box<toml::de::Error>,
    },
    /// A registry's entries are well written and not allowed.
    #[error("the registry is refused: {}", shown(.0))]
    JudgeRegistry(Vec<Problem>),
    /// A line of a history is no round, or out of order.
    #[error("the history `{name}`, line {line}: {fault}")]
    ReadHistory {
        /// Which history.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        fault: String,
    },
    /// The policy is not TOML, or has unknown keys.
    #[error("cannot read the policy")]
    ReadPolicy {
        /// What the parser says, with the line.
        source: Box<toml::de::Error>,
    },
    /// A document or a page cannot be rendered.
    #[error("cannot write what is published")]
    Write {
        /// What keeps it from being.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A number of the policy contradicts another, or cannot be.
    #[error("the policy's `{key}`: {fault}")]
    JudgePolicy {
        /// The key.
        key: &'static str,
        /// What is wrong, and what to write.
        fault: String,
    },
}

impl DirectoryError {
    pub(crate) fn write(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Write {
            source: Box::new(source),
        }
    }
}

/// One thing that is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The entry's file name.
    pub name: String,
    /// What is wrong, and what to write.
    pub fault: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.name, self.fault)
    }
}

fn shown(problems: &[Problem]) -> String {
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

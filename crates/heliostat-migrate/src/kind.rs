//! The words of a report: what kind of setting a reference is, and what is to be done with it.

use serde::{Deserialize, Serialize};

/// What a reference to a retired host is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The index that an installer asks first.
    Index,
    /// A further index. On a dead host pip goes on without it, without a word: dependency confusion.
    ExtraIndex,
    /// A page or directory of links to files.
    FindLinks,
    /// A host whose certificate is not checked. Goes with its host, is never renamed.
    TrustedHost,
    /// Where releases are uploaded to.
    Upload,
    /// Where `pip search` asks.
    Search,
    /// A `dependency_links` entry of a `setup.py`.
    DependencyLink,
    /// A requirement that names its file (`name @ URL`, or a bare URL).
    DirectUrl,
    /// A file's address outside of lock files.
    Artifact,
    /// The index a lock file says a package came from.
    LockSource,
    /// The address of one file in a lock file.
    LockArtifact,
    /// A hash over the sources of a lock file, which changes when they do.
    LockContentHash,
    /// A list of hosts that an installer may ask.
    AllowedHost,
    /// A login for the host.
    Credential,
    /// A setting that no current tool reads.
    DeadSetting,
    /// The bare host where a setting takes it from, as in a variable.
    Host,
    /// A URL whose use is not known.
    Other,
    /// In a comment.
    Comment,
    /// In prose.
    Doc,
}

impl Kind {
    /// The word in reports and in maps.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::ExtraIndex => "extra-index",
            Self::FindLinks => "find-links",
            Self::TrustedHost => "trusted-host",
            Self::Upload => "upload",
            Self::Search => "search",
            Self::DependencyLink => "dependency-link",
            Self::DirectUrl => "direct-url",
            Self::Artifact => "artifact",
            Self::LockSource => "lock-source",
            Self::LockArtifact => "lock-artifact",
            Self::LockContentHash => "lock-content-hash",
            Self::AllowedHost => "allowed-host",
            Self::Credential => "credential",
            Self::DeadSetting => "dead-setting",
            Self::Host => "host",
            Self::Other => "other",
            Self::Comment => "comment",
            Self::Doc => "doc",
        }
    }

    /// How much it matters.
    pub const fn severity(self) -> Severity {
        match self {
            Self::ExtraIndex => Severity::Critical,
            Self::Comment | Self::Doc => Severity::Note,
            Self::DeadSetting | Self::Credential | Self::Other => Severity::Low,
            _ => Severity::High,
        }
    }
}

/// What is done, or is to be done by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The address is replaced.
    Rewrite,
    /// The setting is taken out.
    Remove,
    /// A person has to look; nothing is changed.
    Report,
    /// A hash is computed again because what it covers changed.
    Rehash,
}

impl Action {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Remove => "remove",
            Self::Report => "report",
            Self::Rehash => "rehash",
        }
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing breaks.
    Note,
    /// Nothing breaks at once.
    Low,
    /// An installation or an upload breaks.
    High,
    /// An installation goes on with something else than was meant.
    Critical,
}

//! What a probe may look at, how often, and what it has to say about it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::observe::Gate;

/// Findings of one sample; a mirror that has more wrong with it is no better known by the rest.
pub const FINDINGS_MAX: usize = 48;
/// The longest text of a finding, in characters.
pub const FINDING_CHARS_MAX: usize = 300;

/// How often a check is made. A slower class includes the faster ones.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Every five minutes.
    #[default]
    Minutes,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
}

/// One thing that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether the root list or a project's page comes.
    Alive,
    /// Every address behind the name.
    Dns,
    /// Under whose domain the name is (PEP 449).
    Names,
    /// The certificate, of every address.
    Tls,
    /// That nothing is served without TLS.
    PlainHttp,
    /// `Strict-Transport-Security`.
    Hsts,
    /// `Set-Cookie` and its like.
    Cookies,
    /// Where redirects lead.
    Redirects,
    /// The same for pip and uv as for everybody.
    UserAgents,
    /// `Accept`, `HEAD`, conditional requests and compression.
    Negotiation,
    /// The time stamp that the tree carries.
    LastModified,
    /// Which changes are there, and which are claimed.
    Serial,
    /// What was deleted or yanked.
    Deletions,
    /// Pages against the reference.
    SampleIndex,
    /// Files against their digests.
    SampleFile,
    /// Parts of files.
    Ranges,
    /// HTTP/2 and IPv6.
    Protocols,
    /// How fast bytes come.
    Goodput,
    /// The same from every address.
    Equivocation,
    /// What the mirror says of itself.
    Receipt,
    /// What it carries of the notary's signed state, and pages against that.
    Signed,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Wrong, and keeps nobody from using it.
    Warning,
    /// Keeps people from using it, or closes a gate.
    Fault,
}

/// One thing that a probe has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How much it matters.
    pub level: Level,
    /// The gate that it closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Behind which address, where only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Since when it is so, without a break, in seconds since 1970.
    pub since: i64,
    /// In words, for people.
    pub text: String,
    /// The project that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The SHA-256, in hex, of the file below `evidence/` that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// A certificate and the connection it came by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Certificate {
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
    /// Who signed it, as RFC 4514 writes names.
    pub issuer: String,
    /// As `TLSv1.3`.
    pub protocol: String,
}

/// What a mirror said of its own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Receipt {
    /// How many commits it had made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The serial it answers for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// The version of its signed snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_version: Option<u64>,
    /// The digest of its signed snapshot, SHA-256 in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_sha256: Option<String>,
    /// What it signed of that. Of the same statement only the first sample has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedReceipt>,
}

/// A mirror's signature over what it said, for everybody to verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignedReceipt {
    /// Its ed25519 key, in hex.
    pub key: String,
    /// What it signed, JSON, byte for byte.
    pub statement: String,
    /// The signature, in hex.
    pub signature: String,
}

impl Check {
    /// How often it is made.
    pub const fn class(self) -> Class {
        match self {
            Self::Alive
            | Self::Dns
            | Self::Names
            | Self::Tls
            | Self::Cookies
            | Self::Redirects
            | Self::LastModified
            | Self::Serial
            | Self::Receipt => Class::Minutes,
            Self::UserAgents
            | Self::Deletions
            | Self::SampleIndex
            | Self::SampleFile
            | Self::Goodput
            | Self::Equivocation
            | Self::Signed => Class::Hourly,
            Self::PlainHttp | Self::Hsts | Self::Negotiation | Self::Ranges | Self::Protocols => {
                Class::Daily
            }
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alive => "alive",
            Self::Dns => "dns",
            Self::Names => "names",
            Self::Tls => "tls",
            Self::PlainHttp => "plain-http",
            Self::Hsts => "hsts",
            Self::Cookies => "cookies",
            Self::Redirects => "redirects",
            Self::UserAgents => "user-agents",
            Self::Negotiation => "negotiation",
            Self::LastModified => "last-modified",
            Self::Serial => "serial",
            Self::Deletions => "deletions",
            Self::SampleIndex => "sample-index",
            Self::SampleFile => "sample-file",
            Self::Ranges => "ranges",
            Self::Protocols => "protocols",
            Self::Goodput => "goodput",
            Self::Equivocation => "equivocation",
            Self::Receipt => "receipt",
            Self::Signed => "signed",
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        })
    }
}

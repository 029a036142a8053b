//! What a mirror did wrong, as a value: what it is called, what it proves about the mirror, how it is told.

use std::fmt;

use heliostat_pypi::Sha256;
use heliostat_upstream::{FailureKind, UpstreamError};

/// Why one mirror did not give what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// It says that it has no such thing.
    Missing {
        /// Its status: 404, 403 or 410.
        status: u16,
    },
    /// It has not even the file that every signed tree begins with: the address is another's.
    NoMirror {
        /// Its status: 404, 403 or 410.
        status: u16,
    },
    /// It could not be reached, broke off, or was too slow.
    Unreachable(UpstreamError),
    /// It gave something that must not be taken.
    Refused(Refusal),
}

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it amounts to.
    pub attack: Attack,
    /// What exactly was found, and what was expected.
    pub detail: String,
    /// What came, where it came whole.
    pub found: Option<Sha256>,
}

/// What a refused answer amounts to. The words are those of the TUF specification, section 1.5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Bytes that are not the signed ones.
    Altered,
    /// Bytes that are not the signed ones, of which several mirrors gave parts: it is not known who lied.
    Mixed,
    /// Metadata that the keys in force did not sign.
    Forged,
    /// What cannot even be read as metadata or a page.
    Unreadable,
    /// An older state than one that was seen before.
    Rollback,
    /// A state whose time is over.
    Freeze,
    /// A signed document in another's place.
    WrongProject,
    /// More bytes than there may be.
    EndlessData,
    /// A root that does not follow from the trusted one.
    WrongRoot,
    /// A state signed so long after now that a clock must be wrong.
    WrongClock,
    /// Another document than one that was seen, of the same version and signed with the same key.
    SplitView,
}

/// What an answer proves about the mirror that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gave what was asked for.
    Good,
    /// It does not have everything.
    Incomplete,
    /// It cannot be used at the moment.
    Outage,
    /// It is behind, or carries what should not have been signed; that alone is no lie.
    Behind,
    /// It gave something that the notary never signed.
    Lie,
}

impl Attack {
    /// The attack's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Altered | Self::Mixed => "altered content",
            Self::Forged => "forged metadata",
            Self::Unreadable => "unreadable content",
            Self::Rollback => "rollback",
            Self::Freeze => "freeze",
            Self::WrongProject => "wrong project",
            Self::EndlessData => "endless data",
            Self::WrongRoot => "forged root",
            Self::WrongClock => "wrong clock",
            Self::SplitView => "split view",
        }
    }

    /// Whether it is about what was rightly signed, and must not be used all the same.
    pub const fn is_of_signed(self) -> bool {
        matches!(
            self,
            Self::Rollback | Self::Freeze | Self::WrongClock | Self::SplitView
        )
    }
}

impl Failure {
    /// The same of the file that every signed tree begins with: who does not have that is no mirror.
    pub(crate) fn of_the_first(self) -> Self {
        match self {
            Self::Missing { status } => Self::NoMirror { status },
            other => other,
        }
    }

    /// From a failed request.
    pub(crate) fn of(error: UpstreamError) -> Self {
        match (error.status(), error.kind()) {
            (Some(status @ (404 | 403 | 410)), _) => Self::Missing { status },
            (_, FailureKind::Unfit) => {
                let attack = match error {
                    UpstreamError::Limit { .. } | UpstreamError::Size { .. } => Attack::EndlessData,
                    UpstreamError::Resume { .. } => return Self::Unreachable(error),
                    _ => Attack::Unreadable,
                };
                Self::Refused(Refusal {
                    attack,
                    detail: error.to_string(),
                    found: None,
                })
            }
            _ => Self::Unreachable(error),
        }
    }

    /// What it proves about the mirror. Pure.
    pub const fn judge(&self) -> Verdict {
        match self {
            Self::Missing { .. } => Verdict::Incomplete,
            Self::NoMirror { .. } | Self::Unreachable(_) => Verdict::Outage,
            Self::Refused(refusal) => match refusal.attack {
                attack if attack.is_of_signed() => Verdict::Behind,
                Attack::Mixed => Verdict::Outage,
                _ => Verdict::Lie,
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { status } => write!(f, "says that it has no such thing ({status})"),
            Self::NoMirror { status } => write!(
                f,
                "is no heliostat mirror: it has no `tuf/timestamp.json` ({status}); check the address"
            ),
            Self::Unreachable(error) => {
                write!(f, "cannot be used: {error}")?;
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attack.name(), self.detail)
    }
}

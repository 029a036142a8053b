//! Everything that can go wrong with taking from mirrors, and what it means to whoever asked.

use std::fmt::{self, Write as _};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use heliostat_pypi::ProjectName;
use heliostat_upstream::UpstreamError;

use crate::failure::{Attack, Failure, Verdict};

/// Why something could not be had, or was refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The root that everything is checked against cannot be used.
    #[error("`{name}` is not a usable root")]
    PinnedRoot {
        /// Which one.
        name: String,
        /// Why not.
        source: sigstore_tuf::Error,
    },
    /// A mirror's address or the options of the transport.
    #[error(transparent)]
    Configure(UpstreamError),
    /// The plain index beside the signed tree.
    #[error("the origin cannot be used")]
    Origin(#[source] UpstreamError),
    /// Our own state cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No mirror gave it, whatever the reason; each one's answer is told.
    #[error("no mirror gives {what}{}", told(answers))]
    NotGiven {
        /// What was asked for.
        what: String,
        /// What each mirror did.
        answers: Answers,
    },
    /// It was rightly signed, and must not be used all the same.
    #[error("{what} is refused ({}): {reason}{}", attack.name(), offered(shown))]
    SignedState {
        /// What.
        what: String,
        /// What it amounts to.
        attack: Attack,
        /// Why.
        reason: String,
        /// What each mirror offered, in words.
        shown: Vec<String>,
    },
    /// What we hold ourselves is refused by what we know now.
    #[error("{what} is refused: {reason}")]
    Refused {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
    /// The root of a list of mirrors cannot be used.
    #[error("`{name}` is not a usable root of a list of mirrors: {reason}")]
    ListRoot {
        /// Which one.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A list of mirrors is not what its keepers signed, or not any more.
    #[error("the list of mirrors at {place} is refused: {reason}")]
    List {
        /// Where it is.
        place: String,
        /// Why.
        reason: String,
    },
    /// The list leaves nobody to ask.
    #[error("there is no mirror to ask: {reason}")]
    NoMirror {
        /// Why not.
        reason: String,
    },
    /// A list of mirrors cannot be had.
    #[error("the list of mirrors at {place} cannot be had")]
    ListUnreachable {
        /// Where it is.
        place: String,
        /// Why.
        source: UpstreamError,
    },
    /// It is what the notary signed, and not proved to be by whom it should be.
    #[error("`{file}` of `{project}`: {reason}")]
    Unproved {
        /// The file's name.
        file: String,
        /// Its project.
        project: ProjectName,
        /// What is wrong, and who published.
        reason: String,
    },
    /// No trusted role names the target.
    #[error("the signed state names no `{target}`")]
    NoSuchTarget {
        /// The target's path.
        target: String,
    },
    /// Somebody else's request for the same thing failed.
    #[error(transparent)]
    Shared(Arc<Self>),
    /// The program is stopping.
    #[error("the client is stopping")]
    Stopping,
}

/// What each mirror answered, in the order in which the answers came.
pub type Answers = Vec<(String, Failure)>;

/// What an error means to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The settings are wrong.
    Settings,
    /// Something failed verification: stop.
    Integrity,
    /// It is not proved to be by whom it should be: stop.
    Distrusted,
    /// The signed state names it and every mirror that answers says that it has none: stop as well.
    Withheld,
    /// Nothing is known: try later.
    Outage,
    /// The signed state says that there is no such thing.
    Absent,
    /// Our own disk.
    Disk,
}

impl ClientError {
    /// What it means. Where mirrors failed in several ways, a refusal weighs most: it must not be mistaken for an
    /// outage, which clients try again.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::PinnedRoot { .. } | Self::ListRoot { .. } | Self::Configure(_) => {
                ErrorKind::Settings
            }
            Self::Disk { .. } => ErrorKind::Disk,
            Self::SignedState { .. }
            | Self::Refused { .. }
            | Self::List { .. }
            | Self::NoMirror { .. } => ErrorKind::Integrity,
            Self::Unproved { .. } => ErrorKind::Distrusted,
            Self::NoSuchTarget { .. } => ErrorKind::Absent,
            Self::Stopping | Self::Origin(_) | Self::ListUnreachable { .. } => ErrorKind::Outage,
            Self::Shared(error) => error.kind(),
            Self::NotGiven { answers, .. } => {
                let verdict = |wanted: &[Verdict]| {
                    answers
                        .iter()
                        .any(|(_, failure)| wanted.contains(&failure.judge()))
                };
                let refused =
                    |(_, failure): &(String, Failure)| matches!(failure, Failure::Refused(_));
                if answers.iter().any(refused) {
                    ErrorKind::Integrity
                } else if verdict(&[Verdict::Outage]) || answers.is_empty() {
                    ErrorKind::Outage
                } else {
                    ErrorKind::Withheld
                }
            }
        }
    }

    /// What was refused amounts to, of what mirrors gave; each once.
    pub fn attacks(&self) -> Vec<Attack> {
        match self {
            Self::Shared(error) => error.attacks(),
            Self::SignedState { attack, .. } => vec![*attack],
            Self::NotGiven { answers, .. } => {
                let mut attacks = Vec::new();
                for (_, failure) in answers {
                    if let Failure::Refused(refusal) = failure
                        && !attacks.contains(&refusal.attack)
                    {
                        attacks.push(refusal.attack);
                    }
                }
                attacks
            }
            _ => Vec::new(),
        }
    }

    /// Whether every mirror that answered has none: after a publish in the middle of a walk that is no surprise.
    pub(crate) fn is_missing_somewhere(&self) -> bool {
        match self {
            Self::Shared(error) => error.is_missing_somewhere(),
            Self::NotGiven { answers, .. } => answers
                .iter()
                .any(|(_, failure)| matches!(failure, Failure::Missing { .. })),
            _ => false,
        }
    }
}

fn told(answers: &Answers) -> String {
    let mut text = String::new();
    for (at, (mirror, failure)) in answers.iter().enumerate() {
        let separator = if at == 0 { ": " } else { "; " };
        let _infallible = write!(text, "{separator}{mirror} {}", Told(failure));
    }
    text
}

fn offered(shown: &[String]) -> String {
    let mut text = String::new();
    for offer in shown {
        text.push_str("; ");
        text.push_str(offer);
    }
    text
}

struct Told<'a>(&'a Failure);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Failure::Refused(refusal) => write!(f, "is refused ({refusal})"),
            other => other.fmt(f),
        }
    }
}

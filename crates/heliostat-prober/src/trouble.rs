//! Why a request brought no answer that can be used.

use std::fmt;

/// What went wrong with one request. The words are for people who run the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection.
    Connect(String),
    /// This machine has no way to such an address, which says nothing about the mirror.
    NoRoute,
    /// A certificate that clients refuse, or no common TLS.
    Tls(String),
    /// The connection broke, or what came is no HTTP.
    Broken(String),
    /// An answer that is none of a mirror's.
    Answer(String),
    /// Nothing, or too little, came in time.
    Slow,
    /// More bytes than are read.
    TooLarge,
    /// A redirect that may not be followed; it was noted where it closes a gate.
    Redirect(String),
    /// This round has cost enough.
    Budget,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(text) => write!(f, "does not take a connection: {text}"),
            Self::NoRoute => f.write_str("cannot be reached from this vantage"),
            Self::Tls(text) => write!(f, "has no TLS that clients accept: {text}"),
            Self::Broken(text) => write!(f, "breaks off: {text}"),
            Self::Slow => f.write_str("does not answer in time"),
            Self::TooLarge => f.write_str("sends more bytes than such a document has"),
            Self::Redirect(text) | Self::Answer(text) => f.write_str(text),
            Self::Budget => f.write_str("was not asked, since this round has cost enough"),
        }
    }
}

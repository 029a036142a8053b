//! Why the server cannot start. What goes wrong with one request is a `Problem`, not an error.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours to listen on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A thread that serves connections cannot be started.
    #[error("cannot start a thread that serves connections")]
    StartThread(#[source] io::Error),
    /// A certificate or key file cannot be read.
    #[error("cannot read `{}`", path.display())]
    ReadTls {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A certificate or key file holds no PEM of the right kind.
    #[error("`{}` holds no usable {wanted}", path.display())]
    ParseTls {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What the reader found.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Certificate and key are each fine but do not go together, or not with this TLS library.
    #[error("the certificate `{}` and the key `{}` cannot be used together", certificate.display(), key.display())]
    PairTls {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// The TLS library's reason.
        source: rustls::Error,
    },
}

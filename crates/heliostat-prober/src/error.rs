//! What keeps the prober from looking at all.

use heliostat_client::ClientError;
use heliostat_upstream::UpstreamError;

/// An error of this crate. What is wrong with a mirror is no error but a finding.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The reference does not give its list of projects.
    #[error("the reference index gives no list of projects")]
    ReadReference(#[source] UpstreamError),
    /// The list names no project, so that nothing could be compared.
    #[error("the reference index lists no project")]
    EmptyReference,
    /// What the reference signs does not verify, or cannot be had.
    #[error("the reference index shows no signed state that can be trusted")]
    VerifyReference(#[source] ClientError),
}

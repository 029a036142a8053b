//! What several mirrors, or a saved state and a mirror, show of one notary, put side by side: does the notary's key say
//! one thing to everybody?
//!
//! Every source is verified by itself, from the same root, whatever its age. Looking is `look`'s work, judging
//! `judge`'s, which is pure.

mod judge;
mod look;

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use url::Url;

pub use judge::{Conflict, Document};

use crate::{ClientError, Limits, Transport};
use look::Look;

/// Something that shows a signed state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A mirror, where `tuf/` is found.
    Mirror(Url),
    /// A tree, or the state of a proxy: the directory in which `tuf/` is.
    Directory(PathBuf),
}

/// What a source showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// Its address or directory.
    pub source: String,
    /// The version of its newest root.
    pub root: u64,
    /// The version of its timestamp.
    pub timestamp: u64,
    /// The version of its snapshot.
    pub snapshot: u64,
}

/// Several sources side by side.
#[derive(Debug)]
pub struct Comparison {
    /// What each showed, in the order in which they were given.
    pub views: Vec<View>,
    /// Bins of one version that at least two of them have, and that were looked at.
    pub bins: u64,
    /// What cannot be true together.
    pub conflicts: Vec<Conflict>,
}

/// Bins looked at, at a time.
const BINS_AT_ONCE: usize = 8;

/// Looks at every source and compares.
///
/// # Errors
/// [`ClientError::Refused`] where a source shows what nobody signed; what keeps a source from being read.
pub async fn compare(
    root: &[u8],
    sources: &[Source],
    transport: &Transport,
    limits: &Limits,
) -> Result<Comparison, ClientError> {
    let looks = sources
        .iter()
        .map(|source| Look::begin(root, source, transport, limits));
    let looks: Vec<Look> = futures_util::future::try_join_all(looks).await?;
    let mut conflicts = judge::heads(&looks);
    let shared = judge::shared_bins(&looks);
    let bins = shared.len() as u64;
    let mut found: Vec<Conflict> = stream::iter(shared)
        .map(|(role, version, of)| {
            let looks = &looks;
            async move {
                let read = of.iter().map(|at| looks[*at].bin(&role, version));
                let read: Vec<Option<Bytes>> = futures_util::future::try_join_all(read).await?;
                let documents = of.iter().zip(read).filter_map(|(at, bytes)| {
                    let source = looks[*at].view().source;
                    bytes.map(|bytes| Document {
                        source,
                        role: role.clone(),
                        version,
                        bytes,
                    })
                });
                Ok::<_, ClientError>(judge::two_of_one_version(documents))
            }
        })
        .buffer_unordered(BINS_AT_ONCE)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await?;
    found.sort_by(|one, other| one.what.cmp(&other.what));
    conflicts.append(&mut found);
    Ok(Comparison {
        views: looks.iter().map(Look::view).collect(),
        bins,
        conflicts,
    })
}

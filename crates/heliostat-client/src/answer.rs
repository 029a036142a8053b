//! What a client is told, and what it answers. Values only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heliostat_pypi::page::ProjectPage;

use crate::mirrors::MirrorOptions;
use crate::origin::OriginOptions;
use crate::pages::SignedPage;
use crate::proof::ProofOptions;
use crate::{Limits, Spool};

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The root that everything is checked against, as bytes.
    pub root: Vec<u8>,
    /// What to call it in messages.
    pub root_name: String,
    /// Where mirrors are and how to reach them.
    pub mirrors: MirrorOptions,
    /// Where the state is kept; made where there is none.
    pub directory: PathBuf,
    /// A plain index beside the signed tree.
    pub origin: Option<OriginOptions>,
    /// What is asked of a file's provenance before it is handed out; `None` asks nothing.
    pub proof: Option<ProofOptions>,
    /// The oldest that the state may be; `None` leaves it to its expiry.
    pub staleness_max: Option<Duration>,
    /// Every bound.
    pub limits: Limits,
}

/// Where a page stands.
#[derive(Debug, Clone)]
pub enum PageAnswer {
    /// Here it is.
    Signed(Arc<SignedPage>),
    /// The origin has it: nothing of it is signed.
    Origin(Arc<ProjectPage>),
    /// The signed state says that there is no such project.
    Absent,
    /// The signed state does not say.
    Unknown,
}

/// One of a file's three parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilePart {
    /// The file itself.
    File,
    /// Its core metadata (PEP 658).
    Metadata,
    /// Its provenance (PEP 740).
    Provenance,
}

/// Where a file stands.
#[derive(Debug, Clone)]
pub enum FileAnswer {
    /// On its way, or there.
    Stream(Spool),
    /// A small document, whole.
    Document(Bytes),
    /// The origin has it, at this address.
    Redirect(String),
    /// No signed page lists it.
    Absent,
    /// The pages that might list it are not in the signed state, which does not claim to be complete.
    Unknown,
}

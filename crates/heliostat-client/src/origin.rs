//! A plain index beside the signed tree, asked by policy: for a project as a whole, never merged with what is signed.
//!
//! What it says is trusted as far as TLS goes. Its files come from it directly.

use std::sync::Arc;
use std::time::Duration;

use heliostat_pypi::page::ProjectPage;
use heliostat_pypi::{ProjectName, TreePath};
use heliostat_upstream::{Answer, Caches, Upstream, UpstreamOptions, Validators};
use moka::sync::Cache;

use crate::{ClientError, FilePart};

/// How long an answer of the origin stands.
const AGE_MAX: Duration = Duration::from_secs(30);

/// Pages remembered.
const PAGES_MAX: u64 = 2_000;

/// When the origin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginOrder {
    /// Before the signed tree: what the origin has is taken from there.
    First,
    /// After it: only for what the signed tree does not have.
    Last,
}

/// A plain index and when to ask it.
#[derive(Debug, Clone)]
pub struct OriginOptions {
    /// When.
    pub order: OriginOrder,
    /// Where, and how to reach it.
    pub upstream: UpstreamOptions,
}

/// The plain index.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) order: OriginOrder,
    upstream: Upstream,
    pages: Cache<ProjectName, Option<Arc<ProjectPage>>>,
}

impl Origin {
    /// Prepares to ask; makes no request.
    pub(crate) fn new(options: OriginOptions) -> Result<Self, ClientError> {
        Ok(Self {
            order: options.order,
            upstream: Upstream::new(options.upstream).map_err(ClientError::Configure)?,
            pages: Cache::builder()
                .max_capacity(PAGES_MAX)
                .time_to_live(AGE_MAX)
                .build(),
        })
    }

    /// The origin's page; `None` where it says that it has none. An origin that cannot be reached is an error and
    /// never "none": with `First`, the public tree might have another project of that name.
    pub(crate) async fn page(
        &self,
        name: &ProjectName,
    ) -> Result<Option<Arc<ProjectPage>>, ClientError> {
        if let Some(held) = self.pages.get(name) {
            return Ok(held);
        }
        let asked = self
            .upstream
            .page(name, &Validators::default(), Caches::Allow)
            .await;
        let page = match asked.map_err(ClientError::Origin)? {
            Answer::Fresh(fetched) => Some(Arc::new(fetched.read.page)),
            Answer::Gone | Answer::Unchanged => None,
        };
        self.pages.insert(name.clone(), page.clone());
        Ok(page)
    }
}

/// Where the origin has a file, if it lists it.
pub(crate) fn origin_address(
    page: &ProjectPage,
    path: &TreePath,
    part: FilePart,
) -> Option<String> {
    let file = page.files.iter().find(|file| file.path == *path)?;
    match part {
        FilePart::File => Some(file.url.clone()),
        FilePart::Metadata if file.core_metadata.is_absent() => None,
        FilePart::Metadata => Some(format!("{}.metadata", file.url)),
        FilePart::Provenance => file.provenance.clone(),
    }
}

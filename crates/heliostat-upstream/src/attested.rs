//! An upstream whose pages somebody we trust has signed: which page is whose, by digest, is known before it is asked for,
//! so that whoever carries it can only give the right bytes or none.
//!
//! Does not read or verify metadata; the caller did, and hands over what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use heliostat_pypi::page::{PageRead, ProjectPage, read_signed};
use heliostat_pypi::{ProjectName, Serial, Sha256};
use url::Url;

use crate::{Answer, FetchedList, FetchedPage, Upstream, UpstreamError, Validators, redacted};

/// What verified metadata says of an upstream's pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attested {
    /// Every signed page: its digest and its size in bytes.
    pub pages: BTreeMap<ProjectName, (Sha256, u64)>,
    /// The serial up to which the tree claims to be complete.
    pub serial: Option<Serial>,
}

impl Upstream {
    /// The same upstream, asked only for what is signed.
    #[must_use]
    pub fn attested(&self, attested: Attested) -> Self {
        let mut upstream = self.clone();
        upstream.attested = Some(Arc::new(attested));
        upstream
    }

    /// Whether only what is signed is asked for: then the digests of a page are proofs.
    pub const fn is_attested(&self) -> bool {
        self.attested.is_some()
    }

    /// Where the tree is whose `simple/` is the root.
    pub fn tree(&self) -> Option<Url> {
        self.root().join("../").ok()
    }

    pub(crate) fn attested_list(attested: &Attested) -> FetchedList {
        FetchedList {
            serial: attested.serial,
            projects: attested
                .pages
                .keys()
                .map(|name| (name.clone(), None))
                .collect(),
            rejected: Vec::new(),
            validators: Validators::default(),
        }
    }

    /// The signed copy of a project's page, whatever the place has under its plain name.
    pub(crate) async fn attested_page(
        &self,
        attested: &Attested,
        name: &ProjectName,
        validators: &Validators,
    ) -> Result<Answer<FetchedPage>, UpstreamError> {
        let Some((sha256, size_bytes)) = attested.pages.get(name) else {
            return Ok(Answer::Gone);
        };
        let etag = format!("\"{sha256}\"");
        if validators.etag.as_ref() == Some(&etag) {
            return Ok(Answer::Unchanged);
        }
        let relative = format!("../simple/{name}/{sha256}.index.v1_json");
        let url = self
            .root()
            .join(&relative)
            .map_err(|_| UpstreamError::Address {
                url: redacted(self.root()),
                reason: "it has no place for a tree above it",
            })?;
        let body = match self.as_it_is(&url, *size_bytes).await? {
            Answer::Fresh(body) => body,
            // What is signed and not there is no word about the project: the mirror lacks it.
            Answer::Gone | Answer::Unchanged => {
                return Err(UpstreamError::Lacking {
                    url: redacted(&url),
                });
            }
        };
        let found = Sha256::of(&body);
        if found != *sha256 {
            return Err(UpstreamError::Forged {
                url: redacted(&url),
                expected: *sha256,
                found,
            });
        }
        let page = read_signed(name, &body).map_err(|source| UpstreamError::Unbound {
            url: redacted(&url),
            source,
        })?;
        Ok(Answer::Fresh(FetchedPage {
            read: PageRead {
                page: self.placed(page),
                rejected: Vec::new(),
                dropped_values: Vec::new(),
            },
            validators: Validators {
                etag: Some(etag),
                last_modified: None,
            },
        }))
    }

    /// A signed page with the addresses that its files have at this upstream.
    fn placed(&self, mut page: ProjectPage) -> ProjectPage {
        let Some(tree) = self.tree() else {
            return page;
        };
        let at = |path: &str| {
            let mut url = tree.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(path.split('/'));
            }
            url.to_string()
        };
        let name = page.name.clone();
        for file in &mut page.files {
            file.url = at(&file.path.to_string());
            if file.provenance.is_some() {
                file.provenance = file.provenance_path(&name).map(|path| at(path.as_str()));
            }
        }
        page
    }
}

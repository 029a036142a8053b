//! What has been fetched for a resolution.

use std::collections::HashMap;

use crate::metadata::CoreMetadata;
use crate::page::ProjectPage;
use crate::{FileName, ProjectName};

/// Pages and metadata fetched so far, for resolvers of any target. What is put in is not replaced: an answer stands
/// for the whole resolution.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// `None` where the index has no such project.
    pages: HashMap<ProjectName, Option<ProjectPage>>,
    documents: HashMap<ProjectName, HashMap<String, KnownMetadata>>,
}

/// What is known of a file's core metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownMetadata {
    /// Its content.
    Read(CoreMetadata),
    /// It cannot be had, and why. Only for what is so for good: a wheel without it is passed over for another
    /// version, so an outage told in this way would change the answer.
    Unavailable(String),
}

impl Known {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A page as fetched.
    pub fn add_page(&mut self, page: ProjectPage) {
        self.pages.entry(page.name.clone()).or_insert(Some(page));
    }

    /// The index answered that it has no such project.
    pub fn add_missing_page(&mut self, name: ProjectName) {
        self.pages.entry(name).or_insert(None);
    }

    /// A metadata document as fetched, of a wheel, or of a source distribution that declares its dependencies
    /// (PEP 643). What cannot be read, or does not tell, is unavailable.
    pub fn add_metadata(&mut self, project: &ProjectName, filename: &str, document: &[u8]) {
        let name = FileName::parse(filename, project);
        let is_wheel = name.is_ok_and(|name| name.as_wheel().is_some());
        let known = match CoreMetadata::parse(document) {
            Ok(metadata) if !is_wheel && !metadata.dependencies_are_static() => {
                KnownMetadata::Unavailable(
                    "the source distribution computes its dependencies when built".to_owned(),
                )
            }
            Ok(metadata) => KnownMetadata::Read(metadata),
            Err(error) => KnownMetadata::Unavailable(error.to_string()),
        };
        self.add(project, filename, known);
    }

    /// A metadata document cannot be had, for good.
    pub fn add_unavailable_metadata(
        &mut self,
        project: &ProjectName,
        filename: &str,
        reason: impl Into<String>,
    ) {
        self.add(project, filename, KnownMetadata::Unavailable(reason.into()));
    }

    fn add(&mut self, project: &ProjectName, filename: &str, known: KnownMetadata) {
        self.documents
            .entry(project.clone())
            .or_default()
            .entry(filename.to_owned())
            .or_insert(known);
    }

    /// What is known of a file's metadata.
    pub fn metadata(&self, project: &ProjectName, filename: &str) -> Option<&KnownMetadata> {
        self.documents.get(project)?.get(filename)
    }

    /// Whether a page was fetched, or found missing.
    pub fn has_page(&self, name: &ProjectName) -> bool {
        self.pages.contains_key(name)
    }

    /// A page that was fetched.
    pub fn page(&self, name: &ProjectName) -> Option<&ProjectPage> {
        self.pages.get(name)?.as_ref()
    }

    pub(super) fn pages(&self) -> impl Iterator<Item = &ProjectPage> {
        self.pages.values().flatten()
    }
}

//! Puts a project's documents into the tree, and takes them out of it. Which files they list is the record's word.

use std::collections::HashSet;

use heliostat_pypi::page::{Format, ProjectPage, check_signable, render_legacy, render_page};
use heliostat_pypi::{FileName, ProjectName, Sha256, Version};

use crate::catalog::SignedAs;
use crate::disk::{self, Unsynced};
use crate::error::StoreError;
use crate::intake::Incoming;
use crate::kill::kill_point;
use crate::layout::{self, Layout, PageKind};
use crate::record::ProjectRecord;
use crate::signed::Origin;

/// From `pypi/<project>/json` to the tree's root, for the legacy document's addresses.
pub(crate) const LEGACY_FILES_BASE: &str = "../..";

/// Writes documents of projects.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    layout: &'a Layout,
    incoming: &'a Incoming,
    copies: Copies,
}

/// Whether signed copies of pages are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// Nobody signs here.
    None,
    /// Beside each page stands its signed copy.
    Signed,
    /// The same, where the upstream signs: what it signed is its page, with the files that are hidden here.
    Carried,
}

impl Copies {
    /// What a tree of this origin has.
    pub(crate) const fn of(origin: Origin) -> Self {
        match origin {
            Origin::Own => Self::Signed,
            Origin::Carried => Self::Carried,
        }
    }
}

/// The page that we publish for a record: what is hidden is left out, and the serial is the one we answer for.
pub(crate) fn published(record: &ProjectRecord) -> ProjectPage {
    let mut page = record.page.clone();
    page.serial = record.published_serial;
    if !record.hidden.is_empty() {
        page.files
            .retain(|file| !record.hidden.contains(file.filename()));
        let listed: HashSet<Version> = page
            .files
            .iter()
            .filter_map(|file| {
                FileName::parse(file.filename(), &page.name)
                    .ok()?
                    .version()
                    .cloned()
            })
            .collect();
        page.versions
            .retain(|version| listed.contains(&Version::parse(version)));
    }
    page
}

/// What a page is to a notary, and its bytes.
pub(crate) fn signed_as(page: &ProjectPage) -> (SignedAs, Vec<u8>) {
    let json = render_page(page, Format::Json);
    let signed = match check_signable(page) {
        Ok(()) => SignedAs::Page {
            sha256: Sha256::of(&json),
            size_bytes: json.len() as u64,
        },
        Err(error) => SignedAs::Nothing(error.to_string()),
    };
    (signed, json)
}

impl<'a> Pages<'a> {
    pub(crate) const fn new(layout: &'a Layout, incoming: &'a Incoming) -> Self {
        Self {
            layout,
            incoming,
            copies: Copies::None,
        }
    }

    /// The same, with signed copies or without.
    pub(crate) const fn with(self, copies: Copies) -> Self {
        Self { copies, ..self }
    }

    /// Replaces a project's documents, each in one step. Tells what is to be signed, where somebody signs.
    pub(crate) fn publish(
        &self,
        record: &ProjectRecord,
        unsynced: &mut Unsynced,
    ) -> Result<Option<SignedAs>, StoreError> {
        let page = published(record);
        let name = &page.name;
        let signed = match self.copies {
            Copies::Signed | Copies::Carried => Some(self.publish_signed(record, &page, unsynced)?),
            Copies::None => {
                let json = render_page(&page, Format::Json);
                self.replace(&layout::page(name, PageKind::Json), &json, unsynced)?;
                None
            }
        };
        kill_point("one-page-json");
        let html = render_page(&page, Format::Html);
        self.replace_with_copy(
            &layout::page(name, PageKind::Html),
            &layout::page_index(name),
            &html,
            unsynced,
        )?;
        kill_point("one-page-html");
        let legacy_path = layout::page(name, PageKind::Legacy);
        match render_legacy(&page, None, LEGACY_FILES_BASE, None) {
            Some(legacy) => self.replace(&legacy_path, &legacy, unsynced)?,
            // A project without releases has no legacy document.
            None => self.remove(&legacy_path, unsynced)?,
        }
        kill_point("one-page-legacy");
        Ok(signed)
    }

    /// Replaces a project's JSON page, `page` being what is published of the record, with its signed copy beside it
    /// where it can be signed.
    pub(crate) fn publish_signed(
        &self,
        record: &ProjectRecord,
        page: &ProjectPage,
        unsynced: &mut Unsynced,
    ) -> Result<SignedAs, StoreError> {
        let name = &page.name;
        let (signed, json) = signed_as(page);
        let place = layout::page(name, PageKind::Json);
        if self.copies == Copies::Carried && *page != record.page {
            self.replace(&place, &json, unsynced)?;
            return self.publish_whole(&record.page, unsynced);
        }
        match &signed {
            SignedAs::Nothing(_) => self.replace(&place, &json, unsynced)?,
            SignedAs::Page { sha256, .. } => {
                let copy = layout::signed_page(name, *sha256);
                self.replace_with_copy(&place, &copy, &json, unsynced)?;
                kill_point("one-page-signed");
            }
        }
        Ok(signed)
    }

    /// Writes the signed copy of a page that is published otherwise.
    fn publish_whole(
        &self,
        page: &ProjectPage,
        unsynced: &mut Unsynced,
    ) -> Result<SignedAs, StoreError> {
        let (signed, json) = signed_as(page);
        if let SignedAs::Page { sha256, .. } = &signed {
            let copy = layout::signed_page(&page.name, *sha256);
            self.replace(&copy, &json, unsynced)?;
            kill_point("one-page-signed");
        }
        Ok(signed)
    }

    /// Removes a project's documents.
    pub(crate) fn withdraw(
        &self,
        name: &ProjectName,
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        let documents = [
            layout::page(name, PageKind::Json),
            layout::page(name, PageKind::Html),
            layout::page_index(name),
            layout::page(name, PageKind::Legacy),
        ];
        documents
            .iter()
            .try_for_each(|document| self.remove(document, unsynced))
    }

    /// Removes one document, and its directory where that was the last one.
    fn remove(&self, relative: &str, unsynced: &mut Unsynced) -> Result<(), StoreError> {
        let path = self.layout.in_web(relative);
        disk::remove_file(&path)?;
        let directory = path.parent().unwrap_or(&path);
        let root = directory.parent().unwrap_or(directory);
        unsynced.add_directory(directory);
        unsynced.add_directory(root);
        disk::remove_empty_directories(directory, root);
        Ok(())
    }

    /// Replaces one document of the tree.
    pub(crate) fn replace(
        &self,
        relative: &str,
        content: &[u8],
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        let temporary = self.incoming.temporary()?;
        disk::replace(
            temporary.path(),
            &self.layout.in_web(relative),
            content,
            unsynced,
        )?;
        temporary.release();
        Ok(())
    }

    /// Replaces one document and makes its copy under another name the same file.
    pub(crate) fn replace_with_copy(
        &self,
        relative: &str,
        copy: &str,
        content: &[u8],
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        self.replace(relative, content, unsynced)?;
        let temporary = self.incoming.temporary()?;
        let original = self.layout.in_web(relative);
        disk::replace_with_link(
            &original,
            temporary.path(),
            &self.layout.in_web(copy),
            content,
            unsynced,
        )?;
        temporary.release();
        Ok(())
    }
}

//! What a notary adds to the tree: signed copies of pages, TUF metadata, and the bookkeeping of both. Signing itself is
//! the engine's work; nothing here knows keys.
//!
//! A publication writes bins, then the snapshot, then the timestamp, and each is on the disk before the next begins.
//! Only the timestamp makes the others count, so a kill on the way leaves readers at the state before; versions that
//! were given out are not given out again, and what was pending stays so.

use heliostat_pypi::{ProjectName, RelPath, Sha256};
use serde::{Deserialize, Serialize};

use crate::catalog::{NOTARY_NOTE, SignedAs};
pub use crate::catalog::{Pending, Places, RoleState, Target, Unsigned, place_of};
use crate::disk::{self, Unsynced};
use crate::error::StoreError;
use crate::kill::kill_point;
use crate::layout;
use crate::lock::PublishLock;
use crate::pages::{Pages, published};
use crate::store::Store;

/// Projects indexed under one commit lock.
const INDEX_PROJECTS: usize = 128;

/// Retired files unlinked between two catalog transactions.
const SWEEP_FILES: usize = 1000;

/// That the tree is a signed one, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notary {
    /// Who signs it.
    #[serde(default)]
    pub origin: Origin,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// The last project whose page was put among the targets when signing was switched on; `None` when all are.
    pub indexed_to: Option<String>,
}

/// Who signs what a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// We do.
    #[default]
    Own,
    /// The upstream's notary; its metadata is carried.
    Carried,
}

/// One metadata file, as it is to stand below `tuf/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFile {
    /// Its name, as `3.snapshot.json`.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The steps of a publication, in the order they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataStep {
    /// What people signed.
    Offline,
    /// The delegated roles.
    Bins,
    /// The snapshot.
    Snapshot,
    /// The timestamp, and a new root with it.
    Timestamp,
}

/// What has been published.
#[derive(Debug, Clone, Default)]
pub struct Publication {
    /// The roles that were signed.
    pub roles: Vec<RoleState>,
    /// Names below `tuf/` that the new snapshot does not name any more.
    pub replaced: Vec<String>,
    /// What was pending up to here is in it.
    pub generation: u64,
    /// Until when what was replaced must stay, in seconds since 1970.
    pub keep_until: i64,
}

impl Store {
    /// Whether the tree is a signed one.
    pub fn notary(&self) -> Result<Option<Notary>, StoreError> {
        self.meta(NOTARY_NOTE)
    }

    /// Switches signing on: every commit from now on makes signed copies of pages, and `index_targets` those of the
    /// pages that are there already. Does nothing when it is on.
    pub fn begin_notary(&self, origin: Origin, now: i64) -> Result<(), StoreError> {
        let _guard = self.inner.commit_lock.hold()?;
        if self.notary()?.is_some() {
            return Ok(());
        }
        self.set_meta(
            NOTARY_NOTE,
            &Notary {
                origin,
                since: now,
                indexed_to: Some(String::new()),
            },
        )
    }

    /// Puts the pages of projects that were there before signing was switched on among the targets, from where an
    /// earlier call was interrupted. Answers how many were looked at.
    pub fn index_targets(&self, now: i64) -> Result<u64, StoreError> {
        let mut looked_at = 0;
        loop {
            let _guard = self.inner.commit_lock.hold()?;
            drop(self.redo()?);
            let Some(notary) = self.notary()? else {
                return Ok(looked_at);
            };
            let Some(after) = notary.indexed_to.clone() else {
                return Ok(looked_at);
            };
            let after = after.parse::<ProjectName>().ok();
            let records = self
                .inner
                .catalog
                .projects_after(after.as_ref(), INDEX_PROJECTS)?;
            looked_at += records.len() as u64;
            let last = records.last().map(|(name, _)| name.to_string());
            self.index(records, now)?;
            kill_point("targets-indexed");
            self.set_meta(
                NOTARY_NOTE,
                &Notary {
                    indexed_to: last,
                    ..notary
                },
            )?;
        }
    }

    /// Takes the right to publish, one at a time across threads and processes; waits for it.
    pub fn lock_publish(&self) -> Result<PublishLock, StoreError> {
        PublishLock::hold(&self.inner.layout.publish_lock())
    }

    /// What is to be signed anew.
    pub fn pending(&self) -> Result<Pending, StoreError> {
        self.inner.catalog.pending()
    }

    /// The targets of a range of places.
    pub fn targets(&self, places: Places) -> Result<Vec<Target>, StoreError> {
        self.inner.catalog.targets(places)
    }

    /// A project's signed page.
    pub fn target(&self, name: &ProjectName) -> Result<Option<Target>, StoreError> {
        self.inner.catalog.target(name)
    }

    /// How many pages are signed.
    pub fn targets_count(&self) -> Result<u64, StoreError> {
        self.inner.catalog.counter("targets")
    }

    /// Projects whose pages cannot be signed, each with its reason; at most so many.
    pub fn unsigned(&self, limit: usize) -> Result<Vec<Unsigned>, StoreError> {
        self.inner.catalog.unsigned(limit)
    }

    /// How many projects have pages that cannot be signed.
    pub fn unsigned_count(&self) -> Result<u64, StoreError> {
        self.inner.catalog.unsigned_count()
    }

    /// What was last published of every role.
    pub fn roles(&self) -> Result<Vec<RoleState>, StoreError> {
        self.inner.catalog.roles()
    }

    /// The next version of each role, which nobody has until it is given out.
    pub fn next_versions(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.inner.catalog.next_versions(names)
    }

    /// Gives out the next version of each role.
    pub fn reserve_versions(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.inner.catalog.reserve(names)
    }

    /// Writes metadata below `tuf/`; it is on the disk when this returns.
    pub fn write_metadata(
        &self,
        step: MetadataStep,
        files: &[MetadataFile],
    ) -> Result<(), StoreError> {
        let pages = Pages::new(&self.inner.layout, &self.inner.incoming);
        let mut unsynced = Unsynced::default();
        for file in files {
            pages.replace(&layout::metadata(&file.name), &file.bytes, &mut unsynced)?;
            match step {
                MetadataStep::Bins => kill_point("one-bin"),
                MetadataStep::Timestamp => kill_point("one-on-top"),
                MetadataStep::Offline | MetadataStep::Snapshot => {}
            }
        }
        unsynced.sync(&self.inner.web)?;
        match step {
            MetadataStep::Offline => kill_point("offline-written"),
            MetadataStep::Bins => kill_point("bins-written"),
            MetadataStep::Snapshot => kill_point("snapshot-written"),
            MetadataStep::Timestamp => kill_point("timestamp-written"),
        }
        Ok(())
    }

    /// Writes a signed target that is no page, under its own name and under that of a consistent snapshot; both are on
    /// the disk when this returns. Metadata that names it is written after it.
    pub fn write_target(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StoreError> {
        let pages = Pages::new(&self.inner.layout, &self.inner.incoming);
        let mut unsynced = Unsynced::default();
        for place in [
            &layout::signed_target(path, Sha256::of(bytes)),
            path.as_str(),
        ] {
            pages.replace(place, bytes, &mut unsynced)?;
        }
        unsynced.sync(&self.inner.web)
    }

    /// The bytes of a signed target that is no page, where the tree has those that were signed.
    pub fn read_target(
        &self,
        path: &RelPath,
        sha256: Sha256,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let place = layout::signed_target(path, sha256);
        let bytes = self.read_small(&place, limit_bytes)?;
        Ok(bytes.filter(|bytes| Sha256::of(bytes) == sha256))
    }

    /// Reads a metadata file, up to a limit.
    pub fn read_metadata(
        &self,
        name: &str,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_small(&layout::metadata(name), limit_bytes)
    }

    /// Reads a small public file, up to a limit.
    fn read_small(&self, relative: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, StoreError> {
        use std::io::Read as _;
        let Ok(path) = relative.parse() else {
            return Ok(None);
        };
        let Some(open) = self.open_public(&path)? else {
            return Ok(None);
        };
        if open.stamp.len_bytes > limit_bytes {
            return Err(StoreError::TooLarge { limit_bytes });
        }
        let mut bytes = Vec::new();
        open.file
            .take(limit_bytes)
            .read_to_end(&mut bytes)
            .map_err(|error| StoreError::io("read", self.inner.layout.in_web(relative), error))?;
        Ok(Some(bytes))
    }

    /// The names of all files below `tuf/`, sorted.
    pub fn metadata_names(&self) -> Result<Vec<String>, StoreError> {
        let directory = self.inner.layout.in_web(layout::TUF);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if disk::is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("list", directory, error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| StoreError::io("list", &directory, error))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Notes that a publication is in the tree.
    pub fn note_published(&self, publication: &Publication) -> Result<(), StoreError> {
        let replaced: Vec<String> = publication
            .replaced
            .iter()
            .map(|name| layout::metadata(name))
            .collect();
        self.inner.catalog.note_published(
            &publication.roles,
            &replaced,
            publication.generation,
            publication.keep_until,
        )?;
        kill_point("publication-noted");
        Ok(())
    }

    /// Unlinks what no snapshot that clients may still hold names; answers how many files.
    pub fn sweep_retired(&self, now: i64) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            // A commit may want a signed copy back that is due: it is unlinked only while nobody commits.
            let _guard = self.inner.commit_lock.hold()?;
            drop(self.redo()?);
            let paths = self.inner.catalog.retired(now, SWEEP_FILES)?;
            if paths.is_empty() {
                return Ok(swept);
            }
            for path in &paths {
                let place = self.inner.layout.in_web(path);
                disk::remove_file(&place)?;
                if let Some(directory) = place.parent().filter(|_| !path.starts_with(layout::TUF)) {
                    disk::remove_empty_directories(directory, &self.inner.layout.in_web("simple"));
                }
                kill_point("one-retired");
            }
            self.inner.catalog.forget_retired(&paths)?;
            swept += paths.len() as u64;
        }
    }

    /// Makes signed copies of pages and puts them among the targets. The caller holds the commit lock.
    fn index(&self, records: Vec<crate::read::NamedRecord>, now: i64) -> Result<(), StoreError> {
        let pages = self.pages()?;
        let mut unsynced = Unsynced::default();
        let mut signed: Vec<(ProjectName, SignedAs)> = Vec::with_capacity(records.len());
        for (name, record) in records {
            let Ok(record) = record else {
                signed.push((name, SignedAs::Nothing("its record is damaged".to_owned())));
                continue;
            };
            let found = pages.publish_signed(&record, &published(&record), &mut unsynced)?;
            signed.push((name, found));
        }
        unsynced.sync(&self.inner.web)?;
        let never = |_: &_, _: &_, _| false;
        self.inner
            .catalog
            .write("index the targets", |transaction| {
                let mut applier = crate::catalog::Applier::new(transaction, now, now, &never)?;
                for (name, signed) in &signed {
                    applier.sign_as(name, Some(signed))?;
                }
                applier.finish().map(drop)
            })
    }
}

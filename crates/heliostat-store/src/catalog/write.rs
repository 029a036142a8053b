//! Applies one batch to the tables inside one transaction, and keeps the running counts true.
//!
//! What is held of a file is a fact about its path, so it is the same in every row of that path; the counts count
//! paths. A path that loses its last row, or is evicted, is written down as doomed before anything is unlinked.

use std::collections::HashSet;

use heliostat_pypi::page::PageFile;
use heliostat_pypi::{ProjectName, TreePath};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::CatalogFault;
use super::read::{self, Held};
use super::record_body::{Columns, keeper_word, serial_to_sql, size_to_sql, weight_word};
use crate::record::{Keeper, LedgerEntry, Part, ProjectRecord, Validators};

/// One batch's transaction.
pub(crate) struct Applier<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    now: i64,
    due_at: i64,
    on_disk: &'a dyn Fn(&ProjectName, &TreePath, Part) -> bool,
    has_doomed: bool,
    pub(super) deltas: Deltas,
    list: ListChange,
}

#[derive(Debug, Default)]
pub(super) struct Deltas {
    projects: i64,
    pub(super) files_listed: i64,
    files_held: i64,
    bytes_held: i64,
    files_doomed: i64,
    bytes_doomed: i64,
    pub(super) targets: i64,
}

/// Whether the root list would look different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListChange {
    None,
    Some,
}

/// What our page listed before a change.
#[derive(Debug)]
pub(crate) enum Before {
    /// The project is new.
    Nothing,
    /// It had this record.
    Record(Box<ProjectRecord>),
    /// It had a record that cannot be read; its rows are found the slow way.
    Damaged,
}

impl<'a> Applier<'a> {
    /// `on_disk` tells whether a part is really there, which is asked only of doomed files that are listed again.
    pub(crate) fn new(
        transaction: &'a Transaction<'a>,
        now: i64,
        due_at: i64,
        on_disk: &'a dyn Fn(&ProjectName, &TreePath, Part) -> bool,
    ) -> Result<Self, CatalogFault> {
        let has_doomed = transaction
            .prepare_cached("SELECT 1 FROM doomed LIMIT 1")?
            .exists([])?;
        Ok(Self {
            transaction,
            now,
            due_at,
            on_disk,
            has_doomed,
            deltas: Deltas::default(),
            list: ListChange::None,
        })
    }

    /// Writes a project's record and brings its rows in line with what its page lists.
    pub(crate) fn put(
        &mut self,
        before: &Before,
        after: &ProjectRecord,
        body: &[u8],
    ) -> Result<(), CatalogFault> {
        let name = &after.page.name;
        let (id, kept_keeper) = self.put_record(name, &Columns::of(after), body)?;
        let old = self.listed_before(before, id)?;
        let new: HashSet<&TreePath> = after.listed().map(|file| &file.path).collect();
        for path in &old {
            if !new.contains(path) {
                self.unlist(name, id, path)?;
            }
        }
        let old: HashSet<&TreePath> = old.iter().collect();
        for path in new.iter().filter(|path| !old.contains(*path)) {
            self.list(name, id, path, after.keeper)?;
        }
        if kept_keeper.is_some_and(|keeper| keeper != after.keeper) {
            self.set_use_of(id, after)?;
        }
        Ok(())
    }

    /// Removes a project with everything of it.
    pub(crate) fn drop_project(
        &mut self,
        name: &ProjectName,
        before: &Before,
    ) -> Result<(), CatalogFault> {
        let Some(id) = self.id_of(name)? else {
            return Ok(());
        };
        for path in self.listed_before(before, id)? {
            self.unlist(name, id, &path)?;
        }
        self.transaction
            .prepare_cached("DELETE FROM record WHERE project = ?1")?
            .execute([id])?;
        self.transaction
            .prepare_cached("DELETE FROM project WHERE name = ?1")?
            .execute([name.as_str()])?;
        self.deltas.projects -= 1;
        self.list = ListChange::Some;
        Ok(())
    }

    /// Notes that a part of a listed file is on disk now.
    pub(crate) fn arrive(
        &mut self,
        name: &ProjectName,
        path: &TreePath,
        part: Part,
        size_bytes: u64,
    ) -> Result<(), CatalogFault> {
        self.undoom(path, part)?;
        let Some(old) = read::held(self.transaction, path)? else {
            return self.strand(name, path, part, size_bytes);
        };
        let mut new = old;
        new.set(part, Some(size_bytes));
        self.set_held(path, old, new)?;
        self.transaction
            .prepare_cached(
                "UPDATE file SET used_at = ?1 WHERE id = ?2 AND name = ?3 \
                 AND project = (SELECT id FROM project WHERE name = ?4 AND keeper = ?5)",
            )?
            .execute(params![
                self.now,
                path.id(),
                path.filename(),
                name.as_str(),
                keeper_word(Keeper::OnDemand)
            ])?;
        Ok(())
    }

    /// Notes that a part came to its final name although nothing lists it, so that it is unlinked again. Does nothing
    /// when the path is held after all.
    pub(crate) fn strand(
        &mut self,
        name: &ProjectName,
        path: &TreePath,
        part: Part,
        size_bytes: u64,
    ) -> Result<(), CatalogFault> {
        if read::held(self.transaction, path)?.is_some_and(|held| held.part(part).is_some()) {
            return Ok(());
        }
        let mut parts = Held::default();
        parts.set(part, Some(size_bytes));
        self.doom(name, path, parts, self.now)
    }

    /// Notes that a file's parts go, though its page goes on listing it.
    pub(crate) fn evict(
        &mut self,
        name: &ProjectName,
        path: &TreePath,
    ) -> Result<(), CatalogFault> {
        let Some(held) = read::held(self.transaction, path)? else {
            return Ok(());
        };
        self.set_held(path, held, Held::default())?;
        self.doom(name, path, held, self.now)
    }

    /// Notes that parts are not on disk any more, or not as they should be, though a page lists the file.
    pub(crate) fn lose(&mut self, path: &TreePath, parts: &[Part]) -> Result<(), CatalogFault> {
        let Some(old) = read::held(self.transaction, path)? else {
            return Ok(());
        };
        let mut new = old;
        for part in parts {
            new.set(*part, None);
        }
        self.set_held(path, old, new)
    }

    /// Notes that the upstream confirmed a page unchanged.
    pub(crate) fn touch(
        &mut self,
        name: &ProjectName,
        confirmed_at: i64,
        validators: &Validators,
    ) -> Result<(), CatalogFault> {
        self.transaction
            .prepare_cached("UPDATE project SET confirmed_at = ?2, etag = ?3, last_modified = ?4 WHERE name = ?1")?
            .execute(params![name.as_str(), confirmed_at, validators.etag, validators.last_modified])?;
        Ok(())
    }

    /// Removes a project's entries from the ledger.
    pub(crate) fn settle(&mut self, name: &ProjectName) -> Result<(), CatalogFault> {
        self.transaction
            .prepare_cached("DELETE FROM ledger WHERE project = ?1")?
            .execute([name.as_str()])?;
        Ok(())
    }

    /// Writes an entry into the ledger, over an older one for the same thing.
    pub(crate) fn fail(&mut self, entry: &LedgerEntry) -> Result<(), CatalogFault> {
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                entry.project.as_str(),
                entry.item,
                entry.reason,
                entry.tries,
                entry.first_failed_at,
                entry.next_try_at,
                entry.wanted_serial.map(serial_to_sql),
                weight_word(entry.weight),
            ])?;
        Ok(())
    }

    /// Takes parts off the list of what is to be unlinked, after that was done.
    pub(crate) fn unlinked(&mut self, path: &TreePath) -> Result<(), CatalogFault> {
        if let Some(parts) = read::doomed_parts(self.transaction, path)? {
            self.count_doomed(parts, Held::default());
            self.transaction
                .prepare_cached("DELETE FROM doomed WHERE path = ?1")?
                .execute([path.to_string()])?;
        }
        Ok(())
    }

    /// Writes the counts down and clears the redo log: after this transaction the batch is history. Returns the new
    /// generation.
    pub(crate) fn finish(self) -> Result<u64, CatalogFault> {
        let transaction = self.transaction;
        transaction
            .prepare_cached("DELETE FROM intent")?
            .execute([])?;
        transaction
            .prepare_cached("UPDATE counter SET value = value + 1 WHERE name = 'generation'")?
            .execute([])?;
        self.finish_counts()?;
        let generation: i64 = transaction
            .prepare_cached("SELECT value FROM counter WHERE name = 'generation'")?
            .query_row([], |row| row.get(0))?;
        Ok(u64::try_from(generation).unwrap_or(0))
    }

    /// Writes the counts down.
    pub(crate) fn finish_counts(self) -> Result<(), CatalogFault> {
        let list = i64::from(self.list == ListChange::Some);
        for (name, delta) in [
            ("projects", self.deltas.projects),
            ("files_listed", self.deltas.files_listed),
            ("files_held", self.deltas.files_held),
            ("bytes_held", self.deltas.bytes_held),
            ("files_doomed", self.deltas.files_doomed),
            ("bytes_doomed", self.deltas.bytes_doomed),
            ("targets", self.deltas.targets),
            ("list_generation", list),
        ] {
            if delta != 0 {
                self.transaction
                    .prepare_cached("UPDATE counter SET value = value + ?2 WHERE name = ?1")?
                    .execute(params![name, delta])?;
            }
        }
        Ok(())
    }

    pub(super) fn put_record(
        &mut self,
        name: &ProjectName,
        columns: &Columns,
        body: &[u8],
    ) -> Result<(i64, Option<Keeper>), CatalogFault> {
        let serial = columns.published_serial.map(serial_to_sql);
        let known: Option<(i64, String, Option<i64>)> = self
            .transaction
            .prepare_cached("SELECT id, keeper, published_serial FROM project WHERE name = ?1")?
            .query_row([name.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let (id, keeper) = if let Some((id, keeper, old_serial)) = known {
            self.transaction
                .prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2)")?
                .execute(params![id, body])?;
            if old_serial != serial {
                self.list = ListChange::Some;
            }
            (id, super::record_body::read_keeper(&keeper).ok())
        } else {
            self.transaction
                .prepare_cached("INSERT INTO record (body) VALUES (?1)")?
                .execute([body])?;
            self.deltas.projects += 1;
            self.list = ListChange::Some;
            (self.transaction.last_insert_rowid(), None)
        };
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO project \
                 (name, id, keeper, published_serial, confirmed_at, etag, last_modified) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                name.as_str(),
                id,
                keeper_word(columns.keeper),
                serial,
                columns.confirmed_at,
                columns.validators.etag,
                columns.validators.last_modified,
            ])?;
        Ok((id, keeper))
    }

    fn id_of(&self, name: &ProjectName) -> rusqlite::Result<Option<i64>> {
        self.transaction
            .prepare_cached("SELECT id FROM project WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()
    }

    fn listed_before(&self, before: &Before, id: i64) -> Result<Vec<TreePath>, CatalogFault> {
        match before {
            Before::Nothing => Ok(Vec::new()),
            Before::Record(record) => {
                let mut seen = HashSet::new();
                Ok(record
                    .listed()
                    .map(|file| &file.path)
                    .filter(|path| seen.insert(*path))
                    .cloned()
                    .collect())
            }
            Before::Damaged => {
                let mut statement = self
                    .transaction
                    .prepare_cached("SELECT id, name FROM file WHERE project = ?1")?;
                let mut rows = statement.query([id])?;
                let mut paths = Vec::new();
                while let Some(row) = rows.next()? {
                    let name = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
                    paths.push(read::read_path(row.get(0)?, name)?);
                }
                Ok(paths)
            }
        }
    }

    /// Adds a row for a file that the page lists from now on, with what is already on disk of it.
    fn list(
        &mut self,
        name: &ProjectName,
        id: i64,
        path: &TreePath,
        keeper: Keeper,
    ) -> Result<(), CatalogFault> {
        let held = match read::held(self.transaction, path)? {
            Some(held) => held,
            None => self.revive(name, path)?,
        };
        let used_at = (keeper == Keeper::OnDemand && !held.is_nothing()).then_some(self.now);
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                path.id(),
                path.filename(),
                id,
                held.file.map(size_to_sql),
                held.metadata.map(size_to_sql),
                held.provenance.map(size_to_sql),
                used_at,
            ])?;
        self.deltas.files_listed += 1;
        Ok(())
    }

    /// Removes the row of a file that the page lists no more; the last row dooms what is on disk.
    fn unlist(&mut self, name: &ProjectName, id: i64, path: &TreePath) -> Result<(), CatalogFault> {
        let Some(held) = read::held(self.transaction, path)? else {
            return Ok(());
        };
        let removed = self
            .transaction
            .prepare_cached("DELETE FROM file WHERE id = ?1 AND name = ?2 AND project = ?3")?
            .execute(params![path.id(), path.filename(), id])?;
        self.deltas.files_listed -= i64::try_from(removed).unwrap_or(0);
        if held.is_nothing() || read::held(self.transaction, path)?.is_some() {
            return Ok(());
        }
        self.count_held(held, Held::default());
        self.doom(name, path, held, self.due_at)
    }

    /// Takes a doomed file back, as far as it is really still there.
    fn revive(&mut self, name: &ProjectName, path: &TreePath) -> Result<Held, CatalogFault> {
        if !self.has_doomed {
            return Ok(Held::default());
        }
        let Some(doomed) = read::doomed_parts(self.transaction, path)? else {
            return Ok(Held::default());
        };
        let mut held = Held::default();
        for part in Part::ALL {
            if doomed.part(part).is_some() && (self.on_disk)(name, path, part) {
                held.set(part, doomed.part(part));
            }
        }
        self.transaction
            .prepare_cached("DELETE FROM doomed WHERE path = ?1")?
            .execute([path.to_string()])?;
        self.count_doomed(doomed, Held::default());
        self.count_held(Held::default(), held);
        Ok(held)
    }

    fn set_held(&mut self, path: &TreePath, old: Held, new: Held) -> Result<(), CatalogFault> {
        self.transaction
            .prepare_cached(
                "UPDATE file SET size_bytes = ?3, metadata_bytes = ?4, provenance_bytes = ?5, \
                 used_at = CASE WHEN coalesce(?3, ?4, ?5) IS NULL THEN NULL ELSE used_at END \
                 WHERE id = ?1 AND name = ?2",
            )?
            .execute(params![
                path.id(),
                path.filename(),
                new.file.map(size_to_sql),
                new.metadata.map(size_to_sql),
                new.provenance.map(size_to_sql),
            ])?;
        self.count_held(old, new);
        Ok(())
    }

    fn doom(
        &mut self,
        name: &ProjectName,
        path: &TreePath,
        parts: Held,
        due_at: i64,
    ) -> Result<(), CatalogFault> {
        if parts.is_nothing() {
            return Ok(());
        }
        let old = read::doomed_parts(self.transaction, path)?.unwrap_or_default();
        let mut new = old;
        for part in Part::ALL {
            if parts.part(part).is_some() {
                new.set(part, parts.part(part));
            }
        }
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO doomed VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                path.to_string(),
                name.as_str(),
                new.file.map(size_to_sql),
                new.metadata.map(size_to_sql),
                new.provenance.map(size_to_sql),
                due_at,
            ])?;
        self.count_doomed(old, new);
        self.has_doomed = true;
        Ok(())
    }

    /// A part that arrives is no longer one to be unlinked.
    fn undoom(&mut self, path: &TreePath, part: Part) -> Result<(), CatalogFault> {
        if !self.has_doomed {
            return Ok(());
        }
        let Some(old) = read::doomed_parts(self.transaction, path)? else {
            return Ok(());
        };
        let mut new = old;
        new.set(part, None);
        if new.is_nothing() {
            self.transaction
                .prepare_cached("DELETE FROM doomed WHERE path = ?1")?
                .execute([path.to_string()])?;
        } else {
            self.transaction
                .prepare_cached(
                    "UPDATE doomed SET size_bytes = ?2, metadata_bytes = ?3, provenance_bytes = ?4 WHERE path = ?1",
                )?
                .execute(params![
                    path.to_string(),
                    new.file.map(size_to_sql),
                    new.metadata.map(size_to_sql),
                    new.provenance.map(size_to_sql),
                ])?;
        }
        self.count_doomed(old, new);
        Ok(())
    }

    /// Starts or ends keeping the times of use when another keeper takes a project over.
    fn set_use_of(&mut self, id: i64, after: &ProjectRecord) -> Result<(), CatalogFault> {
        let used_at = (after.keeper == Keeper::OnDemand).then_some(self.now);
        let mut statement = self.transaction.prepare_cached(
            "UPDATE file SET used_at = CASE WHEN coalesce(size_bytes, metadata_bytes, provenance_bytes) IS NULL \
             THEN NULL ELSE ?4 END WHERE id = ?1 AND name = ?2 AND project = ?3",
        )?;
        for PageFile { path, .. } in after.listed() {
            statement.execute(params![path.id(), path.filename(), id, used_at])?;
        }
        Ok(())
    }

    pub(super) fn count_held(&mut self, old: Held, new: Held) {
        self.deltas.files_held += i64::from(!new.is_nothing()) - i64::from(!old.is_nothing());
        self.deltas.bytes_held += size_to_sql(new.bytes()) - size_to_sql(old.bytes());
    }

    fn count_doomed(&mut self, old: Held, new: Held) {
        self.deltas.files_doomed += i64::from(!new.is_nothing()) - i64::from(!old.is_nothing());
        self.deltas.bytes_doomed += size_to_sql(new.bytes()) - size_to_sql(old.bytes());
    }
}

impl std::fmt::Debug for Applier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier")
            .field("deltas", &self.deltas)
            .finish_non_exhaustive()
    }
}

//! Questions to the catalog. Each is answered from one consistent state, with values that outlive it.

use heliostat_pypi::{ProjectName, Serial, TreePath};
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params};
use serde::{Deserialize, Serialize};

use super::record_body::{
    Columns, decode_record, read_keeper, serial_from_sql, size_from_sql, weight_word,
};
use super::{Catalog, CatalogFault, IntentLine};
use crate::error::StoreError;
use crate::read::NamedRecord;
use crate::record::{FileRow, LedgerEntry, Part, ProjectRecord, ProjectState, Weight};

/// Running counts, kept by every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Projects with a page.
    pub projects: u64,
    /// Files that pages list, counted once for each page.
    pub files_listed: u64,
    /// Files of which at least one part is on disk.
    pub files_held: u64,
    /// Bytes of all their parts.
    pub bytes_held: u64,
    /// Files that no page lists any more and that wait for their grace to end.
    pub files_doomed: u64,
    /// Bytes of all their parts.
    pub bytes_doomed: u64,
}

/// One finished run, for the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Seconds since 1970.
    pub started_at: i64,
    /// Seconds since 1970.
    pub finished_at: i64,
    /// What came of it, in the engine's words.
    pub outcome: serde_json::Value,
}

/// A place in the order of the table of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CheckPlace {
    pub(crate) id: Vec<u8>,
    pub(crate) name: String,
}

/// What should be on disk of one file.
#[derive(Debug)]
pub(crate) struct HeldRow {
    pub(crate) path: TreePath,
    pub(crate) project: ProjectName,
    pub(crate) held: Held,
}

/// The root list as last published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The serial it claims.
    pub serial: Option<Serial>,
    /// When, in seconds since 1970.
    pub published_at: i64,
}

/// A file that no page lists, or whose parts were evicted, waiting to be unlinked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doomed {
    pub(crate) path: TreePath,
    pub(crate) project: ProjectName,
    pub(crate) parts: Held,
}

impl Catalog {
    pub(crate) fn project(&self, name: &ProjectName) -> Result<Option<ProjectRecord>, StoreError> {
        self.read("read a project", |connection| project(connection, name))
    }

    pub(crate) fn project_state(
        &self,
        name: &ProjectName,
    ) -> Result<Option<ProjectState>, StoreError> {
        self.read("read a project", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, published_serial, keeper FROM project WHERE name = ?1",
            )?;
            let mut rows = statement.query([name.as_str()])?;
            rows.next()?.map(state).transpose()
        })
    }

    pub(crate) fn project_states(&self) -> Result<Vec<ProjectState>, StoreError> {
        self.read("list the projects", |connection| {
            let count = counter(connection, "projects")?;
            let mut states = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(1 << 22));
            let mut statement = connection.prepare_cached(
                "SELECT name, published_serial, keeper FROM project ORDER BY name",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                states.push(state(row)?);
            }
            Ok(states)
        })
    }

    /// Up to `limit` records after a name, in name order. A damaged record is an element, not the end.
    pub(crate) fn projects_after(
        &self,
        after: Option<&ProjectName>,
        limit: usize,
    ) -> Result<Vec<NamedRecord>, StoreError> {
        self.read("read the projects", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT p.name, keeper, published_serial, confirmed_at, etag, last_modified, body FROM project p \
                 LEFT JOIN record r ON r.project = p.id WHERE p.name > ?1 ORDER BY p.name LIMIT ?2",
            )?;
            let after = after.map_or("", ProjectName::as_str);
            let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let name = read_name(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
                let record = full_record(row).map_err(|fault| fault.at("read a project", self.path()));
                found.push((name, record));
            }
            Ok(found)
        })
    }

    /// Up to `limit` rows with something on disk, after a place in the order of the table.
    pub(crate) fn held_after(
        &self,
        after: &CheckPlace,
        limit: usize,
    ) -> Result<Vec<HeldRow>, StoreError> {
        self.read("read what is held", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT f.id, f.name, p.name, f.size_bytes, f.metadata_bytes, f.provenance_bytes \
                 FROM file f JOIN project p ON p.id = f.project \
                 WHERE (f.id, f.name, f.project) > (?1, ?2, ?3) ORDER BY f.id, f.name, f.project LIMIT ?4",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![after.id, after.name, i64::MAX, limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let path = read_path(row.get(0)?, row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
                let project = read_name(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
                found.push(HeldRow { path, project, held: Held::from_row(row, 3)? });
            }
            Ok(found)
        })
    }

    pub(crate) fn file(&self, path: &TreePath) -> Result<Option<FileRow>, StoreError> {
        self.read("read a file's row", |connection| file(connection, path))
    }

    pub(crate) fn project_files(&self, name: &ProjectName) -> Result<Vec<FileRow>, StoreError> {
        self.read("read a project's files", |connection| {
            let Some(record) = project(connection, name)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT size_bytes, metadata_bytes, provenance_bytes, used_at FROM file \
                 WHERE id = ?1 AND name = ?2 AND project = (SELECT id FROM project WHERE name = ?3)",
            )?;
            let mut files = Vec::with_capacity(record.page.files.len());
            for entry in record.listed() {
                let path = &entry.path;
                let mut rows = statement.query(params![path.id(), path.filename(), name.as_str()])?;
                if let Some(row) = rows.next()? {
                    files.push(Held::from_row(row, 0)?.into_row(path.clone(), name.clone(), row.get(3)?));
                }
            }
            Ok(files)
        })
    }

    pub(crate) fn ledger(&self, weight: Weight) -> Result<Vec<LedgerEntry>, StoreError> {
        self.read("read the ledger", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT project, item, reason, tries, first_failed_at, next_try_at, wanted_serial FROM ledger \
                 WHERE weight = ?1 ORDER BY project, item",
            )?;
            ledger_entries(statement.query([weight_word(weight)])?, weight)
        })
    }

    pub(crate) fn ledger_of(
        &self,
        name: &ProjectName,
        weight: Weight,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        self.read("read the ledger", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT project, item, reason, tries, first_failed_at, next_try_at, wanted_serial FROM ledger \
                 WHERE project = ?1 AND weight = ?2 ORDER BY item",
            )?;
            ledger_entries(statement.query([name.as_str(), weight_word(weight)])?, weight)
        })
    }

    pub(crate) fn totals(&self) -> Result<Totals, StoreError> {
        self.read("read the totals", |connection| {
            let read = |name| counter(connection, name);
            Ok(Totals {
                projects: read("projects")?,
                files_listed: read("files_listed")?,
                files_held: read("files_held")?,
                bytes_held: read("bytes_held")?,
                files_doomed: read("files_doomed")?,
                bytes_doomed: read("bytes_doomed")?,
            })
        })
    }

    pub(crate) fn counter(&self, name: &'static str) -> Result<u64, StoreError> {
        self.read("read a counter", |connection| counter(connection, name))
    }

    pub(crate) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read("read a note", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
            Ok(statement.query_row([key], |row| row.get(0)).optional()?)
        })
    }

    pub(crate) fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.read("read the history", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT started_at, finished_at, outcome FROM run ORDER BY id DESC LIMIT ?1",
            )?;
            let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                let outcome: String = row.get(2)?;
                runs.push(Run {
                    started_at: row.get(0)?,
                    finished_at: row.get(1)?,
                    outcome: serde_json::from_str(&outcome)
                        .map_err(|error| CatalogFault::record("a finished run", error))?,
                });
            }
            Ok(runs)
        })
    }

    /// Bytes of the parts of on-demand files.
    pub(crate) fn on_demand_bytes(&self) -> Result<u64, StoreError> {
        self.read("add up what was taken on demand", |connection| {
            let bytes: i64 = connection
                .prepare_cached(
                    "SELECT coalesce(sum(coalesce(size_bytes, 0) + coalesce(metadata_bytes, 0) \
                     + coalesce(provenance_bytes, 0)), 0) FROM file WHERE used_at IS NOT NULL",
                )?
                .query_row([], |row| row.get(0))?;
            Ok(u64::try_from(bytes).unwrap_or(0))
        })
    }

    /// On-demand files in the order of their last use, oldest first, until their bytes add up to what is wanted.
    pub(crate) fn least_used(
        &self,
        bytes: u64,
        is_pinned: impl Fn(&str) -> bool,
    ) -> Result<Vec<FileRow>, StoreError> {
        self.read("find files to evict", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT size_bytes, metadata_bytes, provenance_bytes, used_at, f.id, f.name, p.name FROM file f \
                 JOIN project p ON p.id = f.project WHERE used_at IS NOT NULL ORDER BY used_at",
            )?;
            let mut rows = statement.query([])?;
            let (mut found, mut sum) = (Vec::new(), 0);
            while sum < bytes
                && let Some(row) = rows.next()?
            {
                let project = row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?;
                if is_pinned(project) {
                    continue;
                }
                let path = read_path(row.get(4)?, row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?;
                let file = Held::from_row(row, 0)?.into_row(path, read_name(project)?, row.get(3)?);
                sum += file.bytes_held;
                found.push(file);
            }
            Ok(found)
        })
    }

    /// The mirrored projects whose pages list a file.
    pub(crate) fn mirrors_of(&self, path: &TreePath) -> Result<Vec<ProjectName>, StoreError> {
        self.read("read a file's row", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT p.name FROM file f JOIN project p ON p.id = f.project \
                 WHERE f.id = ?1 AND f.name = ?2 AND p.keeper = 'mirror'",
            )?;
            let mut rows = statement.query(params![path.id(), path.filename()])?;
            let mut names = Vec::new();
            while let Some(row) = rows.next()? {
                names.push(read_name(
                    row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
                )?);
            }
            Ok(names)
        })
    }

    /// Those of the parts that are not held, from one consistent state, each with what waits to be unlinked of its file.
    pub(crate) fn not_held<'a>(
        &self,
        parts: impl Iterator<Item = (&'a TreePath, Part)>,
    ) -> Result<Vec<(&'a TreePath, Part, Held)>, StoreError> {
        self.read("read what is held", |connection| {
            let mut missing = Vec::new();
            for (path, part) in parts {
                if held(connection, path)?.is_none_or(|held| held.part(part).is_none()) {
                    missing.push((
                        path,
                        part,
                        doomed_parts(connection, path)?.unwrap_or_default(),
                    ));
                }
            }
            Ok(missing)
        })
    }

    /// What is held of a file, where a page lists it, and what of it waits to be unlinked.
    pub(crate) fn held_or_doomed(
        &self,
        path: &TreePath,
    ) -> Result<(Option<Held>, Option<Held>), StoreError> {
        self.read("read a file's row", |connection| {
            Ok((held(connection, path)?, doomed_parts(connection, path)?))
        })
    }

    /// A fault of ours as an error that names the catalog.
    pub(crate) fn complete(&self, operation: &'static str, fault: CatalogFault) -> StoreError {
        fault.at(operation, &self.path)
    }

    /// Files whose time to be unlinked has come.
    pub(crate) fn doomed(
        &self,
        now: i64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Doomed>, StoreError> {
        self.read("find files to unlink", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT size_bytes, metadata_bytes, provenance_bytes, path, project FROM doomed \
                     WHERE due_at <= ?1 ORDER BY due_at, path LIMIT ?2 OFFSET ?3",
            )?;
            let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![now, count(limit), count(skip)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let path = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
                found.push(Doomed {
                    parts: Held::from_row(row, 0)?,
                    path: path
                        .parse()
                        .map_err(|error| CatalogFault::record(path, error))?,
                    project: read_name(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
                });
            }
            Ok(found)
        })
    }

    /// The redo log: each line's number, what was to be done, and the record's body where there is one.
    pub(crate) fn intents(&self) -> Result<Vec<IntentLine<Vec<u8>>>, StoreError> {
        self.read("read the redo log", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT work, body FROM intent ORDER BY sequence")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn path(&self) -> &std::path::Path {
        &self.path
    }
}

/// The bytes of a file's parts; `None` where a part is not on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Held {
    pub(crate) file: Option<u64>,
    pub(crate) metadata: Option<u64>,
    pub(crate) provenance: Option<u64>,
}

impl Held {
    /// From three columns in the table's order, the first at `index`.
    pub(crate) fn from_row(row: &Row<'_>, index: usize) -> rusqlite::Result<Self> {
        let read = |index| {
            row.get::<_, Option<i64>>(index)
                .map(|size| size.map(size_from_sql))
        };
        Ok(Self {
            file: read(index)?,
            metadata: read(index + 1)?,
            provenance: read(index + 2)?,
        })
    }

    pub(crate) const fn is_nothing(&self) -> bool {
        self.file.is_none() && self.metadata.is_none() && self.provenance.is_none()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.file.unwrap_or(0) + self.metadata.unwrap_or(0) + self.provenance.unwrap_or(0)
    }

    pub(crate) const fn part(&self, part: Part) -> Option<u64> {
        match part {
            Part::File => self.file,
            Part::Metadata => self.metadata,
            Part::Provenance => self.provenance,
        }
    }

    pub(crate) const fn set(&mut self, part: Part, size_bytes: Option<u64>) {
        match part {
            Part::File => self.file = size_bytes,
            Part::Metadata => self.metadata = size_bytes,
            Part::Provenance => self.provenance = size_bytes,
        }
    }

    pub(crate) fn into_row(
        self,
        path: TreePath,
        project: ProjectName,
        used_at: Option<i64>,
    ) -> FileRow {
        FileRow {
            path,
            project,
            held: Part::ALL
                .into_iter()
                .filter(|part| self.part(*part).is_some())
                .collect(),
            size_bytes: self.file.unwrap_or(0),
            bytes_held: self.bytes(),
            used_at: used_at.unwrap_or(0),
        }
    }
}

/// A project's record.
pub(crate) fn project(
    connection: &Connection,
    name: &ProjectName,
) -> Result<Option<ProjectRecord>, CatalogFault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.name, keeper, published_serial, confirmed_at, etag, last_modified, body FROM project p \
         LEFT JOIN record r ON r.project = p.id WHERE p.name = ?1",
    )?;
    let mut rows = statement.query([name.as_str()])?;
    rows.next()?.map(full_record).transpose()
}

/// A file's row, of whichever project lists it.
pub(crate) fn file(
    connection: &Connection,
    path: &TreePath,
) -> Result<Option<FileRow>, CatalogFault> {
    let mut statement = connection.prepare_cached(
        "SELECT size_bytes, metadata_bytes, provenance_bytes, used_at, p.name FROM file f \
         JOIN project p ON p.id = f.project WHERE f.id = ?1 AND f.name = ?2 LIMIT 1",
    )?;
    let mut rows = statement.query(params![path.id(), path.filename()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let project = read_name(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(Some(Held::from_row(row, 0)?.into_row(
        path.clone(),
        project,
        row.get(3)?,
    )))
}

/// What is held of a file.
pub(crate) fn held(connection: &Connection, path: &TreePath) -> rusqlite::Result<Option<Held>> {
    let mut statement = connection.prepare_cached(
        "SELECT size_bytes, metadata_bytes, provenance_bytes FROM file WHERE id = ?1 AND name = ?2 LIMIT 1",
    )?;
    statement
        .query_row(params![path.id(), path.filename()], |row| {
            Held::from_row(row, 0)
        })
        .optional()
}

/// What waits to be unlinked of a file.
pub(crate) fn doomed_parts(
    connection: &Connection,
    path: &TreePath,
) -> rusqlite::Result<Option<Held>> {
    let mut statement = connection.prepare_cached(
        "SELECT size_bytes, metadata_bytes, provenance_bytes FROM doomed WHERE path = ?1",
    )?;
    statement
        .query_row([path.to_string()], |row| Held::from_row(row, 0))
        .optional()
}

pub(crate) fn read_name(text: &str) -> Result<ProjectName, CatalogFault> {
    text.parse()
        .map_err(|error| CatalogFault::record(text, error))
}

pub(crate) fn read_path(id: [u8; 32], name: &str) -> Result<TreePath, CatalogFault> {
    TreePath::new(id, name).map_err(|error| CatalogFault::record(name, error))
}

/// Reads `project, item, reason, tries, first_failed_at, next_try_at, wanted_serial`.
fn ledger_entries(mut rows: Rows<'_>, weight: Weight) -> Result<Vec<LedgerEntry>, CatalogFault> {
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(LedgerEntry {
            project: read_name(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
            item: row.get(1)?,
            reason: row.get(2)?,
            tries: row.get(3)?,
            first_failed_at: row.get(4)?,
            next_try_at: row.get(5)?,
            wanted_serial: row.get::<_, Option<i64>>(6)?.map(serial_from_sql),
            weight,
        });
    }
    Ok(entries)
}

fn counter(connection: &Connection, name: &str) -> Result<u64, CatalogFault> {
    let mut statement = connection.prepare_cached("SELECT value FROM counter WHERE name = ?1")?;
    Ok(size_from_sql(
        statement.query_row([name], |row| row.get(0))?,
    ))
}

fn state(row: &Row<'_>) -> Result<ProjectState, CatalogFault> {
    Ok(ProjectState {
        name: read_name(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
        published_serial: row.get::<_, Option<i64>>(1)?.map(serial_from_sql),
        keeper: read_keeper(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
    })
}

/// Reads `name, keeper, published_serial, confirmed_at, etag, last_modified, body`.
fn full_record(row: &Row<'_>) -> Result<ProjectRecord, CatalogFault> {
    let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
    let columns = Columns::from_row(row)?;
    match row
        .get_ref(6)?
        .as_blob_or_null()
        .map_err(rusqlite::Error::from)?
    {
        Some(body) => decode_record(name, body, columns),
        None => Err(CatalogFault::record(name, "it has no body")),
    }
}

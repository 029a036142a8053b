//! The part of the catalog that a notary signs from: which page of which project is current, which bins of targets have
//! to be signed anew, what no live snapshot names any more, and which version of each role was given out last.
//!
//! A target's *place* is the first four bytes of the SHA-256 of its path, so that a bin of any power-of-two count is
//! one range of places.

use heliostat_pypi::{ProjectName, Sha256};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::read::read_name;
use super::record_body::{size_from_sql, size_to_sql};
use super::{Applier, Catalog, CatalogFault};
use crate::error::StoreError;
use crate::layout::{self, PageKind};

/// The note that says that pages are signed here.
pub(crate) const NOTARY_NOTE: &str = "notary";

/// One signed page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The project; the target's path follows from it.
    pub project: ProjectName,
    /// The digest of the page's bytes.
    pub sha256: Sha256,
    /// Their number.
    pub size_bytes: u64,
}

/// A project whose page cannot be signed as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsigned {
    /// The project.
    pub project: ProjectName,
    /// Why, one line.
    pub reason: String,
}

/// The places from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// The first place.
    pub first: u32,
    /// The last place.
    pub last: u32,
}

/// What was last given out of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleState {
    /// The role, as `snapshot` or `bin-16-0`.
    pub name: String,
    /// The version that the live timestamp leads to.
    pub version: u64,
    /// When it was signed, in seconds since 1970.
    pub signed_at: i64,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
    /// Its bytes.
    pub size_bytes: u64,
    /// Their digest.
    pub sha256: Sha256,
}

/// What is to be signed anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pending {
    /// The newest commit that is in here; what comes later stays pending.
    pub generation: u64,
    /// The places of targets that changed, in order.
    pub places: Vec<u32>,
}

/// What a record's page is to a notary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignedAs {
    /// These bytes.
    Page { sha256: Sha256, size_bytes: u64 },
    /// Nothing, for this reason.
    Nothing(String),
}

/// Where a project's page stands among the targets.
pub fn place_of(name: &ProjectName) -> u32 {
    let path = layout::page(name, PageKind::Json);
    let digest = Sha256::of(path.as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

impl Applier<'_> {
    /// Notes what is to be signed for a project from now on; `None` where the project goes.
    pub(crate) fn sign_as(
        &mut self,
        name: &ProjectName,
        signed: Option<&SignedAs>,
    ) -> Result<(), CatalogFault> {
        let place = place_of(name);
        let old: Option<(Vec<u8>, i64)> = self
            .transaction
            .prepare_cached(
                "SELECT sha256, size_bytes FROM target WHERE place = ?1 AND project = ?2",
            )?
            .query_row(params![place, name.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        match signed {
            Some(SignedAs::Nothing(reason)) => self
                .transaction
                .prepare_cached("INSERT OR REPLACE INTO unsigned VALUES (?1, ?2)")?
                .execute(params![name.as_str(), reason])?,
            _ => self
                .transaction
                .prepare_cached("DELETE FROM unsigned WHERE project = ?1")?
                .execute([name.as_str()])?,
        };
        let new = match signed {
            Some(SignedAs::Page { sha256, size_bytes }) => Some((sha256, *size_bytes)),
            _ => None,
        };
        let is_same = match (&old, new) {
            (None, None) => true,
            (Some((old, size)), Some((new, size_bytes))) => {
                old == new.as_bytes() && size_from_sql(*size) == size_bytes
            }
            _ => false,
        };
        if let Some((sha256, _)) = new {
            // The copy is wanted, whatever an earlier change thought of it.
            self.transaction
                .prepare_cached("DELETE FROM retired WHERE path = ?1")?
                .execute([layout::signed_page(name, *sha256)])?;
        }
        if is_same {
            return Ok(());
        }
        let generation = self.next_generation()?;
        if let Some(sha256) = old.as_ref().and_then(|(bytes, _)| read_digest(bytes)) {
            self.transaction
                .prepare_cached("INSERT OR REPLACE INTO retired VALUES (?1, ?2, NULL)")?
                .execute(params![layout::signed_page(name, sha256), generation])?;
        }
        match new {
            Some((sha256, size_bytes)) => self
                .transaction
                .prepare_cached("INSERT OR REPLACE INTO target VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    place,
                    name.as_str(),
                    sha256.as_bytes(),
                    size_to_sql(size_bytes)
                ])?,
            None => self
                .transaction
                .prepare_cached("DELETE FROM target WHERE place = ?1 AND project = ?2")?
                .execute(params![place, name.as_str()])?,
        };
        self.deltas.targets += i64::from(new.is_some()) - i64::from(old.is_some());
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO pending VALUES (?1, ?2)")?
            .execute(params![place, generation])?;
        Ok(())
    }

    fn next_generation(&self) -> Result<i64, CatalogFault> {
        Ok(self
            .transaction
            .prepare_cached("SELECT value + 1 FROM counter WHERE name = 'generation'")?
            .query_row([], |row| row.get(0))?)
    }
}

impl Catalog {
    /// The targets of a range of places, in the order of their places.
    pub(crate) fn targets(&self, places: Places) -> Result<Vec<Target>, StoreError> {
        self.read("read what is signed", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT project, sha256, size_bytes FROM target WHERE place BETWEEN ?1 AND ?2 \
                 ORDER BY place, project",
            )?;
            let mut rows = statement.query([places.first, places.last])?;
            let mut targets = Vec::new();
            while let Some(row) = rows.next()? {
                targets.push(target(row)?);
            }
            Ok(targets)
        })
    }

    /// A project's signed page.
    pub(crate) fn target(&self, name: &ProjectName) -> Result<Option<Target>, StoreError> {
        self.read("read what is signed", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT project, sha256, size_bytes FROM target WHERE place = ?1 AND project = ?2",
            )?;
            let mut rows = statement.query(params![place_of(name), name.as_str()])?;
            rows.next()?.map(target).transpose()
        })
    }

    /// What is to be signed anew.
    pub(crate) fn pending(&self) -> Result<Pending, StoreError> {
        self.read("read what is to be signed", |connection| {
            let generation: i64 = connection
                .prepare_cached("SELECT value FROM counter WHERE name = 'generation'")?
                .query_row([], |row| row.get(0))?;
            let mut statement =
                connection.prepare_cached("SELECT place FROM pending ORDER BY place")?;
            let places = statement.query_map([], |row| row.get(0))?;
            Ok(Pending {
                generation: size_from_sql(generation),
                places: places.collect::<rusqlite::Result<_>>()?,
            })
        })
    }

    /// Projects whose pages cannot be signed.
    pub(crate) fn unsigned(&self, limit: usize) -> Result<Vec<Unsigned>, StoreError> {
        self.read("read what cannot be signed", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT project, reason FROM unsigned ORDER BY project LIMIT ?1")?;
            let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(Unsigned {
                    project: read_name(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
                    reason: row.get(1)?,
                });
            }
            Ok(found)
        })
    }

    /// How many projects have pages that cannot be signed.
    pub(crate) fn unsigned_count(&self) -> Result<u64, StoreError> {
        self.read("count what cannot be signed", |connection| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM unsigned")?;
            Ok(size_from_sql(statement.query_row([], |row| row.get(0))?))
        })
    }

    /// What was last given out of every role, in name order.
    pub(crate) fn roles(&self) -> Result<Vec<RoleState>, StoreError> {
        self.read("read the roles", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, version, signed_at, expires_at, size_bytes, sha256 FROM role \
                 WHERE version IS NOT NULL ORDER BY name",
            )?;
            let mut rows = statement.query([])?;
            let mut roles = Vec::new();
            while let Some(row) = rows.next()? {
                roles.push(role(row)?);
            }
            Ok(roles)
        })
    }

    /// The versions that `reserve` would give out.
    pub(crate) fn next_versions(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.read("read the next versions", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT reserved + 1 FROM role WHERE name = ?1")?;
            let mut versions = Vec::with_capacity(names.len());
            for name in names {
                let mut rows = statement.query([name])?;
                let version = rows.next()?.map(|row| row.get(0)).transpose()?;
                versions.push(version.map_or(1, size_from_sql));
            }
            Ok(versions)
        })
    }

    /// Gives out the next version of each role. A version that was given out is never given out again, also when a
    /// kill keeps it from being published.
    pub(crate) fn reserve(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.write("give out versions", |transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO role (name, reserved) VALUES (?1, 1) \
                 ON CONFLICT (name) DO UPDATE SET reserved = reserved + 1 RETURNING reserved",
            )?;
            let mut versions = Vec::with_capacity(names.len());
            for name in names {
                let version: i64 = statement.query_row([name], |row| row.get(0))?;
                versions.push(size_from_sql(version));
            }
            Ok(versions)
        })
    }

    /// Notes what has been published, and from when on what it replaced may go.
    pub(crate) fn note_published(
        &self,
        roles: &[RoleState],
        replaced: &[String],
        generation: u64,
        due_at: i64,
    ) -> Result<(), StoreError> {
        self.write("note what was published", |transaction| {
            put_roles(transaction, roles)?;
            let generation = size_to_sql(generation);
            let mut statement =
                transaction.prepare_cached("INSERT OR REPLACE INTO retired VALUES (?1, ?2, ?3)")?;
            for path in replaced {
                statement.execute(params![path, generation, due_at])?;
            }
            transaction
                .prepare_cached("DELETE FROM pending WHERE generation <= ?1")?
                .execute([generation])?;
            transaction
                .prepare_cached(
                    "UPDATE retired SET due_at = ?2 WHERE due_at IS NULL AND generation <= ?1",
                )?
                .execute([generation, due_at])?;
            Ok(())
        })
    }

    /// Files that no live snapshot has named for long enough.
    pub(crate) fn retired(&self, now: i64, limit: usize) -> Result<Vec<String>, StoreError> {
        self.read("find signed files to unlink", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path FROM retired WHERE due_at <= ?1 ORDER BY due_at, path LIMIT ?2",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let paths = statement.query_map([now, limit], |row| row.get(0))?;
            Ok(paths.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Whether a file is kept only because a snapshot that clients may still hold names it.
    pub(crate) fn is_retired(&self, path: &str) -> Result<bool, StoreError> {
        self.read("look for a signed file", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT 1 FROM retired WHERE path = ?1")?;
            Ok(statement.exists([path])?)
        })
    }

    /// Notes that retired files are gone.
    pub(crate) fn forget_retired(&self, paths: &[String]) -> Result<(), StoreError> {
        self.write("forget unlinked files", |transaction| {
            let mut statement =
                transaction.prepare_cached("DELETE FROM retired WHERE path = ?1")?;
            for path in paths {
                statement.execute([path])?;
            }
            Ok(())
        })
    }
}

fn put_roles(transaction: &Transaction<'_>, roles: &[RoleState]) -> Result<(), CatalogFault> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO role VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO UPDATE SET \
         reserved = max(reserved, ?2), version = ?2, signed_at = ?3, expires_at = ?4, size_bytes = ?5, sha256 = ?6",
    )?;
    for role in roles {
        statement.execute(params![
            role.name,
            size_to_sql(role.version),
            role.signed_at,
            role.expires_at,
            size_to_sql(role.size_bytes),
            role.sha256.as_bytes(),
        ])?;
    }
    Ok(())
}

fn target(row: &Row<'_>) -> Result<Target, CatalogFault> {
    let project = read_name(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
    let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Target {
        sha256: read_digest(bytes)
            .ok_or_else(|| CatalogFault::record(project.as_str(), "its digest is broken"))?,
        size_bytes: size_from_sql(row.get(2)?),
        project,
    })
}

fn role(row: &Row<'_>) -> Result<RoleState, CatalogFault> {
    let name: String = row.get(0)?;
    let bytes = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(RoleState {
        sha256: read_digest(bytes)
            .ok_or_else(|| CatalogFault::record(name.as_str(), "its digest is broken"))?,
        name,
        version: size_from_sql(row.get(1)?),
        signed_at: row.get(2)?,
        expires_at: row.get(3)?,
        size_bytes: size_from_sql(row.get(4)?),
    })
}

fn read_digest(bytes: &[u8]) -> Option<Sha256> {
    bytes.try_into().ok().map(Sha256::from_bytes)
}

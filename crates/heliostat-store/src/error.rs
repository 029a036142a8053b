//! Everything that can go wrong with the disk and the catalog. Variants carry the path or name concerned; how they
//! are shown is the program's business.

use std::io;
use std::path::{Path, PathBuf};

use heliostat_pypi::{ProjectName, RelPath, TreePath};

use crate::intake::Expected;
use crate::record::Part;

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("could not {operation} `{}`", path.display())]
    Io {
        /// What was tried, as `read the file`.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pipe, a directory or the like, where a file is wanted.
    #[error("`{}` is no regular file and is not opened", .0.display())]
    NotAFile(PathBuf),
    /// The database refused.
    #[error("could not {operation} in the catalog `{}`", path.display())]
    Catalog {
        /// What was tried, as `read a project`.
        operation: &'static str,
        /// The catalog's file.
        path: PathBuf,
        /// Why.
        source: Box<rusqlite::Error>,
    },
    /// The catalog was written by a newer heliostat.
    #[error("the catalog `{}` has schema {found}; this heliostat knows schemas up to {known}", path.display())]
    CatalogNewer {
        /// The catalog's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The catalog was written by an older heliostat, and may not be brought up to date by us.
    #[error("the catalog `{}` has the older schema {found}, and we may not write it", path.display())]
    CatalogOlder {
        /// The catalog's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// The catalog's file is not a sound database.
    #[error("the catalog `{}` is damaged", path.display())]
    CatalogDamaged {
        /// The catalog's file.
        path: PathBuf,
        /// What the database says.
        source: Box<rusqlite::Error>,
    },
    /// One project's record cannot be read; the others are not affected.
    #[error("the catalog's record of `{project}` is damaged")]
    RecordDamaged {
        /// The project.
        project: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The temporary files and the tree are on different file systems, so that nothing can be renamed into place.
    #[error("`{}` and `{}` are on different file systems", incoming.display(), tree.display())]
    CrossDevice {
        /// Where temporary files are written.
        incoming: PathBuf,
        /// The directory of the tree.
        tree: PathBuf,
    },
    /// Another process holds the lock.
    #[error("`{}` is locked by {holder}", path.display())]
    LockHeld {
        /// The lock's file.
        path: PathBuf,
        /// Who holds it, as it wrote itself.
        holder: String,
    },
    /// More bytes came than are allowed.
    #[error("the file is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The bytes are not those that were promised.
    #[error("the file is not what was promised: {0}")]
    Mismatch(Box<Mismatch>),
    /// A mirrored project's page would name a file that is not held (invariant 2).
    #[error("the page of `{project}` would name {part} `{path}`, which is not held")]
    NotHeld {
        /// The project.
        project: ProjectName,
        /// The file.
        path: TreePath,
        /// Which part of it.
        part: Part,
    },
    /// A change is about a project that the catalog does not have.
    #[error("the catalog has no project `{0}`")]
    UnknownProject(ProjectName),
    /// A change is about a file that no page lists.
    #[error("no page lists `{0}`")]
    Unlisted(TreePath),
    /// A mirrored project's file was asked to be evicted.
    #[error("`{0}` is of a mirrored project and stays")]
    NotEvictable(TreePath),
    /// A page or a removal that came on demand is about a project that a sync answers for.
    #[error("a sync answers for `{0}`, so what comes on demand does not change it")]
    Synced(ProjectName),
    /// A file was asked to be removed that the catalog answers for.
    #[error("the catalog answers for `{0}`, so it stays")]
    StillListed(RelPath),
    /// A provenance document whose place cannot be told, because the file's name holds no version.
    #[error("`{0}` has no version in its name, so its provenance has no place")]
    NoProvenancePlace(TreePath),
}

/// What was promised and what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was promised.
    pub expected: Expected,
    /// What came.
    pub found: Expected,
}

/// The kinds of trouble that callers treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No space, no quota, or a file size limit.
    DiskFull,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The user may not.
    PermissionDenied,
    /// Another process has it.
    Locked,
    /// The catalog or a record of it is damaged.
    Damaged,
    /// The catalog is from a newer heliostat.
    Newer,
    /// Bytes are not what was promised, or too many.
    Integrity,
    /// The directory cannot be laid out like this.
    Layout,
    /// The change contradicts what the catalog holds.
    Refused,
    /// Anything else.
    Other,
}

impl StoreError {
    pub(crate) fn io(
        operation: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io {
            operation,
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }

    /// Which kind of trouble this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => io_kind(source),
            Self::Catalog { source, .. } => catalog_kind(source),
            Self::CatalogNewer { .. } => ErrorKind::Newer,
            Self::CatalogOlder { .. } => ErrorKind::PermissionDenied,
            Self::CatalogDamaged { .. } | Self::RecordDamaged { .. } => ErrorKind::Damaged,
            Self::CrossDevice { .. } => ErrorKind::Layout,
            Self::LockHeld { .. } => ErrorKind::Locked,
            Self::TooLarge { .. } | Self::Mismatch(_) => ErrorKind::Integrity,
            Self::NotHeld { .. }
            | Self::UnknownProject(_)
            | Self::Unlisted(_)
            | Self::NotEvictable(_)
            | Self::Synced(_)
            | Self::StillListed(_)
            | Self::NoProvenancePlace(_) => ErrorKind::Refused,
            Self::NotAFile(_) => ErrorKind::Other,
        }
    }

    /// Whether one file cannot be read, which says nothing of the others.
    pub const fn is_of_one_file(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::NotAFile(_))
    }

    /// Whether the bytes were not those that were promised.
    pub const fn is_mismatch(&self) -> bool {
        matches!(self, Self::Mismatch(_))
    }

    /// Whether a sync has taken over meanwhile what came on demand.
    pub const fn is_synced(&self) -> bool {
        matches!(self, Self::Synced(_))
    }

    /// What a person can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind() {
            ErrorKind::DiskFull => {
                Some("free some space and run it again; nothing that was complete is lost")
            }
            ErrorKind::ReadOnly => Some("mount the data directory writable"),
            ErrorKind::PermissionDenied => Some("run it as the user who owns the data directory"),
            ErrorKind::Locked => Some("wait for the other process, or stop it"),
            ErrorKind::Damaged => Some(
                "move the catalog file away together with its `-wal` and `-shm` files and rebuild it from the tree \
                 with `heliostat adopt`",
            ),
            ErrorKind::Newer => Some("use the newer heliostat that wrote it"),
            ErrorKind::Layout => {
                Some("put `state` and `web` (and `web/packages`) on one file system")
            }
            ErrorKind::Integrity | ErrorKind::Refused | ErrorKind::Other => None,
        }
    }

    /// Whether a batch that meets this half-way had better wait than go on without the project that met it. A directory
    /// that we may not write is one project's trouble until it turns out to be everybody's.
    pub(crate) fn ends_batch(&self) -> bool {
        self.is_general() && self.kind() != ErrorKind::PermissionDenied
    }

    /// Whether the trouble is with the whole disk or catalog, so that other projects would meet it too.
    pub fn is_general(&self) -> bool {
        match self {
            Self::Io { .. } => {
                matches!(
                    self.kind(),
                    ErrorKind::DiskFull | ErrorKind::ReadOnly | ErrorKind::PermissionDenied
                )
            }
            Self::Catalog { .. }
            | Self::CatalogNewer { .. }
            | Self::CatalogOlder { .. }
            | Self::CatalogDamaged { .. }
            | Self::CrossDevice { .. }
            | Self::LockHeld { .. } => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::DiskFull
        }
        io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::CrossesDevices => ErrorKind::Layout,
        _ => ErrorKind::Other,
    }
}

fn catalog_kind(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::DiskFull,
        Some(ErrorCode::ReadOnly) => ErrorKind::ReadOnly,
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => ErrorKind::PermissionDenied,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Locked,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Damaged,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_trouble_is_told_apart_and_has_its_advice() {
        let io = |kind: io::ErrorKind| StoreError::io("write", "/data/web/x", kind);
        let sqlite = |code| StoreError::Catalog {
            operation: "commit a batch",
            path: "/data/state/catalog.sqlite".into(),
            source: Box::new(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(code),
                None,
            )),
        };
        for (error, kind) in [
            (io(io::ErrorKind::StorageFull), ErrorKind::DiskFull),
            (io(io::ErrorKind::QuotaExceeded), ErrorKind::DiskFull),
            (io(io::ErrorKind::FileTooLarge), ErrorKind::DiskFull),
            (io(io::ErrorKind::ReadOnlyFilesystem), ErrorKind::ReadOnly),
            (
                io(io::ErrorKind::PermissionDenied),
                ErrorKind::PermissionDenied,
            ),
            (io(io::ErrorKind::CrossesDevices), ErrorKind::Layout),
            (sqlite(rusqlite::ffi::SQLITE_FULL), ErrorKind::DiskFull),
            (sqlite(rusqlite::ffi::SQLITE_READONLY), ErrorKind::ReadOnly),
            (
                sqlite(rusqlite::ffi::SQLITE_PERM),
                ErrorKind::PermissionDenied,
            ),
            (sqlite(rusqlite::ffi::SQLITE_BUSY), ErrorKind::Locked),
        ] {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.hint().is_some(), "{error:?}");
            assert!(error.to_string().contains("/data/"), "{error}");
        }
        assert_eq!(io(io::ErrorKind::Other).kind(), ErrorKind::Other);
        assert!(!io(io::ErrorKind::Other).is_general());
        assert!(io(io::ErrorKind::StorageFull).is_general());
    }
}

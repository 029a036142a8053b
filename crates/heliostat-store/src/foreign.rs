//! A read-only look at a directory tree, our own or somebody else's: a sorted walk, and small files read with a limit.
//! What the files mean is the caller's business.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use heliostat_pypi::RelPath;

use crate::disk;
use crate::error::StoreError;

/// Directories deeper than this are an error: nothing that is mirrored is nested so, but links in a circle are.
const DEPTH_MAX: usize = 32;

/// A directory tree to be looked at.
#[derive(Debug, Clone)]
pub struct Foreign {
    root: PathBuf,
}

/// Something in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// The same relative to the tree's root, where that is a path we accept.
    pub relative: Option<RelPath>,
    /// What it is, after following links.
    pub kind: EntryKind,
}

/// What stands in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Its length.
        size_bytes: u64,
    },
    /// A directory that holds nothing; others are not told, only entered.
    EmptyDirectory,
    /// A link to nowhere, a socket and the like.
    Other,
}

/// Goes through a tree in order of its paths. Memory grows with the size of the directories on the way down, not with
/// the tree.
#[derive(Debug)]
pub struct Walk {
    root: PathBuf,
    /// Names still to be told, last first, for each directory on the way down.
    levels: Vec<(PathBuf, Vec<std::ffi::OsString>)>,
    pending: Option<PathBuf>,
    /// Directories that links led to: none is entered by a second one, or links could make a tree without end.
    linked: HashSet<(u64, u64)>,
}

impl Foreign {
    /// A tree by its root, which need not exist.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything below a directory of the tree, or below its root. A directory that is not there is empty.
    pub fn walk(&self, below: Option<&RelPath>) -> Walk {
        let start = below.map_or_else(|| self.root.clone(), |below| self.root.join(below.as_str()));
        Walk {
            root: self.root.clone(),
            levels: Vec::new(),
            pending: Some(start),
            linked: HashSet::new(),
        }
    }

    /// The names in a directory of the tree, or in its root, sorted. A directory that is not there is empty.
    pub fn names(&self, directory: Option<&RelPath>) -> Result<Vec<String>, StoreError> {
        let path = directory.map_or_else(
            || self.root.clone(),
            |directory| self.root.join(directory.as_str()),
        );
        match sorted_names(&path) {
            Ok(names) => Ok(names
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .rev()
                .collect()),
            Err(error) if disk::is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(StoreError::io("list", path, error)),
        }
    }

    /// A file, open; `None` where there is no such file, an error where it is none that could be read: a pipe, say.
    pub fn open(&self, path: &RelPath) -> Result<Option<File>, StoreError> {
        disk::open_regular(&self.root.join(path.as_str()))
    }

    /// A file's content; `None` where there is no such file, an error where it is larger than the limit.
    pub fn read(&self, path: &RelPath, limit_bytes: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.open(path)? else {
            return Ok(None);
        };
        let path = self.root.join(path.as_str());
        let mut content = Vec::new();
        let read = file
            .take(limit_bytes.saturating_add(1))
            .read_to_end(&mut content);
        read.map_err(|error| StoreError::io("read", path, error))?;
        if content.len() as u64 > limit_bytes {
            return Err(StoreError::TooLarge { limit_bytes });
        }
        Ok(Some(content))
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(directory) = self.pending.take() {
                match self.enter(directory) {
                    Ok(None) => {}
                    Ok(Some(entry)) => return Some(Ok(entry)),
                    Err(error) => return Some(Err(error)),
                }
            }
            let (directory, names) = self.levels.last_mut()?;
            let Some(name) = names.pop() else {
                self.levels.pop();
                continue;
            };
            let path = directory.join(name);
            let kind = match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    let is_link = fs::symlink_metadata(&path).is_ok_and(|entry| entry.is_symlink());
                    if is_link && !self.linked.insert((metadata.dev(), metadata.ino())) {
                        let error = std::io::Error::other("more than one link leads there");
                        return Some(Err(StoreError::io("enter", path, error)));
                    }
                    self.pending = Some(path);
                    continue;
                }
                Ok(metadata) if metadata.is_file() => EntryKind::File {
                    size_bytes: metadata.len(),
                },
                Ok(_) => EntryKind::Other,
                // A link to nowhere or in a circle; or it went while we were walking, and the caller will find that.
                Err(error) if disk::is_absent(&error) || disk::is_circle(&error) => {
                    EntryKind::Other
                }
                Err(error) => return Some(Err(StoreError::io("look at", path, error))),
            };
            return Some(Ok(self.entry(path, kind)));
        }
    }
}

impl Walk {
    fn enter(&mut self, directory: PathBuf) -> Result<Option<Entry>, StoreError> {
        if self.levels.len() >= DEPTH_MAX {
            let error = std::io::Error::other("directories are nested too deep");
            return Err(StoreError::io("enter", directory, error));
        }
        match sorted_names(&directory) {
            Ok(names) if names.is_empty() && !self.levels.is_empty() => {
                Ok(Some(self.entry(directory, EntryKind::EmptyDirectory)))
            }
            Ok(names) => {
                self.levels.push((directory, names));
                Ok(None)
            }
            Err(error) if disk::is_absent(&error) => Ok(None),
            Err(error) => Err(StoreError::io("list", directory, error)),
        }
    }

    fn entry(&self, path: PathBuf, kind: EntryKind) -> Entry {
        let relative = path
            .strip_prefix(&self.root)
            .ok()
            .and_then(|path| path.to_str()?.parse().ok());
        Entry {
            path,
            relative,
            kind,
        }
    }
}

/// The names in a directory, last first.
fn sorted_names(directory: &Path) -> std::io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_tells_everything_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in ["b/2", "b/1", "a.txt", "c/d/e", "B"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::create_dir(root.join("empty")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
        let told: Vec<(String, EntryKind)> = Foreign::new(root)
            .walk(None)
            .map(|entry| {
                entry
                    .map(|entry| (entry.relative.unwrap().to_string(), entry.kind))
                    .unwrap()
            })
            .collect();
        let file = EntryKind::File { size_bytes: 1 };
        let expected = [
            ("B", file),
            ("a.txt", file),
            ("b/1", file),
            ("b/2", file),
            ("c/d/e", file),
            ("empty", EntryKind::EmptyDirectory),
            ("link", EntryKind::Other),
        ];
        assert_eq!(told, expected.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn links_in_a_circle_end_with_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(".", directory.path().join("self")).unwrap();
        let walk = Foreign::new(directory.path()).walk(None);
        assert!(walk.take(1000).any(|entry| entry.is_err()));
    }

    #[test]
    fn links_make_no_tree_without_end() {
        let directory = tempfile::tempdir().unwrap();
        for depth in 0..30 {
            let here = directory.path().join(format!("d{depth}"));
            fs::create_dir(&here).unwrap();
            for name in ["a", "b", "c"] {
                let below = format!("../d{}", depth + 1);
                std::os::unix::fs::symlink(below, here.join(name)).unwrap();
            }
        }
        assert!(Foreign::new(directory.path()).walk(None).count() < 1000);
    }

    #[test]
    fn what_is_not_there_is_empty_and_what_is_too_large_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Foreign::new(directory.path());
        let path: RelPath = "x/y".parse().unwrap();
        assert_eq!(tree.walk(Some(&path)).count(), 0);
        assert_eq!(tree.names(Some(&path)).unwrap(), Vec::<String>::new());
        assert_eq!(tree.read(&path, 10).unwrap(), None);
        fs::create_dir(directory.path().join("x")).unwrap();
        fs::write(directory.path().join("x/y"), "1234").unwrap();
        assert_eq!(tree.read(&path, 4).unwrap().as_deref(), Some(&b"1234"[..]));
        assert!(matches!(
            tree.read(&path, 3),
            Err(StoreError::TooLarge { limit_bytes: 3 })
        ));
    }
}

//! The files that signed pages name, and which of them are looked at. Pure.

use std::collections::BTreeMap;

use heliostat_pypi::page::{CoreMetadata, ProjectPage};
use heliostat_pypi::{ProjectName, Sha256};
use heliostat_store::Expected;

/// Which of the files that signed pages name are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesChecked {
    /// None: metadata and pages only.
    Nothing,
    /// So many of all of them, drawn by `seed`, which nobody should be able to guess who keeps the tree.
    Sample {
        /// How many.
        count: usize,
        /// What decides which.
        seed: u64,
    },
    /// Every one.
    All,
}

/// A file that a page names, and what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) path: String,
    pub(super) expected: Expected,
    /// Its metadata and its provenance, as far as their digests are signed.
    pub(super) beside: Vec<(String, Sha256)>,
}

/// What a signed page names, in its order.
pub(super) fn parts(project: &ProjectName, page: &ProjectPage) -> Vec<Part> {
    let part = |file: &heliostat_pypi::page::PageFile| {
        let path = file.path.to_string();
        let mut beside = Vec::new();
        if let CoreMetadata::Sha256(sha256) = file.core_metadata {
            beside.push((format!("{path}.metadata"), sha256));
        }
        if let (Some(sha256), Some(path)) = (file.provenance_sha256, file.provenance_path(project))
        {
            beside.push((path.to_string(), sha256));
        }
        Part {
            path,
            expected: Expected {
                sha256: file.sha256,
                size_bytes: file.size_bytes,
            },
            beside,
        }
    };
    page.files.iter().map(part).collect()
}

/// Draws what is looked at, in one pass over what nobody could hold at once.
pub(super) struct Draw {
    wanted: FilesChecked,
    /// The lots drawn so far, the lowest of all.
    drawn: BTreeMap<Sha256, Part>,
}

impl Draw {
    pub(super) const fn new(wanted: FilesChecked) -> Self {
        Self {
            wanted,
            drawn: BTreeMap::new(),
        }
    }

    /// Gives a part back that is to be looked at now.
    pub(super) fn take(&mut self, part: Part) -> Option<Part> {
        match self.wanted {
            FilesChecked::All => Some(part),
            FilesChecked::Nothing => None,
            FilesChecked::Sample { count, seed } => {
                let lot = [&seed.to_le_bytes(), part.path.as_bytes()].concat();
                self.drawn.insert(Sha256::of(&lot), part);
                if self.drawn.len() > count {
                    self.drawn.pop_last();
                }
                None
            }
        }
    }

    /// What is left to be looked at, by path.
    pub(super) fn drawn(self) -> Vec<Part> {
        let mut parts: Vec<Part> = self.drawn.into_values().collect();
        parts.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(index: usize) -> Part {
        Part {
            path: format!("packages/{index}"),
            expected: Expected::default(),
            beside: Vec::new(),
        }
    }

    fn draw(wanted: FilesChecked) -> (usize, Vec<Part>) {
        let mut draw = Draw::new(wanted);
        let now = (0..500).filter_map(|index| draw.take(part(index))).count();
        (now, draw.drawn())
    }

    #[test]
    fn a_sample_has_so_many_and_depends_on_the_seed_alone() {
        let sample = |seed| draw(FilesChecked::Sample { count: 20, seed });
        let (now, drawn) = sample(1);
        assert_eq!((now, drawn.len()), (0, 20));
        assert_eq!(sample(1).1, drawn);
        assert_ne!(sample(2).1, drawn);
        assert_eq!(draw(FilesChecked::All), (500, vec![]));
        assert_eq!(draw(FilesChecked::Nothing), (0, vec![]));
        let small = FilesChecked::Sample {
            count: 1_000,
            seed: 1,
        };
        assert_eq!(draw(small).1.len(), 500);
    }
}

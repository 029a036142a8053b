//! A batch as values: what planning decides, what the redo log holds, what execution carries out.

use heliostat_pypi::{ProjectName, TreePath};
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::catalog::{CatalogFault, Columns, IntentLine, decode_record};
use crate::intake::VerifiedBlob;
use crate::record::{LedgerEntry, Part, ProjectRecord, Validators};

/// A planned batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) notes: Notes,
    pub(crate) tasks: Vec<Task>,
    pub(crate) refused: Vec<Refusal>,
}

/// Everything that is to happen to one project.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) work: Work,
    /// The record afterwards and its encoded body, where `work.target` is a put.
    pub(crate) after: Option<(ProjectRecord, Vec<u8>)>,
    /// The files behind `work.arrivals`, in the same order; empty when the batch comes from the redo log.
    pub(crate) blobs: Vec<VerifiedBlob>,
}

/// The part of a batch that touches no project's files.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    /// When the batch was committed, in seconds since 1970.
    pub(crate) now: i64,
    /// When what it unlists may be unlinked.
    pub(crate) due_at: i64,
    pub(crate) ledger: Vec<LedgerChange>,
    pub(crate) touches: Vec<Touch>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LedgerChange {
    Settle(ProjectName),
    Add(LedgerEntry),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Touch {
    pub(crate) name: ProjectName,
    pub(crate) confirmed_at: i64,
    pub(crate) validators: Validators,
}

/// One project's line in the redo log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) name: ProjectName,
    pub(crate) target: Target,
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) evicted: Vec<TreePath>,
}

/// What becomes of the project's record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Target {
    /// It stays as it is.
    Keep,
    /// It is written; the body stands beside the line.
    Put(Columns),
    /// It goes.
    Drop,
}

/// A blob on its way into the tree.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Arrival {
    /// Its temporary name below the incoming directory.
    pub(crate) temporary: String,
    pub(crate) path: TreePath,
    pub(crate) part: Part,
    pub(crate) size_bytes: u64,
    /// Whether the temporary name may be a second name of the very file in place.
    #[serde(default)]
    pub(crate) is_linked: bool,
}

/// A line of the redo log.
#[derive(Debug, Serialize, Deserialize)]
enum Line<W, N> {
    Notes(N),
    Work(W),
}

impl Batch {
    /// Whether there is anything to carry out.
    pub(crate) const fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.notes.ledger.is_empty() && self.notes.touches.is_empty()
    }

    /// The batch as lines of the redo log.
    pub(crate) fn to_lines(&self) -> Result<Vec<IntentLine<&[u8]>>, CatalogFault> {
        let encode = |line: Line<&Work, &Notes>| {
            serde_json::to_string(&line)
                .map_err(|error| CatalogFault::record("the redo log", error))
        };
        let mut lines = vec![(encode(Line::Notes(&self.notes))?, None)];
        for task in &self.tasks {
            let body = task.after.as_ref().map(|(_, body)| body.as_slice());
            lines.push((encode(Line::Work(&task.work))?, body));
        }
        Ok(lines)
    }

    /// The batch that lines of the redo log describe.
    pub(crate) fn from_lines(lines: Vec<IntentLine<Vec<u8>>>) -> Result<Self, CatalogFault> {
        let mut batch = Self {
            notes: Notes::default(),
            tasks: Vec::new(),
            refused: Vec::new(),
        };
        for (line, body) in lines {
            let line: Line<Work, Notes> = serde_json::from_str(&line)
                .map_err(|error| CatalogFault::record("the redo log", error))?;
            match line {
                Line::Notes(notes) => batch.notes = notes,
                Line::Work(work) => {
                    let after = match (&work.target, body) {
                        (Target::Put(columns), Some(body)) => Some((
                            decode_record(work.name.as_str(), &body, columns.clone())?,
                            body,
                        )),
                        (Target::Put(_), None) => {
                            return Err(CatalogFault::record("the redo log", "a body is missing"));
                        }
                        _ => None,
                    };
                    batch.tasks.push(Task {
                        work,
                        after,
                        blobs: Vec::new(),
                    });
                }
            }
        }
        Ok(batch)
    }
}

//! Looks for what nobody answers for: files that no page lists, pages of projects that the catalog does not have, and
//! a root list that does not say what the catalog holds. They are told, not deleted: nothing proves them wrong.

use heliostat_pypi::{ProjectName, RelPath};
use heliostat_store::{EntryKind, Foreign, RootKind, Store, StoreError};

use super::Repair;
use super::problem::{Problem, ProblemKind, Repaired};
use super::project::is_same;
use crate::context::Context;
use crate::error::EngineError;
use crate::ledger::reason_of;

pub(super) async fn check(context: &Context, repair: Repair) -> Result<Vec<Problem>, EngineError> {
    let mut problems = context.on_disk(strays).await?;
    let wrong = context.on_disk(root_is_wrong).await?;
    for path in wrong {
        let mut problem = problem(ProblemKind::RootDiffers, None, path);
        if repair == Repair::Fetch {
            let now = context.clock.now();
            context
                .on_disk(move |store| {
                    let serial = store.root()?.and_then(|root| root.serial);
                    store.publish_root(serial, now)
                })
                .await?;
            problem.repaired = Repaired::Again;
        }
        problems.push(problem);
    }
    Ok(problems)
}

fn strays(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let mut problems = Vec::new();
    for top in ["packages", "integrity", "simple", "pypi"] {
        let Ok(below) = top.parse() else { continue };
        for entry in Foreign::new(&store.web()).walk(Some(&below)) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.is_of_one_file() => {
                    let mut unread = problem(ProblemKind::Corrupt, None, top.to_owned());
                    unread.found = Some(reason_of(&error));
                    problems.push(unread);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let shown = || entry.path.display().to_string();
            match (&entry.relative, entry.kind) {
                (Some(path), EntryKind::File { .. }) => {
                    if let Some(problem) = stray(store, path)? {
                        problems.push(problem);
                    }
                }
                // In the place of a file or page it has been told as what that is not.
                (Some(path), EntryKind::Other) if store.answers_for(path)? => {}
                (None, _) | (_, EntryKind::Other) => {
                    problems.push(problem(ProblemKind::Orphan, None, shown()));
                }
                (Some(_), EntryKind::EmptyDirectory) => {}
            }
        }
    }
    Ok(problems)
}

fn stray(store: &Store, path: &RelPath) -> Result<Option<Problem>, StoreError> {
    let is_wanted = store.answers_for(path)?;
    if is_wanted {
        return Ok(None);
    }
    let kind = match path.as_str().split('/').next() {
        Some("packages" | "integrity") => ProblemKind::Orphan,
        _ => ProblemKind::Unlisted,
    };
    let project = path
        .as_str()
        .split('/')
        .nth(1)
        .and_then(|name| name.parse::<ProjectName>().ok());
    let project = project.filter(|_| kind == ProblemKind::Unlisted);
    Ok(Some(problem(kind, project, path.to_string())))
}

/// The forms of the root list that are not what the catalog says.
fn root_is_wrong(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    if store.root()?.is_none() {
        return Ok(wrong);
    }
    for (kind, path) in [
        (RootKind::Json, "simple/index.v1_json"),
        (RootKind::Html, "simple/index.v1_html"),
    ] {
        let expected = store.root_document(kind)?;
        if !store
            .open_root(kind)?
            .is_some_and(|open| is_same(open.file, &expected))
        {
            wrong.push(path.to_owned());
        }
    }
    Ok(wrong)
}

fn problem(kind: ProblemKind, project: Option<ProjectName>, path: String) -> Problem {
    Problem {
        kind,
        project,
        path,
        expected: None,
        found: None,
        repaired: Repaired::No,
    }
}

//! Brings lock files' hashes in step with the project files beside them that are about to change.

use std::path::PathBuf;

use heliostat_migrate::{FileScan, apply, lock, settle};

use super::{Found, name_of, walk};

/// The lock files whose hash is over a project file's settings.
const LOCKS: [&str; 3] = ["poetry.lock", "pdm.lock", "Pipfile.lock"];

/// Adds the hashes that have to be computed again, and the lock files that have nothing else to change.
pub(super) fn add(found: &mut Vec<Found>) {
    let changes: Vec<(PathBuf, Vec<u8>, Vec<u8>)> = found
        .iter()
        .filter(|one| !one.scan.edits.is_empty())
        .filter(|one| one.path.ends_with("pyproject.toml") || one.path.ends_with("Pipfile"))
        .map(|one| {
            let after = apply(&one.bytes, &one.scan.edits);
            (one.path.clone(), one.bytes.clone(), after)
        })
        .collect();
    for (project, before, after) in changes {
        for lock in LOCKS {
            if lock::project_of(lock).is_some_and(|name| project.ends_with(name)) {
                add_one(found, project.with_file_name(lock), &before, &after);
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
}

fn add_one(found: &mut Vec<Found>, path: PathBuf, before: &[u8], after: &[u8]) {
    let known = found.iter().position(|one| one.path == path);
    let bytes = match known {
        Some(index) => found[index].bytes.clone(),
        // A lock file that is not there, or cannot be read, has no hash to bring in step.
        None => match walk::read(&path) {
            Ok(bytes) => bytes,
            Err(_) => return,
        },
    };
    let name = name_of(&path);
    let Some((finding, edit)) = lock::rehash(&name, &bytes, before, after) else {
        return;
    };
    let index = known.unwrap_or_else(|| {
        found.push(Found {
            path,
            name,
            bytes,
            scan: FileScan::default(),
        });
        found.len() - 1
    });
    let scan = &mut found[index].scan;
    scan.findings.push(finding);
    scan.edits.extend(edit);
    scan.edits = settle(std::mem::take(&mut scan.edits));
}

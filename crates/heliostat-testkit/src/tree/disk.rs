//! Walking directories.

use std::path::Path;

/// Every file below a directory, as sorted paths relative to it with `/` between segments. Empty where there is none.
pub(super) fn files_below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![String::new()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(directory.join(&folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| {
                panic!("cannot list {}/{folder}: {error}", directory.display())
            });
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            // Follows symbolic links, which other programs' trees have; a dangling one counts as a file.
            if entry.path().is_dir() {
                waiting.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The names of the projects that a `simple` directory has pages of, sorted. What is left of one that went are copies of
/// its page that older signed states name; they make no project.
pub(super) fn projects_in(simple: &Path) -> Vec<String> {
    let mut names = directories_in(simple);
    names.retain(|name| {
        let files = files_below(&simple.join(name));
        files.is_empty() || !files.iter().all(|file| is_signed_copy(file))
    });
    names
}

/// Whether a file beside a page is a copy of it under its digest.
pub(super) fn is_signed_copy(name: &str) -> bool {
    name.strip_suffix(".index.v1_json")
        .is_some_and(|digest| digest.len() == 64)
}

fn directories_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

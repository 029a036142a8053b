//! Whether a tree has what its upstream has, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use super::page::{Entry, Offer, Page};
use super::{Expect, Held, Paths, Problem, What, disk};
use crate::fixture::sha256_hex;
use crate::universe::{Project, StoredFile, Universe, Yank};

/// Compares a tree with what the upstream holds: projects, files, digests, marks and serials. What is on the pages is
/// taken at its word; [`super::check_tree`] holds it against the disk.
pub fn compare_with(web: &Path, upstream: &Universe, expect: &Expect) -> Vec<Problem> {
    let wanted = |name: &str| {
        expect
            .projects
            .as_ref()
            .is_none_or(|projects| projects.contains(name))
    };
    let there: BTreeSet<_> = disk::projects_in(&web.join("simple")).into_iter().collect();
    let mut problems = Vec::new();
    let shown = upstream
        .projects()
        .filter(|(_, project)| project.is_listed() && project.has_page());
    let expected: BTreeSet<_> = shown
        .map(|(name, _)| name)
        .filter(|name| wanted(name))
        .collect();
    for name in there
        .iter()
        .filter(|name| !expected.contains(name.as_str()))
    {
        problems.push(Problem {
            place: name.clone(),
            what: What::Surplus("this project".to_owned()),
        });
    }
    for name in expected {
        if !there.contains(name) {
            problems.push(Problem {
                place: name.to_owned(),
                what: What::Lacking("this project".to_owned()),
            });
            continue;
        }
        let path = web.join("simple").join(name).join("index.v1_json");
        let page = std::fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| Page::from_json(&bytes));
        let found = match (page, upstream.project(name)) {
            (Ok(page), Some(project)) => compare_project(&page, project, expect),
            (Err(why), _) => vec![What::BadDocument(why)],
            (Ok(_), None) => Vec::new(),
        };
        problems.extend(found.into_iter().map(|what| Problem {
            place: name.to_owned(),
            what,
        }));
    }
    problems
}

fn compare_project(page: &Page, project: &Project, expect: &Expect) -> Vec<What> {
    let mut found = Vec::new();
    if let Some(serial) = page.serial.filter(|serial| *serial != project.serial) {
        found.push(What::Differs(format!(
            "serial {serial}, upstream {}",
            project.serial
        )));
    }
    let status = page.status.as_deref().unwrap_or("active");
    if status != project.status {
        found.push(What::Differs(format!(
            "status {status}, upstream {}",
            project.status
        )));
    }
    let versions = |versions: &[String]| versions.iter().cloned().collect::<BTreeSet<_>>();
    if !page.versions.is_empty() && versions(&page.versions) != versions(&project.versions) {
        found.push(What::Differs(format!(
            "versions {:?}, upstream {:?}",
            page.versions, project.versions
        )));
    }
    for filename in page.files.keys().filter(|filename| {
        !project
            .offered()
            .iter()
            .any(|file| file.filename == **filename)
    }) {
        found.push(What::Surplus(filename.clone()));
    }
    for file in project.offered() {
        match page.files.get(&file.filename) {
            None => found.push(What::Lacking(file.filename.clone())),
            Some(entry) => {
                let differences = compare_file(entry, file, expect);
                found.extend(
                    differences
                        .into_iter()
                        .map(|how| What::Differs(format!("{}: {how}", file.filename))),
                );
            }
        }
    }
    found
}

fn compare_file(entry: &Entry, file: &StoredFile, expect: &Expect) -> Vec<String> {
    let mut found = Vec::new();
    let mut expect_equal = |what: &str, here: Option<&str>, there: Option<&str>| {
        if here != there {
            found.push(format!("{what} {here:?}, upstream {there:?}"));
        }
    };
    expect_equal("sha256", entry.sha256.as_deref(), Some(&file.sha256));
    expect_equal(
        "requires-python",
        entry.requires_python.as_deref(),
        file.requires_python.as_deref(),
    );
    let yanked = match &file.yanked {
        Yank::No => None,
        Yank::Yes => Some(""),
        Yank::Because(reason) => Some(reason.as_str()),
    };
    expect_equal("yanked", entry.yanked.as_deref(), yanked);
    if let Some(time) = &entry.upload_time {
        expect_equal("upload-time", Some(time), Some(&file.upload_time));
    }
    let size = file.bytes.len().to_string();
    if let Some(here) = entry.size_bytes.map(|size| size.to_string()) {
        expect_equal("size", Some(&here), Some(&size));
    }
    if expect.paths == Paths::ByContent && !entry.url.ends_with(&file.path()) {
        found.push(format!("at {}, upstream {}", entry.url, file.path()));
    }
    found.extend(compare_metadata(entry, file, expect));
    found
}

/// A mirror offers the metadata of every wheel, whether the upstream does or not; where it holds only pages, what the upstream offers.
fn compare_metadata(entry: &Entry, file: &StoredFile, expect: &Expect) -> Option<String> {
    let digest = file.metadata.as_deref().map(sha256_hex);
    match (&entry.metadata, digest) {
        (Offer::Sha256(here), Some(there)) if *here != there => {
            Some(format!("metadata {here}, upstream {there}"))
        }
        (Offer::Absent, Some(_)) if file.offered_metadata().is_some() => {
            Some("the upstream offers metadata".to_owned())
        }
        (Offer::Absent, Some(_)) if expect.files == Held::Every && file.is_wheel() => {
            Some("metadata is not offered".to_owned())
        }
        (Offer::Unhashed | Offer::Sha256(_), None) => {
            Some("there is no metadata to offer".to_owned())
        }
        _ => None,
    }
}

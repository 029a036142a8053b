//! Links between the documents: every relative one leads to a file that is there, and to a heading that is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::Finding;

/// Written by `cargo xtask docs`, which sees to it itself that they are there.
const GENERATED: &str = "docs/reference/";

/// Checks all documents against each other and against the list of all files.
pub(super) fn check(documents: &BTreeMap<PathBuf, String>, files: &[PathBuf]) -> Vec<Finding> {
    let all: BTreeSet<&Path> = files.iter().map(PathBuf::as_path).collect();
    let mut findings = Vec::new();
    for (document, text) in documents {
        for (target, line) in links(text) {
            if let Some(fault) = fault(document, target, documents, &all) {
                findings.push(Finding::at(document.display().to_string(), line, fault));
            }
        }
    }
    findings
}

fn fault(
    document: &Path,
    target: &str,
    documents: &BTreeMap<PathBuf, String>,
    all: &BTreeSet<&Path>,
) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() {
        document.to_owned()
    } else {
        resolve(document, path)
    };
    if path.starts_with(GENERATED) {
        return None;
    }
    let exists = all.contains(path.as_path()) || all.iter().any(|file| file.starts_with(&path));
    if !exists {
        return Some(format!("links to `{target}`, which is not there"));
    }
    let anchor = anchor?;
    let text = documents.get(&path)?;
    let leads_somewhere = headings(text).any(|heading| slug(heading) == anchor);
    (!leads_somewhere).then(|| format!("links to `{target}`, but no heading there is called so"))
}

/// The targets of `[…](target)` outside code blocks, each with its line from 1.
fn links(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for (line, number) in prose(text) {
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            found.extend(rest.find(')').map(|end| (&rest[..end], number)));
        }
    }
    found
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    prose(text).filter_map(|(line, _)| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()))
}

fn prose(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut in_code = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The anchor that code hosts give a heading.
fn slug(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.flat_map(char::to_lowercase)
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

fn resolve(document: &Path, target: &str) -> PathBuf {
    let mut path = document.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> usize {
        let other = "# Some title, here\n".to_owned();
        let documents = BTreeMap::from([
            ("docs/a.md".into(), text.to_owned()),
            ("docs/b.md".into(), other),
        ]);
        let files = ["docs/a.md", "docs/b.md", "contrib/x/y"].map(PathBuf::from);
        check(&documents, &files).len()
    }

    #[test]
    fn links_lead_somewhere() {
        assert_eq!(
            faults(
                "[b](b.md) [x](../contrib/x) [web](https://example.org/c) [r](reference/cli.md)"
            ),
            0
        );
        assert_eq!(faults("[c](c.md)"), 1);
        assert_eq!(faults("[c](../a.md) and [d](d.md)"), 2);
        assert_eq!(faults("```\n[c](c.md)\n```\n"), 0);
    }

    #[test]
    fn anchors_are_headings() {
        assert_eq!(faults("[b](b.md#some-title-here)"), 0);
        assert_eq!(faults("[b](b.md#some-title)"), 1);
        assert_eq!(faults("# One\n[here](#one)"), 0);
        assert_eq!(faults("# One\n[there](#two)"), 1);
    }
}

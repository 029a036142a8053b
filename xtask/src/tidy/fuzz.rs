//! The fuzz package: outside of the workspace, so that no build of ours would notice a manifest that cannot be read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

use super::Finding;

const MANIFEST: &str = "fuzz/Cargo.toml";

/// Checks that the manifest can be read and names a program for each target.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Vec<Finding> {
    let manifest = root.join(MANIFEST);
    match MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
    {
        Ok(metadata) => missing(&programs(&metadata), files),
        Err(error) => vec![Finding::whole(MANIFEST, format!("cannot be read: {error}"))],
    }
}

fn programs(metadata: &Metadata) -> BTreeSet<String> {
    let targets = metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets);
    targets.map(|target| target.name.clone()).collect()
}

fn missing(programs: &BTreeSet<String>, files: &[PathBuf]) -> Vec<Finding> {
    files
        .iter()
        .filter_map(|file| file.strip_prefix("fuzz/fuzz_targets").ok())
        .filter_map(|file| file.file_stem()?.to_str())
        .filter(|target| !programs.contains(*target))
        .map(|target| Finding::whole(MANIFEST, format!("has no [[bin]] `{target}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_program() {
        let programs = BTreeSet::from(["page".to_owned()]);
        let file = |name: &str| PathBuf::from(format!("fuzz/fuzz_targets/{name}.rs"));
        assert_eq!(missing(&programs, &[file("page")]), []);
        assert_eq!(missing(&programs, &[file("page"), file("key")]).len(), 1);
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_told() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("fuzz")).unwrap();
        let twice = "[package]\nname = \"a\"\nname = \"b\"\n";
        std::fs::write(root.path().join(MANIFEST), twice).unwrap();
        let findings = check(root.path(), &[]);
        assert_eq!(findings[0].place, MANIFEST);
    }
}

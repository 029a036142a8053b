//! What may stand where: test directories, and fuzz targets with their corpora.

use std::path::{Path, PathBuf};

use super::Finding;

/// Checks the paths of all files of the project, sorted or not.
pub(super) fn check(files: &[PathBuf]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = files
        .iter()
        .filter_map(|file| check_test_path(file))
        .collect();
    findings.extend(
        files
            .iter()
            .filter_map(|file| check_fuzz_target(file, files)),
    );
    findings
}

/// One integration binary per crate: Rust under `tests/` stands in `tests/it/`, beside it only data.
fn check_test_path(file: &Path) -> Option<Finding> {
    let parts: Vec<&str> = names(file);
    let tests = parts.iter().position(|part| *part == "tests")?;
    let at_crate_root = matches!(parts[..tests], ["crates", _] | ["xtask"]);
    let stray = at_crate_root && is_rust(file) && parts.get(tests + 1) != Some(&"it");
    stray.then(|| {
        Finding::whole(
            shown(file),
            "Rust under tests/ belongs into the one binary tests/it/main.rs",
        )
    })
}

fn check_fuzz_target(file: &Path, files: &[PathBuf]) -> Option<Finding> {
    let target = file
        .strip_prefix("fuzz/fuzz_targets")
        .ok()?
        .file_stem()
        .filter(|_| is_rust(file))?;
    let corpus = Path::new("fuzz/corpus").join(target);
    let has_corpus = files.iter().any(|other| other.starts_with(&corpus));
    (!has_corpus).then(|| {
        Finding::whole(
            shown(file),
            format!("has no corpus in {}/", corpus.display()),
        )
    })
}

fn names(path: &Path) -> Vec<&str> {
    path.iter().filter_map(|part| part.to_str()).collect()
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(files: &[&str]) -> Vec<String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        check(&files)
            .into_iter()
            .map(|finding| finding.place)
            .collect()
    }

    #[test]
    fn tests_directories_hold_one_binary_and_data() {
        let fine = [
            "crates/a/tests/it/main.rs",
            "crates/a/tests/data/x.json",
            "crates/a/src/tests.rs",
            "xtask/tests/it/main.rs",
        ];
        assert_eq!(places(&fine), Vec::<String>::new());
        assert_eq!(
            places(&["crates/a/tests/more.rs"]),
            ["crates/a/tests/more.rs"]
        );
        assert_eq!(
            places(&["xtask/tests/data/x.rs"]),
            ["xtask/tests/data/x.rs"]
        );
    }

    #[test]
    fn a_fuzz_target_needs_a_corpus() {
        assert_eq!(
            places(&["fuzz/fuzz_targets/page.rs", "fuzz/corpus/page/one"]),
            Vec::<String>::new()
        );
        assert_eq!(
            places(&["fuzz/fuzz_targets/page.rs", "fuzz/corpus/pages/one"]),
            ["fuzz/fuzz_targets/page.rs"]
        );
    }
}

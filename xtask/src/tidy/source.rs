//! Rules about the text of single files.

use std::path::Path;

use super::Finding;

/// More lines than this want a reason in `LONG_FILES`.
const FILE_LINES_MAX: usize = 600;

/// Files that may be longer, and why: each is one homogeneous list.
const LONG_FILES: [(&str, &str); 0] = [];

/// The one Rust file that spells PyPI's public hosts.
const PYPI_HOSTS_FILE: &str = "crates/heliostat/src/main.rs";

/// PyPI's hosts, split so that this file does not break its own rule. Documentation sites of the same domains are no
/// upstreams and may be cited anywhere.
const PYPI_HOSTS: [&str; 4] = [
    concat!("//pypi", ".org"),
    concat!("files.python", "hosted.org"),
    concat!("upload.pypi", ".org"),
    concat!("test.pypi", ".org"),
];

/// Beginnings of paths that exist on one person's machine only.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
];

/// Words for unfinished work, which belongs in an issue.
const UNFINISHED: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// Checks one file; rules about Rust apply to `.rs` only.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let place = path.display().to_string();
    let mut findings = check_every_line(&place, text);
    if path.extension().is_some_and(|extension| extension == "rs") {
        findings.extend(check_rust_file(&place, text));
        findings.extend(check_rust_lines(&place, text));
    }
    if is_member_manifest(path) && !text.contains("[lints]\nworkspace = true") {
        findings.push(Finding::whole(place, "does not take the workspace's lints"));
    }
    findings
}

fn is_member_manifest(path: &Path) -> bool {
    let in_member = path.starts_with("crates") || path.starts_with("xtask");
    in_member && path.file_name().is_some_and(|name| name == "Cargo.toml")
}

fn check_every_line(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if let Some(path) = MACHINE_PATHS
            .iter()
            .find(|path| names_directory(line, path))
        {
            findings.push(Finding::at(
                place,
                number,
                format!("names `{path}…`, a path of one machine"),
            ));
        }
        if let Some(word) = UNFINISHED.iter().find(|word| has_word(line, word)) {
            findings.push(Finding::at(
                place,
                number,
                format!("says {word}: finish it or open an issue"),
            ));
        }
    }
    findings
}

fn check_rust_file(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let opening = text
        .lines()
        .find(|line| !line.is_empty() && !line.starts_with("#!"));
    // `tests.rs` beside a module is that module's tests and nothing else, as its name says.
    let says_its_purpose = opening.is_some_and(|line| line.starts_with("//!"));
    if !says_its_purpose && !place.ends_with("/tests.rs") {
        findings.push(Finding::at(
            place,
            1,
            "does not open with `//!`: say what the module owns and what it does not",
        ));
    }
    let lines = text.lines().count();
    let has_reason = LONG_FILES.iter().any(|(file, _)| *file == place);
    if lines > FILE_LINES_MAX && !has_reason {
        let fault = format!(
            "has {lines} lines, over {FILE_LINES_MAX}: split it, or give a reason in xtask/src/tidy/source.rs"
        );
        findings.push(Finding::whole(place, fault));
    }
    findings
}

fn check_rust_lines(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let code = line.trim_start();
        let attribute = code.starts_with("#[") || code.starts_with("#![");
        if attribute && code.contains("allow(") {
            findings.push(Finding::at(
                place,
                number,
                "uses `allow`: write `expect` with a reason",
            ));
        }
        if attribute && code.contains("error(\"") && code.contains("{source") {
            findings.push(Finding::at(
                place,
                number,
                "an error's own text repeats its source, which is printed after it anyway",
            ));
        }
        if place != PYPI_HOSTS_FILE && PYPI_HOSTS.iter().any(|host| code.contains(host)) {
            findings.push(Finding::at(
                place,
                number,
                format!("spells a host of PyPI, which only {PYPI_HOSTS_FILE} does"),
            ));
        }
    }
    findings
}

/// Whether `directory` begins a path here, and is not the middle of a longer one or of a URL.
fn names_directory(line: &str, directory: &str) -> bool {
    let begins = |(at, _): (usize, &str)| {
        !line[..at]
            .ends_with(|before: char| before.is_alphanumeric() || "._-}>~$*".contains(before))
    };
    line.match_indices(directory).any(begins)
}

fn has_word(line: &str, word: &str) -> bool {
    let outside = |text: Option<char>| text.is_none_or(|beside| !beside.is_alphanumeric());
    line.match_indices(word).any(|(at, _)| {
        outside(line[..at].chars().next_back()) && outside(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        check(Path::new(path), text).len()
    }

    #[test]
    fn a_module_opens_with_its_purpose() {
        assert_eq!(faults("a.rs", "//! Owns a.\n"), 0);
        assert_eq!(faults("a.rs", "#![expect(x)]\n\n//! Owns a.\n"), 0);
        assert_eq!(faults("a.rs", "use b;\n//! Owns a.\n"), 1);
        assert_eq!(faults("a.rs", ""), 1);
        assert_eq!(faults("a.toml", "use b\n"), 0);
        assert_eq!(faults("a/tests.rs", "use super::*;\n"), 0);
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        let text = format!("//! Long.\n{}", "\n".repeat(FILE_LINES_MAX));
        assert_eq!(faults("a.rs", &text), 1);
        assert_eq!(faults("a.rs", "//! Short.\n"), 0);
    }

    #[test]
    fn lints_are_expected_and_never_allowed() {
        assert_eq!(
            faults("a.rs", "//! A.\n#[expect(dead_code, reason = \"b\")]\n"),
            0
        );
        assert_eq!(faults("a.rs", "//! A.\n#[allow(dead_code)]\n"), 1);
        assert_eq!(faults("a.rs", "//! A.\nfn b() { c.allow(d) }\n"), 0);
    }

    #[test]
    fn an_error_does_not_repeat_its_source() {
        assert_eq!(
            faults("a.rs", "//! A.\n#[error(\"failed to read `{path}`\")]\n"),
            0
        );
        assert_eq!(
            faults("a.rs", "//! A.\n#[error(\"failed: {source}\")]\n"),
            1
        );
    }

    #[test]
    fn unfinished_work_does_not_stay() {
        assert_eq!(faults("a.md", concat!("FIX", "ME: later")), 1);
        assert_eq!(faults("a.md", concat!("XX", "XL marks nothing")), 0);
    }

    #[test]
    fn paths_of_one_machine_do_not_stay() {
        assert_eq!(faults("a.md", concat!("see /wo", "rk/main")), 1);
        assert_eq!(
            faults(
                "a.md",
                concat!("see https://example.org/wo", "rk/main and ~/ro", "ot/x")
            ),
            0
        );
    }

    #[test]
    fn members_take_the_lints() {
        assert_eq!(
            faults("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"),
            0
        );
        assert_eq!(faults("crates/a/Cargo.toml", "[package]\n"), 1);
        assert_eq!(faults("Cargo.toml", "[workspace]\n"), 0);
    }

    #[test]
    fn hosts_of_pypi_stand_once() {
        let text = concat!(
            "//! A.\nconst ROOT: &str = \"https://pypi",
            ".org/simple/\";\n"
        );
        assert_eq!(faults("crates/a/src/lib.rs", text), 1);
        assert_eq!(faults(PYPI_HOSTS_FILE, text), 0);
        assert_eq!(faults("README.md", text), 0);
        assert_eq!(
            faults(
                "a.rs",
                concat!("//! See <https://docs.pypi", ".org/api/>.\n")
            ),
            0
        );
    }
}

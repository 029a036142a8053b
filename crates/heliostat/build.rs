//! Puts the commit into `--version`, where there is a commit to name, and lets the linker fold what is the same.

use std::path::Path;
use std::process::Command;

fn main() {
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let commit = commit.as_deref().unwrap_or("no commit");
    println!("cargo:rustc-env=HELIOSTAT_COMMIT={commit}");
    println!("cargo:rerun-if-changed=build.rs");
    fold_identical_functions();
    // What names the commit: HEAD, and the branch that it stands for. Git tells where they are, which in a worktree is
    // elsewhere; a path that is not there would make every build start anew.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in [Some("HEAD".to_owned()), branch].into_iter().flatten() {
        if let Some(path) = git(&["rev-parse", "--git-path", &name])
            && Path::new(&path).exists()
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

/// One copy of functions whose machine code is the same (a fortieth of the program), where the linker is the one that
/// comes with the toolchain. Nothing here tells functions apart by their addresses.
#[expect(
    clippy::disallowed_methods,
    reason = "Cargo tells a build script everything in the environment"
)]
fn fold_identical_functions() {
    let is = |name, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}

/// What git prints, in one line; `None` where there is no repository, or no git.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

//! `cargo xtask test`: everything that can be checked, in order, stopping at the first failure.
//!
//! The last lines it prints are the test runner's own summary; what was skipped is listed before that.

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, cargo, find};
use crate::console::{Console, in_ci};
use crate::debian;
use crate::docs;
use crate::tidy;
use crate::workspace::{Profile, Workspace};

/// The testkit's program, which installs the Python clients that tests drive.
const TESTKIT: &str = "heliostat-testkit";

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Format, lints, house rules and unit tests only; installs nothing.
    #[arg(long)]
    quick: bool,
}

/// The test runner failed, and has said so.
#[derive(Debug)]
pub(crate) struct TestsFailed;

/// How far a build of tests goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    UnitTests,
}

impl fmt::Display for TestsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tests failed")
    }
}

impl std::error::Error for TestsFailed {}

/// Runs the steps.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut console = Console::new();
    let features = workspace.test_features();
    check_format(workspace, &console)?;
    check_lints(workspace, &console, &features)?;
    console.step("house rules (tidy)");
    tidy::run(workspace)?;
    if arguments.quick {
        for left_out in [
            "the fuzz targets",
            "rustdoc",
            "the generated reference",
            "integration and end-to-end tests",
        ] {
            console.skip(&format!("{left_out} (--quick)"));
        }
        return run_tests(workspace, &console, &features, Scope::UnitTests);
    }
    check_small(workspace, &console)?;
    check_fuzz_targets(workspace, &console)?;
    check_rustdoc(workspace, &console)?;
    build(workspace, &console, &features)?;
    console.step("generated reference (docs --check)");
    docs::check(workspace, &mut console, Profile::Dev)?;
    console.step("Debian packages");
    debian::ensure(&mut console, &debian::FOR_TESTS);
    install_clients(workspace, &mut console);
    run_tests(workspace, &console, &features, Scope::Everything)
}

fn check_format(workspace: &Workspace, console: &Console) -> Result<()> {
    console.step("rustfmt");
    command::run(&mut cargo(workspace, &["fmt", "--all", "--check"]))
        .context("run `cargo fmt --all` to put it right")
}

fn check_lints(workspace: &Workspace, console: &Console, features: &[String]) -> Result<()> {
    console.step("clippy");
    let mut clippy = cargo(
        workspace,
        &["clippy", "--workspace", "--all-targets", "--locked"],
    );
    command::run(clippy.args(features).args(["--", "-D", "warnings"]))
}

/// The program without what stands behind features: it must build, and say nothing.
fn check_small(workspace: &Workspace, console: &Console) -> Result<()> {
    console.step("clippy without features");
    let arguments = [
        "clippy",
        "--package",
        "heliostat",
        "--no-default-features",
        "--locked",
    ];
    command::run(cargo(workspace, &arguments).args(["--", "-D", "warnings"]))
}

/// What the fuzz targets call, which is built outside of the workspace from files of it. The programs themselves take
/// nightly and a compiler for C++.
fn check_fuzz_targets(workspace: &Workspace, console: &Console) -> Result<()> {
    console.step("clippy of the fuzz targets");
    let arguments = [
        "clippy",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--lib",
        "--no-default-features",
        "--locked",
    ];
    let mut clippy = cargo(workspace, &arguments);
    clippy.env("CARGO_TARGET_DIR", workspace.target_directory());
    command::run(clippy.args(["--", "-D", "warnings"]))
}

fn check_rustdoc(workspace: &Workspace, console: &Console) -> Result<()> {
    console.step("rustdoc");
    let mut doc = cargo(workspace, &["doc", "--workspace", "--no-deps", "--locked"]);
    command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The same packages and features as the tests, so that nothing is compiled twice.
fn build(workspace: &Workspace, console: &Console, features: &[String]) -> Result<()> {
    console.step("build");
    command::run(cargo(workspace, &["build", "--workspace", "--locked"]).args(features))
}

fn install_clients(workspace: &Workspace, console: &mut Console) {
    console.step("Python clients");
    if !workspace.has_program(TESTKIT) {
        console.skip(&format!(
            "no program `{TESTKIT}` in the workspace, so no Python clients"
        ));
        return;
    }
    let mut install = Command::new(workspace.program(TESTKIT, Profile::Dev));
    install
        .arg("install-clients")
        .current_dir(&workspace.root)
        .env("PIP_NO_INPUT", "1")
        .stdout(std::io::stderr());
    if let Err(error) = command::run(&mut install) {
        // It has said which; whoever is no root or has no network still gets the rest checked.
        console.skip(&format!("not every client could be installed: {error:#}"));
    }
}

fn run_tests(
    workspace: &Workspace,
    console: &Console,
    features: &[String],
    scope: Scope,
) -> Result<()> {
    let runner = if find("cargo-nextest").is_some() {
        &["nextest", "run"][..]
    } else {
        &["test", "--no-fail-fast"]
    };
    let mut tests = cargo(workspace, runner);
    tests.args(["--workspace", "--locked"]).args(features);
    if scope == Scope::UnitTests {
        tests.args(["--lib", "--bins"]);
    }
    if runner[0] == "nextest" {
        // One test among over a thousand that a stalled machine fails would hold up everything else; what passes at its second try is named FLAKY in the summary.
        tests.args(["--retries", "1"]);
        if in_ci() {
            tests.args(["--profile", "ci"]);
        }
    }
    // A snapshot that differs is a failure, never a file that appears.
    tests
        .env("INSTA_UPDATE", "no")
        .env_remove("INSTA_FORCE_PASS");
    console.step("what was left out");
    console.print_skipped();
    console.step(&format!("tests (cargo {})", runner.join(" ")));
    let status = tests
        .status()
        .with_context(|| format!("failed to start `{}`", command::show(&tests)))?;
    if status.success() {
        Ok(())
    } else {
        Err(TestsFailed.into())
    }
}

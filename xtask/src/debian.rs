//! Debian packages that tests and benchmarks use, installed only where we are root on a Debian.

use std::process::Command;

use crate::command::{self, find};
use crate::console::Console;

/// A program that something here can use, and the package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// The program's name on `PATH`.
    pub(crate) program: &'static str,
    /// Debian's name for the package.
    pub(crate) package: &'static str,
    /// What cannot be done without it.
    pub(crate) wanted_for: &'static str,
}

/// What `cargo xtask test` uses.
pub(crate) const FOR_TESTS: [Tool; 4] = [
    Tool {
        program: "nginx",
        package: "nginx",
        wanted_for: "serving the tree with contrib/nginx",
    },
    Tool {
        program: "sqlite3",
        package: "sqlite3",
        wanted_for: "reading the catalog as an operator would",
    },
    Tool {
        program: "chromium",
        package: "chromium",
        wanted_for: "looking at the home page",
    },
    Tool {
        program: "ip",
        package: "iproute2",
        wanted_for: "installing from hosts that lose their network",
    },
];

/// What `cargo xtask bench` uses.
pub(crate) const FOR_BENCHES: [Tool; 2] = [
    Tool {
        program: "nginx",
        package: "nginx",
        wanted_for: "the yardstick, and the upstream of the sync bench",
    },
    Tool {
        program: "wrk",
        package: "wrk",
        wanted_for: "load",
    },
];

/// Installs what is missing. What cannot be had is skipped aloud: the tests that need it skip themselves and say so.
pub(crate) fn ensure(console: &mut Console, tools: &[Tool]) {
    let missing: Vec<Tool> = tools
        .iter()
        .copied()
        .filter(|tool| find(tool.program).is_none())
        .collect();
    if missing.is_empty() {
        console.note("all there");
        return;
    }
    if let Err(reason) = install(console, &missing) {
        console.note(&reason);
    }
    for tool in missing
        .into_iter()
        .filter(|tool| find(tool.program).is_none())
    {
        console.skip(&format!(
            "{} is not installed (Debian: {}), so no {}",
            tool.program, tool.package, tool.wanted_for
        ));
    }
}

fn install(console: &Console, missing: &[Tool]) -> Result<(), String> {
    let apt_get = find("apt-get").ok_or("this is no Debian: install them by hand")?;
    if !is_root() {
        return Err("not root, so no Debian packages are installed".to_owned());
    }
    let names: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    console.note(&format!("installing {}", names.join(", ")));
    let quiet = |arguments: &[&str]| {
        let mut command = Command::new(&apt_get);
        command
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        // dpkg's talk goes to stderr with ours: stdout belongs to the test runner's summary.
        command.stdout(std::io::stderr());
        command::run(&mut command).map_err(|error| format!("{error:#}"))
    };
    quiet(&["update"])?;
    quiet(&[&["install", "--yes", "--no-install-recommends"][..], &names].concat())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

//! `cargo xtask online`: real packages from the real PyPI, through `serve` on demand and through `sync`.
//!
//! A person starts it, never a build server: it needs the network and says something about the day's PyPI too.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};
use crate::console::{Console, in_ci};
use crate::python::{Environment, empty_directory};
use crate::server::Server;
use crate::workspace::{Profile, Workspace};

/// Small, widely used, few dependencies outside this list.
const PROJECTS: [&str; 20] = [
    "attrs",
    "blinker",
    "certifi",
    "charset-normalizer",
    "click",
    "colorama",
    "flask",
    "idna",
    "iniconfig",
    "itsdangerous",
    "jinja2",
    "markupsafe",
    "packaging",
    "pluggy",
    "requests",
    "six",
    "tomli",
    "typing-extensions",
    "urllib3",
    "werkzeug",
];

/// Arguments of `cargo xtask online`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Take from this Simple API root instead of PyPI.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

/// Both installers, each with its own directory for what it installs.
#[derive(Debug)]
struct Installers {
    environment: Environment,
    scratch: PathBuf,
}

/// Installs everything through an on-demand cache, then through a mirror that may not ask anybody.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if in_ci() {
        bail!(
            "`cargo xtask online` asks the public PyPI, so it is not for build servers (CI is set)"
        );
    }
    let console = Console::new();
    console.step("build");
    command::run(&mut cargo(
        workspace,
        &["build", "--release", "--locked", "--package", "heliostat"],
    ))?;
    console.step("pip and uv");
    let installers = Installers {
        environment: Environment::ensure(workspace, "online", "installers", &["pip", "uv"])?,
        scratch: workspace.target_directory().join("online/scratch"),
    };
    empty_directory(&installers.scratch)?;
    let program = workspace.program("heliostat", Profile::Release);
    let upstream: Vec<&str> = arguments
        .upstream
        .iter()
        .flat_map(|url| ["--upstream", url])
        .collect();

    console.step("serve, on demand");
    let on_demand = installers.scratch.join("on-demand");
    let server = start(&program, &on_demand, &upstream)?;
    installers.install_all(&console, &server.address)?;
    drop(server);

    console.step("sync, then serve offline");
    let mirror = installers.scratch.join("mirror");
    // Only what runs here: all files of twenty projects would be gigabytes of PyPI's bandwidth.
    let mut sync = Command::new(&program);
    sync.arg("sync")
        .args(PROJECTS)
        .args(["--latest", "1", "--data"])
        .arg(&mirror)
        .args(&upstream);
    command::run(&mut sync)?;
    let server = start(&program, &mirror, &["--offline"])?;
    installers.install_all(&console, &server.address)?;
    drop(server);
    console.step("all installed, four times over");
    Ok(())
}

fn start(program: &Path, data: &Path, more: &[&str]) -> Result<Server> {
    let mut serve = Command::new(program);
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .args(more);
    Server::start("heliostat", &mut serve).context("heliostat did not come up")
}

impl Installers {
    fn install_all(&self, console: &Console, address: &str) -> Result<()> {
        let index = format!("{address}/simple/");
        let target = self.scratch.join("target");
        let plain = |program: &str| {
            let mut command = Command::new(self.environment.program(program));
            // What this machine has configured for its own use must not decide where packages come from.
            command
                .env("PIP_CONFIG_FILE", "/dev/null")
                .env("UV_NO_CONFIG", "1");
            for (name, _) in std::env::vars_os() {
                let configured = |name: &str| name.starts_with("PIP_") || name.starts_with("UV_");
                if name != "PIP_CONFIG_FILE"
                    && name != "UV_NO_CONFIG"
                    && name.to_str().is_some_and(configured)
                {
                    command.env_remove(name);
                }
            }
            command
        };
        console.note("pip");
        empty_directory(&target)?;
        let mut pip = plain("pip");
        pip.args([
            "install",
            "--quiet",
            "--no-cache-dir",
            "--index-url",
            &index,
            "--target",
        ])
        .arg(&target);
        command::run(pip.args(PROJECTS))?;
        console.note("uv");
        empty_directory(&target)?;
        let mut uv = plain("uv");
        uv.args([
            "pip",
            "install",
            "--quiet",
            "--no-cache",
            "--index-url",
            &index,
            "--target",
        ])
        .arg(&target);
        command::run(
            uv.arg("--python")
                .arg(self.environment.program("python"))
                .args(PROJECTS),
        )
    }
}

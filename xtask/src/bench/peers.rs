//! The peers we are measured beside: how each is installed, configured and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{AREA, Ground};
use crate::command;
use crate::python::{Environment, empty_directory};
use crate::server::{Server, free_port};

/// bandersnatch, the mirror client of the Python Packaging Authority, in the newest version that this machine's newest Python takes.
#[derive(Debug)]
pub(super) struct Bandersnatch {
    /// Name and version.
    pub(super) title: String,
    program: PathBuf,
}

/// A caching index with its URL for pages.
#[derive(Debug)]
pub(super) struct Cache {
    /// Name and version.
    pub(super) title: String,
    /// The Simple API root, with a slash at the end.
    pub(super) simple_root: String,
    /// The running server.
    pub(super) server: Server,
}

impl Bandersnatch {
    /// Installs it where it is not yet.
    pub(super) fn install(ground: &Ground<'_>) -> Result<Self> {
        let environment =
            Environment::ensure(ground.workspace, AREA, "bandersnatch", &["bandersnatch"])?;
        Ok(Self {
            title: environment.version("bandersnatch")?,
            program: environment.program("bandersnatch"),
        })
    }

    /// `bandersnatch mirror` from `upstream` (no slash at the end) into `directory`.
    pub(super) fn mirror(&self, directory: &Path, upstream: &str, workers: u32) -> Result<Command> {
        fs::create_dir_all(directory)
            .with_context(|| format!("failed to make `{}`", directory.display()))?;
        let configuration = directory.join("bandersnatch.conf");
        let home = directory.display();
        // 10 is the most workers it takes; hashes are its default and ours.
        let text = format!(
            "[mirror]\ndirectory = {home}\nmaster = {upstream}\nallow-non-https = true\nworkers = {workers}\njson = false\n\
             timeout = 60\nhash-index = false\ncompare-method = hash\nsimple-format = ALL\n"
        );
        fs::write(&configuration, text)
            .with_context(|| format!("failed to write `{}`", configuration.display()))?;
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(configuration).arg("mirror");
        Ok(command)
    }
}

/// `shadowmire sync` with files, from another shadowmire's tree over plain HTTP, which spares it XML-RPC and one request
/// a project.
pub(super) fn mirror_with_shadowmire(
    program: &Path,
    directory: &Path,
    upstream: &str,
    workers: u32,
) -> Result<Command> {
    // It wants to be started where it may write.
    fs::create_dir_all(directory)
        .with_context(|| format!("failed to make `{}`", directory.display()))?;
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env("SHADOWMIRE_WORKERS", workers.to_string())
        .arg("--repo")
        .arg(directory)
        .args([
            "sync",
            "--sync-packages",
            "--shadowmire-upstream",
            &format!("{upstream}/"),
        ]);
    Ok(command)
}

/// devpi-server with one mirror index, as its documentation sets one up.
pub(super) fn start_devpi(
    ground: &Ground<'_>,
    directory: &Path,
    upstream_root: &str,
) -> Result<Cache> {
    let environment = Environment::ensure(
        ground.workspace,
        AREA,
        "devpi",
        &["devpi-server", "devpi-client"],
    )?;
    empty_directory(directory)?;
    let state = directory.join("server");
    let talk = || Stdio::from(std::io::stderr());
    let mut init = Command::new(environment.program("devpi-init"));
    command::run(
        init.arg("--serverdir")
            .arg(&state)
            .args(["--no-root-pypi"])
            .stdout(talk()),
    )?;
    let port = free_port()?;
    let mut serve = Command::new(environment.program("devpi-server"));
    serve
        .arg("--serverdir")
        .arg(&state)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    let server = Server::start_on(port, &directory.join("output.log"), &mut serve)?;
    let client = |arguments: &[&str]| {
        let mut client = Command::new(environment.program("devpi"));
        client
            .arg(arguments[0])
            .arg("--clientdir")
            .arg(directory.join("client"))
            .args(&arguments[1..]);
        command::run(client.stdout(talk()))
    };
    client(&["use", &server.address])?;
    client(&["login", "root", "--password="])?;
    let mirror_url = format!("mirror_url={upstream_root}");
    client(&["index", "-c", "root/up", "type=mirror", &mirror_url])?;
    let simple_root = format!("{}/root/up/+simple/", server.address);
    Ok(Cache {
        title: environment.version("devpi-server")?,
        simple_root,
        server,
    })
}

/// proxpi under gunicorn: one process, since its cache is not shared, and eight threads.
pub(super) fn start_proxpi(
    ground: &Ground<'_>,
    directory: &Path,
    upstream_root: &str,
) -> Result<Cache> {
    let environment =
        Environment::ensure(ground.workspace, AREA, "proxpi", &["proxpi", "gunicorn"])?;
    empty_directory(directory)?;
    let port = free_port()?;
    let mut serve = Command::new(environment.program("gunicorn"));
    serve.args([
        "--workers",
        "1",
        "--threads",
        "8",
        "--bind",
        &format!("127.0.0.1:{port}"),
        "proxpi.server:app",
    ]);
    serve
        .env("PROXPI_INDEX_URL", upstream_root)
        .env("PROXPI_CACHE_DIR", directory.join("cache"));
    let server = Server::start_on(port, &directory.join("output.log"), &mut serve)?;
    let simple_root = format!("{}/index/", server.address);
    Ok(Cache {
        title: environment.version("proxpi")?,
        simple_root,
        server,
    })
}

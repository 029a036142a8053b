//! The product under test, as a program.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Finished, Invocation, Running};

/// One heliostat program with one data directory.
#[derive(Debug, Clone)]
pub struct Heliostat {
    program: PathBuf,
    data: PathBuf,
}

/// `heliostat serve`, ready.
#[derive(Debug)]
pub struct Serving {
    /// The process.
    pub process: Running,
    /// What it printed as its address, without a trailing slash, e.g. `http://127.0.0.1:40001`.
    pub url: String,
}

impl Heliostat {
    /// `program` is usually `env!("CARGO_BIN_EXE_heliostat")`.
    pub fn new(program: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            data: data.into(),
        }
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The tree.
    pub fn web(&self) -> PathBuf {
        self.data.join("web")
    }

    /// `heliostat SUBCOMMAND --data DATA`.
    pub fn command(&self, subcommand: &str) -> Invocation {
        let command = Invocation::new(&self.program)
            .args(subcommand.split(' '))
            .arg("--data")
            .arg(&self.data);
        match subcommand {
            // The provenance of a universe is signed by nobody, which is to be told only where a test is about that.
            "sync" | "serve" | "verify" => command.env("HELIOSTAT_ATTESTATIONS", "ignore"),
            _ => command,
        }
    }

    /// `heliostat` alone, without `--data`.
    pub fn bare(&self) -> Invocation {
        Invocation::new(&self.program)
    }

    /// `heliostat sync --data DATA --upstream URL ARGUMENTS…`, run to its end.
    pub fn sync(&self, upstream: &str, arguments: &[&str]) -> Finished {
        self.command("sync")
            .args(["--upstream", upstream])
            .args(arguments)
            .run()
    }

    /// `heliostat verify --data DATA ARGUMENTS…`, run to its end.
    pub fn verify(&self, arguments: &[&str]) -> Finished {
        self.command("verify").args(arguments).run()
    }

    /// `heliostat serve --data DATA --listen 127.0.0.1:0 ARGUMENTS…`, once it listens.
    #[track_caller]
    pub fn serve(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Serving {
        let invocation = self
            .command("serve")
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments);
        Serving::wait(invocation.start())
    }
}

impl Serving {
    /// Waits for the `listening on` line of any invocation of `serve`.
    #[track_caller]
    pub fn wait(mut process: Running) -> Self {
        let url = process
            .wait_for_line("listening on ")
            .trim()
            .trim_end_matches('/')
            .to_owned();
        Self { process, url }
    }

    /// `<url>/simple/`
    pub fn index_url(&self) -> String {
        format!("{}/simple/", self.url)
    }

    /// The address to connect to.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        let authority = self.url.split("://").nth(1).unwrap_or_default();
        authority
            .parse()
            .unwrap_or_else(|error| panic!("`{}` is no address: {error}", self.url))
    }

    /// Stops it (SIGTERM) and waits.
    #[track_caller]
    pub fn stop(self) -> Finished {
        self.process.terminate()
    }
}

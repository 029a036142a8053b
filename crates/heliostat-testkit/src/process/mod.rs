//! Programs under test: started with a clean environment, watched, stopped, measured.
//!
//! Owns child processes, their output and their deaths. No child outlives its handle. Linux only, as are the
//! measurements.

mod heliostat;
mod running;
mod usage;

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub use heliostat::{Heliostat, Serving};
pub use running::{Finished, Running};
pub use usage::Usage;

/// How long a program may take unless its invocation says otherwise.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A program about to be started.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    patience: Duration,
}

impl Invocation {
    /// Without arguments, with a clean environment: nothing in it configures heliostat, pip, uv or a proxy, and
    /// there is no home directory to find configuration in.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, _value) in std::env::vars_os() {
            if configures_something(&name) {
                command.env_remove(name);
            }
        }
        command.env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
        Self {
            command,
            patience: PATIENCE,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes an environment variable away.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs it as another user and group, which only root can.
    #[must_use]
    pub fn as_user(mut self, id: u32) -> Self {
        self.command.uid(id).gid(id);
        self
    }

    /// Has another program start it: `program arguments… this`, in the same environment and directory.
    #[must_use]
    pub fn started_by(
        self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Self {
        let inner = &self.command;
        let mut outer = Self::new(program).args(arguments);
        outer
            .command
            .arg(inner.get_program())
            .args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => outer.command.env(name, value),
                None => outer.command.env_remove(name),
            };
        }
        if let Some(directory) = inner.get_current_dir() {
            outer.command.current_dir(directory);
        }
        outer.patience(self.patience)
    }

    /// How long it may take to end, or to say what is waited for.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let words: Vec<_> = std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(OsStr::to_string_lossy)
            .collect();
        let shown = words.join(" ");
        let child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        Running::new(child, shown, self.patience)
    }

    /// Starts it and waits for its end. One that takes too long is killed, and the test fails.
    pub fn run(self) -> Finished {
        self.start().wait()
    }
}

/// Whether a variable would reach into a program under test.
fn configures_something(name: &OsString) -> bool {
    const PREFIXES: [&str; 8] = [
        "HELIOSTAT_",
        "PIP_",
        "UV_",
        "TWINE_",
        "PYTHON",
        "XDG_",
        "SSL_CERT",
        "VIRTUAL_ENV",
    ];
    let name = name.to_string_lossy().to_ascii_uppercase();
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.ends_with("_PROXY")
        || ["NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].contains(&name.as_str())
}

/// A port on loopback that was free a moment ago. Prefer port 0 wherever the program can tell which it got.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// The first of these that is a file: absolute paths as they are, names along `PATH` and the system's own folders.
pub fn find_program(candidates: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin"].map(PathBuf::from))
        .collect();
    candidates
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests;

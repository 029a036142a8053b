//! Real programs: the proxy under attack, and the installers that go through it. Bounded in time, killed when dropped.
//!
//! Looks for nothing: which programs these are is the caller's word.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::AttackError;

/// The programs that take part.
#[derive(Debug, Clone)]
pub struct Programs {
    /// heliostat itself, for `heliostat proxy`.
    pub heliostat: PathBuf,
    /// Who installs.
    pub installers: Vec<Installer>,
}

/// One installer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installer {
    /// pip or uv.
    pub kind: InstallerKind,
    /// For pip the Python that has it, for uv the program.
    pub program: PathBuf,
}

/// The installers that the board knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstallerKind {
    /// `python -m pip`
    Pip,
    /// `uv pip`
    Uv,
}

/// A program that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    /// How; `None` when its time was up and it was killed.
    pub(crate) status: Option<ExitStatus>,
    /// What it wrote to both streams.
    pub(crate) said: String,
    /// From start to end.
    pub(crate) elapsed: Duration,
}

/// `heliostat proxy`, ready.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
    /// What it printed as its address, without a slash at the end.
    pub(crate) url: String,
    talk: Option<JoinHandle<String>>,
}

/// How long an installer may take; a proxy that keeps it waiting longer has failed the row.
pub(crate) const INSTALL_MAX: Duration = Duration::from_mins(1);
/// How long the proxy may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// How often something that runs is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Output kept of each program, in bytes.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;

impl InstallerKind {
    /// As the board writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Uv => "uv",
        }
    }
}

/// Where an installer takes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Index<'i> {
    /// This index, and nothing else.
    Only(&'i str),
    /// What the configuration in this home says.
    Configured(&'i Path),
}

impl Installer {
    /// Installs `requirement` into the new directory `target`, with an empty cache.
    pub(crate) fn install(
        &self,
        index: Index<'_>,
        requirement: &str,
        target: &Path,
    ) -> Result<Finished, AttackError> {
        run(self.command(index, requirement, target), INSTALL_MAX)
    }

    /// The command that does it.
    pub(crate) fn command(&self, index: Index<'_>, requirement: &str, target: &Path) -> Command {
        let cache = target.with_extension("cache");
        let mut command = Command::new(&self.program);
        match self.kind {
            InstallerKind::Pip => {
                command.args(["-m", "pip", "--no-input", "--disable-pip-version-check"]);
                if let Index::Only(_) = index {
                    command.arg("--isolated");
                }
                command
                    .args(["--retries", "0", "--timeout", "30", "--cache-dir"])
                    .arg(&cache)
                    .args(["install", "--no-build-isolation"]);
                if let Index::Only(url) = index {
                    command.args(["--index-url", url]);
                }
            }
            InstallerKind::Uv => {
                command
                    .args(["pip", "install", "--no-progress", "--cache-dir"])
                    .arg(&cache);
                if let Index::Only(url) = index {
                    command.args(["--no-config", "--default-index", url]);
                }
            }
        }
        command.arg("--target").arg(target).arg(requirement);
        match index {
            Index::Only(_) => command.env("PIP_CONFIG_FILE", "/dev/null"),
            Index::Configured(home) => in_home(&mut command, home),
        };
        command
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_HTTP_TIMEOUT", "30")
            .env("UV_HTTP_RETRIES", "0")
            .env_remove("PIP_FIND_LINKS")
            .env_remove("PIP_EXTRA_INDEX_URL");
        command
    }
}

/// A command of somebody who lives in `home`, and whose environment says nothing about indexes.
pub(crate) fn in_home<'c>(command: &'c mut Command, home: &Path) -> &'c mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("XDG_CONFIG_DIRS", home.join("none"))
        .current_dir(home)
}

impl Finished {
    /// The code that it ended with, where it ended by itself.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }

    /// Whether it ended with exit code 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl Proxy {
    /// Starts `heliostat proxy` with these further arguments and waits for its line.
    pub(crate) fn start(heliostat: &Path, arguments: &[OsString]) -> Result<Self, AttackError> {
        let mut child = Command::new(heliostat)
            .args(["proxy", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| AttackError::StartProgram {
                program: heliostat.display().to_string(),
                source,
            })?;
        let stdout = child.stdout.take();
        let talk = child.stderr.take().map(listen_to);
        let (tell, told) = std::sync::mpsc::channel();
        let reading = std::thread::spawn(move || {
            let lines = stdout.map(|stdout| BufReader::new(stdout).lines());
            for line in lines.into_iter().flatten().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("listening on ") {
                    let _nobody_waits = tell.send(url.trim_end_matches('/').to_owned());
                }
            }
        });
        let mut proxy = Self {
            child,
            url: String::new(),
            talk,
        };
        match told.recv_timeout(START_MAX) {
            Ok(url) => {
                proxy.url = url;
                // Ends with the process, whose pipe it reads.
                drop(reading);
                Ok(proxy)
            }
            Err(_) => Err(AttackError::StartProxy(proxy.stop())),
        }
    }

    /// The most memory that it has had so far, in bytes, where the system tells (Linux).
    pub(crate) fn memory_max_bytes(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes << 10)
    }

    /// Kills it, as a crash would, and tells what it wrote to stderr.
    pub(crate) fn stop(&mut self) -> String {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
        self.talk
            .take()
            .and_then(|talk| talk.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a program to its end, or to the end of its time.
pub(crate) fn run(mut command: Command, time_max: Duration) -> Result<Finished, AttackError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| AttackError::StartProgram { program, source })?;
    let streams = [
        child.stdout.take().map(listen_to),
        child.stderr.take().map(listen_to),
    ];
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if started.elapsed() < time_max => std::thread::sleep(LOOK_INTERVAL),
            _ => {
                let _ended_already = child.kill();
                let _reaped = child.wait();
                break None;
            }
        }
    };
    let elapsed = started.elapsed();
    let said = streams
        .into_iter()
        .flatten()
        .filter_map(|stream| stream.join().ok())
        .collect();
    Ok(Finished {
        status,
        said,
        elapsed,
    })
}

/// Reads a stream to its end, keeping the first of it.
fn listen_to(stream: impl std::io::Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut stream = stream;
        let _broken_pipe = stream
            .by_ref()
            .take(OUTPUT_BYTES_MAX)
            .read_to_end(&mut kept);
        let _broken_pipe = std::io::copy(&mut stream, &mut std::io::sink());
        String::from_utf8_lossy(&kept).into_owned()
    })
}

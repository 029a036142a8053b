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

impl Installer {
    /// Installs `requirement` into the new directory `target` from one index and nothing else, with an empty cache.
    pub(crate) fn install(
        &self,
        index_url: &str,
        requirement: &str,
        target: &Path,
    ) -> Result<Finished, AttackError> {
        let cache = target.with_extension("cache");
        let mut command = Command::new(&self.program);
        match self.kind {
            InstallerKind::Pip => command
                .args(["-m", "pip", "--no-input", "--disable-pip-version-check"])
                .args([
                    "--isolated",
                    "--retries",
                    "0",
                    "--timeout",
                    "30",
                    "--cache-dir",
                ])
                .arg(&cache)
                .args(["install", "--no-build-isolation", "--index-url", index_url])
                .arg("--target")
                .arg(target),
            InstallerKind::Uv => command
                .args([
                    "pip",
                    "install",
                    "--no-config",
                    "--no-progress",
                    "--cache-dir",
                ])
                .arg(&cache)
                .args(["--default-index", index_url, "--target"])
                .arg(target),
        };
        command
            .arg(requirement)
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_HTTP_TIMEOUT", "30")
            .env("UV_HTTP_RETRIES", "0")
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env_remove("PIP_FIND_LINKS")
            .env_remove("PIP_EXTRA_INDEX_URL");
        run(command, INSTALL_MAX)
    }
}

impl Finished {
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
fn run(mut command: Command, time_max: Duration) -> Result<Finished, AttackError> {
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

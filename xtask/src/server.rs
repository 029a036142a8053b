//! A server that runs beside us for a while: started, waited for, measured, stopped when dropped.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::show;

/// How long a server may take to come up.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a server may take to end after SIGTERM before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its scheme, host and port, without a slash at the end.
    pub(crate) address: String,
    child: Child,
}

impl Server {
    /// Starts a program that says `… on http://HOST:PORT…` on stdout when it is ready, as ours do.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let shown = show(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start `{shown}`"))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .with_context(|| format!("failed to read what {name} says"))?;
        let Some(address) = address_in(&line) else {
            let _already_gone = child.kill();
            let status = child.wait()?;
            bail!("`{shown}` did not say where it listens but {line:?} ({status})");
        };
        // Whatever it says later is read and let go, so that it never waits for us.
        thread::spawn(move || std::io::copy(&mut reader.take(u64::MAX), &mut std::io::sink()));
        Ok(Self { address, child })
    }

    /// Starts a program that listens on a port we chose, and waits until it takes connections.
    pub(crate) fn start_on(port: u16, log: &Path, command: &mut Command) -> Result<Self> {
        let shown = show(command);
        let log_file = std::fs::File::create(log)
            .with_context(|| format!("failed to write `{}`", log.display()))?;
        let also = log_file
            .try_clone()
            .context("failed to share the log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(also)
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("failed to start `{shown}`"))?;
        let mut server = Self {
            address: format!("http://127.0.0.1:{port}"),
            child,
        };
        let socket = SocketAddr::from(([127, 0, 0, 1], port));
        let started = Instant::now();
        while TcpStream::connect(socket).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("`{shown}` ended ({status}); see `{}`", log.display());
            }
            if started.elapsed() > START_TIMEOUT {
                bail!(
                    "`{shown}` takes no connections after {START_TIMEOUT:?}; see `{}`",
                    log.display()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Kills it, without a chance to tidy up.
    pub(crate) fn kill(mut self) {
        let _already_gone = self.child.kill();
    }

    /// The process, whose descendants do the work for some servers.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // std cannot send SIGTERM, and a server that is killed leaves its children behind.
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let started = Instant::now();
        while asked.is_ok() && started.elapsed() < STOP_TIMEOUT {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?.port())
}

fn address_in(line: &str) -> Option<String> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let address = line[start..].split_whitespace().next()?;
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split('/').next()?;
    Some(format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_ready_gives_the_address() {
        assert_eq!(
            address_in("listening on http://127.0.0.1:81\n").as_deref(),
            Some("http://127.0.0.1:81")
        );
        assert_eq!(
            address_in("http://127.0.0.1:9/simple/\n").as_deref(),
            Some("http://127.0.0.1:9")
        );
        assert_eq!(address_in("ready\n"), None);
    }
}

//! Programs of people that get something on stdin: signers, and what carries mail. None may take longer, or print more,
//! than is good for whoever waits.

use std::io::{ErrorKind, IsTerminal as _, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio_util::sync::CancellationToken;

/// How long one may take: somebody may have to touch something.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one that is at work may go on once we have been told to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes that one may print; a signature has two thousand digits at most.
const PRINTED_BYTES_MAX: usize = 64 << 10;
/// How often it is looked whether it has ended, or we have been told to stop.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// Runs a program, gives it these bytes, and answers what it printed; its stderr goes where ours does. The words are
/// its name and its arguments; no shell reads them. It is ended where it takes a minute, prints more than 64 kB, or is
/// still at work five seconds after `stop`. An error names the program.
pub(crate) fn run(
    words: &[String],
    bytes: &[u8],
    stop: &CancellationToken,
) -> Result<Vec<u8>, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("no program is named".to_owned());
    };
    let refuse = |reason: String| format!("`{program}`: {reason}");
    let mut at_work = AtWork::start(Command::new(program).args(arguments)).map_err(refuse)?;
    let ended = at_work.carry(bytes, stop);
    let status = match ended {
        Ok(status) => status,
        Err(reason) => {
            at_work.end();
            return Err(refuse(reason));
        }
    };
    if !status.success() {
        return Err(format!("`{program}` ended with {status}"));
    }
    Ok(at_work.printed)
}

/// A program that runs, and the pipes to it. Neither is ever waited for without a limit: whoever the program started may
/// hold them open when it has long ended.
struct AtWork {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    printed: Vec<u8>,
    /// Whether it has a process group of its own, with all that it starts. On a terminal it has not: it may have to ask
    /// there, which only the terminal's own group can.
    is_group: bool,
}

impl AtWork {
    fn start(command: &mut Command) -> Result<Self, String> {
        let is_group = !std::io::stdin().is_terminal();
        if is_group {
            command.process_group(0);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let at_work = Self {
            child,
            stdin,
            stdout,
            printed: Vec::new(),
            is_group,
        };
        let unblocked = unblock(at_work.stdin.as_ref()).and(unblock(at_work.stdout.as_ref()));
        unblocked.map_err(|error| error.to_string())?;
        Ok(at_work)
    }

    /// Gives it the bytes and takes what it prints until it has ended.
    fn carry(&mut self, bytes: &[u8], stop: &CancellationToken) -> Result<ExitStatus, String> {
        let mut until = Instant::now() + PATIENCE;
        let (mut rest, mut is_stopping) = (bytes, false);
        loop {
            if stop.is_cancelled() && !is_stopping {
                is_stopping = true;
                until = until.min(Instant::now() + STOP_PATIENCE);
            }
            if Instant::now() >= until {
                let why = if is_stopping {
                    "it was at work when heliostat was told to stop, and was ended"
                } else {
                    "it did not end within a minute and was ended"
                };
                return Err(why.to_owned());
            }
            self.wait();
            self.give(&mut rest);
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            // What was printed before the end is there by now.
            self.take()?;
            if let Some(status) = ended {
                return Ok(status);
            }
        }
    }

    /// Waits for a pipe that can go on, and not for long.
    fn wait(&self) {
        let stdin = self.stdin.as_ref();
        let stdin = stdin.map(|pipe| PollFd::new(pipe, PollFlags::OUT));
        let stdout = self.stdout.as_ref();
        let stdout = stdout.map(|pipe| PollFd::new(pipe, PollFlags::IN));
        let mut pipes: Vec<PollFd<'_>> = stdin.into_iter().chain(stdout).collect();
        // Interrupted or not, the caller looks again.
        let _ready = poll(&mut pipes, Some(&LOOK_EVERY));
    }

    /// As much of the bytes as the pipe takes now. A program that does not read them ends with an error of its own.
    fn give(&mut self, rest: &mut &[u8]) {
        while let Some(pipe) = &mut self.stdin {
            match pipe.write(rest) {
                Ok(count) => *rest = rest.get(count..).unwrap_or_default(),
                Err(error) if is_passing(error.kind()) => return,
                Err(_closed) => *rest = &[],
            }
            if rest.is_empty() {
                self.stdin = None;
            }
        }
    }

    /// What it has printed by now.
    fn take(&mut self) -> Result<(), String> {
        let mut part = [0; 4096];
        while let Some(pipe) = &mut self.stdout {
            match pipe.read(&mut part) {
                Ok(0) => self.stdout = None,
                Ok(count) => self.printed.extend_from_slice(&part[..count]),
                Err(error) if is_passing(error.kind()) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
            if self.printed.len() > PRINTED_BYTES_MAX {
                let limit = PRINTED_BYTES_MAX >> 10;
                return Err(format!("it printed more than {limit} KiB and was ended"));
            }
        }
        Ok(())
    }

    /// Ends it, with all that it started where that can be known.
    fn end(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| self.is_group) {
            let _gone_already = kill_process_group(id, Signal::KILL);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn unblock(pipe: Option<&impl AsFd>) -> std::io::Result<()> {
    if let Some(pipe) = pipe {
        let flags = fcntl_getfl(pipe)?;
        fcntl_setfl(pipe, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, bytes: &[u8], stop: &CancellationToken) -> Result<Vec<u8>, String> {
        run(&["sh", "-c", script].map(str::to_owned), bytes, stop)
    }

    #[test]
    fn what_a_program_reads_and_prints_may_be_larger_than_a_pipe() {
        let stop = CancellationToken::new();
        let bytes = vec![b'x'; 1 << 20];
        let counted = sh("wc -c", &bytes, &stop).unwrap();
        assert_eq!(String::from_utf8_lossy(&counted).trim(), "1048576");
        // Who does not read is not waited for.
        assert_eq!(sh("echo yes", &bytes, &stop).unwrap(), b"yes\n");
        // Nor is whoever it left behind, who holds its stdout.
        let left = sh("sleep 600 & echo $!", &[], &stop).unwrap();
        let left = String::from_utf8(left).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(left).unwrap(), Signal::KILL).unwrap();
    }

    #[test]
    fn one_that_prints_without_end_or_hangs_is_ended() {
        let stop = CancellationToken::new();
        let endless = sh("yes", &[], &stop).unwrap_err();
        assert!(endless.contains("more than 64 KiB"), "{endless}");
        let bytes = vec![b'x'; 1 << 20];
        stop.cancel();
        let hanging = sh("sleep 600", &bytes, &stop).unwrap_err();
        assert!(hanging.contains("told to stop"), "{hanging}");
        // One that is quick may still end when we are told to stop.
        assert_eq!(sh("cat", b"yes", &stop).unwrap(), b"yes");
    }
}

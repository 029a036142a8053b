//! A started program: its output as it comes, its end however it comes.

use std::io::Read;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::usage::Usage;

/// How often a child is looked at while it is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(4);
/// Output kept of each stream; more fails the test rather than the machine.
const OUTPUT_BYTES_MAX: usize = 256 << 20;

/// A program that was started. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    shown: String,
    patience: Duration,
    started: Instant,
    usage: Usage,
    stdout: Stream,
    stderr: Stream,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to stdout.
    pub stdout: String,
    /// Everything it wrote to stderr.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
    /// What it used.
    pub usage: Usage,
}

impl Finished {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails the test with everything that was written unless the exit code is this.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.code(), Some(code), "{self}");
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} ended with {}\n── stdout ──\n{}\n── stderr ──\n{}",
            self.shown, self.status, self.stdout, self.stderr
        )
    }
}

impl Running {
    pub(super) fn new(mut child: Child, shown: String, patience: Duration) -> Self {
        let stdout = Stream::read(child.stdout.take());
        let stderr = Stream::read(child.stderr.take());
        Self {
            child,
            shown,
            patience,
            started: Instant::now(),
            usage: Usage::default(),
            stdout,
            stderr,
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory and processor time until now.
    pub fn usage(&mut self) -> Usage {
        self.usage.look(self.child.id());
        self.usage
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line on stdout that begins with `prefix`; returns the rest of it.
    #[track_caller]
    pub fn wait_for_line(&mut self, prefix: &str) -> String {
        let found = self.stdout.wait_for(self.patience, |text| {
            let complete = &text[..=text.rfind('\n')?];
            complete
                .lines()
                .find_map(|line| line.strip_prefix(prefix))
                .map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("no line `{prefix}…`\n{}", self.so_far()))
    }

    /// Waits until this text stands on stderr.
    #[track_caller]
    pub fn wait_for_stderr(&mut self, part: &str) {
        let found = self
            .stderr
            .wait_for(self.patience, |text| text.contains(part).then_some(()));
        assert!(found.is_some(), "no `{part}`\n{}", self.so_far());
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        !self.has_ended()
    }

    /// Asks it to stop (SIGTERM) and waits.
    #[track_caller]
    pub fn terminate(self) -> Finished {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Interrupts it, as Ctrl-C does (SIGINT). It goes on running until it has stopped.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Asks it to stop (SIGTERM) and gives it so long; for the ends of tests, where nobody looks at how it ended.
    pub fn stop_within(&mut self, patience: Duration) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + patience;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Kills it (SIGKILL).
    #[track_caller]
    pub fn kill(self) -> Finished {
        self.signal(Signal::KILL);
        self.wait()
    }

    /// Waits for its end. One that takes too long is killed, and the test fails.
    #[track_caller]
    pub fn wait(mut self) -> Finished {
        let deadline = Instant::now() + self.patience;
        while !self.has_ended() {
            assert!(
                Instant::now() < deadline,
                "not done after {:?}\n{}",
                self.patience,
                self.so_far()
            );
            std::thread::sleep(LOOK_INTERVAL);
        }
        let elapsed = self.started.elapsed();
        self.usage.look(self.child.id());
        let status = self.child.wait().expect("an ended child can be waited for");
        Finished {
            shown: self.shown.clone(),
            status,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            elapsed,
            usage: self.usage,
        }
    }

    /// Whether it has ended, without reaping it: its processor time is still to be read.
    fn has_ended(&mut self) -> bool {
        self.usage.look(self.child.id());
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid()), options) {
            Ok(status) => status.is_some(),
            // Already reaped, by us.
            Err(_no_child) => true,
        }
    }

    fn pid(&self) -> Pid {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        Pid::from_raw(id).expect("process ids are not zero")
    }

    fn signal(&self, signal: Signal) {
        // Until it is reaped its id is its own, so this hits nobody else; one that has ended need not hear it.
        let _result = kill_process(self.pid(), signal);
    }

    fn so_far(&self) -> String {
        format!(
            "{}\n── stdout ──\n{}\n── stderr ──\n{}",
            self.shown,
            self.stdout.text(),
            self.stderr.text()
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has been reaped already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// One output stream, read on a thread so that the child never waits for us.
#[derive(Debug)]
struct Stream {
    shared: Arc<(Mutex<Collected>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    fn read(source: Option<impl Read + Send + 'static>) -> Self {
        let shared = Arc::new((Mutex::new(Collected::default()), Condvar::new()));
        let to = Arc::clone(&shared);
        let reader = source.map(|source| std::thread::spawn(move || collect(source, &to)));
        Self { shared, reader }
    }

    fn text(&self) -> String {
        let collected = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&collected.bytes).into_owned()
    }

    fn wait_for<T>(
        &self,
        patience: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        let (collected, news) = &*self.shared;
        let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = find(&String::from_utf8_lossy(&collected.bytes)) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if collected.ended || left.is_zero() {
                return None;
            }
            collected = news
                .wait_timeout(collected, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Everything, once the child has closed the stream.
    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.text()
    }
}

fn collect(mut source: impl Read, to: &(Mutex<Collected>, Condvar)) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = source.read(&mut buffer).unwrap_or(0);
        let mut collected = to.0.lock().unwrap_or_else(PoisonError::into_inner);
        collected.bytes.extend_from_slice(&buffer[..count]);
        collected.ended = count == 0 || collected.bytes.len() > OUTPUT_BYTES_MAX;
        to.1.notify_all();
        if collected.ended {
            return;
        }
    }
}

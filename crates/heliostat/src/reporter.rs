//! Shows a run while it goes: bars on a terminal, one line per interval elsewhere, JSON lines when asked for.
//!
//! stdout is data (`--json`), stderr is talk. Counts what the engine tells; decides nothing.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use heliostat_engine::{Event, Events, ProjectOutcome, Stage};
use heliostat_pypi::Serial;
use indicatif::{ProgressBar, ProgressStyle};

use crate::render;

/// How often a line is printed when there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How often the bar is drawn anew.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// Failures named while the run goes; the rest stands in the ledger and the summary.
const FAILURES_NAMED_MAX: u64 = 20;

/// What stdout is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// A summary for people.
    Text,
    /// One JSON object a line.
    JsonLines,
}

/// Events that are shown as the output and the terminal ask for.
pub(crate) fn events(output: Output) -> Events {
    let reporter = Mutex::new(Reporter::new(output));
    Events::new(move |event| {
        reporter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .show(&event);
    })
}

/// Prints one JSON line to stdout. A closed pipe ends the program's talk, not its work.
pub(crate) fn json_line(value: &impl serde::Serialize) {
    if let Ok(mut line) = serde_json::to_vec(value) {
        line.push(b'\n');
        let _closed_pipe = std::io::stdout().lock().write_all(&line);
    }
}

/// Prints text to stdout.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _closed_pipe = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Prints a line of talk to stderr.
pub(crate) fn talk(text: &str) {
    let _closed_pipe = writeln!(std::io::stderr().lock(), "{text}");
}

#[derive(Debug)]
struct Reporter {
    output: Output,
    bar: Option<ProgressBar>,
    started: Instant,
    last_shown: Instant,
    projects: u64,
    projects_done: u64,
    files: u64,
    files_done: u64,
    wanted_bytes: u64,
    bytes: u64,
    failures: u64,
    warnings: u64,
}

impl Reporter {
    fn new(output: Output) -> Self {
        let bar = (output == Output::Text && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template(
                "{spinner} [{elapsed}] {wide_bar} {pos}/{len} projects  {msg}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        let now = Instant::now();
        Self {
            output,
            bar,
            started: now,
            last_shown: now,
            projects: 0,
            projects_done: 0,
            files: 0,
            files_done: 0,
            wanted_bytes: 0,
            bytes: 0,
            failures: 0,
            warnings: 0,
        }
    }

    fn show(&mut self, event: &Event) {
        self.count(event);
        if self.output == Output::JsonLines {
            // Bytes come far too often to be told one by one.
            if !matches!(event, Event::Bytes { .. }) {
                json_line(event);
            }
            return;
        }
        if let Some(line) = self.line(event) {
            self.say(&line);
        }
        self.tick();
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Planned { refresh, drop, .. } => self.projects = refresh + drop,
            Event::Wanted {
                files, size_bytes, ..
            } => {
                self.files += files;
                self.wanted_bytes += size_bytes;
            }
            Event::Stage {
                projects,
                size_bytes,
                ..
            } => {
                self.projects = *projects;
                self.wanted_bytes = *size_bytes;
                self.projects_done = 0;
                self.bytes = 0;
                self.started = Instant::now();
            }
            Event::Bytes { count } => self.bytes += count,
            Event::File { .. } => self.files_done += 1,
            Event::Project { .. } => self.projects_done += 1,
            Event::Failed { .. } => self.failures += 1,
            Event::Warned { .. } => self.warnings += 1,
            _ => {}
        }
    }

    /// What is worth a line of its own.
    fn line(&self, event: &Event) -> Option<String> {
        match event {
            Event::Recovered { redone, discarded } => Some(format!(
                "an earlier run was cut off: {} finished, {} discarded",
                render::plural(*redone, "commit"),
                render::plural(*discarded, "temporary file")
            )),
            Event::Listed {
                projects: Some(projects),
                serial,
                rejected,
            } => Some(listed_line(*projects, *serial, *rejected)),
            Event::Listed { projects: None, .. } => {
                Some("the upstream's list is unchanged".to_owned())
            }
            Event::Planned {
                refresh,
                drop,
                keep,
                waiting,
            } => Some(format!(
                "{} to refresh, {} to remove, {} up to date, {} waiting",
                render::count(*refresh),
                render::count(*drop),
                render::count(*keep),
                render::count(*waiting)
            )),
            Event::Stage {
                stage,
                projects,
                size_bytes,
            } => Some(stage_line(*stage, *projects, *size_bytes)),
            Event::Resolving { target, projects } => Some(format!(
                "resolving for {target}: {} looked at",
                render::plural(*projects, "project")
            )),
            Event::Warned {
                project,
                item,
                reason,
            } if self.warnings <= FAILURES_NAMED_MAX => {
                Some(format!("warning: `{project}` `{item}`: {reason}"))
            }
            Event::Failed {
                project,
                item,
                reason,
                ..
            } if self.failures <= FAILURES_NAMED_MAX => {
                let item = if item.is_empty() {
                    String::new()
                } else {
                    format!(" `{item}`")
                };
                Some(format!("failed: `{project}`{item}: {reason}"))
            }
            Event::Rejected {
                project,
                count,
                first,
            } => Some(format!(
                "`{project}`: {} left out, the first {first}",
                render::plural(*count, "entry")
            )),
            Event::Project {
                project,
                outcome: ProjectOutcome::Dropped,
            } => Some(format!("removed `{project}`")),
            _ => None,
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => talk(line),
        }
    }

    /// Shows how far it is, now and then: events come by the ten thousand a second, and words for each of them would
    /// cost more than what they tell of.
    fn tick(&mut self) {
        let now = Instant::now();
        let is_done = self.projects_done >= self.projects && self.projects > 0;
        let interval = match &self.bar {
            Some(_) if is_done => Duration::ZERO,
            Some(_) => BAR_INTERVAL,
            None => LINE_INTERVAL,
        };
        if now - self.last_shown < interval {
            return;
        }
        self.last_shown = now;
        let message = self.message(now);
        if let Some(bar) = &self.bar {
            bar.set_length(self.projects);
            bar.set_position(self.projects_done);
            bar.set_message(message);
            if is_done {
                // The summary comes next and must not stand behind the bar.
                bar.finish_and_clear();
            }
        } else {
            talk(&format!(
                "{}/{} projects, {message}",
                self.projects_done, self.projects
            ));
        }
    }

    /// Files, bytes, rate and the time left. The time left is told only once enough is known to be honest about it.
    fn message(&self, now: Instant) -> String {
        let elapsed = (now - self.started).as_secs().max(1);
        let rate = self.bytes / elapsed;
        let mut text = if self.files == 0 {
            String::new()
        } else {
            format!(
                "{}/{} files, ",
                render::count(self.files_done),
                render::count(self.files)
            )
        };
        text.push_str(&render::bytes(self.bytes));
        text.push_str(" at ");
        text.push_str(&render::bytes(rate));
        text.push_str("/s");
        let share_known =
            self.projects_done.saturating_mul(20) >= self.projects && self.projects_done > 0;
        if elapsed >= 5 && share_known {
            let by_projects = elapsed * (self.projects.saturating_sub(self.projects_done))
                / self.projects_done.max(1);
            let by_bytes = self
                .wanted_bytes
                .saturating_sub(self.bytes)
                .checked_div(rate)
                .unwrap_or(0);
            text.push_str(", about ");
            text.push_str(&render::span(by_projects.max(by_bytes)));
            text.push_str(" left");
        }
        if self.failures > 0 {
            text.push_str(", ");
            text.push_str(&render::plural(self.failures, "failure"));
        }
        text
    }
}

fn listed_line(projects: u64, serial: Option<Serial>, rejected: u64) -> String {
    let serial = serial
        .map(|serial| format!(" at serial {serial}"))
        .unwrap_or_default();
    let rejected = if rejected == 0 {
        String::new()
    } else {
        format!(", {} left out", render::plural(rejected, "name"))
    };
    format!(
        "the upstream lists {}{serial}{rejected}",
        render::plural(projects, "project")
    )
}

/// What an export or import does now.
fn stage_line(stage: Stage, projects: u64, size_bytes: u64) -> String {
    let projects = render::plural(projects, "project");
    match stage {
        Stage::Planning => format!("looking through {projects}"),
        Stage::Packing => format!("packing {projects}, {}", render::bytes(size_bytes)),
        Stage::Checking => "checking the bundle".to_owned(),
        Stage::Taking => format!("taking {projects}, {}", render::bytes(size_bytes)),
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

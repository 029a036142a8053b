//! `heliostat trust status`: what expires when, whether the bins fit, and whether something must be done.

use std::fmt::Write as _;

use heliostat_engine::Events;
use heliostat_engine::publish::{self, Fit, WaitingRoles};
use heliostat_store::{Origin, RoleState, Store};
use heliostat_trust::TrustError;
use heliostat_trust::bins::Bin;
use heliostat_trust::ceremony::{Due, Lives, due};
use heliostat_trust::check::Found;
use heliostat_trust::metadata::{
    self, Authority, Expiry, Metadata, Root, Signed, Snapshot, Targets, Version,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{expiry, rebin};
use crate::cli::CommonArgs;
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// The largest file of another role that is read, in bytes.
const ROLE_BYTES_MAX: u64 = 8 << 20;

/// The largest root, in bytes.
const ROOT_BYTES_MAX: u64 = 512 << 10;

#[derive(Debug, Serialize)]
struct Line {
    role: String,
    version: u64,
    expires: String,
    left_seconds: i64,
    due: &'static str,
    #[serde(skip)]
    how: Due,
}

#[derive(Debug, Serialize)]
struct Status {
    custody: String,
    roles: Vec<Line>,
    bins: Fit,
    due: bool,
    /// What no client takes, whatever is in force.
    faults: Vec<String>,
    /// What people signed last and clients do not see yet.
    waiting: Option<WaitingRoles>,
    /// The command that mends the number of bins, where that is due.
    next: Option<String>,
    /// What to do about roles that are due.
    steps: Vec<Step>,
}

/// A command that begins to sign roles anew.
#[derive(Debug, Serialize)]
struct Step {
    roles: Vec<String>,
    run: String,
}

pub(super) fn run(common: &CommonArgs, json: bool) -> anyhow::Result<Outcome> {
    let store = wire::open_existing_store(common, &Events::none())?;
    let Some(notary) = store.notary()? else {
        let text = "this data directory is not signed; `heliostat trust init` begins";
        return Err(UsageError(text.to_owned()).into());
    };
    let carries = notary.origin == Origin::Carried;
    if carries && !store.roles()?.iter().any(|role| role.name == "bins") {
        let text = "no state that the upstream's notary signed is here yet: it comes with the first sync that \
                    brings everything; `heliostat status` tells what failed";
        return Err(UsageError(text.to_owned()).into());
    }
    let status = status(&store, notary.origin, expiry::now()?)?;
    if json {
        reporter::json_line(&status);
    } else {
        print(&status);
    }
    Ok(if status.due {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn status(store: &Store, origin: Origin, now: Timestamp) -> anyhow::Result<Status> {
    let roles = store.roles()?;
    let fit = publish::fit(store)?;
    let usual = Lives::default();
    let mut lines = Vec::new();
    let mut bins: Option<(usize, Line)> = None;
    for role in &roles {
        let line = line(role, &usual, now)?;
        if !role.name.starts_with("bin-") {
            lines.push(line);
            continue;
        }
        // Bins of another number hold nothing, nobody asks for them, and they are not signed again.
        let of_today = |bin: Bin| bin.count().get() == fit.bins;
        if !role
            .name
            .parse()
            .is_ok_and(|name| Bin::of_role(&name).is_some_and(of_today))
        {
            continue;
        }
        // Thousands of bins: the one that expires first stands for all.
        bins = Some(match bins {
            None => (1, line),
            Some((count, first)) if first.left_seconds <= line.left_seconds => (count + 1, first),
            Some((count, _)) => (count + 1, line),
        });
    }
    if let Some((count, mut first)) = bins {
        first.role = format!("{count} bins, first {}", first.role);
        lines.push(first);
    }
    lines.sort_by_key(|line| line.left_seconds);
    let root = root(store, &roles)?;
    // What an upstream's notary signed is for its people to mend.
    let rebins = origin == Origin::Own && fit.is_due();
    let next = root
        .as_ref()
        .filter(|_| rebins)
        .map(|root| rebin::command(store, root));
    let faults = match &root {
        Some(root) => faults(store, &roles, root)?,
        None => vec!["there is no root".to_owned()],
    };
    let waiting = publish::waiting(store)?;
    let next_root = match &waiting {
        None => root.as_ref().map(|root| root.version.next()),
        // People signed already.
        Some(_) => None,
    };
    Ok(Status {
        steps: next_steps(store, origin, &lines, next_root),
        custody: root.as_ref().map_or_else(|| "no root".to_owned(), custody),
        due: rebins
            || waiting.is_some()
            || !faults.is_empty()
            || lines.iter().any(|line| line.how != Due::Not),
        faults,
        waiting,
        roles: lines,
        bins: fit,
        next,
    })
}

/// What begins to sign anew whatever is due: people do that once for all that they sign, with the root that comes next;
/// the rest, and of an upstream's notary everything, comes with a sync.
fn next_steps(
    store: &Store,
    origin: Origin,
    lines: &[Line],
    next_root: Option<Version>,
) -> Vec<Step> {
    let data = render::word(store.data());
    let is_of_people = |line: &Line| matches!(&*line.role, "root" | "targets" | "bins");
    let due = lines.iter().filter(|line| line.how != Due::Not);
    let (people, machine): (Vec<_>, Vec<_>) =
        due.partition(|line| origin == Origin::Own && is_of_people(line));
    let step = |of: Vec<&Line>, run: String| Step {
        roles: of.iter().map(|line| line.role.clone()).collect(),
        run,
    };
    let renewal = |next| format!("heliostat trust renew --data {data} -o renewal-{next}");
    let people = next_root.map(|next| step(people, renewal(next)));
    let machine = step(machine, format!("heliostat sync --data {data}"));
    let mut steps: Vec<_> = people.into_iter().chain([machine]).collect();
    steps.retain(|step| !step.roles.is_empty());
    steps
}

fn line(role: &RoleState, lives: &Lives, now: Timestamp) -> anyhow::Result<Line> {
    let found = Found {
        role: role.name.clone(),
        version: Version::new(role.version).unwrap_or(Version::FIRST),
        expires: Expiry::at(Timestamp::from_second(role.expires_at)?),
    };
    let how = due(&found, lives, now);
    Ok(Line {
        role: found.role,
        version: role.version,
        expires: found.expires.to_string(),
        left_seconds: found.expires.left(now).as_secs(),
        due: match how {
            Due::Not => "no",
            Due::Soon => "soon",
            Due::Expired => "expired",
        },
        how,
    })
}

fn root(store: &Store, roles: &[RoleState]) -> anyhow::Result<Option<Root>> {
    let Some(root) = roles.iter().find(|role| role.name == "root") else {
        return Ok(None);
    };
    let file = store.read_metadata(&format!("{}.root.json", root.version), ROOT_BYTES_MAX)?;
    let root = file.map(|file| Signed::<Root>::read(&file)).transpose()?;
    Ok(root.map(|root| root.value))
}

/// The top-level roles that are not signed, or not by those whom the newest root names: clients refuse everything.
fn faults(store: &Store, roles: &[RoleState], root: &Root) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for (name, authority) in [
        ("timestamp", &root.timestamp),
        ("snapshot", &root.snapshot),
        ("targets", &root.targets),
    ] {
        let Some(role) = roles.iter().find(|role| role.name == name) else {
            faults.push(format!("{name} is not signed yet"));
            continue;
        };
        let file = match name {
            "timestamp" => format!("{name}.json"),
            _ => format!("{}.{name}.json", role.version),
        };
        let Some(bytes) = store.read_metadata(&file, ROLE_BYTES_MAX)? else {
            faults.push(format!("{file} is not there"));
            continue;
        };
        let checked = match name {
            "timestamp" => signed::<metadata::Timestamp>(&bytes, name, authority),
            "snapshot" => signed::<Snapshot>(&bytes, name, authority),
            _ => signed::<Targets>(&bytes, name, authority),
        };
        if let Err(error) = checked {
            faults.push(format!(
                "{file} is not signed as root {} asks: {error}",
                root.version.get()
            ));
        }
    }
    Ok(faults)
}

/// Whether enough of these keys signed a file.
fn signed<T: Metadata>(bytes: &[u8], name: &str, authority: &Authority) -> Result<(), TrustError> {
    let file = Signed::<T>::read(bytes)?;
    authority.check(name, &file.canonical, &file.signatures)
}

/// Who holds the power over everything.
fn custody(root: &Root) -> String {
    let (needed, keys) = (root.root.threshold(), root.root.keys().len());
    if root.root.is_single() {
        "single-key".to_owned()
    } else {
        format!("{needed} of {keys}")
    }
}

fn print(status: &Status) {
    let mut text = format!("signed by {}\n", status.custody);
    for line in &status.roles {
        let left = match line.left_seconds {
            seconds if seconds < 0 => "expired".to_owned(),
            seconds if seconds < 172_800 => format!("{} h left", seconds / 3_600),
            seconds => format!("{} d left", seconds / 86_400),
        };
        let mark = match line.how {
            Due::Not => "",
            Due::Soon => "  DUE",
            Due::Expired => "  EXPIRED",
        };
        let (role, version, expires) = (&line.role, line.version, &line.expires);
        let _infallible = writeln!(text, "{role} {version}: {expires}, {left}{mark}");
    }
    for fault in &status.faults {
        let _infallible = writeln!(text, "{fault}  DUE");
    }
    for step in &status.steps {
        let roles = step.roles.join(", ");
        let _infallible = writeln!(text, "to sign {roles} anew: {}", step.run);
    }
    if !status.faults.is_empty() {
        let _infallible = writeln!(
            text,
            "clients refuse this state: `heliostat sync` with the online key that the newest root names signs it"
        );
    }
    if let Some(waiting) = &status.waiting {
        let _infallible = writeln!(
            text,
            "{} will be seen by clients once {} has signed: `heliostat sync` with that key, or a running `serve` that \
             finds it in its place  DUE",
            waiting.roles.join(", "),
            waiting.keys
        );
    }
    let mark = if status.next.is_some() { "  DUE" } else { "" };
    let _infallible = writeln!(text, "{}{mark}", rebin::told(status.bins));
    if let Some(next) = &status.next {
        let _infallible = writeln!(text, "next: {next}");
    }
    reporter::print(&text);
}

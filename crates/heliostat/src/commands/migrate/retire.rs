//! `heliostat migrate redirect`, `traffic` and `timeline`: the old name while it lasts.

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::Context as _;
use heliostat_migrate::map::Map;
use heliostat_migrate::retire::{self, AddressPolicy, TimelinePlan, Visit};
use heliostat_serve::{Limits, RetiredServer, ServeOptions, TlsFiles};
use tokio_util::sync::CancellationToken;

use super::{UsageError, read_map};
use crate::cli::{AddressKept, MigrateRedirectArgs, MigrateTimelineCommand, MigrateTrafficArgs};
use crate::commands::signals;
use crate::outcome::Outcome;
use crate::{reporter, wire};

/// Visits that wait to be written before one is dropped.
const VISITS_WAITING_MAX: usize = 10_000;

pub(super) fn redirect(args: &MigrateRedirectArgs) -> anyhow::Result<Outcome> {
    let map = read_map(args.map.as_deref())?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let policy = match args.addresses {
        AddressKept::Keep => AddressPolicy::Keep,
        AddressKept::Drop => AddressPolicy::Drop,
        AddressKept::Hash => AddressPolicy::Hash(args.salt.clone().ok_or_else(|| {
            UsageError(
                "`--addresses hash` needs `--salt`: a text that you keep to yourself".to_owned(),
            )
        })?),
    };
    let (sender, receiver) = sync_channel(VISITS_WAITING_MAX);
    let log = args.traffic.as_deref().map(open_log).transpose()?;
    let writer = log.map(|file| std::thread::spawn(move || write_visits(file, &receiver, &policy)));
    let visits = writer.is_some().then_some(sender);
    let runtime = wire::runtime()?;
    let result = runtime.block_on(async {
        let options = ServeOptions {
            listen: args.listen,
            tls,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits::default(),
        };
        let bound = RetiredServer::new(options, map, wire::clock(), visits).bind()?;
        let signals = signals::Signals::listen();
        reporter::print(&format!(
            "listening on {scheme}://{}\n",
            bound.local_address()
        ));
        let cancel = CancellationToken::new();
        let stopped = cancel.clone();
        anyhow::Ok(tokio::select! {
            drained = bound.run(async move { stopped.cancelled().await }) => Some(drained),
            () = signals.watch(&cancel) => None,
        })
    });
    wire::end(runtime);
    if let Some(writer) = writer {
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer of the traffic log broke"))?
            .context("cannot write the traffic log")?;
    }
    Ok(match result? {
        Some(_drained) => Outcome::Done,
        None => Outcome::Findings,
    })
}

fn open_log(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open `--traffic` `{}`", path.display()))
}

fn write_visits(
    mut file: std::fs::File,
    visits: &Receiver<Visit>,
    policy: &AddressPolicy,
) -> std::io::Result<()> {
    while let Ok(visit) = visits.recv() {
        let mut line = serde_json::to_vec(&policy.applied(visit)).map_err(std::io::Error::other)?;
        line.push(b'\n');
        file.write_all(&line)?;
    }
    file.sync_all()
}

pub(super) fn traffic(args: &MigrateTrafficArgs) -> anyhow::Result<Outcome> {
    let bytes = wire::read_small(&args.visits)
        .with_context(|| format!("cannot read the traffic log `{}`", args.visits.display()))?;
    let (hosts, unread) = retire::roll_up(&String::from_utf8_lossy(&bytes));
    let now = wire::clock().now();
    if args.json {
        reporter::json_line(&hosts);
    } else {
        reporter::print(&retire::traffic_text(&hosts, now, args.clear_days));
    }
    if unread > 0 {
        reporter::talk(&format!("{unread} lines of the log are no visits"));
    }
    let clear = hosts
        .values()
        .all(|traffic| traffic.is_clear(now, args.clear_days));
    Ok(if clear {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

pub(super) fn timeline(command: &MigrateTimelineCommand) -> anyhow::Result<Outcome> {
    let (map, json) = match command {
        MigrateTimelineCommand::Show { map, json }
        | MigrateTimelineCommand::Notices { map, json } => (read_map(map.map.as_deref())?, *json),
        MigrateTimelineCommand::Ics { map } => (read_map(map.map.as_deref())?, false),
    };
    let plans = plans(&map);
    if plans.is_empty() {
        return Err(UsageError(
            "no entry of the map has a `[retired.timeline]` with `announced` and `off`".to_owned(),
        )
        .into());
    }
    match command {
        MigrateTimelineCommand::Show { .. } if json => reporter::json_line(&plans),
        MigrateTimelineCommand::Show { .. } => {
            for plan in &plans {
                reporter::print(&retire::text(plan));
            }
        }
        MigrateTimelineCommand::Ics { .. } => reporter::print(&retire::ics(&plans)),
        MigrateTimelineCommand::Notices { .. } => {
            let now = wire::clock().now();
            let notices: Vec<_> = plans
                .iter()
                .filter_map(|plan| retire::notices(map.find(&plan.host)?, plan, now))
                .collect();
            if json {
                reporter::json_line(&notices);
            } else {
                for notice in &notices {
                    reporter::print(&format!("Subject: {}\n\n{}\n", notice.subject, notice.body));
                }
            }
        }
    }
    Ok(Outcome::Done)
}

fn plans(map: &Map) -> Vec<TimelinePlan> {
    map.entries()
        .iter()
        .filter_map(|entry| Some((entry, entry.timeline.as_ref()?)))
        .flat_map(|(entry, timeline)| entry.hosts.iter().map(|host| timeline.plan(host)))
        .collect()
}

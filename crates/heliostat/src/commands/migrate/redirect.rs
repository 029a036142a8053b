//! `heliostat migrate redirect`: the old names while they last, and the log of who comes. `serve` answers for them by
//! the same parts.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context as _;
use heliostat_migrate::map::Map;
use heliostat_migrate::retire::{AddressPolicy, RollUp, Traffic, Visit};
use heliostat_serve::{Limits, RetiredNames, RetiredServer, ServeOptions, TlsFiles};
use tokio_util::sync::CancellationToken;

use super::{UsageError, read_map};
use crate::cli::{AddressKept, MigrateRedirectArgs, RetiredArgs};
use crate::commands::signals;
use crate::outcome::Outcome;
use crate::{reporter, wire};

/// Visits that wait to be written before one is dropped.
const VISITS_WAITING_MAX: usize = 10_000;

/// The longest line of a traffic log that is read, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Days before the end in which no installer may have been redirected.
const CLEAR_DAYS: i64 = 30;

/// Retired names that are being served, with the thread that writes who comes.
pub(crate) struct Names {
    pub(crate) names: RetiredNames,
    log: Log,
}

/// The thread that writes who comes, where anybody asked for it.
pub(crate) struct Log(Option<JoinHandle<std::io::Result<()>>>);

pub(super) fn run(args: &MigrateRedirectArgs) -> anyhow::Result<Outcome> {
    let map = read_map(args.map.as_deref())?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let policy = policy(args.addresses, args.salt.as_deref(), "--salt")?;
    let Names { names, log } = start(map, args.traffic.as_deref(), policy)?;
    let runtime = wire::runtime()?;
    let result = runtime.block_on(async {
        let options = ServeOptions {
            listen: args.listen,
            tls,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits::default(),
        };
        let bound = RetiredServer::new(options, names).bind()?;
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
    log.end()?;
    Ok(match result? {
        Some(_drained) => Outcome::Done,
        None => Outcome::Findings,
    })
}

/// The retired names that `serve` answers for beside its mirror, where it is told to.
pub(crate) fn beside(args: &RetiredArgs) -> anyhow::Result<Option<(RetiredNames, Log)>> {
    let Some(path) = &args.map else {
        if args.traffic.is_some() {
            return Err(UsageError(
                "`--retired-traffic` needs `--retired-map`: which names are retired".to_owned(),
            )
            .into());
        }
        return Ok(None);
    };
    let map = read_map(Some(path))?;
    let policy = policy(args.addresses, args.salt.as_deref(), "--retired-salt")?;
    let Names { names, log } = start(map, args.traffic.as_deref(), policy)?;
    Ok(Some((names, log)))
}

fn policy(kept: AddressKept, salt: Option<&str>, option: &str) -> anyhow::Result<AddressPolicy> {
    Ok(match (kept, salt) {
        (AddressKept::Keep, _) => AddressPolicy::Keep,
        (AddressKept::Drop, _) => AddressPolicy::Drop,
        (AddressKept::Hash, Some(salt)) => AddressPolicy::Hash(salt.to_owned()),
        (AddressKept::Hash, None) => {
            return Err(UsageError(format!(
                "hashing addresses needs `{option}`: a text that you keep to yourself"
            ))
            .into());
        }
    })
}

/// Opens the log and refuses names that would go dark under clients that are still redirected.
fn start(map: Map, traffic: Option<&Path>, policy: AddressPolicy) -> anyhow::Result<Names> {
    if let Some(path) = traffic.filter(|path| path.exists()) {
        refuse_dark(&map, &read_log(path)?.0)?;
    }
    let (sender, receiver) = sync_channel(VISITS_WAITING_MAX);
    let file = traffic.map(open_log).transpose()?;
    let writer =
        file.map(|file| std::thread::spawn(move || write_visits(file, &receiver, &policy)));
    let visits: Option<SyncSender<Visit>> = writer.is_some().then_some(sender);
    Ok(Names {
        names: RetiredNames {
            map,
            clock: wire::clock(),
            visits,
        },
        log: Log(writer),
    })
}

/// A name that is off by its dates while installers were redirected shortly before is not switched off by itself.
fn refuse_dark(map: &Map, hosts: &BTreeMap<String, Traffic>) -> anyhow::Result<()> {
    let now = wire::clock().now();
    for (host, traffic) in hosts {
        let timeline = map.find(host).and_then(|entry| entry.timeline.as_ref());
        let Some((timeline, last)) = timeline
            .and_then(|timeline| Some((timeline, timeline.refused(traffic, now, CLEAR_DAYS)?)))
        else {
            continue;
        };
        return Err(UsageError(format!(
            "`{host}` is to be off since {}, but an installer was still redirected on {}: give the map a \
             `stay = {{ owner = \"…\", until = \"…\" }}`, or `forced = \"why, and who decided\"`",
            timeline.end(),
            heliostat_migrate::retire::day(last)
        ))
        .into());
    }
    Ok(())
}

impl Log {
    /// Waits until every visit is written; all senders must be gone.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        let Some(writer) = self.0 else {
            return Ok(());
        };
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer of the traffic log broke"))?
            .context("cannot write the traffic log")
    }
}

/// A traffic log rolled up by host, and how many of its lines are no visits.
#[expect(
    clippy::disallowed_methods,
    reason = "a log that an option names, and that may be larger than what is read at once"
)]
pub(super) fn read_log(path: &Path) -> anyhow::Result<(BTreeMap<String, Traffic>, u64)> {
    use std::io::Read as _;
    let file = std::fs::File::open(path)
        .with_context(|| format!("cannot read the traffic log `{}`", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut roll_up = RollUp::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read the traffic log `{}`", path.display()))?;
        if length == 0 {
            return Ok(roll_up.end());
        }
        roll_up.add(&String::from_utf8_lossy(&line));
    }
}

fn open_log(path: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open the traffic log `{}`", path.display()))
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

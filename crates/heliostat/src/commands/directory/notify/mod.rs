//! `heliostat directory notify`: operators hear what is about to happen to their mirrors, each thing once.
//!
//! What is due is decided by `heliostat_directory`; here it is carried to people and written down. A notice that reached
//! somebody is written down at once, so that only a kill between the two makes it go out twice, under the same id; one
//! that could not be delivered is due again the next time.

mod carry;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_directory::{
    Contact, Decided, EndpointId, Known, Mirror, Notice, Policy, Registry, Replay, notices,
};
use jiff::Timestamp;
use serde_json::json;
use url::Url;

use self::carry::{Carriers, Channel};
use self::record::Record;
use super::history;
use crate::cli::{DirectoryNotifyArgs, NoticeArgs};
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// How the outside is reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways {
    pub(super) cacert: Option<PathBuf>,
    pub(super) proxy: Option<Url>,
}

/// What came of telling.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// Deliveries.
    delivered: u64,
    /// Deliveries that have to be tried again.
    failed: u64,
    /// Notices that reached people by the feed alone, told for the first time.
    nobody: u64,
}

pub(super) fn run(args: &DirectoryNotifyArgs) -> anyhow::Result<Outcome> {
    let now = args
        .at
        .map_or_else(|| wire::clock().now(), Timestamp::as_second);
    let list = &args.place.registry;
    let (policy, registry) = super::read(&args.place)?;
    let ways = Ways {
        cacert: args.cacert.clone(),
        proxy: args.proxy.clone(),
    };
    let carriers = Carriers::new(&args.notices, list, (&policy, &ways))?;
    if args.dry_run {
        let record = Record::look(list)?;
        let due = due(list, (&policy, &registry), &record, now)?;
        let shown = show_due(&due, &registry, &carriers, (&record, args.json));
        reporter::talk(&format!("{} due", render::plural(shown, "notice")));
        return Ok(Outcome::Done);
    }
    let mut record = Record::open(list)?;
    let due = due(list, (&policy, &registry), &record, now)?;
    let runtime = wire::runtime()?;
    let told = runtime.block_on(tell(&due, &registry, &carriers, (&mut record, args.json)));
    wire::end(runtime);
    let told = told?;
    told.advance(&mut record, now)?;
    reporter::talk(&told.words());
    Ok(told.outcome())
}

impl Told {
    /// What happened until now is behind us, unless something of it did not reach somebody.
    fn advance(self, record: &mut Record, now: i64) -> anyhow::Result<()> {
        if self.failed > 0 {
            return Ok(());
        }
        record.advance(now)
    }

    fn words(&self) -> String {
        let mut words = vec![format!(
            "{} delivered",
            render::plural(self.delivered, "notice")
        )];
        if self.failed > 0 {
            words.push(format!("{} to be tried again", self.failed));
        }
        if self.nobody > 0 {
            words.push(format!(
                "{} for mirrors that nothing but their feed reaches",
                self.nobody
            ));
        }
        words.join(", ")
    }

    pub(super) const fn outcome(self) -> Outcome {
        if self.failed > 0 {
            Outcome::Findings
        } else {
            Outcome::Done
        }
    }
}

/// Tells what of the options cannot be used.
pub(super) fn usable(
    args: &NoticeArgs,
    list: &Path,
    (policy, ways): (&Policy, &Ways),
) -> anyhow::Result<()> {
    Carriers::new(args, list, (policy, ways)).map(drop)
}

/// What is due after a round of `directory run`, where there is a way to tell anybody.
pub(super) async fn after_round(
    args: &NoticeArgs,
    list: &Path,
    (policy, registry): (&Policy, &Registry),
    ways: &Ways,
    now: i64,
) -> anyhow::Result<Told> {
    if args.webhook_key.is_none() && args.mail_command.is_none() {
        return Ok(Told::default());
    }
    let carriers = Carriers::new(args, list, (policy, ways))?;
    let mut record = Record::open(list)?;
    let due = due(list, (policy, registry), &record, now)?;
    let told = tell(&due, registry, &carriers, (&mut record, false)).await?;
    told.advance(&mut record, now)?;
    if told.delivered + told.failed + told.nobody > 0 {
        reporter::talk(&told.words());
    }
    Ok(told)
}

fn due(
    list: &Path,
    (policy, registry): (&Policy, &Registry),
    record: &Record,
    now: i64,
) -> anyhow::Result<Vec<Notice>> {
    let decided: BTreeMap<_, _> = Decided::of_all(registry);
    let mut replay = Replay::begin(&decided, policy);
    history::walk(list, now, |round| replay.take(round))?;
    replay.decide(now);
    Ok(notices(&Known {
        registry,
        policy,
        replay: &replay,
        told: &record.reached(),
        told_until: record.told_until(),
        now,
    }))
}

/// Ways to reach whoever is to hear this, those that were told already left out.
fn open_channels(
    notice: &Notice,
    registry: &Registry,
    carriers: &Carriers,
    record: &Record,
) -> Vec<Channel> {
    let mut channels = carriers.channels_of(registry.get(&notice.mirror).map(contacts));
    channels.retain(|channel| !record.has(&notice.id, &channel.name()));
    channels
}

fn contacts(mirror: &Mirror) -> &[Contact] {
    &mirror.contacts
}

fn show_due(
    due: &[Notice],
    registry: &Registry,
    carriers: &Carriers,
    (record, as_json): (&Record, bool),
) -> u64 {
    let mut shown = 0;
    for notice in due {
        let channels: Vec<String> = open_channels(notice, registry, carriers, record)
            .iter()
            .map(Channel::name)
            .collect();
        if channels.is_empty() {
            continue;
        }
        shown += 1;
        show(notice, as_json, &channels);
    }
    shown
}

fn show(notice: &Notice, as_json: bool, channels: &[String]) {
    if as_json {
        reporter::json_line(&json!({"notice": notice, "channels": channels}));
    } else {
        reporter::print(&format!(
            "{:<24} {:<18} due {}  {}\n",
            notice
                .endpoint
                .as_ref()
                .map_or_else(|| notice.mirror.to_string(), ToString::to_string),
            notice.kind.to_string(),
            render::moment(notice.due_at.as_second()),
            channels.join(" ")
        ));
    }
}

/// Carries everything that is due to everybody whom it has not reached. Whom one notice about an endpoint did not reach
/// is not told the later ones either, so that everybody hears things in the order in which they happened.
async fn tell(
    due: &[Notice],
    registry: &Registry,
    carriers: &Carriers,
    (record, as_json): (&mut Record, bool),
) -> anyhow::Result<Told> {
    let mut told = Told::default();
    let mut waiting: BTreeSet<(&Option<EndpointId>, String)> = BTreeSet::new();
    for notice in due {
        let mut reached = Vec::new();
        for channel in open_channels(notice, registry, carriers, record) {
            let name = channel.name();
            let way = (&notice.endpoint, name.clone());
            if waiting.contains(&way) {
                told.failed += 1;
                continue;
            }
            if matches!(channel, Channel::Feed) {
                told.nobody += 1;
                reporter::talk(&format!(
                    "nothing but its feed tells the operator of `{}`: {}; there is no contact in its entry that \
                     `--webhook-key` or `--mail-command` with `--mail-addresses` could reach",
                    notice.mirror,
                    notice.subject()
                ));
            } else if let Err(error) = carriers.carry(notice, &channel).await {
                told.failed += 1;
                waiting.insert(way);
                let error = error.context(format!(
                    "`{}` did not reach {name}, and is tried again",
                    notice.id
                ));
                crate::outcome::tell(&error);
                continue;
            } else {
                told.delivered += 1;
            }
            record
                .add(&notice.id, &name, wire::clock().now())
                .context("cannot write down what was told")?;
            reached.push(name);
        }
        if !reached.is_empty() {
            show(notice, as_json, &reached);
        }
    }
    Ok(told)
}

//! `heliostat directory`: the folder of a list of mirrors, read and told.

mod add;
mod diff;
mod entry;
mod folder;
mod history;
mod notify;
mod probe;
mod publish;
mod reference;
mod registry;
mod run;
mod serve;
mod sign;
mod spending;
mod verify;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_directory::{
    Braked, Decided, EndpointId, Group, MirrorId, Policy, Registry, Replay, Replayed, Round, State,
    Term, Weight, Weights, replay, weights,
};
use serde_json::json;

pub(crate) use self::verify::NotAsSigned;
use crate::cli::{
    CommonArgs, DirectoryCommand, DirectoryInitArgs, DirectoryListArgs, DirectoryScoreArgs,
    RegistryArgs,
};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// Bytes of one file of a registry or a history.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Where entries stand below the registry.
const ENTRIES: &str = "mirrors.d";
/// The rules.
pub(super) const POLICY: &str = "policy.toml";
/// What of a list's folder is no business of git's: a cache that is made again, and locks.
const IGNORED: &str = "/reference/\n.lock\n";

pub(super) fn run(common: &CommonArgs, command: &DirectoryCommand) -> anyhow::Result<Outcome> {
    match command {
        DirectoryCommand::Init(args) => init(args),
        DirectoryCommand::List(args) => list(args),
        DirectoryCommand::Probe(args) => probe::run(args),
        DirectoryCommand::Run(args) => run::run(args),
        DirectoryCommand::Merge(args) => run::merge_files(args),
        DirectoryCommand::Add(args) => add::run(args),
        DirectoryCommand::Remove(args) => registry::remove(args),
        DirectoryCommand::Maintenance(args) => entry::maintenance(args),
        DirectoryCommand::Lift(args) => entry::lift(args),
        DirectoryCommand::Diff(args) => diff::run(args),
        DirectoryCommand::Show(args) => registry::show(args),
        DirectoryCommand::Import(args) => registry::import(args),
        DirectoryCommand::Export(args) => registry::export(args),
        DirectoryCommand::Score(args) => score(args),
        DirectoryCommand::Notify(args) => notify::run(args),
        DirectoryCommand::Publish(args) => publish::publish(args),
        DirectoryCommand::Serve(args) => serve::run(common, args),
        DirectoryCommand::Sign(args) => sign::sign(args),
        DirectoryCommand::Verify(args) => verify::run(args),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a registry is a person's folder under git, not the store's"
)]
fn init(args: &DirectoryInitArgs) -> anyhow::Result<Outcome> {
    let policy_path = args.registry.join(POLICY);
    if policy_path.exists() {
        return Err(UsageError(format!(
            "`{}` is there already; this folder holds a list",
            policy_path.display()
        ))
        .into());
    }
    let policy = Policy {
        own_domain: args.own_domain.clone(),
        ..Policy::default()
    };
    let entries = args.registry.join(ENTRIES);
    std::fs::create_dir_all(&entries)
        .with_context(|| format!("cannot make `{}`", entries.display()))?;
    let text = toml::to_string(&policy).context("cannot write the policy as TOML")?;
    let text = format!(
        "# The rules of this list. Count `version` up with every change; a score names the rules it was made by.\n{text}"
    );
    crate::files::replace(&policy_path, text.as_bytes())
        .with_context(|| format!("cannot write `{}`", policy_path.display()))?;
    let ignored = args.registry.join(".gitignore");
    if !ignored.exists() {
        crate::files::replace(&ignored, IGNORED.as_bytes())
            .with_context(|| format!("cannot write `{}`", ignored.display()))?;
    }
    reporter::talk(&format!(
        "a list begins at `{}`: write one file for each mirror in `{ENTRIES}`, and keep the folder in git",
        args.registry.display()
    ));
    Ok(Outcome::Done)
}

fn list(args: &DirectoryListArgs) -> anyhow::Result<Outcome> {
    let (_, registry) = read(&args.place)?;
    for mirror in registry.mirrors() {
        if args.json {
            reporter::json_line(mirror);
            continue;
        }
        for endpoint in &mirror.endpoints {
            reporter::print(&format!(
                "{:<24} {:<24} {:<3} {}\n",
                mirror.id,
                endpoint.id,
                endpoint
                    .country
                    .or(mirror.operator.country)
                    .map_or_else(String::new, |code| code.to_string()),
                endpoint.base
            ));
        }
    }
    let count = registry.mirrors().count() as u64;
    reporter::talk(&format!("{} on the list", render::plural(count, "mirror")));
    Ok(Outcome::Done)
}

fn score(args: &DirectoryScoreArgs) -> anyhow::Result<Outcome> {
    let (policy, registry) = read(&args.place)?;
    let replayed = if args.replay.is_empty() {
        replay_own(&args.place.registry, &registry, &policy)?
    } else {
        let rounds = read_history(&args.replay)?;
        replay(&Decided::of_all(&registry), &rounds, &policy)
    };
    if let Some(endpoint) = &args.explain {
        let weights = weights(&registry, &replayed, &policy);
        reporter::print(&explained(endpoint, (&replayed, &weights), &policy)?);
        return Ok(Outcome::Done);
    }
    let weights = weights(&registry, &replayed, &policy);
    for (id, standing) in &replayed.standings {
        let health = replayed.health.get(id).map(|health| health.value);
        let next = standing.next_action(&policy);
        if args.json {
            reporter::json_line(&json!({
                "endpoint": id,
                "state": standing.state,
                "since": standing.since,
                "rule": standing.rule,
                "health": health,
                "weight": weights.of.get(id).map(|weight| weight.share),
                "next": next.map(|(at, state)| json!({"at": at, "state": state})),
            }));
        } else {
            let health = health.map_or_else(|| "   -".to_owned(), |health| format!("{health:5.1}"));
            reporter::print(&format!(
                "{id:<24} {:<12} {health}  since {}: {}\n",
                standing.state,
                render::moment(standing.since),
                standing.rule
            ));
        }
    }
    for (at, reason) in &replayed.discarded {
        reporter::talk(&format!(
            "the round of {} does not count: {reason}",
            render::moment(*at)
        ));
    }
    for Braked { at, held } in &replayed.braked {
        reporter::talk(&format!(
            "the round of {} would have degraded {} at once, so none was moved",
            render::moment(*at),
            held.len()
        ));
    }
    let well = |state: State| {
        matches!(
            state,
            State::Active
                | State::Probation
                | State::Candidate
                | State::Maintenance
                | State::Retired
        )
    };
    let all_well = replayed
        .standings
        .values()
        .all(|standing| well(standing.state));
    Ok(if all_well {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// What the rules make of everything in the list's own history.
fn replay_own(list: &Path, registry: &Registry, policy: &Policy) -> anyhow::Result<Replayed> {
    let decided = Decided::of_all(registry);
    let mut own = Replay::begin(&decided, policy);
    let now = wire::clock().now();
    history::walk(list, now, |round| own.take(round))?;
    own.decide(now);
    Ok(own.end())
}

/// Every term of one endpoint's health, and every rule that fired.
fn explained(
    endpoint: &str,
    (replayed, weights): (&Replayed, &Weights),
    policy: &Policy,
) -> anyhow::Result<String> {
    let id = EndpointId::try_from(endpoint.to_owned()).map_err(UsageError)?;
    let standing = replayed.standings.get(&id).ok_or_else(|| {
        UsageError(format!(
            "no endpoint of the list is called `{id}`; `heliostat directory list` has them"
        ))
    })?;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "{name:<12} {value}");
    };
    line("endpoint", id.to_string());
    line(
        "state",
        format!(
            "{} since {}: {}",
            standing.state,
            render::moment(standing.since),
            standing.rule
        ),
    );
    if let Some((at, state)) = standing.next_action(policy) {
        line(
            "next",
            format!("{state} at {}, if nothing changes", render::moment(at)),
        );
    }
    match replayed.health.get(&id) {
        None => line("health", "no probe looked yet".to_owned()),
        Some(health) => {
            let term = |term: &Term| format!("{:.4}  {}", term.value, term.why);
            line(
                "health",
                format!(
                    "{:.1} of 100, by version {} of the policy",
                    health.value, policy.version
                ),
            );
            line("available", term(&health.available));
            line("fresh", term(&health.fresh));
            line(
                "complete",
                format!("{}; its square root counts", term(&health.complete)),
            );
            line("hygiene", term(&health.hygiene));
            for gate in &health.gates {
                line("gate", format!("`{gate}` is not passed, so health is 0"));
            }
        }
    }
    if let Some(weight) = weights.of.get(&id) {
        line("share", share_words(weight, weights, policy));
    }
    for Braked { at, held } in &replayed.braked {
        for (_, rule) in held.iter().filter(|(of, _)| *of == id) {
            let at = render::moment(*at);
            let others = held.len() - 1;
            line(
                "braked",
                format!("{at} not degraded, with {others} others at once: {rule}"),
            );
        }
    }
    for (_, transition) in replayed.transitions.iter().filter(|(of, _)| *of == id) {
        line(
            "moved",
            format!(
                "{} {} -> {}: {}",
                render::moment(transition.to.since),
                transition.from,
                transition.to.state,
                transition.to.rule
            ),
        );
    }
    Ok(text)
}

/// An active endpoint's share of all clients, and the cap that holds it down.
fn share_words(weight: &Weight, weights: &Weights, policy: &Policy) -> String {
    let mut words = format!("{:.1} % of clients", weight.share * 100.0);
    let Some(group) = &weight.held_by else {
        return words;
    };
    let (cap, wanted) = match group {
        Group::Operator(_) => (weights.operator_share_max, policy.caps.operator_share_max),
        Group::Network(_) => (weights.network_share_max, policy.caps.network_share_max),
    };
    let _infallible = write!(
        words,
        ", {:.1} % by health alone: {group} has no more than {:.0} %",
        weight.uncapped * 100.0,
        cap * 100.0
    );
    if cap > wanted {
        let _infallible = write!(
            words,
            ", as there are too few others for {:.0} %",
            wanted * 100.0
        );
    }
    words
}

/// Rounds out of files of a history, compressed or not, the oldest first.
pub(super) fn read_history(paths: &[PathBuf]) -> anyhow::Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for path in paths {
        let text = read_text(path)?;
        rounds.extend(Round::read_all(&path.display().to_string(), &text)?);
    }
    rounds.sort_by_key(|round| round.at);
    Ok(rounds)
}

/// The folder's rules and entries.
pub(super) fn read(place: &RegistryArgs) -> anyhow::Result<(Policy, Registry)> {
    let policy_path = place.registry.join(POLICY);
    if !policy_path.exists() {
        return Err(UsageError(format!(
            "`{}` holds no list: there is no `{POLICY}`; name its folder with `--registry`, or begin one with \
             `heliostat directory init`",
            place.registry.display()
        ))
        .into());
    }
    let policy = Policy::read(&read_text(&policy_path)?)?;
    let mut entries = Vec::new();
    for path in files_in(&place.registry.join(ENTRIES), ".toml")? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        entries.push((name, read_text(&path)?));
    }
    let named = entries
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let registry = Registry::read(named, policy.own_domain.as_deref())?;
    Ok((policy, registry))
}

/// The file of a mirror's entry.
pub(super) fn entry_path(list: &Path, id: &MirrorId) -> PathBuf {
    list.join(ENTRIES).join(format!("{id}.toml"))
}

/// The files of a folder whose names end so, in the order of names.
pub(super) fn files_in(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let reading = || format!("cannot read the folder `{}`", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a registry is a person's folder under git, not the store's"
)]
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let reading = || format!("cannot read `{}`", path.display());
    let file = std::fs::File::open(path).with_context(reading)?;
    let is_compressed = path.extension().is_some_and(|extension| extension == "zst");
    let bytes: Box<dyn std::io::Read> = if is_compressed {
        Box::new(zstd::Decoder::new(file).with_context(reading)?)
    } else {
        Box::new(file)
    };
    bytes
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(reading)?;
    Ok(text)
}

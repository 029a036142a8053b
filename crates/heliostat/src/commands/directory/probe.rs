//! `heliostat directory probe`: looks at the mirrors of a list, and writes down what it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use heliostat_directory::{
    Class, Coverage, EndpointId, Finding, Gate, Layout, Level, Outcome as Answered, Policy,
    Registry, Round, RoundRules, Sample, VantageId,
};
use heliostat_prober::{Limits, Probed, Prober, ProberOptions, Reference, Target};
use heliostat_upstream::tls_client_config;
use url::Url;

use super::reference::Opening;
use super::{history, reference, spending};
use crate::cli::{DirectoryProbeArgs, ProberArgs};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

pub(super) fn run(args: &DirectoryProbeArgs) -> anyhow::Result<Outcome> {
    let class = Class::from(args.class);
    if let Some(me) = &args.me {
        let targets = [myself(me, args.simple.as_deref().unwrap_or("simple/"))?];
        let opening = Opening::in_passing(&args.prober)?;
        let work = (class, targets.as_slice());
        let probed = looked(&args.prober, &opening, None, work, &BTreeMap::new())?;
        tell(&probed.round.samples, args.json);
        if let Some(reason) = probed.round.discarded(&RoundRules::default()) {
            anyhow::bail!("the round does not count: {reason}");
        }
        return Ok(ended(&probed.round.samples));
    }
    if args.simple.is_some() {
        return Err(UsageError(
            "`--simple` is for `--me URL`; where a mirror of the list has its pages is said in the list".to_owned(),
        )
        .into());
    }
    let (policy, registry) = super::read(&args.prober.place)?;
    let targets = chosen(&registry, &args.id)?;
    let probed = probe_and_keep(&args.prober, &policy, (class, &targets))?;
    tell(&probed.round.samples, args.json);
    let paused = targets.len() - probed.round.samples.len().min(targets.len());
    if paused > 0 && probed.round.control == Answered::Alive {
        let paused = render::plural(paused as u64, "endpoint");
        reporter::talk(&format!(
            "{paused} asked for a pause that is not over, or cost enough today"
        ));
        return Ok(Outcome::Findings);
    }
    if let Some(reason) = probed.round.discarded(&policy.rounds) {
        anyhow::bail!("the round is written down and does not count: {reason}");
    }
    Ok(ended(&probed.round.samples))
}

/// Makes one round and writes it down, with its evidence.
fn probe_and_keep(
    args: &ProberArgs,
    policy: &Policy,
    (class, targets): (Class, &[Target]),
) -> anyhow::Result<Probed> {
    let list = &args.place.registry;
    let vantage = VantageId(args.vantage.clone());
    let before = history::last_samples(list, &vantage, wire::clock().now())?;
    let opening = Opening::of_list(args)?;
    let mut probed = looked(args, &opening, Some(policy), (class, targets), &before)?;
    keep(list, &mut probed)?;
    Ok(probed)
}

pub(super) fn keep(list: &Path, probed: &mut Probed) -> anyhow::Result<()> {
    history::keep_evidence(list, &probed.evidence)?;
    if let Some(memory) = &probed.memory {
        reference::remember(list, memory)?;
    }
    spending::spend(list, &probed.round.samples, probed.round.at)?;
    history::append(list, &mut probed.round)
}

/// Looks at targets once.
fn looked(
    args: &ProberArgs,
    opening: &Opening<'_>,
    policy: Option<&Policy>,
    (class, targets): (Class, &[Target]),
    before: &BTreeMap<EndpointId, Sample>,
) -> anyhow::Result<Probed> {
    let now = wire::clock().now();
    let options = options(args, policy, (class, now))?;
    tell_too_dear(&options, targets);
    let prober = Prober::new(options);
    let runtime = wire::runtime()?;
    let work = (&prober, targets, now);
    let seen = runtime.block_on(look(args, work, (opening, &mut None), before));
    wire::end(runtime);
    seen
}

/// Says of which endpoints a day's bytes are taken.
pub(super) fn tell_too_dear(options: &ProberOptions, targets: &[Target]) {
    for target in targets {
        let endpoint = &target.endpoint;
        if options.left_bytes(endpoint) == 0 {
            let max = options.day_bytes_max;
            reporter::talk(&format!(
                "`{endpoint}` is not looked at: it has sent the {max} bytes that the policy lets a day cost \
                 (`daily_bytes_max` of `[probes]`)"
            ));
        }
    }
}

/// Makes one round, with the reference of an earlier one where there is one.
pub(super) async fn look(
    args: &ProberArgs,
    (prober, targets, now): (&Prober, &[Target], i64),
    (opening, reference): (&Opening<'_>, &mut Option<Reference>),
    before: &BTreeMap<EndpointId, Sample>,
) -> anyhow::Result<Probed> {
    if reference.is_none() {
        match opening.open().await {
            Ok(opened) => *reference = Some(opened),
            Err(error) => crate::outcome::tell(&error),
        }
    }
    let Some(reference) = reference else {
        return Ok(unknown(now));
    };
    let control = match prober.failed_control(&args.control).await {
        None => Answered::Alive,
        Some((url, why)) => {
            reporter::talk(&format!("the control site `{url}` {why}"));
            Answered::Failed
        }
    };
    Ok(prober
        .round(targets, reference, before, (now, control))
        .await)
}

/// A round in which nothing could be seen.
fn unknown(now: i64) -> Probed {
    Probed {
        round: Round {
            at: now,
            control: Answered::Failed,
            samples: Vec::new(),
        },
        evidence: Vec::new(),
        memory: None,
    }
}

pub(super) fn options(
    args: &ProberArgs,
    policy: Option<&Policy>,
    (class, now): (Class, i64),
) -> anyhow::Result<ProberOptions> {
    let certificates = wire::certificates(args.upstream.cacert.as_deref())?;
    let mut resolve: BTreeMap<String, Vec<std::net::IpAddr>> = BTreeMap::new();
    for given in &args.resolve {
        let addresses = resolve.entry(given.host.clone()).or_default();
        addresses.extend(&given.addresses);
    }
    let vantage = VantageId(args.vantage.clone());
    let day_bytes_max = policy.map_or(u64::MAX, |policy| policy.probes.daily_bytes_max);
    let spent_bytes = match policy {
        Some(_) => spending::spent(&args.place.registry, &vantage, now),
        None => BTreeMap::new(),
    };
    let drawn = u64::try_from(now).unwrap_or_default() ^ u64::from(std::process::id()) << 32;
    Ok(ProberOptions {
        vantage,
        class,
        day_bytes_max,
        spent_bytes,
        tls: Arc::new(tls_client_config(&certificates)?),
        resolve,
        own_domain: policy.and_then(|policy| policy.own_domain.clone()),
        user_agent: (args.upstream.user_agent.clone()).unwrap_or_else(wire::default_user_agent),
        plain_port: args.http_port,
        seed: args.seed.unwrap_or(drawn),
        limits: Limits {
            request_timeout: Duration::from_secs(args.request_timeout),
            ..Limits::default()
        },
    })
}

/// The endpoints that were asked for.
pub(super) fn chosen(registry: &Registry, ids: &[String]) -> anyhow::Result<Vec<Target>> {
    let mut unknown: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut targets = Vec::new();
    for (mirror, endpoint) in registry.endpoints() {
        let named = [mirror.id.as_str(), endpoint.id.as_str()];
        let asked = named.iter().any(|name| ids.iter().any(|id| id == name));
        for name in named {
            unknown.remove(name);
        }
        if asked || ids.is_empty() {
            targets.push(Target::of(mirror, endpoint));
        }
    }
    if let Some(id) = unknown.first() {
        return Err(UsageError(format!(
            "no mirror and no endpoint of the list is called `{id}`; `heliostat directory list` has them"
        ))
        .into());
    }
    Ok(targets)
}

/// A mirror that is on no list.
fn myself(url: &Url, simple: &str) -> anyhow::Result<Target> {
    let mut base = url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", url.path()));
    }
    let host = base.host_str().map(str::to_owned);
    let (Some(host), "https" | "http") = (host, base.scheme()) else {
        return Err(UsageError(format!("`{url}` is no address of a mirror")).into());
    };
    let index = base.join(simple).ok().filter(|index| {
        let below = index.as_str().starts_with(base.as_str());
        below && simple.ends_with('/') && !simple.starts_with('/')
    });
    let Some(index) = index else {
        return Err(UsageError(format!(
            "`--simple {simple}` is no folder below `{base}`, as `simple/`"
        ))
        .into());
    };
    Ok(Target {
        endpoint: "me".to_owned().try_into().map_err(UsageError)?,
        base,
        index,
        layout: Layout::Heliostat,
        coverage: Coverage::Full,
        hosts: vec![host],
        receipt_key: None,
    })
}

/// Prints what was seen.
pub(super) fn tell(samples: &[Sample], json: bool) {
    for sample in samples {
        if json {
            reporter::json_line(sample);
        } else {
            reporter::print(&row(sample));
        }
    }
}

pub(super) fn row(sample: &Sample) -> String {
    let outcome = match sample.outcome {
        Answered::Alive => "alive",
        Answered::Failed => "failed",
    };
    let lag = sample
        .lag_seconds
        .map_or_else(|| "lag unknown".to_owned(), |lag| format!("lag {lag} s"));
    let mut text = format!(
        "{:<24} {outcome:<7} {lag:<14} present {}/{} intact {}/{}",
        sample.endpoint, sample.present.ok, sample.present.n, sample.intact.ok, sample.intact.n
    );
    if let Some(days) = sample.certificate_days {
        let _infallible = write!(text, " certificate {days} d");
    }
    text.push('\n');
    for finding in &sample.findings {
        text.push_str(&line(finding));
    }
    text
}

fn line(finding: &Finding) -> String {
    let gate = finding
        .gate
        .map_or_else(String::new, |gate| format!(" closes the gate `{gate}`:"));
    let address = finding
        .address
        .map_or_else(String::new, |address| format!(" {address}"));
    format!(
        "  {:<7} {:<13}{address}{gate} {} (since {})\n",
        finding.level,
        finding.check,
        finding.text,
        render::moment(finding.since)
    )
}

/// What is dishonest is a matter of integrity; everything else that is wrong is a finding.
pub(super) fn ended(samples: &[Sample]) -> Outcome {
    let mut gates = samples.iter().flat_map(|sample| &sample.gates);
    if gates.any(|gate| matches!(gate, Gate::Integrity | Gate::Receipts)) {
        return Outcome::Distrusted;
    }
    let well = |sample: &Sample| {
        sample.outcome == Answered::Alive
            && sample
                .findings
                .iter()
                .all(|finding| finding.level == Level::Note)
    };
    if samples.iter().all(well) {
        Outcome::Done
    } else {
        Outcome::Findings
    }
}

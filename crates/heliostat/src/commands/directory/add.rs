//! `heliostat directory add`: the audit that a mirror passes before it is listed, and the entry that it then gets.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_directory::Endpoint;
use heliostat_directory::{
    Class, Coverage, EndpointId, Layout, Mirror, MirrorId, Outcome as Answered, Policy, Registry,
    Round, Sample, VantageId, id_of_host,
};
use heliostat_prober::{Evidence, Limits, Prober, Target};
use heliostat_pypi::Sha256;
use heliostat_trust::receipt::Receipt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::json;

use super::reference::Opening;
use super::{history, probe};
use crate::cli::DirectoryAddArgs;
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{reporter, wire};

/// Pages and files that an audit looks at.
const AUDIT_PAGES: usize = 100;
const AUDIT_FILES: usize = 100;
/// What an audit may cost.
const AUDIT_BYTES: usize = 64_000_000;
/// The least share of what was asked for that must have been there.
const PRESENT_MIN: (u64, u64) = (95, 100);
/// Bytes of a file that shows who controls a host.
const CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Where reports of audits are, below the list's folder.
const REPORTS: &str = "reports";

/// What the audit came to.
struct Audit {
    sample: Sample,
    /// What proves the worst of it.
    evidence: Vec<Evidence>,
    /// How it was shown that whoever runs the host wants to be listed.
    control: Option<&'static str>,
    /// Who it says runs it.
    described: Option<Described>,
}

/// The part of `.well-known/heliostat-mirror.json` that says who runs a mirror.
#[derive(Debug, Default, Deserialize)]
struct Described {
    #[serde(default)]
    operator: DescribedOperator,
    /// Its signed word, whose key the entry takes over.
    #[serde(default)]
    receipt: Option<Receipt>,
}

#[derive(Debug, Default, Deserialize)]
struct DescribedOperator {
    name: Option<String>,
    url: Option<String>,
}

pub(super) fn run(args: &DirectoryAddArgs) -> anyhow::Result<Outcome> {
    let (policy, registry) = super::read(&args.prober.place)?;
    let mut mirror = proposed(args)?;
    judge(&registry, &mirror, &policy)?;
    let endpoint = mirror
        .endpoints
        .first()
        .context("an entry has an endpoint")?;
    let target = Target::of(&mirror, endpoint);
    let challenge = challenge(&policy, &mirror);
    let audit = audit(args, &policy, (&target, &challenge))?;
    tell(args, &audit.sample);
    let refusals = refusals(&audit, &challenge, &target);
    for refusal in &refusals {
        reporter::talk(&format!("not listed: {refusal}"));
    }
    let list = &args.prober.place.registry;
    if !args.dry_run {
        history::keep_evidence(list, &audit.evidence)?;
    }
    if !refusals.is_empty() {
        if !args.dry_run {
            tell_proofs(list, &audit.evidence);
        }
        return Ok(match probe::ended(std::slice::from_ref(&audit.sample)) {
            Outcome::Distrusted => Outcome::Distrusted,
            _ => Outcome::Findings,
        });
    }
    if args.operator.is_none()
        && let Some(name) = operator(audit.described.as_ref(), &target)?
    {
        mirror.operator.name = name;
        judge(&registry, &mirror, &policy)?;
    }
    let key = receipt_key(audit.described.as_ref(), &target);
    for endpoint in &mut mirror.endpoints {
        endpoint.receipt_key.clone_from(&key);
    }
    mirror.admitted = Timestamp::from_second(wire::clock().now()).ok();
    let text = toml::to_string(&mirror).context("cannot write the entry as TOML")?;
    if args.dry_run {
        reporter::print(&text);
        return Ok(Outcome::Done);
    }
    write(args, &mirror, &text, &audit)?;
    Ok(Outcome::Done)
}

/// What was seen. With `--dry-run` stdout is for the entry, which is TOML.
fn tell(args: &DirectoryAddArgs, sample: &Sample) {
    if args.dry_run {
        reporter::talk(probe::row(sample).trim_end());
    } else {
        probe::tell(std::slice::from_ref(sample), false);
    }
}

/// Where it stands what a mirror was refused for.
fn tell_proofs(list: &Path, evidence: &[Evidence]) {
    for one in evidence {
        reporter::talk(&format!(
            "what it answered, and what was right, stands in `{}`",
            history::evidence_path(list, &one.sha256).display()
        ));
    }
}

/// The entry as it is asked for.
fn proposed(args: &DirectoryAddArgs) -> anyhow::Result<Mirror> {
    let mut base = args.base.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", args.base.path()));
    }
    let host = base.host_str().unwrap_or_default().to_owned();
    let id = match &args.id {
        Some(id) => MirrorId::try_from(id.clone()).map_err(UsageError)?,
        None => id_of_host(&host).ok_or_else(|| {
            UsageError(format!(
                "no id can be made of `{host}`; give one with `--id`"
            ))
        })?,
    };
    let country = args.country().map_err(UsageError)?;
    let today = Timestamp::from_second(wire::clock().now())
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC)
        .date();
    let endpoint = Endpoint {
        id: EndpointId::try_from(id.to_string()).map_err(UsageError)?,
        base,
        layout: args.layout.into(),
        simple: args.simple.clone(),
        coverage: if args.subset {
            Coverage::Subset
        } else {
            Coverage::Full
        },
        asn: None,
        country,
        bandwidth_mbps: None,
        receipt_key: None,
    };
    let operator = args.operator.clone().unwrap_or(host);
    Ok(Mirror::listed(id, operator, today, endpoint))
}

/// Whether the list would be right with this entry on it.
fn judge(registry: &Registry, mirror: &Mirror, policy: &Policy) -> anyhow::Result<()> {
    if registry.get(&mirror.id).is_some() {
        let id = &mirror.id;
        return Err(UsageError(format!(
            "`{id}` is on the list already; give another `--id`"
        ))
        .into());
    }
    let mut texts = Vec::new();
    for one in registry.mirrors().chain([mirror]) {
        let text = toml::to_string(one).context("cannot write the entry as TOML")?;
        texts.push((format!("{}.toml", one.id), text));
    }
    let texts = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    Registry::read(texts, policy.own_domain.as_deref())?;
    Ok(())
}

/// What whoever controls the host puts there to show that this entry is wanted: the same for the same list and entry.
fn challenge(policy: &Policy, mirror: &Mirror) -> String {
    let bases: Vec<&str> = mirror
        .endpoints
        .iter()
        .map(|one| one.base.as_str())
        .collect();
    let own = policy.own_domain.as_deref().unwrap_or_default();
    let text = format!(
        "heliostat-directory\n{own}\n{}\n{}",
        mirror.id,
        bases.join("\n")
    );
    Sha256::of(text.as_bytes()).to_hex()
}

fn audit(
    args: &DirectoryAddArgs,
    policy: &Policy,
    (target, challenge): (&Target, &str),
) -> anyhow::Result<Audit> {
    let now = wire::clock().now();
    let mut options = probe::options(&args.prober, Some(policy), (Class::Daily, now))?;
    // An audit is asked for by whoever runs the mirror.
    options.day_bytes_max = u64::MAX;
    options.limits = Limits {
        pages: AUDIT_PAGES,
        files: AUDIT_FILES,
        budget_bytes: [AUDIT_BYTES; 3],
        address_timeout: Duration::from_mins(10),
        ..options.limits
    };
    let prober = Prober::new(options);
    let opening = if args.dry_run {
        Opening::in_passing(&args.prober)?
    } else {
        Opening::of_list(&args.prober)?
    };
    let runtime = wire::runtime()?;
    let audited = runtime.block_on(async {
        let reference = opening.open().await?;
        if let Some((url, why)) = prober.failed_control(&args.prober.control).await {
            anyhow::bail!("the audit does not count: the control site `{url}` {why}");
        }
        let targets = std::slice::from_ref(target);
        let before = std::collections::BTreeMap::new();
        let seen = prober
            .round(targets, &reference, &before, (now, Answered::Alive))
            .await;
        let described = described(&prober, target).await;
        let control = control(&prober, target, challenge, described.as_ref()).await;
        let failed = || {
            Sample::new(
                target.endpoint.clone(),
                VantageId(args.prober.vantage.clone()),
                Answered::Failed,
            )
        };
        anyhow::Ok(Audit {
            sample: seen.round.samples.into_iter().next().unwrap_or_else(failed),
            evidence: seen.evidence,
            control,
            described,
        })
    });
    wire::end(runtime);
    audited
}

async fn described(prober: &Prober, target: &Target) -> Option<Described> {
    let url = target.base.join(".well-known/heliostat-mirror.json").ok()?;
    let bytes = prober.fetch(&url, CONTROL_BYTES_MAX).await?;
    serde_json::from_slice(&bytes).ok()
}

/// How it is shown that whoever runs the host wants to be listed, where it is.
async fn control(
    prober: &Prober,
    target: &Target,
    challenge: &str,
    described: Option<&Described>,
) -> Option<&'static str> {
    let named = described.and_then(|described| described.operator.url.as_deref());
    if named.is_some_and(|url| is_base(url, target)) {
        return Some("heliostat-mirror.json names this address");
    }
    let url = target
        .base
        .join("/.well-known/heliostat-directory.txt")
        .ok()?;
    let bytes = prober.fetch(&url, CONTROL_BYTES_MAX).await?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines()
        .any(|line| line.trim() == challenge)
        .then_some("heliostat-directory.txt holds the challenge")
}

fn is_base(url: &str, target: &Target) -> bool {
    url.trim_end_matches('/') == target.base.as_str().trim_end_matches('/')
}

/// Who runs the mirror, as its description has it. A copied tree carries the description of the mirror it was copied from,
/// so that only one that names this address counts.
fn operator(described: Option<&Described>, target: &Target) -> Result<Option<String>, UsageError> {
    let Some(DescribedOperator {
        name: Some(name),
        url,
    }) = described.map(|one| &one.operator)
    else {
        return Ok(None);
    };
    if url.as_deref().is_some_and(|url| is_base(url, target)) {
        return Ok(Some(name.clone()));
    }
    Err(UsageError(format!(
        "`heliostat-mirror.json` there says that `{name}` runs {}, not `{}`, as where a tree was copied; say who runs this \
         one with `--operator`",
        url.as_ref().map_or_else(
            || "a mirror without an address".to_owned(),
            |url| format!("`{url}`")
        ),
        target.base,
    )))
}

/// The key that the entry holds the mirror to. A copied tree carries the word of the mirror it was copied from, whose key
/// its own would contradict one day, so that only a signed word that names this address counts.
fn receipt_key(described: Option<&Described>, target: &Target) -> Option<String> {
    let receipt = described?.receipt.as_ref()?;
    let statement = receipt.verify().ok()?;
    if statement
        .url
        .as_deref()
        .is_some_and(|url| is_base(url, target))
    {
        return Some(receipt.key.clone());
    }
    let remedy = match target.layout {
        Layout::Heliostat => format!(
            "; run the mirror with `--public-url {}`, and add `receipt-key` then",
            target.base
        ),
        Layout::Bandersnatch | Layout::Pep503 => String::new(),
    };
    reporter::talk(&format!(
        "the entry names no key for its receipts: what is signed there is said of {}, not of `{}`{remedy}",
        statement
            .url
            .map_or_else(|| "no address".to_owned(), |url| format!("`{url}`")),
        target.base,
    ));
    None
}

/// Why a mirror is not listed.
fn refusals(audit: &Audit, challenge: &str, target: &Target) -> Vec<String> {
    let sample = &audit.sample;
    let mut refusals = Vec::new();
    if sample.outcome == Answered::Failed {
        refusals.push("it does not answer as a mirror does".to_owned());
    }
    for gate in &sample.gates {
        refusals.push(format!("it does not pass the gate `{gate}`"));
    }
    if sample.intact.bad() > 0 {
        refusals.push(format!(
            "{} of what was hashed is wrong",
            sample.intact.bad()
        ));
    }
    let (share, of) = PRESENT_MIN;
    if sample.present.ok * of < sample.present.n * share {
        refusals.push(format!(
            "{} of {} pages and files that were asked for are there; {share} of {of} must be",
            sample.present.ok, sample.present.n
        ));
    }
    if audit.control.is_none() {
        let host = target.base.host_str().unwrap_or_default();
        let other_way = match target.layout {
            Layout::Heliostat => format!(", or run the mirror with `--public-url {}`", target.base),
            Layout::Bandersnatch | Layout::Pep503 => String::new(),
        };
        refusals.push(format!(
            "nothing shows that whoever runs `{host}` wants to be listed; put the line `{challenge}` into \
             `/.well-known/heliostat-directory.txt` there{other_way}"
        ));
    }
    refusals
}

fn write(
    args: &DirectoryAddArgs,
    mirror: &Mirror,
    text: &str,
    audit: &Audit,
) -> anyhow::Result<()> {
    let list = &args.prober.place.registry;
    let round = Round {
        at: wire::clock().now(),
        control: Answered::Alive,
        samples: vec![audit.sample.clone()],
    };
    let mut report = json!({
        "mirror": mirror.id,
        "control": audit.control,
        "reference": args.prober.upstream.root()?,
        "round": round,
    });
    if args.prober.control.is_empty()
        && let Some(round) = report["round"].as_object_mut()
    {
        // Nobody was asked whether this place sees anything at all.
        round.remove("control");
    }
    let mut bytes =
        serde_json::to_vec_pretty(&report).context("cannot write the report as JSON")?;
    bytes.push(b'\n');
    let path = list.join(REPORTS).join(format!("{}.json", mirror.id));
    history::put(&path, &bytes)?;
    let entry = super::entry_path(list, &mirror.id);
    history::put(&entry, text.as_bytes())?;
    reporter::talk(&format!(
        "`{}` is on the list, on probation from its first round on; look at its entry `{}` and the report of its audit \
         `{}`, and commit both",
        mirror.id,
        entry.display(),
        path.display()
    ));
    Ok(())
}

//! One endpoint: its name, every address behind it, and what all of them come to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use heliostat_directory::{
    Certificate, Check, Class, Count, Gate, Outcome, Sample, forbidden_name,
};
use serde_json::json;
use tokio::time::timeout;

use crate::checks;
use crate::evidence::{Evidence, Proof};
use crate::line::Line;
use crate::names::{addresses_of, is_wildcard};
use crate::notes::{Notes, faults, warnings};
use crate::options::{ProberOptions, Target};
use crate::reference::Reference;
use crate::trouble::Trouble;
use crate::walk::{Seen, Visit};

/// Days of a certificate below which people are told.
const CERTIFICATE_DAYS_WARN: i64 = 21;
const DAY_SECONDS: i64 = 86_400;

/// What one look gave.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) sample: Sample,
    pub(crate) evidence: Vec<Evidence>,
}

/// How one address did.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Answered,
    Failed,
    /// This machine cannot reach such addresses at all.
    Unknown,
}

/// Looks at one endpoint, in all its addresses.
pub(crate) async fn look(
    target: &Target,
    options: &ProberOptions,
    reference: &Reference,
    before: Option<&Sample>,
    now: i64,
) -> Looked {
    let known = before.map_or(&[][..], |before| before.findings.as_slice());
    let mut notes = Notes::new(now, known);
    let mut sample = Sample::new(
        target.endpoint.clone(),
        options.vantage.clone(),
        Outcome::Failed,
    );
    sample.class = options.class;
    let host = target.base.host_str().unwrap_or_default().to_owned();
    if let Some(domain) = forbidden_name(&host, options.own_domain.as_deref()) {
        let text = format!("`{host}` is under `{domain}` (PEP 449)");
        let kind = (Check::Names, Gate::Names);
        let expected = json!({"not-under": domain, "source": "PEP 449"});
        let proof = checks::proof(&sample, kind, (&text, expected), now);
        let evidence = Evidence::of_observation(&proof, json!({"base": target.base}));
        notes.prove(kind, None, text, evidence);
    }
    let mut all = Vec::new();
    let mut received_bytes = 0;
    for address in addresses(&host, target, options, &mut notes).await {
        // One page is always asked for, or else an address that costs nothing more would count as dead.
        let left_bytes = (options.left_bytes(&target.endpoint))
            .saturating_sub(received_bytes)
            .max(1);
        let (did, seen, certificate) = visit(
            (target, address, left_bytes),
            options,
            reference,
            &mut notes,
            now,
        )
        .await;
        received_bytes += seen.received_bytes;
        if did != Did::Unknown {
            sample.addresses.push(address.ip());
            all.push((address.ip(), did, seen));
        }
        sample.certificate = first_to_end(sample.certificate.take(), certificate);
    }
    sample.received_bytes = Some(received_bytes);
    checks::compare_addresses(&sample, &all, &mut notes, now);
    sample.outcome = outcome(&all, &mut notes);
    sum_up(&mut sample, all);
    checks::judge_receipt(&sample, before, &mut notes, now);
    forget_the_known(&mut sample, before);
    judge_certificate(&mut sample, &mut notes, now);
    sample.gates = notes.gates();
    let (findings, evidence) = notes.into_findings(options.class);
    sample.warnings = warnings(&findings);
    sample.faults = faults(&findings);
    sample.findings = findings;
    Looked { sample, evidence }
}

/// Every address behind a name, each once.
async fn addresses(
    host: &str,
    target: &Target,
    options: &ProberOptions,
    notes: &mut Notes<'_>,
) -> Vec<SocketAddr> {
    let port = target.base.port_or_known_default().unwrap_or(443);
    let mut found = match addresses_of((host, port), options).await {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let text = format!("nobody says in time where `{host}` is");
            notes.fault(Check::Alive, None, text);
            Vec::new()
        }
        Err(error) => {
            let text = format!("`{host}` has no address: {error}");
            notes.fault(Check::Alive, None, text);
            Vec::new()
        }
    };
    if options.class >= Class::Hourly && is_wildcard((host, port), options, options.seed).await {
        let text = format!(
            "any name beside `{host}` leads to the same address (wildcard DNS), so that the name alone says nothing"
        );
        notes.note(Check::Dns, None, text);
    }
    found.sort();
    found.dedup();
    let max = options.limits.addresses_max;
    if found.len() > max {
        let text = format!(
            "`{host}` has {} addresses, of which {max} were asked",
            found.len()
        );
        notes.note(Check::Dns, None, text);
        found.truncate(max);
    }
    found
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect()
}

/// Looks at one address.
async fn visit(
    (target, address, left_bytes): (&Target, SocketAddr, u64),
    options: &ProberOptions,
    reference: &Reference,
    notes: &mut Notes<'_>,
    now: i64,
) -> (Did, Seen, Option<Certificate>) {
    let host = target.base.host_str().unwrap_or_default();
    let tls = (target.base.scheme() == "https").then(|| Arc::clone(&options.tls));
    let left = usize::try_from(left_bytes).unwrap_or(usize::MAX);
    let budget_bytes = options.limits.budget_bytes_of(options.class).min(left);
    let line = Line::new((address, host), tls, &options.limits, budget_bytes);
    let mut visit = Visit {
        target,
        options,
        notes,
        line,
        now,
        random: fastrand::Rng::with_seed(options.seed),
        seen: Seen::default(),
        carried: None,
    };
    let looked = timeout(
        options.limits.address_timeout,
        checks::all(&mut visit, reference),
    );
    let looked = looked.await.unwrap_or(Err(Trouble::Slow));
    let Visit { line, mut seen, .. } = visit;
    seen.received_bytes = line.received_bytes() as u64;
    let certificate = line.certificate().cloned();
    let ip = Some(address.ip());
    let did = match looked {
        Ok(()) => Did::Answered,
        Err(Trouble::NoRoute) => {
            let text = Trouble::NoRoute.to_string();
            notes.note(Check::Protocols, ip, text);
            Did::Unknown
        }
        Err(trouble @ Trouble::Tls(_)) => {
            let kind = (Check::Tls, Gate::Tls);
            let text = trouble.to_string();
            let proof = Proof {
                endpoint: &target.endpoint,
                vantage: &options.vantage,
                at: now,
                check: kind.0,
                gate: kind.1,
                address: ip,
                agent: "",
                text: &text,
                expected: json!({"name": host, "valid-at": now}),
            };
            let shown = line.shown_certificates().await;
            let evidence = Evidence::of_observation(&proof, json!({"certificates": shown}));
            notes.prove(kind, ip, text, evidence);
            Did::Failed
        }
        Err(trouble) => {
            notes.fault(Check::Alive, ip, trouble.to_string());
            Did::Failed
        }
    };
    (did, seen, certificate)
}

/// A name answers where one of its addresses does, for clients try the others; that one does not is told.
fn outcome(all: &[(IpAddr, Did, Seen)], notes: &mut Notes<'_>) -> Outcome {
    let answered = all.iter().any(|(_, did, _)| *did == Did::Answered);
    if !answered {
        return Outcome::Failed;
    }
    for (address, did, _) in all {
        if *did == Did::Failed {
            let text = "does not answer, while other addresses of the name do";
            notes.warn(Check::Dns, Some(*address), text);
        }
    }
    Outcome::Alive
}

fn first_to_end(one: Option<Certificate>, other: Option<Certificate>) -> Option<Certificate> {
    match (one, other) {
        (Some(one), Some(other)) if other.not_after < one.not_after => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

/// All addresses together: counts added up, and of everything else what clients meet who have no luck.
fn sum_up(sample: &mut Sample, all: Vec<(IpAddr, Did, Seen)>) {
    let (mut present, mut intact) = (Count::default(), Count::default());
    for (_, _, seen) in all {
        present = present.plus(seen.present);
        intact = intact.plus(seen.intact);
        sample.pause_until = sample.pause_until.max(seen.pause_until);
        sample.lag_seconds = sample.lag_seconds.max(seen.lag_seconds);
        sample.first_byte_milliseconds = sample
            .first_byte_milliseconds
            .max(seen.first_byte_milliseconds);
        sample.serial_claimed = least(sample.serial_claimed, seen.serial_claimed);
        sample.serial_proved = least(sample.serial_proved, seen.serial_proved);
        sample.goodput_bytes_per_second = least(
            sample.goodput_bytes_per_second,
            seen.goodput_bytes_per_second,
        );
        let newer =
            |receipt: &heliostat_directory::Receipt| (receipt.snapshot_version, receipt.serial);
        if seen.receipt.as_ref().map(newer) > sample.receipt.as_ref().map(newer) {
            sample.receipt = seen.receipt;
        }
    }
    sample.present = present;
    sample.intact = intact;
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A signed statement is written down once.
fn forget_the_known(sample: &mut Sample, before: Option<&Sample>) {
    let before = before.and_then(|before| before.receipt.as_ref());
    if let Some(receipt) = &mut sample.receipt
        && before.is_some_and(|before| before.signed == receipt.signed)
    {
        receipt.signed = None;
    }
}

fn judge_certificate(sample: &mut Sample, notes: &mut Notes<'_>, now: i64) {
    let Some(certificate) = &sample.certificate else {
        return;
    };
    let days = (certificate.not_after - now).div_euclid(DAY_SECONDS);
    sample.certificate_days = Some(days);
    if days < CERTIFICATE_DAYS_WARN {
        notes.warn(
            Check::Tls,
            None,
            format!("its certificate ends in {days} days"),
        );
    }
}

/// Whether a check is made in a round of this class.
pub(crate) fn is_due(check: Check, class: Class) -> bool {
    check.class() <= class
}

//! `heliostat mirrors`: how the proxy's mirrors do, and what the user decides about them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use heliostat_client::{Advice, Carries, Choices, Circuit, Client, Standing};

use super::{UsageError, proxy};
use crate::cli::{CommonArgs, MirrorChoiceArgs, MirrorsCommand, MirrorsTestArgs};
use crate::outcome::Outcome;
use crate::{reporter, wire};

pub(super) fn run(common: &CommonArgs, command: &MirrorsCommand) -> anyhow::Result<Outcome> {
    match command {
        MirrorsCommand::Rank { json } => rank(&directory(common), *json),
        MirrorsCommand::Test(args) => test(common, args),
        MirrorsCommand::Pin(args) => choose(&directory(common), args, Choice::Pin),
        MirrorsCommand::Ban(args) => choose(&directory(common), args, Choice::Ban),
        MirrorsCommand::Why { file, json } => proxy::why(common, file, *json),
    }
}

fn directory(common: &CommonArgs) -> PathBuf {
    wire::data_directory(common).join("proxy")
}

/// The order in which the proxy would ask.
fn rank(directory: &Path, json: bool) -> anyhow::Result<Outcome> {
    let Some(standings) = Client::standings_kept(directory, &wire::clock())? else {
        reporter::talk(&format!(
            "no proxy has run with `{}`; `heliostat mirrors test --root FILE` with `--mirror` or `--directory` asks \
             mirrors now",
            directory.display()
        ));
        return Ok(Outcome::Findings);
    };
    let mut place = 0;
    for standing in &standings {
        let is_asked = !standing.banned && standing.dropped.is_none();
        place += usize::from(is_asked);
        if json {
            reporter::json_line(standing);
            continue;
        }
        let number = if is_asked {
            format!("{place}.")
        } else {
            "-".to_owned()
        };
        reporter::print(&format!("{number:<5}{}\n", told(standing)));
    }
    Ok(Outcome::Done)
}

/// A mirror in words: two lines, who it is and what decides about its place.
fn told(standing: &Standing) -> String {
    let mut text = standing.mirror.clone();
    for more in [&standing.id, &standing.operator].into_iter().flatten() {
        let _infallible = write!(text, "  {more}");
    }
    let mut words: Vec<String> = Vec::new();
    if standing.banned {
        words.push("banned by you".to_owned());
    }
    if let Some((until, why)) = &standing.dropped {
        words.push(format!(
            "not asked until {}, because it lied: {why}",
            crate::render::moment(*until)
        ));
    }
    if standing.pinned {
        words.push("pinned by you".to_owned());
    }
    if standing.carries == Carries::Files {
        words.push("asked for files only".to_owned());
    }
    match standing.circuit {
        Circuit::Closed => {}
        Circuit::HalfOpen => words.push("about to be tried again".to_owned()),
        Circuit::Cooling => words.push("failed just now".to_owned()),
        Circuit::Open => words.push(format!(
            "left alone after {} failures in a row",
            standing.failures_in_a_row
        )),
    }
    words.push(format!(
        "an answer is expected within {:.0} ms",
        standing.expected_milliseconds
    ));
    match (standing.latency_milliseconds, standing.success) {
        (Some(latency), Some(success)) => words.push(format!(
            "measured: {latency:.0} ms, {:.0} % given",
            success * 100.0
        )),
        (None, Some(success)) => words.push(format!("measured: {:.0} % given", success * 100.0)),
        _ => words.push("not measured".to_owned()),
    }
    if let Some(speed) = standing.kilobytes_per_second {
        words.push(format!("files at {speed:.0} kB/s"));
    }
    if standing.timestamp > 0 {
        words.push(format!("timestamp {}", standing.timestamp));
    }
    let advice = match standing.prior.advice {
        Advice::None => None,
        Advice::Use => Some("does well"),
        Advice::Spare => Some("there are better ones"),
        Advice::Avoid => Some("others first"),
    };
    if let Some(advice) = advice {
        let health = standing.prior.health.map_or_else(String::new, |health| {
            format!(", health {:.0}", health * 100.0)
        });
        words.push(format!("the list says: {advice}{health}"));
    }
    format!("{text}\n     {}", words.join("; "))
}

/// Asks the mirrors now.
fn test(common: &CommonArgs, args: &MirrorsTestArgs) -> anyhow::Result<Outcome> {
    let (_options, list, client) = proxy::open_as_configured(common, &args.source)?;
    let runtime = wire::runtime()?;
    let outcome = runtime.block_on(async {
        let _news = list.begin(&client).await?;
        let tested = client.test_mirrors(usize::from(args.most)).await;
        client.stop().await;
        anyhow::Ok(tested?)
    });
    wire::end(runtime);
    let mut tested = outcome?;
    tested.sort_by_key(|tested| (!tested.usable, tested.milliseconds, tested.mirror.clone()));
    for found in &tested {
        if args.json {
            reporter::json_line(found);
            continue;
        }
        let said = match (&found.failure, found.milliseconds, found.timestamp) {
            (Some(failure), ..) => failure.clone(),
            (None, Some(milliseconds), Some(timestamp)) => {
                format!("{milliseconds} ms, timestamp {timestamp}")
            }
            _ => "gave nothing".to_owned(),
        };
        reporter::print(&format!("{}  {said}\n", found.mirror));
    }
    let is_well = !tested.is_empty() && tested.iter().all(|found| found.usable);
    Ok(if is_well {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// What is decided about a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Pin,
    Ban,
}

fn choose(directory: &Path, args: &MirrorChoiceArgs, choice: Choice) -> anyhow::Result<Outcome> {
    let mut choices = Choices::read(directory)?;
    let known = Client::standings_kept(directory, &wire::clock())?.unwrap_or_default();
    let mut outcome = Outcome::Done;
    for mirror in &args.mirror {
        if !args.undo {
            must_be_known(mirror, &known)?;
        }
        let (chosen, other) = match choice {
            Choice::Pin => (&mut choices.pinned, &mut choices.banned),
            Choice::Ban => (&mut choices.banned, &mut choices.pinned),
        };
        let is_same = |word: &String| bare(word) == bare(mirror);
        let was_there = chosen.iter().any(is_same);
        chosen.retain(|word| !is_same(word));
        if args.undo {
            if !was_there {
                reporter::talk(&format!("`{mirror}` was not; nothing is taken back"));
                outcome = Outcome::Findings;
            }
        } else {
            chosen.insert(mirror.clone());
            // Whoever changes their mind means the later word.
            other.retain(|word| !is_same(word));
        }
    }
    if !args.mirror.is_empty() {
        choices.keep(directory)?;
    }
    if args.json {
        reporter::json_line(&choices);
    } else {
        reporter::print(&listed("pinned", &choices.pinned));
        reporter::print(&listed("banned", &choices.banned));
    }
    Ok(outcome)
}

fn listed(what: &str, words: &BTreeSet<String>) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    };
    format!("{what}: {words}\n")
}

fn bare(mirror: &str) -> &str {
    mirror.trim_end_matches('/')
}

/// A mirror that is misspelt would be pinned or banned to no effect.
fn must_be_known(mirror: &str, known: &[Standing]) -> Result<(), UsageError> {
    let is_known = known.iter().any(|standing| {
        bare(&standing.mirror) == bare(mirror) || standing.id.as_deref() == Some(mirror)
    });
    let is_address = ["http://", "https://"]
        .iter()
        .any(|scheme| mirror.starts_with(scheme));
    // One that is not here yet may come.
    if is_known || (is_address && known.is_empty()) {
        return Ok(());
    }
    Err(UsageError(format!(
        "no mirror `{mirror}` is known here: `heliostat mirrors rank` tells the addresses and ids of those that are"
    )))
}

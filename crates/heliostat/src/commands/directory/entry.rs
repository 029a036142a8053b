//! `heliostat directory maintenance` and `lift`: what people decide about a mirror for a time, written into its entry.
//! Everything else in the file stays as it is.

use anyhow::Context as _;
use heliostat_directory::State;
use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::registry;
use crate::cli::{DirectoryLiftArgs, DirectoryMaintenanceArgs};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// The longest maintenance that counts.
const MAINTENANCE_SECONDS_MAX: i64 = 7 * 86_400;

/// Where in an entry's text its lists are.
#[derive(Debug, Deserialize)]
struct Lists {
    maintenance: Option<Spanned<toml::Value>>,
    lifted: Option<Spanned<toml::Value>>,
}

/// Announces that an operator works on a mirror.
pub(super) fn maintenance(args: &DirectoryMaintenanceArgs) -> anyhow::Result<Outcome> {
    let (_, list) = super::read(&args.place)?;
    let mirror = registry::mirror(&list, &args.mirror)?;
    let span = args.to.as_second() - args.from.as_second();
    if span <= 0 {
        return Err(UsageError("`--to` is not later than `--from`".to_owned()).into());
    }
    if span > MAINTENANCE_SECONDS_MAX {
        return Err(UsageError(
            "a maintenance counts for seven days at most; announce less, or take the mirror off with \
             `heliostat directory remove` and list it again"
                .to_owned(),
        )
        .into());
    }
    if args.to.as_second() <= wire::clock().now() {
        return Err(UsageError(
            "that time is over: a maintenance is announced before it ends".to_owned(),
        )
        .into());
    }
    let note = args.note.as_ref().map_or_else(String::new, |note| {
        format!(", note = {}", toml::Value::String(note.clone()))
    });
    let value = format!("{{ from = \"{}\", to = \"{}\"{note} }}", args.from, args.to);
    let path = super::entry_path(&args.place.registry, &mirror.id);
    let text = super::read_text(&path)?;
    let text = with_item(&text, "maintenance", |lists| lists.maintenance, &value)?;
    registry::write(&args.place, &list, (&mirror.id, &text))?;
    reporter::talk(&format!(
        "nothing counts against `{}` from {} to {}; commit `{}`",
        mirror.id,
        render::moment(args.from.as_second()),
        render::moment(args.to.as_second()),
        path.display()
    ));
    Ok(Outcome::Done)
}

/// Lets a mirror back that is in quarantine, to be watched like a new one.
pub(super) fn lift(args: &DirectoryLiftArgs) -> anyhow::Result<Outcome> {
    let (policy, list) = super::read(&args.place)?;
    let mirror = registry::mirror(&list, &args.mirror)?;
    let now = wire::clock().now();
    let replayed = super::replay_own(&args.place.registry, &list, &policy)?;
    let quarantined: Vec<_> = mirror
        .endpoints
        .iter()
        .filter_map(|endpoint| {
            let standing = replayed.standings.get(&endpoint.id)?;
            (standing.state == State::Quarantined).then_some((&endpoint.id, standing))
        })
        .collect();
    if quarantined.is_empty() {
        return Err(UsageError(format!(
            "no endpoint of `{}` is in quarantine; `heliostat directory show {0}` says how they stand",
            mirror.id
        ))
        .into());
    }
    let at = Timestamp::from_second(now).context("the clock is out of range")?;
    let path = super::entry_path(&args.place.registry, &mirror.id);
    let text = super::read_text(&path)?;
    let text = with_item(&text, "lifted", |lists| lists.lifted, &format!("\"{at}\""))?;
    registry::write(&args.place, &list, (&mirror.id, &text))?;
    for (id, standing) in quarantined {
        reporter::talk(&format!(
            "`{id}`, in quarantine since {} ({}), is on probation from its next clean round on",
            render::moment(standing.since),
            standing.rule
        ));
    }
    reporter::talk(&format!(
        "commit `{}`; where people sign the list, it counts for others once they signed it",
        path.display()
    ));
    Ok(Outcome::Done)
}

/// An entry's text with one more item in the list of that name.
fn with_item(
    text: &str,
    name: &str,
    pick: impl Fn(Lists) -> Option<Spanned<toml::Value>>,
    item: &str,
) -> anyhow::Result<String> {
    let lists: Lists = toml::from_str(text).context("the entry is no TOML")?;
    let Some(found) = pick(lists) else {
        return Ok(registry::with_line(text, &format!("{name} = [{item}]\n")));
    };
    let span = found.span();
    let written = text.get(span.clone()).unwrap_or_default();
    if !written.starts_with('[') || written.starts_with("[[") {
        // Tables of an array may stand anywhere; one more goes to the end.
        let members = item.trim_start_matches("{ ").trim_end_matches(" }");
        let members: toml::Table = toml::from_str(&format!("item = {{ {members} }}"))?;
        let table = toml::to_string(members.get("item").context("an item")?)?;
        return Ok(format!("{}\n\n[[{name}]]\n{table}", text.trim_end()));
    }
    // In front, where no comment can stand before it.
    let (before, after) = text.split_at(span.start + 1);
    let comma = if after.trim_start().starts_with(']') {
        ""
    } else {
        ", "
    };
    Ok(format!("{before}{item}{comma}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> String {
        let item = "{ from = \"2026-12-01T00:00:00Z\", to = \"2026-12-02T00:00:00Z\" }";
        with_item(text, "maintenance", |lists| lists.maintenance, item).unwrap()
    }

    #[test]
    fn an_item_is_added_wherever_the_list_stands() {
        let tables = "\n[[endpoints]]\nid = \"a\"\n";
        for (text, count) in [
            (format!("id = \"a\"\n{tables}"), 1),
            (format!("# why [not]\nmaintenance = []\n{tables}"), 1),
            (
                format!("maintenance = [{{ from = \"a]\", to = \"b\" }}]\n{tables}"),
                2,
            ),
            (
                format!(
                    "maintenance = [\n  {{ from = \"a\", to = \"b\" }},   # first\n]\n{tables}"
                ),
                2,
            ),
            (
                format!("{tables}\n[[maintenance]]\nfrom = \"a\"\nto = \"b\"\n"),
                2,
            ),
        ] {
            let written = with(&text);
            let table: toml::Table =
                toml::from_str(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(
                table["maintenance"].as_array().unwrap().len(),
                count,
                "{written}"
            );
            assert_eq!(table["endpoints"].as_array().unwrap().len(), 1, "{written}");
        }
    }
}

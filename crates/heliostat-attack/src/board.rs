//! The board: rows as a table for people, as Markdown for the docs, as JSON for programs. Pure.

use serde::Serialize;

use crate::attacks::Alone;
use crate::lab::Row;
use crate::round::{Attestations, Installed, Round};

/// One row as JSON.
#[derive(Debug, Serialize)]
pub struct Entry {
    attack: &'static str,
    family: &'static str,
    what: &'static str,
    installer: &'static str,
    alone: &'static str,
    alone_seconds: f64,
    with_honest: &'static str,
    with_honest_seconds: f64,
    defeated: bool,
    faults: Vec<String>,
}

impl Row {
    /// Whether the attack came to nothing in both rounds.
    pub fn is_defeated(&self) -> bool {
        self.faults().next().is_none()
    }

    /// What went wrong, in words.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let of = |company: &'static str, round: &Round| {
            let faults = round.faults.clone();
            faults
                .into_iter()
                .map(move |fault| format!("{company}: {fault}"))
        };
        of("alone", &self.alone).chain(of("with an honest mirror", &self.with_honest))
    }

    /// For JSON.
    pub fn entry(&self) -> Entry {
        Entry {
            attack: self.attack.name,
            family: self.attack.family,
            what: self.attack.what,
            installer: self.installer.name(),
            alone: told(&self.alone),
            alone_seconds: tenths(&self.alone),
            with_honest: told(&self.with_honest),
            with_honest_seconds: tenths(&self.with_honest),
            defeated: self.is_defeated(),
            faults: self.faults().collect(),
        }
    }
}

/// A line for a terminal.
pub fn line(row: &Row) -> String {
    let mut text = format!(
        "{:<9} {:<32} {:<4} alone: {:<22} with an honest mirror: {}\n",
        verdict(row),
        row.attack.name,
        row.installer.name(),
        shown(&row.alone),
        shown(&row.with_honest),
    );
    for fault in row.faults() {
        text.push_str(&["          ", &fault, "\n"].concat());
    }
    text
}

/// The whole board for the docs. Seconds are left out: they say more of the machine than of the attack.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| attack | what the mirror does | installer | alone | with one honest mirror more | |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let cells = [
            format!("{}: `{}`", row.attack.family, row.attack.name),
            row.attack.what.to_owned(),
            row.installer.name().to_owned(),
            told(&row.alone).to_owned(),
            told(&row.with_honest).to_owned(),
            verdict(row).to_owned(),
        ];
        text.push_str(&["| ", &cells.join(" | "), " |\n"].concat());
    }
    text
}

fn verdict(row: &Row) -> &'static str {
    match (row.is_defeated(), row.attack.alone) {
        (true, Alone::OldIsInstalled) => "bounded",
        (true, _) if row.with_honest.installed == Installed::Nothing => "bounded",
        (true, _) => "defeated",
        (false, _) => "NOT MET",
    }
}

fn shown(round: &Round) -> String {
    format!("{} in {:.1} s", told(round), round.elapsed.as_secs_f64())
}

const fn told(round: &Round) -> &'static str {
    match round.installed {
        Installed::Nothing => "refused",
        Installed::Newest => match round.attestations {
            None => "newest installed",
            Some(Attestations::Right) => "installed with its attestations",
            Some(Attestations::Refused) => "installed, attestations refused",
            Some(Attestations::Wrong) => "WRONG ATTESTATIONS",
        },
        Installed::Old => "older installed",
        Installed::Wrong => "WRONG BYTES",
    }
}

fn tenths(round: &Round) -> f64 {
    (round.elapsed.as_secs_f64() * 10.0).round() / 10.0
}

//! docs/ceremony.md: its commands are typed as they stand there, one block after the other, and print what it says.

use std::path::Path;

use heliostat_testkit::process::Invocation;
use heliostat_testkit::universe::{Release, Universe};

use crate::world::World;

const DOCUMENT: &str = include_str!("../../../../docs/ceremony.md");
/// Stands for any text in a line, and alone for any lines.
const ANYTHING: &str = "…";

/// The blocks of the document with their language, in order.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = DOCUMENT.split("```").skip(1).step_by(2);
    fenced
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

fn line_fits(told: &str, printed: &str) -> bool {
    let pieces: Vec<&str> = told.split(ANYTHING).collect();
    let [first, middle @ .., last] = pieces.as_slice() else {
        return told == printed;
    };
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    for piece in middle {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

fn fits(told: &[&str], printed: &[&str]) -> bool {
    match told {
        [] => printed.is_empty(),
        [ANYTHING, rest @ ..] => (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..])),
        [line, rest @ ..] => printed
            .split_first()
            .is_some_and(|(first, after)| line_fits(line, first) && fits(rest, after)),
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .collect()
}

#[test]
fn the_ceremony_runs_and_prints_as_the_document_says() {
    let mut universe = Universe::new();
    universe.add_project("requests", &[Release::simple("1.0")]);
    let world = World::new(universe);
    let folder = world.place("ceremony");
    std::fs::create_dir_all(&folder).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_heliostat"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut printed = String::new();
    let (mut ran, mut held) = (0, 0);
    for (language, text) in blocks() {
        if language == "text" {
            held += 1;
            let as_told = fits(&lines(text), &lines(&printed));
            assert!(
                as_told,
                "the document says:\n{text}\nand it prints:\n{printed}"
            );
        }
        if language != "sh" {
            continue;
        }
        ran += 1;
        let typed = Invocation::new("/bin/sh")
            .args(["-e", "-c", &format!("exec 2>&1\n{text}")])
            .env("PATH", &path)
            .env("HELIOSTAT_PASSPHRASE", "correct horse battery")
            .env("HELIOSTAT_UPSTREAM", world.pypi.index_url())
            .env("HELIOSTAT_ATTESTATIONS", "ignore")
            .current_dir(&folder)
            .run();
        typed.assert_code(0);
        printed = typed.stdout;
    }
    assert!(ran > 10 && held > 10, "{ran} {held}");
}

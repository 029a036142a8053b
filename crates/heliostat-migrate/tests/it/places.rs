//! Every place where the address of an index can stand, each with a file of its own in `places.txt`: what is found
//! there and what is written is held by a snapshot, and a second run finds nothing left to do.

use std::fmt::Write as _;

use heliostat_migrate::map::Map;
use heliostat_migrate::{Scanner, Text};

const MAP: &str = "builtin = false\n[[retired]]\nhosts = ['old.example']\nports = [80, 443, 8081]\n\
                   [[retired.rule]]\nto = 'https://new.example'\n\
                   [[retired.rule]]\nkinds = ['upload']\nprefix = '/up'\nto = 'https://new.example/upload'\n\
                   [[retired.rule]]\nkinds = ['allowed-host']\nto_hosts = ['new.example', 'files.new.example']\n";

/// The files: a line `==== PATH` before each.
const PLACES: &str = include_str!("places.txt");

#[test]
fn each_place_is_found_and_rewritten() {
    let scanner = Scanner::new(Map::parse("migrate.toml", MAP).unwrap());
    let mut told = String::new();
    for place in PLACES.split("==== ").skip(1) {
        let (path, text) = place.split_once('\n').unwrap();
        let scan = scanner.scan(path, text.as_bytes());
        let _infallible = writeln!(told, "==== {path}");
        for one in &scan.findings {
            let _infallible = writeln!(
                told,
                "{}:{} {} {}",
                one.line,
                one.column,
                one.kind.word(),
                one.action.word()
            );
        }
        for one in &scan.unresolved {
            let _infallible = writeln!(told, "{}:{} undecided", one.line, one.column);
        }
        let new = match scanner.rewrite(path, text.as_bytes(), &scan) {
            Ok(new) => new,
            Err(error) => {
                let _infallible = writeln!(told, "not written: {error}");
                continue;
            }
        };
        let new = Text::read(&new).unwrap().view().to_owned();
        push_changes(&mut told, text, &new);
        let again = scanner.scan(path, new.as_bytes());
        assert!(again.edits.is_empty(), "{path} a second time: {new}");
    }
    insta::assert_snapshot!("places", told);
}

/// The lines that go and come.
fn push_changes(told: &mut String, before: &str, after: &str) {
    let patch = diffy::create_patch(before, after);
    for line in patch.hunks().iter().flat_map(diffy::Hunk::lines) {
        let (sign, line) = match line {
            diffy::Line::Context(_) => continue,
            diffy::Line::Delete(line) => ('-', line),
            diffy::Line::Insert(line) => ('+', line),
        };
        let _infallible = writeln!(told, "{sign}{}", line.escape_debug());
    }
}

//! The attack board through the program: every attack against real pip and uv.

use std::time::Duration;

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::process::Invocation;

fn lab() -> Invocation {
    Invocation::new(env!("CARGO_BIN_EXE_heliostat")).arg("attack-lab")
}

fn attacks() -> Vec<String> {
    let listed = lab().run();
    listed.assert_code(0);
    let names = listed
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// Runs every fourth attack, beginning with this one. Four tests, so that none takes for ever on a busy machine.
#[track_caller]
fn assert_a_quarter_is_defeated(first: usize) {
    let (Some(python), Some(uv)) = (or_skip(Tool::PipNewest.find()), or_skip(Tool::Uv.find()))
    else {
        return;
    };
    let chosen: Vec<String> = attacks().into_iter().skip(first).step_by(4).collect();
    let board = lab()
        .args(&chosen)
        .args(["--json", "--pip"])
        .arg(python)
        .arg("--uv")
        .arg(uv)
        .patience(Duration::from_secs(280))
        .run();
    board.assert_code(0);
    let rows: Vec<serde_json::Value> = board
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for name in chosen {
        for installer in ["pip", "uv"] {
            let row = rows
                .iter()
                .find(|row| row["attack"] == *name && row["installer"] == installer)
                .unwrap_or_else(|| panic!("no row for {name} with {installer}"));
            assert_eq!(row["defeated"], true, "{row:#}");
        }
    }
}

#[test]
fn every_attack_is_defeated_with_pip_and_uv_first_quarter() {
    assert_a_quarter_is_defeated(0);
}

#[test]
fn every_attack_is_defeated_with_pip_and_uv_second_quarter() {
    assert_a_quarter_is_defeated(1);
}

#[test]
fn every_attack_is_defeated_with_pip_and_uv_third_quarter() {
    assert_a_quarter_is_defeated(2);
}

#[test]
fn every_attack_is_defeated_with_pip_and_uv_fourth_quarter() {
    assert_a_quarter_is_defeated(3);
}

#[test]
fn the_board_in_the_docs_has_every_attack() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/attack-board.md");
    let board = std::fs::read_to_string(path).unwrap();
    let attacks = attacks();
    assert!(attacks.len() > 30, "{attacks:?}");
    for name in attacks {
        assert!(board.contains(&format!("`{name}`")), "{name} is not there");
    }
    assert!(!board.contains("NOT MET"), "the board tells of a defeat");
}

#[test]
fn an_attack_that_is_not_there_is_wrong_usage() {
    let finished = lab().arg("no-such-attack").run();
    finished.assert_code(2);
    assert!(finished.stderr.contains("no-such-attack"), "{finished}");
}

//! Replays the fuzz corpora of what this crate reads.

#[path = "../../../../fuzz/src/replay.rs"]
mod replay;
#[expect(
    unreachable_pub,
    reason = "public for the fuzz crate, whose module this file is"
)]
#[path = "../../../../fuzz/src/directory.rs"]
mod targets;

#[test]
fn every_target_survives_its_corpus() {
    replay::all(targets::ALL);
}

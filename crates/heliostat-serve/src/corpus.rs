//! Replays the fuzz corpora of what this crate reads. In here because what reads it is nobody else's business.

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[expect(
    unreachable_pub,
    reason = "public for the fuzz crate, whose module this file is"
)]
#[path = "../../../fuzz/src/serve.rs"]
mod targets;

#[test]
fn every_target_survives_its_corpus() {
    replay::all(targets::ALL);
}

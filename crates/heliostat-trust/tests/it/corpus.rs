//! Replays the fuzz corpora through the fuzz targets' own functions, so that every run of the tests does.

#[expect(
    unreachable_pub,
    reason = "public for the fuzz crate, whose module this file is"
)]
#[path = "../../../../fuzz/src/trust_targets.rs"]
mod targets;

use std::path::Path;

#[test]
fn every_target_survives_its_corpus() {
    for (target, run) in targets::ALL {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(target);
        let mut files = 0;
        for entry in corpus.read_dir().unwrap() {
            run(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{target} has no corpus");
    }
}

//! Replays corpora through the fuzz targets' own functions. The tests of each crate include this file beside its
//! targets, so that every run of the tests does.

use std::path::Path;

/// A target with the name of its corpus.
type Target = (&'static str, fn(&[u8]));

/// Runs every target over every file of its corpus, none of which may be empty.
#[expect(
    clippy::disallowed_methods,
    reason = "test data beside the fuzz targets"
)]
pub(crate) fn all(targets: &[Target]) {
    for (target, run) in targets {
        // Every crate stands two levels below the top.
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

//! What installers install in more than one test: an application with what it needs.

use std::path::Path;

use heliostat_testkit::process::Finished;
use heliostat_testkit::universe::{MetadataOffer, Release, Universe, Yank};

/// `alpha-app` needs `beta`, which comes as a source distribution only and needs `delta`.
pub(crate) fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project(
        "Alpha.App",
        &[
            Release::simple("1.0").requires_dist("beta>=1"),
            Release::simple("1.1").yanked(Yank::Because("broken".to_owned())),
        ],
    );
    universe.add_project(
        "beta",
        &[
            Release::new("1.0").wheel().metadata(MetadataOffer::Absent),
            Release::new("2.0").sdist().requires_dist("delta"),
            Release::new("3.0b1").wheel(),
        ],
    );
    universe.add_project(
        "delta",
        &[Release::new("1.0")
            .wheel()
            .payload_bytes(400_000)
            .provenance()],
    );
    universe
}

/// The three of them are there, each in the version that is to be taken.
#[track_caller]
pub(crate) fn assert_installed(finished: &Finished, directory: &Path) {
    finished.assert_code(0);
    for (package, version) in [("alpha_app", "1.0"), ("beta", "2.0"), ("delta", "1.0")] {
        let init = std::fs::read_to_string(directory.join(package).join("__init__.py")).unwrap();
        assert_eq!(init, format!("__version__ = \"{version}\"\n"), "{package}");
    }
}

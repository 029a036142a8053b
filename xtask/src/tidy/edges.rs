//! Which package may name which: the drawing in ARCHITECTURE.md as a table.

use cargo_metadata::{Dependency, DependencyKind, Package};

use super::Finding;

/// Every package of the workspace and those of ours that it may depend on.
const OURS: [(&str, &[&str]); 14] = [
    ("heliostat-pypi", &[]),
    ("heliostat-upstream", &["heliostat-pypi"]),
    ("heliostat-store", &["heliostat-pypi"]),
    ("heliostat-trust", &["heliostat-pypi"]),
    (
        "heliostat-client",
        &["heliostat-pypi", "heliostat-trust", "heliostat-upstream"],
    ),
    (
        "heliostat-engine",
        &[
            "heliostat-pypi",
            "heliostat-store",
            "heliostat-upstream",
            "heliostat-trust",
            "heliostat-client",
        ],
    ),
    ("heliostat-migrate", &["heliostat-pypi"]),
    ("heliostat-directory", &[]),
    (
        "heliostat-prober",
        &[
            "heliostat-pypi",
            "heliostat-upstream",
            "heliostat-trust",
            "heliostat-client",
            "heliostat-directory",
        ],
    ),
    ("heliostat-attack", &["heliostat-pypi", "heliostat-trust"]),
    (
        "heliostat-serve",
        &[
            "heliostat-pypi",
            "heliostat-store",
            "heliostat-engine",
            "heliostat-client",
            "heliostat-migrate",
        ],
    ),
    (
        "heliostat",
        &[
            "heliostat-pypi",
            "heliostat-store",
            "heliostat-upstream",
            "heliostat-engine",
            "heliostat-serve",
            "heliostat-trust",
            "heliostat-client",
            "heliostat-migrate",
            "heliostat-attack",
            "heliostat-directory",
            "heliostat-prober",
        ],
    ),
    ("heliostat-testkit", &[]),
    ("xtask", &[]),
];

/// Third-party packages that decide what a crate *is*, and the only ones of ours that may name them.
const GATED: [(&str, &[&str]); 15] = [
    ("reqwest", &["heliostat-upstream"]),
    ("axum", &["heliostat-serve", "heliostat-testkit"]),
    (
        "hyper",
        &["heliostat-serve", "heliostat-prober", "heliostat-testkit"],
    ),
    (
        "hyper-util",
        &["heliostat-serve", "heliostat-prober", "heliostat-testkit"],
    ),
    (
        "tokio-rustls",
        &["heliostat-serve", "heliostat-prober", "heliostat-testkit"],
    ),
    ("askama", &["heliostat-serve", "heliostat-directory"]),
    ("rusqlite", &["heliostat-store"]),
    ("clap", &["heliostat", "heliostat-testkit", "xtask"]),
    ("anyhow", &["heliostat", "heliostat-testkit", "xtask"]),
    ("indicatif", &["heliostat"]),
    ("tracing-subscriber", &["heliostat"]),
    ("cargo_metadata", &["xtask"]),
    ("rcgen", &["heliostat-testkit"]),
    ("tempfile", &["heliostat-testkit"]),
    (
        "tokio",
        &[
            "heliostat",
            "heliostat-serve",
            "heliostat-engine",
            "heliostat-upstream",
            "heliostat-client",
            "heliostat-prober",
            "heliostat-testkit",
        ],
    ),
];

/// Packages that only tests may name.
const ONLY_IN_TESTS: [&str; 3] = ["heliostat-testkit", "insta", "proptest"];

/// Checks every package against the tables.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let place = || format!("package {}", package.name);
    let Some((_, allowed)) = OURS.iter().find(|(name, _)| *name == package.name.as_str()) else {
        return vec![Finding::whole(
            place(),
            "is not in the table of xtask/src/tidy/edges.rs",
        )];
    };
    let fault =
        |dependency: &Dependency| fault(&package.name, allowed, &dependency.name, dependency.kind);
    package
        .dependencies
        .iter()
        .filter_map(fault)
        .map(|fault| Finding::whole(place(), fault))
        .collect()
}

/// What is wrong with `package` naming `dependency`, if anything.
fn fault(
    package: &str,
    allowed: &[&str],
    dependency: &str,
    kind: DependencyKind,
) -> Option<String> {
    let ours = OURS.iter().any(|(name, _)| *name == dependency);
    if kind == DependencyKind::Development {
        // Tests join what lies below their crate at any depth, as the program does; never what lies above.
        let fine =
            [package, "heliostat-testkit"].contains(&dependency) || reaches(package, dependency);
        return (ours && !fine).then(|| {
            format!("its tests depend on `{dependency}`, against the arrows of ARCHITECTURE.md")
        });
    }
    if ONLY_IN_TESTS.contains(&dependency) {
        return Some(format!(
            "depends on `{dependency}`, which is for [dev-dependencies] only"
        ));
    }
    if ours && !allowed.contains(&dependency) {
        return Some(format!(
            "depends on `{dependency}`, against the arrows of ARCHITECTURE.md"
        ));
    }
    let (_, may) = GATED.iter().find(|(name, _)| *name == dependency)?;
    (!may.contains(&package)).then(|| {
        format!(
            "depends on `{dependency}`, which only {} may",
            may.join(", ")
        )
    })
}

/// Whether `below` is under `package`, directly or through others.
fn reaches(package: &str, below: &str) -> bool {
    let direct = OURS
        .iter()
        .find(|(name, _)| *name == package)
        .map_or(&[][..], |(_, direct)| direct);
    direct
        .iter()
        .any(|next| *next == below || reaches(next, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(package: &str, dependency: &str, kind: DependencyKind) -> Option<String> {
        let (_, allowed) = OURS.iter().find(|(name, _)| *name == package).unwrap();
        fault(package, allowed, dependency, kind)
    }

    #[test]
    fn arrows_point_down_only() {
        use DependencyKind::Normal;
        assert_eq!(
            fault_of("heliostat-engine", "heliostat-store", Normal),
            None
        );
        assert!(fault_of("heliostat-store", "heliostat-engine", Normal).is_some());
        assert!(fault_of("heliostat-store", "heliostat-upstream", Normal).is_some());
        assert!(fault_of("heliostat-pypi", "heliostat-store", Normal).is_some());
        assert!(fault_of("heliostat-testkit", "heliostat-pypi", Normal).is_some());
        assert!(fault_of("xtask", "heliostat", Normal).is_some());
    }

    #[test]
    fn the_testkit_is_for_tests_only() {
        assert_eq!(
            fault_of(
                "heliostat-engine",
                "heliostat-testkit",
                DependencyKind::Development
            ),
            None
        );
        assert!(
            fault_of(
                "heliostat-engine",
                "heliostat-testkit",
                DependencyKind::Normal
            )
            .is_some()
        );
        assert!(
            fault_of(
                "heliostat-store",
                "heliostat-serve",
                DependencyKind::Development
            )
            .is_some()
        );
    }

    #[test]
    fn tests_join_what_lies_below_their_crate() {
        use DependencyKind::Development;
        assert_eq!(
            fault_of("heliostat-serve", "heliostat-upstream", Development),
            None
        );
        assert!(fault_of("heliostat-store", "heliostat-upstream", Development).is_some());
    }

    #[test]
    fn gated_packages_have_one_owner() {
        use DependencyKind::{Development, Normal};
        assert_eq!(fault_of("heliostat-upstream", "reqwest", Normal), None);
        assert!(fault_of("heliostat-engine", "reqwest", Normal).is_some());
        assert_eq!(fault_of("heliostat-serve", "reqwest", Development), None);
        assert!(fault_of("heliostat-pypi", "tokio", Normal).is_some());
        assert!(fault_of("heliostat-engine", "anyhow", Normal).is_some());
        assert_eq!(fault_of("heliostat-engine", "serde", Normal), None);
    }
}

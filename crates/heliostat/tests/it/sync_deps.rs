//! `sync --with-deps`: what it takes is enough for the real installers, without any upstream, on every target named.

use std::path::Path;

use heliostat_testkit::clients::{Pip, Uv, or_skip};
use heliostat_testkit::process::{Invocation, Serving};
use heliostat_testkit::pypi::{Kind, Lack, Options};
use heliostat_testkit::universe::{Release, Universe};

use crate::world::{World, assert_says};

const LINUX: &str = "manylinux_2_28_x86_64";
const WINDOWS: &str = "win_amd64";

/// An application whose dependencies differ by Python and platform, beside much that it does not need.
fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project(
        "app",
        &[
            Release::simple("1.0"),
            Release::new("2.0")
                .wheel()
                .sdist()
                .requires_python(">=3.8")
                .extra("fast")
                .requires_dist("lib>=1,<3")
                .requires_dist("old-shim ; python_version < '3.10'")
                .requires_dist("new-shim ; python_version >= '3.10'")
                .requires_dist("win-only ; sys_platform == 'win32'")
                .requires_dist("native ; extra == 'fast'"),
        ],
    );
    universe.add_project(
        "lib",
        &[
            Release::simple("1.0"),
            Release::new("2.0")
                .wheel()
                .requires_python(">=3.10")
                .requires_dist("deep"),
            Release::new("2.1").wheel().requires_python(">=3.14"),
            Release::new("3.0").wheel(),
        ],
    );
    universe.add_project("deep", &[Release::simple("1.0"), Release::simple("1.1rc1")]);
    universe.add_project("old-shim", &[Release::new("1.0").wheel()]);
    universe.add_project("new-shim", &[Release::new("1.0").wheel()]);
    universe.add_project(
        "win-only",
        &[Release::new("1.0").wheel_tagged("py3-none-win_amd64")],
    );
    let native = [
        "cp39-cp39",
        "cp310-cp310",
        "cp311-cp311",
        "cp312-cp312",
        "cp313-cp313",
        "cp314-cp314",
    ]
    .iter()
    .fold(Release::new("1.0"), |release, tags| {
        release
            .wheel_tagged(&format!("{tags}-manylinux_2_17_x86_64"))
            .wheel_tagged(&format!("{tags}-win_amd64"))
            .wheel_tagged(&format!("{tags}-macosx_11_0_arm64"))
    });
    universe.add_project("native", &[native]);
    universe.add_project("unrelated", &[Release::simple("1.0")]);
    universe
}

/// The Python that pip and uv run on here, as `3.11`.
fn python_here(python: &Path) -> String {
    let version = "import sys; print('%d.%d' % sys.version_info[:2])";
    let run = Invocation::new(python).args(["-c", version]).run();
    run.assert_code(0);
    run.stdout.trim().to_owned()
}

/// A mirror of `app[fast]` for Linux and Windows and these Pythons, served offline, the upstream stopped.
fn closed(pythons: &[&str]) -> (World, Serving) {
    let world = World::new(universe());
    let mut arguments = vec![
        "app[fast]",
        "--with-deps",
        "--platform",
        LINUX,
        "--platform",
        WINDOWS,
    ];
    for python in pythons {
        arguments.extend(["--python", python]);
    }
    world.sync(&arguments).assert_code(0);
    world.assert_consistent();
    world.pypi.stop();
    let serving = world.heliostat.serve(["--offline"]);
    (world, serving)
}

#[test]
fn only_what_is_needed_is_taken_and_files_are_not_fetched_to_decide() {
    let world = World::new(universe());
    let arguments = [
        "app[fast]",
        "--with-deps",
        "--python",
        "3.12",
        "--python",
        "3.9",
        "--platform",
        LINUX,
        "--platform",
        WINDOWS,
        "--wheels-only",
    ];
    let dry = [&arguments[..], &["--dry-run"]].concat();
    world.sync(&dry).assert_code(0);
    assert_eq!(world.pypi.count(Kind::File), 0);
    world.sync(&arguments).assert_code(0);
    world.assert_consistent();
    world.assert_holds(&[
        "app", "deep", "lib", "native", "new-shim", "old-shim", "win-only",
    ]);
    assert_eq!(world.listed("app"), ["app-2.0-py3-none-any.whl"]);
    assert_eq!(
        world.listed("lib"),
        ["lib-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl"]
    );
    assert_eq!(world.listed("deep"), ["deep-1.0-py3-none-any.whl"]);
    assert_eq!(
        world.listed("native"),
        [
            "native-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
            "native-1.0-cp312-cp312-win_amd64.whl",
            "native-1.0-cp39-cp39-manylinux_2_17_x86_64.whl",
            "native-1.0-cp39-cp39-win_amd64.whl",
        ]
    );
}

#[test]
fn a_new_release_replaces_what_it_makes_unnecessary() {
    let world = World::new(universe());
    let arguments = [
        "lib",
        "--with-deps",
        "--python",
        "3.12",
        "--platform",
        LINUX,
        "--wheels-only",
    ];
    world.sync(&arguments).assert_code(0);
    world.assert_holds(&["lib"]);
    assert_eq!(world.listed("lib"), ["lib-3.0-py3-none-any.whl"]);
    world.pypi.add_release(
        "lib",
        &Release::new("4.0").wheel().requires_dist("deep==1.1rc1"),
    );
    world.sync(&arguments).assert_code(0);
    world.assert_consistent();
    world.assert_holds(&["deep", "lib"]);
    assert!(
        world
            .listed("lib")
            .contains(&"lib-4.0-py3-none-any.whl".to_owned())
    );
    assert_eq!(world.listed("deep"), ["deep-1.1rc1-py3-none-any.whl"]);
}

#[test]
fn what_cannot_be_resolved_is_explained_and_nothing_is_taken() {
    let mut universe = universe();
    universe.add_project(
        "left",
        &[Release::new("1.0").wheel().requires_dist("deep<1")],
    );
    let world = World::new(universe);
    let run = world.sync(&[
        "left",
        "--with-deps",
        "--python",
        "3.12",
        "--platform",
        LINUX,
    ]);
    run.assert_code(1);
    assert_says(&run.stderr, &["cannot be resolved", "deep", "3.12"]);
    world.assert_holds(&[]);
    let run = world.sync(&["left", "--with-deps"]);
    run.assert_code(2);
    assert_says(&run.stderr, &["--python"]);
}

#[test]
fn pip_installs_offline_on_this_python_and_downloads_for_the_others() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let here = python_here(pip.python());
    let (world, serving) = closed(&["3.12", "3.9", &here]);
    let index = serving.index_url();
    let target = world.place("installed");
    pip.install(&index, &["app[fast]"], &target).assert_code(0);
    for package in ["app", "lib", "native", "deep"] {
        assert!(target.join(package).is_dir(), "{package}");
    }
    for (python, platform, expected) in [
        (
            "3.9",
            LINUX,
            &[
                "app-2.0-py3-none-any.whl",
                "lib-1.0-py3-none-any.whl",
                "native-1.0-cp39-cp39-manylinux_2_17_x86_64.whl",
            ][..],
        ),
        (
            "3.12",
            WINDOWS,
            &[
                "app-2.0-py3-none-any.whl",
                "deep-1.0-py3-none-any.whl",
                "lib-2.0-py3-none-any.whl",
                "native-1.0-cp312-cp312-win_amd64.whl",
            ],
        ),
    ] {
        // pip reads markers for the Python it runs on, whatever it is to download for: so only what has no marker of
        // the other kind is compared, and that it finds everything it looks for.
        let directory = world.place(&format!("{python}-{platform}"));
        let run = pip
            .command("download")
            .args([
                "--index-url",
                &index,
                "--only-binary=:all:",
                "--python-version",
                python,
            ])
            .args([
                "--platform",
                platform,
                "--platform",
                "manylinux_2_17_x86_64",
                "--dest",
            ])
            .arg(&directory)
            .arg("app[fast]")
            .run();
        run.assert_code(0);
        for file in expected {
            assert!(directory.join(file).is_file(), "{file}: {run}");
        }
    }
}

#[test]
fn uv_installs_and_resolves_offline_for_every_target() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let here = python_here(pip.python());
    let (world, serving) = closed(&["3.12", "3.9", &here]);
    let index = serving.index_url();
    let target = world.place("installed");
    uv.pip_install(&index, &["app[fast]"], &target)
        .assert_code(0);
    assert!(target.join("native").is_dir());
    let input = world.place("in.txt");
    std::fs::write(&input, "app[fast]\n").unwrap();
    for (python, platform, expected) in [
        (
            "3.9",
            "x86_64-manylinux_2_28",
            &["app==2.0", "lib==1.0", "native==1.0", "old-shim==1.0"][..],
        ),
        (
            "3.12",
            "x86_64-pc-windows-msvc",
            &[
                "app==2.0",
                "lib==2.0",
                "deep==1.0",
                "new-shim==1.0",
                "win-only==1.0",
            ],
        ),
    ] {
        let run = uv
            .command("pip compile")
            .args([
                "--default-index",
                &index,
                "--only-binary",
                ":all:",
                "--no-header",
                "--no-annotate",
            ])
            .args(["--python-version", python, "--python-platform", platform])
            .arg(&input)
            .run();
        run.assert_code(0);
        assert_says(&run.stdout.replace("app[fast]", "app"), expected);
    }
}

#[test]
fn an_index_that_offers_no_metadata_has_its_wheels_looked_into() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let here = python_here(pip.python());
    let poor = [
        Lack::Json,
        Lack::Hashes,
        Lack::Sizes,
        Lack::Serials,
        Lack::Etags,
        Lack::Metadata,
    ]
    .into_iter()
    .fold(Options::default(), Options::lacks);
    for (options, has_ranges) in [(poor.clone(), true), (poor.lacks(Lack::Ranges), false)] {
        let mut universe = universe();
        // Larger than what is asked for at the end of a wheel.
        let large = Release::new("1.0")
            .wheel()
            .payload_bytes(700_000)
            .requires_dist("deep");
        universe.add_project("large", &[large]);
        let world = World::with(options.serve(universe));
        let arguments = [
            "app[fast]",
            "large",
            "--with-deps",
            "--wheels-only",
            "--python",
            &here,
            "--platform",
            LINUX,
        ];
        let dry = [&arguments[..], &["--dry-run"]].concat();
        world.sync(&dry).assert_code(0);
        world.assert_holds(&[]);
        world.pypi.clear_log();
        world.sync(&arguments).assert_code(0);
        assert_eq!(world.pypi.count(Kind::Metadata), 0);
        // A look and the whole file; where the look is the whole file, it is not fetched again.
        let asked = world.pypi.requests_of(Kind::File);
        for request in &asked {
            let times = world.pypi.count_path(&request.path);
            assert!(times <= 3, "{}: {times} requests", request.path);
        }
        let sent = world.pypi.bytes_sent();
        if has_ranges {
            assert!(sent < 1_500_000, "{sent} bytes for one large wheel");
        }
        world.verify(&[]).assert_code(0);
        world.pypi.stop();
        let serving = world.heliostat.serve(["--offline"]);
        let target = world.place("installed");
        pip.install(&serving.index_url(), &["app[fast]", "large"], &target)
            .assert_code(0);
        for package in ["app", "lib", "native", "deep", "large"] {
            assert!(target.join(package).is_dir(), "{package}");
        }
    }
}

//! Real pip and uv through `heliostat proxy`: one mirror, two of which one lies, and one that dies in the middle.

use std::time::{Duration, Instant};

use heliostat_testkit::clients::{Pip, Tool, Uv, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::process::Invocation;
use heliostat_testkit::universe::{Release, Universe};

use crate::alpha_app::{assert_installed, universe};
use crate::http::{JSON, get, get_with};
use crate::signed_world::SignedWorld;
use crate::world::assert_says;

#[test]
fn every_installer_installs_through_the_proxy() {
    let signed = SignedWorld::new(universe(), 16);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    let index = proxy.index_url();
    let mut tried = 0;
    for pip in [Pip::newest(), Pip::v23()] {
        let Some(pip) = or_skip(pip) else { continue };
        let directory = signed.world.place(&format!("pip-{tried}"));
        assert_installed(&pip.install(&index, &["alpha-app"], &directory), &directory);
        tried += 1;
    }
    if let Some(uv) = or_skip(Uv::find()) {
        let directory = signed.world.place("uv");
        assert_installed(
            &uv.pip_install(&index, &["alpha-app"], &directory),
            &directory,
        );
    }
    proxy.stop().assert_code(0);
    let why = signed.why("delta-1.0-py3-none-any.whl");
    why.assert_code(0);
    assert_says(&why.stdout, &[&mirror.url(), "gave"]);
}

#[test]
fn poetry_and_pdm_install_through_the_proxy() {
    let signed = SignedWorld::new(universe(), 16);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    let index = proxy.index_url();
    for (tool, setting, lines) in [
        (
            Tool::Poetry,
            format!(
                "[tool.poetry]\npackage-mode = false\n\n[[tool.poetry.source]]\nname = \"proxy\"\n\
                 url = \"{index}\"\npriority = \"primary\"\n"
            ),
            "export POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_NO_INTERACTION=1\npoetry add alpha-app",
        ),
        (
            Tool::Pdm,
            format!(
                "[tool.pdm]\ndistribution = false\n\n[[tool.pdm.source]]\nname = \"pypi\"\n\
                 url = \"{index}\"\n"
            ),
            "export PDM_CHECK_UPDATE=false\npdm add alpha-app",
        ),
    ] {
        let Some(program) = or_skip(tool.find()) else {
            continue;
        };
        let home = signed.world.place(tool.name());
        let project = home.join("project");
        std::fs::create_dir_all(&project).unwrap();
        let text = format!(
            "[project]\nname = \"mine\"\nversion = \"1\"\nrequires-python = \">=3.9\"\n\
             dependencies = []\n\n{setting}"
        );
        std::fs::write(project.join("pyproject.toml"), text).unwrap();
        let programs = program.parent().unwrap().display();
        Invocation::new("/bin/sh")
            .args(["-euc", lines])
            .env("PATH", format!("{programs}:/usr/bin:/bin"))
            .env("HOME", &home)
            .current_dir(&project)
            .run()
            .assert_code(0);
        let lib = project.join(".venv/lib");
        let python = std::fs::read_dir(lib).unwrap().next().unwrap().unwrap();
        let site = python.path().join("site-packages");
        assert!(site.join("delta").is_dir(), "{}", tool.name());
    }
}

#[test]
fn the_tuf_client_refreshes_downloads_and_says_yes_or_no() {
    let mut signed = SignedWorld::new(universe(), 16);
    let mirror = TreeMirror::serve(signed.tree());
    let (metadata, targets) = (
        signed.world.place("metadata"),
        signed.world.place("targets"),
    );
    let root = signed.notary.root_file();
    let run = |words: &[&str]| {
        crate::world::bare()
            .args(["tuf-client", "--metadata-dir"])
            .arg(&metadata)
            .args(["--metadata-url", &format!("{}tuf/", mirror.url())])
            .args(["--target-base-url", &mirror.url(), "--target-dir"])
            .arg(&targets)
            .args(words)
            .run()
    };
    run(&["refresh"]).assert_code(1);
    run(&["init", root.to_str().unwrap()]).assert_code(0);
    run(&["refresh"]).assert_code(0);
    let target = "simple/beta/index.v1_json";
    let download = ["--target-name", target, "download"];
    let downloaded = run(&download);
    downloaded.assert_code(0);
    let held = std::fs::read(signed.tree().join(target)).unwrap();
    assert_eq!(std::fs::read(downloaded.stdout.trim()).unwrap(), held);
    let asked = mirror.requests().len();
    run(&download).assert_code(0);
    // What is there and right is not fetched again.
    let again = mirror.requests().split_off(asked);
    assert_eq!(again, ["/tuf/2.root.json", "/tuf/timestamp.json"]);
    run(&["--target-name", "simple/nobody/index.v1_json", "download"]).assert_code(1);
    signed.notary.online_seed = 7;
    signed.notary.sign();
    let refused = run(&["refresh"]);
    refused.assert_code(1);
    assert_says(&refused.stderr, &["forged metadata"]);
}

#[test]
fn what_is_signed_is_what_is_served() {
    let signed = SignedWorld::new(universe(), 1);
    let mirror = TreeMirror::serve(signed.tree());
    let proxy = signed.proxy(&[&mirror]);
    let page = get_with(&format!("{}alpha-app/", proxy.index_url()), &[JSON]);
    let held = std::fs::read(signed.tree().join("simple/alpha-app/index.v1_json")).unwrap();
    assert_eq!((page.status, &page.body), (200, &held));
    let html = get(&format!("{}alpha-app/", proxy.index_url()));
    assert_says(
        html.text(),
        &[
            "<a href=\"../../packages/",
            "alpha_app-1.0-py3-none-any.whl",
        ],
    );
    let file = signed.world.file("delta-1.0-py3-none-any.whl");
    let wheel = get(&format!("{}/{}", proxy.url, file.path()));
    assert_eq!((wheel.status, wheel.body == file.bytes), (200, true));
    let part = get_with(
        &format!("{}/{}", proxy.url, file.path()),
        &[("Range", "bytes=10-19")],
    );
    assert_eq!((part.status, &part.body[..]), (206, &file.bytes[10..20]));
    let metadata = get(&format!("{}/{}.metadata", proxy.url, file.path()));
    assert_eq!(
        (metadata.status, Some(&metadata.body[..])),
        (200, file.metadata.as_deref())
    );
    let provenance = get(&format!(
        "{}/integrity/delta/1.0/delta-1.0-py3-none-any.whl/provenance",
        proxy.url
    ));
    assert_eq!(
        (provenance.status, Some(&provenance.body[..])),
        (200, file.provenance.as_deref())
    );
    let absent = get(&format!("{}no-such-project/", proxy.index_url()));
    assert_eq!(absent.status, 404);
    assert_says(absent.text(), &["The signed state", "no-such-project"]);
    assert_eq!(get(&proxy.index_url()).status, 404);
    assert_eq!(get(&format!("{}/metrics", proxy.url)).status, 200);
    assert_eq!(get(&format!("{}/readyz", proxy.url)).status, 200);
}

#[test]
fn a_liar_beside_an_honest_mirror_costs_nothing_and_is_dropped() {
    let signed = SignedWorld::new(universe(), 4);
    let honest = TreeMirror::serve(signed.tree());
    let liar = TreeMirror::evil(
        signed.tree(),
        [Mutation::new("delta-1.0", Twist::FlipLastByte)],
    );
    // The liar comes first and is the quicker by far, so it is asked first.
    honest.delay(Duration::from_millis(150));
    let proxy = signed.proxy(&[&liar, &honest]);
    for (at, pip) in [Pip::newest(), Pip::v23()].into_iter().enumerate() {
        let Some(pip) = or_skip(pip) else { continue };
        let directory = signed.world.place(&format!("pip-{at}"));
        assert_installed(
            &pip.install(&proxy.index_url(), &["alpha-app"], &directory),
            &directory,
        );
    }
    let home = get(&format!("{}/", proxy.url));
    assert_says(
        home.text(),
        &["altered content", "not asked, because it lied"],
    );
    let asked = liar.requests().len();
    proxy.stop().assert_code(0);
    // Also after a restart.
    let proxy = signed.proxy(&[&liar, &honest]);
    assert_eq!(get(&format!("{}beta/", proxy.index_url())).status, 200);
    assert_eq!(liar.requests().len(), asked);
    let evidence = std::fs::read_dir(signed.client_state().join("evidence")).unwrap();
    assert_eq!(evidence.count(), 1);
}

#[test]
fn a_mirror_that_dies_in_the_middle_of_forty_packages_is_not_noticed() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let signed = SignedWorld::new(forty(600_000), 16);
    let mut mirrors = [(); 2].map(|()| TreeMirror::serve(signed.tree()));
    // Slow enough to be caught in the middle.
    for mirror in &mirrors {
        mirror.delay(Duration::from_millis(30));
    }
    let wheels = |mirror: &TreeMirror| {
        let requests = mirror.requests();
        requests
            .iter()
            .filter(|path| path.contains("py3-none-any.whl"))
            .count()
    };
    let proxy = signed.proxy(&[&mirrors[0], &mirrors[1]]);
    let directory = signed.world.place("installed");
    let index = proxy.index_url();
    std::thread::scope(|scope| {
        let install = scope.spawn(|| uv.pip_install(&index, &["whole"], &directory));
        crate::world::until("files are coming in", || {
            install.is_finished() || mirrors.iter().any(|mirror| wheels(mirror) >= 4)
        });
        // Whichever is in use: which one is the quicker is a matter of the moment.
        let used = usize::from(wheels(&mirrors[0]) < wheels(&mirrors[1]));
        mirrors[used].kill();
        let (died, other) = (Instant::now(), &mirrors[1 - used]);
        let before = other.requests().len();
        crate::world::until("the other is asked", || {
            install.is_finished() || other.requests().len() > before
        });
        eprintln!("the other mirror was asked after {:?}", died.elapsed());
        install.join().unwrap().assert_code(0);
    });
    for number in 0..40 {
        assert!(directory.join(format!("part{number}")).is_dir(), "{number}");
    }
}

#[test]
fn a_heliostat_is_a_mirror_and_its_violent_death_is_not_noticed() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let signed = SignedWorld::new(forty(2_000_000), 16);
    let mut mirrors: Vec<_> = (0..2)
        .map(|_| Some(signed.world.serve(&["--offline"])))
        .collect();
    let urls: Vec<String> = mirrors
        .iter()
        .flatten()
        .map(|one| one.url.clone())
        .collect();
    let proxy = signed.proxy_at(&urls, &[]);
    let directory = signed.world.place("installed");
    let index = proxy.index_url();
    let journal = signed.client_state().join("journal.jsonl");
    // Wheels that a mirror has given, as the proxy's journal tells.
    let given = |url: &str| {
        let lines = std::fs::read_to_string(&journal).unwrap_or_default();
        let is_wheel = |line: &&str| line.contains(&format!("{url}/")) && line.contains(".whl\"");
        lines.lines().filter(is_wheel).count()
    };
    std::thread::scope(|scope| {
        let install = scope.spawn(|| uv.pip_install(&index, &["whole"], &directory));
        crate::world::until("files are coming in", || {
            install.is_finished() || urls.iter().any(|url| given(url) >= 4)
        });
        let used = usize::from(given(&urls[0]) < given(&urls[1]));
        let killed = mirrors[used].take().unwrap().process.kill();
        assert!(!killed.status.success());
        install.join().unwrap().assert_code(0);
    });
    for number in 0..40 {
        assert!(directory.join(format!("part{number}")).is_dir(), "{number}");
    }
    let journal = std::fs::read_to_string(&journal).unwrap();
    assert_says(&journal, &[&urls[0], &urls[1]]);
}

/// A package that needs forty others.
pub(crate) fn forty(payload_bytes: usize) -> Universe {
    let mut universe = Universe::new();
    let mut whole = Release::simple("1.0");
    for number in 0..40 {
        whole = whole.requires_dist(&format!("part{number}"));
        universe.add_project(
            &format!("part{number}"),
            &[Release::new("1.0").wheel().payload_bytes(payload_bytes)],
        );
    }
    universe.add_project("whole", &[whole]);
    universe
}

//! Real pip and uv through `heliostat serve`: cold, warm, offline, resumed, in parallel, over TLS and HTTP/2.

use heliostat_testkit::clients::{Pip, Uv, or_skip};
use heliostat_testkit::process::{Finished, Invocation, find_program};
use heliostat_testkit::pypi::{Authority, Fault, Kind, Rule};
use heliostat_testkit::universe::{Release, Universe};

use crate::alpha_app::{assert_installed, universe};
use crate::world::{World, assert_says, until};

#[test]
fn the_newest_pip_installs_cold_warm_and_offline() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let cold = world.place("cold");
    assert_installed(
        &pip.install(&serving.index_url(), &["alpha-app"], &cold),
        &cold,
    );
    // Each page and file once, and of the wheels' metadata only what pip asked for.
    assert_eq!(
        world.pypi.count(Kind::Page),
        3,
        "{:?}",
        world.pypi.requests()
    );
    assert_eq!(
        world.pypi.count(Kind::File),
        3,
        "{:?}",
        world.pypi.requests()
    );
    serving.stop().assert_code(0);
    world.pypi.stop();
    let offline = world.serve(&["--offline"]);
    let Some(fresh) = or_skip(Pip::newest()) else {
        return;
    };
    let warm = world.place("warm");
    assert_installed(
        &fresh.install(&offline.index_url(), &["alpha-app"], &warm),
        &warm,
    );
    offline.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn pip_23_installs() {
    let Some(pip) = or_skip(Pip::v23()) else {
        return;
    };
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let directory = world.place("installed");
    let finished = pip.install(&serving.index_url(), &["alpha-app"], &directory);
    assert_installed(&finished, &directory);
}

#[test]
fn uv_installs_locks_and_syncs_and_offline_again() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let index = serving.index_url();
    let directory = world.place("installed");
    assert_installed(
        &uv.pip_install(&index, &["alpha-app"], &directory),
        &directory,
    );
    let project = world.place("project");
    std::fs::create_dir_all(&project).unwrap();
    let text = "[project]\nname = \"mine\"\nversion = \"1\"\nrequires-python = \">=3.9\"\n\
                dependencies = [\"alpha-app\"]\n";
    std::fs::write(project.join("pyproject.toml"), text).unwrap();
    uv.lock(&index, &project).assert_code(0);
    let lock = std::fs::read_to_string(project.join("uv.lock")).unwrap();
    let wheel = world.file("delta-1.0-py3-none-any.whl");
    // Files stand in the lock under our own host with PyPI's own path, so that one lock fits every mirror.
    assert_says(
        &lock,
        &[&format!("{}/{}", serving.url, wheel.path()), &wheel.sha256],
    );
    let sync = |index: &str| {
        uv.command("sync")
            .args(["--locked", "--default-index", index])
            .env("UV_PROJECT_ENVIRONMENT", world.place("environment"))
            .env("UV_LINK_MODE", "copy")
            .current_dir(&project)
            .run()
    };
    sync(&index).assert_code(0);
    // The same address, now without an upstream: the lock names files by it.
    let address = serving.address().to_string();
    serving.stop().assert_code(0);
    world.pypi.stop();
    let offline = world
        .heliostat
        .command("serve")
        .args(["--offline", "--listen", &address]);
    let offline = heliostat_testkit::process::Serving::wait(offline.start());
    uv.clear_cache().assert_code(0);
    std::fs::remove_dir_all(world.place("environment")).unwrap();
    sync(&index).assert_code(0);
    offline.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn uv_downloads_many_at_once() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let mut universe = Universe::new();
    let names: Vec<String> = (0..60).map(|number| format!("part{number}")).collect();
    let mut whole = Release::simple("1");
    for name in &names {
        universe.add_project(name, &[Release::new("1").wheel().payload_bytes(30_000)]);
        whole = whole.requires_dist(name);
    }
    universe.add_project("whole", &[whole]);
    let world = World::new(universe);
    let serving = world.serve(&[]);
    let directory = world.place("installed");
    uv.pip_install(&serving.index_url(), &["whole"], &directory)
        .assert_code(0);
    for name in &names {
        assert!(directory.join(name).join("__init__.py").is_file(), "{name}");
    }
    assert_eq!(world.pypi.count(Kind::File), 61);
    assert_eq!(world.pypi.count(Kind::Page), 61);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn pip_gets_the_rest_of_a_file_that_broke_off() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let mut universe = Universe::new();
    universe.add_project("big", &[Release::new("1").wheel().payload_bytes(3_000_000)]);
    let world = World::new(universe);
    world.pypi.misbehave(
        Rule::new(Fault::ResetAfter(1_500_000))
            .on(Kind::File)
            .first(1),
    );
    let serving = world.serve(&[]);
    let directory = world.place("downloaded");
    let finished = pip.download(&serving.index_url(), &["big"], &directory);
    finished.assert_code(0);
    let got = std::fs::read(directory.join("big-1-py3-none-any.whl")).unwrap();
    assert!(got == world.file("big-1-py3-none-any.whl").bytes);
}

#[test]
fn corrupt_bytes_end_an_installation_and_the_next_one_works() {
    let (Some(pip), Some(uv)) = (or_skip(Pip::newest()), or_skip(Uv::find())) else {
        return;
    };
    let world = World::new(universe());
    let serving = world.serve(&[]);
    world
        .pypi
        .misbehave(Rule::new(Fault::Corrupt).on(Kind::File).project("delta"));
    let directory = world.place("pip");
    let refused = pip.install(&serving.index_url(), &["delta"], &directory);
    assert_ne!(refused.code(), Some(0), "{refused}");
    let directory = world.place("uv");
    let refused = uv.pip_install(&serving.index_url(), &["delta"], &directory);
    assert_ne!(refused.code(), Some(0), "{refused}");
    world.pypi.behave();
    let directory = world.place("healed");
    pip.install(&serving.index_url(), &["delta"], &directory)
        .assert_code(0);
    serving.stop().assert_code(0);
    world.assert_sound();
}

#[test]
fn an_outage_is_told_as_one_and_a_warm_mirror_installs_through_it() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let world = World::new(universe());
    let serving = world.serve(&["--max-age", "0"]);
    let first = world.place("first");
    assert_installed(
        &pip.install(&serving.index_url(), &["alpha-app"], &first),
        &first,
    );
    world.pypi.stop();
    let Some(fresh) = or_skip(Pip::newest()) else {
        return;
    };
    let second = world.place("second");
    let finished = fresh.install(&serving.index_url(), &["alpha-app"], &second);
    assert_installed(&finished, &second);
}

/// Certificate and key of an authority in two files.
fn write_certificate(world: &World, authority: &Authority) {
    for (name, text) in [
        ("certificate.pem", &authority.certificate_pem),
        ("key.pem", &authority.key_pem),
        ("ca.pem", &authority.ca_pem),
    ] {
        let temporary = world.place("renewed.tmp");
        std::fs::write(&temporary, text).unwrap();
        std::fs::rename(&temporary, world.place(name)).unwrap();
    }
}

#[test]
fn pip_and_uv_install_over_tls_also_after_the_certificate_was_renewed() {
    let (Some(pip), Some(uv)) = (or_skip(Pip::newest()), or_skip(Uv::find())) else {
        return;
    };
    let world = World::new(universe());
    let authority = Authority::new();
    write_certificate(&world, &authority);
    let path = |name: &str| world.place(name).display().to_string();
    let mut serving = world.serve(&[
        "--tls-cert",
        &path("certificate.pem"),
        "--tls-key",
        &path("key.pem"),
    ]);
    assert!(serving.url.starts_with("https://"), "{}", serving.url);
    let install_both = |folder: &str| {
        let directory = world.place(folder).join("pip");
        let finished = pip
            .command("install")
            .args([
                "--index-url",
                &serving.index_url(),
                "--cert",
                &path("ca.pem"),
            ])
            .args(["--no-cache-dir", "--target"])
            .arg(&directory)
            .arg("alpha-app")
            .run();
        assert_installed(&finished, &directory);
        let directory = world.place(folder).join("uv");
        let finished = uv
            .command("pip install")
            .args([
                "--default-index",
                &serving.index_url(),
                "--no-cache",
                "--target",
            ])
            .arg(&directory)
            .arg("alpha-app")
            .env("SSL_CERT_FILE", path("ca.pem"))
            .run();
        assert_installed(&finished, &directory);
    };
    install_both("before");
    write_certificate(&world, &Authority::new());
    serving
        .process
        .wait_for_stderr("the new certificate is in force");
    let install_both = |folder: &str| {
        let directory = world.place(folder);
        let finished = pip
            .command("install")
            .args([
                "--index-url",
                &serving.index_url(),
                "--cert",
                &path("ca.pem"),
            ])
            .args(["--no-cache-dir", "--target"])
            .arg(&directory)
            .arg("alpha-app")
            .run();
        assert_installed(&finished, &directory);
    };
    install_both("after");
    serving.stop().assert_code(0);
    world.assert_sound();
}

/// Runs curl, which speaks HTTP/2 with and without TLS.
fn curl(arguments: &[&str]) -> Option<Finished> {
    let curl = find_program(&["curl"])?;
    Some(
        Invocation::new(curl)
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args(arguments)
            .run(),
    )
}

#[test]
fn http_2_is_spoken_with_and_without_tls() {
    let world = World::new(universe());
    let authority = Authority::new();
    write_certificate(&world, &authority);
    let path = |name: &str| world.place(name).display().to_string();
    let plain = world.serve(&[]);
    let page = format!("{}delta/", plain.index_url());
    let told = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_version} %{response_code}",
    ];
    let Some(finished) = curl(&[&["--http2-prior-knowledge"], &told[..], &[&page]].concat()) else {
        return;
    };
    assert_eq!(finished.stdout, "2 200", "{finished}");
    plain.stop().assert_code(0);
    let secure = world.serve(&[
        "--tls-cert",
        &path("certificate.pem"),
        "--tls-key",
        &path("key.pem"),
    ]);
    let wheel = world.file("delta-1.0-py3-none-any.whl");
    let file = format!("{}/{}", secure.url, wheel.path());
    let downloaded = path("downloaded.whl");
    let told = [
        "--output",
        &downloaded,
        "--write-out",
        "%{http_version} %{response_code}",
    ];
    let ca = path("ca.pem");
    let Some(finished) = curl(&[&["--cacert", &ca], &told[..], &[&file]].concat()) else {
        return;
    };
    assert_eq!(finished.stdout, "2 200", "{finished}");
    assert!(std::fs::read(&downloaded).unwrap() == wheel.bytes);
    let headers = curl(&[
        "--cacert",
        &ca,
        "--head",
        &format!("{}/simple/", secure.url),
    ]);
    let headers = headers.unwrap().stdout.to_ascii_lowercase();
    assert_says(&headers, &["strict-transport-security: max-age="]);
    assert!(!headers.contains("set-cookie"), "{headers}");
    // Without the authority the connection is refused: it is a real certificate check.
    let refused = curl(&[&format!("{}/simple/", secure.url)]).unwrap();
    assert_eq!(refused.code(), Some(60), "{refused}");
    until("the file is kept", || {
        world.path_in_tree("delta-1.0-py3-none-any.whl").is_file()
    });
}

#[test]
fn pip_asks_again_for_the_rest_when_we_break_off() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let mut universe = Universe::new();
    universe.add_project("big", &[Release::new("1").wheel().payload_bytes(3_000_000)]);
    let world = World::new(universe);
    // More breaks than we have tries, so that pip sees one and comes back with `Range` and `If-Range`.
    let broken = world.pypi.misbehave(
        Rule::new(Fault::ResetAfter(500_000))
            .on(Kind::File)
            .first(2),
    );
    let serving = world.serve(&["--log-format", "json"]);
    let directory = world.place("downloaded");
    let finished = pip.download(&serving.index_url(), &["big"], &directory);
    finished.assert_code(0);
    assert_eq!(world.pypi.strikes(broken), 2);
    let got = std::fs::read(directory.join("big-1-py3-none-any.whl")).unwrap();
    assert!(got == world.file("big-1-py3-none-any.whl").bytes);
    let log = serving.stop().stderr;
    let resumed = log.lines().any(|line| line.contains("\"status\":206"));
    assert!(resumed, "{log}");
    world.assert_sound();
}

//! Other people's programs over our tree: bandersnatch as a mirror of a heliostat and as its judge, nginx with the
//! configuration that is handed out.

use std::path::Path;

use heliostat_testkit::clients::{Bandersnatch, MirrorJob, Nginx, Pip, Uv, or_skip};
#[cfg(feature = "directory")]
use heliostat_testkit::process::free_port;
use heliostat_testkit::process::{Invocation, Serving, find_program};
use heliostat_testkit::pypi::{Authority, FilesHost, Kind, Options};
use heliostat_testkit::tree::{Expect, Orphans, What, check_tree};
use heliostat_testkit::universe::{Release, Universe, Yank};

#[cfg(feature = "directory")]
use crate::http::Asking;
use crate::http::{Answer, JSON, get, get_json, get_with};
use crate::notary_world::{begin, copy, root};
use crate::sync_world::digests;
use crate::world::World;
#[cfg(feature = "directory")]
use crate::world::bare;

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project(
        "Alpha.App",
        &[
            Release::simple("1.0").requires_dist("beta>=1"),
            Release::simple("0.9").yanked(Yank::Because("<b>&\"quotes\"".to_owned())),
        ],
    );
    universe.add_project(
        "beta",
        &[Release::simple("1.0").payload_bytes(50_000).provenance()],
    );
    universe
}

fn job<'a>(serving: &'a Serving, directory: &'a Path) -> MirrorJob<'a> {
    MirrorJob {
        master: &serving.url,
        directory,
        workers: 3,
        further_configuration: "",
    }
}

/// bandersnatch's own pages differ in what it drops; files and what leads to them do not.
#[track_caller]
fn assert_serves(web: &Path, world: &World) {
    let universe = world.pypi.universe();
    for (name, project) in universe.projects() {
        let page = std::fs::read_to_string(web.join(format!("simple/{name}/index.html"))).unwrap();
        for file in &project.files {
            assert!(
                page.contains(&format!(">{}</a>", file.filename)),
                "{name}: {page}"
            );
            let held = std::fs::read(web.join(file.path())).unwrap();
            assert!(held == file.bytes, "{}", file.filename);
        }
    }
}

#[test]
fn bandersnatch_mirrors_a_heliostat() {
    let Some(bandersnatch) = or_skip(Bandersnatch::find()) else {
        return;
    };
    let world = World::new(universe());
    world.sync(&["--all"]).assert_code(0);
    let serving = world.serve(&["--offline"]);
    let home = world.place("bandersnatch");
    let finished = bandersnatch.mirror(&job(&serving, &home));
    finished.assert_code(0);
    assert_serves(&home.join("web"), &world);
    let status = std::fs::read_to_string(home.join("status")).unwrap();
    assert_eq!(
        status.trim(),
        world.pypi.universe().serial().to_string(),
        "{finished}"
    );
    // A change comes through both.
    serving.stop().assert_code(0);
    world.pypi.add_release("beta", &Release::simple("2.0"));
    world.sync(&[]).assert_code(0);
    let serving = world.serve(&["--offline"]);
    bandersnatch.mirror(&job(&serving, &home)).assert_code(0);
    assert_serves(&home.join("web"), &world);
}

#[test]
fn bandersnatch_finds_nothing_wrong_with_our_tree() {
    let Some(bandersnatch) = or_skip(Bandersnatch::find()) else {
        return;
    };
    let world = World::new(universe());
    world.sync(&["--all"]).assert_code(0);
    let home = world.place("judge");
    copy(&world.heliostat.web(), &home.join("web"));
    // bandersnatch keeps its legacy documents here, and goes by them.
    for (name, _) in world.pypi.universe().projects() {
        let document = world.heliostat.web().join(format!("pypi/{name}/json"));
        let theirs = home.join("web/json");
        std::fs::create_dir_all(&theirs).unwrap();
        std::fs::copy(document, theirs.join(name)).unwrap();
    }
    let before = check_tree(&home.join("web"), &Expect::default());
    assert_eq!(before, []);
    let authority = Authority::new();
    let path = |name: &str| world.place(name).display().to_string();
    std::fs::write(path("certificate.pem"), &authority.certificate_pem).unwrap();
    std::fs::write(path("key.pem"), &authority.key_pem).unwrap();
    std::fs::write(path("ca.pem"), &authority.ca_pem).unwrap();
    let serving = world.serve(&[
        "--offline",
        "--tls-cert",
        &path("certificate.pem"),
        "--tls-key",
        &path("key.pem"),
    ]);
    // `verify` compares with the upstream's legacy documents, fetches what it takes for wrong, deletes what it does
    // not know.
    let finished = bandersnatch.verify(&job(&serving, &home), &world.place("ca.pem"));
    finished.assert_code(0);
    let expect = Expect {
        orphans: Orphans::Allowed,
        ..Expect::default()
    };
    let after: Vec<_> = check_tree(&home.join("web"), &expect)
        .into_iter()
        .filter(|problem| problem.what != What::Litter)
        .collect();
    assert_eq!(after, [], "{finished}");
    for (_, project) in world.pypi.universe().projects() {
        for file in &project.files {
            let held = std::fs::read(home.join("web").join(file.path())).unwrap();
            assert!(held == file.bytes, "{}: {finished}", file.filename);
        }
    }
}

/// nginx over the tree, with the maps and locations of `contrib/nginx`.
pub(crate) fn nginx(world: &World, files_upstream: &str) -> Option<Nginx> {
    let contrib = contrib().join("nginx");
    let web = world.heliostat.web();
    let mut nginx = or_skip(Nginx::with_http(|port| {
        format!(
            "include {contrib}/heliostat-maps.conf;\nserver {{\n  listen 127.0.0.1:{port};\n  root {web};\n  \
             set $heliostat_files_upstream \"{files_upstream}\";\n  include {contrib}/heliostat-tree.conf;\n}}\n",
            contrib = contrib.display(),
            web = web.display(),
        )
    }))?;
    let said = nginx.process().stderr();
    assert!(!said.contains("[warn]"), "{said}");
    Some(nginx)
}

/// The site that is handed out, as whoever copies it makes it their own; and its port without TLS.
#[cfg(feature = "directory")]
fn nginx_site(world: &World, (host, authority): (&str, &Authority)) -> Option<(Nginx, u16)> {
    let contrib = contrib().join("nginx");
    let place = |name: &str, text: &str| {
        let path = world.place(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificate = place("nginx.pem", &authority.certificate_pem);
    let key = place("nginx.key", &authority.key_pem);
    let mut plain_port = free_port();
    let nginx = or_skip(Nginx::with_http(|port| {
        while plain_port == port {
            plain_port = free_port();
        }
        let mut site = std::fs::read_to_string(contrib.join("heliostat.conf")).unwrap();
        let letsencrypt = "/etc/letsencrypt/live/pypi.example.org";
        let (web, contrib) = (world.heliostat.web(), contrib.display());
        for (from, to) in [
            ("    listen [::]:80;\n", String::new()),
            ("    listen [::]:443 ssl http2;\n", String::new()),
            (" 80;", format!(" 127.0.0.1:{plain_port};")),
            (" 443 ", format!(" 127.0.0.1:{port} ")),
            (&format!("{letsencrypt}/fullchain.pem"), certificate),
            (&format!("{letsencrypt}/privkey.pem"), key),
            ("pypi.example.org", host.to_owned()),
            ("/var/lib/heliostat/web", web.display().to_string()),
            ("snippets", contrib.to_string()),
        ] {
            assert!(site.contains(from), "{from}");
            site = site.replace(from, &to);
        }
        format!("include {contrib}/heliostat-maps.conf;\n{site}")
    }))?;
    Some((nginx, plain_port))
}

#[test]
#[cfg(feature = "directory")]
fn the_list_of_mirrors_has_nothing_to_say_against_our_nginx() {
    let world = World::new(universe());
    world.sync(&["--all"]).assert_code(0);
    let host = "mirror.example.edu";
    let authority = Authority::for_names(&[host]);
    let Some((nginx, plain_port)) = nginx_site(&world, (host, &authority)) else {
        return;
    };
    let plain = format!("http://127.0.0.1:{plain_port}/simple/beta/?a=%20b");
    for (method, status) in [("GET", 301), ("HEAD", 301), ("POST", 403)] {
        let answer = Asking::start(method, &plain, &[]).finish();
        assert_eq!(answer.status, status, "{answer:?}");
        let to = (status == 301).then_some("https://127.0.0.1/simple/beta/?a=%20b");
        assert_eq!(answer.header("location"), to, "{answer:?}");
    }
    let ca = world.place("ca.pem");
    std::fs::write(&ca, &authority.ca_pem).unwrap();
    let probed = bare()
        .args(["directory", "probe", "--class", "d"])
        .args(["--http-port", &plain_port.to_string(), "--me"])
        .arg(format!("https://{host}:{}/", nginx.address().port()))
        .args(["--resolve", "mirror.example.edu=127.0.0.1"])
        .args(["--upstream", &world.pypi.index_url(), "--cacert"])
        .arg(ca)
        .run();
    probed.assert_code(0);
    assert!(!probed.stdout.contains("warning"), "{}", probed.stdout);
}

fn contrib() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib")
}

#[test]
fn nginx_serves_our_tree_to_pip_and_uv() {
    let world = World::new(universe());
    world.sync(&["--all"]).assert_code(0);
    let Some(nginx) = nginx(&world, "") else {
        return;
    };
    world.pypi.stop();
    let index = format!("{}/simple/", nginx.url());
    if let Some(pip) = or_skip(Pip::newest()) {
        let directory = world.place("pip");
        pip.install(&index, &["alpha-app"], &directory)
            .assert_code(0);
        assert!(directory.join("beta/__init__.py").is_file());
    }
    if let Some(uv) = or_skip(Uv::find()) {
        let directory = world.place("uv");
        uv.pip_install(&index, &["alpha-app"], &directory)
            .assert_code(0);
        assert!(directory.join("beta/__init__.py").is_file());
    }
}

/// Where redirects lead in the end. nginx needs a step for each place of a name that is not normal.
#[track_caller]
fn led_to(base: &str, path: &str) -> String {
    let mut path = path.to_owned();
    for _ in 0..10 {
        let answer = get(&format!("{base}{path}"));
        if answer.status == 200 {
            return path;
        }
        assert_eq!(answer.status, 301, "{path}");
        answer.header("location").unwrap().clone_into(&mut path);
    }
    panic!("no end: {path}");
}

#[test]
fn nginx_and_serve_answer_alike() {
    let world = World::new(universe());
    world.sync(&["--all"]).assert_code(0);
    let Some(nginx) = nginx(&world, "") else {
        return;
    };
    let serving = world.serve(&["--offline"]);
    let wheel = world.file("beta-1.0-py3-none-any.whl").path();
    let accepts = [
        "*/*",
        "text/html",
        JSON.1,
        "application/vnd.pypi.simple.v1+html",
        "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
        "application/vnd.pypi.simple.latest+json",
    ];
    for path in [
        "/simple/",
        "/simple/beta/",
        "/simple/alpha-app/",
        "/simple/none/",
    ] {
        for accept in accepts {
            let ask = |base: &str| get_with(&format!("{base}{path}"), &[("Accept", accept)]);
            let (ours, theirs) = (ask(&serving.url), ask(&nginx.url()));
            assert_eq!(ours.status, theirs.status, "{path} {accept}");
            if ours.status == 200 {
                assert_eq!(ours.body, theirs.body, "{path} {accept}");
                assert_eq!(
                    ours.header("content-type"),
                    theirs.header("content-type"),
                    "{path} {accept}"
                );
            }
        }
    }
    for path in [
        "/simple",
        "/simple/beta",
        "/simple/Alpha.App/",
        "/simple/ALPHA__app",
    ] {
        assert_eq!(
            led_to(&serving.url, path),
            led_to(&nginx.url(), path),
            "{path}"
        );
    }
    for path in [
        wheel.clone(),
        format!("{wheel}.metadata"),
        "last-modified".to_owned(),
    ] {
        let (ours, theirs) = (
            get(&format!("{}/{path}", serving.url)),
            get(&format!("{}/{path}", nginx.url())),
        );
        assert_eq!((ours.status, theirs.status), (200, 200), "{path}");
        assert!(ours.body == theirs.body, "{path}");
        let media = |answer: &Answer| {
            let whole = answer.header("content-type").unwrap();
            whole.split(';').next().unwrap().to_owned()
        };
        assert_eq!(media(&ours), media(&theirs), "{path}");
        // Documents are small and go out whole.
        if path != "last-modified" {
            let part = |base: &str| get_with(&format!("{base}/{path}"), &[("Range", "bytes=2-5")]);
            assert_eq!(part(&serving.url).body, part(&nginx.url()).body, "{path}");
        }
    }
}

/// What a signed tree has beside its pages: nginx tells the same kinds of it as we do, and keeps the same for ever.
#[test]
fn nginx_serves_a_signed_tree_as_serve_does() {
    let world = World::new(universe());
    begin(&world.heliostat, 4);
    world.sync(&["--all"]).assert_code(0);
    let Some(nginx) = nginx(&world, "") else {
        return;
    };
    let serving = world.serve(&["--offline"]);
    let tree = digests(&world.heliostat.web());
    let paths = tree.keys().map(|path| path.to_str().unwrap());
    let beside = |path: &&str| {
        let signed_page = path.starts_with("simple/beta/") && path.len() > 90;
        let places = ["tuf/", "heliostat/", ".well-known/"];
        signed_page || places.iter().any(|place| path.starts_with(place))
    };
    let paths: Vec<&str> = paths.filter(beside).collect();
    assert!(paths.contains(&".well-known/heliostat-mirror.json"));
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let ask = |base: &str| get(&format!("{base}/{path}"));
        let (ours, theirs) = (ask(&serving.url), ask(&nginx.url()));
        assert_eq!((ours.status, theirs.status), (200, 200), "{path}");
        for header in ["content-type", "cache-control"] {
            assert_eq!(ours.header(header), theirs.header(header), "{path}");
        }
        // Ours may have signed once more meanwhile.
        if path != "tuf/timestamp.json" {
            assert_eq!(ours.body, theirs.body, "{path}");
        }
    }
    // The next root is not there yet, and nobody is told to remember that.
    let next = get(&format!("{}/tuf/2.root.json", nginx.url()));
    assert_eq!((next.status, next.header("cache-control")), (404, None));
    // A client that trusts neither takes everything from it.
    let verify = world.heliostat.bare().args(["trust", "verify"]);
    let verify = verify.arg(nginx.url()).arg("--root");
    verify.arg(root(&world.heliostat)).run().assert_code(0);
}

#[test]
fn nginx_leads_to_the_upstream_what_pages_alone_are_kept_of() {
    let pypi = Options::default()
        .files_host(FilesHost::OtherPort)
        .serve(universe());
    let world = World::with(pypi);
    world.sync(&["--all", "--no-files"]).assert_code(0);
    let files = world.pypi.files_url();
    let Some(nginx) = nginx(&world, files.trim_end_matches('/')) else {
        return;
    };
    let path = world.file("beta-1.0-py3-none-any.whl").path();
    let answer = get(&format!("{}/{path}", nginx.url()));
    assert_eq!(answer.status, 302, "{answer:?}");
    assert_eq!(
        answer.header("location"),
        Some(format!("{files}{path}").as_str())
    );
    world.pypi.clear_log();
    if let Some(pip) = or_skip(Pip::newest()) {
        let directory = world.place("pip");
        let index = format!("{}/simple/", nginx.url());
        pip.install(&index, &["alpha-app"], &directory)
            .assert_code(0);
        assert_eq!(world.pypi.count(Kind::Page), 0);
        assert_eq!(world.pypi.count(Kind::File), 2);
    }
}

#[test]
fn a_heliostat_mirrors_a_heliostat() {
    let world = World::new(universe());
    world.sync(&["--all"]).assert_code(0);
    let serving = world.serve(&["--offline"]);
    let second = crate::world::heliostat(&world.place("second"));
    second.sync(&serving.index_url(), &["--all"]).assert_code(0);
    let list = |web: &Path| std::fs::read(web.join("simple/index.v1_json")).unwrap();
    assert_eq!(list(&second.web()), list(&world.heliostat.web()));
    let universe = world.pypi.universe();
    heliostat_testkit::tree::assert_mirrors(second.data(), &universe, &Expect::default());
    // Nothing changed, nothing is asked for but the list.
    let again = second.sync(&serving.index_url(), &[]);
    again.assert_code(0);
    assert_eq!(get_json(&serving.index_url()).status, 200);
}

#[test]
fn the_units_for_systemd_are_valid() {
    let Some(analyze) = find_program(&["systemd-analyze"]) else {
        return;
    };
    // The program has to be where the unit says, and it is not on this machine.
    let world = World::new(Universe::new());
    for name in [
        "heliostat.service",
        "heliostat-sync.service",
        "heliostat-sync.timer",
    ] {
        let text = std::fs::read_to_string(contrib().join("systemd").join(name)).unwrap();
        let text = text.replace("/usr/bin/heliostat", env!("CARGO_BIN_EXE_heliostat"));
        std::fs::write(world.place(name), text).unwrap();
    }
    for name in [
        "heliostat.service",
        "heliostat-sync.service",
        "heliostat-sync.timer",
    ] {
        let finished = Invocation::new(&analyze)
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(world.place(name))
            .run();
        finished.assert_code(0);
        assert!(
            !finished.stderr.contains("Unknown"),
            "{name}: {}",
            finished.stderr
        );
    }
}

//! Real pip and uv at the old name: what a redirect carries, what it loses, and what a dark name does to them.

use std::path::PathBuf;

use heliostat_testkit::clients::{Pip, Uv, or_skip};
use heliostat_testkit::process::{Finished, Invocation, Running, find_program};
use heliostat_testkit::pypi::{Authority, FakePyPi};
use heliostat_testkit::universe::{Release, Universe};
use tempfile::TempDir;

use crate::world::{assert_says, bare, until};

/// The new index, and the old name in front of it.
struct Moved {
    new: FakePyPi,
    server: Running,
    /// `http://127.0.0.1:PORT` or `https://…`
    old: String,
    directory: TempDir,
}

impl Moved {
    /// Redirects to the new index; `timeline` stands in the map's section of that name.
    fn start(timeline: &str, authority: Option<&Authority>) -> Self {
        let mut universe = Universe::new();
        universe.add_project("acme", &[Release::simple("1.0")]);
        let new = FakePyPi::serve(universe);
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let map = format!(
            "builtin = false\n[[retired]]\nname = 'old'\nhosts = ['127.0.0.1']\n[[retired.rule]]\nprefix = '/simple'\n\
             to = '{}simple'\n[retired.timeline]\n{timeline}\n",
            new.base_url()
        );
        std::fs::write(path("migrate.toml"), map).unwrap();
        let mut redirect = bare()
            .args(["migrate", "redirect", "--listen", "127.0.0.1:0", "--map"])
            .arg(path("migrate.toml"))
            .arg("--traffic")
            .arg(path("traffic.jsonl"));
        if let Some(authority) = authority {
            std::fs::write(path("ca.pem"), &authority.ca_pem).unwrap();
            std::fs::write(path("chain.pem"), &authority.certificate_pem).unwrap();
            std::fs::write(path("key.pem"), &authority.key_pem).unwrap();
            redirect = redirect
                .arg("--tls-cert")
                .arg(path("chain.pem"))
                .arg("--tls-key")
                .arg(path("key.pem"));
        }
        let mut server = redirect.start();
        let line = server.wait_for_line("listening on ");
        let old = line.trim().trim_start_matches("listening on ").to_owned();
        Self {
            new,
            server,
            old,
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn simple(&self) -> String {
        format!("{}/simple/", self.old)
    }

    fn visits(&self) -> usize {
        std::fs::read_to_string(self.path("traffic.jsonl"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    fn pip(&self, pip: &Pip, index: &str, into: &str) -> Finished {
        pip.command("install")
            .args(["--index-url", index, "--no-deps", "--target"])
            .arg(self.path(into))
            .args(["--cert", self.path("ca.pem").to_str().unwrap()])
            .arg("acme")
            .run()
    }
}

const OPEN: &str = "announced = '2020-01-01'\noff = '9000-01-01'\nhttp_until = '9000-01-01'";
const GONE: &str =
    "announced = '2020-01-01'\noff = '2021-02-03'\nhttp_until = '9000-01-01'\nforced = 'tests'";

/// pip keeps an ordinary 301 for ever and is not seen again; this one it must ask for each time, or the log would say
/// that nobody comes.
#[test]
fn pip_and_uv_come_to_the_old_name_each_time_also_over_tls() {
    let (Some(pip), Some(uv)) = (or_skip(Pip::newest()), or_skip(Uv::find())) else {
        return;
    };
    let authority = Authority::new();
    let moved = Moved::start(OPEN, Some(&authority));
    assert!(moved.old.starts_with("https://"), "{}", moved.old);
    if let Some(curl) = find_program(&["curl"]) {
        let headers = Invocation::new(curl)
            .args(["-sI", "--cacert"])
            .arg(moved.path("ca.pem"))
            .arg(moved.simple())
            .run();
        assert_says(
            &headers.stdout.to_lowercase(),
            &[
                " 301",
                "strict-transport-security: max-age=",
                "cache-control: no-store",
            ],
        );
    }
    let mut seen = 0;
    for round in ["one", "two"] {
        moved.pip(&pip, &moved.simple(), round).assert_code(0);
        until("pip is seen", || moved.visits() > seen);
        seen = moved.visits();
    }
    for round in ["three", "four"] {
        // With everything that it kept, except for the pages, which it asks for anew.
        uv.command("pip install")
            .args(["--default-index", &moved.simple(), "--refresh", "--target"])
            .arg(moved.path(round))
            .arg("acme")
            .env("SSL_CERT_FILE", moved.path("ca.pem"))
            .run()
            .assert_code(0);
        until("uv is seen", || moved.visits() > seen);
        seen = moved.visits();
    }
    let log = std::fs::read_to_string(moved.path("traffic.jsonl")).unwrap();
    assert_says(
        &log,
        &["\"client\":\"pip/", "\"client\":\"uv/", "\"python\":\"3."],
    );
    assert_says(&log, &["\"encrypted\":true", "\"address\":\"\""]);
    let html = bare()
        .args(["migrate", "traffic", "report", "--html"])
        .arg(moved.path("traffic.jsonl"))
        .run();
    html.assert_code(1);
    assert_says(&html.stdout, &["<svg", "pip/", "Not clear"]);
    moved.server.terminate().assert_code(0);
}

#[test]
fn a_login_is_lost_on_the_way_and_scan_says_so_before() {
    let (Some(pip), Some(uv)) = (or_skip(Pip::newest()), or_skip(Uv::find())) else {
        return;
    };
    let moved = Moved::start(OPEN, None);
    std::fs::write(moved.path("ca.pem"), Authority::new().ca_pem).unwrap();
    let with_login = moved.simple().replace("://", "://user:geheim@");
    moved.pip(&pip, &with_login, "one").assert_code(0);
    uv.pip_install(&with_login, &["acme"], &moved.path("two"))
        .assert_code(0);
    let requests = moved.new.requests();
    assert!(requests.len() >= 4, "{requests:?}");
    for one in &requests {
        assert_eq!(one.header("authorization"), None, "{one:?}");
    }
    let config = moved.path("pip.conf");
    // The map is for the ports of http and https, as a real old name would be.
    std::fs::write(
        &config,
        "[global]\nindex-url = https://user:geheim@127.0.0.1/simple/\n",
    )
    .unwrap();
    let scan = bare()
        .args(["migrate", "scan", "--json", "--map"])
        .arg(moved.path("migrate.toml"))
        .arg(&config)
        .run();
    scan.assert_code(1);
    let finding = &scan.json()["findings"][0];
    assert_eq!(finding["has_credentials"], true);
    assert_says(
        finding["reason"].as_str().unwrap(),
        &["no redirect carries it"],
    );
    assert!(!scan.stdout.contains("geheim"), "{scan}");
}

#[test]
fn uv_shows_why_a_name_is_dark_and_pip_only_fails() {
    let (Some(pip), Some(uv)) = (or_skip(Pip::newest()), or_skip(Uv::find())) else {
        return;
    };
    let moved = Moved::start(GONE, None);
    std::fs::write(moved.path("ca.pem"), Authority::new().ca_pem).unwrap();
    let failed = uv.pip_install(&moved.simple(), &["acme"], &moved.path("one"));
    assert_ne!(failed.code(), Some(0));
    let reason = format!(
        "410 Retired 2021-02-03 use {}simple/acme/",
        moved.new.base_url()
    );
    assert_says(&failed.stderr, &[&reason]);
    let failed = moved.pip(&pip, &moved.simple(), "two");
    failed.assert_code(1);
    assert_says(&failed.stderr, &["No matching distribution found"]);
}

/// The reason why an extra index on a dead host is the most severe of all findings.
#[test]
fn pip_goes_on_without_a_dead_extra_index_and_uv_stops() {
    let (Some(pip), Some(uv)) = (or_skip(Pip::newest()), or_skip(Uv::find())) else {
        return;
    };
    let moved = Moved::start(GONE, None);
    let went_on = pip
        .command("install")
        .args(["--index-url", &moved.new.index_url()])
        .args(["--extra-index-url", &moved.simple(), "--target"])
        .arg(moved.path("one"))
        .arg("acme")
        .run();
    went_on.assert_code(0);
    assert!(!went_on.stderr.contains("410"), "{went_on}");
    let stopped = uv
        .command("pip install")
        .args(["--default-index", &moved.new.index_url()])
        .args(["--index", &moved.simple(), "--target"])
        .arg(moved.path("two"))
        .arg("acme")
        .run();
    assert_ne!(stopped.code(), Some(0));
    let extra = moved.path("requirements.txt");
    std::fs::write(&extra, "--extra-index-url https://127.0.0.1/simple\nacme\n").unwrap();
    let plan = bare()
        .args(["migrate", "timeline", "plan", "old", "--off", "2021-02-03"])
        .arg(&extra)
        .arg("--map")
        .arg(moved.path("migrate.toml"))
        .run();
    // The map forces it, and what remains is told all the same.
    plan.assert_code(0);
    assert_says(
        &plan.stderr,
        &["requirements.txt:1:", "extra index on 127.0.0.1"],
    );
}

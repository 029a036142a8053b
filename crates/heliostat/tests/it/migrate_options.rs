//! The options of `heliostat migrate` as people use them: what is left alone, what is kept, what else is looked at.

use std::path::{Path, PathBuf};

use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::Universe;
use tempfile::TempDir;

use crate::world::{World, assert_says, bare};

const MAP: &str = "builtin = false\n[[retired]]\nname = 'old'\nhosts = ['old.example', 'older.example']\n\
                   [[retired.rule]]\nto = 'https://new.example'\n";
const PIP_CONF: &str = "[global]\nindex-url = https://old.example/simple\n";
const LINE: &str = "-i https://old.example/simple\n";

struct Place(TempDir);

impl Place {
    fn of(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in [("migrate.toml", MAP)].iter().chain(files) {
            let path = place.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, words: &str) -> Invocation {
        bare()
            .arg("migrate")
            .args(words.split_whitespace())
            .current_dir(self.0.path())
    }

    fn run(&self, words: &str) -> Finished {
        self.command(words).run()
    }
}

/// The files of a scan's findings, in order.
fn files(scan: &Finished) -> Vec<String> {
    let findings = scan.json()["findings"].as_array().unwrap().clone();
    findings
        .iter()
        .map(|one| one["file"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn lists_and_marks_leave_things_alone() {
    let place = Place::of(&[
        (".heliostatignore", "fixtures/\n*.old.txt\n"),
        ("fixtures/requirements.txt", LINE),
        ("a.old.txt", LINE),
        (
            "requirements.txt",
            "-i https://old.example/simple # heliostat:ignore\n\
             -i https://older.example/a # heliostat:ignore[older.example]\n\
             -i https://old.example/b # heliostat:ignore[older.example]\n",
        ),
        ("fixtures/pip.conf", PIP_CONF),
        (".gitignore", "venv/\n"),
        ("venv/pip.conf", PIP_CONF),
        ("venv/requirements.txt", LINE),
    ]);
    let scan = place.run("scan --json");
    scan.assert_code(1);
    let seen = scan.json();
    let lines: Vec<_> = seen["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["file"].as_str().unwrap(), one["line"].as_u64().unwrap()))
        .collect();
    // What installers read by themselves is seen where git ignores it, but not where our own list leaves it out.
    assert_eq!(lines, [("requirements.txt", 3), ("venv/pip.conf", 2)]);
    place.run("apply").assert_code(0);
    assert_eq!(place.read("a.old.txt"), LINE);
    assert_says(
        &place.read("requirements.txt"),
        &[
            "-i https://old.example/simple #",
            "-i https://new.example/b #",
        ],
    );
}

#[test]
fn a_file_of_an_unknown_kind_is_reported_and_never_changed() {
    let text =
        "something: index-url = https://old.example/simple, and more words than a list has\n";
    let place = Place::of(&[("settings.xyz", text), ("readme.md", LINE)]);
    let scan = place.run("scan");
    scan.assert_code(1);
    assert_says(&scan.stdout, &["settings.xyz:1:", "[manual]"]);
    assert_says(&scan.stderr, &["1 more in comments and prose"]);
    let apply = place.run("apply");
    apply.assert_code(1);
    assert_says(&apply.stderr, &["left for you", "settings.xyz:1:"]);
    assert_eq!(place.read("settings.xyz"), text);
    assert_eq!(place.read("readme.md"), LINE);
}

#[test]
fn a_backup_keeps_each_file_as_it_was() {
    let place = Place::of(&[("requirements.txt", LINE), ("other.txt", "hello\n")]);
    place.run("apply --backup .orig").assert_code(0);
    assert_eq!(
        place.read("requirements.txt"),
        "-i https://new.example/simple\n"
    );
    assert_eq!(place.read("requirements.txt.orig"), LINE);
    // What was kept is no setting any more, and a second run keeps it as it is, whatever its ending.
    place.run("scan").assert_code(0);
    std::fs::rename(
        place.path("requirements.txt.orig"),
        place.path("requirements.txt.kept"),
    )
    .unwrap();
    place.run("apply --backup .kept").assert_code(0);
    assert_eq!(place.read("requirements.txt.kept"), LINE);
    assert!(!place.path("other.txt.orig").exists());
}

#[test]
fn one_file_comes_by_standard_input_under_its_name() {
    let place = Place::of(&[("input", LINE)]);
    let shell = format!(
        "{} migrate scan --json --map migrate.toml --stdin-filename requirements/base.txt < input",
        env!("CARGO_BIN_EXE_heliostat")
    );
    let scan = Invocation::new("/bin/sh")
        .args(["-c", &shell])
        .current_dir(place.0.path())
        .run();
    scan.assert_code(1);
    assert_eq!(files(&scan), ["requirements/base.txt"]);
    for more in ["input", "--git-history", "--host-env"] {
        let both = place.run(&format!("scan --stdin-filename requirements.txt {more}"));
        both.assert_code(2);
    }
}

#[cfg(unix)]
#[test]
fn this_machines_own_settings_are_looked_at_and_rewritten() {
    let pip = "[global]\nindex-url = https://old.example/simple\n";
    let place = Place::of(&[
        ("home/.config/pip/pip.conf", pip),
        (
            "home/.pypirc",
            "[distutils]\nindex-servers = a\n[a]\nrepository = https://old.example/up\n",
        ),
        (
            "home/.netrc",
            "machine old.example login a password geheim\n",
        ),
        (
            "home/.config/uv/uv.toml",
            "[[index]]\nurl = \"https://old.example/simple\"\n",
        ),
        ("home/notes/requirements.txt", LINE),
        ("venv/pip.conf", pip),
        ("own.conf", pip),
    ]);
    let run = |words: &str| {
        place
            .command(words)
            .env("HOME", place.path("home"))
            .env("VIRTUAL_ENV", place.path("venv"))
            .env("PIP_CONFIG_FILE", place.path("own.conf"))
            .run()
    };
    let scan = run("scan --host-env --json");
    scan.assert_code(1);
    assert!(!scan.stdout.contains("geheim"), "{scan}");
    let under = |name: &str| place.path(name).to_string_lossy().into_owned();
    let mut expected = [
        "home/.config/pip/pip.conf",
        "home/.pypirc",
        "home/.netrc",
        "home/.config/uv/uv.toml",
        "venv/pip.conf",
        "own.conf",
    ]
    .map(under);
    expected.sort();
    assert_eq!(files(&scan), expected);
    // The login stays for a person, which is why this is not all done.
    run("apply --host-env").assert_code(1);
    for name in ["home/.config/pip/pip.conf", "venv/pip.conf", "own.conf"] {
        assert_eq!(place.read(name), pip.replace("old", "new"), "{name}");
    }
    assert_eq!(place.read("home/notes/requirements.txt"), LINE);
    assert_says(&place.read("home/.netrc"), &["old.example"]);
}

#[test]
fn new_addresses_are_asked_whether_they_answer() {
    let place = Place::of(&[]);
    let new = FakePyPi::serve(Universe::new());
    let map = |path: &str| {
        let text = format!(
            "builtin = false\n[[retired]]\nhosts = ['old.example']\n[[retired.rule]]\nkinds = ['index']\nto = '{}{path}'\n",
            new.base_url()
        );
        std::fs::write(place.path("migrate.toml"), text).unwrap();
    };
    map("simple");
    let fine = place.run("map check --online");
    fine.assert_code(0);
    assert_says(&fine.stdout, &["answers", "/simple/: 200"]);
    map("wrong/simple");
    let wrong = place.run("map check --online");
    wrong.assert_code(1);
    assert_says(&wrong.stdout, &["FAILS", "404", "is the path right?"]);
    place.run("map check").assert_code(0);
    map("simple");
    new.stop();
    let dead = place.run("map check --online");
    dead.assert_code(1);
    assert_says(&dead.stdout, &["FAILS"]);
}

#[test]
fn an_end_is_planned_and_refused_while_something_remains() {
    let place = Place::of(&[
        (
            "requirements.txt",
            "--extra-index-url https://old.example/simple\n",
        ),
        ("empty/a.txt", "flask\n"),
        ("none.jsonl", ""),
    ]);
    let plan = place.run("timeline plan old --off 2900-01-01 --announced 2899-01-01");
    plan.assert_code(0);
    assert_says(
        &plan.stdout,
        &[
            "[retired.timeline]",
            "off = \"2900-01-01\"",
            "# old.example",
        ],
    );
    assert_says(
        &plan.stderr,
        &["nothing was looked into", "to be gone by then"],
    );
    // What is printed is what the map takes.
    std::fs::write(place.path("migrate.toml"), format!("{MAP}{}", plan.stdout)).unwrap();
    let show = place.run("timeline show");
    show.assert_code(0);
    assert_says(&show.stdout, &["2900-01-01 00:00 UTC  off (410)"]);

    let late = "timeline plan old --off 2024-01-01 --announced 2023-01-01 --traffic none.jsonl";
    let refused = place.run(&format!("{late} ."));
    refused.assert_code(1);
    assert_eq!(refused.stdout, "");
    assert_says(
        &refused.stderr,
        &[
            "refused",
            "requirements.txt:1:",
            "who comes to older.example",
        ],
    );
    let json = place.run(&format!("{late} --json ."));
    json.assert_code(1);
    assert_eq!(json.json()["refused"], true);
    let forced = place
        .command(late)
        .args(["empty", "--force", "ops: the last job is known"])
        .run();
    forced.assert_code(0);
    assert_says(&forced.stdout, &["forced = \"ops: the last job is known\""]);
    place
        .run("timeline plan nobody --off 2900-01-01")
        .assert_code(2);
    place.run("timeline plan old --off soon").assert_code(2);
}

#[test]
fn notices_come_as_text_html_and_json() {
    let timeline =
        "[retired.timeline]\nannounced = '2020-01-01'\noff = '2021-01-01'\nforced = 'a <b>'\n";
    let place = Place::of(&[]);
    std::fs::write(place.path("migrate.toml"), format!("{MAP}{timeline}")).unwrap();
    let text = place.run("timeline notices");
    assert_says(
        &text.stdout,
        &["Subject: old.example is gone since 2021-01-01"],
    );
    let html = place.run("timeline notices --html");
    html.assert_code(0);
    assert_says(
        &html.stdout,
        &["<h1>old.example is gone", "<pre>heliostat migrate scan\n"],
    );
    assert!(
        !html.stdout.contains("<script") && !html.stdout.contains("src="),
        "{html}"
    );
    let json = place.run("timeline notices --json").json();
    assert_eq!(json[0]["host"], "old.example");
}

/// A log in which an installer was redirected a day before the end.
fn busy(path: &Path) {
    let line = "{\"at\":1609372800,\"host\":\"old.example\",\"class\":\"simple\",\"client\":\"pip/26.3\",\
                \"encrypted\":true,\"address\":\"\",\"status\":301}\n";
    std::fs::write(path, line).unwrap();
}

#[test]
fn a_name_does_not_go_dark_under_its_clients_unless_forced() {
    let place = Place::of(&[]);
    let timeline = "[retired.timeline]\nannounced = '2020-01-01'\noff = '2021-01-01'\n";
    std::fs::write(place.path("migrate.toml"), format!("{MAP}{timeline}")).unwrap();
    busy(&place.path("traffic.jsonl"));
    let redirect = "redirect --listen 127.0.0.1:0 --traffic traffic.jsonl";
    let refused = place.run(redirect);
    refused.assert_code(2);
    assert_says(
        &refused.stderr,
        &["old.example", "2020-12-31", "stay", "forced"],
    );
    let forced = format!("{MAP}{timeline}forced = 'ops'\n");
    std::fs::write(place.path("migrate.toml"), forced).unwrap();
    let mut server = place.command(redirect).start();
    server.wait_for_line("listening on ");
    server.terminate().assert_code(0);
}

#[test]
fn serve_answers_for_retired_names_beside_its_mirror() {
    let place = Place::of(&[]);
    let timeline = "[retired.timeline]\nannounced = '2020-01-01'\noff = '9000-01-01'\nhttp_until = '9000-01-01'\n";
    std::fs::write(place.path("migrate.toml"), format!("{MAP}{timeline}")).unwrap();
    let world = World::new(Universe::new());
    let config = format!(
        "[retired]\nretired-map = {:?}\nretired-traffic = {:?}\nretired-addresses = \"keep\"\n",
        place.path("migrate.toml"),
        place.path("visits.jsonl")
    );
    std::fs::write(place.path("heliostat.toml"), config).unwrap();
    let config = place.path("heliostat.toml");
    let serving = world.serve(&["--config", config.to_str().unwrap()]);
    let ask = |host: &str| {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(serving.address()).unwrap();
        write!(stream, "GET /simple/ HTTP/1.1\r\nHost: {host}\r\nUser-Agent: pip/26.3\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert_says(
        &ask("old.example"),
        &["301 ", "https://new.example/simple/", "no-store"],
    );
    assert_says(&ask("mirror.example"), &["HTTP/1.1 200 "]);
    serving.stop().assert_code(0);
    let log = place.read("visits.jsonl");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert_says(
        &log,
        &["\"host\":\"old.example\"", "\"address\":\"127.0.0.1\""],
    );
}

//! `heliostat migrate redirect`: what clients of a retired name are answered, and what is counted.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::world::{assert_says, bare};

const MAP: &str = "builtin = false\n[[retired]]\nhosts = ['old.example', '127.0.0.1']\nports = [80, 443]\n[retired.timeline]\nannounced = '2020-01-01'\noff = 'OFF'\nhttp_until = '9000-01-01'\n[[retired.rule]]\nprefix = '/simple'\nto = 'https://new.example/simple'\n";

/// A running server that is stopped at the end of a test.
struct Redirect {
    child: Child,
    address: String,
    directory: tempfile::TempDir,
}

impl Redirect {
    fn start(off: &str, map: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("map.toml");
        std::fs::write(&path, map.replace("OFF", off)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_heliostat"))
            .args(["migrate", "redirect", "--listen", "127.0.0.1:0", "--map"])
            .arg(&path)
            .arg("--traffic")
            .arg(directory.path().join("traffic.jsonl"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned();
        Self {
            child,
            address,
            directory,
        }
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{request}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        let _it_ends_anyway = self.child.kill();
        let _it_ends_anyway = self.child.wait();
    }
}

#[test]
fn a_retired_name_redirects_by_the_map_and_never_keeps_it() {
    let server = Redirect::start("9000-01-01", MAP);
    let answer = server.ask("GET /simple/flask/?token=x HTTP/1.1\r\nHost: old.example\r\nUser-Agent: pip/26.3\r\nAuthorization: Basic eDp5");
    assert_says(
        &answer.to_lowercase(),
        &[
            "http/1.1 301 ",
            "location: https://new.example/simple/flask/\r\n",
            "cache-control: no-store",
        ],
    );
    assert!(
        !answer.contains("token") && !answer.contains("eDp5"),
        "{answer}"
    );
    // As many slashes at the end as there were, and nothing but the path.
    for (method, path, status) in [
        ("GET", "/simple/flask", 301),
        ("HEAD", "/simple/flask/", 301),
        ("HEAD", "/simple", 301),
        ("POST", "/simple/", 308),
        ("PUT", "/simple/flask", 308),
        ("DELETE", "/simple/flask/", 308),
    ] {
        let answer = server.ask(&format!(
            "{method} {path}?a=b HTTP/1.1\r\nHost: Old.Example.:80\r\nContent-Length: 0"
        ));
        let expected = [
            format!("http/1.1 {status} "),
            format!("location: https://new.example{path}\r\n"),
            "cache-control: no-store".to_owned(),
        ];
        for part in &expected {
            assert_says(&answer.to_lowercase(), &[part]);
        }
    }
    let foreign = server.ask("GET /simple/ HTTP/1.1\r\nHost: evil.example");
    assert_says(&foreign, &["421 "]);
    assert!(!foreign.to_lowercase().contains("location:"), "{foreign}");
    let log =
        std::fs::read_to_string(server.directory.path().join("traffic.jsonl")).unwrap_or_default();
    assert!(!log.contains("127.0.0.1"), "{log}");
}

#[test]
fn plain_http_is_refused_with_a_reason_unless_a_date_allows_it() {
    let server = Redirect::start(
        "9000-01-01",
        &MAP.replace("http_until = '9000-01-01'\n", ""),
    );
    let answer = server.ask("GET /simple/ HTTP/1.1\r\nHost: old.example");
    assert_says(
        &answer,
        &["HTTP/1.1 403 SSL is required, use https://new.example/simple/"],
    );
}

#[test]
fn a_name_that_is_off_or_parked_says_so_in_the_reason_phrase() {
    let parked = MAP.replace("http_until", "parked = '2022-01-01'\nhttp_until");
    assert_ne!(parked, MAP);
    for map in [MAP, &parked] {
        says_that_it_is_gone(&Redirect::start("2021-01-01", map));
    }
}

fn says_that_it_is_gone(server: &Redirect) {
    let answer = server.ask("GET /simple/ HTTP/1.1\r\nHost: old.example");
    assert_says(
        &answer,
        &[
            "HTTP/1.1 410 Retired 2021-01-01 use https://new.example/simple/",
            "no-store",
        ],
    );
}

#[test]
fn visits_are_reported_and_a_timeline_is_told() {
    let server = Redirect::start("9000-01-01", MAP);
    server.ask("GET /simple/flask/ HTTP/1.1\r\nHost: foreign.example\r\nUser-Agent: uv/0.9.1");
    server.ask("GET /simple/flask/ HTTP/1.1\r\nHost: old.example\r\nUser-Agent: uv/0.9.1");
    let log = server.directory.path().join("traffic.jsonl");
    let patience = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while std::fs::metadata(&log).unwrap().len() == 0 && std::time::Instant::now() < patience {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let report = bare()
        .args(["migrate", "traffic", "report", log.to_str().unwrap()])
        .run();
    report.assert_code(1);
    assert_says(&report.stdout, &["old.example: not clear", "uv/0.9.1: 1"]);
    // Names that nobody retired are not traffic of an old one, whoever asks for them.
    assert!(!report.stdout.contains("foreign.example"), "{report}");
    let empty = server.directory.path().join("empty.jsonl");
    std::fs::write(&empty, "").unwrap();
    let nothing = bare()
        .args(["migrate", "traffic", "report", empty.to_str().unwrap()])
        .run();
    nothing.assert_code(1);
    assert_says(&nothing.stderr, &["cannot tell whether one can go"]);
    let map = server.directory.path().join("map.toml");
    let timeline = bare()
        .args(["migrate", "timeline", "ics", "--map", map.to_str().unwrap()])
        .run();
    timeline.assert_code(0);
    assert_says(
        &timeline.stdout,
        &[
            "BEGIN:VCALENDAR",
            "SUMMARY:old.example: notice: 3 months left",
        ],
    );
    let none = bare().args(["migrate", "timeline", "show"]).run();
    none.assert_code(2);
}

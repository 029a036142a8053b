//! Real clients at a name on its way out: pip and uv in a window of darkness, twine with a release to send.

use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Pip, Tool, Uv, or_skip};
use heliostat_testkit::process::{Invocation, Running};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};
use jiff::{Timestamp, ToSpan as _};

use crate::world::{assert_says, bare};

/// Addresses of this machine that stand for old names: each has its window at another minute.
const NAMES: usize = 1500;

fn new_index() -> FakePyPi {
    let mut universe = Universe::new();
    universe.add_project("acme", &[Release::simple("1.0")]);
    FakePyPi::serve(universe)
}

fn redirect(map: &Path, listen: &str) -> (Running, String) {
    let mut server = bare()
        .args(["migrate", "redirect", "--listen", listen, "--map"])
        .arg(map)
        .start();
    let line = server.wait_for_line("listening on http://");
    let address = line.trim().trim_start_matches("listening on http://");
    (server, address.to_owned())
}

/// The name whose open window lasts longest, by the timeline that the program prints. Windows are scattered over the
/// whole day and the night, so that among so many names one has just begun at whatever moment this runs.
fn dark_name(map: &Path) -> String {
    let shown = bare()
        .args(["migrate", "timeline", "show", "--json", "--map"])
        .arg(map)
        .run();
    shown.assert_code(0);
    let now = Timestamp::now();
    let moment = |value: &serde_json::Value| value.as_str()?.parse::<Timestamp>().ok();
    let shown = shown.json();
    let open = shown.as_array().unwrap().iter().filter_map(|plan| {
        let end = plan["steps"].as_array()?.iter().filter_map(|step| {
            let open = step.to_string().contains("brown-out") && moment(&step["begin"])? <= now;
            moment(&step["end"]).filter(|end| open && *end > now)
        });
        Some((end.max()?, plan["host"].as_str()?))
    });
    let (end, host) = open.max().expect("no window is open among so many names");
    assert!(end > now + 10.minutes(), "{host} is dark only until {end}");
    host.to_owned()
}

/// All of 127.0.0.0/8 is this machine on Linux.
#[cfg(target_os = "linux")]
#[test]
fn a_dark_window_stops_uv_with_its_reason_and_pip_with_none() {
    let (Some(pip), Some(uv)) = (or_skip(Pip::newest()), or_skip(Uv::find())) else {
        return;
    };
    let new = new_index();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // Two days, so that midnight during the test leaves it in the days of darkness.
    let off = today.saturating_add(2.days());
    let names: Vec<String> = (0..NAMES)
        .map(|number| format!("'127.9.{}.{}'", number / 250, number % 250 + 1))
        .collect();
    let map = format!(
        "builtin = false\n[[retired]]\nname = 'old'\nhosts = [{}]\n[[retired.rule]]\nprefix = '/simple'\n\
         to = '{}simple'\n[retired.timeline]\nannounced = '2020-01-01'\noff = '{off}'\nhttp_until = '9000-01-01'\n",
        names.join(", "),
        new.base_url()
    );
    std::fs::write(path("migrate.toml"), map).unwrap();
    let dark = dark_name(&path("migrate.toml"));
    let (server, address) = redirect(&path("migrate.toml"), "0.0.0.0:0");
    let port = address.rsplit(':').next().unwrap();
    let simple = format!("http://{dark}:{port}/simple/");
    let failed = uv
        .command("pip install")
        .args([
            "--default-index",
            &simple,
            "--allow-insecure-host",
            &dark,
            "--target",
        ])
        .arg(path("one"))
        .arg("acme")
        .run();
    assert_ne!(failed.code(), Some(0), "{failed}");
    let reason = format!(
        "410 Brown-out, retires on {off} use {}simple/acme/",
        new.base_url()
    );
    assert_says(&failed.stderr, &[&reason]);
    let failed = pip
        .command("install")
        .args([
            "--index-url",
            &simple,
            "--trusted-host",
            &dark,
            "--no-deps",
            "--target",
        ])
        .arg(path("two"))
        .arg("acme")
        .run();
    failed.assert_code(1);
    assert_says(&failed.stderr, &["No matching distribution found"]);
    assert!(!failed.stderr.contains("Brown-out"), "{failed}");
    // The window stands in the calendar that was given out before.
    let calendar = bare()
        .args(["migrate", "timeline", "ics", "--map"])
        .arg(path("migrate.toml"))
        .run();
    assert_says(
        &calendar.stdout,
        &[&format!("SUMMARY:{dark}: "), "BEGIN:VEVENT"],
    );
    server.terminate().assert_code(0);
}

fn wheel(directory: &Path) -> PathBuf {
    let script = "import sys, zipfile\n\
                  with zipfile.ZipFile(sys.argv[1], 'w') as wheel:\n\
                  \x20   wheel.writestr('acme-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: acme\\nVersion: 1.0\\n')\n\
                  \x20   wheel.writestr('acme-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: a\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
                  \x20   wheel.writestr('acme-1.0.dist-info/RECORD', '')\n";
    let path = directory.join("acme-1.0-py3-none-any.whl");
    Invocation::new("python3")
        .args(["-c", script])
        .arg(&path)
        .run()
        .assert_code(0);
    path
}

/// An upload is sent on only where the map has a place for it, and a token never: twine does not follow by itself.
#[test]
fn twine_is_told_the_new_address_and_sends_nothing_there() {
    let Some(twine) = or_skip(Tool::Twine.find()) else {
        return;
    };
    let new = new_index();
    let directory = tempfile::tempdir().unwrap();
    let wheel = wheel(directory.path());
    let map = |name: &str, rule: &str| {
        let path = directory.path().join(name);
        let text = format!(
            "builtin = false\n[[retired]]\nhosts = ['127.0.0.1']\n[[retired.rule]]\nprefix = '/simple'\n\
             to = '{0}simple'\n{rule}[retired.timeline]\nannounced = '2020-01-01'\noff = '9000-01-01'\n\
             http_until = '9000-01-01'\n",
            new.base_url()
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let upload = |address: &str| {
        Invocation::new(&twine)
            .args([
                "upload",
                "--non-interactive",
                "--disable-progress-bar",
                "--repository-url",
            ])
            .arg(format!("http://{address}/up/"))
            .args(["-u", "__token__", "-p", "geheim"])
            .arg(&wheel)
            .run()
    };
    let rule = format!(
        "[[retired.rule]]\nkinds = ['upload']\nprefix = '/up'\nto = '{}legacy'\n",
        new.base_url()
    );
    let (server, address) = redirect(&map("mapped.toml", &rule), "127.0.0.1:0");
    let told = upload(&address);
    assert_ne!(told.code(), Some(0), "{told}");
    let said = format!("{}{}", told.stdout, told.stderr).replace(['\n', ' '], "");
    assert_says(&said, &[&format!("{}legacy/", new.base_url())]);
    server.terminate().assert_code(0);

    let (server, address) = redirect(&map("unmapped.toml", ""), "127.0.0.1:0");
    let refused = upload(&address);
    assert_ne!(refused.code(), Some(0), "{refused}");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert_says(&said, &["410"]);
    server.terminate().assert_code(0);
    assert_eq!(new.requests().len(), 0, "{:?}", new.requests());
}

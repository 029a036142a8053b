//! What stands beside installers: attest, lock, exec and doctor, with real files, real pip and real uv.

use std::path::{Path, PathBuf};
use std::time::Duration;

use heliostat_testkit::clients::{Pip, PypiAttestations, Tool, Uv, or_skip};
use heliostat_testkit::process::{Finished, Invocation, Running};
use heliostat_testkit::universe::{Release, Universe};
use serde_json::Value;

use crate::world::World;

const PROGRAM: &str = env!("CARGO_BIN_EXE_heliostat");
const PROJECT: &str = "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.9\"\ndependencies = [\"acme\"]\n";
const FILE: &str = "packages/ab/cd/ef0123456789abcdef0123456789abcdef0123456789abcdef0123456789/acme-1.0-py3-none-any.whl";

fn heliostat(words: &str) -> Invocation {
    Invocation::new(PROGRAM).args(words.split(' '))
}

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project("acme", &[Release::new("1.0").wheel()]);
    universe
}

#[test]
fn real_files_are_attested_and_tampered_ones_refused() {
    let Some(oracle) = or_skip(PypiAttestations::find()) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let name = "pypi_attestations-0.0.19.tar.gz";
    for end in ["", ".provenance"] {
        let name = format!("{name}{end}");
        std::fs::copy(oracle.asset(&name), directory.path().join(&name)).unwrap();
    }
    let file = directory.path().join(name);
    let verify = |more: &[&str]| heliostat("attest verify").arg(&file).args(more).run();
    let said = verify(&[]);
    said.assert_code(0);
    assert!(
        said.stdout
            .contains("published by GitHub trailofbits/pypi-attestations (release.yml)"),
        "{}",
        said.stdout
    );
    let other = oracle.asset("gcb_attestation_test-0.0.0.tar.gz.provenance");
    let said = verify(&["--json", "--provenance", other.to_str().unwrap()]);
    said.assert_code(4);
    let line: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(line["check"], "subject-name");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let said = verify(&[]);
    said.assert_code(4);
    assert!(
        said.stdout
            .contains("REFUSED: attestation 1 speaks of a file with sha256"),
        "{}",
        said.stdout
    );
    verify(&["--provenance", "/nonexistent"]).assert_code(3);
    heliostat("attest verify").run().assert_code(2);
}

#[test]
fn lock_normalize_changes_addresses_and_check_tells() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pylock.toml");
    let text = format!(
        "lock-version = \"1.0\"\n[[packages]]\nname = \"acme\"\nindex = \"https://mirror.example/pypi/simple/\"\n\
         wheels = [{{url = \"http://u:secret@127.0.0.1:4000/{FILE}\", hashes = {{sha256 = \"00\"}}}}]\n"
    );
    std::fs::write(&path, &text).unwrap();
    let run = |more: &[&str]| {
        heliostat("lock normalize --from https://mirror.example/pypi/simple/")
            .args(more)
            .arg(&path)
            .run()
    };
    let said = run(&["--check"]);
    said.assert_code(1);
    assert!(said.stdout.contains("pylock.toml:4: "), "{}", said.stdout);
    assert!(!said.stdout.contains("secret"), "{}", said.stdout);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    run(&[]).assert_code(0);
    let now = std::fs::read_to_string(&path).unwrap();
    let pypi = |host: &str| format!("https://{host}");
    let expected = text
        .replace(
            "https://mirror.example/pypi/simple/",
            &pypi(concat!("pypi", ".org/simple/")),
        )
        .replace(
            "http://u:secret@127.0.0.1:4000/",
            &pypi(concat!("files.python", "hosted.org/")),
        );
    assert_eq!(now, expected);
    run(&["--check"]).assert_code(0);
    let other = directory.path().join("package-lock.json");
    std::fs::write(&other, "{}").unwrap();
    heliostat("lock normalize").arg(&other).run().assert_code(2);
    std::fs::write(&path, "not toml").unwrap();
    run(&[]).assert_code(2);
}

/// uv writes the lock against a mirror; after normalising, uv itself finds it right against the upstream.
#[test]
fn a_lock_made_behind_a_mirror_is_right_for_uv_at_the_upstream() {
    let Some(uv) = or_skip(Uv::find()) else {
        return;
    };
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let project = world.place("app");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("pyproject.toml"), PROJECT).unwrap();
    let locked = uv.lock(&serving.index_url(), &project);
    locked.assert_code(0);
    let upstream = world.pypi.index_url();
    let check = |index: &str| {
        uv.command("lock")
            .args(["--check", "--default-index", index])
            .current_dir(&project)
            .run()
    };
    assert_ne!(check(&upstream).code(), Some(0));
    let lock = project.join("uv.lock");
    let said = heliostat("lock normalize --to")
        .args([upstream.as_str(), "--from", &serving.index_url()])
        .arg(&lock)
        .run();
    said.assert_code(0);
    check(&upstream).assert_code(0);
}

#[test]
fn exec_gives_uv_the_proxy_and_the_lock_file_canonical_addresses() {
    let Some(program) = or_skip(Tool::Uv.find()) else {
        return;
    };
    let world = World::new(universe());
    let serving = world.serve(&[]);
    let project = world.place("app");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("pyproject.toml"), PROJECT).unwrap();
    let exec = |words: &[&str]| {
        heliostat("exec --index")
            .args([serving.index_url().as_str(), "--"])
            .arg(&program)
            .args(words)
            .args(["--cache-dir"])
            .arg(world.place("cache"))
            .env("UV_PYTHON", program.with_file_name("python"))
            .env("UV_PYTHON_DOWNLOADS", "never")
            // Were it left in place, uv would fail on it.
            .env("UV_INDEX", "http://127.0.0.1:1/simple/")
            .current_dir(&project)
            .run()
    };
    let lock = || std::fs::read_to_string(project.join("uv.lock")).unwrap();
    exec(&["lock"]).assert_code(0);
    let first = lock();
    assert!(!first.contains("127.0.0.1"), "{first}");
    assert!(
        first.contains(concat!("registry = \"https://pypi", ".org/simple\"")),
        "{first}"
    );
    // What the lock names as PyPI's comes from the proxy all the same, and the lock stays as it is.
    let installed = exec(&["sync", "--locked"]);
    installed.assert_code(0);
    assert!(project.join(".venv").is_dir());
    assert_eq!(lock(), first);
}

#[test]
fn exec_passes_codes_and_signals_through() {
    let exec =
        |script: &str| heliostat("exec --index http://127.0.0.1:1/simple/ -- sh -c").arg(script);
    exec("exit 7").run().assert_code(7);
    let said = exec("echo $PIP_INDEX_URL $UV_INDEX_URL").run();
    assert_eq!(
        said.stdout,
        "http://127.0.0.1:1/simple/ http://127.0.0.1:1/simple\n"
    );
    let mut running =
        exec("trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
            .patience(Duration::from_secs(30))
            .start();
    running.wait_for_line("ready");
    let ended = running.terminate();
    ended.assert_code(9);
    let said = heliostat("exec --index http://127.0.0.1:1/simple/ -- /nonexistent/program").run();
    said.assert_code(3);
    heliostat("exec -- true").run().assert_code(2);
}

#[test]
fn exec_refuses_what_would_bypass_the_proxy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("uv.toml");
    std::fs::write(
        &path,
        "extra-index-url = [\"https://other.example/simple/\"]\n",
    )
    .unwrap();
    let exec = |more: &[&str]| {
        heliostat("exec --index http://127.0.0.1:1/simple/")
            .args(more)
            .args(["--", "true"])
            .current_dir(directory.path())
            .run()
    };
    let said = exec(&[]);
    said.assert_code(1);
    assert!(said.stderr.contains("uv.toml:1"), "{}", said.stderr);
    exec(&["--allow", "https://other.example/simple/"]).assert_code(0);
    // A file that the environment has pip read is no better.
    std::fs::remove_file(&path).unwrap();
    let text = "-i https://other.example/simple/\n";
    std::fs::write(directory.path().join("pins"), text).unwrap();
    for (words, code) in [
        ("exec --index http://127.0.0.1:1/simple/ -- true", 1),
        ("doctor", 1),
    ] {
        let said = heliostat(words)
            .current_dir(directory.path())
            .env("PIP_CONSTRAINT", "pins")
            .run();
        said.assert_code(code);
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(told.contains("pins:1: index-url"), "{said}");
    }
}

/// pip takes from the second index what the first one refuses, and says nothing. Doctor does.
#[test]
fn doctor_reports_what_pip_falls_open_on() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let proxy = World::new(Universe::new());
    let other = World::new(universe());
    let home = tempfile::tempdir().unwrap();
    let conf = home.path().join("pip.conf");
    let text = format!(
        "[global]\nindex-url = {}\nextra-index-url = {}\n",
        proxy.pypi.index_url(),
        other.pypi.index_url().replace("127.0.0.1", "localhost")
    );
    std::fs::write(&conf, text).unwrap();
    let target = home.path().join("target");
    let installed = pip
        .command("install")
        .args(["acme", "--target"])
        .arg(&target)
        .env("PIP_CONFIG_FILE", &conf)
        .run();
    installed.assert_code(0);
    assert!(target.join("acme").exists() || target.read_dir().unwrap().count() > 0);
    let doctor = |more: &[&str]| {
        heliostat("doctor")
            .args(["--index", &proxy.pypi.index_url()])
            .args(more)
            .env("PIP_CONFIG_FILE", &conf)
            .env("UV_DEFAULT_INDEX", proxy.pypi.index_url())
            .current_dir(home.path())
            .run()
    };
    let said = doctor(&[]);
    said.assert_code(1);
    assert!(
        said.stdout.contains("pip.conf:3: extra-index-url"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("fix: remove it"), "{}", said.stdout);
    let line: Value =
        serde_json::from_str(doctor(&["--json"]).stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["event"], &line["line"]),
        (&"bypass".into(), &3.into())
    );
    std::fs::write(
        &conf,
        format!("[global]\nindex-url = {}\n", proxy.pypi.index_url()),
    )
    .unwrap();
    doctor(&[]).assert_code(0);
    assert_clean_without_configuration(home.path());
}

#[track_caller]
fn assert_clean_without_configuration(directory: &Path) {
    let said = heliostat("doctor").current_dir(directory).run();
    said.assert_code(0);
    assert!(said.stdout.contains("note: pip"), "{}", said.stdout);
}

/// An index with the one real release whose provenance we have, and the lock of a project that uses it.
struct AttestedIndex {
    oracle: PypiAttestations,
    directory: tempfile::TempDir,
    port: String,
    /// Serves for as long as the test runs.
    _server: Running,
}

const RELEASE: &str = "pypi_attestations-0.0.19.tar.gz";
const RELEASE_SHA256: &str = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3";

impl AttestedIndex {
    /// With its provenance; none where the clients that it takes are not here.
    fn find() -> Option<Self> {
        let oracle = or_skip(PypiAttestations::find())?;
        let pip = or_skip(Pip::newest())?;
        let index = Self::serve(oracle, &pip);
        index.list(true);
        Some(index)
    }

    /// Where publishers are remembered.
    fn memory(&self) -> PathBuf {
        self.directory.path().join("heliostat.trust")
    }

    fn serve(oracle: PypiAttestations, pip: &Pip) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let web = directory.path().join("web");
        std::fs::create_dir_all(web.join("simple/pypi-attestations")).unwrap();
        let provenance = oracle.asset(&format!("{RELEASE}.provenance"));
        std::fs::copy(provenance, web.join("provenance")).unwrap();
        let mut server = Invocation::new(pip.python())
            .args([
                "-u",
                "-m",
                "http.server",
                "0",
                "--bind",
                "127.0.0.1",
                "--directory",
            ])
            .arg(&web)
            .start();
        let line = server.wait_for_line("Serving HTTP on 127.0.0.1 port ");
        let mut words = line.split_whitespace();
        let port = words
            .find(|word| word.parse::<u16>().is_ok())
            .unwrap()
            .to_owned();
        let text = format!(
            "version = 1\n\n[[package]]\nname = \"pypi-attestations\"\nversion = \"0.0.19\"\nsource = {{ registry = \"https://index.example/simple\" }}\n\
             sdist = {{ url = \"https://files.example/{RELEASE}\", hash = \"sha256:{RELEASE_SHA256}\" }}\n"
        );
        std::fs::write(directory.path().join("uv.lock"), text).unwrap();
        Self {
            oracle,
            directory,
            port,
            _server: server,
        }
    }

    /// Puts the provenance of another release in the place of the right one.
    fn swap_provenance(&self) {
        let other = (self.oracle).asset("gcb_attestation_test-0.0.0.tar.gz.provenance");
        std::fs::copy(other, self.directory.path().join("web/provenance")).unwrap();
    }

    /// Writes the project's page, with or without the address of the provenance.
    fn list(&self, is_attested: bool) {
        let address = format!(
            " data-provenance=\"http://127.0.0.1:{}/provenance\"",
            self.port
        );
        let address = if is_attested { address } else { String::new() };
        let html = format!(
            "<!DOCTYPE html><a href=\"../../{RELEASE}#sha256={RELEASE_SHA256}\"{address}>{RELEASE}</a>"
        );
        let page = self
            .directory
            .path()
            .join("web/simple/pypi-attestations/index.html");
        std::fs::write(page, html).unwrap();
    }

    fn run(&self, words: &str) -> Finished {
        heliostat(words)
            .arg("--lock")
            .arg(self.directory.path().join("uv.lock"))
            .args([
                "--upstream",
                &format!("http://127.0.0.1:{}/simple/", self.port),
            ])
            .run()
    }
}

#[test]
fn publishers_are_remembered_and_a_change_is_told() {
    let Some(index) = AttestedIndex::find() else {
        return;
    };
    index.run("attest record").assert_code(0);
    let memory = index.memory();
    let recorded = std::fs::read_to_string(&memory).unwrap();
    let line = "{ kind = \"GitHub\", repository = \"trailofbits/pypi-attestations\", workflow = \"release.yml\" }";
    assert!(recorded.contains(line), "{recorded}");
    let said = index.run("attest check");
    said.assert_code(0);
    assert_eq!(said.stdout, "");
    // It was somebody else's when it was recorded.
    std::fs::write(&memory, recorded.replace("trailofbits", "somebody")).unwrap();
    let said = index.run("attest check");
    said.assert_code(1);
    let told = "now published by GitHub trailofbits/pypi-attestations";
    assert!(said.stdout.contains(told), "{}", said.stdout);
    index.run("attest check --policy refuse").assert_code(4);
    // The index does not show the provenance any more.
    std::fs::write(&memory, &recorded).unwrap();
    index.list(false);
    let said = index.run("attest check --json");
    said.assert_code(1);
    let line: Value = serde_json::from_str(&said.stdout).unwrap();
    let what = line["what"].as_str().unwrap();
    assert!(what.starts_with("less of it is attested"), "{line}");
    // One that does not hold is no provenance, and not a matter of policy.
    index.list(true);
    index.swap_provenance();
    let said = index.run("attest check");
    said.assert_code(4);
    let told = "speaks of the file `gcb_attestation_test";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    std::fs::write(&memory, "format = 9\n").unwrap();
    index.run("attest check").assert_code(2);
}

#[test]
fn recording_throws_nothing_away_unsaid() {
    let Some(index) = AttestedIndex::find() else {
        return;
    };
    let memory = index.memory();
    let read = || std::fs::read_to_string(&memory).unwrap();
    // A memory that cannot be read is left as it is, by both.
    for wrong in [
        &b"format = 2\n"[..],
        b"",
        b"who knows",
        b"# \xff\nformat = 1\n",
    ] {
        std::fs::write(&memory, wrong).unwrap();
        index.run("attest check").assert_code(2);
        index.run("attest record").assert_code(2);
        assert_eq!(std::fs::read(&memory).unwrap(), wrong);
    }
    std::fs::remove_file(&memory).unwrap();
    index.run("attest record").assert_code(0);
    let recorded = read();
    // What another lock file brought in stays.
    let other = "\n[projects.another]\nversion = \"1\"\nattested = \"none\"\n";
    std::fs::write(&memory, format!("{recorded}{other}")).unwrap();
    index.run("attest record").assert_code(0);
    assert!(read().contains(other.trim()), "{}", read());
    // Somebody else publishes.
    let theirs = recorded.replace("trailofbits", "somebody");
    let told = "changed: pypi-attestations: now published by GitHub trailofbits/pypi-attestations";
    std::fs::write(&memory, &theirs).unwrap();
    let said = index.run("attest record --policy refuse");
    said.assert_code(4);
    assert!(said.stderr.contains(told), "{said}");
    assert_eq!(read(), theirs);
    let said = index.run("attest record");
    said.assert_code(1);
    assert!(said.stderr.contains(told), "{said}");
    assert_eq!(read(), recorded);
    // Nobody attests it any more.
    index.list(false);
    let told = "changed: pypi-attestations: less of it is attested than of 0.0.19";
    let said = index.run("attest record --policy refuse");
    said.assert_code(4);
    assert!(said.stderr.contains(told), "{said}");
    assert_eq!(read(), recorded);
    let said = index.run("attest record --json");
    said.assert_code(1);
    let line: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(line["event"], "changed");
    assert!(read().contains("attested = \"none\""), "{}", read());
    // What does not hold tells nothing about the project.
    std::fs::write(&memory, &recorded).unwrap();
    index.list(true);
    index.swap_provenance();
    for policy in ["warn", "refuse"] {
        let said = index.run(&format!("attest record --policy {policy}"));
        said.assert_code(4);
        let told = "speaks of the file `gcb_attestation_test";
        assert!(said.stderr.contains(told), "{said}");
        assert_eq!(read(), recorded);
    }
    // A lock file that was cut off.
    std::fs::write(index.directory.path().join("uv.lock"), "").unwrap();
    for command in ["record", "check"] {
        let said = index.run(&format!("attest {command}"));
        said.assert_code(2);
        assert!(said.stderr.contains("names no project"), "{said}");
        assert_eq!(read(), recorded);
    }
}

/// What the index lacks keeps nobody from looking at the rest, and is not taken for what nobody attests.
#[test]
fn what_the_index_lacks_is_told_and_not_recorded() {
    let Some(index) = AttestedIndex::find() else {
        return;
    };
    index.run("attest record").assert_code(0);
    let memory = index.memory();
    let read = || std::fs::read_to_string(&memory).unwrap();
    let recorded = read();
    let lock = index.directory.path().join("uv.lock");
    let whole = std::fs::read_to_string(&lock).unwrap();
    let more = "\n[[package]]\nname = \"nobodys\"\nversion = \"1\"\nsource = { registry = \"https://index.example/simple\" }\n";
    std::fs::write(&lock, format!("{whole}{more}")).unwrap();
    for command in ["record", "check"] {
        let said = index.run(&format!("attest {command}"));
        said.assert_code(1);
        assert!(
            said.stderr
                .contains("nobodys: the index has no such project"),
            "{said}"
        );
        assert_eq!(read(), recorded);
    }
    std::fs::write(&lock, whole.replace(RELEASE_SHA256, &"0".repeat(64))).unwrap();
    for command in ["record", "check"] {
        let said = index.run(&format!("attest {command}"));
        said.assert_code(1);
        assert!(
            said.stderr
                .contains("no file with a sha256 that the lock file has of 0.0.19"),
            "{said}"
        );
        assert_eq!(read(), recorded);
    }
    std::fs::write(&lock, whole.replace("version = 1\n", "version = 99\n")).unwrap();
    let said = index.run("attest check");
    said.assert_code(2);
    assert!(
        said.stderr
            .contains("uv.lock of version 99; this heliostat reads version 1"),
        "{said}"
    );
}

//! Settings: the commented file, what wins over what, where each value came from, and what a typo is told.

use std::path::Path;

use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::universe::{Release, Universe};

use crate::world::{World, assert_says, bare};

fn place() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn write(directory: &Path, text: &str) -> String {
    let path = directory.join("settings.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn show(config: &str) -> Invocation {
    bare().args(["config", "show", "--config", config])
}

/// The line of `config show` about a key.
#[track_caller]
fn line<'a>(shown: &'a Finished, key: &str) -> &'a str {
    shown
        .stdout
        .lines()
        .find(|line| line.split_whitespace().next() == Some(key))
        .unwrap_or_else(|| panic!("no `{key}`: {shown}"))
}

#[test]
fn the_file_that_init_writes_changes_nothing_and_every_line_of_it_can_be_used() {
    let directory = place();
    let path = directory.path().join("heliostat.toml");
    let init = || bare().args(["config", "init"]).arg(&path).run();
    init().assert_code(0);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_says(
        &text,
        &[
            "[serve]",
            "# listen = \"127.0.0.1:8080\"",
            "[upstream]",
            "[cache]",
        ],
    );
    let settings = path.display().to_string();
    let shown = show(&settings).run();
    shown.assert_code(0);
    assert!(!shown.stdout.contains("[file"), "{shown}");
    // It is never written over.
    let again = init();
    again.assert_code(2);
    assert_says(&again.stderr, &["is there already"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    // With every example that is no placeholder uncommented, it is still a right file, with the same values.
    let used: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(example) if example.contains(" = ") && !example.contains('<') => {
                format!("{example}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let used = write(directory.path(), &used);
    let uncommented = show(&used).run();
    uncommented.assert_code(0);
    let values = |finished: &Finished| -> Vec<String> {
        let lines = finished.stdout.lines().filter(|line| line.contains("  ["));
        lines
            .map(|line| line.split("  [").next().unwrap().to_owned())
            .collect()
    };
    for (default, used) in values(&shown).iter().zip(values(&uncommented)) {
        // What nobody set is not a value yet; the example of a switch is what it means then.
        assert!(
            *default == used || default.ends_with(" -") && used.ends_with(" false"),
            "{default} / {used}"
        );
    }
    assert!(uncommented.stdout.contains("[file"), "{uncommented}");
}

#[test]
fn what_is_typed_wins_over_the_environment_and_that_over_the_file() {
    let directory = place();
    let config = write(
        directory.path(),
        "data = \"/from/file\"\n[serve]\nlisten = \"127.0.0.1:1001\"\nconnections = 11\n[upstream]\ntries = 3\n\
         upstream = \"https://user:secret@file.example/simple/\"\n[cache]\npin = [\"one\", \"two\"]\n",
    );
    let shown = show(&config)
        .env("HELIOSTAT_LISTEN", "127.0.0.1:1002")
        .env("HELIOSTAT_TRIES", "4")
        .run();
    shown.assert_code(0);
    assert_says(
        line(&shown, "serve.listen"),
        &["127.0.0.1:1002", "environment (HELIOSTAT_LISTEN)"],
    );
    assert_says(line(&shown, "serve.connections"), &["11", "file ("]);
    assert_says(
        line(&shown, "upstream.tries"),
        &["4", "environment (HELIOSTAT_TRIES)"],
    );
    assert_says(line(&shown, "upstream.read-timeout"), &["30", "[default]"]);
    assert_says(line(&shown, "cache.pin"), &["one, two", "file ("]);
    assert_says(line(&shown, "cache.cache-size"), &["-", "[unset]"]);
    assert_says(&shown.stdout, &["data directory in force: /from/file"]);
    assert!(!shown.stdout.contains("secret"), "{shown}");
    let json = bare()
        .args(["config", "show", "--json", "--config", &config])
        .run();
    json.assert_code(0);
    let all = json.json();
    let listen = all
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["key"] == "serve.listen")
        .unwrap();
    assert_eq!(listen["value"], "127.0.0.1:1001");
    assert!(!json.stdout.contains("secret"));
    // Typed words win over both.
    let typed = bare()
        .args(["status", "--config", &config, "--data", "/from/words"])
        .env("HELIOSTAT_DATA", "/from/environment")
        .run();
    assert_says(&typed.stderr, &["/from/words"]);
    let environment = bare()
        .args(["status", "--config", &config])
        .env("HELIOSTAT_DATA", "/from/environment")
        .run();
    assert_says(&environment.stderr, &["/from/environment"]);
    let file = bare().args(["status", "--config", &config]).run();
    assert_says(&file.stderr, &["/from/file"]);
}

#[test]
fn the_file_is_found_where_it_usually_lies() {
    let directory = place();
    let here = directory.path().join("here");
    let home = directory.path().join("home/heliostat");
    std::fs::create_dir_all(&here).unwrap();
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("heliostat.toml"), "data = \"/the/users\"\n").unwrap();
    let status = || {
        bare()
            .arg("status")
            .current_dir(&here)
            .env("XDG_CONFIG_HOME", home.parent().unwrap())
            .run()
    };
    assert_says(&status().stderr, &["/the/users"]);
    std::fs::write(here.join("heliostat.toml"), "data = \"/this/place\"\n").unwrap();
    assert_says(&status().stderr, &["/this/place"]);
    let named = write(directory.path(), "data = \"/the/named\"\n");
    let finished = bare()
        .arg("status")
        .current_dir(&here)
        .env("HELIOSTAT_CONFIG", &named)
        .run();
    assert_says(&finished.stderr, &["/the/named"]);
    let missing = show("/nonexistent/heliostat.toml").run();
    missing.assert_code(2);
    assert_says(
        &missing.stderr,
        &["no configuration file at `/nonexistent/heliostat.toml`"],
    );
}

#[test]
fn a_typo_is_an_error_that_names_what_was_meant() {
    let directory = place();
    for (text, key, meant) in [
        (
            "[serve]\nlisten_on = \"x\"\n",
            "serve.listen_on",
            "serve.listen",
        ),
        ("[upstream]\nretries = 3\n", "upstream.retries", "upstream."),
        ("[cach]\nmax-age = 3\n", "cach.max-age", "cache.max-age"),
        ("dat = \"/x\"\n", "dat", "`data`"),
        ("max-age = 5\n", "max-age", "cache.max-age"),
        (
            "[serve]\ncache-size = \"5G\"\n",
            "serve.cache-size",
            "cache.cache-size",
        ),
    ] {
        let config = write(directory.path(), text);
        for command in [&["config", "show"][..], &["status"], &["serve"], &["sync"]] {
            let finished = bare().args(command).args(["--config", &config]).run();
            finished.assert_code(2);
            let wanted = ["unknown key", key, "did you mean", meant];
            assert_says(&finished.stderr, &wanted);
        }
    }
}

#[test]
fn a_typo_in_the_environment_is_told() {
    let directory = place();
    let status = |name: &str| {
        bare()
            .args(["config", "show"])
            .current_dir(directory.path())
            .env(name, "3")
            .run()
    };
    for (typo, meant) in [
        ("HELIOSTAT_JBS", "HELIOSTAT_JOBS"),
        ("HELIOSTAT_LATSET", "HELIOSTAT_LATEST"),
        ("HELIOSTAT_MAX_DELET", "HELIOSTAT_MAX_DELETE"),
    ] {
        let finished = status(typo);
        finished.assert_code(0);
        assert_says(
            &finished.stderr,
            &[typo, "did you mean", &format!("`{meant}`")],
        );
    }
    for fine in ["HELIOSTAT_JOBS", "HELIOSTAT_KEY_OF_OUR_OWN"] {
        assert_eq!(status(fine).stderr, "", "{fine}");
    }
}

#[test]
fn a_wrong_value_is_told_with_the_key_and_the_file() {
    let directory = place();
    for (text, parts) in [
        (
            "[serve]\nlisten = \"nowhere\"\n",
            &["nowhere", "listen"][..],
        ),
        (
            "[serve]\noffline = \"perhaps\"\n",
            &["serve.offline", "true or false"],
        ),
        ("[upstream]\ntries = 0\n", &["0", "tries"]),
        (
            "[upstream]\nupstream = \"no address\"\n",
            &["no address", "upstream"],
        ),
        ("[cache]\ncache-size = \"many\"\n", &["many", "cache-size"]),
        ("[serve\n", &["is not TOML"]),
        (
            "[serve]\nlisten = [\"a\", \"b\"]\n",
            &["serve.listen", "one value"],
        ),
    ] {
        let config = write(directory.path(), text);
        for command in [&["serve"][..], &["config", "show"]] {
            let finished = bare().args(command).args(["--config", &config]).run();
            finished.assert_code(2);
            assert_says(&finished.stderr, parts);
            assert_says(&finished.stderr, &[&config]);
            assert!(!finished.stderr.contains("error: error"), "{finished}");
        }
    }
}

#[test]
fn a_wrong_value_in_the_environment_is_told_with_the_variable() {
    for command in [&["sync", "alpha"][..], &["config", "show"]] {
        let finished = bare().args(command).env("HELIOSTAT_JOBS", "many").run();
        finished.assert_code(2);
        assert_says(&finished.stderr, &["the variable `HELIOSTAT_JOBS`", "many"]);
    }
    let finished = bare()
        .args(["sync", "alpha", "--jobs", "few"])
        .env("HELIOSTAT_JOBS", "many")
        .run();
    finished.assert_code(2);
    assert!(!finished.stderr.contains("variable"), "{finished}");
}

#[test]
fn the_environment_alone_is_enough() {
    let mut universe = Universe::new();
    universe.add_project("alpha", &[Release::simple("1")]);
    let world = World::new(universe);
    let finished = bare()
        .args(["sync", "alpha"])
        .env("HELIOSTAT_DATA", world.heliostat.data())
        .env("HELIOSTAT_UPSTREAM", world.pypi.index_url())
        .run();
    finished.assert_code(0);
    world.assert_mirrors();
    let refused = bare()
        .args(["sync", "alpha"])
        .env("HELIOSTAT_TRIES", "many")
        .run();
    refused.assert_code(2);
    assert_says(&refused.stderr, &["many"]);
}

#[test]
fn projects_in_the_file_are_what_is_mirrored() {
    let mut universe = Universe::new();
    for name in ["alpha", "beta", "gamma"] {
        universe.add_project(name, &[Release::simple("1")]);
    }
    let world = World::new(universe);
    let sync = |projects: &str| {
        let text = format!(
            "data = {:?}\n[selection]\nprojects = [{projects}]\n[upstream]\nupstream = {:?}\n",
            world.heliostat.data(),
            world.pypi.index_url()
        );
        let config = world.place("settings.toml");
        std::fs::write(&config, text).unwrap();
        bare().args(["sync", "--config"]).arg(config).run()
    };
    let held = |name: &str| world.heliostat.web().join("simple").join(name).is_dir();
    sync("\"alpha\", \"beta\"").assert_code(0);
    assert!(held("alpha") && held("beta") && !held("gamma"));
    sync("\"beta\", \"gamma\"").assert_code(0);
    assert!(!held("alpha") && held("beta") && held("gamma"));
    world.verify(&[]).assert_code(0);
}

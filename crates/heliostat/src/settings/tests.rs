use std::ffi::OsString;

use super::*;
use crate::cli::Command as Typed;

fn arguments(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heliostat.toml");
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes the file that settings reads"
    )]
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn the_command_line_wins_over_the_file_and_the_file_over_the_default() {
    let (_directory, path) =
        file("[serve]\nlisten = \"127.0.0.1:9\"\noffline = true\n[upstream]\njobs = 3\n");
    let settings = read(&arguments(&[
        "heliostat",
        "--config",
        &path,
        "serve",
        "--jobs",
        "4",
    ]))
    .unwrap();
    let Typed::Serve(serve) = settings.cli.command else {
        panic!("not serve")
    };
    assert_eq!(serve.listen.port(), 9);
    assert!(serve.offline);
    assert_eq!(serve.upstream.jobs, 4);
    assert_eq!(serve.upstream.tries, 5);
    let settings = read(&arguments(&[
        "heliostat",
        "--config",
        &path,
        "serve",
        "--offline=false",
    ]))
    .unwrap();
    let Typed::Serve(serve) = settings.cli.command else {
        panic!("not serve")
    };
    assert!(
        !serve.offline,
        "a switch set in the file cannot be switched off"
    );
}

#[test]
fn a_list_in_the_file_is_replaced_by_what_is_typed() {
    let (_directory, path) = file("[selection]\nprojects = [\"a\", \"b\"]\n");
    let settings = read(&arguments(&["heliostat", "sync", "--config", &path])).unwrap();
    let Typed::Sync(sync) = settings.cli.command else {
        panic!("not sync")
    };
    assert_eq!(sync.selection.projects, ["a", "b"]);
    let settings = read(&arguments(&["heliostat", "sync", "c", "--config", &path])).unwrap();
    let Typed::Sync(sync) = settings.cli.command else {
        panic!("not sync")
    };
    assert_eq!(sync.selection.projects, ["c"]);
}

#[test]
fn a_typo_is_an_error_that_names_the_nearest_key() {
    for (text, nearest) in [
        ("[serve]\nlistn = \"x\"\n", "serve.listen"),
        ("[sync]\nupstream = \"http://x/\"\n", "upstream.upstream"),
        ("dta = \"x\"\n", "data"),
    ] {
        let (_directory, path) = file(text);
        let error = read(&arguments(&["heliostat", "--config", &path, "serve"])).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("did you mean `{nearest}`?")),
            "{error}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_shape_is_an_error() {
    let (_directory, path) = file("[serve]\noffline = \"perhaps\"\n");
    let error = read(&arguments(&["heliostat", "--config", &path, "serve"])).unwrap_err();
    assert!(
        error.to_string().contains("must be true or false"),
        "{error}"
    );
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let error = read(&arguments(&[
        "heliostat",
        "--config",
        "/nonexistent/h.toml",
        "serve",
    ]))
    .unwrap_err();
    assert!(
        matches!(error, ReadError::Config(ConfigError::Missing { .. })),
        "{error}"
    );
}

#[test]
fn show_tells_the_source_of_each_value() {
    let (_directory, path) = file("[serve]\nlisten = \"127.0.0.1:9\"\n");
    let shown = show(Some(Path::new(&path))).unwrap();
    let of = |key: &str| shown.iter().find(|shown| shown.key == key).unwrap();
    assert_eq!(of("serve.listen").value.as_deref(), Some("127.0.0.1:9"));
    assert!(of("serve.listen").source.starts_with("file ("));
    assert_eq!(of("upstream.jobs").source, "default");
    assert_eq!(of("upstream.proxy").source, "unset");
}

#[test]
fn the_template_with_every_comment_removed_is_accepted() {
    let template = render_template();
    let live: String = template
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.contains(" = ") && !rest.contains('<') && !rest.contains("; may be") =>
            {
                rest
            }
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let (_directory, path) = file(&live);
    read(&arguments(&["heliostat", "--config", &path, "serve"])).unwrap();
}

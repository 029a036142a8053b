//! The story that docs/migrate.md tells: its commands print what stands there.

use std::path::Path;
use std::process::Command;

use crate::world::bare;

const DOCUMENT: &str = include_str!("../../../../docs/migrate.md");

const FILES: [(&str, &str); 8] = [
    (
        "repos/api/Dockerfile",
        "FROM python:3.13\nENV PIP_INDEX_URL=@OLD/simple \\\n    PIP_TRUSTED_HOST=artifactory.acme.example\n\
         RUN pip install --no-cache-dir flask\n",
    ),
    (
        "repos/api/pyproject.toml",
        "[project]\nname = \"api\"\nversion = \"1.0\"\nrequires-python = \">=3.12\"\ndependencies = [\"flask\"]\n\n\
         [[tool.uv.index]]\nname = \"house\"\nurl = \"@OLD/simple\"\n",
    ),
    (
        "repos/jobs/deploy.sh",
        "#!/bin/sh\n# artifactory.acme.example takes our releases\ntwine upload --repository-url @OLD dist/*\n\
         PYPI_HOST=$1\npip3 install --index-url https://$PYPI_HOST/simple acme-jobs\n",
    ),
    ("repos/jobs/README.md", "Packages come from @OLD/simple\n"),
    (
        "repos/shop/.github/workflows/ci.yml",
        "on: push\njobs:\n  test:\n    env:\n      PIP_EXTRA_INDEX_URL: https://ci:${{ secrets.PYPI }}@artifactory.acme.example\
         /artifactory/api/pypi/python/simple\n    steps:\n      - run: pip3 install -r requirements.txt # from \
         artifactory.acme.example\n",
    ),
    (
        "repos/shop/requirements.txt",
        "--index-url @OLD/simple\n--trusted-host artifactory.acme.example\nflask==3.0\n",
    ),
    (
        "home/.config/pip/pip.conf",
        "[global]\nindex-url = @OLD/simple\n",
    ),
    (
        "home/.netrc",
        "machine artifactory.acme.example login a password geheim\n",
    ),
];

/// The part of the document that tells the story.
fn story() -> &'static str {
    DOCUMENT.split_once("## A worked story").unwrap().1
}

/// What the blocks of a language hold, without the commands.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    story()
        .split(begin.as_str())
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

fn commit(repository: &Path) {
    for arguments in [
        &["init", "-q"][..],
        &["add", "-A"],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b.example",
            "commit",
            "-qm",
            "one",
        ],
    ] {
        let git = Command::new("git")
            .arg("-C")
            .arg(repository)
            .args(arguments)
            .status();
        assert!(git.unwrap().success());
    }
}

#[cfg(unix)]
#[test]
fn the_story_prints_what_the_document_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, text) in FILES {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        let old = "https://artifactory.acme.example/artifactory/api/pypi/python";
        std::fs::write(path(name), text.replace("@OLD", old)).unwrap();
    }
    for name in ["api", "jobs", "shop"] {
        commit(&path("repos").join(name));
    }
    std::fs::write(path("migrate.toml"), blocks("toml")[0]).unwrap();
    let home = path("home");
    let mut printed = Vec::new();
    for (words, code) in [
        ("map check", 0),
        ("scan repos", 1),
        ("diff repos/api", 1),
        ("apply repos", 0),
        ("scan repos --format github", 0),
        ("apply --host-env --backup .before", 1),
        (
            "timeline plan artifactory --off 2026-12-01 --announced 2026-06-01 repos",
            0,
        ),
    ] {
        let ran = bare()
            .arg("migrate")
            .args(words.split_whitespace())
            .env("HOME", &home)
            .current_dir(directory.path())
            .run();
        // The day after the end has come, the plan is refused: nobody can say who still comes.
        if words.starts_with("timeline") && ran.code() == Some(1) {
            continue;
        }
        ran.assert_code(code);
        let text = format!("{}\n{}", ran.stdout, ran.stderr).replace(home.to_str().unwrap(), "~");
        printed.extend(
            text.lines()
                .filter(|line| !line.trim().is_empty() && !line.contains("dark"))
                .map(str::to_owned),
        );
    }
    let told: Vec<&str> = blocks("console")
        .iter()
        .flat_map(|block| block.lines())
        .filter(|line| !line.trim().is_empty() && !line.starts_with("$ "))
        .take(printed.len())
        .collect();
    assert_eq!(printed, told);
}

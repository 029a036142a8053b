//! The tools whose files are rewritten as judges: each reads its file before and after `migrate apply`, and sees just
//! the index moved. The old and the new host are two indexes on loopback that hold the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use heliostat_testkit::clients::{Pip, Tool, or_skip};
use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};
use tempfile::TempDir;

use crate::world::{assert_says, bare};

/// Making an environment and resolving in it takes these tools their time.
const PATIENCE: Duration = Duration::from_mins(5);

/// A project that is to be moved from one index to another.
struct Move {
    old: FakePyPi,
    new: FakePyPi,
    directory: TempDir,
}

impl Move {
    /// A project of these files; `OLD` in them is the old index's root without `/simple`, `HOST` its host and port.
    fn of(files: &[(&str, &str)]) -> Self {
        let mut universe = Universe::new();
        universe.add_project("acme", &[Release::simple("1.0").requires_dist("beta>=1")]);
        universe.add_project("beta", &[Release::simple("1.0"), Release::simple("2.0")]);
        let this = Self {
            old: FakePyPi::serve(universe.clone()),
            new: FakePyPi::serve(universe),
            directory: tempfile::tempdir().unwrap(),
        };
        let map = format!(
            "builtin = false\n[[retired]]\nhosts = ['127.0.0.1']\nports = [{}]\n[[retired.rule]]\nto = '{}'\n",
            this.old.address().port(),
            this.new.base_url()
        );
        std::fs::write(this.path("migrate.toml"), map).unwrap();
        std::fs::create_dir(this.path("project")).unwrap();
        for (name, text) in files {
            let text = text
                .replace("OLD", this.old.base_url().trim_end_matches('/'))
                .replace("HOST", &this.old.address().to_string());
            std::fs::write(this.project().join(name), text).unwrap();
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn project(&self) -> PathBuf {
        self.path("project")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.project().join(name)).unwrap()
    }

    /// A tool in the project, with a home of the test's own.
    fn tool(&self, program: &Path) -> Invocation {
        let programs = program.parent().unwrap().to_str().unwrap();
        Invocation::new(program)
            .current_dir(self.project())
            .env("HOME", self.path("home"))
            .env("PATH", format!("{programs}:/usr/bin:/bin"))
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .patience(PATIENCE)
    }

    /// What a text says once the old index's address is the new one's.
    fn moved(&self, text: &str) -> String {
        text.replace(
            &self.old.address().to_string(),
            &self.new.address().to_string(),
        )
    }

    #[track_caller]
    fn apply(&self) {
        let project = self.project();
        let migrate = |verb: &str| {
            bare()
                .args(["migrate", verb, project.to_str().unwrap(), "--map"])
                .arg(self.path("migrate.toml"))
                .run()
        };
        migrate("scan").assert_code(1);
        migrate("apply").assert_code(0);
        migrate("scan").assert_code(0);
        self.old.clear_log();
    }

    /// Fails the test when anybody came to the old index since [`Self::apply`], or nobody to the new one.
    #[track_caller]
    fn assert_moved(&self) {
        assert_eq!(self.old.count_all(), 0, "{:?}", self.old.requests());
        assert!(self.new.count_all() > 0);
    }
}

#[track_caller]
fn done(finished: Finished) -> String {
    finished.assert_code(0);
    finished.stdout
}

#[test]
fn pip_reads_the_same_settings_with_another_index() {
    let Some(pip) = or_skip(Pip::newest()) else {
        return;
    };
    let plain = "[global]\nindex-url = OLD/simple/\ntimeout = 7\nfind-links =\n    OLD/links/\n    https://keep.example/l\n\
                 [install]\nEXTRA_INDEX_URL : OLD/simple/\n";
    let trusting = plain.replacen("timeout", "trusted-host =\n    HOST\ntimeout", 1);
    let project = Move::of(&[("pip.conf", &trusting), ("plain.cfg", plain)]);
    let settings = |name: &str| {
        let debug = pip
            .command("config")
            .arg("debug")
            .env("PIP_CONFIG_FILE", project.project().join(name))
            .run();
        let debug = done(debug);
        // Of the sources it lists, the file that we name.
        let own = debug.split(&format!("{name}, exists: True\n")).nth(1);
        own.unwrap_or_else(|| panic!("pip has not read {name}: {debug}"))
            .lines()
            .take_while(|line| line.starts_with("    "))
            .map(|line| line.trim().to_owned())
            .collect::<Vec<String>>()
    };
    let before = settings("plain.cfg");
    assert!(before.len() >= 6, "{before:?}");
    assert_says(&settings("pip.conf").join("\n"), &["trusted-host"]);
    project.apply();
    let expected: Vec<String> = before.iter().map(|line| project.moved(line)).collect();
    assert_eq!(settings("pip.conf"), expected);
    let target = project.path("installed");
    let install = pip
        .command("install")
        .args(["--target", target.to_str().unwrap(), "acme"])
        .env("PIP_CONFIG_FILE", project.project().join("pip.conf"))
        .env("PIP_FIND_LINKS", "")
        .run();
    install.assert_code(0);
    project.assert_moved();
}

#[test]
fn pip_compile_compiles_the_same_from_the_new_index() {
    let Some(program) = or_skip(Tool::PipTools.find()) else {
        return;
    };
    let project = Move::of(&[(
        "requirements.in",
        "--index-url OLD/simple/\n--trusted-host HOST\nacme\n",
    )]);
    let compile = || {
        let finished = project
            .tool(&program)
            .args(["--quiet", "--no-header", "--rebuild", "--output-file", "-"])
            .args(["--no-emit-trusted-host", "requirements.in"])
            .run();
        done(finished)
    };
    let before = compile();
    assert_says(&before, &["acme==1.0", "beta==2.0"]);
    project.apply();
    assert_eq!(compile(), project.moved(&before));
    project.assert_moved();
}

#[test]
fn uv_finds_its_lock_right_at_the_new_index() {
    let Some(program) = or_skip(Tool::Uv.find()) else {
        return;
    };
    let project = Move::of(&[(
        "pyproject.toml",
        "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.9\"\ndependencies = [\"acme\"]\n\n\
         [[tool.uv.index]]\nname = \"house\"\nurl = \"OLD/simple/\"\ndefault = true\n",
    )]);
    let uv = |words: &str| {
        project
            .tool(&program)
            .args(words.split(' '))
            .env("UV_CACHE_DIR", project.path("cache"))
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_PYTHON", program.with_file_name("python"))
            .run()
    };
    uv("lock").assert_code(0);
    let lock = project.read("uv.lock");
    assert_says(&lock, &[&project.old.address().to_string()]);
    project.apply();
    assert_eq!(project.read("uv.lock"), project.moved(&lock));
    uv("lock --check").assert_code(0);
    // A frozen sync goes by the lock's own addresses, whatever the settings say.
    uv("sync --frozen --no-install-project --no-cache").assert_code(0);
    project.assert_moved();
}

#[test]
fn poetry_finds_its_lock_right_at_the_new_index() {
    let Some(program) = or_skip(Tool::Poetry.find()) else {
        return;
    };
    let project = Move::of(&[(
        "pyproject.toml",
        "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.9\"\ndependencies = [\"acme\"]\n\n\
         [tool.poetry]\npackage-mode = false\n\n[[tool.poetry.source]]\nname = \"house\"\nurl = \"OLD/simple/\"\n",
    )]);
    let poetry = |words: &str| {
        project
            .tool(&program)
            .args(words.split(' '))
            .env("POETRY_NO_INTERACTION", "1")
            .env("POETRY_VIRTUALENVS_IN_PROJECT", "true")
            .run()
    };
    poetry("lock").assert_code(0);
    poetry("check --lock").assert_code(0);
    let lock = project.read("poetry.lock");
    project.apply();
    poetry("check --lock").assert_code(0);
    let ours = project.read("poetry.lock");
    assert_ne!(ours, project.moved(&lock), "the hash is over the address");
    std::fs::remove_file(project.project().join("poetry.lock")).unwrap();
    poetry("lock").assert_code(0);
    assert_eq!(
        ours,
        project.read("poetry.lock"),
        "what poetry itself writes"
    );
    project.assert_moved();
}

#[test]
fn pdm_finds_its_lock_right_at_the_new_index() {
    let Some(program) = or_skip(Tool::Pdm.find()) else {
        return;
    };
    let project = Move::of(&[(
        "pyproject.toml",
        "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.9\"\ndependencies = [\"acme\"]\n\n\
         [tool.pdm]\ndistribution = false\n\n[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"OLD/simple/\"\nverify_ssl = true\n",
    )]);
    let pdm = |words: &str| {
        project
            .tool(&program)
            .args(words.split(' '))
            .env("PDM_CHECK_UPDATE", "false")
            .run()
    };
    pdm("lock --static-urls").assert_code(0);
    pdm("lock --check").assert_code(0);
    project.apply();
    pdm("lock --check").assert_code(0);
    let ours = project.read("pdm.lock");
    std::fs::remove_file(project.project().join("pdm.lock")).unwrap();
    pdm("lock --static-urls").assert_code(0);
    assert_eq!(ours, project.read("pdm.lock"), "what pdm itself writes");
    project.assert_moved();
}

#[test]
fn pipenv_verifies_its_lock_after_the_move() {
    let Some(program) = or_skip(Tool::Pipenv.find()) else {
        return;
    };
    let project = Move::of(&[(
        "Pipfile",
        "[[source]]\nurl = \"OLD/simple/\"\nverify_ssl = true\nname = \"house\"\n\n[packages]\nacme = \"*\"\n",
    )]);
    let pipenv = |words: &str| {
        project
            .tool(&program)
            .args(words.split(' '))
            .env("PIPENV_VENV_IN_PROJECT", "1")
            .env("PIPENV_NOSPIN", "1")
            .env("PIPENV_CACHE_DIR", project.path("cache"))
            .run()
    };
    pipenv("lock").assert_code(0);
    pipenv("verify").assert_code(0);
    project.apply();
    pipenv("verify").assert_code(0);
    let ours = project.read("Pipfile.lock");
    pipenv("lock").assert_code(0);
    assert_eq!(
        ours,
        project.read("Pipfile.lock"),
        "what pipenv itself writes"
    );
    project.assert_moved();
}

#[test]
fn tox_sees_the_new_index_and_nothing_else() {
    let Some(program) = or_skip(Tool::Tox.find()) else {
        return;
    };
    let project = Move::of(&[(
        "tox.ini",
        "[tox]\nenv_list = a\nskipsdist = true\n\n[testenv]\n; OLD/simple\nset_env =\n    PIP_INDEX_URL = OLD/simple/\n    \
         KEPT = https://keep.example/HOST\ninstall_command = python -m pip install -i OLD/simple/ {opts} {packages}\n\
         deps =\n    acme\ncommands = python -c 1\n",
    )]);
    let config = || {
        let keys = ["set_env", "install_command", "deps", "commands"];
        let shown = project
            .tool(&program)
            .args(["config", "-e", "a", "--core", "-k"])
            .args(keys)
            .run();
        // A number that differs from run to run.
        let lines = done(shown);
        let lines: Vec<&str> = lines
            .lines()
            .filter(|line| !line.contains("PYTHONHASHSEED"))
            .collect();
        lines.join("\n")
    };
    let before = config();
    assert_says(
        &before,
        &["PIP_INDEX_URL", &project.old.address().to_string()],
    );
    project.apply();
    assert_eq!(
        config(),
        project.moved(&before).replace(
            &format!("keep.example/{}", project.new.address()),
            &format!("keep.example/{}", project.old.address()),
        )
    );
}

#[test]
fn buildout_sees_the_new_index_and_nothing_else() {
    let Some(program) = or_skip(Tool::Buildout.find()) else {
        return;
    };
    let project = Move::of(&[(
        "buildout.cfg",
        "[buildout]\nparts =\nindex = OLD/simple/\nfind-links =\n    OLD/links/\n    https://keep.example/l\n\
         [versions]\nacme = 1.0\n",
    )]);
    let annotate = || {
        done(
            project
                .tool(&program)
                .args(["-N", "annotate", "buildout", "versions"])
                .run(),
        )
    };
    // The first run makes its folders, and says so.
    annotate();
    let before = annotate();
    assert_says(&before, &[&project.old.address().to_string()]);
    project.apply();
    assert_eq!(annotate(), project.moved(&before));
}

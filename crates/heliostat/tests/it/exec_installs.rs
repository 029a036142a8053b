//! `heliostat exec` around every installer, from a signed mirror that nobody trusts: what is asked for is installed, lock
//! files name the canonical index afterwards, and a mirror that lies ends in nothing installed.

use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::mirror::{Mutation, TreeMirror, Twist};
use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::pypi::FakePyPi;
use heliostat_testkit::universe::{Release, Universe};

use crate::signed_world::SignedWorld;

/// An installer, what is typed to have `acme` installed, and what it writes down.
struct Installer<'c> {
    tool: Tool,
    program: &'static str,
    /// What is typed before.
    before: Option<&'static str>,
    command: &'c str,
    lock: Option<&'static str>,
}

const UV: Installer<'static> = Installer {
    tool: Tool::Uv,
    program: "uv",
    before: None,
    command: "uv add acme",
    lock: Some("uv.lock"),
};
const PIP: Installer<'static> = Installer {
    tool: Tool::PipNewest,
    program: "python",
    before: Some("python -m venv --without-pip .venv"),
    command: "python -m pip --python .venv/bin/python install --no-cache-dir acme",
    lock: None,
};
const POETRY: Installer<'static> = Installer {
    tool: Tool::Poetry,
    program: "poetry",
    before: None,
    command: "poetry add acme",
    lock: Some("poetry.lock"),
};
const PDM: Installer<'static> = Installer {
    tool: Tool::Pdm,
    program: "pdm",
    before: None,
    command: "pdm add acme",
    lock: Some("pdm.lock"),
};
const PIPENV: Installer<'static> = Installer {
    tool: Tool::Pipenv,
    program: "pipenv",
    before: None,
    command: "pipenv install acme",
    lock: Some("Pipfile.lock"),
};

fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.add_project("acme", &[Release::simple("1.0").requires_dist("beta")]);
    universe.add_project("beta", &[Release::new("2.0").wheel()]);
    universe
}

/// Where one installer works: a project of its own, a home of its own, and the programs of its environment.
struct Desk {
    project: PathBuf,
    home: PathBuf,
    programs: PathBuf,
}

impl Desk {
    /// `None` after saying so, where the installer is not here.
    fn new(signed: &SignedWorld, installer: &Installer<'_>, name: &str) -> Option<Self> {
        let program = or_skip(installer.tool.find())?;
        let home = signed.world.place(name);
        let project = home.join("project");
        std::fs::create_dir_all(&project).unwrap();
        let pyproject = "[project]\nname = \"mine\"\nversion = \"1\"\nrequires-python = \">=3.9\"\n\
                         dependencies = []\n\n[tool.poetry]\npackage-mode = false\n\n[tool.pdm]\n\
                         distribution = false\n";
        let pipfile = concat!(
            "[[source]]\nurl = \"https://pypi",
            ".org/simple\"\nverify_ssl = true\nname = \"pypi\"\n\n[packages]\n\n[dev-packages]\n"
        );
        let (manifest, text) = if installer.program == "pipenv" {
            ("Pipfile", pipfile)
        } else {
            ("pyproject.toml", pyproject)
        };
        std::fs::write(project.join(manifest), text).unwrap();
        Some(Self {
            project,
            home,
            programs: program.parent().unwrap().to_owned(),
        })
    }

    /// `heliostat exec --root ROOT --mirror URL -- COMMAND`.
    fn exec(
        &self,
        signed: &SignedWorld,
        mirror: &TreeMirror,
        installer: &Installer<'_>,
    ) -> Finished {
        self.run(self.exec_command(signed, mirror, installer))
    }

    fn exec_command(
        &self,
        signed: &SignedWorld,
        mirror: &TreeMirror,
        installer: &Installer<'_>,
    ) -> Invocation {
        if let Some(before) = installer.before {
            let command = Invocation::new("/bin/sh").args(["-euc", before]);
            self.run(command).assert_code(0);
        }
        Invocation::new(env!("CARGO_BIN_EXE_heliostat"))
            .args(["exec", "--data"])
            .arg(self.home.join("data"))
            .arg("--root")
            .arg(signed.notary.root_file())
            .args(["--mirror", &mirror.url(), "--"])
            .args(installer.command.split(' '))
    }

    fn run(&self, command: Invocation) -> Finished {
        command
            .env("PATH", format!("{}:/usr/bin:/bin", self.programs.display()))
            .env("HOME", &self.home)
            .env("POETRY_VIRTUALENVS_IN_PROJECT", "true")
            .env("POETRY_NO_INTERACTION", "1")
            .env("PDM_CHECK_UPDATE", "false")
            .env("PIPENV_VENV_IN_PROJECT", "1")
            .env("PIPENV_NOSPIN", "1")
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_LINK_MODE", "copy")
            .current_dir(&self.project)
            .run()
    }

    /// Whether a package lies in the project's environment.
    fn has(&self, package: &str) -> bool {
        let lib = self.project.join(".venv/lib");
        let pythons = std::fs::read_dir(lib).into_iter().flatten().flatten();
        pythons
            .map(|python| python.path().join("site-packages").join(package))
            .any(|place| place.is_dir())
    }
}

fn normalized(path: &Path) -> Finished {
    Invocation::new(env!("CARGO_BIN_EXE_heliostat"))
        .args(["lock", "normalize", "--check"])
        .arg(path)
        .run()
}

#[track_caller]
fn installs_and_is_stopped(installer: &Installer<'_>) {
    let signed = SignedWorld::new(universe(), 4);
    let honest = TreeMirror::serve(signed.tree());
    let Some(desk) = Desk::new(&signed, installer, "honest") else {
        return;
    };
    desk.exec(&signed, &honest, installer).assert_code(0);
    assert!(desk.has("acme") && desk.has("beta"));
    if let Some(lock) = installer.lock {
        let lock = desk.project.join(lock);
        let text = std::fs::read_to_string(&lock).unwrap();
        assert!(
            text.contains("acme") && !text.contains("127.0.0.1"),
            "{text}"
        );
        // pdm's lock file has no addresses, and no rules for them.
        if installer.program != "pdm" {
            normalized(&lock).assert_code(0);
        }
    }
    for manifest in ["pyproject.toml", "Pipfile"] {
        let text = std::fs::read_to_string(desk.project.join(manifest)).unwrap_or_default();
        assert!(!text.contains("127.0.0.1"), "{manifest}: {text}");
    }
    let liar = TreeMirror::evil(
        signed.tree(),
        [Mutation::new("acme-1.0-py3", Twist::FlipLastByte)],
    );
    let desk = Desk::new(&signed, installer, "lied-to").unwrap();
    let refused = desk.exec(&signed, &liar, installer);
    assert_ne!(refused.code(), Some(0), "{refused}");
    assert!(!desk.has("acme"), "{refused}");
}

/// An index on loopback that happens to be configured is not the proxy that is about to be started.
#[test]
fn an_unrelated_index_on_loopback_is_not_taken_for_the_proxy() {
    let signed = SignedWorld::new(universe(), 4);
    let honest = TreeMirror::serve(signed.tree());
    let Some(desk) = Desk::new(&signed, &UV, "unrelated") else {
        return;
    };
    let other = "http://127.0.0.1:9/simple/";
    let settings = desk.project.join("uv.toml");
    std::fs::write(&settings, format!("index-url = \"{other}\"\n")).unwrap();
    let refused = desk.exec(&signed, &honest, &UV);
    refused.assert_code(1);
    let said = &refused.stderr;
    for words in ["uv.toml", other, "--index", "--allow"] {
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
    assert!(!desk.has("acme"));
    // Once it is gone, so is the refusal.
    std::fs::remove_file(settings).unwrap();
    desk.exec(&signed, &honest, &UV).assert_code(0);
    assert!(desk.has("acme"));
}

/// The files of an index beside the signed tree come from it, at its own addresses.
#[test]
fn every_installer_takes_what_an_origin_has() {
    let mut private = Universe::new();
    private.add_project("private", &[Release::simple("1.0").requires_dist("acme")]);
    let origin = FakePyPi::serve(private);
    let signed = SignedWorld::new(universe(), 4);
    let honest = TreeMirror::serve(signed.tree());
    for installer in [UV, PIP, POETRY, PDM, PIPENV] {
        let command = installer.command.replace("acme", "private");
        let installer = Installer {
            command: &command,
            ..installer
        };
        let Some(desk) = Desk::new(&signed, &installer, installer.program) else {
            continue;
        };
        let command = desk
            .exec_command(&signed, &honest, &installer)
            .env("HELIOSTAT_ORIGIN", "first")
            .env("HELIOSTAT_ORIGIN_URL", origin.index_url());
        desk.run(command).assert_code(0);
        assert!(desk.has("private") && desk.has("acme") && desk.has("beta"));
    }
}

#[test]
fn uv_is_given_the_proxy_and_stopped_by_a_lie() {
    installs_and_is_stopped(&UV);
}

#[test]
fn pip_is_given_the_proxy_and_stopped_by_a_lie() {
    installs_and_is_stopped(&PIP);
}

#[test]
fn poetry_is_given_the_proxy_and_stopped_by_a_lie() {
    installs_and_is_stopped(&POETRY);
}

#[test]
fn pdm_is_given_the_proxy_and_stopped_by_a_lie() {
    installs_and_is_stopped(&PDM);
}

#[test]
fn pipenv_is_given_the_proxy_and_stopped_by_a_lie() {
    installs_and_is_stopped(&PIPENV);
}

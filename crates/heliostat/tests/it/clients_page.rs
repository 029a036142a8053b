//! The lines that the page for people tells people to type, typed: each is taken from the page itself and run by a
//! shell with the real tool, in a home directory of its own.
//!
//! Each is tried twice, as the page names the host that it was asked at: on loopback, which every tool trusts, and at
//! an address without TLS that is not loopback by name, which some refuse unless they are told.

use std::path::{Path, PathBuf};

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::process::{Finished, Invocation, Serving};
use heliostat_testkit::universe::{Release, Universe};

use crate::http::get;
use crate::world::World;

/// A home with a project in it, where lines are typed.
struct Desk {
    _world: World,
    serving: Serving,
    home: PathBuf,
    programs: PathBuf,
}

const PYPROJECT: &str = "[project]\nname = \"mine\"\nversion = \"1\"\nrequires-python = \">=3.9\"\n\
                         dependencies = []\n\n[tool.poetry]\npackage-mode = false\n\n\
                         [tool.pdm]\ndistribution = false\n";

/// The server at addresses that this machine reaches it by, one of loopback by name and one not.
const HOSTS: [&str; 2] = ["127.0.0.1", "0.0.0.0"];

impl Desk {
    /// A desk with a tool on it, or nothing where the tool is not installed.
    fn new(tool: Tool) -> Option<Self> {
        let program = or_skip(tool.find())?;
        let mut universe = Universe::new();
        universe.add_project(
            "requests",
            &[Release::simple("2.0").requires_dist("idna>=1")],
        );
        universe.add_project("idna", &[Release::new("3.0").wheel()]);
        let world = World::new(universe);
        let serving = world.serve(&[]);
        let home = world.place("home");
        Some(Self {
            _world: world,
            serving,
            home,
            programs: program.parent().unwrap().to_owned(),
        })
    }

    /// Does it at each host, in an empty home every time.
    fn at_each_host(&self, work: impl Fn(&Page)) {
        for host in HOSTS {
            if self.home.exists() {
                std::fs::remove_dir_all(&self.home).unwrap();
            }
            std::fs::create_dir_all(self.project()).unwrap();
            std::fs::write(self.project().join("pyproject.toml"), PYPROJECT).unwrap();
            let port = self.serving.address().port();
            work(&Page(
                get(&format!("http://{host}:{port}/")).text().to_owned(),
            ));
        }
    }

    fn project(&self) -> PathBuf {
        self.home.join("project")
    }

    /// Types lines into a shell in the project's directory; all of them must succeed.
    #[track_caller]
    fn type_in(&self, lines: &[&str]) -> Finished {
        let path = format!("{}:/usr/bin:/bin", self.programs.display());
        let finished = Invocation::new("/bin/sh")
            .arg("-euxc")
            .arg(lines.join("\n"))
            .env("PATH", path)
            .env("HOME", &self.home)
            .current_dir(self.project())
            .run();
        finished.assert_code(0);
        finished
    }

    /// Fails the test unless the package and its dependency lie in one of the directories below this one.
    #[track_caller]
    fn assert_installed(&self, below: &str) {
        let root = self.project().join(below);
        for package in ["requests", "idna"] {
            assert!(
                find(&root, &format!("{package}/__init__.py")),
                "{package} is not below {}",
                root.display()
            );
        }
    }
}

/// The page, as it was got.
struct Page(String);

impl Page {
    /// What stands to be copied under a heading that begins so, as a browser would copy it.
    #[track_caller]
    fn lines_under(&self, heading: &str) -> String {
        let text = &self.0;
        let start = text
            .find(&format!("<h3>{heading}"))
            .unwrap_or_else(|| panic!("no heading `{heading}` in\n{text}"));
        let (_, rest) = text[start..].split_once("<pre>").unwrap();
        let (lines, _) = rest.split_once("</pre>").unwrap();
        lines
            .replace("&quot;", "\"")
            .replace("&#34;", "\"")
            .replace("&amp;", "&")
    }
}

fn find(directory: &Path, ending: &str) -> bool {
    directory.join(ending).is_file()
        || std::fs::read_dir(directory).is_ok_and(|mut entries| {
            entries.any(|entry| {
                let entry = entry.unwrap();
                entry.file_type().unwrap().is_dir() && find(&entry.path(), ending)
            })
        })
}

#[test]
fn pip_takes_its_lines() {
    for tool in [Tool::PipNewest, Tool::Pip23] {
        let Some(desk) = Desk::new(tool) else {
            return;
        };
        desk.at_each_host(|page| {
            // Into a directory of the test's own, since the environment is everybody's.
            let once = page.lines_under("pip</h3>");
            desk.type_in(&["export PIP_TARGET=once", &once]);
            desk.assert_installed("once");
            let always = page.lines_under("pip, in pip.conf");
            std::fs::create_dir_all(desk.home.join(".config/pip")).unwrap();
            std::fs::write(desk.home.join(".config/pip/pip.conf"), always).unwrap();
            desk.type_in(&["export PIP_TARGET=always", "pip install requests"]);
            desk.assert_installed("always");
        });
    }
}

#[test]
fn uv_takes_its_lines() {
    let Some(desk) = Desk::new(Tool::Uv) else {
        return;
    };
    desk.at_each_host(|page| {
        let quiet = "export UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy";
        let once = page.lines_under("uv</h3>");
        desk.type_in(&[quiet, "uv venv once", "export VIRTUAL_ENV=$PWD/once", &once]);
        desk.assert_installed("once");
        let by_environment = page.lines_under("uv, by environment");
        desk.type_in(&[
            quiet,
            &by_environment,
            "uv venv always",
            "export VIRTUAL_ENV=$PWD/always",
            "uv pip install requests",
        ]);
        desk.assert_installed("always");
        let in_project = page.lines_under("uv, in pyproject.toml");
        let pyproject = format!("{PYPROJECT}\n{in_project}\n");
        std::fs::write(desk.project().join("pyproject.toml"), pyproject).unwrap();
        desk.type_in(&[quiet, "uv add requests"]);
        desk.assert_installed(".venv");
    });
}

#[test]
fn poetry_takes_its_line() {
    let Some(desk) = Desk::new(Tool::Poetry) else {
        return;
    };
    desk.at_each_host(|page| {
        let line = page.lines_under("poetry");
        desk.type_in(&[
            "export POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_NO_INTERACTION=1",
            &line,
            "poetry add requests",
        ]);
        desk.assert_installed(".venv");
    });
}

#[test]
fn pdm_takes_its_line() {
    let Some(desk) = Desk::new(Tool::Pdm) else {
        return;
    };
    desk.at_each_host(|page| {
        let line = page.lines_under("pdm");
        desk.type_in(&["export PDM_CHECK_UPDATE=false", &line, "pdm add requests"]);
        desk.assert_installed(".venv");
    });
}

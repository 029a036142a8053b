//! Where this machine's own settings of installers lie. Owns the list of places; reads nothing.

use std::path::{Path, PathBuf};

use crate::settings;

/// Below the home directory, of Linux, macOS and Windows; what is not there is not looked at.
const OF_HOME: [&str; 38] = [
    ".pip/pip.conf",
    ".config/pip/pip.conf",
    "Library/Application Support/pip/pip.conf",
    "pip/pip.ini",
    ".pypirc",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".pydistutils.cfg",
    "pydistutils.cfg",
    ".buildout/default.cfg",
    ".config/uv/uv.toml",
    ".config/pypoetry/config.toml",
    "Library/Application Support/pypoetry/config.toml",
    ".config/pdm/config.toml",
    "Library/Application Support/pdm/config.toml",
    ".config/hatch/config.toml",
    "Library/Application Support/hatch/config.toml",
    ".condarc",
    ".mambarc",
    ".conda/.condarc",
    ".conda/condarc",
    ".conda/condarc.d",
    ".config/conda/.condarc",
    ".config/conda/condarc",
    ".config/pixi/config.toml",
    ".pixi/config.toml",
    "Library/Application Support/pixi/config.toml",
    ".rye/config.toml",
    ".docker/config.json",
    ".bashrc",
    ".profile",
    ".bash_profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".config/fish/config.fish",
    ".config/environment.d",
];

/// Of the whole machine.
const OF_SYSTEM: [&str; 21] = [
    "/etc/pip.conf",
    "/etc/xdg/pip/pip.conf",
    "/usr/pip.conf",
    "/usr/local/pip.conf",
    "/etc/uv/uv.toml",
    "/etc/xdg/uv/uv.toml",
    "/etc/environment",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/zsh/zshenv",
    "/etc/conda/.condarc",
    "/etc/conda/condarc",
    "/etc/conda/condarc.d",
    "/etc/pixi/config.toml",
    "/Library/Application Support/pip/pip.conf",
    "C:\\ProgramData\\pip\\pip.ini",
    "C:\\ProgramData\\uv\\uv.toml",
    "C:\\ProgramData\\conda\\.condarc",
    "C:\\ProgramData\\conda\\condarc",
    "C:\\ProgramData\\pixi\\config.toml",
];

/// Below directories that variables name, or in the files that they name.
const OF_VARIABLES: [(&str, &str); 32] = [
    ("XDG_CONFIG_HOME", "pip/pip.conf"),
    ("XDG_CONFIG_HOME", "uv/uv.toml"),
    ("XDG_CONFIG_HOME", "pypoetry/config.toml"),
    ("XDG_CONFIG_HOME", "pdm/config.toml"),
    ("XDG_CONFIG_HOME", "hatch/config.toml"),
    ("XDG_CONFIG_HOME", "conda/condarc"),
    ("XDG_CONFIG_HOME", "pixi/config.toml"),
    ("APPDATA", "pip/pip.ini"),
    ("APPDATA", "uv/uv.toml"),
    ("APPDATA", "pypoetry/config.toml"),
    ("APPDATA", "pixi/config.toml"),
    ("LOCALAPPDATA", "pdm/pdm/config.toml"),
    ("LOCALAPPDATA", "hatch/config.toml"),
    ("PROGRAMDATA", "pip/pip.ini"),
    ("PROGRAMDATA", "uv/uv.toml"),
    ("PROGRAMDATA", "conda/.condarc"),
    ("VIRTUAL_ENV", "pip.conf"),
    ("VIRTUAL_ENV", "pip.ini"),
    ("CONDA_PREFIX", ".condarc"),
    ("CONDA_PREFIX", "pip.conf"),
    ("CONDA_ROOT", ".condarc"),
    ("POETRY_CONFIG_DIR", "config.toml"),
    ("BUILDOUT_HOME", "default.cfg"),
    ("RYE_HOME", "config.toml"),
    ("PIXI_HOME", "config.toml"),
    ("DOCKER_CONFIG", "config.json"),
    ("PIP_CONFIG_FILE", ""),
    ("UV_CONFIG_FILE", ""),
    ("PDM_CONFIG_FILE", ""),
    ("HATCH_CONFIG", ""),
    ("CONDARC", ""),
    ("NETRC", ""),
];

/// What `XDG_CONFIG_DIRS` names, one after the other, comes before this machine's own.
const OF_XDG_DIRECTORIES: [&str; 2] = ["pip/pip.conf", "uv/uv.toml"];

/// Every place that exists here.
pub(super) fn places() -> Vec<PathBuf> {
    let home = settings::home();
    let mut places = candidates(home.as_deref(), settings::environment_path);
    places.retain(|place| place.exists() && place.as_os_str() != "/dev/null");
    places
}

/// Every place there can be, of any system.
fn candidates(home: Option<&Path>, variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = OF_SYSTEM.iter().map(PathBuf::from).collect();
    if let Some(home) = home {
        places.extend(OF_HOME.iter().map(|place| home.join(place)));
    }
    for (name, ending) in OF_VARIABLES {
        if let Some(base) = variable(name) {
            places.push(if ending.is_empty() {
                base
            } else {
                base.join(ending)
            });
        }
    }
    if let Some(directories) = variable("XDG_CONFIG_DIRS") {
        for directory in std::env::split_paths(&directories) {
            places.extend(
                OF_XDG_DIRECTORIES
                    .iter()
                    .map(|ending| directory.join(ending)),
            );
        }
    }
    places.sort();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places with `/` between names, for a home and variables.
    fn told(home: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let variable = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| PathBuf::from(value))
        };
        candidates(Some(Path::new(home)), variable)
            .iter()
            .map(|place| place.to_string_lossy().replace('\\', "/"))
            .collect()
    }

    fn assert_holds(places: &[String], expected: &[&str]) {
        for one in expected {
            assert!(
                places.iter().any(|place| place == one),
                "{one}: {places:#?}"
            );
        }
    }

    #[test]
    fn linux_has_its_places() {
        let variables = [
            ("XDG_CONFIG_HOME", "/h/a/c"),
            ("VIRTUAL_ENV", "/srv/venv"),
            ("PIP_CONFIG_FILE", "/srv/pip.conf"),
            ("CONDA_ROOT", "/opt/conda"),
            ("NETRC", "/srv/netrc"),
        ];
        let expected = [
            "/etc/pip.conf",
            "/etc/xdg/pip/pip.conf",
            "/h/a/.pip/pip.conf",
            "/h/a/.config/pip/pip.conf",
            "/h/a/c/pip/pip.conf",
            "/h/a/c/uv/uv.toml",
            "/h/a/.pypirc",
            "/h/a/.condarc",
            "/srv/venv/pip.conf",
            "/srv/pip.conf",
            "/srv/netrc",
            "/opt/conda/.condarc",
        ];
        assert_holds(&told("/h/a", &variables), &expected);
    }

    #[cfg(unix)]
    #[test]
    fn directories_of_xdg_are_a_list() {
        let places = told("/h/a", &[("XDG_CONFIG_DIRS", "/etc/one:/etc/two")]);
        assert_holds(&places, &["/etc/one/pip/pip.conf", "/etc/two/uv/uv.toml"]);
    }

    #[test]
    fn macos_has_its_places() {
        let expected = [
            "/Library/Application Support/pip/pip.conf",
            "/u/a/Library/Application Support/pip/pip.conf",
            "/u/a/Library/Application Support/pypoetry/config.toml",
            "/u/a/Library/Application Support/pdm/config.toml",
            "/u/a/Library/Application Support/hatch/config.toml",
            "/u/a/.config/uv/uv.toml",
            "/u/a/.zprofile",
        ];
        assert_holds(&told("/u/a", &[]), &expected);
    }

    #[test]
    fn windows_has_its_places() {
        let variables = [
            ("APPDATA", "C:\\U\\a\\AppData\\Roaming"),
            ("LOCALAPPDATA", "C:\\U\\a\\AppData\\Local"),
            ("PROGRAMDATA", "D:\\ProgramData"),
            ("VIRTUAL_ENV", "C:\\venv"),
        ];
        let expected = [
            "C:/ProgramData/pip/pip.ini",
            "C:/ProgramData/uv/uv.toml",
            "D:/ProgramData/pip/pip.ini",
            "D:/ProgramData/uv/uv.toml",
            "C:/U/a/AppData/Roaming/pip/pip.ini",
            "C:/U/a/AppData/Roaming/uv/uv.toml",
            "C:/U/a/AppData/Roaming/pypoetry/config.toml",
            "C:/U/a/AppData/Local/hatch/config.toml",
            "C:/U/a/pip/pip.ini",
            "C:/U/a/_netrc",
            "C:/U/a/pydistutils.cfg",
            "C:/venv/pip.ini",
        ];
        assert_holds(&told("C:\\U\\a", &variables), &expected);
    }
}

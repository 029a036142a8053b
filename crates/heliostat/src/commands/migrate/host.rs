//! Where this machine's own settings of installers lie. Owns the list of places; reads nothing.

use std::path::PathBuf;

use crate::settings;

/// Below the home directory.
const OF_HOME: [&str; 24] = [
    ".pip/pip.conf",
    ".config/pip/pip.conf",
    "Library/Application Support/pip/pip.conf",
    "pip/pip.ini",
    ".pypirc",
    ".netrc",
    "_netrc",
    ".pydistutils.cfg",
    "pydistutils.cfg",
    ".buildout/default.cfg",
    ".config/uv/uv.toml",
    ".config/pypoetry/config.toml",
    "Library/Application Support/pypoetry/config.toml",
    ".config/pdm/config.toml",
    ".config/hatch/config.toml",
    ".condarc",
    ".config/conda/.condarc",
    ".config/pixi/config.toml",
    ".rye/config.toml",
    ".bashrc",
    ".profile",
    ".bash_profile",
    ".zshrc",
    ".zshenv",
];

/// Of the whole machine.
const OF_SYSTEM: [&str; 12] = [
    "/etc/pip.conf",
    "/etc/xdg/pip/pip.conf",
    "/usr/pip.conf",
    "/etc/uv/uv.toml",
    "/etc/xdg/uv/uv.toml",
    "/etc/environment",
    "/etc/profile",
    "/etc/conda/.condarc",
    "/Library/Application Support/pip/pip.conf",
    "C:\\ProgramData\\pip\\pip.ini",
    "C:\\ProgramData\\uv\\uv.toml",
    "/etc/profile.d",
];

/// Every place that exists here.
pub(super) fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = OF_SYSTEM.iter().map(PathBuf::from).collect();
    if let Some(home) = settings::home() {
        places.extend(OF_HOME.iter().map(|place| home.join(place)));
    }
    for (variable, ending) in [
        ("XDG_CONFIG_HOME", "pip/pip.conf"),
        ("XDG_CONFIG_HOME", "uv/uv.toml"),
        ("APPDATA", "pip/pip.ini"),
        ("APPDATA", "uv/uv.toml"),
        ("APPDATA", "pypoetry/config.toml"),
        ("VIRTUAL_ENV", "pip.conf"),
        ("VIRTUAL_ENV", "pip.ini"),
        ("POETRY_CONFIG_DIR", "config.toml"),
        ("BUILDOUT_HOME", "default.cfg"),
        ("PIP_CONFIG_FILE", ""),
        ("UV_CONFIG_FILE", ""),
        ("NETRC", ""),
    ] {
        if let Some(base) = settings::environment_path(variable) {
            places.push(if ending.is_empty() {
                base
            } else {
                base.join(ending)
            });
        }
    }
    places.sort();
    places.dedup();
    places.retain(|place| place.exists() && place.as_os_str() != "/dev/null");
    places
}

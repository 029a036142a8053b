//! `heliostat doctor`: what installers on this machine are told, and what of it would bypass the proxy.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_pypi::client_config::{
    Bypass, Judged, ProxyPlace, Setting, Severity, Source, SourceKind, included, judge,
    settings as settings_of,
};

use super::UsageError;
use crate::cli::DoctorArgs;
use crate::outcome::Outcome;
use crate::{reporter, settings, wire};

pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<Outcome> {
    let judged = Judged {
        proxy: (args.index.clone()).map_or(ProxyPlace::AnyLoopback, ProxyPlace::At),
        allowed: args.allow.clone(),
        installers: Vec::new(),
    };
    let directory = std::path::absolute(".").context("there is no current directory")?;
    let mut sources = vec![environment()];
    let read = read(places(&directory))?;
    sources.extend(read.sources);
    let mut settings = all_settings(&sources)?;
    settings.extend(read.missing);
    let found = judge(&settings, &judged);
    for bypass in &found {
        tell(bypass, args.json);
    }
    let guilty = found
        .iter()
        .filter(|bypass| bypass.severity == Severity::Bypass)
        .count();
    if !args.json {
        let read: Vec<&str> = sources.iter().map(|source| source.place.as_str()).collect();
        reporter::talk(&format!(
            "read {}: {guilty} of the settings found bypass the proxy",
            read.join(", ")
        ));
    }
    Ok(if guilty > 0 {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

/// Everything that the sources say about where packages come from.
pub(super) fn all_settings(sources: &[Source]) -> anyhow::Result<Vec<Setting>> {
    let mut all = Vec::new();
    for source in sources {
        all.extend(settings_of(source).map_err(|error| UsageError(error.to_string()))?);
    }
    Ok(all)
}

fn environment() -> Source {
    let variables: Vec<String> = settings::installer_variables()
        .into_iter()
        .map(|(name, value)| format!("{name}={}", value.replace('\n', " ")))
        .collect();
    Source {
        place: "environment".to_owned(),
        kind: SourceKind::Environment,
        text: variables.join("\n"),
    }
}

/// Every configuration file that is there and that an installer run in `directory` would read.
pub(super) fn files(directory: &Path) -> anyhow::Result<Vec<Source>> {
    Ok(read(places(directory))?.sources)
}

/// What was read, and what was not.
#[derive(Debug)]
struct Read {
    sources: Vec<Source>,
    /// Where a requirements file names another one that is not there, or not on this machine.
    missing: Vec<Setting>,
}

/// More requirements files in a row that each name the next than anybody has.
const INCLUDED_DEPTH_MAX: usize = 32;

/// More requirements files that others name than anybody has.
const INCLUDED_COUNT_MAX: usize = 512;

/// The files that are there, and after each requirements file those that it names, each once.
fn read(places: Vec<(PathBuf, SourceKind)>) -> anyhow::Result<Read> {
    let mut read = Read {
        sources: Vec::new(),
        missing: Vec::new(),
    };
    let mut seen = Vec::new();
    let mut included_count = 0;
    for (path, kind) in places {
        let mut open = VecDeque::from([(path, 0)]);
        while let Some((path, depth)) = open.pop_front() {
            // pip reads a file as requirements whatever else it is.
            let place = (path.canonicalize().unwrap_or_else(|_| path.clone()), kind);
            if !path.is_file() || seen.contains(&place) {
                continue;
            }
            seen.push(place);
            let bytes = wire::read_small(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            let source = Source {
                place: path.display().to_string(),
                kind,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            };
            for setting in included(&source) {
                let file = path.with_file_name("").join(&setting.value);
                if setting.value.contains("://") || !file.is_file() {
                    read.missing.push(setting);
                    continue;
                }
                included_count += 1;
                anyhow::ensure!(
                    depth < INCLUDED_DEPTH_MAX && included_count <= INCLUDED_COUNT_MAX,
                    "`{}` names too many further requirements files",
                    path.display()
                );
                open.push_back((file, depth + 1));
            }
            read.sources.push(source);
        }
    }
    Ok(read)
}

/// Where installers look, whether or not anything is there: pip's documentation "Configuration files", uv's
/// "Configuration files", poetry's and pdm's "Configuration".
fn places(directory: &Path) -> Vec<(PathBuf, SourceKind)> {
    let mut places = pip_places();
    places.extend(uv_places());
    let path = settings::environment_path;
    let poetry = path("POETRY_CONFIG_DIR").map(|dir| dir.join("config.toml"));
    places.extend(poetry.map(|file| (file, SourceKind::PoetryToml)));
    for dir in config_homes() {
        places.push((dir.join("pypoetry/config.toml"), SourceKind::PoetryToml));
        places.push((dir.join("pdm/config.toml"), SourceKind::PdmToml));
    }
    places.extend(path("PDM_CONFIG_FILE").map(|file| (file, SourceKind::PdmToml)));
    for above in directory.ancestors() {
        places.push((above.join("uv.toml"), SourceKind::UvToml));
        places.push((above.join("pyproject.toml"), SourceKind::Pyproject));
    }
    places.push((directory.join("poetry.toml"), SourceKind::PoetryToml));
    places.push((directory.join("pdm.toml"), SourceKind::PdmToml));
    let beside = directory.read_dir().into_iter().flatten().flatten();
    let mut requirements: Vec<PathBuf> = beside
        .map(|entry| entry.path())
        .filter(|path| is_requirements(path))
        .collect();
    requirements.sort();
    places.extend((requirements.into_iter()).map(|path| (path, SourceKind::Requirements)));
    places
}

/// From the system's to the named file, as pip lets the later win.
fn pip_places() -> Vec<(PathBuf, SourceKind)> {
    let path = settings::environment_path;
    let named = path("PIP_CONFIG_FILE");
    // The null device means that no file at all is read.
    if named.as_deref() == Some(Path::new("/dev/null")) {
        return Vec::new();
    }
    let file = if cfg!(windows) { "pip.ini" } else { "pip.conf" };
    let mut paths: Vec<PathBuf> = (system_directories().iter())
        .map(|dir| dir.join("pip").join(file))
        .collect();
    paths.push(PathBuf::from("/etc").join(file));
    paths.extend(settings::home().map(|home| home.join(".pip").join(file)));
    paths.extend(config_homes().iter().map(|dir| dir.join("pip").join(file)));
    for environment in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        paths.extend(path(environment).map(|prefix| prefix.join(file)));
    }
    paths.extend(named);
    let pip = |path| (path, SourceKind::PipConf);
    paths.into_iter().map(pip).collect()
}

fn uv_places() -> Vec<(PathBuf, SourceKind)> {
    let path = settings::environment_path;
    if let Some(file) = path("UV_CONFIG_FILE") {
        return vec![(file, SourceKind::UvToml)];
    }
    if path("UV_NO_CONFIG").is_some() {
        return Vec::new();
    }
    let mut directories = system_directories();
    directories.push(PathBuf::from("/etc"));
    directories.extend(config_homes());
    let uv = |dir: PathBuf| (dir.join("uv/uv.toml"), SourceKind::UvToml);
    directories.into_iter().map(uv).collect()
}

/// Where a person's configuration is.
pub(super) fn config_homes() -> Vec<PathBuf> {
    let path = settings::environment_path;
    let home = settings::home();
    let below = |folder: &str| home.as_ref().map(|home| home.join(folder));
    let mac = cfg!(target_os = "macos").then(|| below("Library/Application Support"));
    [
        path("XDG_CONFIG_HOME").or_else(|| below(".config")),
        mac.flatten(),
        path("APPDATA"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Where the system's configuration is.
fn system_directories() -> Vec<PathBuf> {
    settings::environment_path("XDG_CONFIG_DIRS").map_or_else(
        || vec![PathBuf::from("/etc/xdg")],
        |dirs| std::env::split_paths(&dirs).collect(),
    )
}

fn is_requirements(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_text = path
        .extension()
        .is_some_and(|extension| extension == "txt" || extension == "in");
    is_text && (name.starts_with("requirements") || name.starts_with("constraints"))
}

/// Where a finding is, as editors jump to it.
pub(super) fn place(bypass: &Bypass) -> String {
    match &bypass.setting {
        Some(Setting {
            place,
            line: Some(line),
            ..
        }) => format!("{place}:{line}"),
        Some(Setting { place, .. }) => place.clone(),
        None => "nowhere".to_owned(),
    }
}

/// Tells of a finding: to a person, or as a line of JSON.
pub(super) fn tell(bypass: &Bypass, json: bool) {
    let value = bypass
        .setting
        .as_ref()
        .map(|setting| settings::redact(setting.value.clone()));
    let severity = match bypass.severity {
        Severity::Bypass => "bypass",
        Severity::Note => "note",
    };
    if json {
        reporter::json_line(&serde_json::json!({
            "event": severity,
            "installer": bypass.installer.to_string(),
            "place": bypass.setting.as_ref().map(|setting| &setting.place),
            "line": bypass.setting.as_ref().and_then(|setting| setting.line),
            "setting": bypass.setting.as_ref().map(|setting| &setting.name),
            "value": value,
            "why": bypass.why,
            "fix": bypass.fix,
        }));
        return;
    }
    let what = match (&bypass.setting, value) {
        (Some(setting), Some(value)) => format!("{}: {} = {value}", place(bypass), setting.name),
        _ => "configuration".to_owned(),
    };
    reporter::print(&format!(
        "{severity}: {}: {what}\n    {}\n    fix: {}\n",
        bypass.installer, bypass.why, bypass.fix
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(path: PathBuf) -> anyhow::Result<Read> {
        read(vec![(path, SourceKind::Requirements)])
    }

    #[expect(clippy::disallowed_methods, reason = "test data")]
    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn requirements_files_are_followed_from_where_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir(root.join("sub")).unwrap();
        for (name, text) in [
            (
                "requirements.txt",
                "-r sub/base.txt\n-r gone.txt\nacme\n-r https://h.example/r.txt\n",
            ),
            // In a circle, and to one that is read by itself too.
            (
                "sub/base.txt",
                "-c pins.txt\n-r ../requirements.txt\n-r ../requirements-dev.txt\n",
            ),
            ("sub/pins.txt", "--extra-index-url http://evil.example/\n"),
            ("requirements-dev.txt", "-i http://other.example/\n"),
        ] {
            write(&root.join(name), text);
        }
        let places = ["requirements-dev.txt", "requirements.txt"]
            .map(|name| (root.join(name), SourceKind::Requirements));
        let read = read(places.to_vec()).unwrap();
        assert_eq!(read.sources.len(), 4, "{:?}", read.sources);
        let settings = all_settings(&read.sources).unwrap();
        let values: Vec<&str> = (settings.iter().map(|one| one.value.as_str())).collect();
        assert_eq!(values, ["http://other.example/", "http://evil.example/"]);
        assert!(Path::new(&settings[1].place).ends_with("sub/pins.txt"));
        let missing: Vec<_> = (read.missing.iter())
            .map(|one| (one.line, one.value.as_str()))
            .collect();
        assert_eq!(
            missing,
            [(Some(2), "gone.txt"), (Some(4), "https://h.example/r.txt")]
        );
    }

    #[test]
    fn requirements_files_without_end_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = |index: usize| directory.path().join(format!("{index}.txt"));
        for index in 0..=INCLUDED_DEPTH_MAX + 1 {
            write(&path(index), &format!("-r {}.txt\n", index + 1));
        }
        read_one(path(2)).unwrap();
        read_one(path(0)).unwrap_err();
        let text = "-r 40.txt\n".repeat(INCLUDED_COUNT_MAX + 1);
        write(&path(40), &text);
        read_one(path(40)).unwrap_err();
    }
}

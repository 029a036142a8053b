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
    let Read {
        sources, missing, ..
    } = read(&directory, vec![environment()], places(&directory))?;
    let mut settings = all_settings(&sources)?;
    settings.extend(missing);
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
    Ok(read(directory, Vec::new(), places(directory))?.sources)
}

/// The same under `heliostat exec`, where pip's files are not read, nor what pdm stores for a user. The environment says
/// which further files pip reads.
pub(super) fn files_under_exec(directory: &Path) -> anyhow::Result<Vec<Source>> {
    let mut places = places(directory);
    places.retain(|(path, kind)| match kind {
        SourceKind::PipConf => false,
        SourceKind::PdmToml => path.ends_with("pdm.toml"),
        _ => true,
    });
    let mut sources = read(directory, vec![environment()], places)?.sources;
    sources.retain(|source| source.kind != SourceKind::Environment);
    Ok(sources)
}

/// What was read, and what was not.
#[derive(Debug, Default)]
struct Read {
    sources: Vec<Source>,
    /// Where a file is named for pip to read that is not there, or not on this machine.
    missing: Vec<Setting>,
    /// What was read already, as what.
    seen: Vec<(PathBuf, SourceKind)>,
    included_count: usize,
}

/// More requirements files in a row that each name the next than anybody has.
const INCLUDED_DEPTH_MAX: usize = 32;

/// More requirements files that others name than anybody has.
const INCLUDED_COUNT_MAX: usize = 512;

/// What is given and the files that are there, and after each the requirements files that it names, each once.
fn read(
    directory: &Path,
    given: Vec<Source>,
    places: Vec<(PathBuf, SourceKind)>,
) -> anyhow::Result<Read> {
    let mut read = Read::default();
    for source in given {
        read.follow(source, directory)?;
    }
    for (path, kind) in places {
        if let Some(source) = read.file(&path, kind)? {
            // Only a requirements file says where things are from where it is.
            let folder = match kind {
                SourceKind::Requirements => path.with_file_name(""),
                _ => directory.to_owned(),
            };
            read.follow(source, &folder)?;
        }
    }
    Ok(read)
}

impl Read {
    /// A file that is there and was not read yet.
    fn file(&mut self, path: &Path, kind: SourceKind) -> anyhow::Result<Option<Source>> {
        // pip reads a file as requirements whatever else it is.
        let place = (
            path.canonicalize().unwrap_or_else(|_| path.to_owned()),
            kind,
        );
        if !path.is_file() || self.seen.contains(&place) {
            return Ok(None);
        }
        self.seen.push(place);
        let bytes =
            wire::read_small(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(Some(Source {
            place: path.display().to_string(),
            kind,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }))
    }

    /// Takes a source in, and every file that it leads to; those it names are found from `folder`.
    fn follow(&mut self, source: Source, folder: &Path) -> anyhow::Result<()> {
        let mut open = VecDeque::new();
        self.take(source, folder, (&mut open, 0))?;
        while let Some((path, depth)) = open.pop_front() {
            if let Some(source) = self.file(&path, SourceKind::Requirements)? {
                self.take(source, &path.with_file_name(""), (&mut open, depth))?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        source: Source,
        folder: &Path,
        (open, depth): (&mut VecDeque<(PathBuf, usize)>, usize),
    ) -> anyhow::Result<()> {
        for setting in included(&source) {
            let file = folder.join(&setting.value);
            if setting.value.contains("://") || !file.is_file() {
                self.missing.push(setting);
                continue;
            }
            self.included_count += 1;
            anyhow::ensure!(
                depth < INCLUDED_DEPTH_MAX && self.included_count <= INCLUDED_COUNT_MAX,
                "`{}` names too many further requirements files",
                source.place
            );
            open.push_back((file, depth + 1));
        }
        self.sources.push(source);
        Ok(())
    }
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
        read(
            Path::new("/"),
            Vec::new(),
            vec![(path, SourceKind::Requirements)],
        )
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
        let read = read(root, Vec::new(), places.to_vec()).unwrap();
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

    /// pip finds what a configuration or the environment names from where it runs.
    #[test]
    fn files_that_the_environment_and_pip_conf_name_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir(root.join("etc")).unwrap();
        write(
            &root.join("etc/pip.conf"),
            "[install]\nrequirement =\n    base.txt\n    gone.txt\n",
        );
        write(&root.join("base.txt"), "-i http://base.example/\n");
        write(&root.join("pins.txt"), "-c more.txt\n");
        write(
            &root.join("more.txt"),
            "--extra-index-url http://evil.example/\n",
        );
        let environment = Source {
            place: "environment".to_owned(),
            kind: SourceKind::Environment,
            text: "PIP_CONSTRAINT=pins.txt https://h.example/c.txt".to_owned(),
        };
        let places = vec![(root.join("etc/pip.conf"), SourceKind::PipConf)];
        let read = read(root, vec![environment], places).unwrap();
        let settings = all_settings(&read.sources).unwrap();
        let values: Vec<&str> = (settings.iter().map(|one| one.value.as_str())).collect();
        assert_eq!(values, ["http://evil.example/", "http://base.example/"]);
        let missing: Vec<_> = (read.missing.iter())
            .map(|one| (one.name.as_str(), one.value.as_str()))
            .collect();
        assert_eq!(
            missing,
            [
                ("PIP_CONSTRAINT", "https://h.example/c.txt"),
                ("requirement", "gone.txt")
            ]
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

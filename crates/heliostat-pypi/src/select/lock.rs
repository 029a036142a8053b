//! Lock files: `uv.lock`, `pylock.toml` (PEP 751), `poetry.lock` and `Pipfile.lock`.
//!
//! Takes what comes from an index; everything else is returned as skipped with the reason. Read as one loose tree,
//! so that a field that some later version writes differently costs one package and not the file.

use std::fmt;

use serde_json::{Map, Value};

use crate::{ProjectName, Sha256, Version};

/// The longest lock file we read, in bytes.
pub const LOCK_BYTES_MAX: usize = 64 << 20;

/// The lock files we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// `uv.lock`
    Uv,
    /// `pylock.toml`, `pylock.<name>.toml` (PEP 751)
    Pylock,
    /// `poetry.lock`
    Poetry,
    /// `Pipfile.lock`
    Pipfile,
}

/// A lock file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRead {
    /// What it is.
    pub kind: LockKind,
    /// What comes from an index, in order.
    pub packages: Vec<LockedPackage>,
    /// What does not, or cannot be understood.
    pub skipped: Vec<SkippedPackage>,
}

/// One pinned version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// The project.
    pub name: ProjectName,
    /// The version.
    pub version: Version,
    /// The files that the lock lists, where it does.
    pub files: Vec<LockedFile>,
}

/// One file that a lock lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    /// Its name; `Pipfile.lock` tells none.
    pub filename: Option<String>,
    /// Its sha256, where given.
    pub sha256: Option<Sha256>,
}

/// One package that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedPackage {
    /// The name as given, shortened and escaped for display.
    pub name: String,
    /// Why, as a lower-case fragment.
    pub reason: String,
}

/// Why a lock file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Larger than [`LOCK_BYTES_MAX`].
    #[error("the lock file is larger than 64 MiB")]
    TooLarge,
    /// Not TOML or not JSON.
    #[error("the lock file cannot be read: {0}")]
    Syntax(String),
    /// Of a format that may say other things by the same words.
    #[error("it is a {kind} of version {found}; this heliostat reads {known}")]
    Version {
        /// What it is.
        kind: LockKind,
        /// The version it says, shortened and escaped for display.
        found: String,
        /// The versions that are read.
        known: &'static str,
    },
    /// Neither its name nor its content says what it is.
    #[error("the file is not a uv.lock, pylock.toml, poetry.lock or Pipfile.lock")]
    Unknown,
}

impl LockKind {
    /// What a file of this name is, path or not.
    pub fn of_filename(path: &str) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        match name {
            "uv.lock" => Some(Self::Uv),
            "poetry.lock" => Some(Self::Poetry),
            "Pipfile.lock" => Some(Self::Pipfile),
            "pylock.toml" => Some(Self::Pylock),
            _ => {
                let middle = name.strip_prefix("pylock.")?.strip_suffix(".toml")?;
                (!middle.is_empty() && !middle.contains('.')).then_some(Self::Pylock)
            }
        }
    }

    fn of_content(document: &Map<String, Value>) -> Option<Self> {
        if document.contains_key("lock-version") && document.contains_key("packages") {
            Some(Self::Pylock)
        } else if document.contains_key("_meta")
            && (document.contains_key("default") || document.contains_key("develop"))
        {
            Some(Self::Pipfile)
        } else if document
            .get("metadata")
            .and_then(|metadata| metadata.get("lock-version"))
            .is_some()
        {
            Some(Self::Poetry)
        } else {
            (document.contains_key("version") && document.contains_key("package"))
                .then_some(Self::Uv)
        }
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uv => "uv.lock",
            Self::Pylock => "pylock.toml",
            Self::Poetry => "poetry.lock",
            Self::Pipfile => "Pipfile.lock",
        })
    }
}

/// Reads a lock file. `path` is its name, which decides what it is; where the name does not, its content does.
pub fn read_lock(path: &str, text: &str) -> Result<LockRead, LockError> {
    if text.len() > LOCK_BYTES_MAX {
        return Err(LockError::TooLarge);
    }
    let named = LockKind::of_filename(path);
    let is_json =
        named == Some(LockKind::Pipfile) || (named.is_none() && text.trim_start().starts_with('{'));
    let syntax =
        |error: String| LockError::Syntax(error.lines().next().unwrap_or_default().to_owned());
    let document: Map<String, Value> = if is_json {
        serde_json::from_str(text).map_err(|error| syntax(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| syntax(error.to_string()))?
    };
    let kind = named
        .or_else(|| LockKind::of_content(&document))
        .ok_or(LockError::Unknown)?;
    check_version(kind, &document)?;
    let mut read = LockRead {
        kind,
        packages: Vec::new(),
        skipped: Vec::new(),
    };
    match kind {
        LockKind::Uv => read.take_all(array(&document, "package"), take_uv),
        LockKind::Pylock => {
            read.take_all(array(&document, "packages"), take_pylock);
        }
        LockKind::Poetry => {
            // Up to lock version 1, the files stood apart.
            let apart = document
                .get("metadata")
                .and_then(|metadata| metadata.get("files"));
            read.take_all(array(&document, "package"), |package| {
                take_poetry(package, apart)
            });
        }
        LockKind::Pipfile => {
            for (section, packages) in &document {
                if let (true, Some(packages)) = (section != "_meta", packages.as_object()) {
                    for (name, package) in packages {
                        read.take(name, take_pipfile(package));
                    }
                }
            }
        }
    }
    Ok(read)
}

/// Refuses a version whose first number is none of those known. Files that tell none are taken: not every tool wrote one
/// from the beginning.
fn check_version(kind: LockKind, document: &Map<String, Value>) -> Result<(), LockError> {
    let metadata = |table: &str, key: &str| document.get(table)?.get(key).cloned();
    let top = |key: &str| document.get(key).cloned();
    let (found, majors, known): (_, &[&str], _) = match kind {
        LockKind::Uv => (top("version"), &["1"], "version 1"),
        LockKind::Pylock => (top("lock-version"), &["1"], "version 1.x"),
        LockKind::Poetry => (
            metadata("metadata", "lock-version"),
            &["0", "1", "2"],
            "versions 0.x to 2.x",
        ),
        LockKind::Pipfile => (metadata("_meta", "pipfile-spec"), &["6"], "version 6"),
    };
    let Some(found) = found else {
        return Ok(());
    };
    let found = found
        .as_str()
        .map_or_else(|| found.to_string(), str::to_owned);
    let major = found.split('.').next().unwrap_or_default();
    if majors.contains(&major) {
        return Ok(());
    }
    Err(LockError::Version {
        kind,
        found: shown(&found, 20),
        known,
    })
}

/// A text from outside, shortened and escaped for display.
fn shown(text: &str, length: usize) -> String {
    let start: String = text.chars().take(length).collect();
    start.escape_debug().to_string()
}

/// A version and files, or why the package is not taken.
type Taken = Result<(String, Vec<LockedFile>), String>;

impl LockRead {
    fn take_all(&mut self, packages: &[Value], take: impl Fn(&Value) -> Taken) {
        for package in packages {
            self.take(text(package, "name").unwrap_or_default(), take(package));
        }
    }

    fn take(&mut self, name: &str, taken: Taken) {
        let taken = taken.and_then(|(version, files)| {
            let name: ProjectName = name
                .parse()
                .map_err(|error: crate::NameError| error.to_string())?;
            let package = LockedPackage {
                name,
                version: Version::parse(&version),
                files,
            };
            Ok(package)
        });
        match taken {
            Ok(package) => match self
                .packages
                .iter_mut()
                .find(|other| is_same(other, &package))
            {
                // `Pipfile.lock` names a package once for each group.
                Some(_) if self.kind == LockKind::Pipfile => {}
                _ => self.packages.push(package),
            },
            Err(reason) => {
                let name = shown(name, 80);
                self.skipped.push(SkippedPackage { name, reason });
            }
        }
    }
}

fn is_same(left: &LockedPackage, right: &LockedPackage) -> bool {
    left.name == right.name && left.version == right.version
}

fn take_uv(package: &Value) -> Taken {
    let source = package.get("source").and_then(Value::as_object);
    if let Some(source) = source
        && !source.contains_key("registry")
    {
        let kind = source.keys().next().map_or("unknown", String::as_str);
        return Err(not_from_index(kind));
    }
    let version = required_version(package)?;
    let wheels = package
        .get("wheels")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let files = package.get("sdist").into_iter().chain(wheels).map(|file| {
        let filename = text(file, "filename").or_else(|| text(file, "url").and_then(last_segment));
        locked_file(filename, text(file, "hash"))
    });
    Ok((version, files.collect()))
}

fn take_pylock(package: &Value) -> Taken {
    for kind in ["vcs", "directory", "archive"] {
        if package.get(kind).is_some() {
            return Err(not_from_index(kind));
        }
    }
    let version = required_version(package)?;
    let wheels = package
        .get("wheels")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let files = package.get("sdist").into_iter().chain(wheels).map(|file| {
        let place = text(file, "url")
            .or_else(|| text(file, "path"))
            .and_then(last_segment);
        let sha256 = file.get("hashes").and_then(|hashes| text(hashes, "sha256"));
        locked_file(text(file, "name").or(place), sha256)
    });
    Ok((version, files.collect()))
}

fn take_poetry(package: &Value, apart: Option<&Value>) -> Taken {
    match package
        .get("source")
        .and_then(|source| text(source, "type"))
    {
        None | Some("legacy") => {}
        Some(kind) => return Err(not_from_index(kind)),
    }
    let version = required_version(package)?;
    let name = text(package, "name").unwrap_or_default();
    let files = package
        .get("files")
        .or_else(|| apart?.get(name))
        .and_then(Value::as_array);
    let files = files
        .into_iter()
        .flatten()
        .map(|file| locked_file(text(file, "file"), text(file, "hash")));
    Ok((version, files.collect()))
}

fn take_pipfile(package: &Value) -> Taken {
    for kind in ["git", "hg", "svn", "bzr", "path", "file"] {
        if package.get(kind).is_some() {
            return Err(not_from_index(kind));
        }
    }
    let version = text(package, "version").ok_or("it has no version")?;
    let version = version
        .strip_prefix("===")
        .or_else(|| version.strip_prefix("=="))
        .ok_or("its version is not pinned")?;
    let hashes = package
        .get("hashes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let files = hashes
        .filter_map(Value::as_str)
        .map(|hash| locked_file(None, Some(hash)));
    Ok((version.trim().to_owned(), files.collect()))
}

fn not_from_index(kind: &str) -> String {
    let kind = shown(kind, 20);
    format!("its source is `{kind}`, not an index")
}

fn required_version(package: &Value) -> Result<String, String> {
    text(package, "version")
        .map(str::to_owned)
        .ok_or_else(|| "it has no version".to_owned())
}

/// `sha256:…`, or bare digits; other algorithms tell us nothing.
fn locked_file(filename: Option<&str>, hash: Option<&str>) -> LockedFile {
    let sha256 = hash
        .map(|hash| hash.strip_prefix("sha256:").unwrap_or(hash))
        .and_then(|hash| hash.parse().ok());
    LockedFile {
        filename: filename.map(str::to_owned),
        sha256,
    }
}

fn last_segment(url: &str) -> Option<&str> {
    url.split(['?', '#'])
        .next()?
        .rsplit(['/', '\\'])
        .next()
        .filter(|segment| !segment.is_empty())
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn array<'a>(document: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    document
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

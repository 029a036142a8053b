//! Which files are looked into: everything below the named places that is not binary, vendored or generated; hidden
//! files too, and files that git ignores when an installer reads them. Never through a link.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use heliostat_migrate::Scanner;
use heliostat_migrate::report::{Failure, Report};
use ignore::{DirEntry, WalkBuilder, WalkState};

use super::{FILE_BYTES_MAX, Found, failure, name_of};

/// A file of one's own that lists what is left alone, in the words of `.gitignore`.
const IGNORE_FILE: &str = ".heliostatignore";

/// Directories that hold no settings of this project.
const NEVER: [&str; 9] = [
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".eggs",
    ".jj",
];

/// Directories of other people's code.
const VENDORED: [&str; 8] = [
    "node_modules",
    "site-packages",
    "dist-packages",
    "vendor",
    "_vendor",
    "vendored",
    "third_party",
    "bower_components",
];

/// Files that installers read wherever they lie, also where git ignores them.
const LIVE: [&str; 16] = [
    "pip.conf",
    "pip.ini",
    ".pypirc",
    ".netrc",
    "_netrc",
    ".env",
    "uv.toml",
    "poetry.toml",
    "pdm.toml",
    ".pdm.toml",
    ".pydistutils.cfg",
    "pydistutils.cfg",
    "distutils.cfg",
    ".condarc",
    ".envrc",
    ".pip-tools.toml",
];

/// Endings of files that are no text or made by programs.
const NO_TEXT: [&str; 38] = [
    "png", "jpg", "jpeg", "gif", "webp", "ico", "pdf", "zip", "gz", "bz2", "xz", "zst", "7z",
    "tar", "whl", "egg", "jar", "so", "dylib", "dll", "exe", "o", "a", "class", "pyc", "pyo",
    "wasm", "woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "mov", "sqlite", "db", "map",
];

/// What the threads of a walk add to.
#[derive(Default)]
struct Sink {
    found: Mutex<Vec<Found>>,
    failures: Mutex<Vec<Failure>>,
    files: AtomicU64,
}

/// Looks into every file below the places.
pub(super) fn walk(scanner: &Scanner, places: &[PathBuf], vendored: bool) -> (Vec<Found>, Report) {
    let sink = Sink::default();
    let (files, directories): (Vec<&PathBuf>, Vec<&PathBuf>) =
        places.iter().partition(|place| place.is_file());
    for file in files {
        look_into(scanner, file, &sink);
    }
    if let Some((first, rest)) = directories.split_first() {
        let mut builder = builder(first, rest, vendored);
        pass(scanner, &builder, &sink, |_| true);
        // Once more for what git ignores: only what installers read wherever it lies.
        builder
            .git_ignore(false)
            .git_exclude(false)
            .git_global(false)
            .ignore(false);
        pass(scanner, &builder, &sink, |entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| LIVE.contains(&name))
        });
    }
    let report = Report {
        failures: sink.failures.into_inner().unwrap_or_default(),
        files: sink.files.into_inner(),
        ..Report::default()
    };
    (sink.found.into_inner().unwrap_or_default(), report)
}

fn builder(first: &Path, rest: &[&PathBuf], vendored: bool) -> WalkBuilder {
    let mut builder = WalkBuilder::new(first);
    for place in rest {
        builder.add(place);
    }
    builder
        .hidden(false)
        .parents(true)
        .require_git(false)
        .follow_links(false)
        .add_custom_ignore_filename(IGNORE_FILE)
        .filter_entry(move |entry| {
            let Some(name) = entry.file_name().to_str() else {
                return true;
            };
            let directory = entry.file_type().is_some_and(|kind| kind.is_dir());
            entry.depth() == 0
                || !directory
                || !(NEVER.contains(&name) || !vendored && VENDORED.contains(&name))
        });
    builder
}

fn pass(
    scanner: &Scanner,
    builder: &WalkBuilder,
    sink: &Sink,
    wanted: impl Fn(&DirEntry) -> bool + Sync,
) {
    let wanted = &wanted;
    builder.build_parallel().run(|| {
        Box::new(move |entry| {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                    if wanted(&entry) && is_text_name(entry.path()) {
                        look_into(scanner, entry.path(), sink);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    if let Ok(mut failures) = sink.failures.lock() {
                        failures.push(Failure {
                            file: String::new(),
                            reason: error.to_string(),
                        });
                    }
                }
            }
            WalkState::Continue
        })
    });
}

fn is_text_name(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let extension = path.extension().and_then(|extension| extension.to_str());
    !name.ends_with(".min.js") && !extension.is_some_and(|extension| NO_TEXT.contains(&extension))
}

fn look_into(scanner: &Scanner, path: &Path, sink: &Sink) {
    sink.files.fetch_add(1, Ordering::Relaxed);
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            if let Ok(mut failures) = sink.failures.lock() {
                failures.push(failure(path, &error));
            }
            return;
        }
    };
    if !scanner.may_hold(&bytes) {
        return;
    }
    let name = name_of(path);
    let scan = scanner.scan(&name, &bytes);
    if scan.findings.is_empty() && scan.unresolved.is_empty() {
        return;
    }
    if let Ok(mut found) = sink.found.lock() {
        found.push(Found {
            path: path.to_owned(),
            name,
            bytes,
            scan,
        });
    }
}

/// A file's bytes, unless it is larger than anything that holds settings.
#[expect(
    clippy::disallowed_methods,
    reason = "these are the user's files, no data of heliostat's"
)]
pub(super) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    if size > FILE_BYTES_MAX {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

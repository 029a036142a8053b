//! Where everything is. No path inside the data directory is built anywhere else.
//!
//! `DATA/web` is the public tree, laid out as bandersnatch does; `DATA/state` is private.

use std::path::{Path, PathBuf};

use heliostat_pypi::{FileName, ProjectName, RelPath, Sha256, TreePath};

use crate::record::Part;

/// The documents of one project that stand in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PageKind {
    /// `simple/<project>/index.v1_json`
    Json,
    /// `simple/<project>/index.v1_html`, also found as `index.html`
    Html,
    /// `pypi/<project>/json`
    Legacy,
}

/// The root list's two shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RootKind {
    /// `simple/index.v1_json`
    Json,
    /// `simple/index.v1_html`, also found as `index.html`
    Html,
}

/// The data directory's layout.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    data: PathBuf,
}

/// PEP 381's stamp, relative to the tree.
pub(crate) const LAST_MODIFIED: &str = "last-modified";

/// What the mirror says of itself.
pub(crate) const DESCRIPTION: &str = ".well-known/heliostat-mirror.json";

impl Layout {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
        }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn web(&self) -> PathBuf {
        self.data.join("web")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.data.join("state")
    }

    pub(crate) fn packages(&self) -> PathBuf {
        self.data.join("web/packages")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.data.join("state/keys")
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.data.join("state/incoming")
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.data.join("state/catalog.sqlite")
    }

    pub(crate) fn sync_lock(&self) -> PathBuf {
        self.data.join("state/sync.lock")
    }

    pub(crate) fn publish_lock(&self) -> PathBuf {
        self.data.join("state/publish.lock")
    }

    pub(crate) fn commit_lock(&self) -> PathBuf {
        self.data.join("state/commit.lock")
    }

    /// A place in the tree from its path relative to `web`.
    pub(crate) fn in_web(&self, relative: &str) -> PathBuf {
        let mut path = self.web();
        path.push(relative);
        path
    }
}

/// One project's document, relative to the tree.
pub(crate) fn page(name: &ProjectName, kind: PageKind) -> String {
    match kind {
        PageKind::Json => format!("simple/{name}/index.v1_json"),
        PageKind::Html => format!("simple/{name}/index.v1_html"),
        PageKind::Legacy => format!("pypi/{name}/json"),
    }
}

/// The copy of the HTML page that plain web servers look for, relative to the tree.
pub(crate) fn page_index(name: &ProjectName) -> String {
    format!("simple/{name}/index.html")
}

/// The signed copy of a project's page (TUF's consistent snapshots), relative to the tree.
pub(crate) fn signed_page(name: &ProjectName, sha256: Sha256) -> String {
    format!("simple/{name}/{sha256}.index.v1_json")
}

/// The name that a signed target has besides its own (TUF's consistent snapshots), relative to the tree.
pub(crate) fn signed_target(path: &RelPath, sha256: Sha256) -> String {
    match path.as_str().rsplit_once('/') {
        Some((directory, name)) => format!("{directory}/{sha256}.{name}"),
        None => format!("{sha256}.{path}"),
    }
}

/// Where TUF metadata stands, relative to the tree.
pub(crate) const TUF: &str = "tuf";

/// One metadata file, relative to the tree.
pub(crate) fn metadata(name: &str) -> String {
    format!("{TUF}/{name}")
}

/// The root list, relative to the tree.
pub(crate) const fn root(kind: RootKind) -> &'static str {
    match kind {
        RootKind::Json => "simple/index.v1_json",
        RootKind::Html => "simple/index.v1_html",
    }
}

/// The root list's copy that plain web servers look for, relative to the tree.
pub(crate) const ROOT_INDEX: &str = "simple/index.html";

/// One part of a file, relative to the tree; `None` for the provenance of a file whose name tells no version.
pub(crate) fn part(project: &ProjectName, path: &TreePath, part: Part) -> Option<String> {
    match part {
        Part::File => Some(path.to_string()),
        Part::Metadata => Some(format!("{path}.metadata")),
        Part::Provenance => {
            let name = FileName::parse(path.filename(), project).ok()?;
            Some(provenance(
                project,
                &name.version()?.to_string(),
                path.filename(),
            ))
        }
    }
}

/// A provenance document, relative to the tree. The segments must have been checked.
pub(crate) fn provenance(project: &ProjectName, version: &str, filename: &str) -> String {
    format!("integrity/{project}/{version}/{filename}/provenance")
}

/// One day's downloads (PEP 381), relative to the tree.
pub(crate) fn local_stats(day: &str) -> String {
    format!("local-stats/days/{day}.bz2")
}

/// The directories below which emptied ones are removed, relative to the tree.
pub(crate) const ROOTS: [&str; 4] = ["packages", "integrity", "simple", "pypi"];

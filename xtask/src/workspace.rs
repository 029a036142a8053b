//! Where the workspace is and what stands in it, as `cargo metadata` and the directory tell.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

/// The checked-out workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its top directory.
    pub(crate) root: PathBuf,
    /// Its packages, without their dependencies' packages.
    pub(crate) metadata: Metadata,
}

/// How optimised a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What tests use.
    Dev,
    /// What benchmarks and people use.
    Release,
}

impl Workspace {
    /// The workspace this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .no_deps()
            .exec()
            .with_context(|| format!("failed to read the workspace of `{}`", manifest.display()))?;
        Ok(Self {
            root: metadata.workspace_root.clone().into_std_path_buf(),
            metadata,
        })
    }

    /// Where builds land.
    pub(crate) fn target_directory(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// The path a program of ours gets when built.
    pub(crate) fn program(&self, name: &str, profile: Profile) -> PathBuf {
        self.target_directory().join(profile.directory()).join(name)
    }

    /// Whether some package has a program of that name.
    pub(crate) fn has_program(&self, name: &str) -> bool {
        let is_it = |package: &Package| {
            package
                .targets
                .iter()
                .any(|target| target.name == name && target.kind.contains(&TargetKind::Bin))
        };
        self.metadata.packages.iter().any(is_it)
    }

    /// `--features` for test builds: the named points at which tests kill the process, wherever a crate has them.
    pub(crate) fn test_features(&self) -> Vec<String> {
        let with_kill_points = |package: &&Package| package.features.contains_key("kill-points");
        let names: Vec<String> = self
            .metadata
            .packages
            .iter()
            .filter(with_kill_points)
            .map(|package| format!("{}/kill-points", package.name))
            .collect();
        if names.is_empty() {
            Vec::new()
        } else {
            vec!["--features".to_owned(), names.join(",")]
        }
    }

    /// Every file that belongs to the project, sorted, as paths relative to the root.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        collect(&self.root, Path::new(""), &mut found)?;
        found.sort();
        Ok(found)
    }

    /// A file's text, or `None` where it is not UTF-8.
    pub(crate) fn text(&self, relative: &Path) -> Result<Option<String>> {
        let path = self.root.join(relative);
        let bytes =
            fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        Ok(String::from_utf8(bytes).ok())
    }
}

impl Profile {
    /// The directory under `target`.
    pub(crate) const fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

fn collect(root: &Path, relative: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    const OUTSIDE: [&str; 4] = [".git", "target", "fuzz/target", "fuzz/artifacts"];
    let directory = root.join(relative);
    let entries = fs::read_dir(&directory)
        .with_context(|| format!("failed to list `{}`", directory.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to list `{}`", directory.display()))?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| anyhow!("file name `{}` is not UTF-8", name.display()))?;
        let path = relative.join(name);
        if OUTSIDE.iter().any(|outside| path == Path::new(outside)) {
            continue;
        }
        let kind = entry
            .file_type()
            .with_context(|| format!("failed to look at `{}`", path.display()))?;
        if kind.is_dir() {
            collect(root, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

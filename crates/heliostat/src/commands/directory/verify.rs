//! `heliostat directory verify`, and lists that are believed only as they were signed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use heliostat_trust::check::{Check, Limits, Report};
use heliostat_trust::directory::{self, REGISTRY_PATHS, Weight};
use heliostat_trust::metadata::TargetFile;
use heliostat_upstream::{Coding, Upstream, UpstreamError, UpstreamOptions};
use jiff::Timestamp as Instant;
use serde_json::json;
use tokio::runtime::Runtime;
use url::Url;

use super::sign::METADATA;
use crate::cli::{DirectoryVerifyArgs, TreePlace};
use crate::commands::UsageError;
use crate::commands::trust::expiry;
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

/// One request to a server.
const REQUEST_SECONDS_MAX: u64 = 60;

/// Where a published list is read from.
enum Source {
    Folder(PathBuf),
    Server {
        upstream: Upstream,
        base: Url,
        runtime: Runtime,
    },
}

impl Source {
    fn of(args: &DirectoryVerifyArgs) -> anyhow::Result<Self> {
        match &args.list {
            TreePlace::Directory(folder) if folder.is_dir() => Ok(Self::Folder(folder.clone())),
            TreePlace::Directory(folder) => {
                Err(UsageError(format!("`{}` is no directory", folder.display())).into())
            }
            TreePlace::Mirror(url) => {
                let mut base = url.clone();
                if !base.path().ends_with('/') {
                    base.set_path(&format!("{}/", url.path()));
                }
                let options = UpstreamOptions {
                    ca_certificates_pem: wire::certificates(args.cacert.as_deref())?,
                    proxy: args.proxy.clone(),
                    ..UpstreamOptions::new(base.clone(), wire::default_user_agent())
                };
                Ok(Self::Server {
                    upstream: Upstream::new(options)?,
                    base,
                    runtime: wire::runtime()?,
                })
            }
        }
    }

    /// A file below the list, at most so many bytes; nothing where there is none.
    fn read(&self, path: &str, bytes_max: u64) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(folder) => read_bounded(&folder.join(path), bytes_max),
            Self::Server {
                upstream,
                base,
                runtime,
            } => {
                let url = base.join(path).context("the list's address has no path")?;
                let deadline = Duration::from_secs(REQUEST_SECONDS_MAX);
                let answer = upstream.get(&url, bytes_max, Coding::Compressed, deadline);
                match runtime.block_on(answer) {
                    Ok(plain) => Ok(Some(plain.body.to_vec())),
                    Err(error) if matches!(error.status(), Some(404 | 410)) => Ok(None),
                    // Longer than what was signed is something else; nothing at all says the same.
                    Err(UpstreamError::Limit { .. }) => Ok(Some(Vec::new())),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

/// One byte more than is allowed is read, so that what is too long is seen to be.
#[expect(
    clippy::disallowed_methods,
    reason = "a published folder belongs to whoever serves it, not to the store"
)]
fn read_bounded(path: &Path, bytes_max: u64) -> anyhow::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let reading = || format!("cannot read `{}`", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(reading),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    Ok(Some(bytes))
}

pub(super) fn run(args: &DirectoryVerifyArgs) -> anyhow::Result<Outcome> {
    let root = wire::read_small(&args.root)
        .with_context(|| format!("cannot read `--root` `{}`", args.root.display()))?;
    let source = Source::of(args)?;
    let (named, report) = walk(&source, &root)?;
    let mut findings = Findings {
        json: args.json,
        fatal: 0,
        old: 0,
    };
    let at = args.at.map_or_else(expiry::now, Ok)?;
    for (problem, weight) in directory::problems(&report, at) {
        findings.tell(&problem.file, &problem.reason, weight);
    }
    for (path, file) in &named {
        let reason = match source.read(path, file.size_bytes)? {
            None => "there is no such file",
            Some(bytes) if TargetFile::of(&bytes) != *file => "it is not what was signed",
            Some(_) => continue,
        };
        // A list without its status is one whose prober is away.
        let weight = if REGISTRY_PATHS.contains(&path.as_str()) || reason.starts_with("it") {
            Weight::Fatal
        } else {
            Weight::Old
        };
        findings.tell(path, reason, weight);
    }
    if let Source::Server { runtime, .. } = source {
        wire::end(runtime);
    }
    if args.json {
        let roles: Vec<_> = report
            .roles
            .iter()
            .map(|found| json!({"role": found.role, "version": found.version, "expires": found.expires}))
            .collect();
        reporter::json_line(&json!({
            "roles": roles, "files": named.len(), "fatal": findings.fatal, "old": findings.old,
        }));
    } else {
        reporter::talk(&format!(
            "{} and {} checked; {} {}, {} that are only old",
            render::plural(report.roles.len() as u64, "role"),
            render::plural(named.len() as u64, "signed file"),
            render::plural(findings.fatal, "finding"),
            if findings.fatal == 1 {
                "that matters"
            } else {
                "that matter"
            },
            findings.old
        ));
    }
    Ok(match (findings.fatal, findings.old) {
        (0, 0) => Outcome::Done,
        (0, _) => Outcome::Findings,
        _ => Outcome::Distrusted,
    })
}

/// Every file that the list's metadata names, and what there is to say about the metadata.
fn walk(source: &Source, root: &[u8]) -> anyhow::Result<(BTreeMap<String, TargetFile>, Report)> {
    // As of long ago nothing has expired: what has is judged afterwards, for not everything that is old is worthless.
    let mut check = Check::begin(root, Instant::UNIX_EPOCH, Limits::default())?;
    let mut named: BTreeMap<String, TargetFile> = BTreeMap::new();
    while let Some(wanted) = check.wanted() {
        let bytes = source.read(&format!("{METADATA}/{}", wanted.file), wanted.max_bytes)?;
        check.take(bytes.as_deref());
        named.extend(check.take_targets());
    }
    Ok((named, check.finish()))
}

/// The two documents of a published list, as they were signed.
pub(super) struct Documents {
    /// `v1/mirrors.json`.
    pub(super) mirrors: Vec<u8>,
    /// `v1/status.json`.
    pub(super) status: Vec<u8>,
    /// Why the second is old news, where it is.
    pub(super) old: Option<String>,
}

/// Reads both from a folder, checked against the list's root.
pub(super) fn documents(folder: &Path, root: &[u8], at: Instant) -> anyhow::Result<Documents> {
    let source = Source::Folder(folder.to_owned());
    let (named, report) = walk(&source, root)?;
    let mut old = None;
    for (problem, weight) in directory::problems(&report, at) {
        let reason = format!("`{}`: {}", problem.file, problem.reason);
        match weight {
            Weight::Fatal => return Err(NotAsSigned(reason).into()),
            Weight::Old => old = Some(reason),
        }
    }
    let read = |path: &str| -> anyhow::Result<Vec<u8>> {
        let file = named
            .get(path)
            .ok_or_else(|| NotAsSigned(format!("`{path}` is not signed")))?;
        match source.read(path, file.size_bytes)? {
            Some(bytes) if TargetFile::of(&bytes) == *file => Ok(bytes),
            _ => Err(NotAsSigned(format!("`{path}` is not what was signed")).into()),
        }
    };
    Ok(Documents {
        mirrors: read("v1/mirrors.json")?,
        status: read("v1/status.json")?,
        old,
    })
}

/// A published list that its root does not answer for.
#[derive(Debug, thiserror::Error)]
#[error("the list cannot be believed: {0}")]
pub(crate) struct NotAsSigned(String);

/// What was found, told as it is met.
struct Findings {
    json: bool,
    fatal: u64,
    old: u64,
}

impl Findings {
    fn tell(&mut self, file: &str, reason: &str, weight: Weight) {
        let counted = match weight {
            Weight::Fatal => &mut self.fatal,
            Weight::Old => &mut self.old,
        };
        *counted += 1;
        if self.json {
            let is_fatal = weight == Weight::Fatal;
            reporter::json_line(&json!({"file": file, "reason": reason, "fatal": is_fatal}));
        } else {
            reporter::print(&format!("{file}: {reason}\n"));
        }
    }
}

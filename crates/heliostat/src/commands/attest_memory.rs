//! `heliostat attest record` and `check`: who publishes what a lock file names, remembered in `heliostat.trust`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use heliostat_pypi::Sha256;
use heliostat_pypi::page::PageFile;
use heliostat_pypi::select::{LockedPackage, read_lock};
use heliostat_trust::attest::{AttestVerifier, Publisher, Subject};
use heliostat_trust::publishers::{Coverage, Known, Memory, PublisherChange, compare};
use heliostat_upstream::{Answer, Caches, Upstream, Validators};

use super::UsageError;
use crate::cli::{AttestMemoryArgs, PublisherPolicy};
use crate::outcome::Outcome;
use crate::{files, reporter, wire};

/// Writes down who publishes what the lock file names. What the memory has of other projects stays: several lock files
/// may share it.
pub(super) fn record(args: &AttestMemoryArgs) -> anyhow::Result<Outcome> {
    let path = memory_path(args);
    let mut memory = read_if_there(&path)?.unwrap_or_default();
    let found = look(args)?;
    let mut changes = compare(&memory, &found.memory);
    // What is new or better attested is what recording is for.
    changes.retain(|change| change.kind.is_suspicious());
    for change in &changes {
        if args.json {
            tell(change, args);
        } else {
            reporter::talk(&line(change));
        }
    }
    let outcome = found.outcome_with(!changes.is_empty(), args.policy);
    if outcome == Outcome::Distrusted && args.policy == PublisherPolicy::Refuse {
        reporter::talk(&format!("{}: left as it was", path.display()));
        return Ok(outcome);
    }
    let count = |wanted| {
        let known = found.memory.projects.values();
        known.filter(|known| known.attested == wanted).count()
    };
    let (whole, partly) = (count(Coverage::Whole), count(Coverage::Partly));
    let recorded = found.memory.projects.len();
    memory.projects.extend(found.memory.projects);
    files::replace(&path, memory.to_string().as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    reporter::talk(&format!(
        "{}: {recorded} projects, {whole} attested wholly, {partly} partly; {} others stay as they were",
        path.display(),
        memory.projects.len() - recorded,
    ));
    Ok(outcome)
}

/// Tells who publishes now and did not when it was recorded.
pub(super) fn check(args: &AttestMemoryArgs) -> anyhow::Result<Outcome> {
    let before = read(&memory_path(args))?;
    let found = look(args)?;
    let changes = compare(&before, &found.memory);
    for change in &changes {
        tell(change, args);
    }
    let is_changed = changes.iter().any(|change| change.kind.is_suspicious());
    Ok(found.outcome_with(is_changed, args.policy))
}

/// A change as data, on stdout.
fn tell(change: &PublisherChange, args: &AttestMemoryArgs) {
    if args.json {
        reporter::json_line(&serde_json::json!({
            "event": word(change), "project": change.project.as_str(), "what": change.kind.to_string(),
        }));
    } else {
        reporter::print(&format!("{}\n", line(change)));
    }
}

fn line(change: &PublisherChange) -> String {
    format!("{}: {}: {}", word(change), change.project, change.kind)
}

const fn word(change: &PublisherChange) -> &'static str {
    if change.kind.is_suspicious() {
        "changed"
    } else {
        "note"
    }
}

/// What was found, and whether any provenance did not hold.
struct Found {
    /// Of the projects whose provenance holds, and of those that have none.
    memory: Memory,
    broken: bool,
    /// Whether the index lacks something that the lock file names.
    lacking: bool,
}

/// What was found of one release.
struct Release {
    package: LockedPackage,
    /// Who publishes it; `None` where the index has none of its files.
    known: Option<Known>,
    /// What of its provenance does not hold.
    problems: Vec<String>,
    /// What of it the index lacks.
    lacks: Option<String>,
}

impl Found {
    const fn outcome_with(&self, is_changed: bool, policy: PublisherPolicy) -> Outcome {
        match policy {
            _ if self.broken => Outcome::Distrusted,
            _ if !is_changed && self.lacking => Outcome::Findings,
            _ if !is_changed => Outcome::Done,
            PublisherPolicy::Warn => Outcome::Findings,
            PublisherPolicy::Refuse => Outcome::Distrusted,
        }
    }
}

fn memory_path(args: &AttestMemoryArgs) -> PathBuf {
    (args.memory.clone()).unwrap_or_else(|| args.lock.with_file_name("heliostat.trust"))
}

/// What was recorded.
pub(super) fn read(path: &Path) -> anyhow::Result<Memory> {
    let bytes = wire::read_small(path).with_context(|| {
        format!(
            "cannot read `{}`, which `heliostat attest record` writes",
            path.display()
        )
    })?;
    // A byte that is no text would be written back as another.
    let text = String::from_utf8(bytes)
        .map_err(|_| UsageError(format!("`{}` is not UTF-8", path.display())))?;
    Memory::read(&text).map_err(|error| UsageError(format!("`{}`: {error}", path.display())).into())
}

/// What was recorded; nothing where nobody has recorded anything yet. A file that cannot be read is no such case: what it
/// remembers would be lost.
fn read_if_there(path: &Path) -> anyhow::Result<Option<Memory>> {
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => read(path).map(Some),
    }
}

fn look(args: &AttestMemoryArgs) -> anyhow::Result<Found> {
    heliostat_trust::crypto::install();
    let packages = packages(&args.lock)?;
    let upstream = wire::upstream(&args.upstream)?;
    let runtime = wire::runtime()?;
    let looked = runtime.block_on(async {
        let verifier = match &args.root {
            Some(root) => wire::verifier_of_mirror(&upstream, root).await?,
            None => wire::verifier(args.trusted_root.as_deref())?,
        };
        let jobs = usize::from(args.upstream.jobs);
        futures_util::stream::iter(packages)
            .map(async |package| look_at(&upstream, &verifier, package).await)
            .buffer_unordered(jobs)
            .try_collect::<Vec<_>>()
            .await
    });
    wire::end(runtime);
    let mut found = Found {
        memory: Memory::default(),
        broken: false,
        lacking: false,
    };
    let mut broken = BTreeSet::new();
    for release in looked? {
        let package = release.package;
        for problem in release.problems.iter().chain(&release.lacks) {
            reporter::talk(&format!("{}: {problem}", package.name));
        }
        found.lacking |= release.lacks.is_some();
        if !release.problems.is_empty() {
            broken.insert(package.name.clone());
        }
        let Some(known) = release.known else {
            continue;
        };
        // A lock file may name several versions, one for each platform: the project is as attested as the least.
        let merged = match found.memory.projects.remove(&package.name) {
            None => known,
            Some(other) => Known {
                version: other.version.max(known.version),
                attested: other.attested.min(known.attested),
                publishers: other
                    .publishers
                    .into_iter()
                    .chain(known.publishers)
                    .collect(),
            },
        };
        found.memory.projects.insert(package.name, merged);
    }
    // Nothing is known of a project whose provenance does not hold, least of all that nobody attests it.
    (found.memory.projects).retain(|name, _| !broken.contains(name));
    found.broken = !broken.is_empty();
    Ok(found)
}

fn packages(path: &Path) -> anyhow::Result<Vec<LockedPackage>> {
    let shown = path.display();
    let bytes = wire::read_small(path).with_context(|| format!("cannot read `{shown}`"))?;
    let text =
        String::from_utf8(bytes).map_err(|_| UsageError(format!("`{shown}` is not UTF-8")))?;
    let read = read_lock(&path.to_string_lossy(), &text)
        .map_err(|error| UsageError(format!("`{shown}`: {error}")))?;
    for skipped in &read.skipped {
        tracing::info!(
            package = skipped.name,
            reason = skipped.reason,
            "not looked at"
        );
    }
    // More likely a file that was cut off, or the wrong one, than a project that uses nothing.
    if read.packages.is_empty() && read.skipped.is_empty() {
        return Err(UsageError(format!("`{shown}` names no project")).into());
    }
    Ok(read.packages)
}

/// Who publishes one release, what of its provenance does not hold, and what of it the index lacks.
async fn look_at(
    upstream: &Upstream,
    verifier: &AttestVerifier,
    package: LockedPackage,
) -> anyhow::Result<Release> {
    let page = match upstream
        .page(&package.name, &Validators::default(), Caches::Allow)
        .await?
    {
        Answer::Fresh(page) => page.read.page,
        Answer::Gone | Answer::Unchanged => {
            return Ok(Release {
                package,
                known: None,
                problems: Vec::new(),
                lacks: Some("the index has no such project; not recorded".to_owned()),
            });
        }
    };
    let files: Vec<&PageFile> = (page.files.iter())
        .filter(|file| is_of(file, &package))
        .collect();
    let lacks = lacks(&files, &package);
    let mut publishers = BTreeSet::new();
    let mut problems = Vec::new();
    let mut attested = 0;
    for file in &files {
        match provenance_of(upstream, verifier, file).await? {
            Ok(found) if found.is_empty() => {}
            Ok(found) => {
                attested += 1;
                publishers.extend(found);
            }
            Err(reason) => problems.push(format!("{}: {reason}", file.filename())),
        }
    }
    let known = Known {
        version: package.version.to_string(),
        attested: match attested {
            0 => Coverage::None,
            all if all == files.len() => Coverage::Whole,
            _ => Coverage::Partly,
        },
        publishers,
    };
    Ok(Release {
        known: (!files.is_empty()).then_some(known),
        package,
        problems,
        lacks,
    })
}

/// What the index lacks of a release, in words. Files that are not there are attested by nobody, which is not to be
/// taken for what their publisher does.
fn lacks(files: &[&PageFile], package: &LockedPackage) -> Option<String> {
    let version = &package.version;
    if files.is_empty() {
        return Some(match digests(package).next() {
            Some(_) => format!(
                "the index has no file with a sha256 that the lock file has of {version}; not recorded"
            ),
            None => format!("the index has no file of {version}; not recorded"),
        });
    }
    let there: BTreeSet<_> = files.iter().filter_map(|file| file.sha256).collect();
    let wanted: BTreeSet<_> = digests(package).collect();
    let missing = wanted.difference(&there).count();
    (missing > 0).then(|| {
        format!(
            "the index lacks {missing} of the {} files that the lock file has of {version}",
            wanted.len()
        )
    })
}

fn digests(package: &LockedPackage) -> impl Iterator<Item = Sha256> {
    package.files.iter().filter_map(|locked| locked.sha256)
}

/// Whether the lock file means this file: by digest where it tells any, else by version.
fn is_of(file: &PageFile, package: &LockedPackage) -> bool {
    let mut digests = digests(package).peekable();
    if digests.peek().is_some() {
        return digests.any(|digest| Some(digest) == file.sha256);
    }
    file.version(&package.name).as_ref() == Some(&package.version)
}

/// The publishers that a file's provenance proves; none where the index has no provenance.
async fn provenance_of(
    upstream: &Upstream,
    verifier: &AttestVerifier,
    file: &PageFile,
) -> anyhow::Result<Result<Vec<Publisher>, String>> {
    let (Some(address), Some(sha256)) = (&file.provenance, file.sha256) else {
        return Ok(Ok(Vec::new()));
    };
    let Ok(url) = address.parse() else {
        return Ok(Err(format!("`{address}` is not an address")));
    };
    let limit = upstream.limits().document_bytes_max;
    let Answer::Fresh(bytes) = upstream.document(&url, limit).await? else {
        return Ok(Err(format!("the index has no provenance at `{address}`")));
    };
    let subject = Subject {
        filename: file.filename(),
        sha256,
    };
    Ok(verifier
        .verify(&subject, &bytes)
        .map(|proved| proved.into_iter().map(|one| one.publisher).collect())
        .map_err(|error| error.to_string()))
}

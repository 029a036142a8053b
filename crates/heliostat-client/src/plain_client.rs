//! A TUF client of the ordinary kind: one repository, targets downloaded into a directory. It is what `heliostat
//! tuf-client` is made of, and what the conformance suite drives.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sigstore_tuf::TargetFile;
use url::Url;

use crate::failure::{Attack, Refusal};
use crate::mirrors::{Base, Mirror, Mirrors, Transport, Wanted, with_slash};
use crate::tuf::{MetadataDirectory, Naming, Trusted, Walk};
use crate::{ClientError, Clock, Limits, disk};

/// A client of one repository.
#[derive(Debug)]
pub struct PlainClient {
    mirrors: Mirrors,
    directory: MetadataDirectory,
    limits: Limits,
    clock: Clock,
    trusted: Trusted,
}

impl PlainClient {
    /// Trusts `root` from now on: checks that it signs itself, and keeps it in `directory`.
    pub fn init(directory: &Path, root: &[u8]) -> Result<(), ClientError> {
        Trusted::from_root(root, Naming::Any).map_err(|source| ClientError::PinnedRoot {
            name: "the given root".to_owned(),
            source,
        })?;
        MetadataDirectory::new(directory.to_owned(), &Limits::default()).keep_role("root", root)
    }

    /// A client that goes on from what `directory` holds. Targets are looked for under `targets`, where given.
    pub fn open(
        directory: &Path,
        metadata: Url,
        targets: Option<Url>,
        transport: &Transport,
        clock: Clock,
    ) -> Result<Self, ClientError> {
        let limits = Limits::default();
        let directory = MetadataDirectory::new(directory.to_owned(), &limits);
        let metadata = with_slash(metadata);
        let targets = targets.map_or_else(|| metadata.clone(), with_slash);
        let mirror = Mirror::with_bases(metadata, targets, transport, &limits).prepared()?;
        let mirrors = Mirrors::of(vec![mirror], None, clock.clone(), &limits)?;
        let Some(root) = directory.role("root")? else {
            return Err(ClientError::Refused {
                what: format!("`{}`", directory.path().display()),
                reason: "it holds no trusted root; `init` puts one there".to_owned(),
            });
        };
        let walk = Walk {
            mirrors: &mirrors,
            directory: &directory,
            limits: &limits,
            naming: Naming::Any,
            now: now(&clock),
        };
        let trusted = walk.open(&root, "root.json")?;
        Ok(Self {
            mirrors,
            directory,
            limits,
            clock,
            trusted,
        })
    }

    /// Brings the top-level metadata up to date.
    pub async fn refresh(&mut self) -> Result<(), ClientError> {
        let walk = Walk {
            mirrors: &self.mirrors,
            directory: &self.directory,
            limits: &self.limits,
            naming: Naming::Any,
            now: now(&self.clock),
        };
        walk.refresh(&mut self.trusted).await.map(|_refreshed| ())
    }

    /// Downloads a target, unless the very bytes are there already. Gives the file's path.
    pub async fn download(&mut self, name: &str, into: &Path) -> Result<PathBuf, ClientError> {
        let walk = Walk {
            mirrors: &self.mirrors,
            directory: &self.directory,
            limits: &self.limits,
            naming: Naming::Any,
            now: now(&self.clock),
        };
        let found = walk.target(&mut self.trusted, name).await?;
        let target = found.ok_or_else(|| ClientError::NoSuchTarget {
            target: name.to_owned(),
        })?;
        let path = into.join(file_name(name));
        let held = disk::read(&path, target.length)?;
        if held.is_some_and(|bytes| check(&target, &bytes).is_ok()) {
            return Ok(path);
        }
        let consistent = self.trusted.set().root().consistent_snapshot;
        let wanted = Wanted {
            base: Base::Target,
            path: &address(name, consistent.then_some(&target)),
            limit_bytes: target.length.min(self.limits.target_bytes_max),
        };
        let bytes = self
            .mirrors
            .anywhere(wanted, |body| check(&target, body).map(|()| body.clone()))
            .await?;
        disk::replace(&path, &bytes)?;
        Ok(path)
    }
}

/// The clock's time as the TUF crate has it.
pub(crate) fn now(clock: &Clock) -> Timestamp {
    Timestamp::from_second(clock.now()).unwrap_or(Timestamp::MAX)
}

/// Whether bytes are the target's: its length, and every digest we know how to make, of which there must be one.
pub(crate) fn check(target: &TargetFile, bytes: &[u8]) -> Result<(), Refusal> {
    let found = heliostat_pypi::Sha256::of(bytes);
    let refuse = |detail: String| {
        Err(Refusal {
            attack: Attack::Altered,
            detail,
            found: Some(found),
        })
    };
    if bytes.len() as u64 != target.length {
        return refuse(format!(
            "it has {} bytes, {} are signed",
            bytes.len(),
            target.length
        ));
    }
    let mut known = false;
    for (algorithm, signed) in &target.hashes {
        let digest = match algorithm.as_str() {
            "sha256" => found.to_hex(),
            "sha512" => sha512_hex(bytes),
            _ => continue,
        };
        if !digest.eq_ignore_ascii_case(signed) {
            return refuse(format!("its {algorithm} is {digest}, {signed} is signed"));
        }
        known = true;
    }
    if known {
        Ok(())
    } else {
        refuse("no digest that we can make is signed for it".to_owned())
    }
}

/// Whether bytes are those with this digest.
pub(crate) fn check_digest(sha256: heliostat_pypi::Sha256, bytes: &[u8]) -> Result<(), Refusal> {
    let found = heliostat_pypi::Sha256::of(bytes);
    if found == sha256 {
        return Ok(());
    }
    Err(Refusal {
        attack: Attack::Altered,
        detail: format!("its sha256 is {found}, {sha256} is signed"),
        found: Some(found),
    })
}

fn sha512_hex(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    let mut text = String::with_capacity(128);
    for byte in sha2::Sha512::digest(bytes) {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Where a target is below the base, as it stands in addresses: with consistent snapshots its digest comes before the
/// last segment.
fn address(name: &str, consistent: Option<&TargetFile>) -> String {
    let digest = consistent.and_then(|target| {
        let preferred = ["sha256", "sha512"]
            .iter()
            .find_map(|algorithm| target.hashes.get(*algorithm));
        preferred.or_else(|| target.hashes.values().next())
    });
    let (directory, last) = name.rsplit_once('/').unwrap_or(("", name));
    let mut segments: Vec<String> = directory
        .split('/')
        .filter(|_| !directory.is_empty())
        .map(crate::tuf::encoded)
        .collect();
    let last = crate::tuf::encoded(last);
    segments.push(digest.map_or_else(|| last.clone(), |digest| format!("{digest}.{last}")));
    segments.join("/")
}

/// The name of a target's file: the target's own where it is one plain segment, else escaped so that it is one.
fn file_name(name: &str) -> String {
    crate::tuf::encoded(name)
}

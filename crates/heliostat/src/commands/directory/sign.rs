//! `heliostat directory sign`, and what `publish` signs: people answer for who is on the list, the prober's
//! online key for how everybody does.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use heliostat_directory::{Files, registry_documents};
use heliostat_trust::directory::{self, Publication, REGISTRY_PATHS, registry_role, status_role};
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{
    Authority, Expiry, Metadata, RoleName, Root, Signed, TargetFile, Targets, Timestamp, Unsigned,
    Version,
};
use jiff::{SignedDuration, Timestamp as Instant};

use super::{POLICY, files_in, read, read_text};
use crate::cli::{DirectoryPublishArgs, DirectorySignArgs, RegistryArgs};
use crate::commands::UsageError;
use crate::commands::trust::files::metadata as metadata_file;
use crate::commands::trust::{expiry, passphrase};
use crate::outcome::Outcome;
use crate::{files, render, reporter, signing, wire};

/// Where signed metadata is: in the list's own folder what people sign, in the published one all of it.
pub(super) const METADATA: &str = "tuf";
/// What the online key signs holds for so long.
const ONLINE_LIFE: SignedDuration = SignedDuration::from_hours(6);

/// The newest root of the list, and the files of all.
struct Roots {
    newest: Root,
    files: Vec<(String, Vec<u8>)>,
}

pub(super) fn sign(args: &DirectorySignArgs) -> anyhow::Result<Outcome> {
    let folder = args.place.registry.join(METADATA);
    let (documents, count) = documents(&args.place)?;
    if let Some(path) = &args.root {
        take_root(&folder, path)?;
    }
    let roots = roots(&folder)?.ok_or_else(|| {
        UsageError(format!(
            "this list has no root yet; make one with `heliostat trust root draft`, `sign` and `assemble`, and name it \
             once with `--root FILE`, which puts it into `{}`",
            folder.display()
        ))
    })?;
    let key = key(args)?;
    let people = &roots.newest.targets;
    if people.key(key.id()).is_none() {
        return Err(UsageError(format!(
            "`{}` is none of the keys that the list's root lets sign it",
            args.key.display()
        ))
        .into());
    }
    let now = expiry::now()?;
    let expires = expiry::read(&args.expires, now)?;
    let signer = Signatory {
        folder: &folder,
        key: &key,
        people,
        now,
        expires,
        renew: args.renew,
    };
    signer.sign(&RoleName::targets(), |version, expires| {
        directory::targets(&roots.newest, version, expires)
    })?;
    let named = named(&documents);
    let (version, valid, until) = signer.sign(&registry_role(), |version, expires| {
        directory::leaf(registry_role(), version, expires, named.clone())
    })?;
    let missing = (people.threshold() as usize).saturating_sub(valid);
    let state = match missing {
        0 => "it can be published".to_owned(),
        1 => "1 more signature is needed".to_owned(),
        missing => format!("{missing} more signatures are needed"),
    };
    reporter::talk(&format!(
        "version {version} of the list, {}, until {until}: signed by {valid} of {}; {state}",
        render::plural(count, "mirror"),
        people.keys().len(),
    ));
    Ok(Outcome::Done)
}

/// One person who signs.
struct Signatory<'a> {
    folder: &'a Path,
    key: &'a SigningKey,
    people: &'a Authority,
    now: Instant,
    expires: Expiry,
    renew: bool,
}

impl Signatory<'_> {
    /// Adds a signature to what is there where it says what is wanted, else begins the next version. Answers its
    /// version, how many signatures of it hold, and until when it does.
    fn sign(
        &self,
        role: &RoleName,
        wanted: impl Fn(Version, Expiry) -> Targets,
    ) -> anyhow::Result<(Version, usize, Expiry)> {
        let path = self.folder.join(format!("{role}.json"));
        let existing = path
            .exists()
            .then(|| metadata_file::<Targets>(&path))
            .transpose()?;
        let current = existing.as_ref().filter(|signed| {
            let value = &signed.value;
            !self.renew
                && *value == wanted(value.version, value.expires)
                && value.expires.instant() > self.now
        });
        let (value, earlier) = match (current, &existing) {
            (Some(current), _) => (current.value.clone(), Some(current)),
            (None, existing) => {
                let version = existing
                    .as_ref()
                    .map_or(Version::FIRST, |signed| signed.value.version.next());
                (wanted(version, self.expires), None)
            }
        };
        let mut unsigned = value.unsigned();
        for (id, signature) in earlier.iter().flat_map(|signed| &signed.signatures) {
            if let Some(key) = self.people.key(*id) {
                unsigned = unsigned.with_signature(key, signature.clone())?;
            }
        }
        let unsigned = unsigned.sign(self.key);
        files::replace(&path, &unsigned.to_file())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok((value.version, unsigned.signatures().len(), value.expires))
    }
}

/// What people answer for, and how many mirrors that are.
fn documents(place: &RegistryArgs) -> anyhow::Result<(Files, u64)> {
    let (policy, registry) = read(place)?;
    let text = read_text(&place.registry.join(POLICY))?;
    let documents = registry_documents(&registry, &policy, &text)?;
    Ok((documents, registry.mirrors().count() as u64))
}

fn named(files: &Files) -> BTreeMap<String, TargetFile> {
    files
        .iter()
        .map(|(path, bytes)| (path.clone(), TargetFile::of(bytes)))
        .collect()
}

fn key(args: &DirectorySignArgs) -> anyhow::Result<SigningKey> {
    let reading = || format!("the key `{}` cannot be used", args.key.display());
    let text = zeroize::Zeroizing::new(read_text(&args.key)?);
    SigningKey::from_file(&text, || -> anyhow::Result<_> {
        passphrase::existing(&args.passphrase)
    })
    .with_context(reading)
}

/// Puts a root into the list's folder. It must be signed by itself and by the one before.
#[expect(
    clippy::disallowed_methods,
    reason = "a registry is a person's folder under git, not the store's"
)]
fn take_root(folder: &Path, path: &Path) -> anyhow::Result<()> {
    let bytes =
        wire::read_small(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let root = Signed::<Root>::read(&bytes)?;
    let check = |authority: &Authority| authority.check("root", &root.canonical, &root.signatures);
    check(&root.value.root)?;
    if let Some(earlier) = roots(folder)? {
        let newest = &earlier.newest;
        if earlier.files.iter().any(|(_, known)| *known == bytes) {
            return Ok(());
        }
        if root.value.version != newest.version.next() {
            return Err(UsageError(format!(
                "`{}` is version {} of the root, and version {} must follow",
                path.display(),
                root.value.version,
                newest.version.next()
            ))
            .into());
        }
        check(&newest.root)?;
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    let target = folder.join(root.value.file());
    files::replace(&target, &bytes).with_context(|| format!("cannot write `{}`", target.display()))
}

/// Every root of a list; nothing where it has none.
fn roots(folder: &Path) -> anyhow::Result<Option<Roots>> {
    if !folder.exists() {
        return Ok(None);
    }
    let mut found: Vec<(Version, String, Vec<u8>, Root)> = Vec::new();
    for path in files_in(folder, ".root.json")? {
        let bytes =
            wire::read_small(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let root = Signed::<Root>::read(&bytes)
            .with_context(|| format!("`{}` is no root", path.display()))?
            .value;
        found.push((root.version, root.file(), bytes, root));
    }
    found.sort_by_key(|(version, ..)| *version);
    let newest = found.last().map(|(.., root)| root.clone());
    Ok(newest.map(|newest| Roots {
        newest,
        files: found
            .into_iter()
            .map(|(_, name, bytes, _)| (name, bytes))
            .collect(),
    }))
}

/// The newest root of a list or of a published one, where people sign it.
pub(super) fn root_of(list: &Path) -> anyhow::Result<Option<Root>> {
    Ok(roots(&list.join(METADATA))?.map(|roots| roots.newest))
}

/// The newest root of a list, which says which online keys there are.
pub(super) fn newest_root(list: &Path) -> anyhow::Result<Root> {
    root_of(list)?.context("the list has no root, which would say which keys there are")
}

/// Adds all metadata to a publication, and what it names under names with digests, as clients of TUF ask for it. A list
/// that people sign is never published unsigned, nor otherwise than they signed it.
pub(super) fn add_metadata(
    args: &DirectoryPublishArgs,
    at: Instant,
    all: &mut Files,
) -> anyhow::Result<bool> {
    let folder = args.place.registry.join(METADATA);
    let Some(roots) = roots(&folder)? else {
        if args.online_key.is_empty() {
            return Ok(false);
        }
        return Err(UsageError(
            "`--online-key` signs lists whose people signed them first, and this one has no root: begin with \
             `heliostat directory sign --root FILE`"
                .to_owned(),
        )
        .into());
    };
    if args.online_key.is_empty() {
        return Err(UsageError(
            "people sign this list, so clients expect signatures: name the prober's key with `--online-key file:PATH`"
                .to_owned(),
        )
        .into());
    }
    let root = &roots.newest;
    let targets = signed_by_people(&folder, &RoleName::targets(), root, at)?;
    let registry = signed_by_people(&folder, &registry_role(), root, at)?;
    for path in REGISTRY_PATHS {
        let is = all.get(path).map(|bytes| TargetFile::of(bytes));
        if registry.0.targets.get(path) != is.as_ref() {
            return Err(UsageError(format!(
                "`{path}` is not what people signed: the list has changed since; have them run `heliostat directory sign`"
            ))
            .into());
        }
    }
    let publication = Publication {
        targets: targets.0.version,
        registry: registry.0.version,
        at,
        expires: Expiry::after(at, ONLINE_LIFE)?,
    };
    let mut metadata = online(args, root, &publication, all)?;
    metadata.extend(roots.files);
    metadata.push((targets.0.file(), targets.1));
    metadata.push((registry.0.file(), registry.1));
    let named: Vec<(String, Vec<u8>)> = all
        .iter()
        .filter(|(path, _)| is_signed(path))
        .map(|(path, bytes)| (with_digest(path, bytes), bytes.clone()))
        .collect();
    all.extend(named);
    carry_on(&args.published, &publication, all)?;
    for (name, bytes) in metadata {
        all.insert(format!("{METADATA}/{name}"), bytes);
    }
    Ok(true)
}

/// A role of people's, with its file.
fn signed_by_people(
    folder: &Path,
    role: &RoleName,
    root: &Root,
    at: Instant,
) -> anyhow::Result<(Targets, Vec<u8>)> {
    let path = folder.join(format!("{role}.json"));
    let bytes =
        wire::read_small(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let signed = Signed::<Targets>::read(&bytes)?;
    root.targets
        .check(role.as_str(), &signed.canonical, &signed.signatures)?;
    if signed.value.expires.instant() < at {
        return Err(UsageError(format!(
            "`{}` expired on {}; have people run `heliostat directory sign --renew`",
            path.display(),
            signed.value.expires
        ))
        .into());
    }
    Ok((signed.value, bytes))
}

fn is_signed(path: &str) -> bool {
    REGISTRY_PATHS.contains(&path) || is_status(path)
}

/// What the online key answers for.
fn is_status(path: &str) -> bool {
    path == "v1/status.json"
        || ["v1/history/", "v1/evidence/"]
            .iter()
            .any(|folder| path.starts_with(folder))
}

/// `v1/<sha256>.mirrors.json`, as consistent snapshots have it.
fn with_digest(path: &str, bytes: &[u8]) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{folder}/{}.{name}", TargetFile::of(bytes).sha256.to_hex())
}

/// What the online key signs: the status, the snapshot and the timestamp.
fn online(
    args: &DirectoryPublishArgs,
    root: &Root,
    publication: &Publication,
    all: &Files,
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let signers = signing::signers_under(
        &args.online_key,
        args.online_passphrase_file.as_deref(),
        root,
    )?;
    let signed =
        |role: &str, authority: &Authority, mut unsigned: Unsigned| -> anyhow::Result<Vec<u8>> {
            for signer in &signers {
                let signature = signer.sign(unsigned.to_sign())?;
                unsigned = unsigned.with_signature(signer.public(), signature)?;
            }
            authority.check(role, unsigned.to_sign(), unsigned.signatures())?;
            Ok(unsigned.to_file())
        };
    let named = all
        .iter()
        .filter(|(path, _)| is_status(path))
        .map(|(path, bytes)| (path.clone(), TargetFile::of(bytes)))
        .collect();
    let status = directory::leaf(
        status_role(),
        publication.version()?,
        publication.expires,
        named,
    );
    let snapshot = publication.snapshot()?;
    let snapshot_file = signed("snapshot", &root.snapshot, snapshot.unsigned())?;
    let timestamp = publication.timestamp(&snapshot_file)?;
    Ok(vec![
        (
            status.file(),
            signed(status_role().as_str(), &root.snapshot, status.unsigned())?,
        ),
        (format!("{}.snapshot.json", snapshot.version), snapshot_file),
        (
            "timestamp.json".to_owned(),
            signed("timestamp", &root.timestamp, timestamp.unsigned())?,
        ),
    ])
}

/// Keeps what the publication before named, so that a client that is in the middle of it can end; never goes back
/// before it, which clients would refuse.
fn carry_on(published: &Path, publication: &Publication, all: &mut Files) -> anyhow::Result<()> {
    let folder = published.join(METADATA);
    let timestamp = folder.join("timestamp.json");
    if !timestamp.exists() {
        return Ok(());
    }
    let earlier = metadata_file::<Timestamp>(&timestamp)?.value.version;
    if earlier > publication.version()? {
        return Err(UsageError(format!(
            "`{}` is of a later time than `--at`; clients would take an older list for an attack",
            published.display()
        ))
        .into());
    }
    for name in [
        format!("{earlier}.snapshot.json"),
        status_role().file(earlier),
    ] {
        if let Ok(bytes) = wire::read_small(&folder.join(&name)) {
            all.insert(format!("{METADATA}/{name}"), bytes);
        }
    }
    let status = published.join("v1/status.json");
    if let Ok(text) = read_text(&status) {
        let bytes = text.into_bytes();
        all.insert(with_digest("v1/status.json", &bytes), bytes);
    }
    Ok(())
}

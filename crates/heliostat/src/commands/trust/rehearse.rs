//! `heliostat trust rehearse`: the whole ceremony with real files in a temporary directory, a stolen online key, a
//! stolen person's key, and the recovery from both, checked as clients check.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use heliostat_trust::bins::BinCount;
use heliostat_trust::ceremony::Lives;
use heliostat_trust::check::{Check, Limits, Report};
use heliostat_trust::keys::{Passphrase, ScryptCost, SigningKey};
use heliostat_trust::metadata::{
    Coverage, Expiry, Extent, Metadata, Pin, RoleName, Snapshot, TargetFile, Targets, Timestamp,
    Version,
};

use tokio_util::sync::CancellationToken;

use super::files::{self, Readers};
use super::{ceremony, expiry, keys};
use crate::cli::{PassphraseArgs, RootDraftArgs, SignArgs};
use crate::outcome::Outcome;
use crate::reporter;

/// Files below `tuf/`.
type Files = BTreeMap<String, Vec<u8>>;

/// Ends with 1 where it is told to stop; either way nothing is left of it.
pub(super) fn run(cancel: &CancellationToken) -> anyhow::Result<Outcome> {
    let seed = SigningKey::generate()?.id().short();
    let directory = std::env::temp_dir().join(format!("heliostat-rehearsal-{seed}"));
    files::directory(&directory)?;
    let rehearsal = Rehearsal::new(directory.clone(), cancel.clone());
    let result = rehearsal.and_then(|rehearsal| rehearsal.run());
    clear(&directory)?;
    match result {
        Err(_) if cancel.is_cancelled() => Ok(Outcome::Findings),
        result => result.map(|()| Outcome::Done),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rehearsal's own temporary directory"
)]
fn clear(directory: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(directory)
        .with_context(|| format!("cannot remove `{}`", directory.display()))
}

struct Rehearsal {
    directory: PathBuf,
    passphrase: PassphraseArgs,
    started: Instant,
    now: jiff::Timestamp,
    cancel: CancellationToken,
}

impl Rehearsal {
    fn new(directory: PathBuf, cancel: CancellationToken) -> anyhow::Result<Self> {
        let file = directory.join("passphrase");
        files::write_new(&file, b"only a rehearsal\n", Readers::Owner)?;
        Ok(Self {
            directory,
            passphrase: PassphraseArgs {
                passphrase_file: Some(file),
            },
            started: Instant::now(),
            now: expiry::now()?,
            cancel,
        })
    }

    fn run(&self) -> anyhow::Result<()> {
        for name in ["alice", "bob", "carol", "dave"] {
            self.key(name)?;
        }
        let online = self.key("online")?;
        self.told("four people and a machine have keys, protected by passphrases")?;

        self.root(1, &["alice", "bob", "carol"], "online", &["alice", "bob"])?;
        self.delegations(1, &["alice", "carol"])?;
        let honest = self.publish(1, &online, "requests")?;
        ensure!(
            self.check(&honest)?.is_fine(),
            "the first tree does not verify"
        );
        self.told(
            "2 of 3 signed root, targets and bins; the machine signed the tree; it verifies",
        )?;

        let stolen = self.publish(2, &online, "evil")?;
        ensure!(
            self.check(&stolen)?.is_fine(),
            "the thief's tree should still verify"
        );
        self.told("the online key is stolen: until people act, what the thief signs verifies too")?;

        let fresh = self.key("online2")?;
        self.root(2, &["alice", "bob", "carol"], "online2", &["bob", "carol"])?;
        self.delegations(2, &["alice", "bob"])?;
        let recovered = self.publish(3, &fresh, "requests")?;
        ensure!(
            self.check(&recovered)?.is_fine(),
            "the recovered tree does not verify"
        );
        let mut mixed = recovered.clone();
        mixed.extend(
            stolen
                .into_iter()
                .filter(|(name, _)| !name.contains("root")),
        );
        ensure!(!self.check(&mixed)?.is_fine(), "the stolen key still signs");
        self.told("people gave the role to a new key: the tree verifies, the thief's does not")?;

        let alone = self.root(3, &["carol", "dave"], "online2", &["carol", "dave"]);
        ensure!(alone.is_err(), "one person's key was enough");
        self.told("carol's key is stolen: alone it cannot make a root")?;
        self.forget(3)?;

        self.root(3, &["alice", "bob", "dave"], "online2", &["alice", "bob"])?;
        self.delegations(3, &["alice", "dave"])?;
        let last = self.publish(4, &fresh, "requests")?;
        ensure!(
            self.check(&last)?.is_fine(),
            "the last tree does not verify"
        );
        self.told("dave has carol's place; whoever knew the first root verifies the tree")?;
        Ok(())
    }

    /// Tells what has been shown; an error where nobody wants to see more.
    fn told(&self, what: &str) -> anyhow::Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        reporter::print(&format!("{seconds:5.1} s  {what}\n"));
        ensure!(!self.cancel.is_cancelled(), "told to stop");
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn key(&self, name: &str) -> anyhow::Result<SigningKey> {
        let key = SigningKey::generate()?.with_label(name)?;
        let passphrase = Passphrase::new("only a rehearsal".to_owned())?;
        let private = key.to_protected_file(&passphrase, ScryptCost::Rehearsal)?;
        let path = self.path(&format!("{name}.key"));
        keys::write(&key, &path, private.as_bytes())?;
        Ok(key)
    }

    fn root(&self, number: u32, people: &[&str], online: &str, by: &[&str]) -> anyhow::Result<()> {
        let public = |name: &&str| self.path(&format!("{name}.pub"));
        let previous = (number > 1).then(|| self.path(&format!("{}.root.json", number - 1)));
        let draft = self.path(&format!("{number}.root.draft"));
        ceremony::draft_root(&RootDraftArgs {
            signers: people.iter().map(public).collect(),
            threshold: 2,
            online: vec![public(&online)],
            previous: previous.clone(),
            expires: "365d".to_owned(),
            output: draft.clone(),
        })?;
        let signatures = self.sign(&draft, by)?;
        let output = self.path(&format!("{number}.root.json"));
        ceremony::assemble_root(&draft, &signatures, previous.as_deref(), &output)?;
        Ok(())
    }

    /// Forgets an attempt at a root, so that its files may be written again.
    #[expect(
        clippy::disallowed_methods,
        reason = "the rehearsal's own temporary directory"
    )]
    fn forget(&self, number: u32) -> anyhow::Result<()> {
        let draft = self.path(&format!("{number}.root.draft"));
        std::fs::remove_file(&draft)?;
        for name in ["alice", "bob", "carol", "dave"] {
            let signature = signature_path(&draft, name);
            if signature.exists() {
                std::fs::remove_file(signature)?;
            }
        }
        Ok(())
    }

    fn delegations(&self, number: u32, by: &[&str]) -> anyhow::Result<()> {
        let draft = self.path(&format!("{number}.delegate.draft"));
        let root = self.path(&format!("{number}.root.json"));
        let before = number.saturating_sub(1);
        let previous = ["targets", "bins"].map(|role| self.path(&format!("{before}.{role}.json")));
        let wish = ceremony::DelegationWish {
            root: &root,
            projects: 1_000,
            previous: if number > 1 { &previous } else { &[] },
            expires: "365d",
            trusted_root: None,
        };
        ceremony::draft_delegations(&wish, &draft)?;
        let signatures = self.sign(&draft, by)?;
        ceremony::assemble_delegations(&draft, &signatures, &root, &self.directory)?;
        Ok(())
    }

    fn sign(&self, draft: &Path, by: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
        by.iter()
            .map(|name| {
                let output = signature_path(draft, name);
                ceremony::sign(&SignArgs {
                    draft: draft.to_owned(),
                    key: self.path(&format!("{name}.key")),
                    output: output.clone(),
                    passphrase: self.passphrase.clone(),
                })?;
                Ok(output)
            })
            .collect()
    }

    /// What the machine signs: bins with one project, a snapshot, a timestamp, beside what people signed so far.
    fn publish(&self, version: u64, online: &SigningKey, project: &str) -> anyhow::Result<Files> {
        let version = Version::new(version).context("from 1")?;
        let lives = Lives::default();
        let count = BinCount::for_projects(1_000);
        let path = format!("simple/{project}/index.v1_json");
        let mut files = Files::new();
        let mut roles = BTreeMap::new();
        for bin in count.bins() {
            let mut targets = BTreeMap::new();
            if count.bin_of(&path) == bin {
                targets.insert(path.clone(), TargetFile::of(project.as_bytes()));
            }
            let value = Targets {
                role: bin.role(),
                version,
                expires: Expiry::after(self.now, lives.bin)?,
                targets,
                delegations: Vec::new(),
            };
            files.insert(value.file(), value.unsigned().sign(online).to_file());
            roles.insert(bin.role(), Pin::version(version));
        }
        for number in 1..10 {
            for role in ["root", "targets", "bins"] {
                let name = format!("{number}.{role}.json");
                let path = self.path(&name);
                if path.exists() {
                    files.insert(name, files::text(&path)?.into_bytes());
                    if let (Ok(role), Some(version)) =
                        (role.parse::<RoleName>(), Version::new(number))
                    {
                        roles.insert(role, Pin::version(version));
                    }
                }
            }
        }
        let snapshot = Snapshot {
            version,
            expires: Expiry::after(self.now, lives.snapshot)?,
            roles,
            coverage: Some(Coverage {
                extent: Extent::Complete,
                upstream: "https://index.example/simple/".to_owned(),
                serial: None,
            }),
        };
        let file = snapshot.unsigned().sign(online).to_file();
        let timestamp = Timestamp {
            version,
            expires: Expiry::after(self.now, lives.timestamp)?,
            snapshot: Pin::exact(version, &file),
            signed_at: Some(self.now),
        };
        files.insert(format!("{version}.snapshot.json"), file);
        let file = timestamp.unsigned().sign(online).to_file();
        files.insert("timestamp.json".to_owned(), file);
        Ok(files)
    }

    /// As somebody sees it who has the first root.
    fn check(&self, files: &Files) -> anyhow::Result<Report> {
        let root = files.get("1.root.json").context("the first root")?;
        let mut check = Check::begin(root, self.now, Limits::default())?;
        while let Some(wanted) = check.wanted() {
            check.take(files.get(&wanted.file).map(Vec::as_slice));
        }
        Ok(check.finish())
    }
}

fn signature_path(draft: &Path, name: &str) -> PathBuf {
    let mut path = draft.as_os_str().to_owned();
    let mut ending = String::new();
    let _infallible = write!(ending, ".{name}.sig");
    path.push(ending);
    path.into()
}

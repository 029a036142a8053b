//! `heliostat attest …`; and `attest verify` itself: who published a file, proved without any network.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_pypi::Sha256;
use heliostat_trust::attest::{Attested, Subject};
use sha2::Digest as _;

use super::{UsageError, attest_memory};
use crate::cli::{AttestCommand, AttestVerifyArgs};
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

pub(super) fn run(command: &AttestCommand) -> anyhow::Result<Outcome> {
    match command {
        AttestCommand::Verify(args) => verify(args),
        AttestCommand::Record(args) => attest_memory::record(args),
        AttestCommand::Check(args) => attest_memory::check(args),
    }
}

fn verify(args: &AttestVerifyArgs) -> anyhow::Result<Outcome> {
    if args.provenance.is_some() && args.files.len() > 1 {
        return Err(UsageError("`--provenance` goes with one FILE".to_owned()).into());
    }
    let verifier = match (&args.tree, &args.root) {
        (Some(tree), Some(root)) => wire::verifier_of_tree(tree, root)?,
        _ => wire::verifier(args.trusted_root.as_deref())?,
    };
    let mut outcome = Outcome::Done;
    for path in &args.files {
        let beside = args.provenance.clone().unwrap_or_else(|| beside(path));
        let provenance = read("--provenance", &beside)?;
        let sha256 = sha256(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let filename = path.file_name().unwrap_or_default().to_string_lossy();
        let subject = Subject {
            filename: &filename,
            sha256,
        };
        match verifier.verify(&subject, &provenance) {
            Ok(proved) => proved.iter().for_each(|one| tell(path, one, args.json)),
            Err(error) => {
                outcome = Outcome::Distrusted;
                if args.json {
                    reporter::json_line(&serde_json::json!({
                        "event": "refused", "file": path.display().to_string(), "check": error.check(),
                        "reason": error.to_string(),
                    }));
                } else {
                    reporter::print(&format!("{}: REFUSED: {error}\n", path.display()));
                }
            }
        }
    }
    Ok(outcome)
}

fn tell(path: &Path, proved: &Attested, json: bool) {
    if json {
        reporter::json_line(&serde_json::json!({
            "event": "attested", "file": path.display().to_string(), "attested": proved,
        }));
        return;
    }
    let commit = proved
        .commit
        .as_ref()
        .map(|commit| format!(", commit {commit}"));
    let logged = proved
        .logged_at
        .map(|at| format!(", logged {}", render::moment(at)));
    reporter::print(&format!(
        "{}: {} by {}{}{}\n",
        path.display(),
        proved.predicate,
        proved.publisher,
        commit.unwrap_or_default(),
        logged.unwrap_or_default(),
    ));
}

/// `FILE.provenance`
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".provenance");
    name.into()
}

fn read(option: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    wire::read_small(path).with_context(|| format!("cannot read `{}` (`{option}`)", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file that was named on the command line, too large to be held"
)]
fn sha256(path: &Path) -> std::io::Result<Sha256> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(Sha256::from_bytes(hasher.finalize().into()));
        }
        hasher.update(&buffer[..count]);
    }
}

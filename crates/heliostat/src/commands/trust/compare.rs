//! `heliostat trust compare`: whether the notary's key says one thing to everybody. Needs no data directory, and writes
//! nothing but the proof where it does not.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_client::{Comparison, Conflict, Limits, Source, compare};
use heliostat_pypi::Sha256;

use super::files;
use crate::cli::{TreePlace, TrustCompareArgs};
use crate::commands::UsageError;
use crate::outcome::Outcome;
use crate::{reporter, wire};

pub(super) fn run(args: &TrustCompareArgs) -> anyhow::Result<Outcome> {
    let root = wire::read_small(&args.root)
        .with_context(|| format!("cannot read `--root` `{}`", args.root.display()))?;
    let sources = args.places.iter().map(source);
    let sources = sources.collect::<Result<Vec<Source>, UsageError>>()?;
    let transport = wire::transport(args.cacert.as_deref(), args.proxy.as_ref())?;
    let runtime = wire::runtime()?;
    let compared = runtime.block_on(compare(&root, &sources, &transport, &Limits::default()));
    wire::end(runtime);
    let compared = compared?;
    tell(&compared, args.json);
    for conflict in &compared.conflicts {
        let proof = keep(conflict, &args.proof)?;
        tell_conflict(conflict, &proof, args.json);
    }
    reporter::talk(&format!(
        "{} bins of one version were compared as well; {} contradictions",
        compared.bins,
        compared.conflicts.len()
    ));
    Ok(if compared.conflicts.is_empty() {
        Outcome::Done
    } else {
        Outcome::Distrusted
    })
}

fn source(place: &TreePlace) -> Result<Source, UsageError> {
    match place {
        TreePlace::Mirror(url) => Ok(Source::Mirror(url.clone())),
        TreePlace::Directory(path) if path.join("tuf").is_dir() => {
            Ok(Source::Directory(path.clone()))
        }
        TreePlace::Directory(path) => Err(UsageError(format!(
            "`{}` has no `tuf/`: give a tree, or the state of a proxy (`DATA/proxy`)",
            path.display()
        ))),
    }
}

fn tell(compared: &Comparison, json: bool) {
    for view in &compared.views {
        if json {
            reporter::json_line(view);
        } else {
            reporter::print(&format!(
                "{}: root {}, timestamp {}, snapshot {}\n",
                view.source, view.root, view.timestamp, view.snapshot
            ));
        }
    }
}

/// Writes the documents of a contradiction down, each once.
fn keep(conflict: &Conflict, directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    files::directory(directory)?;
    let mut paths = Vec::new();
    for document in &conflict.documents {
        let digest = Sha256::of(&document.bytes).to_hex();
        let name = format!(
            "{}.{}.{}.json",
            document.version,
            document.role,
            &digest[..12]
        );
        let path = directory.join(name);
        crate::files::replace(&path, &document.bytes)
            .with_context(|| format!("cannot write `{}` (`--proof`)", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

fn tell_conflict(conflict: &Conflict, proof: &[PathBuf], json: bool) {
    let documents = conflict.documents.iter().zip(proof);
    if json {
        let documents: Vec<_> = documents
            .map(|(document, path)| {
                serde_json::json!({
                    "source": document.source, "role": document.role, "version": document.version,
                    "proof": path.display().to_string(),
                })
            })
            .collect();
        reporter::json_line(&serde_json::json!({
            "event": "equivocation", "what": conflict.what, "documents": documents,
        }));
        return;
    }
    reporter::print(&format!("EQUIVOCATION: {}\n", conflict.what));
    for (document, path) in documents {
        reporter::print(&format!("    {}: {}\n", document.source, path.display()));
    }
}

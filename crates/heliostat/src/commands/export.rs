//! `heliostat export`: plans a manifest, packs what it says, and names the file when it is whole.
#![expect(
    clippy::disallowed_methods,
    reason = "the bundle is a file that an option names, outside of the data directory; this is the edge"
)]

use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_engine::Events;
use heliostat_engine::bundle::{ExportPlan, ExportRequest, pack, plan};
use heliostat_pypi::bundle::Coverage;
use heliostat_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{UsageError, selection, signals};
use crate::cli::{CommonArgs, ExportArgs};
use crate::outcome::Outcome;
use crate::render::{self, plural};
use crate::reporter::{self, Output};
use crate::wire;

/// Names tried for a file that is on its way.
const NAMES_MAX: u32 = 1_000;

/// A file of our own beside the bundle that goes unless it was named.
#[derive(Debug)]
struct Partial(PathBuf);

pub(super) fn run(common: &CommonArgs, args: &ExportArgs) -> anyhow::Result<Outcome> {
    let data = wire::data_directory(common);
    if !data.exists() {
        return Err(UsageError(format!(
            "there is no mirror at `{}`; name one with `--data`",
            data.display()
        ))
        .into());
    }
    let chosen = selection::once(&args.projects, &args.requirement, &args.constraint)?;
    for note in &chosen.notes {
        reporter::talk(note);
    }
    let files = (args.requirement.iter())
        .chain(&args.constraint)
        .map(|path| path.display().to_string());
    let request = ExportRequest {
        selection: chosen.selection,
        constraints: chosen.constraints,
        words: args.projects.iter().cloned().chain(files).collect(),
        now: wire::clock().now(),
    };
    let output = if args.json {
        Output::JsonLines
    } else {
        Output::Text
    };
    let events = reporter::events(output);
    let store = wire::open_store(common, &events)?;
    // So that a sync does not take away what was planned.
    let lock = match store.lock_sync("heliostat export", request.now) {
        Ok(lock) => Some(lock),
        // What was signed stays as it is while others go on.
        Err(StoreError::LockHeld { .. }) if store.notary()?.is_some() => {
            reporter::talk("a sync runs; what was signed before it is exported");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let args = args.clone();
    signals::run_blocking(move |cancel| {
        let plan = write(&store, &args, &request, (&events, cancel))?;
        drop(lock);
        match output {
            Output::JsonLines => {
                reporter::json_line(&serde_json::json!({ "event": "done", "report": plan }));
            }
            Output::Text => reporter::print(&summary(&plan, &args)),
        }
        Ok(if plan.behind == 0 && plan.unsigned == 0 {
            Outcome::Done
        } else {
            Outcome::Findings
        })
    })
}

fn write(
    store: &Store,
    args: &ExportArgs,
    request: &ExportRequest,
    tools: (&Events, &CancellationToken),
) -> anyhow::Result<ExportPlan> {
    let since = args.since.as_deref();
    if let Some(path) = since.filter(|path| !path.is_file()) {
        return Err(UsageError(format!("there is no file `{}`", path.display())).into());
    }
    if let Some(path) = since {
        refuse_to_overwrite(path, &args.output)?;
    }
    let open_since = move || open(since.unwrap_or(Path::new("")));
    let (manifest, out) = Partial::beside(&args.output, "manifest")?;
    let plan = plan(
        store,
        request,
        since.map(|_| &open_since as heliostat_engine::bundle::Open<'_>),
        BufWriter::new(out),
        tools,
    )?;
    if args.manifest_only {
        manifest.name(&args.output)?;
        return Ok(plan);
    }
    let open_manifest = || open(&manifest.0);
    let (bundle, out) = Partial::beside(&args.output, "partial")?;
    let out = BufWriter::new(out);
    let out = pack(store, &plan, &open_manifest, out, tools)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error);
    drop(file.with_context(|| format!("cannot write `{}`", bundle.0.display()))?);
    bundle.name(&args.output)?;
    Ok(plan)
}

/// What is written takes the place of what was there, and a bundle that others build on may be the only copy.
fn refuse_to_overwrite(since: &Path, output: &Path) -> Result<(), UsageError> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    if identity(output) == identity(since) {
        return Err(UsageError(format!(
            "`{}` would be overwritten, and `--since` builds on it; give another `--output`",
            output.display()
        )));
    }
    Ok(())
}

/// Opens a file that an option names.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(Box::new(File::open(path)?))
}

impl Partial {
    /// Makes a file under a name that nobody has: not that of another export to the same place, nor somebody's file.
    fn beside(output: &Path, suffix: &str) -> anyhow::Result<(Self, File)> {
        let process = std::process::id();
        for number in 0..NAMES_MAX {
            let mut name = output.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{process}-{number}.{suffix}"));
            let path = output.with_file_name(name);
            match File::create_new(&path) {
                Ok(file) => return Ok((Self(path), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot write `{}`", path.display()));
                }
            }
        }
        anyhow::bail!("every name beside `{}` is taken", output.display())
    }

    /// Makes the file durable and gives it its name, over an older one.
    fn name(self, output: &Path) -> anyhow::Result<()> {
        let named = File::open(&self.0)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.0, output));
        named.with_context(|| format!("cannot write `{}`", output.display()))?;
        let directory = match output.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        // Some file systems cannot sync a directory; the file itself is safe.
        drop(File::open(directory).and_then(|directory| directory.sync_all()));
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already when it was named.
        drop(fs::remove_file(&self.0));
    }
}

fn summary(plan: &ExportPlan, args: &ExportArgs) -> String {
    let end = &plan.end;
    let mut lines = vec![format!(
        "wrote `{}`: {}, {} ({}){}",
        args.output.display(),
        plural(end.projects, "project"),
        if args.manifest_only {
            plural(end.entries, "held file")
        } else {
            plural(end.entries, "file")
        },
        render::bytes(end.size_bytes),
        match plan.coverage {
            Coverage::Complete => ", everything the upstream has",
            Coverage::Selection => "",
        }
    )];
    if let Some(serial) = plan.serial {
        lines.push(format!("serial {serial}"));
    }
    if let Some(since) = &plan.since {
        lines.push(format!(
            "builds on the state of {}: {} left out, {} removed since",
            since.made_at,
            plural(end.in_base, "file"),
            plural(end.removed, "project")
        ));
    }
    if let Some(signed) = &plan.signed {
        lines.push(format!(
            "carries the signed state, which names {}",
            plural(signed.pages, "page")
        ));
    }
    if plan.unsigned > 0 {
        lines.push(format!(
            "{} left out that are not signed yet: `heliostat sync` and `heliostat serve` sign them; see `heliostat trust \
             status`",
            plural(plan.unsigned, "project")
        ));
    }
    if plan.left_out > 0 {
        lines.push(format!(
            "{} left out, of which only pages, what was asked for, or no version that is allowed is held",
            plural(plan.left_out, "project")
        ));
    }
    if plan.behind > 0 {
        lines.push(format!(
            "the mirror is behind with {}, so that this is not everything, and the serial is one from before; see \
             `heliostat status`",
            plural(plan.behind, "project")
        ));
    }
    lines.push(format!("manifest {}", plan.manifest));
    lines.join("\n") + "\n"
}

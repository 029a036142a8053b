//! `heliostat attack-lab`: evil mirrors, the proxy, real installers; the board on stdout, exit code 1 where an attack
//! was not defeated.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use heliostat_attack::{Attack, Installer, InstallerKind, Lab, Programs, Row, board};

use super::UsageError;
use crate::cli::AttackLabArgs;
use crate::outcome::Outcome;
use crate::reporter;

/// Attacks for each processor.
const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

pub(super) fn run(args: &AttackLabArgs) -> anyhow::Result<Outcome> {
    let attacks = chosen(args)?;
    if attacks.is_empty() {
        for attack in heliostat_attack::all() {
            reporter::print(&format!(
                "{:<32} {}: {}\n",
                attack.name, attack.family, attack.what
            ));
        }
        reporter::talk("nothing was run: give names of attacks, or `--all`");
        return Ok(Outcome::Done);
    }
    let programs = Programs {
        heliostat: std::env::current_exe().context("cannot tell where this program lies")?,
        installers: installers(args)?,
    };
    let directory = TemporaryDirectory::make()?;
    let lab = Lab::open(programs, &directory.0)?;
    let jobs = args.jobs.unwrap_or_else(|| {
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        processors.saturating_mul(TWO)
    });
    let rows = lab.run_all(&attacks, jobs, |row| tell(row, args))?;
    if args.markdown {
        reporter::print(&board::markdown(&rows));
    }
    let lost = rows.iter().filter(|row| !row.is_defeated()).count();
    reporter::talk(&format!(
        "{} rounds of {} attacks; {lost} not met",
        rows.len(),
        attacks.len()
    ));
    Ok(if lost == 0 {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn tell(row: &Row, args: &AttackLabArgs) {
    if args.json {
        reporter::json_line(&row.entry());
    } else if args.markdown {
        reporter::talk(board::line(row).trim_end());
    } else {
        reporter::print(&board::line(row));
    }
    if !row.is_defeated() {
        for (company, round) in [
            ("alone", &row.alone),
            ("with an honest mirror", &row.with_honest),
        ] {
            reporter::talk(&format!("── {company} ──\n{}", round.said));
        }
    }
}

fn chosen(args: &AttackLabArgs) -> anyhow::Result<Vec<Attack>> {
    let all = heliostat_attack::all();
    if args.all {
        return Ok(all);
    }
    args.attacks
        .iter()
        .map(|name| {
            let found = all.iter().find(|attack| attack.name == name);
            found.copied().ok_or_else(|| {
                UsageError(format!(
                    "there is no attack `{name}`; `heliostat attack-lab` alone lists them"
                ))
                .into()
            })
        })
        .collect()
}

/// The installers that are here.
fn installers(args: &AttackLabArgs) -> anyhow::Result<Vec<Installer>> {
    let candidates = [
        (
            InstallerKind::Pip,
            &args.pip,
            &["-m", "pip", "--version"][..],
        ),
        (InstallerKind::Uv, &args.uv, &["--version"][..]),
    ];
    let mut installers = Vec::new();
    for (kind, program, probe) in candidates {
        if answers(program, probe) {
            // Some rounds run it elsewhere. A name alone is looked for in PATH.
            let is_name = program.components().count() == 1;
            let program = match std::path::absolute(program) {
                Ok(absolute) if !is_name => absolute,
                _ => program.clone(),
            };
            installers.push(Installer { kind, program });
        } else {
            reporter::talk(&format!(
                "`{}` is left out: `{}` does not answer",
                kind.name(),
                program.display()
            ));
        }
    }
    if installers.is_empty() {
        let reason = "no installer is here: give `--pip PYTHON` or `--uv PROGRAM`";
        return Err(UsageError(reason.to_owned()).into());
    }
    Ok(installers)
}

fn answers(program: &Path, probe: &[&str]) -> bool {
    Command::new(program)
        .args(probe)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A directory that goes when it is dropped.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn make() -> anyhow::Result<Self> {
        let name = format!("heliostat-attack-lab-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDirectory {
    #[expect(
        clippy::disallowed_methods,
        reason = "the attacks' own temporary directory, made and removed at the edge"
    )]
    fn drop(&mut self) {
        let _left_lying = std::fs::remove_dir_all(&self.0);
    }
}

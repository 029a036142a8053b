//! Runs attacks: evil mirrors, the real proxy, real installers, one round after the other. Judging what came of a
//! round is a function of what was seen.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::attacks::{Alone, Attack, Before, WithHonest};
use crate::error::AttackError;
use crate::process::{Finished, Installer, InstallerKind, Programs, Proxy};
use crate::script::Script;
use crate::server::Mirror;
use crate::upstream::TRUE_WORD;
use crate::world::World;

/// What is asked for in every round.
const REQUIREMENT: &str = "victim";

/// An attack may make an installer wait so long before it is told no, or served by another mirror.
const WAIT_MAX: Duration = Duration::from_secs(45);

/// Bytes that a mirror may get rid of for one installation, whatever it sends: the limits on metadata, and room.
const BYTES_MAX: u64 = 32 << 20;

/// The laboratory: the notary's trees, the programs, a place for everything that is written.
#[derive(Debug)]
pub struct Lab {
    world: World,
    programs: Programs,
    directory: PathBuf,
}

/// One attack against one installer.
#[derive(Debug, Clone)]
pub struct Row {
    /// The attack.
    pub attack: Attack,
    /// Who installed.
    pub installer: InstallerKind,
    /// What came of it with the evil mirror alone.
    pub alone: Round,
    /// And with one honest mirror beside it.
    pub with_honest: Round,
}

/// What came of one round.
#[derive(Debug, Clone)]
pub struct Round {
    /// What is on the disk afterwards.
    pub installed: Installed,
    /// How long the installer took.
    pub elapsed: Duration,
    /// What the evil mirror got rid of.
    pub evil_bytes: u64,
    /// What the installer and the proxy wrote.
    pub said: String,
    /// What is wrong with it; empty for a round that is as it should be.
    pub faults: Vec<String>,
}

/// What an installation left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// Nothing at all, and the installer said so with its exit code.
    Nothing,
    /// The newest, byte for byte.
    Newest,
    /// The older state's, byte for byte.
    Old,
    /// Anything else: bytes that were never signed, or files beside a failure.
    Wrong,
}

impl Lab {
    /// Makes the notary and its trees below `directory`, which must be empty and is not removed.
    pub fn open(programs: Programs, directory: &Path) -> Result<Self, AttackError> {
        let world = World::make(&programs.heliostat, directory)?;
        Ok(Self {
            world,
            programs,
            directory: directory.to_owned(),
        })
    }

    /// Runs one attack against one installer.
    fn run(&self, attack: &Attack, installer: &Installer) -> Result<Row, AttackError> {
        let mut alone = self.round(attack, installer, Company::Alone)?;
        alone.faults = judge_alone(attack, &alone);
        let mut with_honest = self.round(attack, installer, Company::WithHonest)?;
        with_honest.faults = judge_with_honest(attack, &with_honest);
        Ok(Row {
            attack: *attack,
            installer: installer.kind,
            alone,
            with_honest,
        })
    }

    /// Runs every attack against every installer, so many at a time, and tells each row as it is there. The rows come
    /// back in the order of the attacks. Stops at the first that could not be run.
    pub fn run_all(
        &self,
        attacks: &[Attack],
        jobs: NonZeroUsize,
        tell: impl Fn(&Row) + Sync,
    ) -> Result<Vec<Row>, AttackError> {
        let work: Vec<(&Attack, &Installer)> = attacks
            .iter()
            .flat_map(|attack| {
                self.programs
                    .installers
                    .iter()
                    .map(move |one| (attack, one))
            })
            .collect();
        let next = AtomicUsize::new(0);
        let rows: Mutex<Vec<Option<Result<Row, AttackError>>>> =
            Mutex::new(work.iter().map(|_| None).collect());
        std::thread::scope(|scope| {
            for _ in 0..jobs.get().min(work.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some((attack, installer)) = work.get(at) else {
                            return;
                        };
                        let row = self.run(attack, installer);
                        match &row {
                            Ok(row) => tell(row),
                            Err(_) => next.store(work.len(), Ordering::Relaxed),
                        }
                        rows.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(row);
                    }
                });
            }
        });
        let rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.into_iter().flatten().collect()
    }

    fn round(
        &self,
        attack: &Attack,
        installer: &Installer,
        company: Company,
    ) -> Result<Round, AttackError> {
        let place = self.directory.join(format!(
            "{}-{}-{}",
            attack.name,
            installer.kind.name(),
            company.name()
        ));
        make_directory(&place)?;
        let evil_script = (attack.evil)(&self.world)?;
        let evil = Mirror::start(self.world.honest())?;
        let honest = match company {
            Company::Alone => None,
            Company::WithHonest => Some(Mirror::start(self.world.honest())?),
        };
        let mut arguments: Vec<OsString> = ["--data".into(), place.join("client").into()].into();
        arguments.extend(["--root".into(), self.world.root_file.clone().into()]);
        for mirror in [Some(&evil), honest.as_ref()].into_iter().flatten() {
            arguments.extend(["--mirror".into(), mirror.url().into()]);
        }
        let session = Session {
            lab: self,
            installer,
            arguments,
            place: &place,
        };
        let proxy = session.prepare(attack.before, &evil, evil_script)?;
        let sent_before = evil.sent_bytes();
        let target = place.join("target");
        let mut proxy = proxy;
        let index = format!("{}/simple/", proxy.url);
        let finished = installer.install(&index, REQUIREMENT, &target)?;
        let evil_bytes = evil.sent_bytes() - sent_before;
        let mut said = finished.said.clone();
        said.push_str(&proxy.stop());
        let mut round = Round {
            installed: installed(&target, &finished),
            elapsed: finished.elapsed,
            evil_bytes,
            said,
            faults: Vec::new(),
        };
        // The port says nothing to whoever reads the board later.
        round.said = round.said.replace(&evil.authority(), "EVIL-MIRROR");
        fs::remove_dir_all(&place).map_err(|source| AttackError::Write {
            path: place.clone(),
            source,
        })?;
        Ok(round)
    }
}

/// Whether the evil mirror is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    Alone,
    WithHonest,
}

impl Company {
    const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::WithHonest => "with-honest",
        }
    }
}

/// What the rounds of one attack share.
struct Session<'l> {
    lab: &'l Lab,
    installer: &'l Installer,
    arguments: Vec<OsString>,
    place: &'l Path,
}

impl Session<'_> {
    /// Brings the client into the state in which the attack begins, and lets the mirror turn evil.
    fn prepare(&self, before: Before, evil: &Mirror, script: Script) -> Result<Proxy, AttackError> {
        if matches!(before, Before::Nothing) {
            evil.play(script);
            return self.start();
        }
        let mut proxy = self.start()?;
        let index = format!("{}/simple/", proxy.url);
        let target = self.place.join("before");
        let finished = self.installer.install(&index, REQUIREMENT, &target)?;
        if installed(&target, &finished) != Installed::Newest {
            return Err(AttackError::StartProxy(finished.said + &proxy.stop()));
        }
        if matches!(before, Before::Newest) {
            evil.play(script);
            return Ok(proxy);
        }
        proxy.stop();
        if let Before::NewestThenTampered(tamper) = before {
            let client = self.place.join("client");
            tamper(&client).map_err(|source| AttackError::Write {
                path: client,
                source,
            })?;
        }
        evil.play(script);
        self.start()
    }

    fn start(&self) -> Result<Proxy, AttackError> {
        Proxy::start(&self.lab.programs.heliostat, &self.arguments)
    }
}

/// What is wrong with a round in which the evil mirror is alone.
fn judge_alone(attack: &Attack, round: &Round) -> Vec<String> {
    let mut faults = common_faults(round);
    let fine = match attack.alone {
        Alone::Refused => round.installed == Installed::Nothing,
        Alone::Harmless => round.installed == Installed::Newest,
        Alone::RefusedOrHarmless => {
            matches!(round.installed, Installed::Nothing | Installed::Newest)
        }
        Alone::OldIsInstalled => round.installed == Installed::Old,
    };
    if !fine {
        faults.push(format!(
            "{:?} is installed, where {:?} was to be",
            round.installed, attack.alone
        ));
    }
    if round.installed == Installed::Nothing && !attack.told.is_empty() {
        if !round.said.contains("EVIL-MIRROR") {
            faults.push("the mirror is not named".to_owned());
        }
        let said = round.said.to_lowercase();
        if !attack.told.iter().any(|word| said.contains(word)) {
            faults.push(format!("none of {:?} is said", attack.told));
        }
    }
    faults
}

/// What is wrong with a round in which one honest mirror stands beside the evil one.
fn judge_with_honest(attack: &Attack, round: &Round) -> Vec<String> {
    let mut faults = common_faults(round);
    let fine = match (attack.with_honest, round.installed) {
        (_, Installed::Newest) | (WithHonest::NewestOrRefused, Installed::Nothing) => true,
        (_, Installed::Nothing | Installed::Old | Installed::Wrong) => false,
    };
    if !fine {
        faults.push(format!(
            "{:?} is installed, although one mirror is honest",
            round.installed
        ));
    }
    faults
}

fn common_faults(round: &Round) -> Vec<String> {
    let mut faults = Vec::new();
    if round.elapsed > WAIT_MAX {
        faults.push(format!("it took {:.0} s", round.elapsed.as_secs_f64()));
    }
    if round.evil_bytes > BYTES_MAX {
        faults.push(format!("{} bytes were taken", round.evil_bytes));
    }
    faults
}

/// What stands in an installation's directory.
fn installed(target: &Path, finished: &Finished) -> Installed {
    let module = fs::read_to_string(target.join("victim/__init__.py")).ok();
    let word = module
        .as_deref()
        .and_then(|text| text.lines().next())
        .and_then(|line| line.strip_prefix("word = "));
    let helper = target.join("helper/__init__.py").is_file();
    let stranger = target.join("requestz").exists();
    let quoted = format!("{TRUE_WORD:?}");
    match (finished.succeeded(), word) {
        (false, None) if !helper && !stranger => Installed::Nothing,
        (true, Some(word)) if word == quoted && helper && !stranger => Installed::Newest,
        (true, Some("\"old\"")) if !helper && !stranger => Installed::Old,
        _ => Installed::Wrong,
    }
}

/// Flips a byte in the middle of every file below a directory.
pub(crate) fn flip_a_byte_in_each(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let metadata = path.symlink_metadata()?;
        if metadata.is_dir() {
            flip_a_byte_in_each(&path)?;
        } else if metadata.is_file() && metadata.len() > 0 {
            let bytes = fs::read(&path)?;
            fs::write(&path, &*crate::script::flipped(&bytes.into()))?;
        }
    }
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), AttackError> {
    fs::create_dir_all(path).map_err(|source| AttackError::Write {
        path: path.to_owned(),
        source,
    })
}

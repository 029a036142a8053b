//! Runs attacks, each against each installer, alone and with an honest mirror. One round is `round`'s work, what is
//! wrong with it `judge`'s.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use heliostat_pypi::Sha256;

use crate::attacks::Attack;
use crate::error::AttackError;
use crate::judge::{judge_alone, judge_with_honest};
use crate::process::{Installer, InstallerKind, Programs};
use crate::round::{Company, Round, Setup};
use crate::world::World;

/// The laboratory: the notary's trees, the programs, a place for everything that is written.
#[derive(Debug)]
pub struct Lab {
    world: World,
    published: HashSet<Sha256>,
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

impl Lab {
    /// Makes the notary and its trees below `directory`, which must be empty and is not removed.
    pub fn open(programs: Programs, directory: &Path) -> Result<Self, AttackError> {
        let world = World::make(&programs.heliostat, directory)?;
        Ok(Self {
            published: world.published(),
            world,
            programs,
            directory: directory.to_owned(),
        })
    }

    /// Runs one attack against one installer.
    fn run(&self, attack: &Attack, installer: &Installer) -> Result<Row, AttackError> {
        let setup = |company| Setup {
            world: &self.world,
            published: &self.published,
            heliostat: &self.programs.heliostat,
            directory: &self.directory,
            attack,
            installer,
            company,
        };
        let mut alone = setup(Company::Alone).run()?;
        alone.faults = judge_alone(attack, &alone);
        let mut with_honest = setup(Company::WithHonest).run()?;
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
}

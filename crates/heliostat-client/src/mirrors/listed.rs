//! Mirrors that a list names come and go while the client runs; what was measured of them, and what the user decided,
//! outlives it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use heliostat_upstream::redacted;
use tokio::time::Instant;

use super::book::{Book, Profile};
use super::choices::{self, Candidate, Carries, Choices, Known, Rating, Ratings};
use super::evidence::Evidence;
use super::{Mirror, MirrorId, Mirrors, Standing, with_slash};
use crate::{ClientError, Limits};

/// What was measured is written no more often than this.
const SAVE_SECONDS: i64 = 10;
/// What the user decided is looked for no more often than this.
const OBEY_AFTER: Duration = Duration::from_secs(1);

/// The client's memory of mirrors, on disk.
#[derive(Debug)]
pub(super) struct Memory {
    directory: Option<PathBuf>,
    earlier: Ratings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    saved_at: i64,
    looked_at: Option<Instant>,
    decided_at: Option<SystemTime>,
    /// Why no mirror is listed, where a list should.
    refusal: Option<String>,
    /// Sentences about the list.
    notes: Vec<String>,
}

impl Memory {
    /// Reads what was measured earlier; without a directory nothing is remembered.
    pub(super) fn open(directory: Option<PathBuf>, now: i64) -> Result<Self, ClientError> {
        let read = |directory: &PathBuf| Ratings::read(directory, now);
        let earlier = directory.as_ref().map(read).transpose()?.flatten();
        Ok(Self {
            directory,
            earlier: earlier.unwrap_or_else(|| Ratings {
                // Chance enough: it only keeps clients from all preferring the same mirror.
                client_seed: RandomState::new().hash_one(now),
                ..Ratings::default()
            }),
            state: Mutex::default(),
        })
    }

    /// What makes this client differ from others.
    pub(super) const fn client_seed(&self) -> u64 {
        self.earlier.client_seed
    }

    /// Writes what was measured, now and then.
    pub(super) fn save_sometimes(&self, book: &Book, now: i64) {
        let due = {
            let mut state = self.state();
            let due =
                now.saturating_sub(state.saved_at).unsigned_abs() >= SAVE_SECONDS.unsigned_abs();
            if due {
                state.saved_at = now;
            }
            due
        };
        if due {
            self.save(book, now);
        }
    }

    /// Writes what was measured.
    pub(super) fn save(&self, book: &Book, now: i64) {
        let Some(directory) = &self.directory else {
            return;
        };
        let measured = book.measured().map(|(name, measured, timestamp)| {
            (
                name.to_owned(),
                Rating {
                    measured,
                    timestamp,
                },
            )
        });
        let ratings = Ratings {
            at: now,
            client_seed: self.client_seed(),
            mirrors: measured.collect(),
        };
        if let Err(error) = ratings.keep(directory) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what was measured of mirrors cannot be kept"
            );
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mirrors {
    /// From now on these mirrors are listed, and no others; what was measured of those that stay, stays. Without any,
    /// `refusal` says why.
    pub(crate) fn list(
        &self,
        candidates: &[Candidate],
        refusal: Option<String>,
        notes: Vec<String>,
    ) -> Result<(), ClientError> {
        let first_new = self
            .list
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        let known: HashMap<String, MirrorId> = {
            let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
            let mirrors = list.iter().enumerate();
            mirrors
                .map(|(at, mirror)| (mirror.shown().to_owned(), MirrorId(at)))
                .collect()
        };
        {
            let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
            let mut book = self.book();
            book.unlist();
            for candidate in candidates.iter().take(self.limits.listed_max) {
                let mirror = Mirror::new(&candidate.url, &self.transport, &self.limits);
                let name = mirror.shown().to_owned();
                let id = known.get(&name).copied().unwrap_or_else(|| {
                    list.push(std::sync::Arc::new(mirror));
                    book.add(Profile {
                        name,
                        ..Profile::default()
                    })
                });
                let profile = book.profile_mut(id);
                profile.is_listed = true;
                profile.id.clone_from(&candidate.id);
                profile.operator.clone_from(&candidate.operator);
                profile.prior = candidate.prior;
                if !profile.is_given {
                    profile.carries = candidate.carries;
                }
            }
        }
        {
            let mut state = self.memory.state();
            (state.refusal, state.notes) = (refusal, notes);
        }
        self.recall(first_new)?;
        self.keep_known(candidates)
    }

    /// Why nobody can be asked, where nobody can.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.obey();
        if !self.book().is_empty() {
            return None;
        }
        let refusal = self.memory.state().refusal.clone();
        Some(refusal.unwrap_or_else(|| {
            "all of them are banned; `heliostat mirrors ban NAME --undo` takes that back".to_owned()
        }))
    }

    /// Sentences about the list, for people.
    pub(crate) fn list_notes(&self) -> Vec<String> {
        self.memory.state().notes.clone()
    }

    /// Writes down which mirrors there are, for `heliostat mirrors`.
    fn keep_known(&self, candidates: &[Candidate]) -> Result<(), ClientError> {
        let Some(directory) = &self.memory.directory else {
            return Ok(());
        };
        let names: Vec<String> = self.book().given().map(str::to_owned).collect();
        let known = Known {
            given: names.iter().filter_map(|name| name.parse().ok()).collect(),
            listed: candidates.to_vec(),
        };
        known.keep(directory)
    }

    /// What is known from earlier of the mirrors from this one on: lies, measurements, decisions.
    pub(super) fn recall(&self, from: usize) -> Result<(), ClientError> {
        let dropped = self.evidence.dropped()?;
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let mut book = self.book();
        for (at, mirror) in list.iter().enumerate().skip(from) {
            let id = MirrorId(at);
            for (name, until, why) in &dropped {
                if name == mirror.shown() {
                    book.drop_until(id, *until, why.clone());
                }
            }
            if let Some(rating) = self.memory.earlier.mirrors.get(mirror.shown()) {
                book.recall(id, rating.measured);
            }
        }
        drop((list, book));
        self.memory.state().decided_at = None;
        self.memory.state().looked_at = None;
        self.obey();
        Ok(())
    }

    /// Takes over what the user decided since, if anything.
    pub(super) fn obey(&self) {
        let Some(directory) = &self.memory.directory else {
            return;
        };
        {
            let mut state = self.memory.state();
            let now = Instant::now();
            if state
                .looked_at
                .is_some_and(|at| now.duration_since(at) < OBEY_AFTER)
            {
                return;
            }
            let is_first = state.looked_at.is_none();
            state.looked_at = Some(now);
            let decided_at = choices::decided_at(directory);
            if !is_first && decided_at == state.decided_at {
                return;
            }
            state.decided_at = decided_at;
        }
        match Choices::read(directory) {
            Ok(choices) => self.book().choose(
                |mirror| Choices::names(&choices.pinned, mirror),
                |mirror| Choices::names(&choices.banned, mirror),
            ),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what was decided about mirrors cannot be read; what was decided before holds"
            ),
        }
    }

    /// Writes what was measured.
    pub(crate) fn save(&self) {
        let now = self.clock.now();
        self.memory.save(&self.book(), now);
    }
}

/// How the mirrors stand of which a client in this directory knew last, in the order in which it would ask them now;
/// nothing where none has run there. Asks nobody and writes nothing.
pub(crate) fn as_kept(
    directory: &Path,
    now: i64,
    limits: &Limits,
) -> Result<Option<Vec<Standing>>, ClientError> {
    let Some(known) = Known::read(directory)? else {
        return Ok(None);
    };
    let ratings = Ratings::read(directory, now)?.unwrap_or_default();
    let mut book = Book::new(limits, ratings.client_seed);
    let given = known.given.iter().map(|url| Profile {
        name: redacted(url),
        is_given: true,
        ..Profile::default()
    });
    let mut profiles: Vec<Profile> = given.collect();
    for candidate in known.listed {
        let name = redacted(&with_slash(candidate.url));
        let mut given = profiles.iter().take_while(|profile| profile.is_given);
        let is_given = given.position(|profile| profile.name == name);
        let listed = Profile {
            name,
            is_given: is_given.is_some(),
            is_listed: true,
            id: candidate.id,
            operator: candidate.operator,
            carries: match is_given {
                Some(_) => Carries::SignedTree,
                None => candidate.carries,
            },
            prior: candidate.prior,
        };
        match is_given {
            Some(at) => profiles[at] = listed,
            None => profiles.push(listed),
        }
    }
    let dropped = Evidence::new(Some(directory.to_owned()), limits.evidence_max).dropped()?;
    for profile in profiles {
        let name = profile.name.clone();
        let id = book.add(profile);
        for (_, until, why) in dropped.iter().filter(|(liar, ..)| *liar == name) {
            book.drop_until(id, *until, why.clone());
        }
        if let Some(rating) = ratings.mirrors.get(&name) {
            book.recall(id, rating.measured);
            book.saw_timestamp(id, rating.timestamp);
        }
    }
    let choices = Choices::read(directory)?;
    book.choose(
        |mirror| Choices::names(&choices.pinned, mirror),
        |mirror| Choices::names(&choices.banned, mirror),
    );
    Ok(Some(book.standings(now)))
}

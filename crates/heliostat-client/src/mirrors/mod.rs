//! Several mirrors as one source: asked all at once or the best first, and judged by what they give.
//!
//! Owns who is asked, in which order and for how long one is waited for. What an answer is worth is decided by the
//! caller, who verifies it; what that says about the mirror, by `failure::Failure::judge` and `book`, which are pure.

mod book;
mod choices;
mod evidence;
mod journal;
mod listed;
mod mirror;
mod rank;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

pub use book::Standing;
pub use choices::{Candidate, Carries, Choices};
pub use journal::JournalEntry;
pub use mirror::{MirrorOptions, Transport};
pub use rank::{Advice, Circuit, Prior};

pub(crate) use book::{Book, MirrorId, Purpose};
pub(crate) use journal::read as read_journal;
pub(crate) use listed::as_kept;
pub(crate) use mirror::{Base, Mirror, with_slash};

use crate::error::Answers;
use crate::failure::{Failure, Refusal, Verdict};
use crate::{ClientError, Clock, Limits};
use book::{Given, Profile};
use evidence::Evidence;
use journal::Journal;
use listed::Memory;

/// The mirrors of one client.
#[derive(Debug)]
pub(crate) struct Mirrors {
    /// Grows only, so that an id stays what it is.
    list: RwLock<Vec<Arc<Mirror>>>,
    book: Mutex<Book>,
    memory: Memory,
    transport: Transport,
    evidence: Evidence,
    journal: Journal,
    clock: Clock,
    limits: Limits,
}

/// One thing to ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Under which of a mirror's bases.
    pub(crate) base: Base,
    /// The path below it, as it stands in addresses.
    pub(crate) path: &'a str,
    /// The most bytes there may be.
    pub(crate) limit_bytes: u64,
}

/// What a question to all mirrors heard so far is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It will do; the others have a moment more.
    Useful,
    /// It settles the question.
    Settled,
}

/// What a question to all mirrors brought.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// How many answers were usable.
    pub(crate) useful: usize,
    /// What the others did.
    pub(crate) failures: Answers,
}

impl Mirrors {
    /// Mirrors at these addresses. With a directory, what is found out about them is kept there.
    pub(crate) fn new(
        options: &MirrorOptions,
        directory: Option<PathBuf>,
        clock: Clock,
        limits: &Limits,
    ) -> Result<Self, ClientError> {
        let list: Vec<Mirror> = options
            .mirrors
            .iter()
            .map(|url| Mirror::new(url, &options.transport, limits).prepared())
            .collect::<Result<_, _>>()?;
        let mirrors = Self::of(list, directory, clock, limits)?;
        Ok(Self {
            transport: options.transport.clone(),
            ..mirrors
        })
    }

    /// The same with mirrors made by the caller.
    pub(crate) fn of(
        list: Vec<Mirror>,
        directory: Option<PathBuf>,
        clock: Clock,
        limits: &Limits,
    ) -> Result<Self, ClientError> {
        let memory = Memory::open(directory.clone(), clock.now())?;
        let mut book = Book::new(limits, memory.client_seed());
        for mirror in &list {
            book.add(Profile {
                name: mirror.shown().to_owned(),
                is_given: true,
                ..Profile::default()
            });
        }
        let mirrors = Self {
            list: RwLock::new(list.into_iter().map(Arc::new).collect()),
            book: Mutex::new(book),
            memory,
            transport: Transport::default(),
            evidence: Evidence::new(directory.clone(), limits.evidence_max),
            journal: Journal::new(directory, limits.journal_bytes_max),
            clock,
            limits: limits.clone(),
        };
        mirrors.recall(0)?;
        Ok(mirrors)
    }

    /// One of the mirrors.
    pub(crate) fn mirror(&self, id: MirrorId) -> Arc<Mirror> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&list[id.0])
    }

    /// The mirrors to ask, the best first.
    pub(crate) fn ranked(&self, purpose: Purpose) -> Vec<MirrorId> {
        self.obey();
        self.book().draw(self.clock.now(), purpose)
    }

    /// Where each mirror stands, for people: the first of the order first.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        self.obey();
        self.book().standings(self.clock.now())
    }

    /// By how many seconds our clock is ahead of those of at least two mirrors that agree with each other, where that
    /// is more than allowed.
    pub(crate) fn clock_skew_seconds(&self) -> Option<i64> {
        self.book().clock_skew_seconds(&self.limits)
    }

    /// The newest timestamp that a mirror has shown.
    pub(crate) fn saw_timestamp(&self, id: MirrorId, version: u64) {
        self.book().saw_timestamp(id, version);
    }

    /// Asks every mirror that the user gave, and some that are listed, at once. `check` sees each body as it comes; what it refuses is held against the mirror.
    pub(crate) async fn everywhere(
        &self,
        wanted: Wanted<'_>,
        mut check: impl FnMut(MirrorId, &Bytes) -> Result<Heard, Refusal>,
    ) -> Round {
        self.obey();
        let asked = self.book().draw_round(self.clock.now());
        let mut running: FuturesUnordered<_> =
            asked.into_iter().map(|id| self.ask(id, wanted)).collect();
        let mut round = Round::default();
        let mut end = None;
        loop {
            let answer = match end {
                None => running.next().await,
                Some(end) => tokio::select! {
                    biased;
                    answer = running.next() => answer,
                    () = sleep_until(end) => None,
                },
            };
            let Some((id, outcome)) = answer else {
                return round;
            };
            match self.settle(id, wanted, outcome, |body| check(id, body)) {
                Ok(Heard::Settled) => {
                    round.useful += 1;
                    return round;
                }
                Ok(Heard::Useful) => {
                    round.useful += 1;
                    end.get_or_insert(Instant::now() + self.limits.grace);
                }
                Err(failure) => {
                    let told = (self.mirror(id).shown().to_owned(), failure);
                    round.failures.push(told);
                }
            }
        }
    }

    /// Asks the best mirror; the next one when that fails or takes longer than it mostly does. The first body that
    /// `check` accepts wins.
    pub(crate) async fn anywhere<T>(
        &self,
        wanted: Wanted<'_>,
        mut check: impl FnMut(&Bytes) -> Result<T, Refusal>,
    ) -> Result<T, ClientError> {
        let mut waiting = self.ranked(Purpose::Document).into_iter();
        let mut running = FuturesUnordered::new();
        let mut answers = Answers::new();
        let mut hedge_at = Instant::now();
        let mut left = waiting.len();
        loop {
            if running.is_empty() || (left > 0 && hedge_at <= Instant::now()) {
                let Some(id) = waiting.next() else {
                    let what = format!("`{}`", wanted.path);
                    return Err(ClientError::NotGiven { what, answers });
                };
                left = waiting.len();
                hedge_at = Instant::now() + self.book().hedge_after(id);
                running.push(self.ask(id, wanted));
            }
            let answer = tokio::select! {
                biased;
                answer = running.next() => answer,
                () = sleep_until(hedge_at), if left > 0 => continue,
            };
            let Some((id, outcome)) = answer else {
                continue;
            };
            match self.settle(id, wanted, outcome, &mut check) {
                Ok(value) => return Ok(value),
                Err(failure) => answers.push((self.mirror(id).shown().to_owned(), failure)),
            }
        }
    }

    /// All mirrors that are not banned, the best first, also those that are left alone.
    pub(crate) fn all(&self) -> Vec<MirrorId> {
        self.obey();
        self.book().ranked(self.clock.now())
    }

    /// Asks one mirror and judges what it gives, with the time that it took.
    pub(crate) async fn one<T>(
        &self,
        id: MirrorId,
        wanted: Wanted<'_>,
        check: impl FnMut(&Bytes) -> Result<T, Refusal>,
    ) -> Result<(T, Duration), Failure> {
        let (id, outcome) = self.ask(id, wanted).await;
        let elapsed = outcome.as_ref().ok().map(|(_, started)| started.elapsed());
        let value = self.settle(id, wanted, outcome, check)?;
        Ok((value, elapsed.unwrap_or_default()))
    }

    /// One request to one mirror.
    async fn ask(
        &self,
        id: MirrorId,
        wanted: Wanted<'_>,
    ) -> (MirrorId, Result<(Bytes, Instant), Failure>) {
        let started = Instant::now();
        let outcome = self.mirror(id).get(wanted, &self.limits).await;
        let outcome = outcome.map(|plain| {
            if let Some(date) = plain.date.and_then(seconds) {
                self.book().saw_clock(id, self.clock.now() - date);
            }
            (plain.body, started)
        });
        (id, outcome.map_err(Failure::of))
    }

    /// Judges an answer, writes it down, and gives what `check` made of it.
    fn settle<T>(
        &self,
        id: MirrorId,
        wanted: Wanted<'_>,
        outcome: Result<(Bytes, Instant), Failure>,
        mut check: impl FnMut(&Bytes) -> Result<T, Refusal>,
    ) -> Result<T, Failure> {
        let outcome = outcome.and_then(|(body, started)| {
            let value = check(&body).map_err(Failure::Refused)?;
            Ok((value, body.len() as u64, started))
        });
        match outcome {
            Ok((value, size_bytes, started)) => {
                self.note(id, wanted.path, Ok((size_bytes, started)));
                Ok(value)
            }
            Err(failure) => {
                self.note(id, wanted.path, Err(&failure));
                Err(failure)
            }
        }
    }

    /// Writes into the journal what became of a file for another reason than one mirror's.
    pub(crate) fn tell(&self, path: &str, who: &str, answer: &str) {
        self.journal.write(&JournalEntry {
            at: self.clock.now(),
            path: path.to_owned(),
            mirror: who.to_owned(),
            answer: answer.to_owned(),
            milliseconds: None,
        });
    }

    /// Writes down what a mirror did: in the book, in the journal, and, for a lie, as evidence.
    pub(crate) fn note(&self, id: MirrorId, path: &str, outcome: Result<(u64, Instant), &Failure>) {
        let now = self.clock.now();
        let asked = self.mirror(id);
        let mirror = asked.shown();
        let verdict = outcome.map_or_else(Failure::judge, |_| Verdict::Good);
        let elapsed = outcome.ok().map(|(_, started)| started.elapsed());
        let given = outcome.ok().map(|(size_bytes, started)| Given {
            elapsed: started.elapsed(),
            size_bytes,
        });
        {
            let mut book = self.book();
            book.note(id, verdict, given, now);
            // A metadata file that is not there is mostly the next root, which nobody has.
            let is_content = ["simple/", "packages/"]
                .iter()
                .any(|start| path.starts_with(start));
            if verdict == Verdict::Incomplete && is_content {
                book.lacks(id, now);
            }
            self.memory.save_sometimes(&book, now);
        }
        let told = match outcome {
            Ok((size_bytes, _)) => format!("gave {size_bytes} bytes"),
            Err(failure) => failure.to_string(),
        };
        self.journal.write(&JournalEntry {
            at: now,
            path: path.to_owned(),
            mirror: mirror.to_owned(),
            answer: told.clone(),
            milliseconds: elapsed.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        });
        if let Err(Failure::Refused(refusal)) = outcome
            && verdict == Verdict::Lie
        {
            let until = now + i64::try_from(self.limits.drop_for.as_secs()).unwrap_or(i64::MAX / 2);
            tracing::warn!(
                mirror,
                path,
                attack = refusal.attack.name(),
                detail = refusal.detail,
                "a mirror gave something that was never signed: it is not asked for a day"
            );
            self.book().drop_until(id, until, told);
            self.evidence.keep(&evidence::Exhibit {
                at: now,
                mirror: mirror.to_owned(),
                path: path.to_owned(),
                attack: refusal.attack.name().to_owned(),
                expected: refusal.detail.clone(),
                found_sha256: refusal.found.map(heliostat_pypi::Sha256::to_hex),
                dropped_until: until,
            });
        } else if let Err(failure) = outcome {
            tracing::debug!(mirror, path, %failure, "a mirror did not give what it was asked for");
        }
    }

    /// Keeps documents that prove that the notary's key signed different things under one version.
    pub(crate) fn keep_proof(&self, role: &str, version: u64, documents: &[Bytes]) {
        tracing::error!(
            role,
            version,
            "the notary's key has signed two different documents of one version: tell the notary; the proof is kept"
        );
        for document in documents {
            self.evidence.keep_document(role, version, document);
        }
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(time: std::time::SystemTime) -> Option<i64> {
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

//! A file from several mirrors: begun at the best, gone on with at the next, judged by its signed digest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use heliostat_pypi::Sha256;
use heliostat_upstream::UpstreamError;
use sha2::Digest as _;
use tokio::time::Instant;

use crate::error::Answers;
use crate::failure::{Attack, Failure, Refusal, Verdict};
use crate::mirrors::{MirrorId, Mirrors, Purpose};
use crate::parts::{Part, Parts, Suspects};
use crate::spool::SpoolWriter;
use crate::turns::{Turn, Turns};
use crate::{ClientError, Limits};

/// How often all mirrors are gone through, as long as each time brought new bytes or an outage may be over.
const ROUNDS_MAX: u32 = 3;

/// The pause before mirrors that all failed are asked again.
const ROUND_PAUSE: Duration = Duration::from_millis(300);

/// A file as its signed page describes it.
#[derive(Debug, Clone)]
pub(crate) struct SignedFile {
    /// Below a mirror's address, as it stands in addresses.
    pub(crate) path: String,
    /// The signed length.
    pub(crate) size_bytes: u64,
    /// The signed digest.
    pub(crate) sha256: Sha256,
}

/// What whoever waited for a file was given of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing that is not in it.
    Right,
    /// Bytes that turned out wrong.
    Wrong,
}

/// One download.
pub(crate) struct Download<'a> {
    mirrors: &'a Mirrors,
    turns: &'a Turns,
    limits: &'a Limits,
    file: SignedFile,
    writer: SpoolWriter,
    hasher: sha2::Sha256,
    received_bytes: u64,
    /// Who gave which of the bytes received.
    parts: Parts,
    /// What several mirrors gave before, and was wrong. While there is any, the file is had from one mirror alone.
    suspects: Suspects,
    given: Given,
    answers: Answers,
}

/// Why a mirror's part in a download is over.
enum Stop {
    Failure(Failure),
    /// The file is wrong, and parts of it came from other mirrors: nobody knows which one lied.
    Mixed(Sha256),
    /// It goes on, so slowly that another is worth asking for the rest.
    Crawling,
    Disk(ClientError),
    Abandoned,
}

/// How a round of all mirrors ended.
enum Round {
    /// The file is there.
    Whole,
    /// What came was wrong and from several mirrors: from now on one alone is asked for all of it.
    Mixed,
    Failed,
}

/// Watches whether a mirror is so slow that one that was not asked yet is worth asking for the rest. It is no failure:
/// where all are that slow, because the line is, each is asked once and the last goes on.
#[derive(Debug)]
struct Crawl {
    since: Instant,
    from_bytes: u64,
}

impl Crawl {
    fn new(received_bytes: u64) -> Self {
        Self {
            since: Instant::now(),
            from_bytes: received_bytes,
        }
    }

    /// Looks at one window after the other. What is nearly there is not left.
    fn is_one(
        &mut self,
        limits: &Limits,
        (received_bytes, left_bytes): (u64, u64),
        now: Instant,
    ) -> bool {
        let took = now.duration_since(self.since);
        if took < limits.speed_window {
            return false;
        }
        let pace = received_bytes.saturating_sub(self.from_bytes) / took.as_secs().max(1);
        (self.since, self.from_bytes) = (now, received_bytes);
        // What is below the least is a failure, which is told elsewhere.
        (limits.speed_bytes_per_second_min..limits.speed_bytes_per_second_fair).contains(&pace)
            && left_bytes > pace * limits.speed_window.as_secs()
    }
}

impl<'a> Download<'a> {
    /// A download that has not begun.
    pub(crate) fn new(
        mirrors: &'a Mirrors,
        turns: &'a Turns,
        limits: &'a Limits,
        file: SignedFile,
        writer: SpoolWriter,
    ) -> Self {
        Self {
            mirrors,
            turns,
            limits,
            file,
            writer,
            hasher: sha2::Sha256::new(),
            received_bytes: 0,
            parts: Parts::default(),
            suspects: Suspects::default(),
            given: Given::Right,
            answers: Answers::new(),
        }
    }

    /// The same after one that ended with these parts, one of which is wrong.
    pub(crate) fn after(mut self, parts: Vec<Part>) -> Self {
        self.suspects.add(parts);
        self
    }

    /// Downloads the file and tells its readers how it ended. What is given back besides is for [`Self::after`].
    pub(crate) async fn run(mut self) -> (Given, Vec<Part>) {
        let end = self.rounds().await;
        if let Err(error) = &end {
            tracing::warn!(path = self.file.path, %error, "a file could not be had");
        }
        self.writer.finish(end.map_err(Arc::new));
        (self.given, self.suspects.into_parts())
    }

    async fn rounds(&mut self) -> Result<(), ClientError> {
        for round in 1..=ROUNDS_MAX {
            let (began, held_bytes) = (Instant::now(), self.received_bytes);
            self.answers.clear();
            match self.one_round().await? {
                Round::Whole => return Ok(()),
                Round::Mixed => continue,
                Round::Failed => {}
            }
            let may_pass = self
                .answers
                .iter()
                .any(|(_, failure)| failure.judge() == Verdict::Outage);
            let gained_bytes = self.received_bytes.saturating_sub(held_bytes);
            if !may_pass || round == ROUNDS_MAX || self.is_standing(began.elapsed(), gained_bytes) {
                break;
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
        Err(ClientError::NotGiven {
            what: format!("`{}`", self.file.path),
            answers: std::mem::take(&mut self.answers),
        })
    }

    /// Whether a round took long and brought next to nothing: another would keep the installer waiting until it gives
    /// up, and never learns why.
    fn is_standing(&self, took: Duration, gained_bytes: u64) -> bool {
        let pace = self.limits.speed_bytes_per_second_min;
        took > self.limits.hold_back && gained_bytes / took.as_secs().max(1) < pace
    }

    /// Asks each mirror once, the best first, and those that were left because they crawled once more at the end.
    async fn one_round(&mut self) -> Result<Round, ClientError> {
        let mut waiting = VecDeque::from(self.mirrors.ranked(Purpose::Steady));
        let mut untried = waiting.len();
        while let Some(id) = waiting.pop_front() {
            untried = untried.saturating_sub(1);
            let patience = if waiting.is_empty() {
                self.limits.stall_last
            } else {
                self.limits.stall
            };
            let turn = self.turns.take().await;
            if self.writer.is_abandoned() {
                return Err(ClientError::Stopping);
            }
            if !self.suspects.is_empty() && self.parts.has_other_than(id) && !self.writer.is_given()
            {
                self.start_over()?;
            }
            let crawl = (untried > 0).then(|| Crawl::new(self.received_bytes));
            let outcome = match self.from(id, patience, (turn, crawl)).await {
                Ok(()) => self.judge(id),
                Err(stop) => Err(stop),
            };
            match outcome {
                Ok(()) => return Ok(Round::Whole),
                Err(Stop::Crawling) => waiting.push_back(id),
                Err(Stop::Mixed(found)) => {
                    self.suspect(found);
                    self.start_over()?;
                    return Ok(Round::Mixed);
                }
                Err(Stop::Failure(failure)) => {
                    self.mirrors.note(id, &self.file.path, Err(&failure));
                    let mirror = self.mirrors.mirror(id).shown().to_owned();
                    self.answers.push((mirror, failure));
                }
                Err(Stop::Abandoned) => return Err(ClientError::Stopping),
                Err(Stop::Disk(error)) => return Err(error),
            }
            if self.received_bytes == self.file.size_bytes {
                self.start_over()?;
            }
        }
        Ok(Round::Failed)
    }

    /// Takes what is missing from one mirror; all of it, unless `crawl` says that another is worth asking.
    async fn from(
        &mut self,
        id: MirrorId,
        patience: Duration,
        (mut turn, mut crawl): (Turn<'_>, Option<Crawl>),
    ) -> Result<(), Stop> {
        let (started, held_bytes) = (Instant::now(), self.received_bytes);
        let mirror = self.mirrors.mirror(id);
        let failed = |error| Stop::Failure(Failure::of(error));
        let opening = mirror.open(&self.file.path, self.received_bytes, patience);
        let mut incoming = turn.wait_for(opening).await.map_err(failed)?;
        if let Some(total) = incoming.total_bytes()
            && total != self.file.size_bytes
        {
            return Err(Self::refuse(format!(
                "it has {total} bytes, {} are signed",
                self.file.size_bytes
            )));
        }
        // A mirror without ranges begins at the beginning; what is there already is passed over.
        let mut skip = self.received_bytes - incoming.offset();
        while let Some(mut chunk) = turn
            .wait_for(incoming.chunk(patience))
            .await
            .map_err(failed)?
        {
            if self.writer.is_abandoned() {
                return Err(Stop::Abandoned);
            }
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= skipped as u64;
            let chunk = chunk.split_off(skipped);
            if self.received_bytes + chunk.len() as u64 > self.file.size_bytes {
                return Err(Stop::Failure(Failure::Refused(Refusal {
                    attack: Attack::EndlessData,
                    detail: format!(
                        "it goes on after the {} bytes that are signed",
                        self.file.size_bytes
                    ),
                    found: None,
                })));
            }
            if !chunk.is_empty() {
                self.parts.take(id, &chunk, &self.hasher);
                self.suspects.take(&chunk, self.received_bytes);
                self.hasher.update(&chunk);
                self.writer
                    .write(&chunk, self.received_bytes)
                    .map_err(Stop::Disk)?;
                self.received_bytes += chunk.len() as u64;
            }
            let left_bytes = self.file.size_bytes - self.received_bytes;
            let seen = (self.received_bytes, left_bytes);
            if crawl
                .as_mut()
                .is_some_and(|crawl| crawl.is_one(self.limits, seen, Instant::now()))
            {
                let gave_bytes = self.received_bytes - held_bytes;
                self.mirrors
                    .note(id, &self.file.path, Ok((gave_bytes, started)));
                return Err(Stop::Crawling);
            }
        }
        if self.received_bytes < self.file.size_bytes {
            return Err(failed(UpstreamError::Truncated {
                url: format!("{}{}", mirror.shown(), self.file.path),
                tries: 1,
                received_bytes: self.received_bytes,
            }));
        }
        let gave_bytes = self.received_bytes - held_bytes;
        self.mirrors
            .note(id, &self.file.path, Ok((gave_bytes, started)));
        Ok(())
    }

    /// Whether what came is the file. A wrong one that came from one mirror alone proves that this mirror lied; of
    /// several, nobody knows which before the right one has come.
    fn judge(&mut self, last: MirrorId) -> Result<(), Stop> {
        let found = Sha256::from_bytes(self.hasher.clone().finalize().into());
        if found == self.file.sha256 {
            self.accuse();
            return Ok(());
        }
        if self.parts.has_other_than(last) {
            return Err(Stop::Mixed(found));
        }
        Err(Stop::Failure(Failure::Refused(Refusal {
            attack: Attack::Altered,
            detail: format!("its sha256 is {found}, {} is signed", self.file.sha256),
            found: Some(found),
        })))
    }

    /// Holds it against those whose bytes were other than those of the file, which is right now.
    fn accuse(&mut self) {
        for (part, right) in std::mem::take(&mut self.suspects).wrong() {
            let (first, end) = (part.range.start, part.range.end);
            let failure = Failure::Refused(Refusal {
                attack: Attack::Altered,
                detail: format!(
                    "its bytes from {first} to {end} have the sha256 {}, those of the signed file {right}",
                    part.sha256
                ),
                found: Some(part.sha256),
            });
            self.mirrors
                .note(part.giver, &self.file.path, Err(&failure));
        }
    }

    /// Takes note of who gave which part of a file that is wrong; it is begun again and had from one mirror alone.
    fn suspect(&mut self, found: Sha256) {
        let parts = self.parts.end(&self.hasher);
        let mut names: Vec<_> = parts
            .iter()
            .map(|part| self.mirrors.mirror(part.giver).shown().to_owned())
            .collect();
        names.sort();
        names.dedup();
        let who = format!("what came in parts from {}", names.join(" and "));
        let failure = Failure::Refused(Refusal {
            attack: Attack::Mixed,
            detail: format!(
                "one of them lied: its sha256 is {found}, {} is signed",
                self.file.sha256
            ),
            found: Some(found),
        });
        self.mirrors
            .tell(&self.file.path, &who, &failure.to_string());
        self.answers.push((who, failure));
        self.suspects.add(parts);
    }

    /// Forgets wrong bytes, unless somebody has some of them already: that transfer must break.
    fn start_over(&mut self) -> Result<(), ClientError> {
        if self.writer.is_given() {
            self.given = Given::Wrong;
            return Err(ClientError::NotGiven {
                what: format!("`{}`", self.file.path),
                answers: std::mem::take(&mut self.answers),
            });
        }
        self.hasher = sha2::Sha256::new();
        self.received_bytes = 0;
        self.parts = Parts::default();
        self.suspects.begin_again();
        self.writer.restart();
        Ok(())
    }

    fn refuse(detail: String) -> Stop {
        Stop::Failure(Failure::Refused(Refusal {
            attack: Attack::Altered,
            detail,
            found: None,
        }))
    }
}

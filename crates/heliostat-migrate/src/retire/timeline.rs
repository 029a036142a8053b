//! The dates of a retirement: announced, noticed at six, three and one months, dark for practice in windows that
//! grow, off, parked. A stay of execution moves the end and needs an owner and a date.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::traffic::{DAY_SECONDS, Traffic};

/// Days before the end on which windows begin.
const BROWNOUT_DAYS: i32 = 28;

/// The first window, and what each day adds, in minutes.
const WINDOW_MINUTES: (i64, i64) = (10, 2);

/// The dates of one entry, as a map names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// When people were or will be told.
    pub announced: Date,
    /// The first day on which the name answers nothing but that it is gone.
    pub off: Date,
    /// The first day on which the name is only kept so that nobody else gets it.
    pub parked: Option<Date>,
    /// A later end that somebody asked for.
    pub stay: Option<Stay>,
    /// Until when plain http is redirected too, which anybody on the way can change.
    pub http_until: Option<Date>,
    /// Why the name goes although installers still come or extra indexes still name it.
    pub forced: Option<String>,
}

/// A stay of execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stay {
    /// Who answers for it.
    pub owner: String,
    /// The new end.
    pub until: Date,
    /// Why.
    #[serde(default)]
    pub why: String,
}

/// What the name does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It redirects.
    Redirect,
    /// It is dark for practice, and will redirect again.
    BrownOut,
    /// It answers that it is gone.
    Off,
    /// It is kept, and answers as when off.
    Parked,
}

/// One date of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When it begins.
    pub begin: Timestamp,
    /// When it ends; `None` for what has no end.
    pub end: Option<Timestamp>,
    /// What it is.
    pub kind: StepKind,
}

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// People are told.
    Announced,
    /// People are told again; so many months are left.
    Notice {
        /// Months before the end.
        months: u8,
    },
    /// The name is dark for practice.
    BrownOut,
    /// The name answers nothing but that it is gone.
    Off,
    /// The name is only kept.
    Parked,
}

/// All steps of one host, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelinePlan {
    /// The host; windows of other hosts lie elsewhere.
    pub host: String,
    /// The steps.
    pub steps: Vec<Step>,
    /// The stay that moved the end, if any.
    pub stay: Option<Stay>,
}

impl Timeline {
    /// The end in force: the stay's where there is one.
    pub fn end(&self) -> Date {
        self.stay
            .as_ref()
            .map_or(self.off, |stay| stay.until.max(self.off))
    }

    /// What does not fit together, in words.
    pub fn fault(&self) -> Option<String> {
        if self.announced >= self.off {
            return Some("`announced` is not before `off`".to_owned());
        }
        if self.parked.is_some_and(|parked| parked < self.end()) {
            return Some("`parked` is before the end".to_owned());
        }
        if let Some(stay) = &self.stay
            && (stay.owner.trim().is_empty() || stay.until <= self.off)
        {
            return Some("`stay` needs an owner, and an `until` after `off`".to_owned());
        }
        if self
            .forced
            .as_ref()
            .is_some_and(|why| why.trim().is_empty())
        {
            return Some("`forced` needs the reason, and who decided".to_owned());
        }
        None
    }

    /// Whether the name was to go dark by `now` while installers were still redirected in the days before, and nobody
    /// forced it. The last of those moments, in seconds since 1970.
    pub fn refused(&self, traffic: &Traffic, now: i64, clear_days: i64) -> Option<i64> {
        let end = midnight(self.end()).as_second();
        traffic.last_redirected.filter(|last| {
            self.forced.is_none() && now >= end && *last >= end - clear_days * DAY_SECONDS
        })
    }

    /// Every step for one host.
    pub fn plan(&self, host: &str) -> TimelinePlan {
        let end = self.end();
        let mut steps = vec![whole(self.announced, StepKind::Announced)];
        for months in [6_u8, 3, 1] {
            let day = end.saturating_sub(i64::from(months).months());
            if day > self.announced {
                steps.push(whole(day, StepKind::Notice { months }));
            }
        }
        for before in (1..=BROWNOUT_DAYS).rev() {
            let day = end.saturating_sub(before.days());
            if day > self.announced {
                steps.push(window(host, day, i64::from(BROWNOUT_DAYS - before)));
            }
        }
        steps.push(whole(end, StepKind::Off));
        steps.extend(self.parked.map(|day| whole(day, StepKind::Parked)));
        steps.sort_by_key(|step| step.begin);
        TimelinePlan {
            host: host.to_owned(),
            steps,
            stay: self.stay.clone(),
        }
    }
}

impl TimelinePlan {
    /// What the host does at `now`, in seconds since 1970.
    pub fn phase(&self, now: i64) -> Phase {
        let mut phase = Phase::Redirect;
        for step in self
            .steps
            .iter()
            .filter(|step| step.begin.as_second() <= now)
        {
            match step.kind {
                StepKind::Off => phase = Phase::Off,
                StepKind::Parked => phase = Phase::Parked,
                StepKind::BrownOut if step.end.is_some_and(|end| now < end.as_second()) => {
                    phase = Phase::BrownOut;
                }
                _ => {}
            }
        }
        phase
    }
}

fn whole(day: Date, kind: StepKind) -> Step {
    Step {
        begin: midnight(day),
        end: None,
        kind,
    }
}

/// One window of a day: at a minute that differs from host to host and from day to day, so that whoever comes at the
/// same minute every day meets one. It may last past midnight: else what runs daily at midnight would never meet any.
fn window(host: &str, day: Date, number: i64) -> Step {
    let digest = Sha256::digest(format!("{host} {day}").as_bytes());
    let minutes = WINDOW_MINUTES.0 + WINDOW_MINUTES.1 * number;
    let scattered = i64::from(u16::from_be_bytes([digest[0], digest[1]])) % (24 * 60);
    let begin = midnight(day).as_second() + scattered * 60;
    let at = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    Step {
        begin: at(begin),
        end: Some(at(begin + minutes * 60)),
        kind: StepKind::BrownOut,
    }
}

fn midnight(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

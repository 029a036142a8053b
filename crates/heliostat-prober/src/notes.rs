//! What is noted while an endpoint is looked at, and how it becomes a sample's findings.

use std::collections::BTreeSet;
use std::net::IpAddr;

use heliostat_directory::{Check, Class, FINDING_CHARS_MAX, FINDINGS_MAX, Finding, Gate, Level};
use heliostat_pypi::ProjectName;

use crate::evidence::Evidence;

/// What a sample tells in words of what failed.
const FAULTS_MAX: usize = 8;
const FAULT_CHARS_MAX: usize = 200;

/// Everything noted of one endpoint in one round.
#[derive(Debug)]
pub(crate) struct Notes<'a> {
    now: i64,
    before: &'a [Finding],
    findings: Vec<Finding>,
    pub(crate) evidence: Vec<Evidence>,
    /// Projects whose pages were looked at, so that what was found of them before is out of date.
    judged: BTreeSet<ProjectName>,
}

impl<'a> Notes<'a> {
    /// Nothing yet. `before` is what the last round found, which tells since when things are so.
    pub(crate) fn new(now: i64, before: &'a [Finding]) -> Self {
        Self {
            now,
            before,
            findings: Vec::new(),
            evidence: Vec::new(),
            judged: BTreeSet::new(),
        }
    }

    /// A project's page was looked at.
    pub(crate) fn judged(&mut self, project: &ProjectName) {
        self.judged.insert(project.clone());
    }

    /// Since when a check has something to say about an address, without a break.
    pub(crate) fn since(&self, check: Check, address: Option<IpAddr>) -> i64 {
        let same = |finding: &&Finding| finding.check == check && finding.address == address;
        let since = self.before.iter().filter(same).map(|finding| finding.since);
        since.min().unwrap_or(self.now)
    }

    pub(crate) fn note(&mut self, check: Check, address: Option<IpAddr>, text: impl Into<String>) {
        let _known_or_new = self.push(check, Level::Note, None, (address, text.into()));
    }

    pub(crate) fn warn(&mut self, check: Check, address: Option<IpAddr>, text: impl Into<String>) {
        let _known_or_new = self.push(check, Level::Warning, None, (address, text.into()));
    }

    /// Something keeps people from using it.
    pub(crate) fn fault(&mut self, check: Check, address: Option<IpAddr>, text: impl Into<String>) {
        let _known_or_new = self.push(check, Level::Fault, None, (address, text.into()));
    }

    /// A gate is not passed, and this proves it. There is no other way to close one. Where the last round found the same,
    /// its proof stands.
    pub(crate) fn prove(
        &mut self,
        (check, gate): (Check, Gate),
        address: Option<IpAddr>,
        text: String,
        evidence: Evidence,
    ) {
        let is_new = self.push(check, Level::Fault, Some(gate), (address, text));
        let Some(last) = self.findings.last_mut().filter(|_| is_new) else {
            return;
        };
        let same = |finding: &&Finding| {
            (finding.check, finding.address) == (last.check, last.address)
                && finding.text == last.text
        };
        let known = self.before.iter().find(same);
        if let Some(known) = known.and_then(|finding| finding.evidence.clone()) {
            last.evidence = Some(known);
            return;
        }
        last.evidence = Some(evidence.sha256.to_hex());
        self.evidence.push(evidence);
    }

    /// Whether it was not noted already.
    fn push(
        &mut self,
        check: Check,
        level: Level,
        gate: Option<Gate>,
        (address, text): (Option<IpAddr>, String),
    ) -> bool {
        let text: String = text.chars().take(FINDING_CHARS_MAX).collect();
        let known = self.findings.iter().any(|finding| {
            finding.check == check && finding.address == address && finding.text == text
        });
        if known || self.findings.len() >= FINDINGS_MAX {
            return false;
        }
        self.findings.push(Finding {
            check,
            level,
            gate,
            address,
            since: self.since(check, address),
            text,
            project: None,
            evidence: None,
        });
        true
    }

    /// Says which project the last finding is about.
    pub(crate) fn about(&mut self, project: &ProjectName) {
        if let Some(last) = self.findings.last_mut() {
            last.project.get_or_insert_with(|| project.to_string());
        }
    }

    /// Projects that these checks had something to say about in the last round.
    pub(crate) fn projects_before<const N: usize>(&self, checks: [Check; N]) -> Vec<ProjectName> {
        self.before
            .iter()
            .filter(|finding| checks.contains(&finding.check))
            .filter_map(|finding| finding.project.as_deref()?.parse().ok())
            .collect()
    }

    /// Every gate that is not passed.
    pub(crate) fn gates(&self) -> BTreeSet<Gate> {
        self.findings
            .iter()
            .filter_map(|finding| finding.gate)
            .collect()
    }

    /// The findings of a round of this class, with those of slower checks, which were not made.
    pub(crate) fn into_findings(self, class: Class) -> (Vec<Finding>, Vec<Evidence>) {
        let mut findings = self.findings;
        let judged = &self.judged;
        let is_old = |finding: &Finding| {
            let project = finding.project.as_deref();
            project.is_some_and(|project| judged.iter().any(|name| name.as_str() == project))
        };
        let kept = (self.before.iter())
            .filter(|finding| finding.check.class() > class && !is_old(finding));
        for finding in kept {
            // A fast check may note what belongs to a slower one; that stands once.
            let noted = findings.iter().any(|noted| {
                (noted.check, noted.address) == (finding.check, finding.address)
                    && noted.text == finding.text
            });
            if noted {
                continue;
            }
            // What closed a gate is remembered with its age and its proof, and closes it again when it is seen again.
            findings.push(Finding {
                level: finding.gate.map_or(finding.level, |_| Level::Note),
                gate: None,
                ..finding.clone()
            });
        }
        findings.truncate(FINDINGS_MAX);
        (findings, self.evidence)
    }
}

/// What failed, in words.
pub(crate) fn faults(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.level == Level::Fault)
        .take(FAULTS_MAX)
        .map(|finding| finding.text.chars().take(FAULT_CHARS_MAX).collect())
        .collect()
}

/// How many different checks warn.
pub(crate) fn warnings(findings: &[Finding]) -> u32 {
    let checks: BTreeSet<Check> = findings
        .iter()
        .filter(|finding| finding.level == Level::Warning)
        .map(|finding| finding.check)
        .collect();
    u32::try_from(checks.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prove(notes: &mut Notes<'_>, text: &str) {
        let evidence = Evidence {
            sha256: heliostat_pypi::Sha256::of(format!("{text} at {}", notes.now).as_bytes()),
            bytes: Vec::new(),
        };
        let kind = (Check::Deletions, Gate::Deletions);
        notes.prove(kind, None, text.to_owned(), evidence);
    }

    #[test]
    fn what_is_found_again_is_proved_once() {
        let mut first = Notes::new(1000, &[]);
        prove(&mut first, "serves one");
        prove(&mut first, "serves one");
        let (before, evidence) = first.into_findings(Class::Hourly);
        assert_eq!((before.len(), evidence.len()), (1, 1));
        let mut second = Notes::new(1300, &before);
        prove(&mut second, "serves one");
        prove(&mut second, "serves another");
        let (after, evidence) = second.into_findings(Class::Hourly);
        assert_eq!((after.len(), evidence.len()), (2, 1));
        assert_eq!(after[0].evidence, before[0].evidence);
        assert_eq!(after[1].evidence, Some(evidence[0].sha256.to_hex()));
    }

    #[test]
    fn what_a_fast_check_notes_for_a_slower_one_stands_once_in_every_round() {
        let mut before = Vec::new();
        for round in 0..60 {
            let mut notes = Notes::new(1000 + 300 * round, &before);
            notes.note(Check::SampleIndex, None, "offers no core metadata");
            if round == 0 {
                notes.warn(Check::Hsts, None, "no header");
            }
            let class = if round == 0 {
                Class::Daily
            } else {
                Class::Minutes
            };
            let (after, _) = notes.into_findings(class);
            let found: Vec<(Check, i64)> = (after.iter())
                .map(|finding| (finding.check, finding.since))
                .collect();
            assert_eq!(found, [(Check::SampleIndex, 1000), (Check::Hsts, 1000)]);
            before = after;
        }
        // A history that doubled them before is put right.
        let doubled: Vec<Finding> = before.iter().cycle().take(8).cloned().collect();
        let (after, _) = Notes::new(99_000, &doubled).into_findings(Class::Minutes);
        assert_eq!(after.len(), 2);
    }

    #[test]
    fn what_slower_checks_found_stays_and_keeps_its_age() {
        let mut first = Notes::new(1000, &[]);
        first.warn(Check::Hsts, None, "no header");
        first.warn(Check::LastModified, None, "in the future");
        prove(&mut first, "offers what was deleted");
        let (before, _) = first.into_findings(Class::Daily);
        let mut second = Notes::new(1300, &before);
        second.warn(Check::LastModified, None, "still in the future");
        let (after, _) = second.into_findings(Class::Minutes);
        let seen: Vec<(Check, i64)> = after
            .iter()
            .map(|finding| (finding.check, finding.since))
            .collect();
        assert_eq!(
            seen,
            [
                (Check::LastModified, 1000),
                (Check::Hsts, 1000),
                (Check::Deletions, 1000)
            ]
        );
        assert_eq!(warnings(&after), 2);
        assert_eq!((after[2].level, after[2].gate), (Level::Note, None));
        // Seen again, it is as old as it is, and its proof is the first.
        let mut third = Notes::new(4000, &after);
        prove(&mut third, "offers what was deleted");
        let (last, evidence) = third.into_findings(Class::Hourly);
        assert_eq!((last[0].since, evidence.len()), (1000, 0));
        assert_eq!(last[0].evidence, after[2].evidence);
    }
}

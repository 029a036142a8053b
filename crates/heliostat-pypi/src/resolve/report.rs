//! Says in words why requirements cannot be met.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use pubgrub::{
    DefaultStringReporter, DerivationTree, Derived, External, Map, Ranges, ReportFormatter,
    Reporter as _, Term,
};

use super::Known;
use super::candidates::Candidates;
use super::provider::Package;
use crate::ProjectName;

type Version = pep440_rs::Version;
type Range = Ranges<Version>;
type Tree = DerivationTree<Package, Range, String>;

/// How many versions are listed by name.
const LISTED_MAX: usize = 3;
/// How many lines an explanation has at most.
const LINES_MAX: usize = 60;

/// Explains, in sentences of one line each.
pub(super) fn explain(
    tree: &Tree,
    candidates: &HashMap<ProjectName, Arc<Candidates>>,
    known: &Known,
) -> String {
    let report = DefaultStringReporter::report_with_formatter(tree, &Words { candidates, known });
    let mut lines: Vec<&str> = report.lines().filter(|line| !line.is_empty()).collect();
    if lines.len() > LINES_MAX {
        // The end tells what it comes to.
        lines.drain(..lines.len() - LINES_MAX);
        lines.insert(0, "…");
    }
    lines.join("\n")
}

struct Words<'a> {
    candidates: &'a HashMap<ProjectName, Arc<Candidates>>,
    known: &'a Known,
}

impl Words<'_> {
    /// A package in a range, as `tool 1.0 or 1.1`, `tool 1.0 to 2.3`, or `every version of tool`.
    fn versions(&self, package: &Package, range: &Range) -> String {
        let (Package::Project(name) | Package::Extra(name, _)) = package else {
            return package.to_string();
        };
        let candidates = self.candidates.get(name);
        let all: Vec<&Version> = candidates
            .into_iter()
            .flat_map(|candidates| candidates.versions())
            .collect();
        let places: Vec<usize> = (0..all.len())
            .filter(|at| range.contains(all[*at]))
            .collect();
        match &places[..] {
            [] => self.range(package, range),
            _ if places.len() == all.len() && all.len() > 1 => {
                format!("every version of {package}")
            }
            [.., _] if places.len() <= LISTED_MAX => {
                let listed: Vec<String> = places.iter().map(|at| all[*at].to_string()).collect();
                format!("{package} {}", listed.join(" or "))
            }
            [first, .., last] if last - first + 1 == places.len() => {
                format!("{package} {} to {}", all[*first], all[*last])
            }
            _ => self.range(package, range),
        }
    }

    /// A package in a range as requirements are written: `tool>=1,<2`.
    #[expect(clippy::unused_self, reason = "the words come from one place")]
    fn range(&self, package: &Package, range: &Range) -> String {
        if *package == Package::Root || *range == Ranges::full() {
            return package.to_string();
        }
        let parts: Vec<String> = range.iter().map(|(low, high)| segment(low, high)).collect();
        match &parts[..] {
            [] => format!("no version of {package}"),
            [one] => format!("{package}{one}"),
            // What lies between two parts is a single version that is left out, as often as not.
            _ => format!("{package} ({})", parts.join(" or ")),
        }
    }

    fn no_versions(&self, package: &Package, range: &Range) -> String {
        let (Package::Project(name) | Package::Extra(name, _)) = package else {
            return format!("there is no {package}");
        };
        if self.known.page(name).is_none() {
            return format!("the index has no project {name}");
        }
        let wanted = self.range(package, range);
        match self
            .candidates
            .get(name)
            .and_then(|candidates| candidates.unusable_in(range))
        {
            Some((1, reason)) => format!(
                "there is one version for {wanted}, which does not install here because {reason}"
            ),
            Some((count, reason)) => {
                format!(
                    "there are {count} versions for {wanted}, none of which installs here (of the newest: {reason})"
                )
            }
            None => format!("there is no version for {wanted}"),
        }
    }

    /// Whether it only says that there are no versions beside those spoken of.
    fn goes_without_saying(&self, external: &External<Package, Range, String>) -> bool {
        let External::NoVersions(Package::Project(name) | Package::Extra(name, _), range) =
            external
        else {
            return false;
        };
        let Some((candidates, (low, high))) = self.candidates.get(name).zip(range.bounding_range())
        else {
            return false;
        };
        let hull: Range = Ranges::from_range_bounds::<_, Version>((low.cloned(), high.cloned()));
        candidates.versions().any(|version| hull.contains(version))
    }

    fn because(
        &self,
        externals: &[&External<Package, Range, String>],
        terms: &Map<Package, Term<Range>>,
        word: &str,
    ) -> String {
        let causes: Vec<String> = externals
            .iter()
            .filter(|external| !self.goes_without_saying(external))
            .map(|external| self.format_external(external))
            .collect();
        let conclusion = self.format_terms(terms);
        match &causes[..] {
            [] => format!("So {conclusion}."),
            [cause] if *cause == conclusion => format!("{conclusion}."),
            _ => format!("{word} {}, {conclusion}.", causes.join(" and ")),
        }
    }
}

impl ReportFormatter<Package, Range, String> for Words<'_> {
    type Output = String;

    fn format_external(&self, external: &External<Package, Range, String>) -> String {
        match external {
            External::NotRoot(package, _) => format!("{package} is needed"),
            External::NoVersions(package, range) => self.no_versions(package, range),
            External::Custom(package, range, reason) => {
                format!("{} cannot be used: {reason}", self.versions(package, range))
            }
            External::FromDependencyOf(Package::Root, _, package, range) => {
                format!("you asked for {}", self.range(package, range))
            }
            External::FromDependencyOf(Package::Extra(name, _), _, Package::Project(own), _)
                if own == name =>
            {
                format!("an extra of {name} comes with {name} itself")
            }
            External::FromDependencyOf(package, versions, needed, range) => {
                format!(
                    "{} needs {}",
                    self.versions(package, versions),
                    self.range(needed, range)
                )
            }
        }
    }

    fn format_terms(&self, terms: &Map<Package, Term<Range>>) -> String {
        let mut terms: Vec<(&Package, &Term<Range>)> = terms.iter().collect();
        terms.sort_by_key(|(package, _)| *package);
        match &terms[..] {
            [] | [(Package::Root, Term::Positive(_))] => {
                "the requirements cannot be met".to_owned()
            }
            [(package, Term::Positive(range))] => {
                format!("{} cannot be used", self.versions(package, range))
            }
            [(package, Term::Negative(range))] => {
                format!("{} is needed", self.range(package, range))
            }
            [
                (Package::Root, Term::Positive(_)),
                (package, Term::Negative(range)),
            ] => {
                format!("it must be {}", self.range(package, range))
            }
            [
                (needing, Term::Positive(versions)),
                (package, Term::Negative(range)),
            ]
            | [
                (package, Term::Negative(range)),
                (needing, Term::Positive(versions)),
            ] => {
                let dependency = External::FromDependencyOf(
                    (*needing).clone(),
                    versions.clone(),
                    (*package).clone(),
                    range.clone(),
                );
                self.format_external(&dependency)
            }
            _ => {
                let words = terms
                    .iter()
                    .filter(|(package, _)| **package != Package::Root)
                    .map(|(package, term)| match term {
                        Term::Positive(range) => self.versions(package, range),
                        Term::Negative(range) => {
                            format!("anything but {}", self.range(package, range))
                        }
                    });
                let words: Vec<String> = words.collect();
                match &words[..] {
                    [one] => format!("{one} cannot be used"),
                    _ => format!("{} do not go together", words.join(" and ")),
                }
            }
        }
    }

    fn explain_both_external(
        &self,
        first: &External<Package, Range, String>,
        second: &External<Package, Range, String>,
        terms: &Map<Package, Term<Range>>,
    ) -> String {
        self.because(&[first, second], terms, "Because")
    }

    fn explain_both_ref(
        &self,
        first_line: usize,
        first: &Derived<Package, Range, String>,
        second_line: usize,
        second: &Derived<Package, Range, String>,
        terms: &Map<Package, Term<Range>>,
    ) -> String {
        let (first, second) = (
            self.format_terms(&first.terms),
            self.format_terms(&second.terms),
        );
        format!(
            "Because {first} ({first_line}) and {second} ({second_line}), {}.",
            self.format_terms(terms)
        )
    }

    fn explain_ref_and_external(
        &self,
        line: usize,
        derived: &Derived<Package, Range, String>,
        external: &External<Package, Range, String>,
        terms: &Map<Package, Term<Range>>,
    ) -> String {
        let (derived, conclusion) = (self.format_terms(&derived.terms), self.format_terms(terms));
        if self.goes_without_saying(external) {
            return format!("Because {derived} ({line}), {conclusion}.");
        }
        format!(
            "Because {derived} ({line}) and {}, {conclusion}.",
            self.format_external(external)
        )
    }

    fn and_explain_external(
        &self,
        external: &External<Package, Range, String>,
        terms: &Map<Package, Term<Range>>,
    ) -> String {
        self.because(&[external], terms, "And because")
    }

    fn and_explain_ref(
        &self,
        line: usize,
        derived: &Derived<Package, Range, String>,
        terms: &Map<Package, Term<Range>>,
    ) -> String {
        format!(
            "And because {} ({line}), {}.",
            self.format_terms(&derived.terms),
            self.format_terms(terms)
        )
    }

    fn and_explain_prior_and_external(
        &self,
        prior: &External<Package, Range, String>,
        external: &External<Package, Range, String>,
        terms: &Map<Package, Term<Range>>,
    ) -> String {
        self.because(&[prior, external], terms, "And because")
    }
}

/// One part of a range as specifiers. The bounds that stand for "and everything that belongs to it" are written as
/// the version they belong to.
fn segment(low: &Bound<Version>, high: &Bound<Version>) -> String {
    if let (Bound::Included(low), Bound::Included(high)) = (low, high)
        && low == high
    {
        return format!("=={low}");
    }
    if let (Bound::Included(low), Bound::Excluded(high)) = (low, high)
        && *high
            == low
                .clone()
                .with_post(Some(low.post().map_or(0, |post| post + 1)))
                .with_dev(Some(0))
    {
        return format!("=={low}");
    }
    let low = match low {
        Bound::Included(version) => format!(">={}", plain(version)),
        Bound::Excluded(version) => format!(">{}", plain(version)),
        Bound::Unbounded => String::new(),
    };
    let high = match high {
        Bound::Included(version) => format!("<={}", plain(version)),
        Bound::Excluded(version) if version.post() == Some(0) => format!("<={}", plain(version)),
        Bound::Excluded(version) => format!("<{}", plain(version)),
        Bound::Unbounded => String::new(),
    };
    match (low.is_empty(), high.is_empty()) {
        (false, false) => format!("{low},{high}"),
        _ => format!("{low}{high}"),
    }
}

fn plain(version: &Version) -> Version {
    let version = version.clone().with_min(None).with_max(None);
    let version = if version.dev() == Some(0) {
        version.with_dev(None)
    } else {
        version
    };
    if version.post() == Some(0) {
        version.with_post(None)
    } else {
        version
    }
}

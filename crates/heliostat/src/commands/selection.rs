//! What was asked to be mirrored, as the engine understands it: words and files in, sources of a selection out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_engine::sync::WishesGiven;
use heliostat_engine::{ClosureRequest, Context, closure};
use heliostat_pypi::resolve::SdistPolicy;
use heliostat_pypi::select::{
    IncludeKind, LockKind, NamePattern, Selection, read_lock, read_requirements,
};
use heliostat_pypi::tags::{Platform, Python, Target};
use heliostat_pypi::{ProjectName, Requirement, Specifiers};

use super::{UsageError, filters, sync};
use crate::cli::SyncArgs;
use crate::settings::Typed;
use crate::wire;

/// Requirements files that one call may read, includes counted.
const FILES_MAX: usize = 1_000;
const TYPED: &str = "command line";
const CONFIGURED: &str = "configuration";
const EXCLUDED: &str = "exclusions";

/// What one call asks for.
#[derive(Debug)]
pub(super) struct Given {
    /// For the engine.
    pub(super) wishes: WishesGiven,
    /// What was not taken from the files, for the person.
    pub(super) notes: Vec<String>,
    /// What each source requires, with extras and markers, for resolving.
    roots: BTreeMap<String, Vec<Requirement>>,
    constraints: Vec<Requirement>,
}

/// What words and files select, without a place to remember it.
#[derive(Debug)]
pub(super) struct Once {
    /// `None` where nothing is said.
    pub(super) selection: Option<Selection>,
    /// The versions that constraints allow of each project they name.
    pub(super) constraints: BTreeMap<ProjectName, Specifiers>,
    /// What was not taken from the files, for the person.
    pub(super) notes: Vec<String>,
}

/// Requirements and lock files, read.
#[derive(Debug, Default)]
struct Reading {
    requirements: Vec<Requirement>,
    constraints: Vec<Requirement>,
    notes: Vec<String>,
    seen: Vec<(PathBuf, IncludeKind)>,
}

/// Reads what was typed and the files it names.
pub(super) fn given(args: &SyncArgs, typed: Typed) -> anyhow::Result<Given> {
    let selection = &args.selection;
    let mut reading = Reading::default();
    for path in &selection.constraint {
        reading.read(path, IncludeKind::Constraints)?;
    }
    let mut roots = BTreeMap::new();
    let (mut words, required) = words(&selection.projects, &reading.constraints)?;
    roots.insert(
        if typed == Typed::InFile {
            CONFIGURED
        } else {
            TYPED
        }
        .to_owned(),
        required,
    );
    if selection.all {
        words.merge(Selection::everything());
    }
    let mut replaced = BTreeMap::new();
    let mut added = BTreeMap::new();
    match typed {
        Typed::InFile => drop(replaced.insert(CONFIGURED.to_owned(), words)),
        Typed::Here if words == Selection::default() => {}
        Typed::Here => drop(added.insert(TYPED.to_owned(), words)),
    }
    if !selection.exclude.is_empty() {
        let excluded = selection
            .exclude
            .iter()
            .map(|text| pattern(text))
            .collect::<Result<_, _>>()?;
        replaced.insert(
            EXCLUDED.to_owned(),
            Selection {
                excluded,
                ..Selection::default()
            },
        );
    }
    for path in &selection.requirement {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let source = format!("file {}", whole.display());
        let (chosen, required) = reading.file(path)?;
        replaced.insert(source.clone(), chosen);
        roots.insert(source, required);
    }
    let wishes = WishesGiven {
        replaced,
        added,
        others: sync::others(selection.only),
        filter: filters::filter(&args.filter)?,
        files: sync::files(args.no_files),
    };
    Ok(Given {
        wishes,
        notes: reading.notes,
        roots,
        constraints: reading.constraints,
    })
}

/// Reads what words and files select.
pub(super) fn once(
    projects: &[String],
    requirements: &[PathBuf],
    constraints: &[PathBuf],
) -> anyhow::Result<Once> {
    let mut reading = Reading::default();
    for path in constraints {
        reading.read(path, IncludeKind::Constraints)?;
    }
    let (mut selection, _) = words(projects, &reading.constraints)?;
    for path in requirements {
        let (chosen, _) = reading.file(path)?;
        if chosen.is_empty() {
            return Err(UsageError(format!("`{}` names no project", path.display())).into());
        }
        selection.merge(chosen);
    }
    let is_given = !projects.is_empty() || !requirements.is_empty();
    let mut allowed: BTreeMap<ProjectName, Specifiers> = BTreeMap::new();
    for constraint in &reading.constraints {
        if let Some(specifiers) = constraint.specifiers() {
            let known = allowed.entry(constraint.name.clone()).or_default();
            *known = known.and(specifiers);
        }
    }
    Ok(Once {
        selection: is_given.then_some(selection),
        constraints: allowed,
        notes: reading.notes,
    })
}

/// Replaces what this call asks for by the closure over its dependencies; returns what may make it incomplete.
pub(super) async fn close_over(
    context: &Context,
    args: &SyncArgs,
    given: &mut Given,
) -> anyhow::Result<Vec<String>> {
    if args.selection.all {
        return Err(UsageError(
            "`--with-deps` goes with named projects and files, not with `--all`".to_owned(),
        )
        .into());
    }
    let targets = targets(args)?;
    let jobs = usize::from(args.upstream.jobs);
    let sdists = if args.filter.wheels_only {
        SdistPolicy::Never
    } else {
        SdistPolicy::default()
    };
    let mut notes = Vec::new();
    let wishes = &mut given.wishes;
    for (source, selection) in wishes.replaced.iter_mut().chain(wishes.added.iter_mut()) {
        let Some(roots) = given.roots.get(source).filter(|roots| !roots.is_empty()) else {
            continue;
        };
        if !selection.patterns.is_empty() {
            return Err(UsageError(
                "`--with-deps` needs projects by name, not by pattern".to_owned(),
            )
            .into());
        }
        let request = ClosureRequest {
            requirements: roots,
            constraints: &given.constraints,
            targets: &targets,
            sdists,
            jobs,
        };
        let closure = closure(context, &request).await?;
        notes.extend(closure.notes);
        *selection = closure.selection;
    }
    Ok(notes)
}

/// Every Python on every platform that was named; this machine's platform when none was.
fn targets(args: &SyncArgs) -> anyhow::Result<Vec<Target>> {
    if args.filter.python.is_empty() {
        return Err(UsageError(
            "`--with-deps` needs to know for which Python: give `--python 3.12`".to_owned(),
        )
        .into());
    }
    let platforms = if args.filter.platform.is_empty() {
        vec![filters::this_platform()?]
    } else {
        args.filter
            .platform
            .iter()
            .map(|text| filters::platform(text))
            .collect::<anyhow::Result<Vec<Platform>>>()?
    };
    let pythons = args
        .filter
        .python
        .iter()
        .map(|text| filters::python(text))
        .collect::<anyhow::Result<Vec<Python>>>()?;
    Ok(pythons
        .iter()
        .flat_map(|python| {
            platforms.iter().map(|platform| Target {
                python: python.clone(),
                platform: platform.clone(),
            })
        })
        .collect())
}

/// Words: names, patterns, or requirements with a specifier.
fn words(
    words: &[String],
    constraints: &[Requirement],
) -> anyhow::Result<(Selection, Vec<Requirement>)> {
    let mut selection = Selection::default();
    let mut required = Vec::new();
    for word in words {
        if let Ok(name) = word.parse::<ProjectName>() {
            required.extend(name.as_str().parse::<Requirement>());
            selection.names.insert(name);
        } else if word.contains(['*', '?']) && !word.contains(['=', '<', '>', '~']) {
            selection.patterns.push(pattern(word)?);
        } else {
            let requirement: Requirement = word.parse().map_err(|error| {
                UsageError(format!(
                    "`{word}` is neither a project, a pattern nor a requirement: {error}"
                ))
            })?;
            let refused =
                selection.add_requirements(std::slice::from_ref(&requirement), constraints);
            if !refused.is_empty() {
                return Err(UsageError(format!(
                    "`{word}` names an address, which no index can serve"
                ))
                .into());
            }
            required.push(requirement);
        }
    }
    Ok((selection, required))
}

fn pattern(text: &str) -> Result<NamePattern, UsageError> {
    text.parse()
        .map_err(|error| UsageError(format!("`{text}` is not a pattern: {error}")))
}

impl Reading {
    /// One file that was named: a lock file, or requirements with everything they include.
    fn file(&mut self, path: &Path) -> anyhow::Result<(Selection, Vec<Requirement>)> {
        let mut selection = Selection::default();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if LockKind::of_filename(&name).is_some() {
            let text = text(path)?;
            let lock = read_lock(&name, &text)
                .map_err(|error| UsageError(format!("`{}`: {error}", path.display())))?;
            for skipped in &lock.skipped {
                self.notes.push(format!(
                    "{}: `{}` is not taken: {}",
                    path.display(),
                    skipped.name,
                    skipped.reason
                ));
            }
            selection.add_locked(&lock.packages);
            // A lock is closed over its dependencies already.
            return Ok((selection, Vec::new()));
        }
        let before = self.requirements.len();
        self.read(path, IncludeKind::Requirements)?;
        let requirements = self.requirements.split_off(before);
        for refused in selection.add_requirements(&requirements, &self.constraints) {
            self.notes.push(format!(
                "{}: `{}` names an address, which no index can serve",
                path.display(),
                refused.name
            ));
        }
        Ok((selection, requirements))
    }

    fn read(&mut self, path: &Path, kind: IncludeKind) -> anyhow::Result<()> {
        let key = (
            std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            kind,
        );
        if self.seen.contains(&key) {
            return Ok(());
        }
        if self.seen.len() >= FILES_MAX {
            return Err(UsageError(format!(
                "more than {FILES_MAX} requirements files include each other"
            ))
            .into());
        }
        self.seen.push(key);
        let read = read_requirements(&text(path)?);
        for line in &read.not_taken {
            self.notes.push(format!(
                "{}:{}: `{}` is not taken: {}",
                path.display(),
                line.line,
                line.text,
                line.reason
            ));
        }
        let into = match kind {
            IncludeKind::Requirements => &mut self.requirements,
            IncludeKind::Constraints => &mut self.constraints,
        };
        into.extend(read.entries.into_iter().map(|entry| entry.requirement));
        for include in read.includes {
            if include.path.contains("://") {
                self.notes.push(format!(
                    "{}:{}: `{}` is not taken: it is an address, not a file",
                    path.display(),
                    include.line,
                    include.path
                ));
                continue;
            }
            let beside = path.parent().unwrap_or(Path::new("")).join(&include.path);
            // A constraints file that includes requirements constrains by them too, as pip reads it.
            let inner = if kind == IncludeKind::Constraints {
                kind
            } else {
                include.kind
            };
            self.read(&beside, inner).with_context(|| {
                format!("included by `{}` line {}", path.display(), include.line)
            })?;
        }
        Ok(())
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = wire::read_small(path)
        .map_err(|error| UsageError(format!("cannot read `{}`: {error}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

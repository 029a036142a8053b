//! Made-up universes, and what must come of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::page::{CoreMetadata as Offered, ProjectPage, ProjectStatus, Yanked};
use crate::{TreePath, TreePath as Path};

/// An index made of lines: `tool 1.0 [wheel tags…] [sdist] [yanked] [python>=3.9] : requirement ; requirement`.
#[derive(Default)]
struct Universe {
    pages: BTreeMap<ProjectName, ProjectPage>,
    documents: BTreeMap<String, String>,
    steps: usize,
    fetched: usize,
}

fn file(name: &str) -> PageFile {
    PageFile {
        path: Path::new([0; 32], name).unwrap_or_else(|error| panic!("{error}")),
        url: String::new(),
        sha256: None,
        other_hashes: BTreeMap::new(),
        size_bytes: None,
        upload_time: None,
        requires_python: None,
        core_metadata: Offered::Offered,
        yanked: Yanked::No,
        provenance: None,
        provenance_sha256: None,
        gpg_sig: None,
    }
}

impl Universe {
    fn of(lines: &str) -> Self {
        let mut universe = Self::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            universe.add(line);
        }
        universe
    }

    fn add(&mut self, line: &str) {
        let (front, requirements) = line.split_once(" : ").unwrap_or((line, ""));
        let mut words = front.split_whitespace();
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        let project: ProjectName = name.parse().unwrap();
        let page = self
            .pages
            .entry(project.clone())
            .or_insert_with(|| ProjectPage {
                name: project,
                serial: None,
                status: ProjectStatus::default(),
                versions: Vec::new(),
                files: Vec::new(),
            });
        let mut files = Vec::new();
        let (mut yanked, mut requires_python, mut extras, mut is_silent) =
            (Yanked::No, None, Vec::new(), false);
        for word in words {
            if word == "sdist" {
                files.push(file(&format!("{name}-{version}.tar.gz")));
            } else if word == "yanked" {
                yanked = Yanked::Yes;
            } else if word == "silent" {
                is_silent = true;
            } else if let Some(specifiers) = word.strip_prefix("python") {
                requires_python = Some(specifiers.to_owned());
            } else if let Some(extra) = word.strip_prefix('+') {
                extras.push(extra.to_owned());
            } else {
                files.push(file(&format!("{name}-{version}-{word}.whl")));
            }
        }
        if files.is_empty() {
            files.push(file(&format!("{name}-{version}-py3-none-any.whl")));
        }
        let mut document = format!("Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n");
        for extra in extras {
            writeln!(document, "Provides-Extra: {extra}").unwrap();
        }
        for requirement in requirements.split(" & ").filter(|text| !text.is_empty()) {
            writeln!(document, "Requires-Dist: {requirement}").unwrap();
        }
        for mut file in files {
            file.yanked = yanked.clone();
            file.requires_python.clone_from(&requires_python);
            if !is_silent {
                self.documents
                    .insert(file.filename().to_owned(), document.clone());
            }
            page.files.push(file);
        }
    }

    fn answer(&mut self, question: Question) -> Step {
        let mut resolver = Resolver::new(question);
        let mut known = Known::new();
        loop {
            self.steps += 1;
            let need = match resolver.step(&known) {
                Step::Need(need) => need,
                step => return step,
            };
            assert!(
                !need.pages.is_empty() || !need.metadata.is_empty(),
                "an empty need"
            );
            for name in need.pages {
                assert!(!known.has_page(&name), "{name} was asked for twice");
                match self.pages.get(&name) {
                    Some(page) => known.add_page(page.clone()),
                    None => known.add_missing_page(name),
                }
            }
            for request in need.metadata {
                self.fetched += 1;
                let filename = request.file.filename();
                assert_eq!(
                    known.metadata(&request.project, filename),
                    None,
                    "{filename} was asked for twice"
                );
                match self.documents.get(filename) {
                    Some(document) => {
                        known.add_metadata(&request.project, filename, document.as_bytes());
                    }
                    None => known.add_unavailable_metadata(
                        &request.project,
                        filename,
                        "it is not offered",
                    ),
                }
            }
        }
    }

    fn resolve(&mut self, requirements: &str) -> Step {
        self.answer(question(requirements))
    }

    fn versions(&mut self, requirements: &str) -> String {
        versions(self.resolve(requirements))
    }
}

fn question(requirements: &str) -> Question {
    Question {
        requirements: requirements
            .split(" & ")
            .map(|text| text.parse().unwrap())
            .collect(),
        constraints: Vec::new(),
        target: Target {
            python: "3.12".parse().unwrap(),
            platform: "linux_x86_64".parse().unwrap(),
        },
        sdists: SdistPolicy::LastResort,
    }
}

fn solution(step: Step) -> Solution {
    match step {
        Step::Done(solution) => solution,
        other => panic!("no solution: {other:?}"),
    }
}

fn versions(step: Step) -> String {
    let packages = solution(step).packages.into_iter();
    let words: Vec<String> = packages
        .map(|resolved| format!("{} {}", resolved.name, resolved.version))
        .collect();
    words.join(", ")
}

fn conflict(step: Step) -> String {
    match step {
        Step::Conflict(report) => report,
        other => panic!("no conflict: {other:?}"),
    }
}

#[test]
fn the_newest_of_everything_that_is_needed() {
    let mut universe = Universe::of(
        "app 1.0 : left>=1 & right
         app 2.0 : left>=1 & right<3
         left 1.0
         left 1.5 : deep
         right 2.0 : deep>=1
         right 3.0 : deep>=2
         deep 1.0
         deep 2.0
         deep dev-r1
         unrelated 1.0",
    );
    assert_eq!(
        universe.versions("app"),
        "app 2.0, deep 2.0, left 1.5, right 2.0"
    );
    assert_eq!(
        universe.versions("app==1.*"),
        "app 1.0, deep 2.0, left 1.5, right 3.0"
    );
}

#[test]
fn conflicts_are_backtracked_from() {
    let mut universe = Universe::of(
        "app 1.0 : shared<2
         app 2.0 : shared>=3
         other 1.0 : shared<3
         shared 1.0
         shared 2.0
         shared 3.0",
    );
    assert_eq!(
        universe.versions("app & other"),
        "app 1.0, other 1.0, shared 1.0"
    );
}

#[test]
fn extras_bring_their_requirements() {
    let mut universe = Universe::of(
        "app 1.0 +cli +all : click ; extra == 'cli' & base & app[cli] ; extra == 'all' & nothing ; extra == 'doc'
         app 2.0 +other : base
         tool 1.0 : App[CLI]<2
         click 8.0
         base 1.0",
    );
    assert_eq!(universe.versions("app<2"), "app 1.0, base 1.0");
    assert_eq!(
        universe.versions("app[cli]<2"),
        "app 1.0, base 1.0, click 8.0"
    );
    assert_eq!(
        universe.versions("app[all]<2"),
        "app 1.0, base 1.0, click 8.0"
    );
    assert_eq!(
        universe.versions("tool"),
        "app 1.0, base 1.0, click 8.0, tool 1.0"
    );
    // As pip: an extra that does not exist brings nothing.
    assert_eq!(universe.versions("app[unheard]"), "app 2.0, base 1.0");
    let packages = solution(universe.resolve("app[all]<2")).packages;
    let extras: Vec<&str> = packages[0].extras.iter().map(ExtraName::as_str).collect();
    assert_eq!(extras, ["all", "cli"]);
}

#[test]
fn markers_are_those_of_the_target() {
    let mut universe = Universe::of(
        "app 1.0 : win ; sys_platform == 'win32' & lin ; sys_platform == 'linux' & old ; python_version < '3.9' & early ; python_full_version < '3.12.3'
         win 1.0
         lin 1.0
         old 1.0
         early 1.0",
    );
    assert_eq!(universe.versions("app"), "app 1.0, early 1.0, lin 1.0");
    let target = Target {
        python: "3.12.4".parse().unwrap(),
        platform: "win_amd64".parse().unwrap(),
    };
    assert_eq!(
        versions(universe.answer(Question {
            target,
            ..question("app & old ; os_name == 'java'")
        })),
        "app 1.0, win 1.0"
    );
}

#[test]
fn files_are_those_that_fit_the_target() {
    let mut universe = Universe::of(
        "app 1.0 cp312-cp312-manylinux_2_17_x86_64 cp312-cp312-manylinux_2_28_x86_64 cp311-cp311-manylinux_2_17_x86_64 cp312-cp312-win_amd64 py3-none-any sdist
         app 2.0 cp313-cp313-manylinux_2_17_x86_64
         app 3.0 cp312-cp312-win_amd64 sdist
         app 4.0 python>=3.13",
    );
    let resolved = solution(universe.resolve("app")).packages.remove(0);
    assert_eq!(
        resolved.files,
        [
            "app-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
            "app-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
            "app-1.0-py3-none-any.whl",
            "app-1.0.tar.gz",
        ]
    );
    for (sdists, expected) in [
        (SdistPolicy::Newest, "app 3.0"),
        (SdistPolicy::Never, "app 1.0"),
    ] {
        assert_eq!(
            versions(universe.answer(Question {
                sdists,
                ..question("app")
            })),
            expected
        );
    }
    assert_eq!(universe.versions("app>=2"), "app 3.0");
}

#[test]
fn prereleases_only_when_asked_for_or_alone() {
    let mut universe = Universe::of(
        "app 1.0
         app 2.0rc1
         new 0.1a1
         new 0.1a2
         wants-app 1.0 : app>=2.0rc1
         capped 1.0 : app>1.0",
    );
    assert_eq!(universe.versions("app"), "app 1.0");
    assert_eq!(universe.versions("app>=2.0rc1"), "app 2.0rc1");
    assert_eq!(universe.versions("app>=1.0b1"), "app 2.0rc1");
    assert_eq!(universe.versions("new"), "new 0.1a2");
    assert_eq!(universe.versions("wants-app"), "app 2.0rc1, wants-app 1.0");
    assert_eq!(universe.versions("app & capped"), "app 2.0rc1, capped 1.0");
}

#[test]
fn yanked_only_when_pinned() {
    let mut universe = Universe::of(
        "app 1.0
         app 1.1 yanked
         gone 1.0 yanked
         pins 1.0 : app==1.1",
    );
    assert_eq!(universe.versions("app"), "app 1.0");
    assert_eq!(universe.versions("app==1.1"), "app 1.1");
    assert_eq!(universe.versions("pins & app"), "app 1.1, pins 1.0");
    conflict(universe.resolve("gone"));
}

#[test]
fn local_builds_satisfy_their_public_version() {
    let mut universe = Universe::of("torch 2.1+cpu\n vision 1.0 : torch==2.1");
    assert_eq!(universe.versions("vision"), "torch 2.1+cpu, vision 1.0");
}

#[test]
fn constraints_narrow_and_select_nothing() {
    let mut universe = Universe::of("app 1.0 : deep\n deep 1.0\n deep 2.0\n idle 1.0");
    let constraints = vec![
        "deep<2".parse().unwrap(),
        "idle==1".parse().unwrap(),
        "deep<1 ; os_name == 'nt'".parse().unwrap(),
    ];
    assert_eq!(
        versions(universe.answer(Question {
            constraints,
            ..question("app")
        })),
        "app 1.0, deep 1.0"
    );
}

#[test]
fn circles_are_no_trouble() {
    let mut universe = Universe::of(
        "egg 1.0 +x : hen & egg[x] ; extra == 'x' & egg ; extra == 'x' & egg>=1
         egg 2.0 : hen & egg<2
         hen 1.0 : egg[x]",
    );
    assert_eq!(universe.versions("hen"), "egg 1.0, hen 1.0");
}

#[test]
fn what_an_sdist_needs_is_told_or_noted() {
    let mut universe = Universe::of(
        "told 1.0 sdist : deep
         untold 1.0 sdist silent
         untold 0.9 py3-none-any : deep
         deep 1.0
         addressed 1.0 : elsewhere @ https://e.example/elsewhere.zip & deep & (bad",
    );
    assert_eq!(universe.versions("told"), "deep 1.0, told 1.0");
    assert_eq!(universe.versions("untold"), "deep 1.0, untold 0.9");
    let solution =
        solution(universe.resolve("untold>=1 & addressed & asked @ https://e.example/a.zip"));
    let notes: Vec<String> = solution.notes.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(notes.join("\n"));
}

#[test]
fn wheels_without_metadata_are_passed_over() {
    let mut universe = Universe::of("app 1.0\n app 2.0 silent\n app 3.0 : missing");
    assert_eq!(universe.versions("app"), "app 1.0");
    let report = conflict(universe.resolve("app>=2"));
    assert!(
        report.contains("the index has no project missing"),
        "{report}"
    );
    assert!(report.contains("cannot be had"), "{report}");
}

#[test]
fn conflicts_are_explained() {
    let mut universe = Universe::of(
        "app 1.0 : shared<2 & left
         app 2.0 : shared<2 & left
         other 1.0 : shared>=2
         shared 1.0
         shared 2.0
         left 1.0 : missing>=3
         windows 1.0 cp312-cp312-win_amd64
         windows 1.1 cp312-cp312-win_amd64
         young 1.0 python>=3.13
         uses 1.0 +x : windows
         versions 1.0
         versions 2.0
         versions 3.0",
    );
    let questions = [
        "app & other",
        "app",
        "windows",
        "young",
        "uses[x]",
        "versions>=5",
        "versions>2 & versions<3",
        "nothing",
        "versions==1.0 & versions==2.0",
    ];
    let reports = questions.map(|requirements| {
        format!(
            "# {requirements}\n{}",
            conflict(universe.resolve(requirements))
        )
    });
    insta::assert_snapshot!(reports.join("\n\n"));
}

#[test]
fn needs_come_together() {
    // Twenty projects side by side, each with one below it: page, metadata, page, metadata.
    let mut lines = String::new();
    let mut requirements = Vec::new();
    for number in 0..20 {
        writeln!(lines, "top{number} 1.0 : below{number}\nbelow{number} 1.0").unwrap();
        requirements.push(format!("top{number}"));
    }
    let mut universe = Universe::of(&lines);
    assert_eq!(
        solution(universe.resolve(&requirements.join(" & ")))
            .packages
            .len(),
        40
    );
    assert_eq!((universe.steps, universe.fetched), (5, 40));
}

#[test]
fn long_backtracking_asks_ahead() {
    // Every newer `tool` needs a `base` that is too new; only the oldest fits.
    let mut lines = "base 1\nfixed 1 : base==1\ntool 0 : base\n".to_owned();
    for number in 1..=200 {
        write!(
            lines,
            "base {}\ntool {number} : base=={}\n",
            number + 1,
            number + 1
        )
        .unwrap();
    }
    let mut universe = Universe::of(&lines);
    assert_eq!(universe.versions("tool & fixed"), "base 1, fixed 1, tool 0");
    assert!(universe.steps < 30, "{} steps", universe.steps);
}

#[test]
fn the_same_question_has_the_same_answer() {
    let lines = "app 1 : a & b & c\na 1 : d<3\nb 1 : d>1\nc 1 : d!=2\nc 2 : d==2\nd 1\nd 2\nd 3\n";
    let first = Universe::of(lines).versions("app");
    assert_eq!(first, "a 1, app 1, b 1, c 2, d 2");
    for _ in 0..5 {
        assert_eq!(Universe::of(lines).versions("app"), first);
    }
}

#[test]
fn hostile_names_and_numbers_are_only_passed_over() {
    let mut universe = Universe::of(
        "app 1.0 : deep==18446744073709551615.1 & deep ; python_version ~= 'x'\n deep 1.0",
    );
    let solution = solution(universe.resolve("app"));
    assert_eq!(solution.notes.len(), 1, "{:?}", solution.notes);
    assert!(TreePath::new([0; 32], &solution.packages[0].files[0]).is_ok());
}

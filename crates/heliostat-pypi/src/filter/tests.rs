//! What each rule leaves out, and that it leaves out nothing else.

use proptest::prelude::*;

use super::*;
use crate::page::{PageFile, ProjectStatus, Yanked};
use crate::select::WantedVersions;
use crate::{TreePath, Version};

const NOW: i64 = 1_750_000_000;
const DAY: u64 = 86_400;

fn file(name: &str) -> PageFile {
    PageFile {
        path: TreePath::new([0; 32], name).unwrap(),
        url: format!("https://e.example/{name}"),
        sha256: None,
        other_hashes: BTreeMap::new(),
        size_bytes: None,
        upload_time: None,
        requires_python: None,
        core_metadata: crate::page::CoreMetadata::Absent,
        yanked: Yanked::No,
        provenance: None,
        provenance_sha256: None,
        gpg_sig: None,
    }
}

fn page(files: Vec<PageFile>) -> ProjectPage {
    let status = ProjectStatus::default();
    ProjectPage {
        name: "acme".parse().unwrap(),
        serial: None,
        status,
        versions: Vec::new(),
        files,
    }
}

fn kept(filter: &FileFilter, names: &[&str]) -> Vec<String> {
    kept_of(filter, &page(names.iter().map(|name| file(name)).collect()))
}

fn kept_of(filter: &FileFilter, page: &ProjectPage) -> Vec<String> {
    let decisions = filter.apply(page, &Wanted::AllVersions, NOW);
    assert_eq!(decisions.len(), page.files.len());
    let kept = page
        .files
        .iter()
        .zip(decisions)
        .filter(|(_, decision)| decision.is_kept());
    kept.map(|(file, _)| file.filename().trim_start_matches("acme-").to_owned())
        .collect()
}

fn filter(json: &str) -> FileFilter {
    let filter: FileFilter = serde_json::from_str(json).unwrap();
    let again = serde_json::from_str(&serde_json::to_string(&filter).unwrap()).unwrap();
    assert_eq!(filter, again);
    filter
}

#[test]
fn the_default_keeps_everything() {
    assert!(filter("{}").keeps_everything());
    let names = [
        "acme-1.0.tar.gz",
        "acme-dev-r12.zip",
        "acme.zip",
        "acme-1.0.win32.exe",
    ];
    assert_eq!(kept(&FileFilter::default(), &names).len(), 4);
    assert!(serde_json::from_str::<FileFilter>(r#"{"latst":3}"#).is_err());
}

#[test]
fn versions_by_range_and_project() {
    let names = [
        "acme-0.9.zip",
        "acme-1.0.zip",
        "acme-2.0rc1.zip",
        "acme-2.0.zip",
        "acme-weird-r1.zip",
    ];
    assert_eq!(
        kept(&filter(r#"{"versions":">=1,<2"}"#), &names),
        ["1.0.zip"]
    );
    let own = filter(r#"{"versions":">=1","project-versions":{"Acme":"<1"}}"#);
    assert_eq!(kept(&own, &names), ["0.9.zip"]);
    let finals = filter(r#"{"prereleases":"drop"}"#);
    assert_eq!(
        kept(&finals, &names),
        ["0.9.zip", "1.0.zip", "2.0.zip", "weird-r1.zip"]
    );
}

#[test]
fn the_latest_releases() {
    for (count, names, expected) in [
        (
            1,
            &["1.0.zip", "1.0-py3-none-any.whl", "0.9.zip"][..],
            &["1.0.zip", "1.0-py3-none-any.whl"][..],
        ),
        (
            2,
            &["1.9.zip", "1.10.zip", "1.2.zip"],
            &["1.9.zip", "1.10.zip"],
        ),
        // Only what is newer than the newest final release stays beside it.
        (
            1,
            &["1.0.zip", "1.0rc1.zip", "2.0rc1.zip", "2.0rc2.zip"],
            &["1.0.zip", "2.0rc2.zip"],
        ),
        (
            2,
            &["1.0a1.zip", "1.0a2.zip", "1.0a3.zip"],
            &["1.0a2.zip", "1.0a3.zip"],
        ),
        (1, &["dev-r1.zip", "1.0.zip"], &["1.0.zip"]),
        (1, &["dev-r1.zip", "dev-r2.zip"], &["dev-r2.zip"]),
        (5, &["dev-r1.zip", "1.0.zip"], &["dev-r1.zip", "1.0.zip"]),
        (
            1,
            &["1.0.zip", "1.0.0.tar.gz"],
            &["1.0.zip", "1.0.0.tar.gz"],
        ),
    ] {
        let names: Vec<String> = names.iter().map(|name| format!("acme-{name}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(
            kept(&filter(&format!(r#"{{"latest":{count}}}"#)), &names),
            expected,
            "{count} of {names:?}"
        );
    }
    // A release with nothing left by the other rules is not counted.
    let wheels = filter(r#"{"latest":1,"kinds":"wheels"}"#);
    assert_eq!(
        kept(&wheels, &["acme-2.0.zip", "acme-1.0-py3-none-any.whl"]),
        ["1.0-py3-none-any.whl"]
    );
}

#[test]
fn platforms_are_read_as_tags() {
    let names = [
        "acme-1-cp312-cp312-win_amd64.whl",
        "acme-1-cp312-cp312-macosx_11_0_arm64.whl",
        "acme-1-cp312-cp312-macosx_10_9_universal2.whl",
        "acme-1-cp312-cp312-macosx_10_9_x86_64.macosx_11_0_arm64.whl",
        "acme-1-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "acme-1-cp312-cp312-manylinux_2_28_aarch64.whl",
        "acme-1-cp312-cp312-musllinux_1_2_x86_64.whl",
        "acme-1-py3-none-any.whl",
        "acme-1.tar.gz",
        "acme-1.win32-py2.7.exe",
    ];
    for (json, left_out) in [
        (r#"{"exclude-platforms":["windows"]}"#, &[0, 9][..]),
        (r#"{"exclude-platforms":["macos"]}"#, &[1, 2, 3]),
        (r#"{"exclude-platforms":["linux"]}"#, &[4, 5, 6]),
        (r#"{"exclude-platforms":["musllinux"]}"#, &[6]),
        (r#"{"exclude-platforms":["aarch64"]}"#, &[1, 5]),
        (
            r#"{"exclude-platforms":["macos-x86_64","macos-arm64"]}"#,
            &[1, 2, 3],
        ),
        (r#"{"platforms":["linux"]}"#, &[0, 1, 2, 3, 9]),
        (
            r#"{"platforms":["manylinux_2_17_x86_64"]}"#,
            &[0, 1, 2, 3, 5, 6, 9],
        ),
        (
            r#"{"platforms":["linux"],"exclude-platforms":["x86_64"]}"#,
            &[0, 1, 2, 3, 4, 6, 9],
        ),
        (r#"{"platforms":["arm64"]}"#, &[0, 4, 6, 9]),
        (r#"{"kinds":"wheels"}"#, &[8, 9]),
        (r#"{"exclude-files":["*.EXE","*-any.whl"]}"#, &[7, 9]),
    ] {
        let decisions =
            filter(json).apply(&page(names.map(file).into()), &Wanted::AllVersions, NOW);
        let dropped: Vec<usize> = (0..names.len())
            .filter(|at| !decisions[*at].is_kept())
            .collect();
        assert_eq!(dropped, left_out, "{json}");
    }
}

#[test]
fn pythons_are_served_by_stable_and_pure_wheels() {
    let names = [
        "acme-1-cp312-cp312-win_amd64.whl",
        "acme-1-cp311-cp311-win_amd64.whl",
        "acme-1-cp37-abi3-win_amd64.whl",
        "acme-1-cp313-abi3-win_amd64.whl",
        "acme-1-py2.py3-none-any.whl",
        "acme-1-py2-none-any.whl",
        "acme-1-py37-none-any.whl",
        "acme-1-pp310-pypy310_pp73-win_amd64.whl",
        "acme-1.tar.gz",
    ];
    for (json, left_out) in [
        (r#"{"pythons":["3.12"]}"#, &[1, 3, 5, 7][..]),
        (r#"{"pythons":["3.11","3.13"]}"#, &[0, 5, 7]),
        (r#"{"pythons":["pypy3.10"]}"#, &[0, 1, 2, 3, 5]),
    ] {
        let decisions =
            filter(json).apply(&page(names.map(file).into()), &Wanted::AllVersions, NOW);
        let dropped: Vec<usize> = (0..names.len())
            .filter(|at| !decisions[*at].is_kept())
            .collect();
        assert_eq!(dropped, left_out, "{json}");
    }
}

#[test]
fn requires_python_is_respected_where_it_can_be_read() {
    let files = [
        Some(">=3.13"),
        Some(">=3.8.*"),
        Some("<3"),
        Some("nonsense"),
        None,
    ]
    .map(|requires| PageFile {
        requires_python: requires.map(str::to_owned),
        ..file("acme-1.tar.gz")
    });
    let decisions =
        filter(r#"{"pythons":["3.12"]}"#).apply(&page(files.into()), &Wanted::AllVersions, NOW);
    let kept: Vec<bool> = decisions.iter().map(Decision::is_kept).collect();
    assert_eq!(kept, [false, true, false, true, true]);
    assert_eq!(decisions[0].to_string(), "left out: requires Python >=3.13");
}

#[test]
fn age_size_and_yank() {
    let uploaded = |name: &str, time: Option<&str>, size: Option<u64>| PageFile {
        upload_time: time.map(str::to_owned),
        size_bytes: size,
        ..file(name)
    };
    // 2025-06-15T15:06:40Z is now.
    let mut page = page(vec![
        uploaded("acme-1.zip", Some("2025-06-15T00:00:00.123456Z"), Some(10)),
        uploaded("acme-2.zip", Some("2025-06-01T00:00:00Z"), Some(11)),
        uploaded("acme-3.zip", Some("2020-01-01T00:00:00Z"), None),
        uploaded("acme-4.zip", None, Some(0)),
        uploaded("acme-5.zip", Some("2030-01-01T00:00:00Z"), Some(1)),
    ]);
    page.files[1].yanked = Yanked::Because("broken".to_owned());
    let month = 30 * DAY;
    assert_eq!(
        kept_of(&filter(&format!(r#"{{"age-max-seconds":{month}}}"#)), &page),
        ["1.zip", "2.zip", "4.zip", "5.zip"]
    );
    assert_eq!(
        kept_of(&filter(&format!(r#"{{"age-min-seconds":{DAY}}}"#)), &page),
        ["2.zip", "3.zip", "4.zip"]
    );
    assert_eq!(
        kept_of(&filter(r#"{"size-max-bytes":10}"#), &page),
        ["1.zip", "3.zip", "4.zip", "5.zip"]
    );
    assert_eq!(
        kept_of(&filter(r#"{"yanked":"drop"}"#), &page),
        ["1.zip", "3.zip", "4.zip", "5.zip"]
    );
    let unjudged = filter(r#"{"age-max-seconds":1}"#).apply(&page, &Wanted::AllVersions, NOW);
    assert_eq!(unjudged[3], Decision::KeepUnjudged(Unjudged::UploadTime));
}

#[test]
fn what_was_chosen_already_is_not_filtered_by_version() {
    let mut page = page(
        [
            "acme-1.0rc1.zip",
            "acme-1.0rc1-py3-none-any.whl",
            "acme-2.0.zip",
            "acme-3.0.zip",
        ]
        .map(file)
        .into(),
    );
    page.files[0].yanked = Yanked::Yes;
    let wanted = Wanted::Only(WantedVersions {
        any_of: vec![">=3".parse().unwrap()],
        exact: [Version::parse("1.0.0rc1")].into(),
        files: ["acme-2.0.zip".to_owned()].into(),
    });
    let filter = filter(
        r#"{"latest":1,"prereleases":"drop","yanked":"drop","versions":">=3","exclude-files":["*.whl","*2.0*"]}"#,
    );
    let kept: Vec<bool> = filter
        .apply(&page, &wanted, NOW)
        .iter()
        .map(Decision::is_kept)
        .collect();
    assert_eq!(kept, [true, false, true, true]);
    let nothing = filter.apply(&page, &Wanted::Only(WantedVersions::default()), NOW);
    assert!(
        nothing
            .iter()
            .all(|decision| *decision == Decision::Drop(Reason::NotSelected))
    );
}

proptest! {
    #[test]
    fn no_page_panics(names in proptest::collection::vec("acme-[0-9a-z.+!_-]{0,16}(\\.whl|\\.zip|\\.exe)", 0..6), time in "\\PC{0,20}") {
        let files = names.iter().map(|name| PageFile { upload_time: Some(time.clone()), ..file(name) });
        let page = page(files.collect());
        let filter = filter(r#"{"latest":2,"prereleases":"drop","age-max-seconds":5,"platforms":["linux"],"pythons":["3.12"]}"#);
        for wanted in [Wanted::AllVersions, Wanted::Only(WantedVersions { any_of: vec![">1".parse().unwrap()], ..WantedVersions::default() })] {
            prop_assert_eq!(filter.apply(&page, &wanted, NOW).len(), names.len());
        }
    }
}

use proptest::prelude::*;

use super::*;

fn github(repository: &str) -> Publisher {
    Publisher::GitHub {
        repository: repository.to_owned(),
        workflow: "release.yml".to_owned(),
    }
}

fn known(attested: Coverage, publishers: &[&str]) -> Known {
    Known {
        version: "1.0".to_owned(),
        attested,
        publishers: publishers.iter().copied().map(github).collect(),
    }
}

fn memory(known: Option<Known>) -> Memory {
    Memory {
        projects: known
            .into_iter()
            .map(|known| ("acme".parse().unwrap(), known))
            .collect(),
    }
}

#[test]
fn one_file_is_held_against_what_is_recorded_of_its_project() {
    use Coverage::{None as No, Partly, Whole};
    let table: [(Option<Known>, &[&str], Option<&str>); 9] = [
        (None, &["a"], None),
        (Some(known(No, &[])), &["a"], None),
        (Some(known(Whole, &["a"])), &["a"], None),
        (Some(known(Whole, &["a", "b"])), &["b"], None),
        (
            Some(known(Whole, &["a"])),
            &["a", "b"],
            Some("now published by GitHub b (release.yml), before by GitHub a (release.yml)"),
        ),
        (
            Some(known(Partly, &["a"])),
            &["b"],
            Some("now published by GitHub b (release.yml), before by GitHub a (release.yml)"),
        ),
        (
            Some(known(Whole, &["a"])),
            &[],
            Some("less of it is attested than of 1.0, which was by GitHub a (release.yml)"),
        ),
        (Some(known(Partly, &["a"])), &[], None),
        (Some(known(No, &[])), &[], None),
    ];
    for (recorded, found, expected) in table {
        let found = found.iter().copied().map(github).collect();
        let change = memory(recorded.clone()).change_of_file(&"acme".parse().unwrap(), &found);
        let told = change.map(|change| change.to_string());
        assert_eq!(told.as_deref(), expected, "{recorded:?} {found:?}");
    }
}

#[test]
fn each_difference_is_told() {
    use Coverage::{None as No, Partly, Whole};
    let table: [(Option<Known>, Option<Known>, &[&str]); 10] = [
        (Some(known(Whole, &["a"])), Some(known(Whole, &["a"])), &[]),
        (Some(known(No, &[])), Some(known(No, &[])), &[]),
        (Some(known(Whole, &["a"])), None, &[]),
        (None, Some(known(No, &[])), &["not recorded yet"]),
        (
            Some(known(No, &[])),
            Some(known(Whole, &["a"])),
            &["more of it is attested than was"],
        ),
        (
            Some(known(Partly, &["a"])),
            Some(known(Whole, &["a"])),
            &["more of it is attested than was"],
        ),
        (
            Some(known(Whole, &["a"])),
            Some(known(Whole, &["b"])),
            &["now published by GitHub b (release.yml), before by GitHub a (release.yml)"],
        ),
        // Fewer of those who were known is no change of hands.
        (
            Some(known(Whole, &["a", "b"])),
            Some(known(Whole, &["b"])),
            &[],
        ),
        (
            Some(known(Whole, &["a"])),
            Some(known(No, &[])),
            &["less of it is attested than of 1.0, which was by GitHub a (release.yml)"],
        ),
        (
            Some(known(Whole, &["a"])),
            Some(known(Partly, &["a", "b"])),
            &[
                "less of it is attested than of 1.0, which was by GitHub a (release.yml)",
                "now published by GitHub b (release.yml), before by GitHub a (release.yml)",
            ],
        ),
    ];
    for (before, now, expected) in table {
        let changes = compare(&memory(before), &memory(now));
        let told: Vec<String> = changes
            .iter()
            .map(|change| change.kind.to_string())
            .collect();
        assert_eq!(told, expected);
        let suspicious = expected.iter().any(|text| text.contains("by GitHub"));
        assert_eq!(
            changes.iter().any(|change| change.kind.is_suspicious()),
            suspicious
        );
    }
}

#[test]
fn the_file_is_readable_and_read_again() {
    let mut memory = memory(Some(known(Coverage::Whole, &["a/b"])));
    memory.projects.insert(
        "zope-interface".parse().unwrap(),
        known(Coverage::None, &[]),
    );
    let text = memory.to_string();
    assert_eq!(
        text.lines().skip(2).collect::<Vec<_>>().join("\n"),
        "format = 1\n\n[projects.acme]\nversion = \"1.0\"\nattested = \"whole\"\npublishers = [\n    \
         { kind = \"GitHub\", repository = \"a/b\", workflow = \"release.yml\" },\n]\n\n\
         [projects.zope-interface]\nversion = \"1.0\"\nattested = \"none\""
    );
    assert_eq!(Memory::read(&text).unwrap(), memory);
    for (wrong, told) in [
        ("format = 2\n", "format is 2"),
        ("", "missing field"),
        ("format = 1\nprojectz = 1\n", "projectz"),
        (
            "format = 1\n[projects.\"a b\"]\nversion = \"1\"\nattested = \"none\"\n",
            "a b",
        ),
        (
            "format = 1\n[projects.a]\nversion = \"1\"\nattested = \"none\"\npublishers = [{kind = \"X\"}]\n",
            "X",
        ),
    ] {
        let error = Memory::read(wrong).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_key_of_a_publisher_that_nobody_knows_is_an_error() {
    let memory = |more: &str| {
        Memory::read(&format!(
            "format = 1\n[projects.acme]\nversion = \"1\"\nattested = \"whole\"\npublishers = [\n\
             {{ kind = \"Google\", email = \"a@b.example\"{more} }},\n]\n"
        ))
    };
    memory("").unwrap();
    let error = memory(", environment = \"release\"")
        .unwrap_err()
        .to_string();
    assert!(error.contains("no key `environment`"), "{error}");
}

proptest! {
    #[test]
    fn whatever_is_recorded_is_read_again(version in "\\PC{0,8}", repository in "\\PC{0,12}", email in "\\PC{0,12}") {
        let mut known = known(Coverage::Partly, &[repository.as_str()]);
        known.version = version;
        known.publishers.insert(Publisher::Google { email });
        known.publishers.insert(Publisher::CircleCi { project_id: repository.clone(), pipeline_definition_id: repository });
        let memory = memory(Some(known));
        prop_assert_eq!(Memory::read(&memory.to_string()).unwrap(), memory);
    }
}

//! File names as indexes really list them.

use proptest::prelude::*;

use super::*;

fn project(text: &str) -> ProjectName {
    text.parse().unwrap()
}

fn parse(text: &str, name: &str) -> FileName {
    FileName::parse(text, &project(name)).unwrap()
}

fn version_of(text: &str, name: &str) -> Option<String> {
    parse(text, name).version().map(ToString::to_string)
}

#[test]
fn a_wheel_has_its_parts() {
    let name = parse(
        "Acme_SDK-1.2-1abc-cp310.cp311-abi3.none-manylinux2014_x86_64.Manylinux_2_17_x86_64.whl",
        "acme-sdk",
    );
    let wheel = name.as_wheel().unwrap();
    assert_eq!(wheel.version, Version::parse("1.2"));
    assert_eq!(wheel.build.as_deref(), Some("1abc"));
    assert_eq!(wheel.python, ["cp310", "cp311"]);
    assert_eq!(wheel.abi, ["abi3", "none"]);
    assert_eq!(
        wheel.platform,
        ["manylinux2014_x86_64", "manylinux_2_17_x86_64"]
    );
}

#[test]
fn a_wheel_name_may_be_escaped_in_any_way() {
    for text in [
        "a_b.c-1.0-py3-none-any.whl",
        "a-b-c-1.0-py3-none-any.whl",
        "A_B__C-1.0-2-py3-none-any.whl",
    ] {
        let name = parse(text, "a-b-c");
        assert_eq!(name.as_wheel().unwrap().version.as_str(), "1.0", "{text}");
    }
    let escaped = parse("acme-1.0_2-py3-none-any.whl", "acme");
    assert_eq!(
        escaped.version().unwrap().as_pep440().unwrap().to_string(),
        "1.0.post2"
    );
}

#[test]
fn the_project_decides_where_a_version_starts() {
    assert_eq!(
        version_of("foo-2-1.0.tar.gz", "foo-2").as_deref(),
        Some("1.0")
    );
    assert_eq!(
        version_of("foo-bar-1.0.tar.gz", "foo-bar").as_deref(),
        Some("1.0")
    );
    assert_eq!(
        version_of("foo-1.0-beta.tar.gz", "foo").as_deref(),
        Some("1.0-beta")
    );
    assert_eq!(
        version_of("foo-dev-r12.tar.gz", "foo").as_deref(),
        Some("dev-r12")
    );
    assert_eq!(
        version_of("pytz-2004d.tar.bz2", "pytz").as_deref(),
        Some("2004d")
    );
    assert_eq!(
        version_of("Foo_Bar-1.0.ZIP", "foo-bar").as_deref(),
        Some("1.0")
    );
    assert_eq!(version_of("foo_1.0.tgz", "foo").as_deref(), Some("1.0"));
}

#[test]
fn old_kinds_are_kept_with_their_version() {
    use LegacyKind::{Deb, Dmg, Dumb, Egg, Msi, Rpm, Unnamed, WindowsInstaller};
    for (text, kind, version) in [
        ("acme-1.0-py2.7.egg", Egg, Some("1.0")),
        (
            "acme-1.0_beta-py2.7-linux-x86_64.egg",
            Egg,
            Some("1.0-beta"),
        ),
        ("acme-1.0.win32-py2.7.exe", WindowsInstaller, Some("1.0")),
        ("acme-1.0.win-amd64.exe", WindowsInstaller, Some("1.0")),
        ("acme.win32.exe", WindowsInstaller, None),
        ("acme-1.0.win32-py2.7.msi", Msi, Some("1.0")),
        ("acme-1.0-1.noarch.rpm", Rpm, Some("1.0")),
        ("python-acme-1.0-1.src.rpm", Rpm, Some("1.0")),
        ("python3-acme_1.0-1_all.deb", Deb, Some("1.0")),
        ("acme-1.0-py2.7-macosx10.6.dmg", Dmg, Some("1.0")),
        ("acme-1.0.linux-x86_64.tar.gz", Dumb, Some("1.0")),
        ("acme-1.0.macosx-10.9-x86_64.zip", Dumb, Some("1.0")),
        ("acme.zip", Unnamed, None),
        ("acme-1.0.whl", Unnamed, None),
        ("acme-1.0-py3-none-.whl", Unnamed, None),
        ("acme- .zip", Unnamed, None),
    ] {
        let expected = FileName::Other {
            kind,
            version: version.map(Version::parse),
        };
        assert_eq!(parse(text, "acme"), expected, "{text}");
    }
}

#[test]
fn other_projects_and_other_things_are_refused() {
    for text in [
        "",
        "foo",
        "bar-1.0.tar.gz",
        "foobar-1.0.tar.gz",
        "foo-bar-1.0.tar.gz",
        "foo_bar-1.0-py3-none-any.whl",
        "foo-bar-1.0-py3-none-any.whl",
        "fo-1.0.zip",
        "-foo-1.0.zip",
        "bar.zip",
        "bar-1.0-py2.7.egg",
        "foo-1.0-py3-none-any.whl.metadata",
        "foo-1.0.tar.gz.asc",
        "foo-1.0.html",
        "a/foo-1.0.zip",
        "foo-1.0\\.zip",
        "foo-1.0\n.zip",
        "foo-1.0\u{0}.zip",
        "..",
        ".zip",
        &format!("foo-{}.zip", "1".repeat(240)),
    ] {
        assert!(
            FileName::parse(text, &project("foo")).is_err(),
            "{text:?} was accepted"
        );
    }
}

#[test]
fn the_reason_tells_the_name_and_what_is_wrong() {
    let error = FileName::parse("bar-1.0\u{1b}.tar.gz", &project("foo")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`bar-1.0\\u{1b}.tar.gz` is not a file name to take: it holds a control character"
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}", near in "(foo|Foo_Bar|foo-bar)?[-_.a-z0-9é]{0,24}(\\.whl|\\.tar\\.gz|\\.zip|\\.egg|\\.exe|\\.rpm|\\.deb|\\.dmg)?") {
        for name in ["foo", "foo-bar"] {
            drop(FileName::parse(&text, &project(name)));
            drop(FileName::parse(&near, &project(name)));
        }
    }

    #[test]
    fn a_spelling_is_what_normalisation_says(text in "[-_.aA1]{0,8}", name in "[a1](-?[a1]){0,4}") {
        let name = project(&name);
        prop_assert_eq!(is_spelling_of(&text, &name), text.parse() == Ok(name));
    }

    #[test]
    fn well_formed_names_give_their_version_back(
        name in "[A-Za-z][A-Za-z0-9]{0,6}([-_.][A-Za-z0-9]{1,4}){0,2}",
        version in "[0-9]{1,4}(\\.[0-9]{1,3}){0,3}((a|b|rc)[0-9])?(\\.post[0-9])?(\\.dev[0-9])?",
        suffix in "(\\.tar\\.gz|\\.zip|-py2\\.py3-none-any\\.whl|-3-cp39-abi3-win32\\.whl|-py3\\.8\\.egg)",
    ) {
        let parsed = FileName::parse(&format!("{name}-{version}{suffix}"), &project(&name)).unwrap();
        prop_assert_eq!(parsed.version().unwrap().as_str(), version);
    }
}

#[test]
fn a_path_alone_tells_the_likely_projects() {
    let names = |filename: &str| {
        super::project_candidates(filename)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names("zope.interface-6.0-cp312-cp312-any.whl"),
        "zope-interface"
    );
    assert_eq!(names("a-b-1.0.tar.gz"), "a-b a");
    assert_eq!(names("requests-2.0.zip"), "requests");
    assert_eq!(names("nothing.tar.gz"), "");
    assert_eq!(names("a-1-2-3-4-5-6.tar.gz").split(' ').count(), 4);
}

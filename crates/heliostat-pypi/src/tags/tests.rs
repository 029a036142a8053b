//! Tags as the `packaging` library orders them.

use proptest::prelude::*;

use super::*;
use crate::FileName;

fn wheel(tags: &str) -> WheelName {
    let name = FileName::parse(&format!("acme-1.0-{tags}.whl"), &"acme".parse().unwrap()).unwrap();
    name.as_wheel().unwrap().clone()
}

fn target(python: &str, platform: &str) -> Target {
    Target {
        python: python.parse().unwrap(),
        platform: platform.parse().unwrap(),
    }
}

/// Wheels of each list stand in the order of preference for the target.
#[test]
fn better_wheels_come_first() {
    for (python, platform, tags) in [
        (
            "3.12",
            "manylinux_2_28_x86_64",
            &[
                "cp312-cp312-manylinux_2_28_x86_64",
                "cp312-cp312-manylinux2014_x86_64",
                "cp312-cp312-manylinux1_x86_64",
                "cp312-cp312-linux_x86_64",
                "cp312-abi3-manylinux_2_17_x86_64",
                "cp312-none-manylinux_2_17_x86_64",
                "cp37-abi3-manylinux_2_17_x86_64",
                "py312-none-manylinux_2_17_x86_64",
                "py3-none-manylinux_2_17_x86_64",
                "py37-none-manylinux_2_17_x86_64",
                "cp312-none-any",
                "py312-none-any",
                "py2.py3-none-any",
                "py39-none-any",
            ][..],
        ),
        (
            "3.13",
            "macosx_14_0_arm64",
            &[
                "cp313-cp313-macosx_14_0_arm64",
                "cp313-cp313-macosx_14_0_universal2",
                "cp313-cp313-macosx_11_0_arm64",
                "cp313-cp313-macosx_10_13_universal2",
                "cp313-cp313-macosx_10_9_universal2",
            ],
        ),
        (
            "3.11",
            "macosx_12_3_x86_64",
            &[
                "cp311-cp311-macosx_12_0_x86_64",
                "cp311-cp311-macosx_10_9_x86_64",
                "cp311-cp311-macosx_10_9_universal2",
            ],
        ),
        (
            "3.13t",
            "win_amd64",
            &[
                "cp313-cp313t-win_amd64",
                "py3-none-win_amd64",
                "py3-none-any",
            ],
        ),
        (
            "pypy3.10",
            "musllinux_1_2_aarch64",
            &[
                "pp310-pypy310_pp73-musllinux_1_1_aarch64",
                "pp310-none-any",
                "py3-none-any",
            ],
        ),
        (
            "2.7",
            "manylinux1_x86_64",
            &["cp27-cp27mu-manylinux1_x86_64", "py2-none-any"],
        ),
        ("3.7", "win32", &["cp37-cp37m-win32", "py3-none-any"]),
    ] {
        let target = target(python, platform);
        let fits: Vec<_> = tags.iter().map(|tags| target.fit(&wheel(tags))).collect();
        assert!(
            fits.iter().all(Option::is_some),
            "{target}: {tags:?} {fits:?}"
        );
        assert!(
            fits.is_sorted_by(|left, right| left < right),
            "{target}: {tags:?} {fits:?}"
        );
    }
}

#[test]
fn wheels_for_other_machines_do_not_fit() {
    for (python, platform, tags) in [
        (
            "3.12",
            "manylinux_2_17_x86_64",
            "cp312-cp312-manylinux_2_28_x86_64",
        ),
        ("3.12", "linux_x86_64", "cp312-cp312-manylinux_2_28_aarch64"),
        ("3.12", "linux_x86_64", "cp312-cp312-musllinux_1_2_x86_64"),
        ("3.12", "linux_x86_64", "cp312-cp312t-manylinux_2_28_x86_64"),
        ("3.12", "linux_x86_64", "cp313-abi3-manylinux_2_28_x86_64"),
        ("3.12", "linux_x86_64", "cp311-cp311-manylinux_2_28_x86_64"),
        ("3.12", "linux_x86_64", "cp311-none-any"),
        ("3.12", "linux_x86_64", "py313-none-any"),
        ("3.12", "linux_x86_64", "py2-none-any"),
        (
            "3.12",
            "linux_x86_64",
            "pp310-pypy310_pp73-manylinux_2_17_x86_64",
        ),
        ("3.13t", "linux_x86_64", "cp312-abi3-manylinux_2_17_x86_64"),
        ("3.13t", "linux_x86_64", "cp313-cp313-manylinux_2_17_x86_64"),
        ("3.12", "macosx_11_0_arm64", "cp312-cp312-macosx_12_0_arm64"),
        (
            "3.12",
            "macosx_14_0_arm64",
            "cp312-cp312-macosx_10_9_x86_64",
        ),
        (
            "3.12",
            "macosx_14_0_x86_64",
            "cp312-cp312-macosx_11_0_arm64",
        ),
        ("3.12", "win_amd64", "cp312-cp312-win32"),
    ] {
        assert_eq!(
            target(python, platform).fit(&wheel(tags)),
            None,
            "{tags} fits {python} on {platform}"
        );
    }
}

#[test]
fn people_name_platforms_in_many_ways() {
    for (given, expected) in [
        ("linux", "manylinux_2_28_x86_64"),
        ("linux_x86_64", "manylinux_2_28_x86_64"),
        ("linux/arm64", "manylinux_2_28_aarch64"),
        ("x86_64-unknown-linux-gnu", "manylinux_2_28_x86_64"),
        ("aarch64-manylinux_2_31", "manylinux_2_31_aarch64"),
        ("manylinux2014_x86_64", "manylinux_2_17_x86_64"),
        ("manylinux1_i686", "manylinux_2_5_i686"),
        ("musllinux_1_2_aarch64", "musllinux_1_2_aarch64"),
        ("x86_64-unknown-linux-musl", "musllinux_1_2_x86_64"),
        ("macos", "macosx_13_0_arm64"),
        ("aarch64-apple-darwin", "macosx_13_0_arm64"),
        ("macos-x86_64", "macosx_13_0_x86_64"),
        ("macosx_14_0_arm64", "macosx_14_0_arm64"),
        ("macosx_10_9_universal2", "macosx_11_0_arm64"),
        ("windows", "win_amd64"),
        ("win32", "win32"),
        ("windows-arm64", "win_arm64"),
        ("x86_64-pc-windows-msvc", "win_amd64"),
        ("linux_ppc64le", "manylinux_2_28_ppc64le"),
        ("android_21_arm64_v8a", "android_21_arm64_v8a"),
    ] {
        let platform: Platform = given.parse().unwrap();
        assert_eq!(platform.to_string(), expected, "{given}");
        assert_eq!(expected.parse::<Platform>().unwrap(), platform, "{given}");
    }
    for given in [
        "",
        "any",
        "beos",
        "win_s390x",
        "macos_riscv64",
        "linux x86_64",
        "ünix",
    ] {
        assert!(given.parse::<Platform>().is_err(), "{given:?} was accepted");
    }
}

#[test]
fn pythons_are_named_and_satisfy() {
    for (given, expected) in [
        ("3.12", "3.12"),
        ("cp312", "3.12"),
        ("python3.9", "3.9"),
        ("3.12.4", "3.12.4"),
        ("pp310", "pypy3.10"),
        ("3.13t", "3.13t"),
        ("cp313t", "3.13t"),
    ] {
        assert_eq!(given.parse::<Python>().unwrap().to_string(), expected);
    }
    for given in ["", "3", "312", "4.0", "3.x", "3.12.4.1", "py"] {
        assert!(given.parse::<Python>().is_err(), "{given:?} was accepted");
    }
    let python: Python = "3.9".parse().unwrap();
    for (specifiers, expected) in [
        (">=3.8.1,<4", true),
        (">=3.9.2", true),
        (">=3.10", false),
        ("<=3.9", false),
        ("!=3.9.7", true),
        ("==3.9.*", true),
    ] {
        assert_eq!(
            python.satisfies(&specifiers.parse().unwrap()),
            expected,
            "{specifiers}"
        );
    }
}

#[test]
fn rules_read_tags_and_not_substrings() {
    for (rule, tag, covers, touches) in [
        ("linux", "manylinux_2_17_x86_64", true, true),
        ("linux", "musllinux_1_1_x86_64", true, true),
        ("manylinux", "musllinux_1_1_x86_64", false, false),
        ("musllinux", "musllinux_1_1_x86_64", true, true),
        ("windows", "win32", true, true),
        ("win_amd64", "win32", false, false),
        ("macos", "macosx_10_9_universal2", true, true),
        ("windows", "macosx_10_9_x86_64", false, false),
        ("win", "darwin_x86_64", false, false),
        ("aarch64", "macosx_11_0_arm64", true, true),
        ("arm64", "macosx_11_0_universal2", false, true),
        ("x86", "manylinux1_x86_64", false, false),
        ("i686", "win32", true, true),
        ("linux-aarch64", "manylinux2014_aarch64", true, true),
        ("linux-aarch64", "macosx_11_0_arm64", false, false),
        ("ppc64", "manylinux2014_ppc64le", false, false),
        (
            "manylinux_2_17_x86_64",
            "manylinux_2_28_x86_64",
            false,
            false,
        ),
        ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", true, true),
        ("wasm", "pyodide_2024_0_wasm32", true, true),
    ] {
        let read: PlatformRule = rule.parse().unwrap();
        assert_eq!(
            (read.covers(tag), read.touches(tag)),
            (covers, touches),
            "{rule} on {tag}"
        );
        assert_eq!(
            read.to_string().parse::<PlatformRule>().unwrap(),
            read,
            "{rule}"
        );
    }
    assert!("beos".parse::<PlatformRule>().is_err());
}

#[test]
fn markers_see_the_target() {
    let environment = target("3.12.4", "macosx_14_0_arm64").marker_environment();
    assert_eq!(environment.platform_release, Values::one("23.0.0"));
    assert_eq!(environment.platform_machine, Values::one("arm64"));
    assert_eq!(environment.python_full_version, Values::one("3.12.4"));
    let environment = target("3.12", "windows").marker_environment();
    assert_eq!(environment.platform_machine, Values::one("AMD64"));
    assert_eq!(environment.sys_platform, Values::one("win32"));
}

proptest! {
    #[test]
    fn no_word_panics(text in "\\PC{0,24}", near in "(manylinux|musllinux|macosx|win|linux|cp|py)?[_0-9]{0,9}(x86_64|arm64|t)?", python in "[0-9a-z.]{0,8}") {
        for text in [&text, &near] {
            if let Ok(platform) = text.parse::<Platform>() {
                prop_assert_eq!(platform.to_string().parse::<Platform>(), Ok(platform.clone()));
                prop_assert!(platform.rank(&platform.to_string()).is_some());
                platform.rank(&near);
            }
            if let Ok(rule) = text.parse::<PlatformRule>() {
                prop_assert!(rule.touches(&near) || !rule.covers(&near));
            }
        }
        if let Ok(read) = python.parse::<Python>() {
            prop_assert_eq!(read.to_string().parse::<Python>(), Ok(read));
        }
    }
}

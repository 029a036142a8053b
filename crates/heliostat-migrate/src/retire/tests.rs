use jiff::civil::Date;
use proptest::prelude::*;

use super::*;
use crate::map::Map;

const MAP: &str = "builtin = false\n[[retired]]\nhosts = ['old.example']\n[retired.timeline]\nannounced = '2026-01-01'\noff = '2026-12-01'\nparked = '2027-06-01'\n[[retired.rule]]\nprefix = '/simple'\nto = 'https://new.example/pypi/simple'\n[[retired.rule]]\nkinds = ['upload']\nprefix = '/legacy'\nto = 'https://new.example/upload/'\nexact = true\n";

fn map() -> Map {
    Map::parse("m.toml", MAP).unwrap()
}

fn at(day: &str) -> i64 {
    day.parse::<Date>()
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap()
        .timestamp()
        .as_second()
}

fn ask(method: Method, host: &str, path: &str, encrypted: bool, day: &str) -> Answer {
    let asked = Asked {
        method,
        host,
        encrypted,
        path,
        now: at(day),
    };
    answer(&map(), &asked)
}

#[test]
fn targets_come_from_the_map_alone() {
    let read = |host: &str, path: &str| ask(Method::Read, host, path, true, "2026-02-01");
    assert_eq!(
        read("OLD.example.:8443", "/simple/flask/"),
        Answer::Redirect {
            status: 301,
            location: "https://new.example/pypi/simple/flask/".to_owned()
        }
    );
    assert_eq!(
        ask(
            Method::Upload,
            "old.example",
            "/legacy/",
            true,
            "2026-02-01"
        ),
        Answer::Redirect {
            status: 308,
            location: "https://new.example/upload/".to_owned()
        }
    );
    for (host, path, status) in [
        ("old.example", "/simple//evil.example/", 410),
        ("old.example", "//evil.example/", 410),
        ("old.example", "/simple/../x", 410),
        ("old.example", "/simple/%2e%2e/x", 410),
        ("old.example", "/other", 410),
        ("old.example.evil.example", "/simple/", 421),
        ("evil.example", "/simple/", 421),
    ] {
        let answer = read(host, path);
        assert!(
            matches!(answer, Answer::Refuse { status: given, .. } if given == status),
            "{host}{path} {answer:?}"
        );
    }
    assert!(matches!(
        ask(
            Method::Upload,
            "old.example",
            "/simple/",
            true,
            "2026-02-01"
        ),
        Answer::Redirect { status: 308, .. }
    ));
    assert!(
        matches!(ask(Method::Read, "old.example", "/simple/", false, "2026-02-01"), Answer::Refuse { status: 403, reason } if reason.contains("new.example"))
    );
    assert!(
        matches!(ask(Method::Read, "old.example", "/simple/", true, "2026-12-01"), Answer::Refuse { status: 410, reason } if reason == "Retired 2026-12-01 use https://new.example/pypi/simple/")
    );
}

#[test]
fn a_plan_tells_notices_windows_and_the_end() {
    let plan = map().entries()[0]
        .timeline
        .clone()
        .unwrap()
        .plan("old.example");
    let kinds: Vec<StepKind> = plan
        .steps
        .iter()
        .map(|step| step.kind)
        .filter(|kind| *kind != StepKind::BrownOut)
        .collect();
    assert_eq!(
        kinds,
        [
            StepKind::Announced,
            StepKind::Notice { months: 6 },
            StepKind::Notice { months: 3 },
            StepKind::Notice { months: 1 },
            StepKind::Off,
            StepKind::Parked
        ]
    );
    let windows: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| step.kind == StepKind::BrownOut)
        .collect();
    assert_eq!(windows.len(), 28);
    let length = |step: &Step| step.end.unwrap().as_second() - step.begin.as_second();
    assert!(windows.is_sorted_by_key(|step| length(step)));
    assert_eq!((length(windows[0]), length(windows[27])), (600, 3840));
    assert_eq!(plan.phase(windows[3].begin.as_second()), Phase::BrownOut);
    assert_eq!(
        plan.phase(windows[3].end.unwrap().as_second()),
        Phase::Redirect
    );
    assert_eq!(plan.phase(at("2026-12-01")), Phase::Off);
    assert_eq!(plan.phase(at("2027-06-02")), Phase::Parked);
    let other = map().entries()[0]
        .timeline
        .clone()
        .unwrap()
        .plan("b.example");
    assert_ne!(plan.steps, other.steps);
    assert!(ics(std::slice::from_ref(&plan)).contains("SUMMARY:old.example: off (410)\r\n"));
    let map = map();
    let notice = notices(&map.entries()[0], &plan, at("2026-09-02")).unwrap();
    assert_eq!(
        notice.subject,
        "old.example will be gone in 3 months, on 2026-12-01"
    );
}

#[test]
fn a_notice_tells_where_to_go_when_it_is_dark_and_who_asked_for_longer() {
    let stay = "stay = { owner = 'ops', until = '2026-12-31', why = 'two sites are late' }";
    let stayed = Map::parse("m.toml", &MAP.replace("parked = '2027-06-01'", stay)).unwrap();
    let notice = |map: &Map, day: &str| {
        let entry = &map.entries()[0];
        let plan = entry.timeline.as_ref().unwrap().plan("old.example");
        notices(entry, &plan, at(day)).unwrap()
    };
    let told = notice(&map(), "2026-09-02");
    for words in [
        "/simple -> https://new.example/pypi/simple\n",
        "/legacy -> https://new.example/upload/ (upload)\n",
        "From 2026-11-03 on it answers nothing but 410",
    ] {
        assert!(told.body.contains(words), "{}", told.body);
    }
    // A notice that is told late does not count months any more.
    let late = notice(&map(), "2026-10-20");
    assert_eq!(late.subject, "old.example will be gone on 2026-12-01");
    let told = notice(&stayed, "2026-12-02");
    assert!(
        told.body
            .contains("The end was put off until 2026-12-31 for ops: two sites are late.\n"),
        "{}",
        told.body
    );
    let gone = notice(&stayed, "2027-01-01");
    assert!(!gone.body.contains("410 for some"), "{}", gone.body);
}

/// Jobs run at midnight more than at any other minute, and one at 23:59 or 00:00 is to meet windows as often as others.
#[test]
fn windows_are_scattered_over_midnight_too() {
    let timeline = map().entries()[0].timeline.clone().unwrap();
    let plans: Vec<TimelinePlan> = (0..500)
        .map(|number| timeline.plan(&format!("{number}.example")))
        .collect();
    // On the last day but seven, a window lasts 50 minutes: of 500 names about 17 are dark at once.
    let midnight = at("2026-11-24");
    for minute in [0, 1, 29, 60, 720, 1380, 1410, 1438, 1439] {
        let dark = plans
            .iter()
            .filter(|plan| plan.phase(midnight + minute * 60) == Phase::BrownOut)
            .count();
        assert!((5..40).contains(&dark), "{dark} at minute {minute}");
    }
}

#[test]
fn a_stay_needs_an_owner_and_an_end() {
    let with = |stay: &str| Map::parse("m.toml", &MAP.replace("parked = '2027-06-01'", stay));
    assert!(with("stay = { owner = '', until = '2027-01-01' }").is_err());
    assert!(with("stay = { owner = 'a' }").is_err());
    assert!(with("stay = { owner = 'a', until = '2026-11-01' }").is_err());
    let stayed = with("stay = { owner = 'ops', until = '2027-01-01' }").unwrap();
    assert_eq!(
        stayed.entries()[0]
            .timeline
            .clone()
            .unwrap()
            .end()
            .to_string(),
        "2027-01-01"
    );
}

proptest! {
    #[test]
    fn a_redirect_never_leaves_the_map(host in "\\PC{0,20}|old\\.example", path in "/\\PC{0,30}|/simple/[!-~]{0,20}") {
        let asked = Asked { method: Method::Read, host: &host, encrypted: true, path: &path, now: at("2026-02-01") };
        if let Answer::Redirect { location, .. } = answer(&map(), &asked) {
            prop_assert!(location.starts_with("https://new.example/pypi/simple"));
            prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}

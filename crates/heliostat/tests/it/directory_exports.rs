//! What `directory publish` writes for programs that others made, held against what their formats are described with.

use serde_json::Value;

use crate::directory_publish::Desk;

/// What the format's description asks of a value.
type Wants = fn(&Value) -> bool;

/// Fails the test unless an object has no other keys than these, each as it is wanted.
#[track_caller]
fn assert_shape(value: &Value, keys: &[(&str, Wants)]) {
    let object = value.as_object().unwrap();
    for key in object.keys() {
        assert!(keys.iter().any(|(known, _)| known == key), "`{key}`");
    }
    for (key, wants) in keys {
        assert!(wants(&value[key]), "`{key}` in {value:#}");
    }
}

const TEXT: Wants = Value::is_string;
const NAME: Wants = |value| value.as_str().is_some_and(|text| !text.is_empty());
/// Where something is: no slash at its end.
const PLACE: Wants = |value| {
    let text = value.as_str().unwrap_or_default();
    (text.starts_with("https://") || text.starts_with('/')) && !text.ends_with('/')
};
const SWITCH: Wants = Value::is_boolean;
const NUMBER: Wants = Value::is_number;
const NUMBER_OR_NONE: Wants = |value| value.is_number() || value.is_null();
const COUNT: Wants = |value| value.is_u64();
const COUNT_OR_NONE: Wants = |value| value.is_u64() || value.is_null();
const MOMENT: Wants = |value| {
    let text = value.as_str().unwrap_or_default();
    text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
};
const MOMENT_OR_NONE: Wants = |value| value.is_null() || MOMENT(value);
/// One main letter with its time, and after a failure when it was last in step.
const STATUS: Wants = |value| {
    let text = value.as_str().unwrap_or_default();
    let (main, old) = text.split_once('O').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let letter = main.chars().next().unwrap_or(' ');
    "SFPU".contains(letter)
        && digits(&main[1..])
        && digits(old)
        && (old.is_empty() || letter == 'F')
};

#[test]
fn exports_have_the_types_that_their_formats_are_described_with() {
    let desk = Desk::published();
    // mirrorz, "Data Format v1.7".
    let ids = std::fs::read_dir(desk.path("out/exports/mirrorz")).unwrap();
    let sites = ids.map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        format!("exports/mirrorz/{name}")
    });
    for path in sites.chain(["exports/mirrorz.json".to_owned()]) {
        let document = desk.json(&path);
        assert_eq!(document["version"], 1.7);
        assert_eq!(document["info"], Value::Array(Vec::new()));
        let site: &[(&str, Wants)] = &[
            ("url", PLACE),
            ("abbr", NAME),
            ("name", TEXT),
            ("homepage", TEXT),
            ("disable", SWITCH),
        ];
        assert_shape(&document["site"], site);
        for mirror in document["mirrors"].as_array().unwrap() {
            let keys: &[(&str, Wants)] = &[
                ("cname", NAME),
                ("desc", TEXT),
                ("url", PLACE),
                ("status", STATUS),
                ("help", TEXT),
                ("upstream", TEXT),
                ("size", TEXT),
                ("disable", SWITCH),
            ];
            assert_shape(mirror, keys);
        }
    }
    // Arch's mirror status, version 3, as archinstall and reflector read it.
    let status = desk.json("exports/arch-status-v3.json");
    assert_eq!(status["version"], 3);
    let keys: &[(&str, Wants)] = &[
        ("cutoff", COUNT),
        ("last_check", MOMENT),
        ("num_checks", COUNT),
        ("check_frequency", COUNT),
        ("version", COUNT),
        ("urls", Value::is_array),
    ];
    assert_shape(&status, keys);
    for url in status["urls"].as_array().unwrap() {
        let keys: &[(&str, Wants)] = &[
            ("url", NAME),
            ("protocol", |value| value == "https"),
            ("last_sync", MOMENT_OR_NONE),
            ("completion_pct", NUMBER),
            ("delay", COUNT_OR_NONE),
            ("duration_avg", NUMBER_OR_NONE),
            ("duration_stddev", NUMBER_OR_NONE),
            ("score", NUMBER_OR_NONE),
            ("active", SWITCH),
            ("country", TEXT),
            ("country_code", TEXT),
            ("isos", SWITCH),
            ("ipv4", SWITCH),
            ("ipv6", SWITCH),
            ("details", TEXT),
        ];
        assert_shape(url, keys);
    }
}

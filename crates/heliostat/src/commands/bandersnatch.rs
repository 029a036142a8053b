//! Reads a bandersnatch.conf and writes the same wishes as a heliostat.toml. What has no counterpart is listed in
//! comments, so that nothing is lost silently. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use configparser::ini::Ini;

use super::UsageError;

type Options = BTreeMap<String, BTreeMap<String, Option<String>>>;

/// The heliostat.toml that wishes what a bandersnatch.conf wishes.
pub(super) fn translate(text: &str) -> Result<String, UsageError> {
    let mut ini = Ini::new_cs();
    ini.set_multiline(true);
    let parsed = ini
        .read(text.to_owned())
        .map_err(|error| UsageError(format!("not a bandersnatch.conf: {error}")))?;
    let options: Options = parsed
        .into_iter()
        .map(|(section, options)| (section, options.into_iter().collect()))
        .collect();
    let mut toml = Toml::default();
    let mut left = Vec::new();
    let enabled = lines(value(&options, "plugins", "enabled"));
    let is_enabled = |name: &str| {
        enabled
            .iter()
            .any(|plugin| plugin == name || plugin == "all")
    };
    for (section, values) in &options {
        for (key, value) in values {
            let value = value.as_deref().unwrap_or_default();
            if !take(&mut toml, (section, key), value, &is_enabled) {
                left.push(format!(
                    "[{section}] {key} = {}",
                    value.split_whitespace().collect::<Vec<_>>().join(" ")
                ));
            }
        }
    }
    if is_enabled("prerelease_release") {
        toml.set("filters", "no-prereleases", "true".to_owned());
    }
    if !toml.selects() {
        toml.set("selection", "all", "true".to_owned());
    }
    Ok(toml.render(&left))
}

/// Takes one option over; tells whether it has a counterpart (or needs none).
fn take(
    toml: &mut Toml,
    (section, key): (&str, &str),
    value: &str,
    is_enabled: &impl Fn(&str) -> bool,
) -> bool {
    match (section, key) {
        ("mirror", "directory") => toml.set("", "data", quoted(value)),
        ("mirror", "master") => {
            toml.set(
                "upstream",
                "upstream",
                quoted(&format!("{}/simple/", value.trim_end_matches('/'))),
            );
        }
        ("mirror", "workers") => toml.set("upstream", "jobs", number(value)),
        ("mirror", "timeout") => toml.set("upstream", "read-timeout", number(value)),
        ("mirror", "proxy") if !value.is_empty() => toml.set("upstream", "proxy", quoted(value)),
        ("mirror", "download-mirror") if !value.is_empty() => {
            toml.set("upstream", "file-mirror", format!("[{}]", quoted(value)));
        }
        ("mirror", "release-files") => toml.set("sync", "no-files", (value == "false").to_string()),
        ("allowlist", "packages") if is_enabled("allowlist_project") => {
            toml.set("selection", "projects", list(&lines(value)));
        }
        ("blocklist", "packages") if is_enabled("blocklist_project") => {
            toml.set("selection", "exclude", list(&lines(value)));
        }
        ("blocklist", "platforms") if is_enabled("exclude_platform") => {
            let (pythons, families): (Vec<_>, Vec<_>) = lines(value)
                .into_iter()
                .partition(|word| word.starts_with("py"));
            toml.set("filters", "exclude-platform", list(&families));
            // Leaving out by the version of Python has no counterpart: ours is to say which are wanted.
            return pythons.is_empty();
        }
        ("latest_release", "keep") if is_enabled("latest_release") => {
            toml.set("filters", "latest", number(value));
        }
        // These say how bandersnatch works, not what is wished.
        ("plugins", "enabled")
        | (
            "mirror",
            "json" | "hash-index" | "verifiers" | "global-timeout" | "stop-on-error"
            | "compare-method" | "cleanup" | "log-config" | "digest_name" | "simple-format"
            | "core-metadata" | "proxy" | "download-mirror",
        ) => {}
        _ => return false,
    }
    true
}

#[derive(Default)]
struct Toml(BTreeMap<String, BTreeMap<String, String>>);

impl Toml {
    fn set(&mut self, table: &str, key: &str, value: String) {
        self.0
            .entry(table.to_owned())
            .or_default()
            .insert(key.to_owned(), value);
    }

    fn selects(&self) -> bool {
        self.0
            .get("selection")
            .is_some_and(|table| table.contains_key("projects"))
    }

    fn render(&self, left: &[String]) -> String {
        let mut text = String::from("# Made from a bandersnatch.conf.\n");
        for (table, values) in &self.0 {
            if !table.is_empty() {
                let _infallible = write!(text, "\n[{table}]\n");
            }
            for (key, value) in values {
                let _infallible = writeln!(text, "{key} = {value}");
            }
        }
        if !left.is_empty() {
            text.push_str("\n# Not taken over, because it has no counterpart here:\n");
            for option in left {
                let _infallible = writeln!(text, "#   {option}");
            }
        }
        text
    }
}

fn value<'a>(options: &'a Options, section: &str, key: &str) -> &'a str {
    options
        .get(section)
        .and_then(|values| values.get(key))
        .and_then(Option::as_deref)
        .unwrap_or_default()
}

fn lines(value: &str) -> Vec<String> {
    value
        .split_whitespace()
        .filter(|word| !word.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn list(words: &[String]) -> String {
    format!(
        "[{}]",
        words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

fn number(value: &str) -> String {
    value
        .trim()
        .parse::<u64>()
        .map_or_else(|_| quoted(value), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn a_usual_configuration_is_translated_and_the_rest_is_named() {
        let translated = translate(
            "[mirror]\ndirectory = /srv/pypi\nmaster = https://mirror.example\nworkers = 3\njson = true\n\
             compare-method = hash\nroot_uri = https://x.example\n\n[plugins]\nenabled =\n    allowlist_project\n    \
             latest_release\n    prerelease_release\n\n[allowlist]\npackages =\n    requests\n    numpy>=1.26\n\n\
             [latest_release]\nkeep = 5\n",
        )
        .unwrap();
        insta::assert_snapshot!(translated, @r#"
        # Made from a bandersnatch.conf.
        data = "/srv/pypi"

        [filters]
        latest = 5
        no-prereleases = true

        [selection]
        projects = ["requests", "numpy>=1.26"]

        [upstream]
        jobs = 3
        upstream = "https://mirror.example/simple/"

        # Not taken over, because it has no counterpart here:
        #   [mirror] root_uri = https://x.example
        "#);
    }

    #[test]
    fn pythons_to_leave_out_are_named_and_not_dropped_in_silence() {
        let translated = translate(
            "[plugins]\nenabled =\n    exclude_platform\n\n[blocklist]\nplatforms =\n    windows\n    py2.7\n",
        )
        .unwrap();
        assert!(
            translated.contains("exclude-platform = [\"windows\"]"),
            "{translated}"
        );
        assert!(
            translated.contains("#   [blocklist] platforms = windows py2.7"),
            "{translated}"
        );
    }

    #[test]
    fn a_full_mirror_selects_everything() {
        assert!(
            translate("[mirror]\ndirectory = /srv\n")
                .unwrap()
                .contains("all = true")
        );
    }
}

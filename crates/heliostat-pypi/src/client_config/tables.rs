//! The same settings in TOML: uv's, poetry's and pdm's files and tables.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Installer, Setting, Source, SourceKind};

type Value<'a> = Spanned<DeValue<'a>>;

pub(super) fn settings(source: &Source) -> Result<Vec<Setting>, String> {
    let document = DeTable::parse(&source.text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| line(&source.text, span.start));
        let message = error.message().lines().next().unwrap_or_default();
        format!("line {line}: {message}")
    })?;
    let root = document.get_ref();
    let mut found = Found {
        source,
        settings: Vec::new(),
    };
    match source.kind {
        SourceKind::UvToml => found.uv(root),
        SourceKind::Pyproject => {
            let tool = table(root, "tool");
            let of = |name| tool.and_then(|tool| table(tool, name));
            if let Some(uv) = of("uv") {
                found.uv(uv);
            }
            if let Some(poetry) = of("poetry") {
                found.poetry_sources(poetry);
            }
            if let Some(pdm) = of("pdm") {
                found.pdm_sources(pdm);
            }
        }
        SourceKind::PoetryToml => found.poetry_config(root),
        SourceKind::PdmToml => found.pdm_config(root),
        SourceKind::PipConf | SourceKind::Requirements | SourceKind::Environment => {}
    }
    found.settings.sort_by_key(|setting| setting.line);
    Ok(found.settings)
}

struct Found<'a> {
    source: &'a Source,
    settings: Vec<Setting>,
}

impl Found<'_> {
    fn push(&mut self, installer: Installer, name: &str, value: &Value<'_>) {
        let line = line(&self.source.text, value.span().start);
        for text in texts(value) {
            self.settings
                .extend(self.source.setting(installer, line, name, &text));
        }
    }

    fn uv(&mut self, uv: &DeTable<'_>) {
        const PLAIN: [&str; 7] = [
            "index-url",
            "extra-index-url",
            "find-links",
            "allow-insecure-host",
            "trusted-host",
            "no-index",
            "index-strategy",
        ];
        for (key, value) in uv {
            let key = key.get_ref().as_ref();
            if PLAIN.contains(&key) {
                self.push(Installer::Uv, key, value);
            }
        }
        for index in tables(uv, "index") {
            let default = index.get("default").is_some_and(is_true);
            let name = if default { "index (default)" } else { "index" };
            if let Some(url) = index.get("url") {
                self.push(Installer::Uv, name, url);
            }
        }
        if let Some(pip) = table(uv, "pip") {
            self.uv(pip);
        }
    }

    fn poetry_sources(&mut self, poetry: &DeTable<'_>) {
        for source in tables(poetry, "source") {
            let is = |key: &str, wanted: &str| {
                source
                    .get(key)
                    .and_then(text)
                    .is_some_and(|text| text.eq_ignore_ascii_case(wanted))
            };
            let extra = is("priority", "supplemental")
                || is("priority", "explicit")
                || is("priority", "secondary")
                || source.get("secondary").is_some_and(is_true);
            match (source.get("url"), source.get("name")) {
                (Some(url), _) if extra => {
                    self.push(Installer::Poetry, "source (supplemental)", url);
                }
                (Some(url), _) => self.push(Installer::Poetry, "source", url),
                // PyPI itself needs no address.
                (None, Some(name)) if is("name", "pypi") => {
                    self.push(Installer::Poetry, "source (PyPI)", name);
                }
                _ => {}
            }
        }
    }

    fn pdm_sources(&mut self, pdm: &DeTable<'_>) {
        for source in tables(pdm, "source") {
            let kind = source.get("type").and_then(text);
            let name = match kind.as_deref() {
                Some("find_links") => "source (find_links)",
                _ if source.get("name").and_then(text).as_deref() == Some("pypi") => "source",
                _ => "source (supplemental)",
            };
            if let Some(url) = source.get("url") {
                self.push(Installer::Pdm, name, url);
            }
            if let Some(verify) = source.get("verify_ssl").filter(|verify| is_false(verify)) {
                self.push(Installer::Pdm, "verify_ssl", verify);
            }
        }
    }

    fn poetry_config(&mut self, config: &DeTable<'_>) {
        let Some(certificates) = table(config, "certificates") else {
            return;
        };
        for (_, value) in certificates {
            if let DeValue::Table(of_one) = value.get_ref()
                && let Some(cert) = of_one.get("cert").filter(|cert| is_false(cert))
            {
                self.push(Installer::Poetry, "certificates.cert", cert);
            }
        }
    }

    fn pdm_config(&mut self, config: &DeTable<'_>) {
        let Some(pypi) = table(config, "pypi") else {
            return;
        };
        for (key, value) in pypi {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("url", _) => self.push(Installer::Pdm, "pypi.url", value),
                ("verify_ssl", _) if is_false(value) => {
                    self.push(Installer::Pdm, "verify_ssl", value);
                }
                (_, DeValue::Table(further)) => {
                    if let Some(url) = further.get("url") {
                        self.push(Installer::Pdm, "source (supplemental)", url);
                    }
                }
                _ => {}
            }
        }
    }
}

fn table<'a, 'i>(parent: &'a DeTable<'i>, name: &str) -> Option<&'a DeTable<'i>> {
    match parent.get(name)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn tables<'a, 'i>(parent: &'a DeTable<'i>, name: &str) -> Vec<&'a DeTable<'i>> {
    match parent.get(name).map(Spanned::get_ref) {
        Some(DeValue::Array(values)) => values
            .iter()
            .filter_map(|value| match value.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A text, or each text of a list; `true` as it is.
fn texts(value: &Value<'_>) -> Vec<String> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().filter_map(text).collect(),
        DeValue::Boolean(value) => vec![value.to_string()],
        _ => text(value).into_iter().collect(),
    }
}

fn text(value: &Value<'_>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    }
}

fn is_true(value: &Value<'_>) -> bool {
    matches!(value.get_ref(), DeValue::Boolean(true))
}

fn is_false(value: &Value<'_>) -> bool {
    matches!(value.get_ref(), DeValue::Boolean(false))
}

fn line(text: &str, byte: usize) -> usize {
    text.get(..byte).unwrap_or(text).matches('\n').count() + 1
}

//! Settings as words: environment variables, options in requirements files, and which name does what.

use super::{Effect, Installer, Setting, Source};

/// What a setting of this name does; `None` for every other.
pub(super) fn effect(installer: Installer, name: &str) -> Option<Effect> {
    Some(match (installer, name) {
        (Installer::Pip | Installer::Uv, "index-url")
        | (Installer::Pip, "pypi-url")
        | (Installer::Uv, "default-index" | "index (default)")
        | (Installer::Poetry | Installer::Pdm, "source")
        | (Installer::Pdm, "pypi.url") => Effect::Index,
        (Installer::Pip | Installer::Uv, "extra-index-url")
        | (Installer::Uv, "index")
        | (Installer::Poetry | Installer::Pdm, "source (supplemental)") => Effect::ExtraIndex,
        (Installer::Pip | Installer::Uv, "find-links")
        | (Installer::Poetry | Installer::Pdm, "source (find_links)") => Effect::FindLinks,
        (Installer::Pip | Installer::Uv, "trusted-host")
        | (Installer::Uv, "allow-insecure-host" | "insecure-host")
        | (Installer::Poetry | Installer::Pdm, "verify_ssl" | "certificates.cert") => {
            Effect::NoTlsCheck
        }
        (Installer::Pip | Installer::Uv, "no-index") => Effect::NoIndex,
        (Installer::Uv, "index-strategy") => Effect::Strategy,
        (Installer::Poetry, "source (PyPI)") => Effect::ImplicitIndex,
        (Installer::Pip, "requirement" | "constraint" | "build-constraint") => Effect::Included,
        _ => return None,
    })
}

/// `NAME=value` lines; variables that set nothing are left out.
pub(super) fn environment(source: &Source) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let Some((variable, value)) = line.split_once('=') else {
            continue;
        };
        let of = |prefix: &str| {
            let name = variable.strip_prefix(prefix)?;
            Some(name.to_lowercase().replace('_', "-"))
        };
        let (installer, name) = if let Some(name) = of("PIP_") {
            (Installer::Pip, name)
        } else if let Some(name) = of("UV_") {
            (Installer::Uv, name)
        } else if variable == "PDM_PYPI_URL" {
            (Installer::Pdm, "pypi.url".to_owned())
        } else if variable == "PDM_PYPI_VERIFY_SSL" {
            (Installer::Pdm, "verify_ssl".to_owned())
        } else {
            continue;
        };
        for word in value.split([' ', '\t']).filter(|word| !word.is_empty()) {
            // uv's indexes may have names: `name=address`.
            let word = match word.split_once('=') {
                Some((label, rest))
                    if installer == Installer::Uv && !label.contains(['/', ':']) =>
                {
                    rest
                }
                _ => word,
            };
            settings.extend(
                source
                    .setting(installer, index + 1, &name, word)
                    .map(|setting| Setting {
                        name: variable.to_owned(),
                        ..setting
                    }),
            );
        }
    }
    settings
}

/// Options of requirements files. pip and uv both read them; they count as pip's.
pub(super) fn requirements(source: &Source) -> Vec<Setting> {
    const SHORT: [(&str, &str); 4] = [
        ("-i", "index-url"),
        ("-f", "find-links"),
        ("-r", "requirement"),
        ("-c", "constraint"),
    ];
    let mut settings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let mut words = line.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if word.starts_with('#') {
                break;
            }
            let (name, attached) = if let Some(long) = word.strip_prefix("--") {
                match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, None),
                }
            } else if let Some((short, long)) =
                SHORT.iter().find(|(short, _)| word.starts_with(short))
            {
                let rest = &word[short.len()..];
                (
                    *long,
                    (!rest.is_empty()).then_some(rest.trim_start_matches('=')),
                )
            } else {
                continue;
            };
            let Some(effect) = effect(Installer::Pip, name) else {
                continue;
            };
            let value = if name == "no-index" {
                "true"
            } else {
                match attached {
                    Some(value) => value,
                    None => words.next().unwrap_or_default(),
                }
            };
            let value = match effect {
                Effect::Included => value.trim_matches(['"', '\'']),
                _ => value,
            };
            settings.extend(source.setting(Installer::Pip, index + 1, name, value));
        }
    }
    settings
}

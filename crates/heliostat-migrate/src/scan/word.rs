//! The words that say what an address is there for: options, keys and variables of every installer.

use crate::kind::Kind;

/// What a word means, and how its value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) kind: Kind,
    /// Whether the value may be a list.
    pub(crate) many: bool,
    /// Whether a tool reads the word itself; otherwise it is a name that somebody chose.
    pub(crate) known: bool,
}

/// The meaning of a word as it stands (`--index-url`, `PIP_INDEX_URL`, `indexUrl`, `global.index-url`).
pub(crate) fn meaning(word: &str) -> Option<Meaning> {
    let plain = plain(word);
    if let Some(known) = known(&plain, word) {
        return Some(known);
    }
    // A name that somebody chose, as in `CORP_PIP_INDEX_URL`.
    let chosen = |kind, many| {
        Some(Meaning {
            kind,
            many,
            known: false,
        })
    };
    if plain.ends_with("extra-index-url") || plain.ends_with("extra-index-urls") {
        chosen(Kind::ExtraIndex, true)
    } else if plain.ends_with("index-url")
        || plain.ends_with("pypi-mirror")
        || plain.ends_with("pypi-url")
    {
        chosen(Kind::Index, false)
    } else if plain.ends_with("find-links") {
        chosen(Kind::FindLinks, true)
    } else if plain.ends_with("trusted-host") || plain.ends_with("trusted-hosts") {
        chosen(Kind::TrustedHost, true)
    } else {
        None
    }
}

fn known(plain: &str, word: &str) -> Option<Meaning> {
    let (kind, many) = match plain {
        "index-url"
        | "pip-index-url"
        | "uv-index-url"
        | "uv-default-index"
        | "default-index"
        | "pypi-url"
        | "pip-pypi-url"
        | "pipenv-pypi-mirror"
        | "pypi-mirror"
        | "pdm-pypi-url"
        | "experimental-index-url"
        | "experimental-index-url-overrides"
        | "registry-urls"
        | "check-url"
        | "uv-check-url"
        | "pypi.url"
        | "index-urls" => (Kind::Index, false),
        "extra-index-url"
        | "extra-index-urls"
        | "pip-extra-index-url"
        | "uv-extra-index-url"
        | "uv-index"
        | "pip-repositories"
        | "experimental-extra-index-urls" => (Kind::ExtraIndex, true),
        "index" if word.starts_with("--") => (Kind::ExtraIndex, true),
        "find-links" | "pip-find-links" | "uv-find-links" => (Kind::FindLinks, true),
        "trusted-host"
        | "trusted-hosts"
        | "pip-trusted-host"
        | "uv-insecure-host"
        | "allow-insecure-host"
        | "pip-trusted-hosts" => (Kind::TrustedHost, true),
        "repository-url"
        | "twine-repository-url"
        | "publish-url"
        | "uv-publish-url"
        | "flit-index-url"
        | "hatch-index-repo"
        | "pypi-repository-url" => (Kind::Upload, false),
        "repository" if word.starts_with("--") => (Kind::Upload, false),
        "allow-hosts" => (Kind::AllowedHost, true),
        "mirrors" | "use-mirrors" if word.starts_with("--") || word == "mirrors" => {
            (Kind::DeadSetting, true)
        }
        "dependency-links" => (Kind::DependencyLink, true),
        "machine" => (Kind::Credential, false),
        "i" if word == "-i" => (Kind::Index, false),
        "r" if word == "-r" => (Kind::Upload, false),
        "f" if word == "-f" => (Kind::FindLinks, true),
        "h" if word == "-H" => (Kind::AllowedHost, true),
        "m" if word == "-M" => (Kind::DeadSetting, false),
        _ if plain.starts_with("poetry-repositories-") && plain.ends_with("-url") => {
            (Kind::Upload, false)
        }
        _ if plain.starts_with("repositories.") => (Kind::Upload, false),
        _ => return None,
    };
    Some(Meaning {
        kind,
        many,
        known: true,
    })
}

/// Lower case with hyphens, without leading hyphens and without pip's section (`global.`).
fn plain(word: &str) -> String {
    let mut plain = String::with_capacity(word.len() + 4);
    let mut before = ' ';
    for character in word.trim_start_matches('-').chars() {
        if character == '_' {
            plain.push('-');
        } else {
            if character.is_ascii_uppercase() && before.is_ascii_lowercase() {
                plain.push('-');
            }
            plain.push(character.to_ascii_lowercase());
        }
        before = character;
    }
    for section in [
        "global.",
        "install.",
        "user.",
        "site.",
        "download.",
        "wheel.",
        "list.",
    ] {
        if let Some(rest) = plain.strip_prefix(section) {
            return rest.to_owned();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_spelling_mean_the_same() {
        for (word, kind) in [
            ("--index-url", Kind::Index),
            ("INDEX_URL", Kind::Index),
            ("PIP_INDEX_URL", Kind::Index),
            ("indexUrl", Kind::Index),
            ("global.index-url", Kind::Index),
            ("CORP_INDEX_URL", Kind::Index),
            ("extra_index_urls", Kind::ExtraIndex),
            ("UV_INDEX", Kind::ExtraIndex),
            ("--trusted-host", Kind::TrustedHost),
            ("UV_INSECURE_HOST", Kind::TrustedHost),
            ("repository-url", Kind::Upload),
            ("POETRY_REPOSITORIES_ACME_URL", Kind::Upload),
        ] {
            assert_eq!(
                meaning(word).map(|meaning| meaning.kind),
                Some(kind),
                "{word}"
            );
        }
        assert_eq!(meaning("index"), None);
        assert_eq!(meaning("homepage"), None);
        assert!(!meaning("CORP_TRUSTED_HOST").unwrap().known);
    }
}

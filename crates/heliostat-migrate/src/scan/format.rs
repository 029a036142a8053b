//! Which kind of file a path names, and where comments are in it.

/// What a file is, as far as settings of installers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// requirements and constraints of pip.
    Requirements,
    /// pip.conf and pip.ini.
    PipConf,
    /// setup.cfg, tox.ini, buildout and the like: sections, keys, indented lines that continue.
    Ini,
    /// .pypirc.
    Pypirc,
    /// pyproject.toml, Pipfile, uv.toml and other TOML.
    Toml,
    /// uv.lock.
    UvLock,
    /// pylock.toml, pylock.NAME.toml.
    Pylock,
    /// poetry.lock.
    PoetryLock,
    /// pdm.lock.
    PdmLock,
    /// Pipfile.lock.
    PipfileLock,
    /// conda-lock.yml, pixi.lock, MODULE.bazel.lock: made by others, with addresses in them.
    OtherLock,
    /// JSON, with comments or without.
    Json,
    /// A Jupyter notebook: JSON with code in it.
    Notebook,
    /// YAML, also behind a template.
    Yaml,
    /// Dockerfile, Containerfile.
    Docker,
    /// Shell, .env, Makefile, crontab: `#` begins a comment.
    Shell,
    /// Python; strings that stand alone are documentation.
    Python,
    /// Groovy, HCL, JavaScript: `//` and `/* */`, some also `#`.
    Slashes,
    /// cmd and bat.
    Batch,
    /// netrc, and git's own file of logins.
    Netrc,
    /// systemd units and supervisord.
    Unit,
    /// Starlark, Nix, Ruby, Puppet, R, templates: `#` begins a comment.
    Hash,
    /// Text for people.
    Prose,
    /// Anything else: reported, never changed.
    Unknown,
}

/// How many lines at the top may say that a list is conda's.
const GENERATED_BY_CONDA: usize = 20;

impl Format {
    /// Tells from the path, with `/` between names, and where that is not enough from the text.
    pub fn of(path: &str, text: &str) -> Self {
        let lower = path.to_ascii_lowercase();
        let (directory, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
        by_name(directory, name)
            .or_else(|| by_extension(directory, bare(name), text))
            .unwrap_or_else(|| by_text(text))
    }

    /// Whether this is a lock file.
    pub const fn is_lock(self) -> bool {
        matches!(
            self,
            Self::UvLock
                | Self::Pylock
                | Self::PoetryLock
                | Self::PdmLock
                | Self::PipfileLock
                | Self::OtherLock
        )
    }

    /// Whether indented lines continue the value of the key above them.
    pub(crate) const fn is_ini(self) -> bool {
        matches!(self, Self::PipConf | Self::Ini | Self::Pypirc | Self::Unit)
    }

    /// Whether the byte at `at` of the line is in a comment.
    pub(crate) fn comments(self, line: &str, at: usize) -> bool {
        let at = line.floor_char_boundary(at);
        let start = line.trim_start();
        let inside = |mark: &str| begins_comment(&line[..at], mark);
        match self {
            Self::PipConf | Self::Pypirc | Self::Ini | Self::Unit => {
                start.starts_with(['#', ';']) || start.starts_with("{#")
            }
            // A notebook's comments are inside of its strings.
            Self::Prose | Self::PipfileLock | Self::Notebook => false,
            Self::Batch => {
                let first = start.trim_start_matches('@').to_ascii_lowercase();
                first.starts_with("rem ") || first.starts_with("::")
            }
            Self::Json => slashes(line, at),
            Self::Slashes => slashes(line, at) || inside("#"),
            _ => inside("#") || start.starts_with("{#") || start.starts_with("<#"),
        }
    }
}

/// A template's own ending taken off.
fn bare(name: &str) -> &str {
    [
        ".j2",
        ".jinja",
        ".jinja2",
        ".tmpl",
        ".tpl",
        ".template",
        ".erb",
        ".epp",
        ".example",
        ".sample",
        ".dist",
        ".in",
        ".default",
    ]
    .iter()
    .find_map(|ending| name.strip_suffix(ending))
    .filter(|rest| rest.contains('.') || by_name("", rest).is_some())
    .unwrap_or(name)
}

fn by_name(directory: &str, name: &str) -> Option<Format> {
    let last = directory.rsplit('/').next().unwrap_or_default();
    if [".bak", ".orig", ".old", ".save", "~"]
        .iter()
        .any(|ending| name.ends_with(ending))
    {
        // A copy of what was there before: no tool reads it.
        return Some(Format::Prose);
    }
    Some(match bare(name) {
        "pip.conf" | "pip.ini" => Format::PipConf,
        "pip" if last == "etc" => Format::PipConf,
        ".pypirc" | "pypirc" | "_pypirc" => Format::Pypirc,
        ".netrc" | "_netrc" | "netrc" | ".git-credentials" => Format::Netrc,
        "pipfile" => Format::Toml,
        "pipfile.lock" => Format::PipfileLock,
        "uv.lock" => Format::UvLock,
        "poetry.lock" => Format::PoetryLock,
        "pdm.lock" => Format::PdmLock,
        "conda-lock.yml" | "conda-lock.yaml" | "pixi.lock" | "module.bazel.lock" => {
            Format::OtherLock
        }
        ".condarc" | "condarc" | ".mambarc" => Format::Yaml,
        "setup.cfg" | "tox.ini" | "pydistutils.cfg" | ".pydistutils.cfg" | "distutils.cfg" => {
            Format::Ini
        }
        "gemfile" | "vagrantfile" | "build" | "workspace" | "brewfile" | ".bazelrc"
        | "snakefile" => Format::Hash,
        "jenkinsfile" => Format::Slashes,
        "makefile" | "gnumakefile" | "justfile" | ".justfile" | "procfile" | "crontab"
        | "environment" | ".envrc" | ".profile" | ".bashrc" | ".zshrc" | ".bash_profile"
        | ".zshenv" | ".zprofile" | "profile" | "bashrc" | "zshrc" | ".bash_aliases"
        | "install" | "bootstrap" | "configure" | "build.sh" | "rules" => Format::Shell,
        "license" | "copying" | "readme" | "changelog" | "changes" | "authors" | "news"
        | "notice" => Format::Prose,
        _ if name.starts_with("dockerfile")
            || name.starts_with("containerfile")
            || name.ends_with(".dockerfile")
            || name.ends_with(".containerfile") =>
        {
            Format::Docker
        }
        _ if name.starts_with("jenkinsfile") => Format::Slashes,
        _ if name == ".env"
            || name.starts_with(".env.")
            || name
                .rsplit_once('.')
                .is_some_and(|(_, ending)| ending == "env") =>
        {
            Format::Shell
        }
        _ if name.starts_with("pylock.") && name.rsplit('.').next() == Some("toml") => {
            Format::Pylock
        }
        "watch" if last == "debian" => Format::Hash,
        _ if last.ends_with("cron.d") || last == "profile.d" => Format::Shell,
        _ => return None,
    })
}

fn by_extension(directory: &str, name: &str, text: &str) -> Option<Format> {
    let (stem, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "toml" => Format::Toml,
        "json" | "jsonc" | "json5" | "code-workspace" => Format::Json,
        "ipynb" => Format::Notebook,
        "yml" | "yaml" | "sls" => Format::Yaml,
        "sh" | "bash" | "zsh" | "fish" | "ksh" | "mk" | "mak" | "make" | "ps1" | "psm1"
        | "envrc" | "command" | "properties" | "env" => Format::Shell,
        "cmd" | "bat" => Format::Batch,
        "py" | "pyi" | "pyw" => Format::Python,
        "cfg" | "ini" | "conf" | "cnf" | "config" | "desktop" => Format::Ini,
        "service" | "socket" | "timer" | "slice" | "container" => Format::Unit,
        "groovy" | "gradle" | "js" | "mjs" | "cjs" | "ts" | "tf" | "tfvars" | "hcl" | "nomad"
        | "kt" | "kts" | "java" | "go" | "rs" | "c" | "h" | "cpp" | "cs" | "php" | "scala"
        | "swift" | "libsonnet" | "jsonnet" => Format::Slashes,
        "bzl" | "bazel" | "nix" | "rb" | "pp" | "r" | "scm" | "pl" | "spec" | "ebuild"
        | "cmake" | "recipe" | "bb" | "bbclass" | "inc" | "ex" | "exs" | "cr" | "jl" | "tcl"
        | "awk" | "def" | "star" => Format::Hash,
        "md" | "markdown" | "rst" | "adoc" | "asciidoc" | "html" | "htm" | "xml" | "svg"
        | "tex" | "org" | "log" | "csv" | "tsv" | "po" | "pot" | "eml" | "diff" | "patch" => {
            Format::Prose
        }
        "txt" | "in" | "pip" | "req" | "reqs" => {
            let named = ["requirement", "constraint", "reqs", "pip"]
                .iter()
                .any(|word| stem.contains(word))
                || ["requirements", "constraints", "reqs"]
                    .iter()
                    .any(|word| directory.rsplit('/').next() == Some(*word))
                || matches!(extension, "pip" | "req" | "reqs");
            if text
                .lines()
                .take(GENERATED_BY_CONDA)
                .any(|line| line.trim() == "@EXPLICIT")
            {
                Format::OtherLock
            } else if named || looks_like_requirements(text) {
                Format::Requirements
            } else {
                Format::Prose
            }
        }
        _ => return None,
    })
}

fn by_text(text: &str) -> Format {
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("#!") {
        return if first.contains("python") {
            Format::Python
        } else if first.contains("node") {
            Format::Slashes
        } else {
            Format::Shell
        };
    }
    if looks_like_requirements(text) {
        Format::Requirements
    } else {
        Format::Unknown
    }
}

/// Whether every line with words in it is what pip reads: options, requirements, comments.
fn looks_like_requirements(text: &str) -> bool {
    let mut telling = false;
    for line in text.lines().take(200) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let option = line.starts_with("--")
            || ["-i ", "-f ", "-r ", "-c ", "-e "]
                .iter()
                .any(|option| line.starts_with(option));
        let pinned = ["==", ">=", "<=", "~=", "!=", " @ "]
            .iter()
            .any(|sign| line.contains(sign));
        let bare = line
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte));
        if !(option || pinned || bare) {
            return false;
        }
        telling |= option || pinned;
    }
    telling
}

/// Whether a comment of this mark is open at the end of `head`: the mark at the beginning or behind white space, and
/// not inside of quotes.
pub(super) fn begins_comment(head: &str, mark: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    for (at, character) in head.char_indices() {
        match quote {
            Some(open) if character == open && before != '\\' => quote = None,
            None if head[at..].starts_with(mark) && before.is_whitespace() => return true,
            None if matches!(character, '"' | '\'' | '`') && !before.is_alphanumeric() => {
                quote = head[at + 1..].contains(character).then_some(character);
            }
            _ => {}
        }
        before = character;
    }
    false
}

/// Whether `//` or `/*` is open: `//` of a URL has a colon before it and is none.
fn slashes(line: &str, at: usize) -> bool {
    let head = &line[..at];
    if line.trim_start().starts_with('*') {
        return true;
    }
    if head
        .rfind("/*")
        .is_some_and(|open| !head[open..].contains("*/"))
    {
        return true;
    }
    begins_comment(head, "//") || line.trim_start().starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        for (path, format) in [
            ("a/.config/pip/pip.conf", Format::PipConf),
            ("requirements-dev.txt", Format::Requirements),
            ("requirements/base.in", Format::Requirements),
            ("pip.conf.j2", Format::PipConf),
            ("Dockerfile.gpu", Format::Docker),
            ("pylock.dev.toml", Format::Pylock),
            (".github/workflows/x.yml", Format::Yaml),
            ("README.md", Format::Prose),
            (".env.production", Format::Shell),
            ("notes.txt", Format::Prose),
            ("Pipfile", Format::Toml),
            ("x.dat", Format::Unknown),
            ("pip.conf.bak", Format::Prose),
            ("requirements.txt~", Format::Prose),
            ("pip.conf.example", Format::PipConf),
        ] {
            assert_eq!(Format::of(path, "hello there, reader"), format, "{path}");
        }
        assert_eq!(
            Format::of("deps.txt", "-i https://x.example\nflask==1"),
            Format::Requirements
        );
        assert_eq!(Format::of("run", "#!/bin/sh\n"), Format::Shell);
    }

    #[test]
    fn comments_are_told_from_settings() {
        for (format, line, comment) in [
            (Format::PipConf, "index-url = URL ; old HERE", false),
            (Format::PipConf, "; HERE", true),
            (Format::Requirements, "x @ https://y/#sha256=HERE", false),
            (Format::Requirements, "flask # HERE", true),
            (Format::Shell, "echo '# ' HERE", false),
            (Format::Yaml, "a: b # HERE", true),
            (Format::Json, "// HERE", true),
            (Format::Json, "\"a\": \"https://HERE\"", false),
            (Format::Batch, "rem HERE", true),
            (Format::Shell, "don't # HERE", true),
        ] {
            let at = line.find("HERE").unwrap();
            assert_eq!(format.comments(line, at), comment, "{line}");
        }
    }
}

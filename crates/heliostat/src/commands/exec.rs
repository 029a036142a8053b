//! `heliostat exec`: one command with a proxy behind it, its exit code, and lock files that name the canonical index
//! afterwards.

use std::io::IsTerminal as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_pypi::client_config::{Installer, Judged, ProxyPlace, Severity, judge};
use heliostat_pypi::lock_urls::{
    Beside, Canonical, LockFormat, Loopback, MovedRoot, UrlChange, UrlMap, canonical_lock,
};
use heliostat_pypi::select::LockKind;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{UsageError, doctor, lock, proxy};
use crate::cli::{CommonArgs, ExecArgs};
use crate::outcome::Outcome;
use crate::settings;
use crate::{files, reporter, wire};

/// How long a place on this machine may take to answer, before it is gone.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

pub(super) fn run(common: &CommonArgs, args: &ExecArgs) -> anyhow::Result<Outcome> {
    let directory = std::path::absolute(".").context("there is no current directory")?;
    if !may_run(args, &directory)? {
        return Ok(Outcome::Findings);
    }
    let runtime = wire::runtime()?;
    let outcome = runtime.block_on(async {
        match &args.index {
            Some(index) => with_index((index.clone(), None), args, &directory).await,
            None => with_proxy(common, args, &directory).await,
        }
    });
    wire::end(runtime);
    outcome
}

/// Whether nothing that the environment cannot overrule would bypass the proxy; else says what.
fn may_run(args: &ExecArgs, directory: &Path) -> anyhow::Result<bool> {
    let program = args.command.first().map(PathBuf::from).unwrap_or_default();
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    let sources = doctor::files_under_exec(directory)?;
    let judged = Judged {
        // Nothing else on loopback is taken for it.
        proxy: (args.index.clone()).map_or(ProxyPlace::Unborn, ProxyPlace::At),
        allowed: args.allow.clone(),
        installers: installers(&name),
    };
    let mut fine = true;
    for bypass in judge(&doctor::all_settings(&sources)?, &judged) {
        let Some(setting) = &bypass.setting else {
            continue;
        };
        if bypass.severity == Severity::Bypass {
            fine = false;
            reporter::talk(&format!(
                "refused: {}: {} = {}\n    {}\n    fix: {}",
                doctor::place(&bypass),
                setting.name,
                settings::redact(setting.value.clone()),
                bypass.why,
                bypass.fix
            ));
        }
    }
    if judged.installers == [Installer::Poetry] {
        reporter::talk(
            "poetry takes no index from the environment: it needs the plugin poetry-plugin-pypi-mirror, or the \
             proxy as a primary source in pyproject.toml",
        );
    }
    // Its hash stands in the lock file, so it cannot be mended afterwards.
    if name == "pipenv"
        && !directory
            .ancestors()
            .any(|above| above.join("Pipfile").exists())
    {
        reporter::talk(
            "pipenv writes the index that it is told of into a Pipfile that it makes: begin with one that names the \
             canonical index, and it stays as it is",
        );
    }
    Ok(fine)
}

/// Whose configuration matters to a program; any of them may be behind one that is not known.
fn installers(program: &str) -> Vec<Installer> {
    match program {
        "uv" | "uvx" => vec![Installer::Uv],
        "poetry" => vec![Installer::Poetry],
        "pdm" => vec![Installer::Pdm],
        name if name.starts_with("pip") => vec![Installer::Pip],
        _ => Vec::new(),
    }
}

async fn with_proxy(
    common: &CommonArgs,
    args: &ExecArgs,
    directory: &Path,
) -> anyhow::Result<Outcome> {
    let (options, list, client) = proxy::open_as_configured(common, &args.source)?;
    let list = list.begin(&client).await?;
    let beside = proxy::origin_root(&options)?;
    let bound = proxy::bind(options.listen, &client)?;
    let index: Url = format!("http://{}/simple/", bound.local_address())
        .parse()
        .context("the proxy's own address")?;
    let cancel = CancellationToken::new();
    let stopped = cancel.clone();
    let (_drained, outcome) =
        tokio::join!(bound.run(async move { stopped.cancelled().await }), async {
            // A command may take longer than its list is in force.
            let outcome = tokio::select! {
                outcome = with_index((index, beside), args, directory) => outcome,
                never = list.go_on(&client) => match never {},
            };
            cancel.cancel();
            outcome
        });
    client.stop().await;
    outcome
}

/// Runs the command against an index that is there, with what is known of the plain index beside it.
async fn with_index(
    (index, beside): (Url, Option<Url>),
    args: &ExecArgs,
    directory: &Path,
) -> anyhow::Result<Outcome> {
    let root = index.as_str().trim_end_matches('/').to_owned();
    let locks = Locks::lead_to(&root, beside, directory)?;
    let result = run_child(&root, args).await;
    // Whatever happened, nobody shall find the proxy's addresses in a lock file.
    locks.lead_back()?;
    Ok(Outcome::Child(exit_code(result?)))
}

async fn run_child(root: &str, args: &ExecArgs) -> anyhow::Result<ExitStatus> {
    let (program, arguments) = args
        .command
        .split_first()
        .ok_or_else(|| UsageError("there is no command".to_owned()))?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    let no_proxy = settings::variable("NO_PROXY").or_else(|| settings::variable("no_proxy"));
    for (name, value) in environment(root, no_proxy.as_deref()) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start `{}`", program.to_string_lossy()))?;
    // A terminal sends its interrupts to both of us.
    let on_terminal = std::io::stdin().is_terminal();
    loop {
        tokio::select! {
            status = child.wait() => return status.context("cannot wait for the command"),
            _ = terminate.recv() => forward(&child, Signal::TERM),
            _ = hangup.recv() => forward(&child, Signal::HUP),
            _ = interrupt.recv() => if !on_terminal { forward(&child, Signal::INT) },
        }
    }
}

fn forward(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may be gone by now, which its end will tell.
        let _gone = kill_process(pid, signal);
    }
}

/// The command's own code; 128 and the signal's number where a signal ended it, as shells have it.
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// What the command's environment says instead of ours: every installer's own way to be told of an index, and nothing
/// left of what would name another. `None` takes a variable away.
fn environment(root: &str, no_proxy: Option<&str>) -> Vec<(&'static str, Option<String>)> {
    let index = format!("{root}/");
    let set = |value: &str| Some(value.to_owned());
    let no_proxy = match no_proxy {
        Some(hosts) if !hosts.is_empty() => format!("{hosts},127.0.0.1,localhost"),
        _ => "127.0.0.1,localhost".to_owned(),
    };
    vec![
        ("PIP_INDEX_URL", set(&index)),
        // Lists in a pip.conf cannot be emptied otherwise.
        ("PIP_CONFIG_FILE", set("/dev/null")),
        ("PIP_EXTRA_INDEX_URL", None),
        ("PIP_FIND_LINKS", None),
        ("PIP_TRUSTED_HOST", None),
        ("PIP_NO_INDEX", None),
        // Spelt as in the lock file, or uv takes it for another index. The older of two variables that say the same:
        // `uv add` writes the newer one's index into pyproject.toml.
        ("UV_INDEX_URL", set(root)),
        ("UV_DEFAULT_INDEX", None),
        ("UV_INDEX", None),
        ("UV_EXTRA_INDEX_URL", None),
        ("UV_FIND_LINKS", None),
        ("UV_NO_INDEX", None),
        ("UV_INSECURE_HOST", None),
        ("UV_INDEX_STRATEGY", set("first-index")),
        ("PDM_PYPI_URL", set(&index)),
        // Indexes may be stored in a user's file; without any pdm would not take ours, were they only ignored.
        ("PDM_CONFIG_FILE", set("/dev/null")),
        ("PDM_IGNORE_STORED_INDEX", None),
        ("PDM_PYPI_VERIFY_SSL", None),
        ("PIPENV_PYPI_MIRROR", set(&index)),
        ("POETRY_PYPI_MIRROR_URL", set(&index)),
        ("NO_PROXY", Some(no_proxy.clone())),
        ("no_proxy", Some(no_proxy)),
    ]
}

/// Lock files around the working directory, while a command works on them.
struct Locks {
    back: UrlMap,
    /// Each with what it said before, and what it said when the command began.
    files: Vec<(PathBuf, Option<String>, Option<String>)>,
}

impl Locks {
    /// Makes the lock files that installers download by lead to the proxy.
    fn lead_to(root: &str, beside: Option<Url>, directory: &Path) -> anyhow::Result<Self> {
        let local: Url = root.parse().context("the index's address")?;
        let pypi = [crate::PYPI_SIMPLE_ROOT, crate::PYPI_FILES_ROOT];
        let there = UrlMap {
            from: pypi
                .iter()
                .filter_map(|url| url.parse().ok().map(MovedRoot::new))
                .collect(),
            loopback: Loopback::Left,
            to: Canonical {
                index: root.to_owned(),
                files: format!("{}/", root.strip_suffix("/simple").unwrap_or(root)),
            },
            beside: Beside::Hidden(beside.clone()),
        };
        let mut locks = Self {
            back: UrlMap {
                from: vec![MovedRoot::new(local)],
                loopback: Loopback::Mapped,
                to: lock::canonical(&crate::PYPI_SIMPLE_ROOT.parse().context("PyPI's address")?),
                beside: beside.map_or(Beside::Unknown, Beside::Named),
            },
            files: Vec::new(),
        };
        for path in candidates(directory) {
            let Some(format) = LockFormat::of_filename(&path.to_string_lossy()) else {
                continue;
            };
            let before = locks.repaired(&path, format, read(&path)?)?;
            // The others name files by digest alone, and their index is told otherwise.
            let by_address = matches!(
                format,
                LockFormat::Toml(LockKind::Uv | LockKind::Pylock) | LockFormat::Yaml
            );
            let mut began = before.clone();
            if let Some(text) = before.as_deref().filter(|_| by_address)
                && let Ok(moved) = canonical_lock(format, text, &there)
                && moved.text != text
            {
                write(&path, &moved.text)?;
                began = Some(moved.text);
            }
            locks.files.push((path, before, began));
        }
        Ok(locks)
    }

    /// Makes canonical what an earlier `exec` left that was killed: the address of a proxy that is gone. One where
    /// somebody answers is not ours to judge.
    fn repaired(
        &self,
        path: &Path,
        format: LockFormat,
        text: Option<String>,
    ) -> anyhow::Result<Option<String>> {
        let Some(text) = text else {
            return Ok(None);
        };
        let gone = match canonical_lock(format, &text, &self.back) {
            Ok(lock) => gone(&lock.changes),
            Err(_) => Vec::new(),
        };
        if gone.is_empty() {
            return Ok(Some(text));
        }
        let map = UrlMap {
            from: gone,
            loopback: Loopback::Left,
            ..self.back.clone()
        };
        match canonical_lock(format, &text, &map) {
            Ok(lock) if lock.text != text => {
                write(path, &lock.text)?;
                reporter::talk(&format!(
                    "`{}` named a proxy that is gone, as an `exec` that was killed leaves it: it names the canonical index again",
                    path.display()
                ));
                Ok(Some(lock.text))
            }
            _ => Ok(Some(text)),
        }
    }

    /// Puts back what the command left alone, and makes canonical what it changed.
    fn lead_back(self) -> anyhow::Result<()> {
        for (path, before, began) in self.files {
            let now = read(&path)?;
            let Some(text) = now.filter(|text| began.as_ref() != Some(text) || before != began)
            else {
                continue;
            };
            if began.as_ref() == Some(&text) {
                write(&path, &before.unwrap_or_default())?;
                continue;
            }
            let Some(format) = LockFormat::of_filename(&path.to_string_lossy()) else {
                continue;
            };
            match canonical_lock(format, &text, &self.back) {
                Ok(lock) => {
                    if lock.text != text {
                        write(&path, &lock.text)?;
                    }
                    for left in &lock.left {
                        let (shown, line) = (path.display(), left.line);
                        reporter::talk(&format!(
                            "{shown}:{line}: {} of `heliostat lock normalize`",
                            lock::why_left(left)
                        ));
                    }
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the lock file keeps the proxy's addresses");
                }
            }
        }
        Ok(())
    }
}

/// The places on this machine that addresses were of, where nobody answers any more.
fn gone(changes: &[UrlChange]) -> Vec<MovedRoot> {
    let mut roots: Vec<Url> = (changes.iter())
        .filter_map(|change| change.before.parse::<Url>().ok()?.join("/").ok())
        .collect();
    roots.sort();
    roots.dedup();
    roots.retain(|root| {
        let addresses = root.socket_addrs(|| None).unwrap_or_default();
        !addresses
            .iter()
            .any(|address| TcpStream::connect_timeout(address, ANSWERS_WITHIN).is_ok())
    });
    roots.into_iter().map(MovedRoot::new).collect()
}

/// Lock files here and above, where a workspace's stands, whether or not they are there.
fn candidates(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = directory
        .ancestors()
        .flat_map(|above| {
            [
                "uv.lock",
                "poetry.lock",
                "Pipfile.lock",
                "pixi.lock",
                "pylock.toml",
            ]
            .map(|name| above.join(name))
        })
        .collect();
    let beside = directory.read_dir().into_iter().flatten().flatten();
    paths.extend(
        beside
            .map(|entry| entry.path())
            .filter(|path| LockFormat::of_filename(&path.to_string_lossy()).is_some()),
    );
    paths.sort();
    paths.dedup();
    paths
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes =
        wire::read_small(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(String::from_utf8(bytes).ok())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    files::replace(path, text.as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_proxy_is_left_in_the_environment() {
        let environment = environment("http://127.0.0.1:4000/simple", Some("corp.example"));
        let of = |name: &str| {
            let found = environment.iter().find(|(other, _)| *other == name);
            found
                .unwrap_or_else(|| panic!("{name} is not told"))
                .1
                .as_deref()
        };
        assert_eq!(of("PIP_INDEX_URL"), Some("http://127.0.0.1:4000/simple/"));
        assert_eq!(of("UV_INDEX_URL"), Some("http://127.0.0.1:4000/simple"));
        assert_eq!(of("NO_PROXY"), Some("corp.example,127.0.0.1,localhost"));
        for name in [
            "PIP_EXTRA_INDEX_URL",
            "PIP_TRUSTED_HOST",
            "UV_INDEX",
            "UV_DEFAULT_INDEX",
            "UV_EXTRA_INDEX_URL",
            "UV_FIND_LINKS",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn a_program_tells_whose_configuration_matters() {
        assert_eq!(installers("uv"), [Installer::Uv]);
        assert_eq!(installers("pip3.12"), [Installer::Pip]);
        assert_eq!(installers("make"), []);
    }
}

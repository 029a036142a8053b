//! Builds the concrete things from the settings and joins them. Composition happens here and nowhere else.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use heliostat_client::Transport;
use heliostat_engine::{
    AttestationPolicy, Attestations, Chosen, Clock, Context, Event, Events, about,
};
use heliostat_store::Store;
use heliostat_trust::attest::{AttestVerifier, embedded_trusted_root};
use heliostat_upstream::{Limits, Upstream, UpstreamOptions};
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use crate::cli::{
    AttestationArgs, AttestationsWord, CommonArgs, LogFormat, LogLevel, UpstreamArgs,
};
use crate::commands::UsageError;
use crate::settings;

/// The largest certificate, netrc, requirements or lock file read, in bytes.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// How long work that was cut off may take to let go.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// The system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge where the clock is read"
)]
pub(crate) fn clock() -> Clock {
    Clock::new(|| match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    })
}

/// The data directory in force.
pub(crate) fn data_directory(common: &CommonArgs) -> PathBuf {
    common.data.clone().unwrap_or_else(settings::default_data)
}

/// The data directory in force, for commands that look at a mirror and make none.
pub(crate) fn existing_data_directory(common: &CommonArgs) -> anyhow::Result<PathBuf> {
    let data = data_directory(common);
    if Store::is_at(&data) {
        return Ok(data);
    }
    let text = format!(
        "there is no mirror at `{}`; name one with `--data`",
        data.display()
    );
    Err(UsageError(text).into())
}

/// Opens the store and finishes or discards what an interrupted run left.
pub(crate) fn open_store(common: &CommonArgs, events: &Events) -> anyhow::Result<Store> {
    let store = Store::open(&data_directory(common))?;
    let recovery = store.recover(clock().now())?;
    for refusal in &recovery.refused {
        let project = refusal
            .project
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::warn!(project, item = refusal.item, error = %refusal.error, "an unfinished commit was undone");
    }
    if !recovery.is_clean() {
        events.announce(Event::Recovered {
            redone: recovery.redone,
            discarded: recovery.discarded_temporaries,
        });
    }
    Ok(store)
}

/// The same, of a mirror that is there: where a mistyped `--data` leads, nothing is made.
pub(crate) fn open_existing_store(common: &CommonArgs, events: &Events) -> anyhow::Result<Store> {
    existing_data_directory(common)?;
    open_store(common, events)
}

/// The upstream that the options name, for a command without a data directory.
pub(crate) fn upstream(args: &UpstreamArgs) -> anyhow::Result<Upstream> {
    Ok(Upstream::new(upstream_options(args, args.root()?, None)?)?)
}

/// The upstream of a mirror: the one that the options name, else the one that was named at its last sync. Requests tell
/// how whoever runs the mirror can be reached, as `--contact` once said.
pub(crate) fn upstream_of(store: &Store, args: &UpstreamArgs) -> anyhow::Result<Upstream> {
    let contact = about::operator(store)?.contact;
    let remembered = match &args.upstream {
        Some(_) => None,
        None => heliostat_engine::sync::named_upstream(store)?,
    };
    let root = match remembered {
        Some(root) => {
            tracing::info!(upstream = %root, "taking from where the last sync took from");
            root
        }
        None => args.root()?,
    };
    Ok(Upstream::new(upstream_options(
        args,
        root,
        contact.as_deref(),
    )?)?)
}

/// Tells what of the upstream's options cannot be used, before anything is made on disk.
pub(crate) fn usable(args: &UpstreamArgs) -> anyhow::Result<()> {
    upstream(args).map(drop)
}

/// Everything a use-case works with.
pub(crate) fn context(store: Store, upstream: Upstream, events: Events) -> Context {
    Context {
        store,
        upstream,
        events,
        clock: clock(),
        notary: None,
        attestations: Attestations::default(),
    }
}

/// What is done about provenance that does not hold, as the options say. Sigstore's trusted root is the one that was
/// named, else the one that the signed tree of this data directory names, else the one of this program.
pub(crate) fn attestations(args: &AttestationArgs, store: &Store) -> anyhow::Result<Attestations> {
    if let Some(path) = &args.trusted_root {
        return attestations_by(args.attestations, Chosen::ByOperator, || {
            verifier(Some(path))
        });
    }
    attestations_by(args.attestations, Chosen::ByDefault, || {
        heliostat_trust::crypto::install();
        match heliostat_engine::held_trusted_root(store)? {
            Some(held) => {
                if held != embedded_trusted_root() {
                    tracing::info!(
                        "provenance is verified against the trusted root that the tree names, which is not the one \
                         this program was built with"
                    );
                }
                Ok(AttestVerifier::from_json(&held)?)
            }
            None => Ok(AttestVerifier::embedded()?),
        }
    })
}

/// The same where the upstream's notary is going to be asked: what our tree names does not matter, and may be mended.
pub(crate) fn attestations_until_signed(
    policy: AttestationsWord,
    trusted_root: Option<&Path>,
) -> anyhow::Result<Attestations> {
    let chosen = match trusted_root {
        Some(_) => Chosen::ByOperator,
        None => Chosen::ByDefault,
    };
    attestations_by(policy, chosen, || verifier(trusted_root))
}

/// The same with Sigstore's trusted root from elsewhere. It is not looked for where nobody wants to know.
pub(crate) fn attestations_by(
    policy: AttestationsWord,
    chosen: Chosen,
    verifier: impl FnOnce() -> anyhow::Result<AttestVerifier>,
) -> anyhow::Result<Attestations> {
    let policy = match policy {
        AttestationsWord::Ignore => return Ok(Attestations::default()),
        AttestationsWord::Warn => AttestationPolicy::Warn,
        AttestationsWord::Refuse => AttestationPolicy::Refuse,
    };
    Ok(Attestations::checked(policy, verifier()?, chosen))
}

/// Verifies attestations against this trusted root of Sigstore's, else the one that the program was built with.
pub(crate) fn verifier(trusted_root: Option<&Path>) -> anyhow::Result<AttestVerifier> {
    heliostat_trust::crypto::install();
    let Some(path) = trusted_root else {
        return Ok(AttestVerifier::embedded()?);
    };
    let bytes = read_small(path)
        .with_context(|| format!("cannot read `--trusted-root` `{}`", path.display()))?;
    AttestVerifier::from_json(&bytes)
        .map_err(|error| UsageError(format!("`{}`: {error}", path.display())).into())
}

/// Verifies attestations against the trusted root that a signed tree names, verified from this root of its notary.
pub(crate) fn verifier_of_tree(tree: &Path, root: &Path) -> anyhow::Result<AttestVerifier> {
    let root = notarys_root(root)?;
    if !tree.join("tuf").is_dir() {
        return Err(UsageError(format!(
            "`--tree` `{}` is no signed tree: there is no `tuf` in it",
            tree.display()
        ))
        .into());
    }
    let carried = heliostat_engine::signed_trusted_root(tree, &root, clock().now())?;
    verifier_as_signed(carried, &format!("tree `{}`", tree.display()))
}

/// The same of a signed mirror.
pub(crate) async fn verifier_of_mirror(
    upstream: &Upstream,
    root: &Path,
) -> anyhow::Result<AttestVerifier> {
    let root = notarys_root(root)?;
    let carried = heliostat_engine::trusted_root_of_mirror(upstream, &root, clock().now()).await?;
    verifier_as_signed(carried, "upstream")
}

pub(crate) fn notarys_root(path: &Path) -> anyhow::Result<Vec<u8>> {
    heliostat_trust::crypto::install();
    read_small(path).with_context(|| format!("cannot read `--root` `{}`", path.display()))
}

fn verifier_as_signed(carried: Option<Vec<u8>>, what: &str) -> anyhow::Result<AttestVerifier> {
    let carried = carried.ok_or_else(|| {
        UsageError(format!(
            "the signed {what} names no trusted root; leave `--root` out, or have its notary run \
             `heliostat trust trusted-root`"
        ))
    })?;
    Ok(AttestVerifier::from_json(&carried)?)
}

fn upstream_options(
    args: &UpstreamArgs,
    root: Url,
    contact: Option<&str>,
) -> anyhow::Result<UpstreamOptions> {
    Ok(UpstreamOptions {
        root,
        file_mirrors: args.file_mirror.clone(),
        user_agent: (args.user_agent.clone()).unwrap_or_else(|| user_agent(contact)),
        ca_certificates_pem: certificates(args.cacert.as_deref())?,
        proxy: args.proxy.clone(),
        netrc: netrc(args)?,
        limits: Limits {
            requests_max: usize::from(args.jobs),
            idle_max: usize::from(args.jobs),
            tries_max: args.tries,
            read_timeout: Duration::from_secs(args.read_timeout),
            connect_timeout: Duration::from_secs(args.connect_timeout),
            retry_after_max: Duration::from_secs(args.retry_after_max),
            ..Limits::default()
        },
    })
}

/// What `--cacert` names, beside the system's certificates.
pub(crate) fn certificates(cacert: Option<&Path>) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |path: &Path| {
        read_small(path).with_context(|| format!("cannot read `--cacert` `{}`", path.display()))
    };
    cacert.into_iter().map(read).collect()
}

/// How mirrors that are not trusted are reached.
pub(crate) fn transport(cacert: Option<&Path>, proxy: Option<&Url>) -> anyhow::Result<Transport> {
    Ok(Transport {
        user_agent: default_user_agent(),
        ca_certificates_pem: certificates(cacert)?,
        proxy: proxy.cloned(),
        netrc: usual_netrc(),
    })
}

pub(crate) fn default_user_agent() -> String {
    user_agent(None)
}

/// Who asks, and how to reach them. A header holds no more than ASCII, so another contact is left out.
fn user_agent(contact: Option<&str>) -> String {
    let name = concat!("heliostat/", env!("CARGO_PKG_VERSION"));
    match contact.filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~'))) {
        Some(contact) => format!("{name} (+{contact})"),
        None => name.to_owned(),
    }
}

/// The named netrc file, which must be there; else the user's, which may be.
fn netrc(args: &UpstreamArgs) -> anyhow::Result<Option<String>> {
    if let Some(path) = &args.netrc {
        let bytes = read_small(path)
            .with_context(|| format!("cannot read `--netrc` `{}`", path.display()))?;
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(usual_netrc())
}

/// The user's netrc file, where there is one.
pub(crate) fn usual_netrc() -> Option<String> {
    let usual = settings::home().map(|home| home.join(".netrc"));
    usual
        .and_then(|path| read_small(&path).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a small file that an option names.
#[expect(
    clippy::disallowed_methods,
    reason = "files that options name are read at the edge, never below it"
)]
pub(crate) fn read_small(path: &Path) -> std::io::Result<Vec<u8>> {
    let length = path.metadata()?.len();
    if length > SMALL_FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "it has {length} bytes; at most {SMALL_FILE_BYTES_MAX} are read"
        )));
    }
    std::fs::read(path)
}

/// Log lines on stderr, as asked for.
pub(crate) fn start_logging(common: &CommonArgs) {
    let level = match common.log {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal());
    match common.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// Has this process's memory backed by small pages only, where the system can be told so.
///
/// Of a whole huge page, a process that holds many small things for a short time uses a part and has the system clear
/// all: without them a first sync held a third less, with an allocator that asked for them. A server that sends large files
/// through TLS is faster with them, so this is for commands that are not one. Nothing depends on it.
pub(crate) fn small_pages_only() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "the system does not let go of huge pages");
    }
}

/// Begins the process again with an allocator that gives back at once what is freed, and keeps no room for each thread;
/// does nothing where whoever started it has set that otherwise, or where the system does not let it.
///
/// For a command that is small most of the time and holds a few megabytes for a moment. The allocator reads its settings
/// before `main`, so that nothing later can change them.
pub(crate) fn begin_again_thrifty() {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt as _;
        #[expect(
            clippy::disallowed_methods,
            reason = "the allocator's own setting, told to nobody else"
        )]
        let is_set = std::env::var_os(THRIFT[0].0).is_some();
        if is_set {
            return;
        }
        let Ok(program) = std::env::current_exe() else {
            return;
        };
        let mut again = std::process::Command::new(program);
        let error = again.args(std::env::args_os().skip(1)).envs(THRIFT).exec();
        tracing::debug!(%error, "the process does not begin again; it takes some more memory");
    }
}

/// Settings of glibc's allocator: one arena for all threads, large pieces apart, and back to the system what is free at
/// the end. Other allocators pass over them.
#[cfg(target_os = "linux")]
const THRIFT: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "262144"),
    ("MALLOC_TRIM_THRESHOLD_", "1048576"),
];

/// A runtime with a thread for each processor.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Ends a runtime. What is written at this moment gets a moment to be finished, so that nothing is left lying about;
/// more is not waited for, and recovery discards it.
pub(crate) fn end(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_timeout(SHUTDOWN_MAX);
}

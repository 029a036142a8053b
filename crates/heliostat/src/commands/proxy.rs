//! `heliostat proxy`: a verified index on loopback, and `heliostat proxy why`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_client::{
    Client, ClientOptions, MirrorOptions, OriginOptions, OriginOrder, ProofOptions, Transport,
};
use heliostat_serve::{Bound, Limits, ProxyServer, ServeOptions};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{UsageError, attest_memory, signals};
use crate::cli::{
    self, AttestationsWord, CommonArgs, OriginWhen, ProofArgs, ProxyAction, ProxyArgs, SourceArgs,
};
use crate::outcome::Outcome;
use crate::settings::{self, ReadError};
use crate::{render, reporter, wire};

pub(super) fn run(common: &CommonArgs, args: &ProxyArgs) -> anyhow::Result<Outcome> {
    match &args.action {
        Some(ProxyAction::Why { file, json }) => why(common, file, *json),
        None => serve(common, args),
    }
}

fn serve(common: &CommonArgs, args: &ProxyArgs) -> anyhow::Result<Outcome> {
    wire::begin_again_thrifty();
    let (list, client) = open(common, args)?;
    if !args.listen.ip().is_loopback() {
        tracing::warn!(listen = %args.listen, "the proxy listens beyond this machine, without TLS: whoever is between it and an installer can change what it verified");
    }
    let runtime = wire::runtime()?;
    let result = runtime.block_on(async {
        let list = list.begin(&client).await?;
        let bound = bind(args.listen, &client)?;
        let signals = signals::Signals::listen();
        reporter::print(&format!("listening on http://{}\n", bound.local_address()));
        let cancel = CancellationToken::new();
        let stopped = cancel.clone();
        let drained = tokio::select! {
            drained = bound.run(async move { stopped.cancelled().await }) => Some(drained),
            () = signals.watch(&cancel) => None,
            never = list.go_on(&client) => match never {},
        };
        client.stop().await;
        anyhow::Ok(drained)
    });
    wire::end(runtime);
    Ok(match result? {
        Some(_drained) => Outcome::Done,
        None => Outcome::Findings,
    })
}

/// The list of mirrors that a proxy takes from, where the program has one and the user gave it.
#[cfg(feature = "directory")]
pub(super) struct Listed(Option<crate::mirror_list::Watched>);

/// The same once it was looked at.
#[cfg(feature = "directory")]
pub(super) struct Watching(Option<crate::mirror_list::Watching>);

#[cfg(feature = "directory")]
impl Listed {
    const MISSING: &str = "`--mirror` is missing: give one address or several, or a list of mirrors with `--directory`";

    fn is_wanted(args: &ProxyArgs) -> bool {
        !args.source.list.directory.is_empty()
    }

    /// What the options ask for.
    pub(super) fn of(args: &ProxyArgs, options: &ClientOptions) -> anyhow::Result<Self> {
        crate::mirror_list::Watched::of(&args.source.list, options).map(Self)
    }

    /// Gives the list's mirrors to the client.
    pub(super) async fn begin(self, client: &Client) -> anyhow::Result<Watching> {
        if let Some(watched) = self.0 {
            return Ok(Watching(Some(watched.begin(client).await?)));
        }
        none_listed(client)?;
        Ok(Watching(None))
    }
}

#[cfg(feature = "directory")]
impl Watching {
    /// Looks for news until it is dropped.
    pub(super) async fn go_on(self, client: &Client) -> std::convert::Infallible {
        if let Some(watching) = self.0 {
            watching.go_on(client).await;
        }
        std::future::pending().await
    }
}

/// A program without lists of mirrors.
#[cfg(not(feature = "directory"))]
pub(super) struct Listed;

#[cfg(not(feature = "directory"))]
impl Listed {
    const MISSING: &str = "`--mirror` is missing: give one address or several";

    const fn is_wanted(_args: &ProxyArgs) -> bool {
        false
    }

    #[expect(clippy::unnecessary_wraps, reason = "as with lists")]
    pub(super) const fn of(_args: &ProxyArgs, _options: &ClientOptions) -> anyhow::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_async, reason = "as with lists")]
    pub(super) async fn begin(self, client: &Client) -> anyhow::Result<Self> {
        none_listed(client)?;
        Ok(self)
    }

    pub(super) async fn go_on(self, _client: &Client) -> std::convert::Infallible {
        std::future::pending().await
    }
}

/// Notes for `heliostat mirrors` that there are the given mirrors and no others.
fn none_listed(client: &Client) -> anyhow::Result<()> {
    Ok(client.list(&[], None, Vec::new())?)
}

/// Binds a proxy's address.
pub(super) fn bind(listen: SocketAddr, client: &Client) -> anyhow::Result<Bound> {
    let options = ServeOptions {
        listen,
        tls: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: Limits {
            drain_timeout: Duration::from_secs(5),
            ..Limits::default()
        },
    };
    Ok(ProxyServer::new(options, client.clone()).bind()?)
}

/// The proxy's options as `heliostat proxy` would have them: typed, from the environment or the file. It listens at a
/// place of its own, not at that of a proxy that stays.
fn as_configured(
    common: &CommonArgs,
    typed: &SourceArgs,
) -> anyhow::Result<(CommonArgs, ProxyArgs)> {
    let mut words: Vec<OsString> = vec!["heliostat".into(), "proxy".into()];
    let paths = [
        ("--config", common.config.as_deref()),
        ("--data", common.data.as_deref()),
        ("--root", typed.root.as_deref()),
        ("--cacert", typed.cacert.as_deref()),
    ];
    for (option, path) in paths {
        if let Some(path) = path {
            words.extend([option.into(), path.into()]);
        }
    }
    let addresses = typed.mirror.iter().map(|mirror| ("--mirror", mirror));
    for (option, url) in addresses.chain(typed.proxy.iter().map(|proxy| ("--proxy", proxy))) {
        words.extend([option.into(), url.as_str().into()]);
    }
    #[cfg(feature = "directory")]
    words.extend(crate::mirror_list::words(&typed.list));
    let listen = SocketAddr::from(([127, 0, 0, 1], 0)).to_string();
    words.extend(["--listen".into(), listen.into()]);
    let settings = settings::read(&words).map_err(ReadError::into_anyhow)?;
    match settings.cli.command {
        cli::Command::Proxy(options) => Ok((settings.cli.common, *options)),
        _ => Err(UsageError("the proxy's options cannot be read".to_owned()).into()),
    }
}

/// The client of another command, with the options of [`as_configured`].
pub(super) fn open_as_configured(
    common: &CommonArgs,
    typed: &SourceArgs,
) -> anyhow::Result<(ProxyArgs, Listed, Client)> {
    let (common, args) = as_configured(common, typed)?;
    let (list, client) = open(&common, &args)?;
    Ok((args, list, client))
}

/// The list that is wanted, not taken yet, and the client.
fn open(common: &CommonArgs, args: &ProxyArgs) -> anyhow::Result<(Listed, Client)> {
    let options = options(common, args)?;
    let list = Listed::of(args, &options)?;
    Ok((list, Client::open(options, wire::clock())?))
}

fn options(common: &CommonArgs, args: &ProxyArgs) -> anyhow::Result<ClientOptions> {
    let source = &args.source;
    let Some(path) = &source.root else {
        return Err(UsageError(
            "`--root` is missing: the file that the notary gave you".to_owned(),
        )
        .into());
    };
    if source.mirror.is_empty() && !Listed::is_wanted(args) {
        return Err(UsageError(Listed::MISSING.to_owned()).into());
    }
    let root = wire::read_small(path)
        .with_context(|| format!("cannot read `--root` `{}`", path.display()))?;
    let transport = wire::transport(source.cacert.as_deref(), source.proxy.as_ref())?;
    Ok(ClientOptions {
        root_name: path.display().to_string(),
        root,
        origin: origin(args, &transport)?,
        proof: proof(&args.proof)?,
        mirrors: MirrorOptions {
            mirrors: source.mirror.clone(),
            transport,
        },
        directory: wire::data_directory(common).join("proxy"),
        staleness_max: Some(Duration::from_secs(args.max_staleness)),
        limits: heliostat_client::Limits::default(),
    })
}

/// What is asked of a file's provenance, where anything is.
fn proof(args: &ProofArgs) -> anyhow::Result<Option<ProofOptions>> {
    if args.attestations == AttestationsWord::Ignore {
        return match args.publishers {
            None => Ok(None),
            Some(_) => Err(UsageError(
                "`--publishers` goes with `--attestations warn` or `--attestations refuse`"
                    .to_owned(),
            )
            .into()),
        };
    }
    let trusted_root = args.trusted_root.as_deref();
    let memory = args.publishers.as_deref().map(attest_memory::read);
    Ok(Some(ProofOptions {
        attestations: wire::attestations_until_signed(args.attestations, trusted_root)?,
        memory: memory.transpose()?.unwrap_or_default(),
    }))
}

/// The plain index beside the mirrors, where there is one.
pub(super) fn origin_root(args: &ProxyArgs) -> anyhow::Result<Option<Url>> {
    match (args.origin, &args.origin_url) {
        (None, None) | (Some(OriginWhen::Never), _) => Ok(None),
        (None, Some(_)) => Err(UsageError(
            "`--origin-url` goes with `--origin first` or `--origin last`: nothing is asked there otherwise"
                .to_owned(),
        )
        .into()),
        (_, Some(url)) => Ok(Some(url.clone())),
        (_, None) => Ok(Some(crate::PYPI_SIMPLE_ROOT.parse().context("PyPI's address")?)),
    }
}

fn origin(args: &ProxyArgs, transport: &Transport) -> anyhow::Result<Option<OriginOptions>> {
    let Some(root) = origin_root(args)? else {
        return Ok(None);
    };
    let order = match args.origin {
        Some(OriginWhen::Last) => OriginOrder::Last,
        _ => OriginOrder::First,
    };
    let mut upstream = transport.upstream_options(root);
    // An installer waits for the answer.
    upstream.limits.tries_max = 2;
    upstream.limits.retry_after_max = Duration::from_secs(2);
    Ok(Some(OriginOptions { order, upstream }))
}

/// Whether a file, or what goes with it, may be one of a project's.
fn is_file_of(project: &heliostat_pypi::ProjectName, filename: &str) -> bool {
    let file = filename.strip_suffix(".metadata").unwrap_or(filename);
    heliostat_pypi::project_candidates(file)
        .iter()
        .any(|name| name == project)
}

/// What each mirror answered about a file or a project, the oldest first.
pub(super) fn why(common: &CommonArgs, file: &str, json: bool) -> anyhow::Result<Outcome> {
    let directory = wire::data_directory(common).join("proxy");
    let project = file.parse::<heliostat_pypi::ProjectName>().ok();
    let projects = heliostat_pypi::project_candidates(file);
    let entries = Client::why(&directory, |path| {
        let last = path.rsplit('/').next().unwrap_or(path);
        let of_project =
            |name: &heliostat_pypi::ProjectName| path.starts_with(&format!("simple/{name}/"));
        last == file
            || last.strip_suffix(".metadata") == Some(file)
            || project.as_ref().is_some_and(of_project)
            || project.as_ref().is_some_and(|name| is_file_of(name, last))
            || projects.iter().any(of_project)
    })?;
    for entry in &entries {
        if json {
            reporter::print(&format!("{}\n", serde_json::to_string(entry)?));
            continue;
        }
        let took = entry
            .milliseconds
            .map(|milliseconds| format!(" in {milliseconds} ms"))
            .unwrap_or_default();
        reporter::print(&format!(
            "{}  {}  {}\n    {}{took}\n",
            render::moment(entry.at),
            entry.mirror,
            entry.path,
            entry.answer,
        ));
    }
    if entries.is_empty() {
        reporter::talk(&format!(
            "no mirror was asked about `{file}` as far as the journal in `{}` goes back",
            directory.display()
        ));
        return Ok(Outcome::Findings);
    }
    Ok(Outcome::Done)
}

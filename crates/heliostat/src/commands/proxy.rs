//! `heliostat proxy`: a verified index on loopback, and `heliostat proxy why`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_client::{
    Client, ClientOptions, MirrorOptions, OriginOptions, OriginOrder, Transport,
};
use heliostat_serve::{Bound, Limits, ProxyServer, ServeOptions};
use heliostat_upstream::UpstreamOptions;
use tokio_util::sync::CancellationToken;

use super::{UsageError, signals};
use crate::cli::{CommonArgs, OriginWhen, ProxyAction, ProxyArgs};
use crate::outcome::Outcome;
use crate::{render, reporter, wire};

pub(super) fn run(common: &CommonArgs, args: &ProxyArgs) -> anyhow::Result<Outcome> {
    match &args.action {
        Some(ProxyAction::Why { file, json }) => why(common, file, *json),
        None => serve(common, args),
    }
}

fn serve(common: &CommonArgs, args: &ProxyArgs) -> anyhow::Result<Outcome> {
    wire::begin_again_thrifty();
    let client = Client::open(options(common, args)?, wire::clock())?;
    if !args.listen.ip().is_loopback() {
        tracing::warn!(listen = %args.listen, "the proxy listens beyond this machine, without TLS: whoever is between it and an installer can change what it verified");
    }
    let runtime = wire::runtime()?;
    let result = runtime.block_on(async {
        let bound = bind(args.listen, &client)?;
        let signals = signals::Signals::listen();
        reporter::print(&format!("listening on http://{}\n", bound.local_address()));
        let cancel = CancellationToken::new();
        let stopped = cancel.clone();
        let drained = tokio::select! {
            drained = bound.run(async move { stopped.cancelled().await }) => Some(drained),
            () = signals.watch(&cancel) => None,
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

pub(super) fn options(common: &CommonArgs, args: &ProxyArgs) -> anyhow::Result<ClientOptions> {
    let Some(path) = &args.root else {
        return Err(UsageError(
            "`--root` is missing: the file that the notary gave you".to_owned(),
        )
        .into());
    };
    if args.mirror.is_empty() {
        return Err(
            UsageError("`--mirror` is missing: give one address or several".to_owned()).into(),
        );
    }
    let root = wire::read_small(path)
        .with_context(|| format!("cannot read `--root` `{}`", path.display()))?;
    let transport = wire::transport(args.cacert.as_deref(), args.proxy.as_ref())?;
    Ok(ClientOptions {
        root_name: path.display().to_string(),
        root,
        origin: origin(args, &transport),
        mirrors: MirrorOptions {
            mirrors: args.mirror.clone(),
            transport,
        },
        directory: wire::data_directory(common).join("proxy"),
        staleness_max: Some(Duration::from_secs(args.max_staleness)),
        limits: heliostat_client::Limits::default(),
    })
}

fn origin(args: &ProxyArgs, transport: &Transport) -> Option<OriginOptions> {
    let order = match args.origin {
        OriginWhen::Never => return None,
        OriginWhen::First => OriginOrder::First,
        OriginWhen::Last => OriginOrder::Last,
    };
    let mut upstream = UpstreamOptions::new(args.origin_url.clone(), transport.user_agent.clone());
    upstream
        .ca_certificates_pem
        .clone_from(&transport.ca_certificates_pem);
    upstream.proxy.clone_from(&transport.proxy);
    upstream.netrc.clone_from(&transport.netrc);
    // An installer waits for the answer.
    upstream.limits.tries_max = 2;
    upstream.limits.retry_after_max = Duration::from_secs(2);
    Some(OriginOptions { order, upstream })
}

/// What each mirror answered about a file or a project, the oldest first.
fn why(common: &CommonArgs, file: &str, json: bool) -> anyhow::Result<Outcome> {
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

//! `heliostat serve`.

use std::time::Duration;

use heliostat_engine::about;
use heliostat_engine::publish::{Publisher, Urge};
use heliostat_engine::{Context, Events, Gate, OnDemand, OnDemandOptions};
use heliostat_serve::{Drained, Limits, Redirector, ServeOptions, Server, TlsFiles};
use heliostat_store::{Access, Store};
use tokio_util::sync::CancellationToken;

use super::UsageError;
#[cfg(feature = "migrate")]
use super::migrate::redirect;
use super::signals::Signals;
use crate::cli::{CommonArgs, ServeArgs};
use crate::outcome::Outcome;
use crate::{reporter, signing, wire};

pub(super) fn run(common: &CommonArgs, args: &ServeArgs) -> anyhow::Result<Outcome> {
    run_with(common, args, None)
}

/// The same, sending clients to other mirrors for files where there is a redirector.
pub(super) fn run_with(
    common: &CommonArgs,
    args: &ServeArgs,
    redirector: Option<Redirector>,
) -> anyhow::Result<Outcome> {
    let events = Events::none();
    let store = open(common, args, &events)?;
    let tls = tls(args)?;
    let (runtime, cancel) = (wire::runtime()?, CancellationToken::new());
    // Whoever starts us may ask us to stop right away.
    let mut signals = Signals::listen_on(&runtime);
    let publisher = match store.access() {
        Access::ReadWrite => signals.heed(&runtime, &cancel, || {
            bring_up_to_date(&store, args, &events, &cancel)
        })?,
        Access::ReadOnly => None,
    };
    #[cfg(feature = "migrate")]
    let (retired, visits) = redirect::beside(&args.retired)?.unzip();
    #[cfg(not(feature = "migrate"))]
    let retired = None;
    let result = runtime.block_on(async {
        let (on_demand, gate) = on_demand(&store, args, events)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let limits = Limits {
            connections_max: args.connections as usize,
            drain_timeout: Duration::from_secs(args.drain),
            ..Limits::default()
        };
        let options = ServeOptions {
            listen: args.listen,
            tls,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits,
        };
        let notary = publisher.as_ref().map(|publisher| publisher.notary.clone());
        let bound = Server::new(options, store.clone(), on_demand.clone(), wire::clock())
            .with_notary(notary)
            .with_retired(retired)
            .with_redirector(redirector)
            .with_gate(gate)
            .bind()?;
        reporter::print(&format!(
            "listening on {scheme}://{}\n",
            bound.local_address()
        ));
        let stopped = cancel.clone();
        let serving = async {
            let drained = bound.run(async move { stopped.cancelled().await });
            match &publisher {
                Some(publisher) => tokio::join!(drained, publisher.keep(&cancel)).0,
                None => drained.await,
            }
        };
        let drained = tokio::select! {
            drained = serving => Some(drained),
            () = signals.watch(&cancel) => None,
        };
        if let Some(on_demand) = on_demand {
            on_demand.stop().await;
        }
        if let Some(publisher) = &publisher {
            // What was committed while stopping is signed before nobody signs any more.
            publisher.publish(Urge::WhenDue).await?;
        }
        anyhow::Ok(drained)
    });
    wire::end(runtime);
    #[cfg(feature = "migrate")]
    visits.map_or(Ok(()), redirect::Log::end)?;
    match result? {
        Some(Drained::Finished) => Ok(Outcome::Done),
        Some(Drained::Cut { connections }) => {
            tracing::warn!(
                connections,
                "stopped with answers under way, because the drain time was up"
            );
            Ok(Outcome::Done)
        }
        None => Ok(Outcome::Findings),
    }
}

/// Who takes on demand, where somebody does, and what may be given of what is here.
fn on_demand(
    store: &Store,
    args: &ServeArgs,
    events: Events,
) -> anyhow::Result<(Option<OnDemand>, Option<Gate>)> {
    if args.offline || takes_verified_only(store)? {
        let attestations = wire::attestations(&args.attestations, store)?;
        return Ok((None, Gate::new(store.clone(), attestations)));
    }
    let context = context(store.clone(), args, events)?;
    let on_demand = OnDemand::new(context, on_demand_options(args)?);
    let gate = on_demand.gate();
    Ok((Some(on_demand), gate))
}

/// Whether only `sync` may take something here, which verifies it against a notary's root.
fn takes_verified_only(store: &Store) -> anyhow::Result<bool> {
    let is_verified = heliostat_engine::sync::named_root(store)?.is_some();
    if is_verified {
        tracing::warn!(
            "a sync verified what is here against a notary's root: what is not here is left to `heliostat sync`, and not taken on demand"
        );
    }
    Ok(is_verified)
}

/// The store. Whoever makes no request has nothing to write either: a snapshot, a disc or somebody else's directory is
/// served as it stands.
fn open(common: &CommonArgs, args: &ServeArgs, events: &Events) -> anyhow::Result<Store> {
    let data = wire::data_directory(common);
    if args.offline && data.exists() {
        let store = Store::open_or_read(&data)?;
        if store.access() == Access::ReadOnly {
            tracing::warn!(data = %data.display(), "the data directory cannot be written: it is served as it stands, and downloads are not counted");
            return Ok(store);
        }
    }
    wire::open_store(common, events)
}

/// Writes what a mirror says of itself, and answers who signs what is taken on demand.
fn bring_up_to_date(
    store: &Store,
    args: &ServeArgs,
    events: &Events,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Publisher>> {
    // What a run that was cut off committed last may not be listed yet.
    store.refresh_root(wire::clock().now())?;
    about::introduce(store, &args.mirror.operator())?;
    about::describe(store)?;
    publisher(store, args, events, stop)
}

/// Who signs what is taken on demand, where the tree is signed here.
fn publisher(
    store: &Store,
    args: &ServeArgs,
    events: &Events,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Publisher>> {
    let notary = signing::notary(store, &args.signing, Duration::ZERO, stop)?;
    Ok(notary.map(|notary| Publisher {
        store: store.clone(),
        notary,
        clock: wire::clock(),
        events: events.clone(),
    }))
}

/// The certificate's files, where both are named.
fn tls(args: &ServeArgs) -> anyhow::Result<Option<TlsFiles>> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        (None, None) => None,
        _ => return Err(UsageError("`--tls-cert` and `--tls-key` go together".to_owned()).into()),
    };
    if tls.is_none() && !args.listen.ip().is_loopback() {
        tracing::warn!(listen = %args.listen, "listening beyond this machine without TLS: give --tls-cert and --tls-key, or put a TLS server in front");
    }
    Ok(tls)
}

fn pins(args: &ServeArgs) -> anyhow::Result<Vec<heliostat_pypi::ProjectName>> {
    args.cache
        .pin
        .iter()
        .map(|name| {
            name.parse()
                .map_err(|error| UsageError(format!("`--pin`: {error}")).into())
        })
        .collect()
}

/// What taking on demand works with.
fn context(store: Store, args: &ServeArgs, events: Events) -> anyhow::Result<Context> {
    let upstream = wire::upstream_of(&store, &args.upstream)?;
    Ok(Context {
        attestations: wire::attestations(&args.attestations, &store)?,
        ..wire::context(store, upstream, events)
    })
}

fn on_demand_options(args: &ServeArgs) -> anyhow::Result<OnDemandOptions> {
    Ok(OnDemandOptions {
        max_age: Duration::from_secs(args.cache.max_age),
        stale_for: args.cache.stale_for.map(Duration::from_secs),
        negative_age: Duration::from_secs(args.cache.negative_age),
        cache_bytes_max: args.cache.cache_size,
        pinned: pins(args)?,
        ..OnDemandOptions::default()
    })
}

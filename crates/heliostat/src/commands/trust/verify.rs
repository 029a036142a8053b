//! `heliostat trust verify`: a whole signed tree, or a running mirror, against a root. Needs no data directory and
//! changes nothing.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use anyhow::Context as _;
use heliostat_engine::{
    EngineError, FilesChecked, Finding, TreeCheck, TreeReport, check_mirror, check_tree,
};
use heliostat_upstream::{Limits, Upstream, UpstreamOptions};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::cli::{FilesWanted, TreePlace, TrustVerifyArgs};
use crate::commands::{NamedMirrorError, UsageError, signals};
use crate::outcome::Outcome;
use crate::{reporter, settings, wire};

pub(super) fn run(args: &TrustVerifyArgs) -> anyhow::Result<Outcome> {
    let root = wire::read_small(&args.root)
        .with_context(|| format!("cannot read `--root` `{}`", args.root.display()))?;
    let what = TreeCheck {
        root: &root,
        files: files(args),
        now: wire::clock().now(),
    };
    let tell = |finding: &Finding| {
        if args.json {
            reporter::json_line(finding);
        } else {
            reporter::print(&format!("{}: {}\n", finding.path, finding.reason));
        }
    };
    let report = match &args.tree {
        TreePlace::Directory(tree) if tree.is_dir() => check_tree(tree, &what, tell)?,
        TreePlace::Directory(tree) => {
            let text = format!("`{}` is no directory", tree.display());
            return Err(UsageError(text).into());
        }
        TreePlace::Mirror(url) => over_http(args, url, &what, tell)?,
    };
    if args.json {
        reporter::json_line(&report);
    } else {
        reporter::talk(&summary(&report));
    }
    Ok(match (report.integrity, report.findings) {
        (0, 0) => Outcome::Done,
        (0, _) => Outcome::Findings,
        _ => Outcome::Distrusted,
    })
}

fn files(args: &TrustVerifyArgs) -> FilesChecked {
    let usual = match args.tree {
        TreePlace::Directory(_) => FilesWanted::All,
        TreePlace::Mirror(_) => FilesWanted::Sample,
    };
    match args.files.unwrap_or(usual) {
        FilesWanted::None => FilesChecked::Nothing,
        FilesWanted::All => FilesChecked::All,
        FilesWanted::Sample => FilesChecked::Sample {
            count: args.sample as usize,
            // The system's chance: whoever keeps the tree must not know what will be looked at.
            seed: RandomState::new().hash_one(args.sample),
        },
    }
}

fn over_http(
    args: &TrustVerifyArgs,
    url: &Url,
    what: &TreeCheck<'_>,
    tell: impl FnMut(&Finding),
) -> anyhow::Result<TreeReport> {
    let mirror = Upstream::new(options(args, url)?)?;
    let runtime = wire::runtime()?;
    let report = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let signals = signals::Signals::listen();
        let check = cancel.run_until_cancelled(check_mirror(&mirror, what, tell));
        tokio::select! {
            report = check => report.unwrap_or(Err(EngineError::Stopped)),
            () = signals.watch(&cancel) => Err(EngineError::Stopped),
        }
    });
    wire::end(runtime);
    report.map_err(|source| {
        let mirror = settings::redact(url.to_string());
        NamedMirrorError { mirror, source }.into()
    })
}

fn options(args: &TrustVerifyArgs, url: &Url) -> anyhow::Result<UpstreamOptions> {
    let limits = Limits::default();
    Ok(UpstreamOptions {
        ca_certificates_pem: wire::certificates(args.cacert.as_deref())?,
        proxy: args.proxy.clone(),
        netrc: wire::usual_netrc(),
        limits: Limits {
            requests_max: usize::from(args.jobs),
            idle_max: usize::from(args.jobs),
            tries_max: args.tries,
            read_timeout: Duration::from_secs(args.read_timeout),
            // Every document says in advance how long it may be; the root list is the longest.
            document_bytes_max: limits.list_bytes_max,
            ..limits
        },
        ..UpstreamOptions::new(url.clone(), wire::default_user_agent())
    })
}

fn summary(report: &TreeReport) -> String {
    let strays = match report.strays {
        0 => String::new(),
        strays => format!(", {strays} files that nothing signed names"),
    };
    format!(
        "{} signed pages, which name {} files, and {} files of {} bytes were checked; {} findings, {} of them bytes that nobody signed{strays}",
        report.pages,
        report.named,
        report.files,
        report.size_bytes,
        report.findings,
        report.integrity
    )
}

//! `heliostat tuf-client`: a TUF client for any repository, as the TUF project's conformance suite drives it. Its exit
//! code is 0 or 1, as that suite demands, and never tells more.

use heliostat_client::{PlainClient, Transport};

use super::UsageError;
use crate::cli::{TufAction, TufClientArgs};
use crate::outcome::{self, Outcome};
use crate::{reporter, wire};

pub(super) fn run(args: &TufClientArgs) -> anyhow::Result<Outcome> {
    match act(args) {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.is::<UsageError>() => Err(error),
        Err(error) => {
            outcome::tell(&error);
            Ok(Outcome::Findings)
        }
    }
}

fn act(args: &TufClientArgs) -> anyhow::Result<()> {
    if let (TufAction::Init, Some(root)) = (args.action, &args.root) {
        let root = wire::read_small(root)?;
        return Ok(PlainClient::init(&args.metadata_dir, &root)?);
    }
    let missing = |option: &str| UsageError(format!("`{option}` is missing"));
    let metadata = args
        .metadata_url
        .clone()
        .ok_or_else(|| missing("--metadata-url"))?;
    let transport = Transport {
        user_agent: wire::default_user_agent(),
        ..Transport::default()
    };
    let targets = args.target_base_url.clone();
    let mut client = PlainClient::open(
        &args.metadata_dir,
        metadata,
        targets,
        &transport,
        wire::clock(),
    )?;
    let runtime = wire::runtime()?;
    let result = runtime.block_on(async {
        client.refresh().await?;
        if args.action == TufAction::Download {
            let into = args
                .target_dir
                .as_ref()
                .ok_or_else(|| missing("--target-dir"))?;
            for name in &args.target_name {
                let path = client.download(name, into).await?;
                reporter::print(&format!("{}\n", path.display()));
            }
        }
        anyhow::Ok(())
    });
    wire::end(runtime);
    result
}

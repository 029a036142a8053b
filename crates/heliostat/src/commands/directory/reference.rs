//! The index that mirrors are compared with: its word, or with `--root` only what its notary signed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heliostat_client::{Client, ClientOptions, MirrorOptions};
use heliostat_prober::{Memory, Reference};
use url::Url;

use super::history;
use crate::cli::ProberArgs;
use crate::commands::UsageError;
use crate::{reporter, wire};

/// Where the signed state that was last seen is kept, below the list's folder.
pub(super) const STATE: &str = "reference";
/// What was seen of the reference over time, in that folder.
const MEMORY: &str = "remembered.json";

/// How the reference is opened.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    args: &'a ProberArgs,
    client: Option<Client>,
    /// A state that nobody goes on from.
    passing: Option<PathBuf>,
    /// What earlier rounds saw of it.
    memory: Option<PathBuf>,
}

impl<'a> Opening<'a> {
    /// For a list, whose folder keeps the newest signed state that was seen, so that the reference cannot go back.
    pub(super) fn of_list(args: &'a ProberArgs) -> anyhow::Result<Self> {
        let state = args.place.registry.join(STATE);
        Ok(Self {
            client: client(args, &state)?,
            passing: None,
            memory: Some(state.join(MEMORY)),
            args,
        })
    }

    /// For a look that writes nothing.
    pub(super) fn in_passing(args: &'a ProberArgs) -> anyhow::Result<Self> {
        let name = format!("heliostat-probe-{}", std::process::id());
        let state = std::env::temp_dir().join(name);
        Ok(Self {
            client: client(args, &state)?,
            passing: args.root.is_some().then_some(state),
            memory: None,
            args,
        })
    }

    /// Asks for the list of projects, and for what is signed of it.
    pub(super) async fn open(&self) -> anyhow::Result<Reference> {
        let upstream = wire::upstream(&self.args.upstream)?;
        let reference = Reference::open(upstream).await?;
        let reference = match &self.memory {
            Some(path) => reference.remembering(remembered(path, &self.args.upstream.root()?)),
            None => reference,
        };
        Ok(match &self.client {
            Some(client) => reference.signed_by(client.clone()).await?,
            None => reference,
        })
    }
}

impl Drop for Opening<'_> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a folder of this process's own, for temporary files"
    )]
    fn drop(&mut self) {
        if let Some(state) = &self.passing {
            let _left_for_the_system_to_remove = std::fs::remove_dir_all(state);
        }
    }
}

/// What was seen of this reference before; nothing where that was of another, or cannot be read.
fn remembered(path: &Path, upstream: &Url) -> Memory {
    let fresh = Memory::of(upstream.as_str());
    if !path.exists() {
        return fresh;
    }
    let read = super::read_text(path)
        .and_then(|text| serde_json::from_str::<Memory>(&text).map_err(anyhow::Error::from));
    match read {
        Ok(memory) if memory.reference == fresh.reference => memory,
        Ok(_) => fresh,
        Err(error) => {
            let path = path.display();
            reporter::talk(&format!(
                "`{path}` cannot be used, and is begun anew: {error:#}"
            ));
            fresh
        }
    }
}

/// Keeps what was seen of the reference.
pub(super) fn remember(list: &Path, memory: &Memory) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec(memory).context("cannot write what is remembered as JSON")?;
    history::put(&list.join(STATE).join(MEMORY), &bytes)
}

fn client(args: &ProberArgs, directory: &Path) -> anyhow::Result<Option<Client>> {
    let Some(path) = &args.root else {
        return Ok(None);
    };
    let upstream = &args.upstream;
    let options = ClientOptions {
        root: wire::notarys_root(path)?,
        root_name: path.display().to_string(),
        mirrors: MirrorOptions {
            mirrors: vec![tree_of(&upstream.root()?)?],
            transport: wire::transport(upstream.cacert.as_deref(), upstream.proxy.as_ref())?,
        },
        directory: directory.to_owned(),
        origin: None,
        proof: None,
        staleness_max: None,
        limits: heliostat_client::Limits::default(),
    };
    Ok(Some(Client::open(options, wire::clock())?))
}

/// The tree of which an address is the Simple API's root.
fn tree_of(index: &Url) -> anyhow::Result<Url> {
    let mut tree = index.clone();
    let last = (index.path_segments())
        .and_then(|segments| segments.rev().find(|segment| !segment.is_empty()))
        .unwrap_or_default();
    if last != "simple" {
        return Err(UsageError(format!(
            "`--upstream {index}` does not end in `simple/`, so that `--root` does not tell where its signed state is"
        ))
        .into());
    }
    if let Ok(mut segments) = tree.path_segments_mut() {
        segments.pop_if_empty().pop().push("");
    }
    Ok(tree)
}

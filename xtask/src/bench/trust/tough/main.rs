//! tough, AWS's TUF client, on the tree of `cargo xtask bench trust`: opens the repository and looks targets up, and
//! tells how many files of what size it took for that. It does not download them: it asks for `DIGEST.simple/a/page`,
//! where python-tuf, sigstore-tuf and heliostat ask for `simple/a/DIGEST.page`.
//!
//!     peer-tough ROOT TREE TARGET…

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt as _;
use tough::{
    FilesystemTransport, Limits, RepositoryLoader, Transport, TransportError, TransportStream,
};
use url::Url;

/// Files of the disk, counted.
#[derive(Debug, Clone, Default)]
struct Counting {
    files: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

#[async_trait]
impl Transport for Counting {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let stream = FilesystemTransport.fetch(url).await?;
        self.files.fetch_add(1, Ordering::Relaxed);
        let bytes = Arc::clone(&self.bytes);
        Ok(Box::pin(stream.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
        })))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = std::fs::read(arguments.next().ok_or("no root")?)?;
    let tree = std::fs::canonicalize(PathBuf::from(arguments.next().ok_or("no tree")?))?;
    let address = |path: PathBuf| Url::from_directory_path(path).map_err(|()| "not absolute");
    let counted = Counting::default();
    // Its limits are made for small repositories.
    let limits = Limits {
        max_targets_size: 100_000_000,
        max_snapshot_size: 100_000_000,
        ..Limits::default()
    };
    let repository = RepositoryLoader::new(&root, address(tree.join("tuf"))?, address(tree)?)
        .transport(counted.clone())
        .limits(limits)
        .load()
        .await?;
    for target in arguments {
        let mut all = repository.all_targets();
        if !all.any(|(name, _)| name.raw() == target) {
            return Err(format!("there is no target {target}").into());
        }
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{{\"files\": {}, \"bytes\": {}}}",
        count(&counted.files),
        count(&counted.bytes)
    );
    Ok(())
}

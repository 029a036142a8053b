//! What the fuzz targets of `heliostat-client` do with their bytes. The tests of that crate include this file to replay
//! the corpora; here, the files that it names stand beside it.

use jiff::Timestamp;

use crate::tuf::{Naming, Step, Trusted};

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[("client_metadata", client_metadata)];

/// Metadata, one file a line, the trusted root first: what is refused leaves what is trusted as it was, and no version
/// goes back while the root stays.
pub fn client_metadata(bytes: &[u8]) {
    let mut files = bytes.split(|byte| *byte == b'\n');
    let first = files.next().unwrap_or_default();
    for naming in [Naming::Ours, Naming::Any] {
        let Ok(mut trusted) = Trusted::from_root(first, naming) else {
            continue;
        };
        for file in files.clone() {
            let before = versions(&trusted);
            let taken = take(&mut trusted, file);
            let after = versions(&trusted);
            if !taken {
                assert_eq!(after, before);
            }
            if after[0] == before[0] {
                assert!(before.iter().zip(&after).all(|(old, new)| old <= new));
            }
        }
    }
}

/// Offers a file as every role that it could be.
fn take(trusted: &mut Trusted, file: &[u8]) -> bool {
    // Nothing has expired yet.
    let now = Timestamp::UNIX_EPOCH;
    if trusted.update_root(file).is_ok()
        || matches!(trusted.update_timestamp(file, now), Ok(true))
        || trusted.update_snapshot(file, now).is_ok()
        || trusted.update_targets(file, now).is_ok()
    {
        return true;
    }
    match trusted.resolve("simple/acme/index.v1_json", 8, now) {
        Ok(Step::Need(needed)) => trusted.update_delegated(file, &needed, now).is_ok(),
        _ => false,
    }
}

fn versions(trusted: &Trusted) -> [Option<u64>; 3] {
    [
        Some(trusted.root_version()),
        trusted.timestamp_version(),
        trusted.snapshot_version(),
    ]
}

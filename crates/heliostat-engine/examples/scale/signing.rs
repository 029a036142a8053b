//! The steps of a signed mirror: everything signed at once, then one changed project at a time, then an hour's worth.
//!
//! The data directory is one in which `heliostat trust init` was run before it was filled; its online key signs.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heliostat_engine::publish::{Notary, Published, Urge, publish_now};
use heliostat_store::{CommitPolicy, Store};
use heliostat_trust::TrustError;
use heliostat_trust::keys::SigningKey;

use crate::report::{megabytes, memory_peak, milliseconds, row, seconds, timed};
use crate::steps::changed;
use crate::world::World;
use crate::{Fault, Size};

/// Projects that are changed and published one by one.
const CHANGES: usize = 21;
/// Projects that change on PyPI in about an hour, at ten a minute.
const CHANGES_AN_HOUR: usize = 600;

/// Signs all that waits to be signed.
pub(crate) fn sign(size: &Size) -> Result<(), Fault> {
    let store = Store::open(&size.data)?;
    let waiting = store.pending()?.places.len();
    if store.targets_count()? < u64::from(size.projects) {
        return Err("not every project's page is among the targets".into());
    }
    let (published, time) = publish(&store)?;
    if !store.pending()?.places.is_empty() {
        return Err("something is left to be signed".into());
    }
    row(
        &format!("signed: {waiting} pages in {} bins", published.bins),
        &seconds(time),
        "20 s",
    );
    row(
        "memory while doing that",
        &megabytes(memory_peak()?),
        "500 MB",
    );
    row(
        "metadata below `tuf/`",
        &megabytes(metadata_bytes(&store)?),
        "",
    );
    Ok(())
}

/// Changes one project, publishes that, and does so again with others.
pub(crate) fn publish_changes(size: &Size) -> Result<(), Fault> {
    let store = Store::open(&size.data)?;
    let chosen = World::new(size.projects, size.files).ordinary(CHANGES);
    let mut times = Vec::new();
    for index in chosen {
        commit(&store, &[index])?;
        let (published, time) = publish(&store)?;
        if published.bins != 1 {
            return Err(format!("{} bins were signed for one project", published.bins).into());
        }
        times.push(time);
    }
    times.sort_unstable();
    let worst = times.last().copied().unwrap_or_default();
    row(
        &format!("one changed project published (median of {})", times.len()),
        &milliseconds(times[times.len() / 2]),
        "100 ms",
    );
    row("the slowest of them", &milliseconds(worst), "100 ms");
    row(
        "memory while doing that",
        &megabytes(memory_peak()?),
        "500 MB",
    );
    Ok(())
}

/// Changes as many projects as change in an hour, and publishes once.
pub(crate) fn publish_hour(size: &Size) -> Result<(), Fault> {
    let store = Store::open(&size.data)?;
    let chosen = World::new(size.projects, size.files).ordinary(CHANGES_AN_HOUR);
    commit(&store, &chosen)?;
    // Where a server of this mirror is at work, it may have been quicker.
    let (published, time) = try_publish(&store)?;
    if let Some(published) = published {
        row(
            &format!(
                "{} changed projects published in {} bins",
                chosen.len(),
                published.bins
            ),
            &milliseconds(time),
            "",
        );
    }
    Ok(())
}

fn commit(store: &Store, chosen: &[u32]) -> Result<(), Fault> {
    let round = u32::try_from(now()? & 0x00ff_ffff)?;
    for batch in chosen.chunks(128) {
        let changes = batch.iter().map(|index| changed(store, *index, round));
        let changes = changes.collect::<Result<Vec<_>, Fault>>()?;
        let committed = store.commit(changes, &CommitPolicy::at(now()?))?;
        if let Some(refusal) = committed.refused.into_iter().next() {
            return Err(refusal.error.into());
        }
    }
    Ok(())
}

fn publish(store: &Store) -> Result<(Published, Duration), Fault> {
    let (published, time) = try_publish(store)?;
    Ok((published.ok_or("nothing was to be signed")?, time))
}

fn try_publish(store: &Store) -> Result<(Option<Published>, Duration), Fault> {
    let path = store.keys().join("online.key");
    let text = fs::read_to_string(path)?;
    let key = SigningKey::from_file(&text, || Err(TrustError::PassphraseMissing))?;
    let (notary, now) = (Notary::of_key(key), now()?);
    let (published, time) = timed(|| publish_now(store, &notary, now, Urge::WhenDue));
    Ok((published?, time))
}

fn metadata_bytes(store: &Store) -> Result<u64, Fault> {
    let mut sum = 0;
    for entry in fs::read_dir(store.web().join("tuf"))? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

fn now() -> Result<i64, Fault> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_secs())?)
}

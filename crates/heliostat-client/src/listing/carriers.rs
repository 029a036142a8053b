//! Mirrors carry the list that they are on: whoever cannot have it at its own place finds it there.
//!
//! A carrier is believed no more than any other place. What it claims decides only who is looked at first.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use heliostat_trust::metadata::{Signed, Timestamp};
use url::Url;

use super::kept::TIMESTAMP_BYTES_MAX;
use super::{ListPlace, Listing, METADATA, Place, Taken, told};
use crate::ClientError;
use crate::mirrors::with_slash;

impl Listing {
    /// The newest list that carriers have and that holds, where it is newer than `best`, or tells as the first of its
    /// version how mirrors do. What carriers have that does not hold is told in `passed_over`; who has none is not.
    pub(super) async fn newest_carried(
        &self,
        carriers: &[Url],
        best: Option<&Taken>,
        passed_over: &mut Vec<String>,
    ) -> Result<Option<Taken>, ClientError> {
        let asked = carriers.iter().take(self.limits.carriers_max);
        let claims: FuturesUnordered<_> = asked.map(|carrier| self.claim(carrier)).collect();
        let mut claims: Vec<(u64, Place)> = claims.filter_map(std::future::ready).collect().await;
        claims.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        let held = best.map_or(0, |best| best.list.version);
        for (version, place) in claims {
            // Nothing that follows claims more.
            if version < held {
                break;
            }
            match self.take_from(&place).await {
                Ok(taken) if taken.list.version > held || taken.list.status.is_some() => {
                    return Ok(Some(taken));
                }
                Ok(_) => {}
                Err(error @ ClientError::Disk { .. }) => return Err(error),
                Err(error) => passed_over.push(told(&error)),
            }
        }
        Ok(None)
    }

    /// The version that a carrier's timestamp claims, which nobody has verified; nothing where it carries no list.
    async fn claim(&self, carrier: &Url) -> Option<(u64, Place)> {
        let below = with_slash(carrier.clone()).join("directory/").ok()?;
        let place = ListPlace::Server(below);
        let place = Place::new(place, &self.transport, &self.limits).ok()?;
        let path = format!("{METADATA}/timestamp.json");
        let read = place.read(&path, TIMESTAMP_BYTES_MAX);
        let read = tokio::time::timeout(self.limits.document_stall, read).await;
        let bytes = read.ok()?.ok()??;
        let claimed = Signed::<Timestamp>::read(&bytes).map(|signed| signed.value.version.get());
        // One that cannot be read is looked at last, so that what is wrong with it is told.
        Some((claimed.unwrap_or(0), place))
    }
}

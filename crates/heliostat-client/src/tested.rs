//! What a test of one mirror found.

use std::time::Duration;

use crate::mirrors::MirrorId;
use crate::tuf::{TIMESTAMP, Trusted, Walk, judged_timestamp, wanted};

/// How often a mirror is asked in one test.
const TIMES: usize = 3;

/// What a test of one mirror found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tested {
    /// Its address.
    pub mirror: String,
    /// Whether all its answers were usable.
    pub usable: bool,
    /// The version of the timestamp that it showed.
    pub timestamp: Option<u64>,
    /// The time that it took to answer, in the middle of its answers, in milliseconds.
    pub milliseconds: Option<u64>,
    /// Why it is not usable, in words.
    pub failure: Option<String>,
}

impl Walk<'_> {
    /// Asks a mirror for its timestamp some times, against what is trusted. A mirror that answers wrongly is not asked
    /// again.
    pub(crate) async fn test(&self, id: MirrorId, trusted: &Trusted) -> Tested {
        let mut tested = Tested {
            mirror: self.mirrors.mirror(id).shown().to_owned(),
            usable: true,
            timestamp: None,
            milliseconds: None,
            failure: None,
        };
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..TIMES {
            let limit_bytes = self.limits.timestamp_bytes_max;
            let check = |body: &bytes::Bytes| judged_timestamp(trusted, body, self.now);
            match self
                .mirrors
                .one(id, wanted(TIMESTAMP, limit_bytes), check)
                .await
            {
                Ok((version, elapsed)) => {
                    tested.timestamp = Some(version);
                    self.mirrors.saw_timestamp(id, version);
                    times.push(elapsed);
                }
                Err(failure) => {
                    tested.usable = false;
                    tested.failure = Some(failure.of_the_first().to_string());
                    break;
                }
            }
        }
        times.sort_unstable();
        tested.milliseconds = times
            .get(times.len() / 2)
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        tested
    }
}

//! Which files come in at once: few where they come as fast as they can be taken, all where they are waited for.
//!
//! Each connection on which bytes come faster than they are taken fills all the room there is to read into. On a near
//! mirror a few keep everybody busy; on a far one each waits most of the time, and the next may begin meanwhile.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use crate::Limits;

/// The turns of all files of one client. First come, first served.
#[derive(Debug)]
pub(crate) struct Turns {
    places: Semaphore,
    wait: Duration,
    longest: Duration,
}

/// The turn of one file. It ends early where the file is waited for; the file goes on without it.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    place: Option<SemaphorePermit<'a>>,
    wait: Duration,
    ends_at: Instant,
}

impl Turns {
    /// Turns by these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            places: Semaphore::new(limits.turns_max.clamp(1, Semaphore::MAX_PERMITS)),
            wait: limits.turn_wait,
            longest: limits.turn_longest,
        }
    }

    /// Waits for a turn: no longer than the turns of those before take, each of which ends.
    pub(crate) async fn take(&self) -> Turn<'_> {
        // The semaphore is never closed; without it, nobody would have to wait.
        let place = self.places.acquire().await.ok();
        Turn {
            place,
            wait: self.wait,
            ends_at: Instant::now() + self.longest,
        }
    }
}

impl Turn<'_> {
    /// Waits for what comes from a mirror. The turn ends where that takes long, or where the turn has been long.
    pub(crate) async fn wait_for<T>(&mut self, coming: impl Future<Output = T>) -> T {
        let now = Instant::now();
        if now >= self.ends_at {
            self.place = None;
        }
        if self.place.is_none() {
            return coming.await;
        }
        let mut coming = pin!(coming);
        tokio::select! {
            biased;
            come = &mut coming => return come,
            () = sleep_until(self.ends_at.min(now + self.wait)) => self.place = None,
        }
        coming.await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn turns(wait: Duration, longest: Duration) -> Turns {
        Turns::new(&Limits {
            turns_max: 1,
            turn_wait: wait,
            turn_longest: longest,
            ..Limits::default()
        })
    }

    #[tokio::test]
    async fn one_that_is_waited_for_lets_the_next_begin() {
        let turns = turns(Duration::from_millis(5), HOUR);
        let mut first = turns.take().await;
        first.wait_for(ready(())).await;
        assert!(turns.take().now_or_never().is_none(), "bytes come at once");
        let waiting = first.wait_for(pending::<()>());
        let next = tokio::select! {
            () = waiting => unreachable!("nothing comes"),
            next = turns.take() => next,
        };
        assert!(next.place.is_some());
    }

    #[tokio::test]
    async fn one_that_goes_on_for_long_lets_the_next_begin() {
        let turns = turns(HOUR, Duration::ZERO);
        let mut first = turns.take().await;
        assert!(turns.take().now_or_never().is_none(), "nothing came yet");
        first.wait_for(ready(())).await;
        assert!(turns.take().now_or_never().is_some());
    }

    #[tokio::test]
    async fn one_that_ends_lets_the_next_begin() {
        let turns = turns(HOUR, HOUR);
        drop(turns.take().await);
        assert!(turns.take().now_or_never().is_some());
    }
}

//! Keeps what is published current while a program runs: commits of any process, timestamps, bins whose half life is
//! over.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Publisher, Retries, Urge};

/// How often it is looked whether something is to be signed, at least.
const LOOK_EVERY_MAX: Duration = Duration::from_mins(1);
/// And at most.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(200);

impl Publisher {
    /// Publishes what is pending and what is due until it is cancelled. A failure is told and tried again, less and less
    /// often.
    pub async fn keep(&self, cancel: &CancellationToken) {
        let pause = (self.notary.publish_every).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
        let mut retries = Retries::default();
        loop {
            let pause = match self.publish(Urge::WhenDue).await {
                Ok(_) => {
                    retries.worked();
                    pause
                }
                Err(error) => pause.max(retries.failed(&error)),
            };
            let sleeping = tokio::time::sleep(pause);
            if cancel.run_until_cancelled(sleeping).await.is_none() {
                return;
            }
        }
    }
}

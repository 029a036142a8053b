//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends at once.

use tokio_util::sync::CancellationToken;

use crate::reporter::talk;

/// Waits for the first signal and cancels; a second one ends the wait, and with it the program.
pub(super) async fn watch(cancel: &CancellationToken) {
    interrupted().await;
    talk("stopping cleanly; once more stops at once");
    cancel.cancel();
    interrupted().await;
}

/// Completes when the program is asked to stop.
pub(super) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            // Without handlers the signals' own effect, ending the process, stands.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

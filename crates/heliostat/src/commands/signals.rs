//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends at once.

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::outcome::Outcome;
use crate::reporter::talk;
use crate::wire;

/// The signals that ask the program to stop, heard from the moment this is made.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    heard: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Signals {
    /// Starts to listen. Must be called within a runtime.
    pub(super) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let heard = match (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
            ) {
                (Ok(interrupt), Ok(terminate)) => Some([interrupt, terminate]),
                // Without handlers the signals' own effect, ending the process, stands.
                _ => None,
            };
            Self { heard }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// The same, for the tasks of a runtime.
    pub(super) fn listen_on(runtime: &Runtime) -> Self {
        let _inside = runtime.enter();
        Self::listen()
    }

    /// Runs work on this thread that blocks and looks at `cancel` itself; the first signal meanwhile cancels.
    pub(super) fn heed<T>(
        &mut self,
        runtime: &Runtime,
        cancel: &CancellationToken,
        work: impl FnOnce() -> T,
    ) -> T {
        let done = CancellationToken::new();
        std::thread::scope(|threads| {
            threads.spawn(|| runtime.block_on(done.run_until_cancelled(self.first(cancel))));
            let result = work();
            done.cancel();
            result
        })
    }

    /// Waits for the first signal and cancels; a second one ends the wait, and with it the program.
    pub(super) async fn watch(mut self, cancel: &CancellationToken) {
        self.first(cancel).await;
        self.interrupted().await;
        talk("stopped at once; what was under way is discarded, and the next run goes on");
    }

    /// Waits for the first signal, unless it has come, and cancels.
    async fn first(&mut self, cancel: &CancellationToken) {
        if !cancel.is_cancelled() {
            self.interrupted().await;
            talk("stopping cleanly; once more stops at once");
            cancel.cancel();
        }
    }

    /// Completes when the program is asked to stop.
    async fn interrupted(&mut self) {
        #[cfg(unix)]
        match &mut self.heard {
            Some([interrupt, terminate]) => tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            },
            None => std::future::pending().await,
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Listens from now on, and does as [`Signals::watch`].
pub(super) async fn watch(cancel: &CancellationToken) {
    Signals::listen().watch(cancel).await;
}

/// Runs work that blocks, until it ends or is told to stop for the second time. The first time only cancels.
pub(super) fn run_blocking(
    work: impl FnOnce(&CancellationToken) -> anyhow::Result<Outcome> + Send + 'static,
) -> anyhow::Result<Outcome> {
    let runtime = wire::runtime()?;
    let ended = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let signals = Signals::listen();
        let token = cancel.clone();
        let work = tokio::task::spawn_blocking(move || work(&token));
        tokio::select! {
            ended = work => ended?,
            () = signals.watch(&cancel) => Ok(Outcome::Findings),
        }
    });
    // What a second signal cut off is not waited for; recovery discards it.
    wire::end(runtime);
    ended
}

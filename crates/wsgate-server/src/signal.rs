//! The wish of the user, or of the service manager, that the process stop.

use tokio::signal;
use tracing::{error, info};

/// Ready when the process is asked to stop: by Ctrl-C (SIGINT), or on Unix by SIGTERM, as service
/// managers and container runtimes do. For [`Server::shutdown_on`](crate::Server::shutdown_on).
///
/// From its first poll on the signals do nothing else any more, so that a second Ctrl-C does not end
/// the process sooner: bound what is done after the first.
///
/// # Example
///
/// ```no_run
/// # use axum::Router;
/// use wsgate_server::{Server, shutdown_signal};
///
/// # async fn example(app: Router) -> Result<(), Box<dyn std::error::Error>> {
/// Server::bind(([127, 0, 0, 1], 8080))
///     .shutdown_on(shutdown_signal())
///     .serve(app)
///     .await?;
/// # Ok(())
/// # }
/// ```
pub async fn shutdown_signal() {
    let which = tokio::select! {
        () = interrupt() => "an interrupt",
        () = terminate() => "SIGTERM",
    };
    info!("{which} asks to stop");
}

/// The SIGHUPs that come from its making on. Elsewhere than on Unix there are none.
#[derive(Debug)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    signals: Option<signal::unix::Signal>,
}

// ===== impl Hangups =====

#[cfg(unix)]
impl Hangups {
    pub(crate) fn listen() -> Self {
        let signals = signal::unix::signal(signal::unix::SignalKind::hangup());
        let signals = signals.inspect_err(|error| error!(%error, "cannot listen to SIGHUP"));
        Self {
            signals: signals.ok(),
        }
    }

    pub(crate) async fn next(&mut self) {
        let came = match &mut self.signals {
            Some(signals) => signals.recv().await,
            None => None,
        };
        if came.is_none() {
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
impl Hangups {
    pub(crate) fn listen() -> Self {
        Self {}
    }

    pub(crate) async fn next(&mut self) {
        std::future::pending().await
    }
}

async fn interrupt() {
    if let Err(error) = signal::ctrl_c().await {
        error!(%error, "cannot listen to Ctrl-C");
        std::future::pending().await
    }
}

#[cfg(unix)]
async fn terminate() {
    match signal::unix::signal(signal::unix::SignalKind::terminate()) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(error) => {
            error!(%error, "cannot listen to SIGTERM");
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}

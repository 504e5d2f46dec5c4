//! Certificates are read anew while the server runs.

use std::future::pending;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::{ServerError, ServerErrorKind};
use crate::signal::Hangups;
use crate::tls::Live;

/// Has a running server read its certificates, keys and client CAs anew. From
/// [`Running::reloader`](crate::Running::reloader); clones ask the same server.
///
/// For programs that know when certificates have changed: those that obtain them, or are told over an
/// interface of their own. The server also [looks by itself](crate::Tls::watch_every), and can be
/// asked by [SIGHUP](crate::Server::reload_on_hangup).
///
/// ```no_run
/// # async fn example(server: wsgate_server::Running) -> Result<(), wsgate_server::ServerError> {
/// let reloader = server.reloader();
/// // Once the new files are in their place:
/// reloader.reload().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Reloader {
    /// `None` for a server without TLS.
    live: Option<Arc<Live>>,
}

// ===== impl Reloader =====

impl Reloader {
    pub(crate) fn new(live: Option<Arc<Live>>) -> Self {
        Self { live }
    }

    /// Reads all files, and takes what is in them into use: all or nothing. Handshakes that begin after
    /// this has returned get the new certificates. Open connections go on, those of clients
    /// that would not be let in any more as well.
    ///
    /// # Errors
    ///
    /// When a file cannot be used, as at the start. Those from before stay in use; the log has it too. When
    /// the server has no TLS, or a rustls configuration of one's own.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the new certificates are in use or the old ones are.
    pub async fn reload(&self) -> Result<(), ServerError> {
        match &self.live {
            Some(live) => live.reload().await,
            None => Err(ServerError::new(
                ServerErrorKind::Configuration,
                "this server has no TLS, and so no certificates to read anew",
            )),
        }
    }

    /// Looks at the files now and then, and reloads at each hangup. One task, which ends with the set.
    pub(crate) fn run(&self, hangups: Option<Hangups>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(live) = &self.live {
            tasks.spawn(run(Arc::clone(live), hangups));
        } else if let Some(mut hangups) = hangups {
            tasks.spawn(async move {
                loop {
                    hangups.next().await;
                    tracing::info!("SIGHUP asks for new certificates, and this server has no TLS");
                }
            });
        }
        tasks
    }
}

async fn run(live: Arc<Live>, mut hangups: Option<Hangups>) {
    let mut timer = live.watch().map(interval);
    if let Some(timer) = &mut timer {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one is at once.
        timer.tick().await;
    }
    loop {
        let look = async {
            match &mut timer {
                Some(timer) => timer.tick().await,
                None => pending().await,
            }
        };
        let hangup = async {
            match &mut hangups {
                Some(hangups) => hangups.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = look => live.look().await,
            () = hangup => {
                tracing::info!("SIGHUP asks for new certificates");
                // It is in the log.
                let _ = live.reload().await;
            }
        }
    }
}

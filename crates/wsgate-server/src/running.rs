//! A server that runs, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::info;

use crate::error::{ServerError, ServerErrorKind};

/// A server that accepts connections, from [`Server::start`](crate::Server::start).
///
/// It owns the listening tasks: dropping it stops listening and cuts the connections that were
/// not upgraded, at once. [`shutdown`](Self::shutdown) is the friendly way.
///
/// # Upgraded connections
///
/// hyper lets go of an HTTP/1.1 connection when it is upgraded, so no shutdown sees it: a
/// WebSocket lives on until its handler ends, or the runtime. An HTTP/2 connection with an open
/// WebSocket counts as a request under way: shutdown waits for it as long as the grace lasts, and
/// then cuts it without a Close frame. Whoever holds the WebSockets has to tell their peers.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    redirect_addr: Option<SocketAddr>,
    url: String,
    names: Arc<[String]>,
    handles: Vec<Handle<SocketAddr>>,
    listeners: JoinSet<io::Result<()>>,
    /// Waits for [`Stop::signal`]. Apart, because the server may end without it.
    stop: JoinSet<()>,
}

pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// When and how a server ends by itself.
pub(crate) struct Stop {
    pub(crate) signal: BoxFuture,
    pub(crate) grace: Duration,
}

// ===== impl Running =====

impl Running {
    pub(crate) fn new(
        local_addr: SocketAddr,
        redirect_addr: Option<SocketAddr>,
        url: String,
        names: Arc<[String]>,
        handles: Vec<Handle<SocketAddr>>,
        listeners: JoinSet<io::Result<()>>,
        stop: Option<Stop>,
    ) -> Self {
        let mut running = Self {
            local_addr,
            redirect_addr,
            url,
            names,
            handles,
            listeners,
            stop: JoinSet::new(),
        };
        if let Some(Stop { signal, grace }) = stop {
            let handles = running.handles.clone();
            running.stop.spawn(async move {
                signal.await;
                stop_listening(&handles, grace);
            });
        }
        running
    }

    /// The address that is listened on, with the port that the operating system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address of the listener that redirects to https, if there is one.
    pub fn redirect_addr(&self) -> Option<SocketAddr> {
        self.redirect_addr
    }

    /// An address for people to open, without a path: `https://example.com:8443`. The host is the
    /// first name that a certificate covers, else the address listened on.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The names and addresses that the certificates cover. Empty without TLS, and for a rustls
    /// configuration of one's own.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Waits until the server has ended: after
    /// [`Server::shutdown_on`](crate::Server::shutdown_on), or because it broke.
    ///
    /// # Errors
    ///
    /// When a listener stopped by itself.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again: the server goes on.
    pub async fn wait(&mut self) -> Result<(), ServerError> {
        while let Some(ended) = self.listeners.join_next().await {
            ended
                .map_err(io::Error::other)
                .and_then(|ended| ended)
                .map_err(stopped)?;
        }
        Ok(())
    }

    /// Stops listening at once, lets requests under way finish for as long as `grace`, and cuts
    /// the connections that are left. The port is free when this returns.
    ///
    /// # Errors
    ///
    /// When a listener had stopped by itself before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the server, which cuts what is left.
    pub async fn shutdown(mut self, grace: Duration) -> Result<(), ServerError> {
        stop_listening(&self.handles, grace);
        // axum-server keeps to the deadline; this is for the case that it does not.
        match timeout(grace.saturating_add(SLACK), self.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                self.listeners.shutdown().await;
                Ok(())
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Connections have tasks of their own, which listen to this; the listening tasks are
        // aborted with their JoinSet.
        for handle in &self.handles {
            handle.shutdown();
        }
    }
}

fn stop_listening(handles: &[Handle<SocketAddr>], grace: Duration) {
    info!(?grace, "shutting down");
    for handle in handles {
        handle.graceful_shutdown(Some(grace));
    }
}

fn stopped(error: io::Error) -> ServerError {
    ServerError::new(ServerErrorKind::Serve, "a listener stopped by itself").because(error)
}

/// For the tasks to notice that the grace is over.
const SLACK: Duration = Duration::from_secs(1);

//! A server that runs, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use tokio::task::{JoinError, JoinSet};

use crate::alive::Ended;
use crate::ending::{Ask, Listeners, Stop};
use crate::error::{ServerError, ServerErrorKind};
use crate::reload::Reloader;
use crate::signal::Hangups;
use crate::workers::{Leave, Workers};

/// A server that accepts connections, from [`Server::start`](crate::Server::start).
///
/// It owns the listening tasks: dropping it stops listening and cuts the connections that were
/// not upgraded, at once. [`shutdown`](Self::shutdown) is the friendly way. It owns the
/// [workers](crate::Server::workers) as well: each ends with all that runs on it.
///
/// # Upgraded connections
///
/// A shutdown by itself treats WebSockets badly. hyper lets go of an HTTP/1.1 connection when it is
/// upgraded, so no shutdown sees it: it lives on until its handler ends, or the runtime, which with
/// [workers](crate::Server::workers) is at the end of the server. An HTTP/2
/// connection with an open WebSocket counts as a request under way: it is waited for as long as the
/// grace lasts, and then cut without a Close frame.
///
/// Whoever holds the WebSockets has to tell their peers, and [`Server::drain`](crate::Server::drain)
/// is the place for it: the end of the server waits for both kinds then, for as long as the drain
/// says.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    redirect_addr: Option<SocketAddr>,
    url: String,
    names: Arc<[String]>,
    handles: Vec<Handle<SocketAddr>>,
    listeners: JoinSet<io::Result<()>>,
    ask: Ask,
    /// Asks when [`Stop::signal`] is there. Apart, because the server may end without it.
    _signal: JoinSet<()>,
    /// One task, which ends some time after the server was asked to.
    ending: JoinSet<()>,
    /// Of the listeners with their connections.
    ended: Ended,
    workers: Leave,
    reloader: Reloader,
    /// Reloads without being asked by the caller.
    _reloading: JoinSet<()>,
}

// ===== impl Running =====

impl Running {
    pub(crate) fn new(
        local_addr: SocketAddr,
        redirect_addr: Option<SocketAddr>,
        url: String,
        names: Arc<[String]>,
        listeners: Listeners,
        workers: Workers,
        stop: Stop,
    ) -> Self {
        let ask = Ask::new();
        let mut signal = JoinSet::new();
        if let Some(wanted) = stop.signal {
            let ask = ask.clone();
            signal.spawn(async move {
                wanted.await;
                ask.ask(stop.grace);
            });
        }
        let ended = listeners.ended();
        let (listeners, handles, end) = listeners.split(&ask, stop.drain, workers.leave());
        let mut ending = JoinSet::new();
        ending.spawn(end.run());
        Self {
            local_addr,
            redirect_addr,
            url,
            names,
            handles,
            listeners,
            ask,
            _signal: signal,
            ending,
            ended,
            workers: workers.into_leave(),
            reloader: Reloader::new(None),
            _reloading: JoinSet::new(),
        }
    }

    /// The same, with certificates that are read anew.
    pub(crate) fn reloading(mut self, reloader: Reloader, hangups: Option<Hangups>) -> Self {
        self._reloading = reloader.run(hangups);
        self.reloader = reloader;
        self
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

    /// What has the certificates read anew.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// The names and addresses that the certificates covered when the server started. Empty without TLS, and for a rustls
    /// configuration of one's own.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Waits until the server has ended: after
    /// [`Server::shutdown_on`](crate::Server::shutdown_on), with its
    /// [drain](crate::Server::drain), or because it broke.
    ///
    /// # Errors
    ///
    /// When a listener stopped by itself, at once: what else there is goes on, and
    /// [`shutdown`](Self::shutdown) ends it in an orderly way. Also when the drain panicked, which
    /// cuts all connections.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again: the server goes on, and so does its end.
    pub async fn wait(&mut self) -> Result<(), ServerError> {
        // Once all listeners have broken, there is no end to wait for unless somebody asks.
        while !self.listeners.is_empty() || self.ask.is_asked() {
            tokio::select! {
                biased;
                Some(ended) = self.listeners.join_next() => self.listener(ended)?,
                Some(ended) = self.ending.join_next() => {
                    // Those that waited in vain for a connection to hear that it was cut. They
                    // may not hear it either, where its handler blocks the thread of a worker.
                    self.listeners.abort_all();
                    self.listeners.detach_all();
                    ended.map_err(drain_panicked)?;
                }
                else => break,
            }
        }
        Ok(())
    }

    /// Stops listening at once, lets requests under way finish for as long as `grace`, and cuts
    /// the connections that are left. With a [drain](crate::Server::drain) it begins that first, and
    /// cuts nothing before it has finished. The port is free when this returns, unless a handler blocks
    /// the thread of its worker: [`gone`](Self::gone) waits for that too.
    ///
    /// When the server is about to end already, by
    /// [`Server::shutdown_on`](crate::Server::shutdown_on), the grace counts that is over first, and
    /// the drain goes on as it was.
    ///
    /// # Errors
    ///
    /// When a listener had stopped by itself before, or the drain panicked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the server, which cuts what is left and drops the drain.
    pub async fn shutdown(mut self, grace: Duration) -> Result<(), ServerError> {
        self.ask.ask(grace);
        let mut first = Ok(());
        // A listener that broke is no reason to leave the rest without an orderly end.
        while let Err(error) = self.wait().await {
            first = first.and(Err(error));
        }
        first
    }

    /// Ready when nothing of the server is left, also after it was dropped: no listener, no connection
    /// that was not upgraded, no [worker](crate::Server::workers) with what ran on it.
    ///
    /// Dropping a server only tells its parts to end. Before the process exits, or the port is used
    /// for something else, wait for this; with a limit, as a handler that blocks its thread holds
    /// its worker.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(server: wsgate_server::Running) {
    /// let gone = server.gone();
    /// drop(server);
    /// let _ = tokio::time::timeout(Duration::from_secs(1), gone).await;
    /// # }
    /// ```
    pub fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut listeners, mut workers) = (self.ended.clone(), self.workers.ended());
        async move {
            listeners.wait().await;
            workers.wait().await;
        }
    }

    /// How a listening task ended.
    fn listener(&self, ended: Result<io::Result<()>, JoinError>) -> Result<(), ServerError> {
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(listener_stopped(error)),
            // By ourselves, after everything else.
            Err(error) if error.is_cancelled() && self.ask.is_asked() => Ok(()),
            // It panicked, or was lost with its runtime.
            Err(error) => Err(listener_stopped(io::Error::other(error))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Connections have tasks of their own, which listen to this; the other tasks are aborted
        // with their JoinSets, and the workers end with what is left on them.
        for handle in &self.handles {
            handle.shutdown();
        }
    }
}

fn listener_stopped(error: io::Error) -> ServerError {
    ServerError::new(ServerErrorKind::Serve, "a listener stopped by itself").because(error)
}

fn drain_panicked(error: JoinError) -> ServerError {
    ServerError::new(ServerErrorKind::Serve, "the drain panicked").because(error)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A server of which one listener has broken and, if wanted, another is well.
    fn broken(other: bool, drains: &Arc<AtomicUsize>) -> Running {
        let mut listeners = Listeners::new();
        let workers = Workers::none();
        let here = workers.runtimes()[0].clone();
        let error = async { Err(io::Error::other("broken")) };
        listeners.run(&here, Handle::new(), error);
        if other {
            let handle = Handle::new();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let server = axum_server::from_tcp(listener)
                .unwrap()
                .handle(handle.clone());
            let app = axum::Router::new().into_make_service();
            listeners.run(&here, handle, server.serve(app));
        }
        let drains = Arc::clone(drains);
        let stop = Stop {
            signal: None,
            grace: Duration::ZERO,
            drain: Some(Box::pin(async move {
                drains.fetch_add(1, Ordering::Relaxed);
            })),
        };
        running(listeners, workers, stop)
    }

    fn running(listeners: Listeners, workers: Workers, stop: Stop) -> Running {
        let address = ([127, 0, 0, 1], 0).into();
        let names = Arc::new([]);
        Running::new(
            address,
            None,
            String::new(),
            names,
            listeners,
            workers,
            stop,
        )
    }

    #[track_caller]
    fn is_broken(ended: Result<(), ServerError>) {
        let error = ended.expect_err("an error");
        assert_eq!(error.kind(), ServerErrorKind::Serve);
        assert!(error.to_string().contains("stopped by itself"), "{error}");
    }

    #[tokio::test]
    async fn a_listener_that_breaks_is_told_at_once_and_the_rest_still_drained() {
        for other in [false, true] {
            let drains = Arc::default();
            let mut running = broken(other, &drains);
            is_broken(running.wait().await);
            assert_eq!(drains.load(Ordering::Relaxed), 0);
            running.shutdown(Duration::ZERO).await.unwrap();
            assert_eq!(drains.load(Ordering::Relaxed), 1);
        }
    }

    #[tokio::test]
    async fn shutdown_drains_before_it_tells_of_a_listener_that_broke() {
        let drains = Arc::default();
        is_broken(broken(true, &drains).shutdown(Duration::ZERO).await);
        assert_eq!(drains.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn nothing_is_waited_for_once_all_listeners_broke() {
        let mut running = broken(false, &Arc::default());
        is_broken(running.wait().await);
        running.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_listener_that_is_lost_with_its_runtime_is_told() {
        let lost = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut listeners = Listeners::new();
        listeners.run(lost.handle(), Handle::new(), std::future::pending());
        let stop = Stop {
            signal: None,
            grace: Duration::ZERO,
            drain: None,
        };
        let mut running = running(listeners, Workers::none(), stop);
        lost.shutdown_background();
        is_broken(running.wait().await);
    }
}

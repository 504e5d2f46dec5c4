//! The settings of a server, and what is made of them.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use http::uri::Scheme;
use tokio::task::spawn_blocking;
use tracing::{dispatcher, error, info, warn};

use crate::accept::TlsPort;
use crate::connection::MakeConnection;
use crate::ending::{BoxFuture, Listeners, Stop};
use crate::error::{ServerError, ServerErrorKind};
use crate::handshake_log::HandshakeLog;
use crate::hsts::Hsts;
use crate::limits::Limits;
use crate::listen::{listen, prepare, redirect_app};
use crate::running::Running;
use crate::tls::{Loaded, Tls, TlsBy};
use crate::tls_acceptor::{TlsAcceptor, tokio_rustls};
use crate::url::url;

/// Serves an axum [`Router`] over HTTPS, HTTP/1.1 and HTTP/2.
///
/// See the [crate documentation](crate) for an example and for what each request carries.
/// Nothing happens before [`serve`](Self::serve) or [`start`](Self::start).
#[must_use = "nothing listens before serve() or start()"]
pub struct Server {
    address: SocketAddr,
    tls: Option<Tls>,
    redirect: Option<SocketAddr>,
    public_port: Option<u16>,
    hsts: Option<Hsts>,
    limits: Limits,
    shutdown_on: Option<BoxFuture>,
    shutdown_grace: Duration,
    drain: Option<BoxFuture>,
}

// ===== impl Server =====

impl Server {
    /// A server for one address. Port 0 lets the operating system choose;
    /// [`Running::local_addr`] tells which.
    ///
    /// `[::]` listens for IPv6 and, on most systems, for IPv4 as well.
    pub fn bind(address: impl Into<SocketAddr>) -> Self {
        Self {
            address: address.into(),
            tls: None,
            redirect: None,
            public_port: None,
            hsts: None,
            limits: Limits::default(),
            shutdown_on: None,
            shutdown_grace: SHUTDOWN_GRACE,
            drain: None,
        }
    }

    /// Serves HTTPS with these certificates.
    ///
    /// Without this call the server speaks plain HTTP (HTTP/2 too, for clients that know it
    /// beforehand), which is right behind something else that ends TLS and nowhere else:
    /// browsers open no WebSocket from an https page to it, and do not speak HTTP/2 with it.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Listens on a second address, in plain HTTP, and sends everyone who comes there to https
    /// (308, with the same path and query). Needs [`tls`](Self::tls).
    pub fn redirect_http(mut self, address: impl Into<SocketAddr>) -> Self {
        self.redirect = Some(address.into());
        self
    }

    /// The port on which clients reach the HTTPS listener, for redirects and
    /// [`Running::url`]. Default: the port that is listened on. Set it where a container or a
    /// router maps another one.
    pub fn public_port(mut self, port: u16) -> Self {
        self.public_port = Some(port);
        self
    }

    /// Tells browsers to come by https only. Off by default: it cannot be taken back at once.
    /// Needs [`tls`](Self::tls), as it must not be sent over plain HTTP (RFC 6797 7.2).
    pub fn hsts(mut self, hsts: Hsts) -> Self {
        self.hsts = Some(hsts);
        self
    }

    /// Sets the time limits on what comes before a handler runs. All are on by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Shuts down in an orderly way when the future is ready: at a signal, say. Listening ends at
    /// once, and requests under way get the [grace](Self::shutdown_grace) to finish.
    pub fn shutdown_on<F>(mut self, signal: F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shutdown_on = Some(Box::pin(signal));
        self
    }

    /// How long requests under way may take when the server is shut down by
    /// [`shutdown_on`](Self::shutdown_on). Default: 8 s, as `docker stop` kills after ten.
    ///
    /// Nothing is cut before a [drain](Self::drain) has finished: while a longer one goes on,
    /// requests may take longer too.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// Gives WebSockets, of which a shutdown knows nothing, an end of their own.
    ///
    /// The future is not touched before the server is asked to stop, by
    /// [`shutdown_on`](Self::shutdown_on) or [`Running::shutdown`]. Then:
    ///
    /// 1. It is polled for the first time, while the server is still as it was. This is the
    ///    moment to turn new WebSockets away: once hyper shuts down, it answers an HTTP/1.1
    ///    handshake with `connection: upgrade, close`, which strict clients refuse.
    /// 2. Right after that listening ends. Requests under way go on, those over HTTP/2 that
    ///    became WebSockets among them.
    /// 3. When the future has finished, and besides all connections have ended or the
    ///    [grace](Self::shutdown_grace), counted from the beginning, is over, what is left is cut.
    ///
    /// [`serve`](Self::serve), [`Running::wait`] and [`Running::shutdown`] do not return before the
    /// future has finished, so that the program does not exit under WebSockets that came by
    /// HTTP/1.1. A future that never finishes keeps them from returning for ever; give it a deadline.
    /// Dropping them or the [`Running`] drops it, and cuts all.
    ///
    /// With the `Drain` of wsgate's layers this is `.drain(drain.within(Duration::from_secs(30)))`.
    /// Without it, for handlers that watch for a sign to say goodbye:
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use axum::Router;
    /// use tokio::{sync::watch, time::timeout};
    /// use wsgate_server::Server;
    ///
    /// # fn routes(leaving: watch::Receiver<bool>) -> Router { Router::new() }
    /// # async fn terminated() {}
    /// # async fn run() -> Result<(), wsgate_server::ServerError> {
    /// // Each handler holds a receiver for as long as its WebSocket is open.
    /// let (leave, leaving) = watch::channel(false);
    ///
    /// Server::bind(([127, 0, 0, 1], 8080))
    ///     .shutdown_on(terminated())
    ///     .drain(async move {
    ///         leave.send_replace(true);
    ///         timeout(Duration::from_secs(30), leave.closed()).await
    ///     })
    ///     .serve(routes(leaving))
    ///     .await
    /// # }
    /// ```
    pub fn drain<F>(mut self, drain: F) -> Self
    where
        F: Future + Send + 'static,
    {
        self.drain = Some(Box::pin(async move {
            drain.await;
        }));
        self
    }

    /// Serves `app` until the server is [shut down](Self::shutdown_on) and
    /// [drained](Self::drain).
    ///
    /// # Errors
    ///
    /// When it cannot start; see [`ServerErrorKind`](crate::ServerErrorKind). When a listener stops
    /// by itself, after the rest of the server was shut down and drained.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the [`Running`] in it: listening ends, and so do the
    /// connections that were not upgraded.
    pub async fn serve(self, app: Router) -> Result<(), ServerError> {
        let grace = self.shutdown_grace;
        let mut running = self.start(app).await?;
        match running.wait().await {
            Ok(()) => Ok(()),
            Err(broken) => {
                error!(error = &broken as &dyn StdError, "shutting down");
                // The first error is the one that explains the others.
                let _ = running.shutdown(grace).await;
                Err(broken)
            }
        }
    }

    /// Starts serving `app` and returns once connections are accepted.
    ///
    /// To serve another `tower::Service` than a router, wrap it:
    /// `Router::new().fallback_service(service)`.
    ///
    /// # Errors
    ///
    /// When settings contradict each other, a certificate or key cannot be used, or an address
    /// cannot be listened on. Nothing is left listening then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing listening.
    pub async fn start(self, app: Router) -> Result<Running, ServerError> {
        self.check()?;
        let loaded = match self.tls {
            Some(tls) => Some(load(tls).await?),
            None => None,
        };
        // Both before the first connection is accepted, so that a failure of the second leaves
        // no trace of the first.
        let (listener, address) = listen(self.address).await?;
        let redirect = match self.redirect {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let public_port = self.public_port.unwrap_or(address.port());
        let log = Arc::new(HandshakeLog::default());
        let handle = Handle::new();
        let mut listeners = Listeners::new();

        let server = prepare(listener, &self.limits, handle.clone(), &log);
        let names = match loaded {
            Some(loaded) => {
                let hsts = self.hsts.as_ref().map(Hsts::header_value);
                let make = MakeConnection::new(app, Scheme::HTTPS, hsts);
                let limits = self.limits.clone();
                match loaded.by {
                    TlsBy::TlsStream => {
                        let tls = TlsAcceptor::new(&loaded.config);
                        let acceptor = TlsPort::new(tls, limits, public_port);
                        listeners.spawn(handle, server.acceptor(acceptor).serve(make));
                    }
                    TlsBy::TokioRustls => {
                        let tls = tokio_rustls(loaded.config);
                        let acceptor = TlsPort::new(tls, limits, public_port);
                        listeners.spawn(handle, server.acceptor(acceptor).serve(make));
                    }
                }
                Some(loaded.names)
            }
            None => {
                let make = MakeConnection::new(app, Scheme::HTTP, None);
                listeners.spawn(handle, server.acceptor(NoDelayAcceptor).serve(make));
                None
            }
        };

        let redirect_address = redirect.map(|(listener, address)| {
            let handle = Handle::new();
            let make = MakeConnection::new(redirect_app(public_port), Scheme::HTTP, None);
            let server = prepare(listener, &self.limits, handle.clone(), &log);
            listeners.spawn(handle, server.acceptor(NoDelayAcceptor).serve(make));
            address
        });

        let stop = Stop {
            signal: self.shutdown_on,
            grace: self.shutdown_grace,
            drain: self.drain,
        };
        let url = url(names.as_deref(), address.ip(), public_port);
        info!(
            %address,
            redirect = redirect_address.map(tracing::field::display),
            names = names.as_deref().map(|names| tracing::field::display(names.join(" "))),
            "listening, {url}"
        );
        Ok(Running::new(
            address,
            redirect_address,
            url,
            names.unwrap_or_default(),
            listeners,
            stop,
        ))
    }

    /// Finds contradictions before anything is touched.
    fn check(&self) -> Result<(), ServerError> {
        self.limits.check()?;
        let refuse = |what| Err(ServerError::new(ServerErrorKind::Configuration, what));
        if self.tls.is_none() && self.redirect.is_some() {
            return refuse("redirect_http sends clients to https, and there is none: set tls too");
        }
        if self.tls.is_none() && self.hsts.is_some() {
            return refuse(
                "hsts must not be sent over plain HTTP: set tls too, or let whatever ends TLS in \
                 front of this server send it",
            );
        }
        if self.hsts.as_ref().is_some_and(Hsts::too_short_to_preload) {
            warn!("the hsts preload list wants a max-age of a year at least");
        }
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("tls", &self.tls)
            .field("redirect", &self.redirect)
            .field("public_port", &self.public_port)
            .field("hsts", &self.hsts)
            .field("limits", &self.limits)
            .field("shutdown_grace", &self.shutdown_grace)
            .finish_non_exhaustive()
    }
}

/// Reads certificates where blocking is allowed, with the caller's subscriber, which belongs to
/// the thread.
async fn load(tls: Tls) -> Result<Loaded, ServerError> {
    let dispatch = dispatcher::get_default(Clone::clone);
    spawn_blocking(move || dispatcher::with_default(&dispatch, || tls.load()))
        .await
        .map_err(|error| {
            ServerError::new(
                ServerErrorKind::Certificate,
                "reading the certificates failed in an unexpected way",
            )
            .because(error)
        })?
}

const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_need_tls_say_so() {
        #[track_caller]
        fn check(server: &Server, text: &str) {
            let error = server.check().unwrap_err();
            assert_eq!(error.kind(), ServerErrorKind::Configuration);
            assert!(error.to_string().contains(text), "{error}");
        }
        let server = || Server::bind(([127, 0, 0, 1], 0));

        check(
            &server().redirect_http(([127, 0, 0, 1], 0)),
            "redirect_http",
        );
        check(&server().hsts(Hsts::max_age(Duration::ZERO)), "hsts");
        check(
            &server().limits(Limits::new().header_read(Duration::ZERO)),
            "header_read",
        );
    }
}

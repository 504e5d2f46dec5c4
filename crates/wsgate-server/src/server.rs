//! The settings of a server.

mod start;

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use axum::Router;
use tracing::{error, warn};

use crate::ending::BoxFuture;
use crate::error::{ServerError, ServerErrorKind};
use crate::hsts::Hsts;
use crate::limits::Limits;
use crate::proxy_protocol::Senders;
#[cfg(doc)]
use crate::running::Running;
use crate::tls::Tls;

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
    proxy_protocol: Option<Vec<String>>,
    workers: Option<usize>,
    reload_on_hangup: bool,
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
            proxy_protocol: None,
            workers: None,
            reload_on_hangup: false,
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

    /// Sets the time limits on what a client is waited for. All are on by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Has connections from these addresses begin with a header of the PROXY protocol, version 1 or 2,
    /// in which a balancer that passes TCP on tells whose connection it is: HAProxy's `send-proxy` and
    /// `send-proxy-v2`, nginx's `proxy_protocol on`, the NLB of AWS. Written as `192.0.2.1` or
    /// `10.0.0.0/8`. Default: none, and no header is understood.
    ///
    /// The client's address then is what handlers, limits and logs see as the peer's. Nobody else is
    /// believed: a header from another address ends its connection.
    ///
    /// - From these addresses the header is required, since nobody could say whose a connection without
    ///   one is. It may come in pieces, at most 107 bytes of version 1 and 4 KiB of version 2, and within
    ///   the limit for the [TLS handshake](Limits::tls_handshake). What it says beyond addresses is passed over.
    /// - A connection from any other address is one that came by itself, and is served as ever.
    /// - One of the balancer's own, such as a health check (LOCAL, UNKNOWN, UNSPEC), keeps the
    ///   balancer's address.
    /// - It is the same for the listener that [redirects](Self::redirect_http).
    ///
    /// What breaks these rules is logged with what to do, at `warn`.
    ///
    /// List addresses from which nobody else can connect: whoever can send a header from one of
    /// them can be any client.
    pub fn proxy_protocol<I>(mut self, from: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.proxy_protocol = Some(from.into_iter().map(Into::into).collect());
        self
    }

    /// Serves on so many threads of its own, each with a current-thread runtime and a listening
    /// socket. Default: none, and everything runs on the caller's runtime, of whichever kind.
    ///
    /// A connection stays with the worker that accepted it, and so does all that its handlers
    /// spawn: nothing moves between cores. A gateway that passes small messages on at a low rate
    /// spends about 25 % less CPU that way than on a work-stealing runtime. Choose it
    ///
    /// - for a program that does little else than relay;
    /// - when no handler keeps its thread busy for long: the other connections of its worker wait
    ///   meanwhile, where a work-stealing runtime would find them another thread.
    ///
    /// # Which worker gets a connection
    ///
    /// On Linux the kernel chooses, by a hash of addresses and ports (`SO_REUSEPORT`). That is as even
    /// as tossing a coin, and pays no heed to load: the fuller of two workers has 35 of 64
    /// connections on average, more than 40 in one case of thirty, and 5,040 of 10,000. It does not
    /// depend on how fast they come, so a crowd that comes back after a restart is spread like any
    /// other. Where there is no such option, as on macOS, the workers share one socket, and whoever is
    /// awake takes what is there: a few connections that come at once may all be with one.
    ///
    /// A port that somebody listens on is refused as ever, and so is a second server of the same
    /// program. Once the workers listen, another program of the same user can join them, if
    /// it sets the option too: Linux asks for nothing but the same user.
    ///
    /// # What runs where
    ///
    /// On the caller's runtime, which has little to do then, so that a current-thread one will do:
    /// reading the certificates, waiting for the [signal](Self::shutdown_on), the
    /// [drain](Self::drain), and the listener that [redirects](Self::redirect_http).
    ///
    /// On the workers: everything else. Their runtimes are current-thread ones, without
    /// `block_in_place`. Blocking work (`spawn_blocking`, names to look up) has threads beside, 512
    /// for all workers together but at least 16 each. What handlers share, such as a pool of
    /// connections to a database, may be used from all workers, and lives on the runtime that made it.
    /// The threads are named `wsgate-0` and so on; how many connections each accepted is
    /// logged at the end, at `debug`.
    ///
    /// A handler that panics ends its connection, and its worker goes on.
    ///
    /// # The end
    ///
    /// The workers end with the server, after shutdown and drain or when the
    /// [`Running`] is dropped, and with them the WebSockets that are left and the tasks that
    /// handlers have spawned. Blocking work that has begun is waited for, for a second.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// As many [`workers`](Self::workers) as there are cores: those that the process may use, by its
    /// affinity and its container's quota. One, if that cannot be told.
    pub fn worker_per_core(self) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        self.workers(cores)
    }

    /// Has the certificates read anew at each SIGHUP, as `nginx -s reload` and systemd's
    /// `ExecReload=kill -HUP $MAINPID` ask for it. Off by default, as signals belong to the whole
    /// process; nothing happens elsewhere than on Unix.
    ///
    /// From the start of the server on a SIGHUP then does nothing else any more: it does not end the
    /// process when the terminal is closed. The files are [looked at](Tls::watch_every) without it, too.
    pub fn reload_on_hangup(mut self) -> Self {
        self.reload_on_hangup = true;
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

    /// Finds contradictions before anything is touched.
    fn check(&self) -> Result<(), ServerError> {
        self.limits.check()?;
        self.senders()?;
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
        if self.workers == Some(0) {
            return refuse("no workers would serve nobody: leave out workers, or have one");
        }
        if self.hsts.as_ref().is_some_and(Hsts::too_short_to_preload) {
            warn!("the hsts preload list wants a max-age of a year at least");
        }
        Ok(())
    }

    /// Who sends headers of the PROXY protocol.
    fn senders(&self) -> Result<Option<Senders>, ServerError> {
        let from = self.proxy_protocol.as_deref();
        from.map(Senders::parse).transpose()
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
            .field("proxy_protocol", &self.proxy_protocol)
            .field("workers", &self.workers)
            .field("reload_on_hangup", &self.reload_on_hangup)
            .field("shutdown_grace", &self.shutdown_grace)
            .finish_non_exhaustive()
    }
}

const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_say_so() {
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
        check(&server().workers(0), "no workers");
        check(&server().proxy_protocol(["balancer"]), "proxy_protocol");
        check(
            &server().limits(Limits::new().header_read(Duration::ZERO)),
            "header_read",
        );
    }
}

//! What is made of the settings.

use std::sync::Arc;

use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use http::uri::Scheme;
use tokio::runtime;
use tracing::info;

use super::Server;
use crate::accept::{PlainPort, TlsPort};
use crate::bind::bind;
use crate::connection::MakeConnection;
use crate::ending::{Listeners, Stop};
use crate::error::ServerError;
use crate::handshake_log::HandshakeLog;
use crate::hsts::Hsts;
use crate::limits::Limits;
use crate::listen::{Prepared, prepare, redirect_app};
use crate::proxy_protocol::Senders;
use crate::reload::Reloader;
use crate::running::Running;
use crate::signal::Hangups;
use crate::tls::{Live, TlsBy};
use crate::tls_acceptor::{TlsAcceptor, tokio_rustls};
use crate::url::url;
use crate::watch::Watching;
use crate::workers::Workers;

impl Server {
    /// Starts serving `app` and returns once connections are accepted.
    ///
    /// To serve another `tower::Service` than a router, wrap it:
    /// `Router::new().fallback_service(service)`.
    ///
    /// # Errors
    ///
    /// When settings contradict each other, a certificate or key cannot be used, an address cannot
    /// be listened on, or a worker cannot be had. Nothing is left listening then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing listening.
    pub async fn start(self, app: Router) -> Result<Running, ServerError> {
        self.check()?;
        let senders = self.senders()?;
        // Before anything else: from now on a SIGHUP does not end the process.
        let hangups = self.reload_on_hangup.then(Hangups::listen);
        let (tls, names) = match self.tls {
            Some(tls) => {
                let (live, names) = Live::start(tls).await?;
                (Some(live), Some(names))
            }
            None => (None, None),
        };
        // All before the first connection is accepted, so that a failure of the last leaves no trace
        // of the first.
        let (sockets, address) = bind(self.address, self.workers.unwrap_or(1)).await?;
        let (redirect_sockets, redirect_address) = match self.redirect {
            Some(asked) => {
                let (sockets, address) = bind(asked, 1).await?;
                (sockets, Some(address))
            }
            None => (Vec::new(), None),
        };
        let workers = match self.workers {
            Some(count) => Workers::start(count)?,
            None => Workers::none(),
        };
        let here = [runtime::Handle::current()];
        let log = Arc::new(HandshakeLog::default());
        let servers = prepare(workers.runtimes(), sockets, &self.limits, &log)?;
        // Little to do, and nothing that a worker should be kept from its WebSockets by.
        let redirects = prepare(&here, redirect_sockets, &self.limits, &log)?;

        let public_port = self.public_port.unwrap_or(address.port());
        let scheme = tls.as_ref().map_or(Scheme::HTTP, |_| Scheme::HTTPS);
        let hsts = self.hsts.as_ref().map(Hsts::header_value);
        let mut listeners = Listeners::new();
        for (worker, listener) in servers.into_iter().enumerate() {
            let make = MakeConnection::new(app.clone(), scheme.clone(), hsts.clone());
            let make = match self.workers {
                Some(_) => make.counting_for(worker),
                None => make,
            };
            // All speak TLS by one configuration, so that a session begun with one worker can be
            // resumed with another.
            match &tls {
                Some(live) => {
                    let (limits, senders) = (self.limits.clone(), senders.clone());
                    let config = live.config().clone();
                    match live.by() {
                        TlsBy::TlsStream => {
                            let tls = TlsAcceptor::new(config);
                            let acceptor = TlsPort::new(tls, limits, public_port, senders);
                            let acceptor = Watching::new(acceptor, &self.limits);
                            listeners
                                .spawn(listener, |server| server.acceptor(acceptor).serve(make));
                        }
                        TlsBy::TokioRustls => {
                            let tls = tokio_rustls(config);
                            let acceptor = TlsPort::new(tls, limits, public_port, senders);
                            let acceptor = Watching::new(acceptor, &self.limits);
                            listeners
                                .spawn(listener, |server| server.acceptor(acceptor).serve(make));
                        }
                    }
                }
                None => spawn_plain(&mut listeners, listener, make, &self.limits, &senders),
            }
        }
        for listener in redirects {
            let make = MakeConnection::new(redirect_app(public_port), Scheme::HTTP, None);
            spawn_plain(&mut listeners, listener, make, &self.limits, &senders);
        }

        let stop = Stop {
            signal: self.shutdown_on,
            grace: self.shutdown_grace,
            drain: self.drain,
        };
        let url = url(names.as_deref(), address.ip(), public_port);
        info!(
            %address,
            redirect = redirect_address.map(tracing::field::display),
            workers = self.workers,
            names = names.as_deref().map(|names| tracing::field::display(names.join(" "))),
            "listening, {url}"
        );
        Ok(Running::new(
            address,
            redirect_address,
            url,
            names.unwrap_or_default(),
            listeners,
            workers,
            stop,
        )
        .reloading(Reloader::new(tls), hangups))
    }
}

fn spawn_plain(
    listeners: &mut Listeners,
    listener: Prepared,
    make: MakeConnection,
    limits: &Limits,
    senders: &Option<Senders>,
) {
    match senders {
        Some(senders) => {
            let port = PlainPort::new(limits.clone(), senders.clone());
            let acceptor = Watching::new(port, limits);
            listeners.spawn(listener, |server| server.acceptor(acceptor).serve(make));
        }
        None => listeners.spawn(listener, |server| {
            let acceptor = Watching::new(NoDelayAcceptor, limits);
            server.acceptor(acceptor).serve(make)
        }),
    }
}

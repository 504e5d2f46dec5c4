//! An HTTPS server for any axum router: what a gateway is mounted in.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::io::{Io, within};
use crate::upstream::resume;

/// A router that is being served, over HTTP/1.1 and HTTP/2, with upgrades and extended CONNECT.
///
/// Handlers find `ConnectInfo<SocketAddr>` in the request's extensions.
#[derive(Debug)]
pub struct Site {
    addr: SocketAddr,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

// ===== impl Site =====

impl Site {
    /// Serves on a free port of 127.0.0.1, with TLS if there is a configuration for it.
    pub async fn start(router: Router, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(
            listener,
            router,
            tls.map(TlsAcceptor::from),
            stop.clone(),
        ));
        Self {
            addr,
            stop,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no new connection and waits for the live ones to end.
    ///
    /// # Panics
    ///
    /// When one of them panicked, or does not end.
    pub async fn join(self) {
        self.stop.cancel();
        resume(within("the site's connections end", self.task).await);
    }
}

async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, peer) = tokio::select! {
            accepted = listener.accept() => accepted.expect("a listening socket accepts"),
            () = stop.cancelled() => break,
        };
        socket
            .set_nodelay(true)
            .expect("a connected socket takes options");
        let router = router.clone().layer(Extension(ConnectInfo(peer)));
        let (tls, stop) = (tls.clone(), stop.clone());
        connections.spawn(async move {
            // A client that does not finish its TLS handshake has nobody to complain to.
            if let Ok(io) = open(socket, tls).await {
                converse(io, router, stop).await;
            }
        });
    }
    while let Some(ended) = connections.join_next().await {
        resume(ended);
    }
}

async fn open(socket: TcpStream, tls: Option<TlsAcceptor>) -> std::io::Result<Box<dyn Io>> {
    match tls {
        None => Ok(Box::new(socket)),
        Some(tls) => Ok(Box::new(tls.accept(socket).await?)),
    }
}

async fn converse(io: Box<dyn Io>, router: Router, stop: CancellationToken) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().enable_connect_protocol();
    let service = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        hyper::service::Service::call(&service, request)
    });
    let mut connection =
        std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    // How a connection ends is what the two sides' own records tell.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

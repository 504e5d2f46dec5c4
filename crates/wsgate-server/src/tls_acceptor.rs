//! The two ways to make TLS of an accepted socket, with the same facts for handlers.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_server::accept::{Accept, NoDelayAcceptor};
use axum_server::tls::TlsInfo;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use http::Request;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tower_service::Service;
use wsgate_tls::TlsStream;

use crate::limits::LONGEST;

/// Speaks TLS by [`TlsStream`].
#[derive(Clone, Debug)]
pub(crate) struct TlsAcceptor {
    /// With a configuration from [`noting`] in it.
    config: RustlsConfig,
}

/// Puts `Arc<TlsInfo>` in each request's extensions, as axum-server's acceptors do.
#[derive(Clone, Debug)]
pub(crate) struct Informed<S> {
    inner: S,
    info: Arc<TlsInfo>,
}

/// Takes note of the name that the client asks for, and leaves the choice to another.
///
/// The name is among the facts for handlers, and this is the one place where rustls' unbuffered
/// connection tells it.
#[derive(Debug)]
struct Noting(Arc<dyn ResolvesServerCert>);

tokio::task_local! {
    /// The name, within the handshake.
    static ASKED: RefCell<Option<String>>;
}

/// axum-server's own acceptor, which speaks TLS by tokio-rustls.
pub(crate) fn tokio_rustls(config: RustlsConfig) -> RustlsAcceptor<NoDelayAcceptor> {
    RustlsAcceptor::new(config)
        // Our own limit counts from the accepted connection. This one counts from the first byte
        // and must not fire before it: it would not be told from a client that left.
        .handshake_timeout(LONGEST)
        .acceptor(NoDelayAcceptor)
}

/// A configuration whose names [`TlsAcceptor`] can tell.
pub(crate) fn noting(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.cert_resolver = Arc::new(Noting(config.cert_resolver));
    Arc::new(config)
}

// ===== impl TlsAcceptor =====

impl TlsAcceptor {
    pub(crate) fn new(config: RustlsConfig) -> Self {
        Self { config }
    }
}

impl<S> Accept<TcpStream, S> for TlsAcceptor
where
    S: Send + 'static,
{
    type Stream = TlsStream;
    type Service = Informed<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, inner: S) -> Self::Future {
        let config = self.config.get_inner();
        let handshake = async move {
            stream.set_nodelay(true)?;
            let stream = TlsStream::accept(stream, config).await?;
            let info = info(&stream, ASKED.with(RefCell::take));
            Ok((stream, Informed { inner, info }))
        };
        Box::pin(ASKED.scope(RefCell::default(), handshake))
    }
}

// ===== impl Informed =====

impl<S, B> Service<Request<B>> for Informed<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.info));
        self.inner.call(request)
    }
}

// ===== impl Noting =====

impl ResolvesServerCert for Noting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_owned);
        let _ = ASKED.try_with(|asked| asked.replace(name));
        self.0.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.0.only_raw_public_keys()
    }
}

fn info(stream: &TlsStream, server_name: Option<String>) -> Arc<TlsInfo> {
    let facts = stream.facts();
    let certificates = facts.peer_certificates().unwrap_or_default();
    // Not to be written as a literal from outside of its crate.
    let mut info = TlsInfo::default();
    info.server_name = server_name;
    info.alpn_protocol = facts.alpn_protocol().map(<[u8]>::to_vec);
    info.peer_certificates = certificates.iter().map(|der| der.to_vec()).collect();
    Arc::new(info)
}

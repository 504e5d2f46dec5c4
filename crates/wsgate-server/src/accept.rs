//! From an accepted TCP connection to a finished TLS handshake, or to a reason why not. Before TLS may
//! stand a header of the PROXY protocol.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use axum_server::accept::{Accept, NoDelayAcceptor};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::Connection;
use crate::limits::Limits;
use crate::proxy_protocol::{HeaderFault, Senders, looks_like_one};
use crate::redirect::{self, PlainHttp};
use crate::tls::{ORIGIN, Origin};

/// A TLS acceptor, behind a look at the first byte.
///
/// A client that speaks plain HTTP on this port is answered here, on the connection's own task,
/// so whatever ends the server's connections ends this one too.
#[derive(Clone, Debug)]
pub(crate) struct TlsPort<A> {
    tls: A,
    limits: Limits,
    plain: PlainHttp,
    senders: Option<Senders>,
}

/// Plain HTTP, behind the PROXY protocol.
#[derive(Clone, Debug)]
pub(crate) struct PlainPort {
    limits: Limits,
    senders: Senders,
}

/// Why a connection did not get as far as HTTP, where it was not for rustls to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client left, or was checked to be there by a load balancer.
    Closed,
    /// It sent nothing at all for as long as a handshake may take.
    Silent,
    /// The TLS handshake was begun and not over in time.
    TimedOut,
    /// It spoke HTTP, and was sent to https.
    PlainHttp,
    /// It spoke neither TLS nor HTTP.
    NotTls {
        /// What it began with.
        first: u8,
    },
    /// It has to begin with a header of the PROXY protocol, and does not have one that is right.
    ProxyHeader(HeaderFault),
    /// It begins with such a header, and nobody said that its peer may send one.
    StrangersHeader,
}

/// What happened to a connection that was passed on for this client.
#[derive(Debug)]
pub(crate) struct PassedOn {
    pub(crate) client: SocketAddr,
    pub(crate) error: io::Error,
}

/// What a connection begins with.
enum Opening<T> {
    Tls(Box<T>),
    PlainHttp(TcpStream),
}

// ===== impl TlsPort =====

impl<A> TlsPort<A> {
    /// `tls` needs no limit of its own. `https_port` is where a client without a port in its Host
    /// field is sent.
    pub(crate) fn new(tls: A, limits: Limits, https_port: u16, senders: Option<Senders>) -> Self {
        Self {
            tls,
            limits,
            plain: PlainHttp::OnTlsPort { https_port },
            senders,
        }
    }

    /// What comes after the PROXY protocol.
    async fn serve<S>(
        &self,
        stream: TcpStream,
        service: S,
        origin: Origin,
        deadline: Instant,
    ) -> io::Result<(A::Stream, A::Service)>
    where
        A: Accept<TcpStream, S>,
    {
        match self.open(stream, service, origin, deadline).await? {
            Opening::Tls(accepted) => Ok(*accepted),
            Opening::PlainHttp(stream) => {
                self.redirect(stream).await;
                Err(Refusal::PlainHttp.into())
            }
        }
    }

    async fn open<S>(
        &self,
        stream: TcpStream,
        service: S,
        origin: Origin,
        deadline: Instant,
    ) -> io::Result<Opening<(A::Stream, A::Service)>>
    where
        A: Accept<TcpStream, S>,
    {
        // The bytes stay in the socket: rustls, or hyper, reads them again. The first one decides.
        let mut first = [0; 12];
        let read = timeout_at(deadline, stream.peek(&mut first))
            .await
            .map_err(|_| Refusal::Silent)??;
        match (read, first[0]) {
            (0, _) => Err(Refusal::Closed.into()),
            (_, _) if looks_like_one(&first[..read]) => Err(Refusal::StrangersHeader.into()),
            (_, TLS_HANDSHAKE) => {
                let accepted = ORIGIN.scope(origin, self.tls.accept(stream, service));
                let accepted = timeout_at(deadline, accepted)
                    .await
                    .map_err(|_| Refusal::TimedOut)??;
                Ok(Opening::Tls(Box::new(accepted)))
            }
            // Every method in use begins with a capital letter.
            (_, b'A'..=b'Z') => Ok(Opening::PlainHttp(stream)),
            (_, first) => Err(Refusal::NotTls { first }.into()),
        }
    }

    /// Answers one request on a connection that has no TLS.
    async fn redirect(&self, stream: TcpStream) {
        let plain = self.plain;
        let answer = move |request: Request<Incoming>| {
            let (head, _) = request.into_parts();
            ready(Ok::<_, Infallible>(redirect::answer(&head, plain)))
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read)
            .max_buf_size(self.limits.request_head)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        // How it ends does not matter: the client was told, or did not listen.
        let _ = timeout(self.limits.first_request, connection).await;
    }
}

impl<A, R> Accept<TcpStream, Connection<R>> for TlsPort<A>
where
    A: Accept<TcpStream, Connection<R>> + Clone + Send + Sync + 'static,
    A::Stream: Send,
    A::Service: Send,
    A::Future: Send,
    R: Send + 'static,
{
    // Nothing else of ours stands between TLS and HTTP than what `Watching` puts there, so that an
    // upgraded connection can be taken apart.
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, mut stream: TcpStream, mut service: Connection<R>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            // One deadline for all. No overflow: limits end at `LONGEST`.
            let deadline = Instant::now() + this.limits.tls_handshake;
            let mut origin = Origin {
                peer: canonical(stream.peer_addr()?),
                local: canonical(stream.local_addr()?),
            };
            let client = match &this.senders {
                Some(senders) => senders.client(&mut stream, origin.peer, deadline).await?,
                None => None,
            };
            let Some(client) = client else {
                return this.serve(stream, service, origin, deadline).await;
            };
            origin.peer = client;
            service.came_from(client);
            let served = this.serve(stream, service, origin, deadline).await;
            served.map_err(|error| PassedOn { client, error }.into())
        })
    }
}

// ===== impl PlainPort =====

impl PlainPort {
    pub(crate) const fn new(limits: Limits, senders: Senders) -> Self {
        Self { limits, senders }
    }
}

impl<R> Accept<TcpStream, Connection<R>> for PlainPort
where
    R: Send + 'static,
{
    type Stream = TcpStream;
    type Service = Connection<R>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, mut stream: TcpStream, mut service: Connection<R>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let deadline = Instant::now() + this.limits.tls_handshake;
            let peer = canonical(stream.peer_addr()?);
            let client = this.senders.client(&mut stream, peer, deadline);
            if let Some(client) = client.await? {
                service.came_from(client);
            }
            NoDelayAcceptor.accept(stream, service).await
        })
    }
}

// ===== impl Refusal =====

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::other(refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed before a TLS handshake"),
            Self::Silent => f.write_str("silent until the time for a TLS handshake was over"),
            Self::TimedOut => f.write_str("no TLS handshake in time"),
            Self::PlainHttp => f.write_str("plain HTTP on the TLS port"),
            Self::NotTls { first } => {
                write!(f, "neither TLS nor HTTP: it begins with {first:#04x}")
            }
            Self::ProxyHeader(fault) => fault.fmt(f),
            Self::StrangersHeader => {
                f.write_str("a PROXY protocol header from an address that may not send one")
            }
        }
    }
}

impl StdError for Refusal {}

// ===== impl PassedOn =====

impl From<PassedOn> for io::Error {
    fn from(passed_on: PassedOn) -> Self {
        Self::new(passed_on.error.kind(), passed_on)
    }
}

impl fmt::Display for PassedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a connection that was passed on for {}", self.client)
    }
}

impl StdError for PassedOn {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

/// A listener on [::] sees IPv4 addresses as ::ffff:a.b.c.d, which nobody wants to read.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The record type with which every TLS connection begins (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

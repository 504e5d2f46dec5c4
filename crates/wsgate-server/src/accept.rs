//! From an accepted TCP connection to a finished TLS handshake, or to a reason why not.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use axum_server::accept::Accept;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::Limits;
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
    pub(crate) fn new(tls: A, limits: Limits, https_port: u16) -> Self {
        Self {
            tls,
            limits,
            plain: PlainHttp::OnTlsPort { https_port },
        }
    }

    async fn open<S>(
        &self,
        stream: TcpStream,
        service: S,
        origin: Origin,
    ) -> io::Result<Opening<(A::Stream, A::Service)>>
    where
        A: Accept<TcpStream, S>,
    {
        // One deadline for all. No overflow: limits end at `LONGEST`.
        let deadline = Instant::now() + self.limits.tls_handshake;
        // The byte stays in the socket: rustls, or hyper, reads it again.
        let mut first = [0];
        let read = timeout_at(deadline, stream.peek(&mut first))
            .await
            .map_err(|_| Refusal::Silent)??;
        match (read, first[0]) {
            (0, _) => Err(Refusal::Closed.into()),
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
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        // How it ends does not matter: the client was told, or did not listen.
        let _ = timeout(self.limits.first_request, connection).await;
    }
}

impl<A, S> Accept<TcpStream, S> for TlsPort<A>
where
    A: Accept<TcpStream, S> + Clone + Send + Sync + 'static,
    A::Stream: Send,
    A::Service: Send,
    A::Future: Send,
    S: Send + 'static,
{
    // Nothing of ours stands between TLS and HTTP, so that an upgraded connection can be taken
    // apart into exactly this type.
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let origin = Origin {
                peer: canonical(stream.peer_addr()?),
                local: canonical(stream.local_addr()?),
            };
            match this.open(stream, service, origin).await? {
                Opening::Tls(accepted) => Ok(*accepted),
                Opening::PlainHttp(stream) => {
                    this.redirect(stream).await;
                    Err(Refusal::PlainHttp.into())
                }
            }
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
        }
    }
}

impl StdError for Refusal {}

/// A listener on [::] sees IPv4 addresses as ::ffff:a.b.c.d, which nobody wants to read.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The record type with which every TLS connection begins (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

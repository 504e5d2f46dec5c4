//! Reaching an endpoint: TCP or a Unix socket, and TLS on top.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use wsgate_tls::TlsStream;

use crate::{
    endpoint::{Address, Endpoint},
    exhausted::Exhausted,
    lookup::lookup,
    silence::end_when_silent,
    tls::UpstreamTls,
    upstream::Http2Stream,
};

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) enum UpstreamStream {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    #[cfg(unix)]
    /// Boxed, as then a tunnel over TCP takes no room for telling the two apart.
    Unix(Box<tokio::net::UnixStream>),
    /// One of the streams of a connection over HTTP/2.
    Http2(Box<Http2Stream>),
}

/// Connects, names looked up and TLS included. Has no deadline of its own.
///
/// # Cancel safety
///
/// Dropped, it leaves nothing behind but the [lookup](lookup()) of a name.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    tls: Option<&UpstreamTls>,
) -> io::Result<UpstreamStream> {
    connect_with(endpoint, tls.map(|tls| (tls, tls.config()))).await
}

/// [`connect`] with a configuration that was made from the TLS settings.
pub(crate) async fn connect_with(
    endpoint: &Endpoint,
    tls: Option<(&UpstreamTls, &Arc<ClientConfig>)>,
) -> io::Result<UpstreamStream> {
    match (endpoint.address(), tls) {
        (
            Address::Tcp {
                host,
                port,
                tls: true,
            },
            Some((tls, config)),
        ) => {
            let name = tls.name_for(host).map_err(io::Error::other)?;
            let stream = tcp(endpoint, host, *port).await?;
            let stream = TlsStream::connect(stream, Arc::clone(config), name).await?;
            Ok(UpstreamStream::Tls(Box::new(stream)))
        }
        (Address::Tcp { host, port, .. }, _) => {
            Ok(UpstreamStream::Tcp(tcp(endpoint, host, *port).await?))
        }
        #[cfg(unix)]
        (Address::Unix(path), _) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            Ok(UpstreamStream::Unix(Box::new(stream)))
        }
        #[cfg(not(unix))]
        (Address::Unix(_), _) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn tcp(endpoint: &Endpoint, host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = match endpoint.socket_addr() {
        Some(address) => dial(address).await?,
        None => dial_any(&lookup(host, port).await?).await?,
    };
    // A relayed message waits for nothing, least of all for the answer to the one before.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One address after the other, until one takes the connection.
async fn dial_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match dial(*address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let connected = TcpStream::connect(address).await;
    connected.map_err(|error| Exhausted::explain(error, address))
}

// ===== impl UpstreamStream =====

impl UpstreamStream {
    /// The protocol that TLS agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(stream) => stream.facts().alpn_protocol(),
            _ => None,
        }
    }

    /// Has TCP end it when the endpoint's host has acknowledged nothing for so long. A connection over
    /// HTTP/2 has pings of its own, and a Unix socket no host.
    pub(crate) fn end_when_silent(&self, limit: Duration) {
        let socket = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
            _ => return,
        };
        // What is lost with it is a safeguard, and no reason to refuse a client.
        if let Err(error) = end_when_silent(socket, limit) {
            tracing::debug!(%error, "TCP cannot be told how long an endpoint may be silent");
        }
    }

    /// Whether other tunnels are on the same connection.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Tls($stream) => $call,
            #[cfg(unix)]
            Self::Unix($stream) => $call,
            Self::Http2($stream) => $call,
        }
    };
}

impl AsyncRead for UpstreamStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(s) => s.is_write_vectored(),
            Self::Http2(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}

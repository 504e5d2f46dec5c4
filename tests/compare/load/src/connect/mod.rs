//! Opening WebSockets: TCP, TLS, and a handshake over HTTP/1.1 or HTTP/2.

pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::{ClientConfig, HandshakeKind};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::session::Session;
use crate::stream::Stream;

/// Where WebSockets are opened, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// What the certificate must name, and the handshake's Host says.
    pub(crate) host: String,
    pub(crate) path: String,
    /// Plain TCP without one.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// HTTP/2, with this many WebSockets on a connection; HTTP/1.1 without it.
    pub(crate) streams: Option<usize>,
}

/// A connection's worth of opened WebSockets.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) sessions: Vec<Session>,
    /// Version, cipher suite and key exchange; `None` over plain TCP.
    pub(crate) tls: Option<String>,
    /// Whether a ticket was taken.
    pub(crate) resumed: bool,
}

// ===== impl Target =====

impl Target {
    /// How many WebSockets share a connection.
    pub(crate) fn per_connection(&self) -> usize {
        self.streams.unwrap_or(1)
    }

    /// Opens one connection and `count` WebSockets on it, of which HTTP/1.1 has room for one.
    ///
    /// # Errors
    ///
    /// When any of it fails, or takes longer than [`OPEN_WITHIN`].
    pub(crate) async fn open(&self, count: usize) -> Result<Opened> {
        let address = self.address;
        match timeout(OPEN_WITHIN, self.open_slowly(count)).await {
            Ok(opened) => opened.with_context(|| format!("no WebSocket at {address}")),
            Err(_) => bail!("no WebSocket at {address} within {OPEN_WITHIN:?}"),
        }
    }

    async fn open_slowly(&self, count: usize) -> Result<Opened> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let (io, tls, resumed) = match &self.tls {
            None => (Stream::Plain(tcp), None, false),
            Some(config) => {
                let name = self.host.clone().try_into()?;
                let connector = TlsConnector::from(Arc::clone(config));
                let io = connector.connect(name, tcp).await?;
                let (_, state) = io.get_ref();
                let resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
                let agreed = tls::describe(state);
                (Stream::Tls(Box::new(io)), Some(agreed), resumed)
            }
        };
        let sessions = match self.streams {
            None => vec![h1::open(io, &self.host, &self.path).await?],
            Some(_) => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                h2::open(io, scheme, &self.host, &self.path, count).await?
            }
        };
        Ok(Opened {
            sessions,
            tls,
            resumed,
        })
    }
}

/// Longer than a proxy takes for one while thousands are opened.
const OPEN_WITHIN: Duration = Duration::from_secs(20);

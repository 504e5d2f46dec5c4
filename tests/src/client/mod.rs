//! Clients that show every frame and every field, over TLS as users come.

mod body;
pub mod frames;
mod h1;
mod h2;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::certs::TestCa;
use crate::io::{Io, within};
use crate::upstream::script::unlimited;
use crate::{Frame, ResponseHead, Tunnel};

pub use frames::{Frames, Http2Frame, Outcome};
pub use h1::H1;
pub use h2::H2;
pub(crate) use h2::Stream as Http2Stream;

/// Where to connect, under what name, and with what trust.
#[derive(Clone, Debug)]
pub struct Target {
    addr: SocketAddr,
    /// The address to connect from.
    source: IpAddr,
    /// The name in the URL, for SNI and Host.
    host: String,
    tls: Option<Arc<ClientConfig>>,
}

/// An opening handshake (RFC 6455, 4.1), to be bent as a test needs it.
#[derive(Clone, Debug)]
pub struct Handshake {
    method: Option<String>,
    target: String,
    version: String,
    /// `:protocol` over HTTP/2.
    protocol: &'static str,
    fields: Vec<(String, String)>,
    early: Vec<u8>,
    bytewise: bool,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with its Upgrade.
    Http1,
    /// HTTP/2 with extended CONNECT.
    Http2,
}

/// An open tunnel and the answer that opened it.
#[derive(Debug)]
pub struct Opened {
    /// 101 over HTTP/1.1, 200 over HTTP/2.
    pub response: ResponseHead,
    /// The client's end.
    pub tunnel: Tunnel,
}

/// An answer that opens nothing.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its status and fields.
    pub response: ResponseHead,
    /// All of its body.
    pub body: Bytes,
}

// ===== impl Target =====

impl Target {
    /// A server without TLS, called `localhost`.
    pub fn plain(addr: SocketAddr) -> Self {
        Self {
            addr,
            source: UNSPECIFIED,
            host: "localhost".to_owned(),
            tls: None,
        }
    }

    /// A server with TLS, called `localhost` and certified by `ca`.
    pub fn tls(addr: SocketAddr, ca: &TestCa) -> Self {
        Self::tls_with(addr, ca.client(&[]))
    }

    /// A server with TLS, for a client of your own; ALPN is set for each connection.
    pub fn tls_with(addr: SocketAddr, config: Arc<ClientConfig>) -> Self {
        Self {
            addr,
            source: UNSPECIFIED,
            host: "localhost".to_owned(),
            tls: Some(config),
        }
    }

    /// The same server under another name.
    #[must_use]
    pub fn named(self, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            ..self
        }
    }

    /// The same server, for a client at another address of the loopback: 127.0.0.2, say.
    #[must_use]
    pub fn coming_from(self, source: [u8; 4]) -> Self {
        Self {
            source: source.into(),
            ..self
        }
    }

    /// The same server at another address.
    #[must_use]
    pub fn at(self, addr: SocketAddr) -> Self {
        Self { addr, ..self }
    }

    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Name and port, as in a URL.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.addr.port())
    }

    /// The URL of a path, `ws:` or `wss:`.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.authority())
    }

    /// Connects, with TLS if it has any and these ALPN protocols.
    ///
    /// # Errors
    ///
    /// What the socket or the TLS handshake says.
    pub async fn try_connect(&self, alpn: &[&str]) -> std::io::Result<Box<dyn Io>> {
        within("connecting", async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.source, 0).into())?;
            let socket = socket.connect(self.addr).await?;
            // Segments leave as they are written: some tests are about what is in one.
            socket.set_nodelay(true)?;
            let Some(config) = &self.tls else {
                return Ok(Box::new(socket) as Box<dyn Io>);
            };
            let mut config = ClientConfig::clone(config);
            config.alpn_protocols = alpn
                .iter()
                .map(|protocol| protocol.as_bytes().to_vec())
                .collect();
            let name = ServerName::try_from(self.host.clone()).expect("a name or an address");
            let tls = TlsConnector::from(Arc::new(config))
                .connect(name, socket)
                .await?;
            Ok(Box::new(tls))
        })
        .await
    }

    /// [`Target::try_connect`] where it must succeed.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn connect(&self, alpn: &[&str]) -> Box<dyn Io> {
        let connected = self.try_connect(alpn).await;
        connected.unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.addr))
    }

    /// Sends a handshake over HTTP/1.1 and reads the answer; informational ones are passed over.
    ///
    /// # Errors
    ///
    /// The answer, when it does not open a tunnel.
    pub async fn open(&self, handshake: Handshake) -> Result<Opened, Refused> {
        self.h1().await.open(handshake).await
    }

    /// [`Target::open`] where it must succeed.
    ///
    /// # Panics
    ///
    /// When it does not; the answer is in the message.
    pub async fn tunnel(&self, handshake: Handshake) -> Tunnel {
        match self.open(handshake).await {
            Ok(opened) => opened.tunnel,
            Err(refused) => panic!("the handshake was refused: {refused:?}"),
        }
    }

    /// [`Target::open`] where it must not succeed.
    ///
    /// # Panics
    ///
    /// When it does.
    pub async fn refused(&self, handshake: Handshake) -> Refused {
        match self.open(handshake).await {
            Ok(opened) => panic!("the handshake was accepted: {:?}", opened.response),
            Err(refused) => refused,
        }
    }

    /// Opens a tunnel over a connection of its own, closes it with 1000, and says what the answer
    /// was.
    ///
    /// # Errors
    ///
    /// The answer, when it does not open a tunnel.
    pub async fn visit(
        &self,
        protocol: Protocol,
        handshake: Handshake,
    ) -> Result<ResponseHead, Refused> {
        match protocol {
            Protocol::Http1 => {
                let Opened { response, tunnel } = self.open(handshake).await?;
                tunnel.close(1000, "").await;
                Ok(response)
            }
            Protocol::Http2 => {
                let mut h2 = self.h2().await;
                let opened = h2.open(handshake).await;
                let answer = match opened {
                    Ok(Opened { response, tunnel }) => {
                        tunnel.close(1000, "").await;
                        Ok(response)
                    }
                    Err(refused) => Err(refused),
                };
                h2.join().await;
                answer
            }
        }
    }

    /// An ordinary request over a connection of its own.
    pub async fn get(&self, path: &str) -> Refused {
        self.h1().await.get(path).await
    }

    /// Connects over HTTP/1.1, for several requests.
    pub async fn h1(&self) -> H1 {
        H1::new(self.connect(&["http/1.1"]).await, &self.authority())
    }

    /// Connects over HTTP/2.
    pub async fn h2(&self) -> H2 {
        let io = self.connect(&["h2"]).await;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        H2::start(io, scheme, &self.authority()).await
    }

    /// Connects for HTTP/2 frame by frame, with these settings of the client's.
    pub async fn frames(&self, settings: &[(u16, u32)]) -> Frames {
        Frames::start(self.connect(&["h2"]).await, settings).await
    }

    /// Connects with tokio-tungstenite's client, without limits to its messages.
    ///
    /// # Panics
    ///
    /// When the handshake fails.
    pub async fn tungstenite(&self, path: &str) -> WebSocketStream<Box<dyn Io>> {
        let io = self.connect(&["http/1.1"]).await;
        let opening = client_async_with_config(self.url(path), io, Some(unlimited()));
        let (socket, _) = within("tungstenite's handshake", opening)
            .await
            .expect("it succeeds");
        socket
    }
}

// ===== impl Protocol =====

impl Protocol {
    /// Both, for tests in which it must not matter.
    pub const BOTH: [Self; 2] = [Self::Http1, Self::Http2];
}

// ===== impl Handshake =====

impl Handshake {
    /// The handshake a browser makes, for this path and query; the Host is the target's.
    pub fn of(target: &str) -> Self {
        Self {
            method: None,
            target: target.to_owned(),
            version: "HTTP/1.1".to_owned(),
            protocol: "websocket",
            fields: Vec::new(),
            early: Vec::new(),
            bytewise: false,
        }
        .field("Upgrade", "websocket")
        .field("Connection", "Upgrade")
        .field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .field("Sec-WebSocket-Version", "13")
    }

    /// With another method than GET; over HTTP/2, with a method in place of the extended CONNECT.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// In another version of HTTP/1.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// With another `:protocol`, over HTTP/2.
    #[must_use]
    pub fn protocol(mut self, protocol: &'static str) -> Self {
        self.protocol = protocol;
        self
    }

    /// One more field, after those it has.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without any field of this name. `field("Host", ..)` replaces the target's by itself.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// With frames in the same segment, before any answer. Over HTTP/2 they follow at once.
    #[must_use]
    pub fn early(mut self, frames: &[Frame]) -> Self {
        let key = [1, 2, 3, 4];
        self.early = frames
            .iter()
            .flat_map(|frame| frame.clone().masked(key).to_bytes())
            .collect();
        self
    }

    /// With every byte in a segment of its own, over HTTP/1.1.
    #[must_use]
    pub fn bytewise(mut self) -> Self {
        self.bytewise = true;
        self
    }

    fn has(&self, name: &str) -> bool {
        self.fields
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut named = self
            .fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

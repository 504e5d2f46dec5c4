//! An upstream that speaks HTTP/2 and opens WebSockets by extended CONNECT (RFC 8441), with every
//! stream and every connection in the test's hands.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request, Response, Uri};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::{accept, loopback};
use crate::client::Http2Stream;
use crate::io::{Io, within};
use crate::{Frame, Role, Tunnel};

/// The server. Dropped, it cuts its connections.
#[derive(Debug)]
pub struct Http2Upstream {
    addr: SocketAddr,
    asked: mpsc::Receiver<Asked>,
    connections: watch::Receiver<Vec<Connection>>,
    _task: AbortOnDropHandle<()>,
}

/// What its SETTINGS say.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// ENABLE_CONNECT_PROTOCOL.
    pub websockets: bool,
    /// MAX_CONCURRENT_STREAMS.
    pub streams: Option<u32>,
}

/// A handshake that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    /// On which connection it came, in the order in which they were opened.
    pub connection: usize,
}

/// One accepted connection.
#[derive(Clone, Debug)]
struct Connection {
    is_http2: bool,
    has_ended: bool,
    commands: mpsc::Sender<Command>,
}

#[derive(Clone, Copy, Debug)]
enum Command {
    GoAway,
    Kill,
}

// ===== impl Http2Upstream =====

impl Http2Upstream {
    /// Without TLS: its clients have to know what it speaks.
    pub async fn tcp(offer: Offer) -> Self {
        Self::start(loopback().await, offer, None)
    }

    /// The same on an address of one's own.
    ///
    /// # Panics
    ///
    /// When it is not free.
    pub async fn at(addr: SocketAddr, offer: Offer) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a free address");
        Self::start(listener, offer, None)
    }

    /// With TLS. A client that agrees on HTTP/1.1 finds an echo.
    pub async fn tls(offer: Offer, config: Arc<ServerConfig>) -> Self {
        Self::start(loopback().await, offer, Some(config.into()))
    }

    fn start(listener: TcpListener, offer: Offer, tls: Option<TlsAcceptor>) -> Self {
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (tell, asked) = mpsc::channel(1);
        let (connections, seen) = watch::channel(Vec::new());
        let connections = Arc::new(connections);
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            for index in 0.. {
                let socket = accept(&listener).await;
                let (commands, orders) = mpsc::channel(1);
                connections.send_modify(|all| {
                    all.push(Connection {
                        is_http2: false,
                        has_ended: false,
                        commands,
                    });
                });
                let (connections, tls, tell) =
                    (Arc::clone(&connections), tls.clone(), tell.clone());
                tasks.spawn(async move {
                    let (io, is_http2): (Box<dyn Io>, bool) = match tls {
                        None => (Box::new(socket), true),
                        Some(tls) => {
                            let io = tls.accept(socket).await.expect("TLS");
                            let is_http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
                            (Box::new(io), is_http2)
                        }
                    };
                    connections.send_modify(|all| all[index].is_http2 = is_http2);
                    match is_http2 {
                        true => serve(io, offer, index, tell, orders).await,
                        false => echo_http1(io).await,
                    }
                    connections.send_modify(|all| all[index].has_ended = true);
                });
            }
        });
        Self {
            addr,
            asked,
            connections: seen,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next handshake.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    pub async fn asked(&mut self) -> Asked {
        let asked = within("a handshake over HTTP/2", self.asked.recv()).await;
        asked.expect("its task is alive")
    }

    /// The next handshake, however long it takes to come. Nothing when there can be none any more.
    pub async fn next(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }

    /// Accepts every handshake from now on, and sends back whatever comes.
    pub fn into_echo(self) -> (SocketAddr, AbortOnDropHandle<()>) {
        let Self {
            addr,
            mut asked,
            _task: task,
            ..
        } = self;
        let echo = tokio::spawn(async move {
            let _accepting = task;
            let mut tunnels = JoinSet::new();
            while let Some(asked) = asked.recv().await {
                tunnels.spawn(echo(asked.accept()));
            }
        });
        (addr, AbortOnDropHandle::new(echo))
    }

    /// How many connections there were over HTTP/2, and over HTTP/1.1.
    pub fn connections(&self) -> (usize, usize) {
        let all = self.connections.borrow();
        let http2 = all.iter().filter(|c| c.is_http2).count();
        (http2, all.len() - http2)
    }

    /// Says on a connection that it takes no more streams (GOAWAY).
    pub async fn go_away(&self, connection: usize) {
        self.command(connection, Command::GoAway).await;
    }

    /// Cuts a connection.
    pub async fn kill(&self, connection: usize) {
        self.command(connection, Command::Kill).await;
    }

    async fn command(&self, connection: usize, command: Command) {
        let commands = self.connections.borrow()[connection].commands.clone();
        commands
            .send(command)
            .await
            .expect("a connection that lives");
    }

    /// Waits for a connection to end.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn ended(&mut self, connection: usize) {
        let ended = self.connections.wait_for(|all| all[connection].has_ended);
        within("the connection's end", ended)
            .await
            .expect("its task is alive");
    }
}

async fn serve(
    io: Box<dyn Io>,
    offer: Offer,
    index: usize,
    tell: mpsc::Sender<Asked>,
    mut orders: mpsc::Receiver<Command>,
) {
    let mut settings = server::Builder::new();
    if offer.websockets {
        settings.enable_connect_protocol();
    }
    if let Some(streams) = offer.streams {
        settings.max_concurrent_streams(streams);
    }
    // One stream that is not read leaves room for the others.
    settings.initial_connection_window_size(1 << 20);
    let Ok(mut connection) = settings.handshake::<_, Bytes>(io).await else {
        return;
    };
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let asked = Asked { request, respond, connection: index };
                // A test that asks for no more handshakes is over.
                let _ = tell.try_send(asked).map_err(|error| {
                    let tell = tell.clone();
                    tokio::spawn(async move { tell.send(error.into_inner()).await });
                });
            }
            order = orders.recv() => match order {
                Some(Command::GoAway) => connection.graceful_shutdown(),
                Some(Command::Kill) | None => return,
            },
        }
    }
}

async fn echo_http1(io: Box<dyn Io>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(io).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            let _ = socket.send(message).await;
        }
    }
}

/// Sends messages back, and a Close as well.
pub async fn echo(mut tunnel: Tunnel) {
    while let Ok(frame) = tunnel.next().await {
        let frame = frame.unmasked();
        let is_close = frame.opcode == Frame::close(1000, "").opcode;
        if tunnel.try_send(frame).await.is_err() || is_close {
            break;
        }
    }
    tunnel.shutdown().await;
    let _ = tunnel.next().await;
}

// ===== impl Offer =====

impl Default for Offer {
    /// WebSockets, as many as one likes.
    fn default() -> Self {
        Self {
            websockets: true,
            streams: None,
        }
    }
}

// ===== impl Asked =====

impl Asked {
    /// `:method`.
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// `:protocol`.
    pub fn protocol(&self) -> Option<&str> {
        let protocol = self.request.extensions().get::<h2::ext::Protocol>();
        protocol.map(h2::ext::Protocol::as_str)
    }

    /// `:scheme`, `:authority` and `:path`.
    pub fn uri(&self) -> &Uri {
        self.request.uri()
    }

    /// The fields.
    pub fn fields(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Opens the WebSocket.
    pub fn accept(self) -> Tunnel {
        self.accept_with(&[])
    }

    /// Opens the WebSocket with these fields in the answer.
    ///
    /// # Panics
    ///
    /// When they can't be said.
    pub fn accept_with(mut self, fields: &[(&str, &str)]) -> Tunnel {
        let response = response(200, fields);
        let sent = self.respond.send_response(response, false);
        let io = Http2Stream::new(sent.expect("the stream is open"), self.request.into_body());
        Tunnel::new(Box::new(io), BytesMut::new(), Role::Server)
    }

    /// Answers without opening anything.
    ///
    /// # Panics
    ///
    /// When the client has left.
    pub fn refuse(mut self, status: u16, fields: &[(&str, &str)], body: impl Into<Bytes>) {
        let response = response(status, fields);
        let sent = self.respond.send_response(response, false);
        let mut body_to = sent.expect("the stream is open");
        body_to
            .send_data(body.into(), true)
            .expect("the stream is open");
    }

    /// Resets the stream.
    pub fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits until the client has reset it.
    ///
    /// # Panics
    ///
    /// When that does not happen.
    pub async fn cancelled(mut self) -> Reason {
        let reset = std::future::poll_fn(|cx| self.respond.poll_reset(cx));
        let reset = within("the client's reset", reset).await;
        reset.expect("the connection lives")
    }
}

fn response(status: u16, fields: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(()).expect("an answer that can be said")
}

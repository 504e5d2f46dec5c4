//! A WebSocket from its handshake on, with next to nothing at either end.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use axum::extract::ConnectInfo;
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::ServiceExt;
use tower_service::Service;
use wsgate_frame::{Header, OpCode, Role, Rsv};
use wsgate_layer::upgrade::{self, OnUpgrade, UpgradeSender, UpgradedIo};

use super::Handshakes;

/// Accepts every WebSocket, and keeps what its stream will come by.
#[derive(Clone, Default)]
pub(crate) struct Handler {
    accepted: Arc<Mutex<Option<OnUpgrade>>>,
}

/// A handshake that has come in.
pub(crate) struct Incoming {
    req: Request<()>,
    connection: UpgradeSender<Client>,
    client: Client,
}

/// What the handler has.
pub(crate) struct Socket(UpgradedIo);

/// Sends one frame again and again, and takes whatever comes.
#[derive(Clone)]
pub(crate) struct Client {
    frame: Arc<[u8]>,
    /// How often yet it waits for an answer before it sends again, so that a read finds nothing.
    waits: u32,
    has_sent: bool,
}

// ===== impl Handler =====

impl Handler {
    fn accepted(&self) -> MutexGuard<'_, Option<OnUpgrade>> {
        self.accepted.lock().expect("nobody panics with it")
    }
}

impl Service<Request<()>> for Handler {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut req: Request<()>) -> Self::Future {
        *self.accepted() = req.extensions_mut().remove();
        let mut res = Response::new(String::new());
        *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        ready(Ok(res))
    }
}

// ===== impl Incoming =====

impl Incoming {
    /// The handshake of a browser as a connection gives it. Each number has its own address.
    pub(crate) fn new(number: u32, client: Client) -> Self {
        let (connection, on_upgrade) = upgrade::pair();
        let address = Ipv4Addr::from_bits(0x0a00_0000 | (number & 0x00ff_ffff));
        let req = Request::get("/live")
            .header("host", "example.com")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("origin", "https://example.com")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-extensions", "permessage-deflate")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
            .extension(ConnectInfo(SocketAddr::from((address, 50_000))))
            .extension(on_upgrade)
            .body(());
        Self {
            req: req.expect("a sound request"),
            connection,
            client,
        }
    }

    /// From the request to the stream that the handler gets. The handler is the one in the service.
    pub(crate) async fn open(self, service: &mut impl Handshakes, handler: &Handler) -> Socket {
        let Ok(service) = service.ready().await;
        let Ok(res) = service.call(self.req).await;
        assert_eq!(res.status(), StatusCode::SWITCHING_PROTOCOLS);
        let sent = self.connection.send(self.client);
        sent.expect("hyper completes the upgrade");
        let accepted = handler.accepted().take();
        let accepted = accepted.expect("the handler has accepted it");
        Socket(TokioIo::new(accepted.await.expect("it was sent")))
    }
}

// ===== impl Socket =====

impl Socket {
    /// Answers a frame that is there.
    pub(crate) fn answer(&mut self, cx: &mut Context<'_>, buf: &mut [u8], answer: &[u8]) {
        let mut socket = Pin::new(&mut self.0);
        let mut read = ReadBuf::new(buf);
        assert!(socket.as_mut().poll_read(cx, &mut read).is_ready());
        assert!(!read.filled().is_empty());
        let wrote = socket.as_mut().poll_write(cx, answer);
        assert!(matches!(wrote, Poll::Ready(Ok(n)) if n == answer.len()));
        assert!(socket.poll_flush(cx).is_ready());
    }

    /// Finds nothing, and waits for the next one.
    pub(crate) fn wait(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) {
        let read = Pin::new(&mut self.0).poll_read(cx, &mut ReadBuf::new(buf));
        assert!(read.is_pending());
    }

    /// A message with so many bytes of payload, as `sender` sends it: text, in one frame.
    pub(crate) fn frame(sender: Role, payload: usize) -> Vec<u8> {
        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode: OpCode::Text,
            mask: sender.masks().then_some([1, 2, 3, 4]),
            len: payload as u64,
        };
        let mut buf = [0; Header::MAX_SIZE];
        let mut frame = header
            .write(&mut buf)
            .expect("a length of a few bits")
            .to_vec();
        frame.resize(frame.len() + payload, b'.');
        frame
    }
}

// ===== impl Client =====

impl Client {
    /// Waits for every answer.
    pub(crate) const PATIENT: u32 = u32::MAX;

    /// Sends messages with so many bytes of payload, and waits for so many of the answers.
    pub(crate) fn new(payload: usize, waits: u32) -> Self {
        Self {
            frame: Socket::frame(Role::Client, payload).into(),
            waits,
            has_sent: false,
        }
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_sent && self.waits > 0 {
            self.has_sent = false;
            self.waits -= 1;
            return Poll::Pending;
        }
        self.has_sent = true;
        buf.put_slice(&self.frame);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

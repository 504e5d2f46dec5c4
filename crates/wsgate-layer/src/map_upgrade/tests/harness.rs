//! A server and its clients, connected by a pipe.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::IntoResponse,
    routing::any,
};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Version};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf, duplex},
    task::JoinHandle,
};

use super::*;
use crate::upgrade::UpgradedIo;

pub(super) const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A text frame, masked with a key of zeros so that the payload can be read in the test.
pub(super) fn text(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend(payload.as_bytes());
    frame
}

/// The same frame as a server sends it.
pub(super) fn echoed(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81, payload.len() as u8];
    frame.extend(payload.as_bytes());
    frame
}

// ===== the server =====

/// A handler that knows of no layer.
pub(super) async fn echo(ws: WebSocketUpgrade) -> impl IntoResponse {
    ws.on_upgrade(|mut socket: WebSocket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// Serves one connection over a pipe of this size, and gives the client's end.
pub(super) fn serve(app: Router, pipe: usize) -> (DuplexStream, JoinHandle<()>) {
    let (near, far) = duplex(pipe);
    let server = tokio::spawn(async move {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http2().enable_connect_protocol();
        let service = TowerToHyperService::new(app);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(near), service);
        // An error is a client that left; each test asserts on what it sees itself.
        let _ = connection.await;
    });
    (far, server)
}

/// Adds its name to the log when the first byte is written through it.
pub(super) struct Tagged<S> {
    inner: S,
    name: &'static str,
    log: Arc<Mutex<Vec<&'static str>>>,
    wrote: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tagged<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tagged<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !std::mem::replace(&mut self.wrote, true) {
            self.log.lock().unwrap().push(self.name);
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The echo with four layers round it, and the log of their order.
pub(super) fn four_deep() -> (Router, Arc<Mutex<Vec<&'static str>>>) {
    let log = Arc::<Mutex<Vec<_>>>::default();
    let tag = |name| {
        let log = Arc::clone(&log);
        MapUpgradeLayer::new(move |inner: UpgradedIo| Tagged {
            inner,
            name,
            log,
            wrote: false,
        })
    };
    let app = Router::new()
        .route("/echo", any(echo))
        .layer(tag("first"))
        .layer(tag("second"))
        .layer(tag("third"))
        .layer(tag("outermost"));
    (app, log)
}

// ===== the clients =====

/// The head of a response, and what came behind it.
pub(super) async fn head(io: &mut DuplexStream) -> (String, Vec<u8>) {
    let mut seen = Vec::new();
    loop {
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = seen.split_off(end + 4);
            return (String::from_utf8(seen).unwrap(), rest);
        }
        assert_ne!(
            io.read_buf(&mut seen).await.unwrap(),
            0,
            "ended within the head: {seen:?}"
        );
    }
}

pub(super) async fn h1_expect(io: &mut DuplexStream, mut seen: Vec<u8>, expected: &[u8]) {
    while seen.len() < expected.len() {
        assert_ne!(
            io.read_buf(&mut seen).await.unwrap(),
            0,
            "ended after {seen:?}"
        );
    }
    assert_eq!(seen, expected);
}

pub(super) async fn h2(io: DuplexStream) -> SendRequest<Bytes> {
    let (send, mut connection) = h2::client::handshake(io).await.unwrap();
    let mut send = send;
    // The server's settings, which allow extended CONNECT, come with the first reads.
    tokio::select! {
        _ = &mut connection => panic!("the connection ended"),
        () = async {
            while !send.is_extended_connect_protocol_enabled() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    tokio::spawn(connection);
    std::future::poll_fn(|cx| send.poll_ready(cx))
        .await
        .unwrap();
    send
}

pub(super) fn extended_connect() -> Request<()> {
    Request::connect("https://a/echo")
        .version(Version::HTTP_2)
        .extension(h2::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap()
}

pub(super) async fn h2_expect(body: &mut h2::RecvStream, expected: &[u8]) {
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        let data = body.data().await.expect("the stream ended").unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        seen.extend(data);
    }
    assert_eq!(seen, expected);
}

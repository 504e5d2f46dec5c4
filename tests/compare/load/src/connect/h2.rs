//! The opening handshake over HTTP/2: extended CONNECT (RFC 8441).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf, Bytes};
use h2::client::{Builder, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, RecvStream, SendStream};
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::Session;
use crate::stream::Stream;

/// The stream of one WebSocket.
#[derive(Debug)]
pub(crate) struct H2Stream {
    send: SendStream<Bytes>,
    receive: RecvStream,
    unread: Bytes,
}

/// Opens `count` WebSockets on a new connection.
///
/// # Errors
///
/// When the server does not speak RFC 8441, or answers one of them with another status than 200.
pub(crate) async fn open(
    io: Stream,
    scheme: &str,
    host: &str,
    path: &str,
    count: usize,
) -> Result<Vec<Session>> {
    let (requests, mut connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(io)
        .await?;
    let mut ping = connection.ping_pong().context("somebody took the pings")?;
    // It ends by itself, with the last of its streams, or with the thread's runtime. What goes wrong with it
    // is told by the streams.
    drop(tokio::spawn(connection));
    // The server's settings come before its answer to anything.
    ping.ping(Ping::opaque()).await?;
    if !requests.is_extended_connect_protocol_enabled() {
        bail!("the server did not send SETTINGS_ENABLE_CONNECT_PROTOCOL");
    }
    let uri = format!("{scheme}://{host}{path}");
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = open_stream(&requests, &uri).await?;
        sessions.push(Session::new(Stream::H2(Box::new(stream)), Vec::new()));
    }
    Ok(sessions)
}

async fn open_stream(requests: &SendRequest<Bytes>, uri: &str) -> Result<H2Stream> {
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(uri)
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(())?;
    let mut ready = requests.clone().ready().await?;
    let (answer, send) = ready.send_request(request, false)?;
    let answer = answer.await?;
    if answer.status() != 200 {
        bail!("the answer is {}, not a 200", answer.status());
    }
    Ok(H2Stream {
        send,
        receive: answer.into_body(),
        unread: Bytes::new(),
    })
}

// ===== impl H2Stream =====

impl AsyncRead for H2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                Some(data) => {
                    self.unread = data.map_err(io::Error::other)?;
                    let length = self.unread.len();
                    let window = self.receive.flow_control();
                    window.release_capacity(length).map_err(io::Error::other)?;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(bytes.len());
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(capacity) => capacity.map_err(io::Error::other)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let count = bytes.len().min(self.send.capacity());
        let data = Bytes::copy_from_slice(&bytes[..count]);
        self.send.send_data(data, false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's task does it.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.send.send_data(Bytes::new(), true);
        Poll::Ready(ended.map_err(io::Error::other))
    }
}

/// Room for a whole large message.
const STREAM_WINDOW: u32 = 2 << 20;

/// Room for one on every stream, so that we never hold the server back.
const CONNECTION_WINDOW: u32 = 1 << 30;

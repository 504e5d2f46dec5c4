//! What upstreams do, the good ones and the others.

use std::io::Cursor;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::{Connection, Log, switching};
use crate::{Frame, Tunnel};

/// What an upstream does with each connection.
pub type Script = Arc<dyn Fn(Connection) -> BoxFuture<'static, ()> + Send + Sync>;

/// Makes a script of an async closure.
pub fn script<F, Fut>(play: F) -> Script
where
    F: Fn(Connection) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |connection| Box::pin(play(connection)))
}

/// tokio-tungstenite's server, sending every message back. It speaks no subprotocol.
pub fn echo() -> Script {
    echo_with_subprotocols(&[])
}

/// The same, choosing the first subprotocol that the client offers and it knows.
pub fn echo_with_subprotocols(known: &'static [&'static str]) -> Script {
    script(move |mut connection| async move {
        let Some(request) = connection.request().await else {
            return;
        };
        let Connection {
            io, buffer, log, ..
        } = connection;
        // The head has been read to be recorded; the server reads it once more. What came with it is
        // kept for later: tungstenite would refuse it as junk, which RFC 6455 does not.
        let (reader, writer) = tokio::io::split(io);
        let io = tokio::io::join(Cursor::new(request.raw).chain(reader), writer);

        #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
        let choose = |request: &Request, mut response: Response| {
            let offered = request.headers().get("sec-websocket-protocol");
            let offered = offered
                .and_then(|offered| offered.to_str().ok())
                .unwrap_or_default();
            let chosen = offered
                .split(',')
                .map(str::trim)
                .find(|offer| known.contains(offer));
            if let Some(chosen) = chosen {
                let chosen = chosen.parse().expect("it came in a field");
                response
                    .headers_mut()
                    .insert("sec-websocket-protocol", chosen);
            }
            Ok(response)
        };
        match accept_hdr_async_with_config(io, choose, None).await {
            Ok(socket) => send_back(socket.into_inner(), buffer, &log).await,
            Err(error) => log.failed(&error),
        }
    })
}

/// Accepts with these further lines in the answer, each with its line end, then echoes.
pub fn echo_with_fields(fields: &'static str) -> Script {
    accept_between("", fields, Vec::new())
}

/// Answers the handshake, with these frames in the same segment, then echoes.
pub fn early(frames: &[Frame]) -> Script {
    let frames = frames.iter().flat_map(Frame::to_bytes).collect();
    accept_between("", "", frames)
}

/// Says 103 (Early Hints, RFC 8297) before the 101, then echoes.
pub fn informational() -> Script {
    accept_between(
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
        "",
        Vec::new(),
    )
}

fn accept_between(before: &'static str, fields: &'static str, after: Vec<u8>) -> Script {
    script(move |mut connection| {
        let after = after.clone();
        async move {
            let Some(request) = connection.request().await else {
                return;
            };
            let answer = format!("{before}{}", switching(&request, fields));
            connection.write([answer.as_bytes(), &after].concat()).await;
            let Connection {
                io, buffer, log, ..
            } = connection;
            send_back(io, buffer, &log).await;
        }
    })
}

/// Answers the handshake with these bytes, whatever it was, and ends the connection.
pub fn answer(bytes: impl Into<Vec<u8>>) -> Script {
    let bytes = bytes.into();
    script(move |mut connection| {
        let bytes = bytes.clone();
        async move {
            if connection.request().await.is_some() {
                connection.write(bytes).await;
                connection.shutdown().await;
                connection.drain().await;
            }
        }
    })
}

/// Answers with a status (`"401 Unauthorized"`), fields and a body, and keeps the connection open
/// for as long as the client does.
pub fn respond(status: &str, fields: &[(&str, &str)], body: &str) -> Script {
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let answer = format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    script(move |mut connection| {
        let answer = answer.clone();
        async move {
            if connection.request().await.is_some() {
                connection.write(answer).await;
                connection.drain().await;
            }
        }
    })
}

/// Answers the handshake with these bytes, or accepts where there are none; and records every byte that
/// comes behind it, as [`Seen::rest`](super::Seen::rest), until the client leaves.
pub fn recording(answer: Option<&str>) -> Script {
    let answer = answer.map(ToOwned::to_owned);
    script(move |mut connection| {
        let answer = answer.clone();
        async move {
            let Some(request) = connection.request().await else {
                return;
            };
            let answer = answer.unwrap_or_else(|| switching(&request, ""));
            connection.write(answer).await;
            connection.record().await;
        }
    })
}

/// Switches protocols, but with the answer to another key.
pub fn wrong_accept() -> Script {
    script(|mut connection| async move {
        let Some(mut request) = connection.request().await else {
            return;
        };
        request.fields = vec![(
            "Sec-WebSocket-Key".to_owned(),
            "bm90IHlvdXIga2V5IQ==".to_owned(),
        )]
        .into();
        connection.write(switching(&request, "")).await;
        connection.drain().await;
    })
}

/// Reads the request and never answers.
pub fn silence() -> Script {
    script(|mut connection| async move {
        if connection.request().await.is_some() {
            connection.drain().await;
        }
    })
}

/// Breaks the connection before it has read anything.
pub fn reset_on_accept() -> Script {
    script(|connection| async move { connection.reset() })
}

/// Breaks the connection in the middle of its answer.
pub fn reset_in_handshake() -> Script {
    script(|mut connection| async move {
        if connection.request().await.is_some() {
            connection
                .write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs")
                .await;
            connection.reset();
        }
    })
}

/// How [`handing_over`] accepts.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// Whole informational answers before the 101.
    pub before: &'static str,
    /// Further fields of the 101, each with its line end.
    pub fields: &'static str,
    /// Sent in the segment of the 101.
    pub early: Vec<u8>,
}

/// Accepts, and hands its end of the tunnel to the test, which then holds both.
pub fn handing_over(accept: Accept) -> (Script, mpsc::Receiver<Tunnel>) {
    let (sender, receiver) = mpsc::channel(1);
    let script = script(move |mut connection| {
        let (accept, sender) = (accept.clone(), sender.clone());
        async move {
            if let Some(request) = connection.request().await {
                let answer = switching(&request, accept.fields);
                let before = accept.before.as_bytes();
                connection
                    .write([before, answer.as_bytes(), &accept.early].concat())
                    .await;
                // A test that is over wants no more of them.
                let _ = sender.send(connection.into_tunnel()).await;
            }
        }
    });
    (script, receiver)
}

/// Accepts, then reads nothing and sends nothing until it is joined.
pub fn never_reading() -> Script {
    script(|mut connection| async move {
        if let Some(request) = connection.request().await {
            connection.write(switching(&request, "")).await;
            connection.stopped().await;
        }
    })
}

/// Accepts, then sends this frame for as long as somebody takes it;
/// [`Seen::written`](super::Seen::written) counts the bytes while it does.
pub fn flooding(frame: &Frame) -> Script {
    let bytes = frame.to_bytes();
    script(move |mut connection| {
        let bytes = bytes.clone();
        async move {
            let Some(request) = connection.request().await else {
                return;
            };
            connection.write(switching(&request, "")).await;
            let log = connection.log.clone();
            let stopped = connection.stopped();
            let flood = async {
                // A client that leaves ends the flood; `write` has noted how.
                while log.is_in_order() {
                    connection.write(&bytes).await;
                    log.note(|seen| seen.written += bytes.len() as u64);
                }
            };
            tokio::select! {
                () = flood => {}
                () = stopped => {}
            }
        }
    })
}

/// The echo after the handshake. `buffer` holds what was read beyond it.
async fn send_back<S>(io: S, buffer: BytesMut, log: &Log)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (read, config) = (buffer.to_vec(), Some(unlimited()));
    let mut socket = WebSocketStream::from_partially_read(io, read, Role::Server, config).await;
    while let Some(message) = socket.next().await {
        let sent = match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                log.note(|seen| {
                    seen.messages += 1;
                    seen.bytes += message.len() as u64;
                });
                socket.send(message).await
            }
            Ok(Message::Close(close)) => {
                let close = close.map_or((1005, String::new()), |close| {
                    (close.code.into(), close.reason.to_string())
                });
                log.note(|seen| seen.close = Some(close));
                Ok(())
            }
            // Pings are answered by tungstenite itself.
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => return log.failed(&error),
        }
    }
}

/// Tests send what they like.
pub(crate) fn unlimited() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None)
}

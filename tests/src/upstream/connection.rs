//! One connection of an upstream, as a script finds it.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;

use super::Log;
use crate::io::{Io, read_until};
use crate::{RequestHead, Role, Tunnel};

/// One accepted connection. Nothing has been read from it yet.
#[derive(Debug)]
pub struct Connection {
    pub(super) io: Box<dyn Io>,
    pub(super) buffer: BytesMut,
    pub(super) log: Log,
    stop: CancellationToken,
}

/// The head of an answer that accepts this request as RFC 6455, 4.2.2 demands; `fields` are further
/// lines, each with its line end.
///
/// # Panics
///
/// When the request has no key.
pub fn switching(request: &RequestHead, fields: &str) -> String {
    let key = request
        .fields
        .get("sec-websocket-key")
        .expect("a handshake has a key");
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
    )
}

// ===== impl Connection =====

impl Connection {
    pub(super) fn new(io: Box<dyn Io>, log: Log, stop: CancellationToken) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
            log,
            stop,
        }
    }

    /// Reads the head of the request, which [`Seen`](super::Seen) then has. Nothing when the client
    /// leaves first.
    pub async fn request(&mut self) -> Option<RequestHead> {
        match read_until(&mut self.io, &mut self.buffer, b"\r\n\r\n").await {
            Ok(head) => {
                let head = RequestHead::parse(head.freeze());
                self.log.note(|seen| seen.request = Some(head.clone()));
                Some(head)
            }
            Err(error) => {
                self.log.failed(&error);
                None
            }
        }
    }

    /// Sends bytes; a client that is gone is an error in [`Seen`](super::Seen).
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let written = async {
            self.io.write_all(bytes.as_ref()).await?;
            self.io.flush().await
        };
        if let Err(error) = written.await {
            self.log.failed(&error);
        }
    }

    /// Whether nothing has gone wrong so far.
    pub fn is_in_order(&self) -> bool {
        self.log.is_in_order()
    }

    /// Says that nothing more will be sent.
    pub async fn shutdown(&mut self) {
        if let Err(error) = self.io.shutdown().await {
            self.log.failed(&error);
        }
    }

    /// Goes on frame by frame, after a handshake.
    pub fn into_tunnel(self) -> Tunnel {
        Tunnel::new(self.io, self.buffer, Role::Server)
    }

    /// Reads and drops what comes until the client leaves or the upstream is joined.
    pub async fn drain(&mut self) {
        let mut dropped = [0; 4096];
        loop {
            let read = tokio::select! {
                read = self.io.read(&mut dropped) => read,
                () = self.stop.cancelled() => return,
            };
            match read {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return self.log.failed(&error),
            }
        }
    }

    /// Reads what comes until the client leaves or the upstream is joined, and notes it.
    pub async fn record(&mut self) {
        loop {
            let read = std::mem::take(&mut self.buffer);
            self.log.note(|seen| seen.rest.extend_from_slice(&read));
            let read = tokio::select! {
                read = self.io.read_buf(&mut self.buffer) => read,
                () = self.stop.cancelled() => return,
            };
            match read {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return self.log.failed(&error),
            }
        }
    }

    /// Goes on with the bare socket, from which nothing must have been read.
    pub fn into_io(self) -> Box<dyn Io> {
        self.io
    }

    /// Waits until the upstream is joined.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stop.clone().cancelled_owned()
    }

    /// Breaks the connection.
    pub fn reset(self) {
        self.io.reset();
    }
}

//! The handshake over HTTP/1.1, byte by byte.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Handshake, Opened, Refused, body};
use crate::io::{Io, read_until, within};
use crate::{ResponseHead, Role, Tunnel};

/// A connection over HTTP/1.1, for one request after the other.
#[derive(Debug)]
pub struct H1 {
    io: Box<dyn Io>,
    /// What was read and belongs to no answer yet.
    buffer: BytesMut,
    authority: String,
}

// ===== impl H1 =====

impl H1 {
    pub(super) fn new(io: Box<dyn Io>, authority: &str) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
            authority: authority.to_owned(),
        }
    }

    /// Sends a handshake and reads the answer; informational ones are passed over.
    ///
    /// # Errors
    ///
    /// The answer, when it does not open a tunnel.
    pub async fn open(mut self, handshake: Handshake) -> Result<Opened, Refused> {
        let response = self.answer(&handshake).await;
        if response.status != 101 {
            let body = self.body(&response).await;
            return Err(Refused { response, body });
        }
        if let Some(key) = handshake.value("sec-websocket-key") {
            let accept = response.fields.get("sec-websocket-accept");
            assert_eq!(
                accept,
                Some(derive_accept_key(key.as_bytes()).as_str()),
                "RFC 6455, 4.2.2"
            );
        }
        let tunnel = Tunnel::new(self.io, self.buffer, Role::Client);
        Ok(Opened { response, tunnel })
    }

    /// Sends a handshake that must not succeed; the connection stays for more.
    ///
    /// # Panics
    ///
    /// When it does.
    pub async fn refused(&mut self, handshake: &Handshake) -> Refused {
        let response = self.answer(handshake).await;
        assert_ne!(response.status, 101, "the handshake was accepted");
        let body = self.body(&response).await;
        Refused { response, body }
    }

    /// An ordinary request.
    pub async fn get(&mut self, path: &str) -> Refused {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.authority);
        self.say(request.as_bytes()).await;
        let response = self.head().await;
        let body = self.body(&response).await;
        Refused { response, body }
    }

    /// Sends a handshake and reads the head of the answer, whichever it is.
    pub async fn answer(&mut self, handshake: &Handshake) -> ResponseHead {
        let method = handshake.method.as_deref().unwrap_or("GET");
        let mut request = format!("{method} {} {}\r\n", handshake.target, handshake.version);
        if !handshake.has("host") {
            request += &format!("Host: {}\r\n", self.authority);
        }
        for (name, value) in &handshake.fields {
            request += &format!("{name}: {value}\r\n");
        }
        let request = [request.as_bytes(), b"\r\n", &handshake.early].concat();
        let step = if handshake.bytewise { 1 } else { request.len() };
        self.send(&request, step).await;
        self.head().await
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    ///
    /// When the server does not take them.
    pub async fn say(&mut self, bytes: &[u8]) {
        self.send(bytes, bytes.len()).await;
    }

    /// Sends bytes as they are to a server that may have had enough of them.
    pub async fn try_say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let sent = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        within("sending bytes", sent).await
    }

    /// The body of an answer, whole.
    pub async fn body(&mut self, response: &ResponseHead) -> Bytes {
        let body = body::read(&mut self.io, &mut self.buffer, response);
        within("the body of the answer", body).await
    }

    /// So many bytes of what follows a head, as they stand on the wire.
    ///
    /// # Panics
    ///
    /// When the connection ends before.
    pub async fn part(&mut self, length: usize) -> Bytes {
        within("a part of the body", async {
            while self.buffer.len() < length {
                let read = self.io.read_buf(&mut self.buffer).await.expect("a body");
                assert_ne!(read, 0, "it ends after {} bytes", self.buffer.len());
            }
        })
        .await;
        self.buffer.split_to(length).freeze()
    }

    /// All that comes until the connection ends, well or not.
    pub async fn rest(mut self) -> Bytes {
        within("the end of the connection", async {
            while self
                .io
                .read_buf(&mut self.buffer)
                .await
                .is_ok_and(|read| read > 0)
            {}
        })
        .await;
        self.buffer.freeze()
    }

    async fn send(&mut self, request: &[u8], step: usize) {
        within("sending a request", async {
            for segment in request.chunks(step) {
                self.io.write_all(segment).await?;
                self.io.flush().await?;
            }
            std::io::Result::Ok(())
        })
        .await
        .expect("a request can be sent");
    }

    /// The head of the answer that is not informational (RFC 9110, 15.2), except the one that ends
    /// HTTP.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub async fn head(&mut self) -> ResponseHead {
        loop {
            let head = read_until(&mut self.io, &mut self.buffer, b"\r\n\r\n");
            let head = within("the answer to a request", head)
                .await
                .expect("an answer");
            let head = ResponseHead::parse(&head);
            if head.status == 101 || head.status >= 200 {
                return head;
            }
        }
    }
}

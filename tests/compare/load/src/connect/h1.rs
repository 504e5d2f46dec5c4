//! The opening handshake over HTTP/1.1 (RFC 6455, 4), both ends of it.

use anyhow::{Context, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::random::Random;
use crate::session::Session;
use crate::stream::Stream;

/// The head of a request or an answer.
#[derive(Debug)]
pub(crate) struct Head {
    text: String,
    /// What came behind it.
    pub(crate) rest: Vec<u8>,
}

/// Opens a WebSocket on a new connection.
///
/// # Errors
///
/// When the answer is another one than a right 101.
pub(crate) async fn open(mut io: Stream, host: &str, path: &str) -> Result<Session> {
    let mut random = Random::new();
    let nonce: Vec<u8> = (0..4).flat_map(|_| random.key()).collect();
    let key = BASE64_STANDARD.encode(nonce);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    io.write_all(request.as_bytes()).await?;
    io.flush().await?;
    let head = Head::read(&mut io).await?;
    let status = head.first_line().split(' ').nth(1).unwrap_or_default();
    if status != "101" {
        bail!("the answer is {:?}, not a 101", head.first_line());
    }
    if head.field("sec-websocket-accept") != Some(&accept_of(&key)) {
        bail!("the Sec-WebSocket-Accept of the answer is wrong");
    }
    Ok(Session::new(io, head.rest))
}

/// What a server says to a key, to show that it speaks WebSocket (RFC 6455, 4.2.2).
pub(crate) fn accept_of(key: &str) -> String {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    BASE64_STANDARD.encode(hash)
}

// ===== impl Head =====

impl Head {
    /// Reads up to the empty line.
    ///
    /// # Errors
    ///
    /// When the stream ends before it, or it is not within [`HEAD_LIMIT`] bytes.
    pub(crate) async fn read<R>(io: &mut R) -> Result<Self>
    where
        R: AsyncRead + Unpin,
    {
        let mut bytes = Vec::with_capacity(1024);
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if bytes.len() > HEAD_LIMIT {
                bail!("a head of more than {HEAD_LIMIT} bytes");
            }
            if io.read_buf(&mut bytes).await? == 0 {
                bail!("the connection ended within the handshake");
            }
        };
        let rest = bytes.split_off(end + 4);
        let text = String::from_utf8(bytes).context("a head that is not text")?;
        Ok(Self { text, rest })
    }

    /// The line of the request or of the status.
    pub(crate) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.text.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }
}

/// More than any proxy adds.
const HEAD_LIMIT: usize = 16 * 1024;

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let accept = accept_of("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn a_head_and_what_comes_behind_it() {
        let mut wire = &b"HTTP/1.1 101 Go\r\nsec-websocket-ACCEPT:  yes \r\n\r\n\x81\x00"[..];
        let head = Head::read(&mut wire).await.unwrap();
        assert_eq!(head.first_line(), "HTTP/1.1 101 Go");
        assert_eq!(head.field("Sec-WebSocket-Accept"), Some("yes"));
        assert_eq!(head.field("Upgrade"), None);
        assert_eq!(head.rest, b"\x81\x00");
    }

    #[tokio::test]
    async fn a_head_without_an_end() {
        let mut wire = &b"HTTP/1.1 101 Go\r\n"[..];
        let error = Head::read(&mut wire).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the connection ended within the handshake"
        );
        let mut wire = tokio::io::repeat(b'a');
        let error = Head::read(&mut wire).await.unwrap_err();
        assert_eq!(error.to_string(), "a head of more than 16384 bytes");
    }
}

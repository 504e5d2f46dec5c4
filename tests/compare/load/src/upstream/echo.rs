//! Frames come back as they came, without their masks: read, turned round and written chunk by chunk.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Fault;
use crate::frame::{CLOSE, Header, HeaderReader, PING, PONG, mask};
use crate::scratch;

/// Turns what a client sends into what a server answers. Of a frame it keeps its place, never its payload.
#[derive(Debug)]
pub(super) struct Turner {
    headers: HeaderReader,
    key: [u8; 4],
    offset: u64,
    /// Bytes of the payload that have not come.
    left: u64,
    /// Where in the output the answer to the Close begins.
    closing: Option<usize>,
    /// After the Close nothing is answered.
    closed: bool,
}

/// Echoes until the Close or the end.
///
/// # Errors
///
/// When the connection breaks, or something comes that no client sends.
pub(super) async fn run(mut tcp: TcpStream, early: &[u8]) -> Result<()> {
    let mut turner = Turner::new();
    let mut left = Vec::new();
    turner.turn(early, &mut left)?;
    loop {
        tcp.write_all(&left).await?;
        left.clear();
        if turner.closed {
            return end(tcp).await;
        }
        if !poll_fn(|cx| poll_chunk(cx, &mut tcp, &mut turner, &mut left)).await? {
            return Ok(());
        }
    }
}

/// Ends our side first, as a server does (RFC 6455, 7.1.1), and lets the other end its own.
///
/// # Errors
///
/// When the connection breaks.
pub(super) async fn end(mut tcp: TcpStream) -> Result<()> {
    tcp.shutdown().await?;
    let rest = async { while matches!(tcp.read(&mut [0; 256]).await, Ok(1..)) {} };
    // Whoever has not ended it by then is cut off.
    let _ = timeout(LINGER, rest).await;
    Ok(())
}

/// Reads a chunk, and writes what it turns into; what the socket does not take is `left`. False at the end.
fn poll_chunk(
    cx: &mut Context<'_>,
    tcp: &mut TcpStream,
    turner: &mut Turner,
    left: &mut Vec<u8>,
) -> Poll<Result<bool, Fault>> {
    scratch::with_input(|input| {
        let mut input = ReadBuf::new(input);
        ready!(Pin::new(&mut *tcp).poll_read(cx, &mut input))?;
        if input.filled().is_empty() {
            return Poll::Ready(Ok(false));
        }
        scratch::with_output(|out| {
            turner.turn(input.filled(), out)?;
            if !out.is_empty() {
                let wrote = match Pin::new(tcp).poll_write(cx, out)? {
                    Poll::Ready(wrote) => wrote,
                    Poll::Pending => 0,
                };
                left.extend_from_slice(&out[wrote..]);
            }
            Poll::Ready(Ok(true))
        })
    })
}

// ===== impl Turner =====

impl Turner {
    pub(super) const fn new() -> Self {
        Self {
            headers: HeaderReader::new(),
            key: [0; 4],
            offset: 0,
            left: 0,
            closing: None,
            closed: false,
        }
    }

    /// Appends to `out` what answers `input`.
    ///
    /// # Errors
    ///
    /// When a frame is not masked, which no proxy may let happen (RFC 6455, 5.1).
    pub(super) fn turn(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        while !self.closed {
            if self.left == 0 && !self.begin(&mut input, out)? {
                return Ok(());
            }
            let here = usize::try_from(self.left).unwrap_or(usize::MAX);
            let (part, rest) = input.split_at(here.min(input.len()));
            let start = out.len();
            out.extend_from_slice(part);
            mask(&mut out[start..], self.key, self.offset);
            self.offset += part.len() as u64;
            self.left -= part.len() as u64;
            input = rest;
            self.closed = self.closing.is_some() && self.left == 0;
            if self.left > 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether frames of others may follow what was answered so far.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.left == 0 && self.headers.is_empty()
    }

    /// When all of the Close was answered: where in the output of that call its answer begins.
    pub(super) fn closed_at(&self) -> Option<usize> {
        self.closing.filter(|_| self.closed)
    }

    /// Takes the next header and writes the answer's. False when it is not all there.
    fn begin(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(header) = self.headers.read(input)? else {
            return Ok(false);
        };
        let Some(key) = header.key else {
            return Err(Fault::new("a frame that is not masked"));
        };
        // A pong would be answered with a pong, which is allowed (RFC 6455, 5.5.3) and harms nobody.
        let first = match header.opcode() {
            PING => header.first ^ PING ^ PONG,
            _ => header.first,
        };
        let answer = Header {
            first,
            key: None,
            ..header
        };
        self.closing = (header.opcode() == CLOSE).then_some(out.len());
        answer.encode(out);
        (self.key, self.offset, self.left) = (key, 0, header.length);
        Ok(true)
    }
}

/// As long as a client needs for its last words.
const LINGER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::BINARY;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u64;
        let mut wire = Vec::new();
        Header { first, key, length }.encode(&mut wire);
        let start = wire.len();
        wire.extend(payload);
        mask(&mut wire[start..], key.unwrap_or_default(), 0);
        wire
    }

    fn turned(wire: &[u8], chunk: usize) -> Vec<u8> {
        let mut turner = Turner::new();
        let mut out = Vec::new();
        for chunk in wire.chunks(chunk) {
            turner.turn(chunk, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn pings_become_pongs() {
        let wire = frame(0x89, Some(KEY), b"hello");
        assert_eq!(turned(&wire, wire.len()), frame(0x8a, None, b"hello"));
    }

    #[test]
    fn nothing_is_answered_after_the_close() {
        let close = frame(0x88, Some(KEY), &[3, 232]);
        let wire = [close, frame(0x82, Some(KEY), b"late")].concat();
        assert_eq!(turned(&wire, wire.len()), frame(0x88, None, &[3, 232]));
        let mut turner = Turner::new();
        turner
            .turn(&frame(0x88, Some(KEY), b""), &mut Vec::new())
            .unwrap();
        assert!(turner.closed);
    }

    #[test]
    fn frames_without_a_mask_are_refused() {
        let wire = frame(0x80 | BINARY, None, b"hello");
        let fault = Turner::new().turn(&wire, &mut Vec::new()).unwrap_err();
        assert_eq!(fault.to_string(), "a frame that is not masked");
    }

    proptest! {
        #[test]
        fn messages_come_back_from_any_chunking(
            payloads in prop::collection::vec((any::<[u8; 4]>(), 0usize..70_000), 0..5),
            chunk in 1usize..9000,
        ) {
            let (mut wire, mut expected) = (Vec::new(), Vec::new());
            for (key, length) in payloads {
                let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
                wire.extend(frame(0x82, Some(key), &payload));
                expected.extend(frame(0x82, None, &payload));
            }
            prop_assert!(turned(&wire, chunk) == expected);
        }
    }
}

//! One end of an open WebSocket, frame by frame.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Frame;
use crate::io::{Io, within};

/// One end of an open WebSocket. It answers nothing by itself, neither pings nor a Close.
#[derive(Debug)]
pub struct Tunnel {
    io: Box<dyn Io>,
    /// Read and not yet taken; the bytes that came together with the handshake to begin with.
    buffer: BytesMut,
    role: Role,
}

/// Which end; a client masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Frames without a masking key get one.
    Client,
    /// Frames go out as they are.
    Server,
}

/// How the other side ended.
#[derive(Debug)]
pub enum End {
    /// In order: it will send nothing more.
    Eof,
    /// In order, but with part of a frame still to come.
    Truncated,
    /// With an error, a reset for one.
    Broken(io::Error),
}

// ===== impl Tunnel =====

impl Tunnel {
    /// Takes over a socket after its handshake. `buffer` holds what was read beyond it.
    pub fn new(io: Box<dyn Io>, buffer: BytesMut, role: Role) -> Self {
        Self { io, buffer, role }
    }

    /// Sends a frame; a client's frame without a key is masked.
    ///
    /// # Panics
    ///
    /// When the socket does not take it in time.
    pub async fn send(&mut self, frame: Frame) {
        self.try_send(frame)
            .await
            .expect("the socket takes a frame");
    }

    /// Sends a frame to a peer that may be gone.
    ///
    /// # Errors
    ///
    /// What the socket says.
    pub async fn try_send(&mut self, frame: Frame) -> io::Result<()> {
        let frame = match (self.role, frame.mask) {
            (Role::Client, None) => frame.masked(KEY),
            _ => frame,
        };
        self.try_send_raw(&frame.to_bytes()).await
    }

    /// Sends bytes as they are, for what no [`Frame`] can say: half a header, lengths that are too long.
    ///
    /// # Panics
    ///
    /// When the socket does not take them in time.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes)
            .await
            .expect("the socket takes the bytes");
    }

    /// Sends every byte in a segment (and a TLS record) of its own.
    ///
    /// # Panics
    ///
    /// When the socket does not take them in time.
    pub async fn send_bytewise(&mut self, bytes: &[u8]) {
        for byte in bytes.chunks(1) {
            self.send_raw(byte).await;
        }
    }

    /// Sends bytes as they are to a peer that may be gone.
    ///
    /// # Errors
    ///
    /// What the socket says.
    pub async fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("sending", async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        })
        .await
    }

    /// The next frame.
    ///
    /// # Panics
    ///
    /// When the connection ends instead, or nothing comes in time.
    #[track_caller]
    pub fn frame(&mut self) -> impl Future<Output = Frame> {
        let caller = std::panic::Location::caller();
        async move {
            match self.next().await {
                Ok(frame) => frame,
                Err(end) => panic!("{caller}: expected a frame, not {end:?}"),
            }
        }
    }

    /// The next frame, or how the connection ended.
    ///
    /// # Errors
    ///
    /// The end.
    ///
    /// # Panics
    ///
    /// When nothing comes in time.
    pub async fn next(&mut self) -> Result<Frame, End> {
        within("the next frame", async {
            loop {
                if let Some(frame) = Frame::take_from(&mut self.buffer) {
                    return Ok(frame);
                }
                match self.io.read_buf(&mut self.buffer).await {
                    Ok(0) if self.buffer.is_empty() => return Err(End::Eof),
                    Ok(0) => return Err(End::Truncated),
                    Ok(_) => {}
                    Err(error) => return Err(End::Broken(error)),
                }
            }
        })
        .await
    }

    /// So many bytes as they come, for what no [`Frame`] can say.
    ///
    /// # Panics
    ///
    /// When the connection ends before, or nothing comes in time.
    pub async fn raw(&mut self, length: usize) -> Bytes {
        within("the next bytes", async {
            while self.buffer.len() < length {
                let read = self.io.read_buf(&mut self.buffer).await;
                let read = read.expect("a connection that is not broken");
                assert_ne!(read, 0, "it ends after {:?}", self.buffer);
            }
        })
        .await;
        self.buffer.split_to(length).freeze()
    }

    /// Waits for the end, which must come before any frame.
    ///
    /// # Panics
    ///
    /// When a frame comes, or nothing in time.
    pub async fn end(&mut self) -> End {
        match self.next().await {
            Ok(frame) => panic!("expected the end, not {frame:?}"),
            Err(end) => end,
        }
    }

    /// Closes as RFC 6455, 7.1 would have it: sends a Close, takes the answer and the end of the
    /// connection. Frames that were under way before the answer are dropped.
    ///
    /// # Panics
    ///
    /// When the peer does not play its part.
    pub async fn close(mut self, code: u16, reason: &str) {
        self.send(Frame::close(code, reason)).await;
        loop {
            let frame = self.frame().await;
            if frame.opcode == Frame::close(code, reason).opcode {
                assert_eq!(frame.close_parts(), Some((code, reason.to_owned())));
                break;
            }
        }
        if self.role == Role::Server {
            self.shutdown().await;
        }
        // Whether the last bytes leave with a close_notify or without is not our subject.
        self.end().await;
    }

    /// Says that nothing more will be sent; the other direction stays open.
    pub async fn shutdown(&mut self) {
        // A peer that is gone already has been told enough.
        let _ = within("shutting down", self.io.shutdown()).await;
    }

    /// The socket itself, and what was read from it and not yet taken: to read and write at once, or
    /// what no frame can hold.
    pub fn into_parts(self) -> (Box<dyn Io>, BytesMut) {
        (self.io, self.buffer)
    }

    /// Breaks the connection.
    pub fn reset(self) {
        self.io.reset();
    }
}

/// The masking key of the examples in RFC 6455, 5.7. Tests are repeatable.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

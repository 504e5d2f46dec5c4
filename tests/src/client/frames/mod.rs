//! HTTP/2 frame by frame (RFC 9113), for what no library would send.

mod frame;
mod hpack;
mod names;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::io::{Io, within};

pub use frame::Http2Frame;
pub use hpack::{block, put_integer, put_string};
pub use names::{code, flag, kind, setting};

/// A connection on which nothing happens by itself: no settings are acknowledged, no ping is answered, no
/// window is given back.
#[derive(Debug)]
pub struct Frames {
    io: Box<dyn Io>,
    buffer: BytesMut,
}

/// What became of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The connection ended with GOAWAY and this code.
    GoneAway(u32),
    /// The connection ended without a word.
    Ended,
    /// The stream was reset with this code, and the connection lives.
    Reset(u32),
    /// The stream was answered with this status.
    Status(u16),
    /// Nothing came of it, and the connection lives.
    Nothing,
}

/// What a client begins with (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// ===== impl Frames =====

impl Frames {
    /// Takes over a socket on which nothing was said yet.
    pub fn new(io: Box<dyn Io>) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
        }
    }

    /// The client's beginning, with these settings; takes the server's, and acknowledges them. Answers
    /// come without a table to refer to.
    pub async fn start(io: Box<dyn Io>, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self::new(io);
        let settings = [&[(setting::HEADER_TABLE_SIZE, 0)], settings].concat();
        frames.send_raw(PREFACE).await;
        frames.send(&[Http2Frame::settings(&settings)]).await;
        frames
            .wait("the server's settings", |frame| {
                frame.kind == kind::SETTINGS
            })
            .await;
        frames.send(&[Http2Frame::settings_ack()]).await;
        frames
    }

    /// The server's beginning, with these settings. Takes the client's preface.
    pub async fn serve(io: Box<dyn Io>, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self::new(io);
        frames.send(&[Http2Frame::settings(settings)]).await;
        let mut preface = vec![0; PREFACE.len()];
        let read = within("a client's preface", frames.io.read_exact(&mut preface)).await;
        assert!(
            read.is_ok() && preface == PREFACE,
            "no preface: {preface:?}"
        );
        frames.send(&[Http2Frame::settings_ack()]).await;
        frames
    }

    /// Sends frames in one segment. To a peer that may be gone: what it said comes with what it sent.
    pub async fn send(&mut self, frames: &[Http2Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Http2Frame::to_bytes).collect();
        self.send_raw(&bytes).await;
    }

    /// The same with any bytes.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.try_send(bytes).await;
    }

    /// The same for who wants to know whether they were taken.
    ///
    /// # Errors
    ///
    /// What the socket says.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within("sending", async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        })
        .await
    }

    /// The same for who may be held back, however long.
    ///
    /// # Errors
    ///
    /// What the socket says.
    pub async fn try_send_patiently(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// The next frame; `None` when the connection ends, well or not.
    ///
    /// # Panics
    ///
    /// When nothing comes in time.
    pub async fn next(&mut self) -> Option<Http2Frame> {
        within("the next frame of HTTP/2", self.next_patiently()).await
    }

    /// The same for who has time.
    pub async fn next_patiently(&mut self) -> Option<Http2Frame> {
        loop {
            if let Some(frame) = Http2Frame::take_from(&mut self.buffer) {
                return Some(frame);
            }
            if !matches!(self.io.read_buf(&mut self.buffer).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// The next frame of this sort; all others before it are dropped.
    ///
    /// # Panics
    ///
    /// When the connection ends before.
    pub async fn wait(&mut self, what: &str, is: impl Fn(&Http2Frame) -> bool) -> Http2Frame {
        loop {
            match self.next().await {
                Some(frame) if is(&frame) => return frame,
                Some(_) => {}
                None => panic!("{what}: the connection has ended"),
            }
        }
    }

    /// What becomes of a stream, by the time that a ping is answered which is sent now. An answer is
    /// waited for if there is to be one.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        self.send(&[Http2Frame::ping(*b"and now?")]).await;
        let mut outcome = Outcome::Nothing;
        while let Some(frame) = self.next().await {
            match frame.kind {
                kind::GOAWAY => return Outcome::GoneAway(frame.code()),
                kind::RST_STREAM if frame.stream == stream => {
                    outcome = Outcome::Reset(frame.code())
                }
                kind::HEADERS if frame.stream == stream => {
                    outcome = Outcome::Status(frame.status())
                }
                kind::PING if frame.flags & flag::ACK != 0 && &frame.payload[..] == b"and now?" => {
                    return outcome;
                }
                _ => {}
            }
        }
        match outcome {
            Outcome::Nothing => Outcome::Ended,
            told => told,
        }
    }

    /// What a stream is told: an answer, or a reset, or the end of the connection.
    pub async fn answer(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.next().await {
            match frame.kind {
                kind::GOAWAY => return Outcome::GoneAway(frame.code()),
                kind::RST_STREAM if frame.stream == stream => return Outcome::Reset(frame.code()),
                kind::HEADERS if frame.stream == stream => return Outcome::Status(frame.status()),
                _ => {}
            }
        }
        Outcome::Ended
    }

    /// The code of the GOAWAY with which the connection ends; `None` where it ends without.
    pub async fn goodbye(&mut self) -> Option<u32> {
        while let Some(frame) = self.next().await {
            if frame.kind == kind::GOAWAY {
                return Some(frame.code());
            }
        }
        None
    }
}

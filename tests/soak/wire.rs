//! Messages in frames, read and written at once by one end of a tunnel.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::sleep;
use wsgate_tests::{End, Frame, Io, Role, Tunnel};

use crate::random::Random;

/// The half that reads.
#[derive(Debug)]
pub(crate) struct Reader {
    io: ReadHalf<Box<dyn Io>>,
    buffer: BytesMut,
    /// What has come of a message of several frames.
    message: Vec<u8>,
}

/// The half that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    io: WriteHalf<Box<dyn Io>>,
    role: Role,
    random: Random,
    /// Whether a frame was begun; one that was cancelled has no end.
    is_in_a_frame: bool,
    /// How many of a hundred frames leave in pieces, with pauses: pings become due within them.
    dribbles: u64,
}

/// Something whole that was read.
#[derive(Debug)]
pub(crate) enum Item {
    Message(Vec<u8>),
    Ping(Bytes),
    Pong,
    Close(u16, String),
}

/// The pong that is owed: only to the latest ping (RFC 6455 5.5.3). The reader must not wait for the writer, which
/// may itself wait for the peer's reader.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    pong: Mutex<Option<Bytes>>,
    pub(crate) since: Notify,
}

/// Takes a tunnel apart; so many of a hundred frames will be slow to leave.
pub(crate) fn split(tunnel: Tunnel, role: Role, random: Random, dribbles: u64) -> (Reader, Writer) {
    let (io, buffer) = tunnel.into_parts();
    let (reader, writer) = tokio::io::split(io);
    let reader = Reader {
        io: reader,
        buffer,
        message: Vec::new(),
    };
    let writer = Writer {
        io: writer,
        role,
        random,
        is_in_a_frame: false,
        dribbles,
    };
    (reader, writer)
}

// ===== impl Reader =====

impl Reader {
    /// The next thing that is whole, or how the connection ended. May be cancelled: what was read stays.
    pub(crate) async fn next(&mut self) -> Result<Item, End> {
        loop {
            if let Some(frame) = Frame::take_from(&mut self.buffer) {
                match frame.opcode {
                    0..=2 => {
                        self.message.extend_from_slice(&frame.payload);
                        if frame.fin {
                            return Ok(Item::Message(std::mem::take(&mut self.message)));
                        }
                    }
                    8 => {
                        // A Close may come without a code (RFC 6455 7.1.5).
                        let (code, reason) = frame.close_parts().unwrap_or((1005, String::new()));
                        return Ok(Item::Close(code, reason));
                    }
                    9 => return Ok(Item::Ping(frame.payload)),
                    _ => return Ok(Item::Pong),
                }
                continue;
            }
            self.buffer.reserve(READ);
            match self.io.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.is_empty() => return Err(End::Eof),
                Ok(0) => return Err(End::Truncated),
                Ok(_) => {}
                Err(error) => return Err(End::Broken(error)),
            }
        }
    }

    /// Whether part of a frame has come, and not the rest.
    pub(crate) fn is_in_a_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Both halves as one.
    pub(crate) fn unsplit(self, writer: Writer) -> Box<dyn Io> {
        self.io.unsplit(writer.io)
    }
}

// ===== impl Writer =====

impl Writer {
    /// Sends a frame, masked where it has to be.
    pub(crate) async fn send(&mut self, frame: Frame) -> io::Result<()> {
        let bytes = self.masked(frame).to_bytes();
        let pieces = match self.random.percent(self.dribbles) {
            true => self.random.within(2..6),
            false => 1,
        };
        self.is_in_a_frame = true;
        for (index, piece) in bytes.chunks(bytes.len().div_ceil(pieces)).enumerate() {
            if index > 0 {
                sleep(self.random.millis(10..300)).await;
            }
            self.io.write_all(piece).await?;
            self.io.flush().await?;
        }
        self.is_in_a_frame = false;
        Ok(())
    }

    /// Whether part of a frame was sent, and not the rest.
    pub(crate) fn is_in_a_frame(&self) -> bool {
        self.is_in_a_frame
    }

    /// Sends a binary message in so many frames; between them goes what is owed.
    pub(crate) async fn message(
        &mut self,
        message: Vec<u8>,
        frames: usize,
        owed: &Owed,
    ) -> io::Result<()> {
        let frames = frames.clamp(1, message.len().max(1));
        let each = message.len().div_ceil(frames).max(1);
        let whole = Bytes::from(message);
        let count = whole.len().div_ceil(each).max(1);
        for index in 0..count {
            let end = whole.len().min((index + 1) * each);
            let part = whole.slice(index * each..end);
            let frame = match index {
                0 => Frame::binary(part),
                _ => Frame::continuation(part),
            };
            let frame = match index + 1 == count {
                true => frame,
                false => frame.unfinished(),
            };
            self.send(frame).await?;
            self.settle(owed).await?;
        }
        Ok(())
    }

    /// Sends the pong that is owed, if one is.
    pub(crate) async fn settle(&mut self, owed: &Owed) -> io::Result<()> {
        match owed.take() {
            Some(payload) => self.send(Frame::pong(payload)).await,
            None => Ok(()),
        }
    }

    /// Sends the beginning of a frame and never the rest.
    pub(crate) async fn half_a_frame(&mut self) -> io::Result<()> {
        let mut payload = vec![0; 1000];
        self.random.fill(&mut payload);
        let bytes = self.masked(Frame::binary(payload)).to_bytes();
        let part = self.random.within(1..bytes.len());
        self.io.write_all(&bytes[..part]).await?;
        self.io.flush().await
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }

    fn masked(&mut self, frame: Frame) -> Frame {
        match self.role {
            Role::Client => frame.masked((self.random.next() as u32).to_be_bytes()),
            Role::Server => frame,
        }
    }
}

// ===== impl Owed =====

impl Owed {
    /// A ping came.
    pub(crate) fn pong(&self, payload: Bytes) {
        *self.pong.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
        self.since.notify_one();
    }

    fn take(&self) -> Option<Bytes> {
        let mut pong = self.pong.lock().unwrap_or_else(PoisonError::into_inner);
        pong.take()
    }
}

const READ: usize = 16 * 1024;

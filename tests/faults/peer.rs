//! One end of a tunnel, client or upstream.

use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wsgate_tests::{Frame, Io, Role, Tunnel};

use crate::book::{Book, How};
use crate::message::{message, number};

/// What an end of a tunnel does besides answering pings and Closes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Sends a message after each pause, as long as no more than [`WINDOW`] of them are not back yet.
    Talk { pause: Duration, length: usize },
    /// Sends back what comes.
    Echo,
    /// Sends messages for as long as they are taken.
    Flood,
    /// Waits for what comes.
    Listen,
}

/// What plays it.
pub(crate) struct Peer {
    name: String,
    part: Part,
    book: Book,
}

// ===== impl Peer =====

impl Peer {
    /// For a tunnel that is called so in the book.
    pub(crate) fn new(name: &str, part: Part, book: &Book) -> Self {
        Self {
            name: name.to_owned(),
            part,
            book: book.clone(),
        }
    }

    /// Plays until the tunnel has ended; once it is stopped, it sends a Close by itself.
    pub(crate) async fn play(self, tunnel: Tunnel, role: Role, stop: CancellationToken) {
        self.book.note(&self.name, |_| {});
        let (io, buffer) = tunnel.into_parts();
        let (reader, writer) = split(io);
        let (answers, to_answer) = mpsc::channel(WINDOW);
        let (tell, told) = watch::channel(0);
        let read = self.read(reader, buffer, answers, tell);
        let write = self.write(writer, role, to_answer, told, stop);
        tokio::select! {
            // Whoever reads learns more of the end.
            biased;
            how = read => self.book.end(&self.name, how),
            how = write => self.book.end(&self.name, how),
        }
    }

    /// How it ended.
    async fn read(
        &self,
        mut reader: ReadHalf<Box<dyn Io>>,
        mut buffer: BytesMut,
        answers: mpsc::Sender<Frame>,
        received: watch::Sender<u64>,
    ) -> How {
        loop {
            while let Some(frame) = Frame::take_from(&mut buffer) {
                let answer = match frame.opcode {
                    DATA => {
                        self.book.message(&self.name, number(&frame.payload));
                        received.send_modify(|received| *received += 1);
                        matches!(self.part, Part::Echo).then(|| Frame::binary(frame.payload))
                    }
                    PING => {
                        self.book.note(&self.name, |page| page.pings += 1);
                        Some(Frame::pong(frame.payload))
                    }
                    CLOSE => {
                        let (code, reason) = frame.close_parts().unwrap_or((1005, String::new()));
                        self.book.end(&self.name, How::Close(code, reason));
                        // The writer ends with it.
                        Some(frame.unmasked())
                    }
                    _ => None,
                };
                if let Some(answer) = answer
                    && answers.send(answer).await.is_err()
                {
                    return How::Eof;
                }
            }
            match reader.read_buf(&mut buffer).await {
                Ok(0) if buffer.is_empty() => return How::Eof,
                Ok(0) => return How::Truncated,
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
    }

    /// How it ended.
    async fn write(
        &self,
        mut writer: WriteHalf<Box<dyn Io>>,
        role: Role,
        mut answers: mpsc::Receiver<Frame>,
        mut received: watch::Receiver<u64>,
        stop: CancellationToken,
    ) -> How {
        let mut next = 0;
        let mut is_closed = false;
        let mut due = Instant::now();
        loop {
            let frame = tokio::select! {
                biased;
                Some(answer) = answers.recv() => answer,
                () = stop.cancelled(), if !is_closed => Frame::close(1000, ""),
                () = self.turn(next, due, &mut received), if !is_closed => {
                    next += 1;
                    due = Instant::now() + self.pause();
                    self.book.note(&self.name, |page| page.sent = next);
                    Frame::binary(message(next - 1, self.length()))
                }
            };
            let closes = frame.opcode == CLOSE;
            let frame = match role {
                Role::Client => frame.masked(KEY),
                Role::Server => frame,
            };
            let written = async {
                writer.write_all(&frame.to_bytes()).await?;
                writer.flush().await?;
                // A second one is the answer to the peer's, after which a server ends the connection.
                if closes && (role == Role::Server || is_closed) {
                    writer.shutdown().await?;
                }
                Ok::<_, io::Error>(())
            };
            if let Err(error) = written.await {
                // There may still be a Close to read.
                sleep(MOMENT).await;
                return error.into();
            }
            is_closed |= closes;
        }
    }

    /// Waits until a message of ours is due.
    async fn turn(&self, next: u64, due: Instant, received: &mut watch::Receiver<u64>) {
        match self.part {
            Part::Echo | Part::Listen => pending().await,
            Part::Flood => {}
            Part::Talk { .. } => {
                sleep_until(due).await;
                let has_room = |received: &u64| next < received + WINDOW as u64;
                if received.wait_for(has_room).await.is_err() {
                    // The reader has ended, and ends us.
                    pending().await
                }
            }
        }
    }

    fn pause(&self) -> Duration {
        match self.part {
            Part::Talk { pause, .. } => pause,
            _ => Duration::ZERO,
        }
    }

    fn length(&self) -> usize {
        match self.part {
            Part::Talk { length, .. } => length,
            _ => LONG,
        }
    }
}

/// What is on its way when nothing can be written any more.
const MOMENT: Duration = Duration::from_millis(200);

/// How many messages may be under way.
const WINDOW: usize = 32;

/// Of a flood's messages.
const LONG: usize = 16 * 1024;

const KEY: [u8; 4] = [7, 1, 66, 250];

const DATA: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

//! The writing half of a client: frames are made when the socket takes them, each with a key of its own.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::Fault;
use crate::frame::{BINARY, Header, mask};
use crate::payload;
use crate::random::Random;
use crate::scratch;

/// Writes messages and answers in the order in which they are due.
#[derive(Debug)]
pub(crate) struct Sender {
    random: Random,
    /// Messages that have been begun; also the number of the next one.
    messages: u64,
    /// The message that is begun and not yet made to its end.
    begun: Option<Begun>,
    /// Control frames, which go out at the next boundary.
    control: Vec<u8>,
    /// What the socket did not take.
    left: Vec<u8>,
    /// Whether something may be waiting inside of the stream.
    unflushed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    number: u64,
    key: [u8; 4],
    offset: usize,
    size: usize,
}

// ===== impl Sender =====

impl Sender {
    pub(crate) fn new() -> Self {
        Self {
            random: Random::new(),
            messages: 0,
            begun: None,
            control: Vec::new(),
            left: Vec::new(),
            unflushed: false,
        }
    }

    /// Messages that have been begun.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether everything that was begun is out.
    pub(crate) const fn is_idle(&self) -> bool {
        self.begun.is_none() && self.control.is_empty() && self.left.is_empty() && !self.unflushed
    }

    /// Puts in a control frame. A peer that pings without reading the pongs is not served for ever.
    ///
    /// # Errors
    ///
    /// When more than [`CONTROL_LIMIT`] bytes of them wait.
    pub(crate) fn control(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Fault> {
        if self.control.len() > CONTROL_LIMIT {
            return Err(Fault::new("more pings than pongs are read"));
        }
        let key = self.random.key();
        Header::whole(opcode, payload.len() as u64, Some(key)).encode(&mut self.control);
        let start = self.control.len();
        self.control.extend_from_slice(payload);
        mask(&mut self.control[start..], key, 0);
        Ok(())
    }

    /// Writes up to one buffer of what is begun and of `due` messages more, each of `size` bytes.
    ///
    /// Ready when something was written, pending when the socket is full or there is nothing to write.
    ///
    /// # Errors
    ///
    /// As the stream has them.
    pub(crate) fn poll_send<W>(
        &mut self,
        cx: &mut Context<'_>,
        mut io: Pin<&mut W>,
        due: u64,
        size: usize,
    ) -> Poll<Result<(), Fault>>
    where
        W: AsyncWrite,
    {
        if !self.left.is_empty() {
            let wrote = ready!(io.as_mut().poll_write(cx, &self.left))?;
            self.left.drain(..wrote);
        } else if self.begun.is_some() || !self.control.is_empty() || due > 0 {
            scratch::with_output(|out| {
                self.make(due, size, out);
                // When the socket takes nothing we say so at the next call, which finds something left.
                let wrote = match io.as_mut().poll_write(cx, out)? {
                    Poll::Ready(wrote) => wrote,
                    Poll::Pending => 0,
                };
                self.left.extend_from_slice(&out[wrote..]);
                Ok::<_, Fault>(())
            })?;
        } else if self.unflushed {
            ready!(io.poll_flush(cx))?;
            self.unflushed = false;
            return Poll::Ready(Ok(()));
        } else {
            return Poll::Pending;
        }
        self.unflushed = !self.left.is_empty() || io.poll_flush(cx)?.is_pending();
        Poll::Ready(Ok(()))
    }

    /// Makes frames until the buffer is full or nothing is due.
    fn make(&mut self, due: u64, size: usize, out: &mut Vec<u8>) {
        let last = self.messages + due;
        while out.len() < scratch::SIZE {
            let mut begun = match self.begun.take() {
                Some(begun) => begun,
                None => {
                    out.append(&mut self.control);
                    if self.messages == last {
                        return;
                    }
                    self.begin(size, out)
                }
            };
            let room = scratch::SIZE.saturating_sub(out.len());
            let count = room.min(begun.size - begun.offset);
            let start = out.len();
            payload::append(begun.number, begun.offset, count, out);
            mask(&mut out[start..], begun.key, begun.offset as u64);
            begun.offset += count;
            if begun.offset < begun.size {
                self.begun = Some(begun);
                return;
            }
        }
    }

    fn begin(&mut self, size: usize, out: &mut Vec<u8>) -> Begun {
        let (number, key) = (self.messages, self.random.key());
        self.messages += 1;
        Header::whole(BINARY, size as u64, Some(key)).encode(out);
        Begun {
            number,
            key,
            offset: 0,
            size,
        }
    }
}

/// A thousand pongs or so.
const CONTROL_LIMIT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;
    use crate::frame::{HeaderReader, PING, PONG};

    /// Takes all frames of `wire` apart: their opcodes, keys and unmasked payloads.
    fn frames(mut wire: &[u8]) -> Vec<(u8, [u8; 4], Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(header) = HeaderReader::new().read(&mut wire).unwrap() {
            let (body, rest) = wire.split_at(header.length as usize);
            let (mut body, key) = (body.to_vec(), header.key.expect("a client masks"));
            mask(&mut body, key, 0);
            frames.push((header.opcode(), key, body));
            wire = rest;
        }
        frames
    }

    /// What is on the wire after `due` messages went through a pipe of `room` bytes.
    async fn sent(sender: &mut Sender, due: u64, size: usize, room: usize) -> Vec<u8> {
        let (mut near, mut far) = duplex(room);
        let last = sender.messages() + due;
        let sending = async {
            while sender.messages() < last || !sender.is_idle() {
                poll_fn(|cx| {
                    let due = last - sender.messages();
                    sender.poll_send(cx, Pin::new(&mut near), due, size)
                })
                .await
                .unwrap();
            }
            drop(near);
        };
        let mut wire = Vec::new();
        let (read, ()) = tokio::join!(far.read_to_end(&mut wire), sending);
        read.unwrap();
        wire
    }

    #[track_caller]
    fn check(due: u64, size: usize, room: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let mut sender = Sender::new();
        let wire = runtime
            .unwrap()
            .block_on(sent(&mut sender, due, size, room));
        let frames = frames(&wire);
        assert_eq!(frames.len() as u64, due);
        for (number, (opcode, _, body)) in frames.iter().enumerate() {
            assert_eq!((*opcode, body.len()), (BINARY, size));
            assert!(payload::matches(number as u64, 0, body), "{number}");
        }
    }

    #[test]
    fn a_message_larger_than_any_buffer() {
        check(2, 1 << 20, 4096);
        check(2, 1 << 20, 1 << 22);
    }

    #[tokio::test]
    async fn each_frame_has_a_key_of_its_own() {
        let wire = sent(&mut Sender::new(), 3, 8, 1024).await;
        let mut keys: Vec<_> = frames(&wire).into_iter().map(|(_, key, _)| key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 3);
    }

    #[tokio::test]
    async fn control_frames_go_first() {
        let mut sender = Sender::new();
        sender.control(PONG, b"hello").unwrap();
        let wire = sent(&mut sender, 1, 8, 1024).await;
        let opcodes: Vec<_> = frames(&wire).into_iter().map(|(code, ..)| code).collect();
        assert_eq!(opcodes, [PONG, BINARY]);
    }

    #[test]
    fn control_frames_have_a_bound() {
        let mut sender = Sender::new();
        let refused = (0..10_000).find_map(|_| sender.control(PING, &[0; 125]).err());
        assert_eq!(
            refused.unwrap().to_string(),
            "more pings than pongs are read"
        );
    }

    proptest! {
        #[test]
        fn messages_go_through_any_pipe(due in 0u64..9, size in 0usize..9000, room in 1usize..9000) {
            check(due, size, room);
        }
    }
}

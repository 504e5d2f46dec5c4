//! The reading half of a client: messages are counted and compared, never kept.

use crate::Fault;
use crate::frame::{BINARY, CLOSE, CONTINUATION, HeaderReader, PING, PONG};
use crate::payload;

/// Follows what a server sends.
#[derive(Debug)]
pub(crate) struct Receiver {
    headers: HeaderReader,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// Messages that came whole; also the number that the next one must carry.
    messages: u64,
    /// Bytes of the message that has begun, over all its fragments.
    offset: usize,
    /// Whether a message has begun whose last frame has not.
    fragmented: bool,
    /// The payload of the control frame being read; at most 125 bytes.
    control: Vec<u8>,
}

/// What the owner has to know of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A message came whole, and is the one that was due.
    Message(u64),
    /// To be answered with the same payload.
    Ping(&'a [u8]),
    /// The code, if there is one. Nothing follows.
    Close(Option<u16>),
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    is_final: bool,
    /// Bytes of payload that have not come.
    left: u64,
}

// ===== impl Receiver =====

impl Receiver {
    pub(crate) const fn new() -> Self {
        Self {
            headers: HeaderReader::new(),
            frame: None,
            messages: 0,
            offset: 0,
            fragmented: false,
            control: Vec::new(),
        }
    }

    /// Messages that came whole.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Follows some more bytes; every message has to have `size` bytes.
    ///
    /// # Errors
    ///
    /// When something is not what a server may send, or not what was sent to it.
    pub(crate) fn feed(
        &mut self,
        mut input: &[u8],
        size: usize,
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), Fault> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => match self.begin(&mut input, size)? {
                    Some(frame) => frame,
                    None => return Ok(()),
                },
            };
            let here = usize::try_from(frame.left).unwrap_or(usize::MAX);
            let (part, rest) = input.split_at(here.min(input.len()));
            if frame.opcode & CONTROL != 0 {
                self.control.extend_from_slice(part);
            } else if payload::matches(self.messages, self.offset, part) {
                self.offset += part.len();
            } else {
                let (number, offset) = (self.messages, self.offset);
                let what = format!("message {number} came back changed, after byte {offset}");
                return Err(Fault::new(what));
            }
            input = rest;
            frame.left -= part.len() as u64;
            self.frame = Some(frame);
            if frame.left > 0 {
                return Ok(());
            }
            self.frame = None;
            self.end(frame, size, &mut on_event)?;
        }
    }

    fn begin(&mut self, input: &mut &[u8], size: usize) -> Result<Option<Frame>, Fault> {
        let Some(header) = self.headers.read(input)? else {
            return Ok(None);
        };
        if header.key.is_some() || header.has_reserved_bits() {
            return Err(Fault::new("a frame that is masked or has reserved bits"));
        }
        match header.opcode() {
            CLOSE | PING | PONG => {}
            BINARY if !self.fragmented => self.fragmented = true,
            CONTINUATION if self.fragmented => {}
            other => {
                return Err(Fault::new(format!(
                    "a frame of opcode {other} out of place"
                )));
            }
        }
        // Told before it is awaited: a length that is wrong may never come.
        if !header.is_control() && header.length > (size - self.offset) as u64 {
            let (number, length) = (self.messages, header.length);
            let what = format!("message {number} of {size} bytes has a frame of {length}");
            return Err(Fault::new(what));
        }
        Ok(Some(Frame {
            opcode: header.opcode(),
            is_final: header.is_final(),
            left: header.length,
        }))
    }

    fn end(
        &mut self,
        frame: Frame,
        size: usize,
        on_event: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Fault> {
        match frame.opcode {
            PING => on_event(Event::Ping(&self.control)),
            CLOSE => {
                let code = self.control.first_chunk().copied();
                on_event(Event::Close(code.map(u16::from_be_bytes)));
            }
            PONG => {}
            _ if frame.is_final => {
                if self.offset != size {
                    let (number, offset) = (self.messages, self.offset);
                    let what = format!("message {number} has {offset} bytes instead of {size}");
                    return Err(Fault::new(what));
                }
                let number = self.messages;
                self.messages += 1;
                self.offset = 0;
                self.fragmented = false;
                on_event(Event::Message(number));
            }
            _ => {}
        }
        self.control.clear();
        Ok(())
    }
}

/// Set in the opcodes of control frames.
const CONTROL: u8 = 0x8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Header;

    const SIZE: usize = 300;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let (key, length) = (None, payload.len() as u64);
        let mut wire = Vec::new();
        Header { first, key, length }.encode(&mut wire);
        wire.extend(payload);
        wire
    }

    fn message(number: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        payload::append(number, 0, SIZE, &mut payload);
        payload
    }

    /// What is told of `wire` when it comes in chunks of this size.
    fn events(wire: &[u8], chunk: usize) -> Result<Vec<String>, String> {
        let mut receiver = Receiver::new();
        let mut told = Vec::new();
        for chunk in wire.chunks(chunk) {
            receiver
                .feed(chunk, SIZE, |event| told.push(format!("{event:?}")))
                .map_err(|fault| fault.to_string())?;
        }
        Ok(told)
    }

    #[track_caller]
    fn check(wire: &[u8], expected: &[&str]) {
        for chunk in [wire.len(), 1, 7, 125] {
            assert_eq!(events(wire, chunk).unwrap(), expected, "chunks of {chunk}");
        }
    }

    #[track_caller]
    fn check_fault(wire: &[u8], expected: &str) {
        assert_eq!(events(wire, wire.len()).unwrap_err(), expected);
    }

    #[test]
    fn messages_one_after_the_other() {
        let wire = [frame(0x82, &message(0)), frame(0x82, &message(1))].concat();
        check(&wire, &["Message(0)", "Message(1)"]);
    }

    #[test]
    fn fragments_with_a_ping_between_them() {
        let whole = message(0);
        let wire = [
            frame(0x02, &whole[..100]),
            frame(0x89, b"hi"),
            frame(0x00, &whole[100..]),
            frame(0x80, b""),
            frame(0x88, &[0x03, 0xe8]),
        ];
        let expected = ["Ping([104, 105])", "Message(0)", "Close(Some(1000))"];
        check(&wire.concat(), &expected);
    }

    #[test]
    fn a_changed_byte() {
        let mut wire = frame(0x82, &message(0));
        wire[200] ^= 1;
        check_fault(&wire, "message 0 came back changed, after byte 0");
    }

    #[test]
    fn a_message_that_came_twice() {
        let wire = frame(0x82, &message(0)).repeat(2);
        check_fault(&wire, "message 1 came back changed, after byte 0");
    }

    #[test]
    fn a_message_of_another_length() {
        let wire = frame(0x82, &message(0)[1..]);
        check_fault(&wire, "message 0 came back changed, after byte 0");
        let wire = frame(0x82, &message(0)[..299]);
        check_fault(&wire, "message 0 has 299 bytes instead of 300");
        let wire = frame(0x82, &[message(0), message(0)].concat());
        check_fault(&wire, "message 0 of 300 bytes has a frame of 600");
    }

    #[test]
    fn frames_that_no_server_sends() {
        let masked = [0x82, 0x81, 1, 2, 3, 4, 5];
        check_fault(&masked, "a frame that is masked or has reserved bits");
        check_fault(
            &frame(0xc2, &message(0)),
            "a frame that is masked or has reserved bits",
        );
        check_fault(&frame(0x80, b"a"), "a frame of opcode 0 out of place");
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(wire: Vec<u8>, chunk in 1usize..9) {
            let _ = events(&wire, chunk);
        }
    }
}

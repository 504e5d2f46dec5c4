//! Following the frames of one direction.

mod step;

use alloc::boxed::Box;

use self::step::{Kept, State};
use crate::close::Close;
use crate::control::MAX_CONTROL_PAYLOAD;
use crate::event::Event;
use crate::header::Header;
use crate::opcode::OpCode;
use crate::role::Role;
use crate::rsv::Rsv;

/// Follows the frames of one direction of a connection.
///
/// Feed it every byte that passes, in slices of any size. It skips data payloads by their length
/// and never looks at them; most frames cost a few nanoseconds, the middle of a payload costs one
/// subtraction.
///
/// It takes 64 bytes. It allocates at most once in its life, about 250 bytes, when a control
/// payload is cut in two or a Close passes.
///
/// # Example
///
/// ```
/// use wsgate_frame::{CloseCode, Event, OpCode, Role, Rsv, Tracker};
///
/// // permessage-deflate was agreed, so RSV1 has a meaning.
/// let mut tracker = Tracker::new(Role::Server).allow_rsv(Rsv::RSV1);
///
/// let mut pings = 0;
/// let mut on_event = |event: Event<'_>| match event {
///     Event::Control { opcode: OpCode::Ping, .. } => pings += 1,
///     Event::Violation { violation, start } => panic!("{violation} at {start}"),
///     _ => {}
/// };
///
/// // The first half of a message; a ping between the halves; the beginning of the second.
/// tracker.feed(b"\x41\x03abc\x89\x00\x80\x03d", &mut on_event);
/// assert!(tracker.in_message() && !tracker.at_boundary());
///
/// // The rest of it, and a Close that is cut after its code.
/// tracker.feed(b"ef\x88\x05\x03\xe8", &mut on_event);
/// assert!(!tracker.in_message() && !tracker.is_closed());
///
/// tracker.feed(b"bye", &mut on_event);
/// let close = tracker.close().expect("a Close has passed");
/// assert_eq!(close.code(), Some(CloseCode::NORMAL_CLOSURE));
/// assert_eq!(close.reason(), Some("bye"));
///
/// assert_eq!((tracker.counts().messages, tracker.counts().payload_bytes, pings), (1, 6, 1));
/// ```
#[derive(Clone, Debug)]
pub struct Tracker {
    /// Bytes fed so far.
    offset: u64,
    /// Data frames with the FIN bit that have passed.
    messages: u64,
    /// Data frames without the FIN bit that have passed.
    fragments: u64,
    /// Payload bytes that the headers of data frames announced, those of the present frame
    /// included.
    announced: u64,
    /// Control frames that have passed, as far as they can be counted.
    control_frames: u32,
    state: State,
    /// Bytes that had to be kept. Stays once it is there, so that no peer can make us allocate for
    /// every frame.
    kept: Option<Box<Kept>>,
    role: Role,
    allowed: Rsv,
    /// Whether the last data frame that began had no FIN bit.
    unfinished: bool,
    /// Whether a Close has passed.
    closed: bool,
}

/// What has passed in one direction. Frames and messages count when their last byte is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages, that is: data frames with the FIN bit.
    pub messages: u64,
    /// Data frames. More than `messages` when some were fragmented.
    pub data_frames: u64,
    /// Control frames, 4,294,967,295 at most.
    pub control_frames: u64,
    /// Payload bytes of data frames, also of those that are still under way.
    pub payload_bytes: u64,
    /// All bytes, headers included.
    pub wire_bytes: u64,
}

// ===== impl Tracker =====

impl Tracker {
    /// Follows what `role` sends, from the first byte after the handshake on. No reserved bit is
    /// allowed.
    pub const fn new(role: Role) -> Self {
        Self {
            offset: 0,
            messages: 0,
            fragments: 0,
            announced: 0,
            control_frames: 0,
            state: State::Boundary,
            kept: None,
            role,
            allowed: Rsv::NONE,
            unfinished: false,
            closed: false,
        }
    }

    /// Takes these reserved bits as agreed, in any frame. The default is none.
    ///
    /// Who passes on frames without knowing the extensions that the two ends agreed on allows
    /// [`Rsv::ALL`].
    #[must_use]
    pub const fn allow_rsv(mut self, allowed: Rsv) -> Self {
        self.allowed = allowed;
        self
    }

    /// Whose bytes it follows.
    #[inline]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Takes the next bytes, and tells `on_event` what passed with them.
    ///
    /// However the bytes are cut into chunks, the events are the same and come in the same order;
    /// an event comes as soon as the last byte it speaks of is there. Give `|_| {}` when only the
    /// state and the counts matter: it costs nothing.
    pub fn feed(&mut self, chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut rest = chunk;
        loop {
            match &mut self.state {
                State::Payload { remaining, .. } if *remaining > rest.len() as u64 => {
                    *remaining -= rest.len() as u64;
                    self.offset += rest.len() as u64;
                    return;
                }
                State::Boundary if !self.unfinished && !self.closed => {
                    rest = self.pass_ordinary(rest, &mut on_event);
                }
                _ => {}
            }
            if rest.is_empty() {
                return;
            }
            rest = self.step(rest, &mut on_event);
        }
    }

    /// Whether the next byte is the first one of a frame. Never again true once the place [is
    /// lost](Self::is_lost).
    #[inline]
    pub const fn at_boundary(&self) -> bool {
        matches!(self.state, State::Boundary)
    }

    /// Whether a control frame of our own may go out before the next byte: we are at a boundary,
    /// and no Close has passed.
    ///
    /// It may stand between the frames of one message (RFC 6455 5.4).
    #[inline]
    pub const fn can_inject(&self) -> bool {
        self.at_boundary() && !self.closed
    }

    /// Whether a message has begun and not ended: a data frame is under way, or the last one was
    /// not the final one.
    pub const fn in_message(&self) -> bool {
        self.unfinished
            || matches!(self.state, State::Payload { opcode, .. } if !opcode.is_control())
    }

    /// How many bytes have passed.
    #[inline]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// What has passed, in numbers.
    pub fn counts(&self) -> Counts {
        let to_come = match self.state {
            State::Payload {
                opcode, remaining, ..
            } if !opcode.is_control() => remaining,
            _ => 0,
        };
        Counts {
            messages: self.messages,
            data_frames: self.messages + self.fragments,
            control_frames: self.control_frames.into(),
            payload_bytes: self.announced - to_come,
            wire_bytes: self.offset,
        }
    }

    /// Whether a Close has passed. Control frames may still follow it, data frames must not.
    #[inline]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The first Close that passed. `None` also when it had more than 125 bytes, and so was skipped
    /// like data.
    pub fn close(&self) -> Option<&Close> {
        self.kept.as_ref()?.close.as_ref()
    }

    /// Whether a length of more than 63 bits came. From then on nothing is known but the number of
    /// bytes.
    pub const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Passes frames as long as they are whole, unfragmented text or binary messages with nothing
    /// to say about them. Returns the bytes from the first other one on.
    #[inline]
    fn pass_ordinary<'a>(
        &mut self,
        chunk: &'a [u8],
        on_event: &mut impl FnMut(Event<'_>),
    ) -> &'a [u8] {
        let (mask_bit, mask_size) = if self.role.masks() {
            (0x80, 4)
        } else {
            (0x00, 0)
        };
        let mut rest = chunk;

        // Four bytes hold all of the header but the mask. The few frames that are shorter than that
        // do not come here when they are the last ones of their chunk.
        while let &[first, second, high, low, ..] = rest {
            // With the mask bit as it should be, this leaves the length; else a number above 0x7f.
            let short = second ^ mask_bit;
            let is_u16 = short == 0x7e;
            let len = if is_u16 {
                usize::from(u16::from_be_bytes([high, low]))
            } else {
                usize::from(short)
            };
            let size = if is_u16 { 4 } else { 2 } + mask_size;

            // FIN and text or binary; neither a 64-bit length nor a wrong mask bit; the shortest
            // form. All are tested as one, because each is nearly always true.
            let ordinary = ((first & !self.allowed.bits()).wrapping_sub(0x81) < 2)
                & (short < 0x7f)
                & (!is_u16 | (len > MAX_CONTROL_PAYLOAD));
            let Some((frame, after)) = rest.split_at_checked(size + len).filter(|_| ordinary)
            else {
                break;
            };

            let start = self.offset + (chunk.len() - rest.len()) as u64;
            let header = Header {
                fin: true,
                rsv: Rsv::from_bits(first),
                opcode: OpCode::from_bits(first),
                mask: frame[..size]
                    .last_chunk()
                    .filter(|_| mask_size != 0)
                    .copied(),
                len: len as u64,
            };
            on_event(Event::FrameBegin {
                header,
                start,
                payload: start + size as u64,
            });
            on_event(Event::FrameEnd {
                end: start + frame.len() as u64,
                ends_message: true,
            });
            self.messages += 1;
            self.announced += len as u64;
            rest = after;
        }

        self.offset += (chunk.len() - rest.len()) as u64;
        rest
    }
}

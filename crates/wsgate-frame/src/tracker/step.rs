//! The way of a [`Tracker`] through whatever is not an ordinary frame: fragments, control frames,
//! headers and payloads that were cut in two, and violations.

use alloc::boxed::Box;
use core::mem;

use super::Tracker;
use crate::close::Close;
use crate::control::MAX_CONTROL_PAYLOAD;
use crate::event::{Event, Violation};
use crate::header::{Header, LengthOverflow};
use crate::mask::apply_mask;
use crate::opcode::OpCode;
use crate::role::Role;

/// What the next byte is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The first byte of a frame.
    Boundary,
    /// Part of a header. `bytes[..len]` is what came of it, at least one byte and never all of
    /// them.
    Header {
        len: u8,
        bytes: [u8; Header::MAX_SIZE - 1],
    },
    /// Part of a payload that nobody wants to see, with `remaining` bytes to come.
    ///
    /// `remaining` is zero only on the way from the header to the end of an empty frame.
    Payload {
        opcode: OpCode,
        fin: bool,
        remaining: u64,
    },
    /// Part of a control payload. When some of it is there, it is in `Kept::payload`, still masked.
    Control(Control),
    /// Anything: a length could not be.
    Lost,
}

/// A control frame whose header has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    opcode: OpCode,
    mask: Option<[u8; 4]>,
    /// The size of the header in bytes.
    header: u8,
    /// The length of the payload.
    len: u8,
    /// How much of the payload is there.
    filled: u8,
}

/// Bytes that had to be kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The first part of a control payload that was cut in two.
    payload: [u8; MAX_CONTROL_PAYLOAD],
    /// The first Close that passed.
    pub(super) close: Option<Close>,
}

// ===== impl Tracker =====

impl Tracker {
    /// Takes one step with bytes that are not ordinary, and returns those that come after them.
    ///
    /// One copy of it serves all callers, hence the `dyn`: what comes here is not what the time
    /// goes into.
    #[cold]
    #[inline(never)]
    pub(super) fn step<'a>(
        &mut self,
        rest: &'a [u8],
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> &'a [u8] {
        match mem::replace(&mut self.state, State::Boundary) {
            // -> Header | Payload | Control | Boundary | Lost
            State::Boundary => self.on_header(&[], rest, on_event),
            State::Header { len, bytes } => {
                self.on_header(&bytes[..usize::from(len)], rest, on_event)
            }

            // -> Payload | Boundary
            State::Payload {
                opcode,
                fin,
                remaining,
            } => {
                let taken = rest
                    .len()
                    .min(usize::try_from(remaining).unwrap_or(usize::MAX));
                let remaining = remaining - taken as u64;
                self.offset += taken as u64;
                if remaining == 0 {
                    self.on_payload_end(opcode, fin, on_event);
                } else {
                    self.state = State::Payload {
                        opcode,
                        fin,
                        remaining,
                    };
                }
                &rest[taken..]
            }

            // -> Control | Boundary
            State::Control(control) => self.on_control(control, rest, on_event),

            // -> Lost
            State::Lost => {
                self.offset += rest.len() as u64;
                self.state = State::Lost;
                &[]
            }
        }
    }

    /// Takes header bytes from `rest`, when `held` came before.
    fn on_header<'a>(
        &mut self,
        held: &[u8],
        rest: &'a [u8],
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> &'a [u8] {
        let mut bytes = [0; Header::MAX_SIZE];
        let taken = rest.len().min(bytes.len() - held.len());
        let len = held.len() + taken;
        bytes[..held.len()].copy_from_slice(held);
        bytes[held.len()..len].copy_from_slice(&rest[..taken]);
        let start = self.offset - held.len() as u64;

        match Header::parse(&bytes[..len]) {
            Ok(Some((header, size))) => {
                let rest = &rest[size - held.len()..];
                self.offset = start + size as u64;
                self.on_frame_begin(header, size, start, on_event);
                // An empty frame ends where its header ends: nobody may have to feed another byte
                // to learn of it.
                if header.len == 0 {
                    self.step(rest, on_event)
                } else {
                    rest
                }
            }
            Ok(None) => {
                let [bytes @ .., _] = bytes;
                self.offset += taken as u64;
                self.state = State::Header {
                    len: len as u8,
                    bytes,
                };
                &rest[taken..]
            }
            Err(LengthOverflow) => {
                on_event(Event::Violation {
                    violation: Violation::LengthOverflow,
                    start,
                });
                self.state = State::Lost;
                rest
            }
        }
    }

    fn on_frame_begin(
        &mut self,
        header: Header,
        size: usize,
        start: u64,
        on_event: &mut dyn FnMut(Event<'_>),
    ) {
        let Header {
            fin,
            opcode,
            mask,
            len,
            ..
        } = header;
        on_event(Event::FrameBegin {
            header,
            start,
            payload: start + size as u64,
        });

        let mut report = |violation| on_event(Event::Violation { violation, start });
        header
            .faults(size, self.allowed)
            .map(Violation::Header)
            .for_each(&mut report);
        match (self.role, mask) {
            (Role::Client, None) => report(Violation::Unmasked),
            (Role::Server, Some(_)) => report(Violation::Masked),
            (Role::Client, Some(_)) | (Role::Server, None) => {}
        }
        self.state = State::Payload {
            opcode,
            fin,
            remaining: len,
        };

        if !opcode.is_control() {
            match (self.unfinished, opcode) {
                (false, OpCode::Continuation) => report(Violation::UnexpectedContinuation),
                (true, OpCode::Continuation) | (false, _) => {}
                (true, _) => report(Violation::InterruptedMessage),
            }
            if self.closed {
                report(Violation::DataAfterClose);
            }
            // After a violation too: what the sender takes for the end of its message is its last
            // word on the matter.
            self.unfinished = !fin;
            self.announced += len;
        } else if len <= MAX_CONTROL_PAYLOAD as u64 {
            self.state = State::Control(Control {
                opcode,
                mask,
                header: size as u8,
                len: len as u8,
                filled: 0,
            });
        }
    }

    fn on_payload_end(&mut self, opcode: OpCode, fin: bool, on_event: &mut dyn FnMut(Event<'_>)) {
        let control = opcode.is_control();
        match (control, fin) {
            (true, _) => self.control_frames = self.control_frames.saturating_add(1),
            (false, true) => self.messages += 1,
            (false, false) => self.fragments += 1,
        }
        self.closed |= opcode == OpCode::Close;
        on_event(Event::FrameEnd {
            end: self.offset,
            ends_message: fin && !control,
        });
    }

    /// Takes bytes of a control payload.
    fn on_control<'a>(
        &mut self,
        control: Control,
        rest: &'a [u8],
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> &'a [u8] {
        let (len, filled) = (usize::from(control.len), usize::from(control.filled));
        let (taken, after) = rest.split_at(rest.len().min(len - filled));
        let end = filled + taken.len();
        self.offset += taken.len() as u64;

        if end < len {
            self.kept().payload[filled..end].copy_from_slice(taken);
            self.state = State::Control(Control {
                filled: end as u8,
                ..control
            });
            return after;
        }

        let mut payload = [0; MAX_CONTROL_PAYLOAD];
        if let Some(kept) = &self.kept {
            payload[..filled].copy_from_slice(&kept.payload[..filled]);
        }
        payload[filled..len].copy_from_slice(taken);
        let payload = &mut payload[..len];
        if let Some(key) = control.mask {
            apply_mask(payload, key, 0);
        }

        let start = self.offset - u64::from(control.len) - u64::from(control.header);
        if control.opcode == OpCode::Close {
            self.on_close(payload, start, on_event);
        }
        on_event(Event::Control {
            opcode: control.opcode,
            payload,
            start,
        });
        self.on_payload_end(control.opcode, true, on_event);
        after
    }

    fn on_close(&mut self, payload: &[u8], start: u64, on_event: &mut dyn FnMut(Event<'_>)) {
        let close = Close::parse(payload);
        if let Some(Err(fault)) = close.as_ref().map(Close::check) {
            on_event(Event::Violation {
                violation: Violation::Close(fault),
                start,
            });
        }
        // A second Close means nothing: the first one began the closing handshake.
        if !self.closed {
            self.kept().close = close;
        }
    }

    fn kept(&mut self) -> &mut Kept {
        self.kept.get_or_insert_with(|| {
            Box::new(Kept {
                payload: [0; MAX_CONTROL_PAYLOAD],
                close: None,
            })
        })
    }
}

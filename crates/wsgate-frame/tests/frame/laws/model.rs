//! What a tracker should say, from a model that has the whole stream before it and need not hurry.
//!
//! It shares no code with the crate beyond the types it answers in, so that a mistake has to be
//! made twice to go unnoticed.

use wsgate_frame::{CloseCode, CloseFault, Event, Header, HeaderFault, OpCode, Role};
use wsgate_frame::{Rsv, Tracker, Violation};

/// An [`Event`] that owns what it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Begin {
        header: Header,
        start: u64,
        payload: u64,
    },
    End {
        end: u64,
        ends_message: bool,
    },
    Control {
        opcode: OpCode,
        payload: Vec<u8>,
        start: u64,
    },
    Violation {
        violation: Violation,
        start: u64,
    },
}

/// All that a tracker says about a stream, or the beginning of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) events: Vec<Seen>,
    pub(crate) at_boundary: bool,
    pub(crate) in_message: bool,
    pub(crate) closed: bool,
    pub(crate) close: Option<Vec<u8>>,
    pub(crate) lost: bool,
    pub(crate) messages: u64,
    pub(crate) data_frames: u64,
    pub(crate) control_frames: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) wire_bytes: u64,
}

// ===== impl Seen =====

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::FrameBegin {
                header,
                start,
                payload,
            } => Self::Begin {
                header,
                start,
                payload,
            },
            Event::FrameEnd { end, ends_message } => Self::End { end, ends_message },
            Event::Control {
                opcode,
                payload,
                start,
            } => Self::Control {
                opcode,
                payload: payload.to_vec(),
                start,
            },
            Event::Violation { violation, start } => Self::Violation { violation, start },
            event => panic!("the model does not know {event:?}"),
        }
    }
}

// ===== impl Account =====

impl Account {
    /// What `tracker` says, when these were its events.
    pub(crate) fn of(tracker: &Tracker, events: Vec<Seen>) -> Self {
        let counts = tracker.counts();
        assert_eq!(counts.wire_bytes, tracker.offset());
        assert_eq!(
            tracker.can_inject(),
            tracker.at_boundary() && !tracker.is_closed()
        );
        Self {
            events,
            at_boundary: tracker.at_boundary(),
            in_message: tracker.in_message(),
            closed: tracker.is_closed(),
            close: tracker.close().map(|close| close.payload().to_vec()),
            lost: tracker.is_lost(),
            messages: counts.messages,
            data_frames: counts.data_frames,
            control_frames: counts.control_frames,
            payload_bytes: counts.payload_bytes,
            wire_bytes: counts.wire_bytes,
        }
    }

    /// What a tracker should say about `stream`.
    pub(crate) fn model(role: Role, allowed: Rsv, stream: &[u8]) -> Self {
        let mut account = Self {
            wire_bytes: stream.len() as u64,
            ..Self::default()
        };
        let mut open = false;
        let mut at = 0;

        account.at_boundary = loop {
            if at == stream.len() {
                break true;
            }
            let Some((header, size, minimal)) = read_header(&stream[at..]) else {
                break false;
            };
            let start = at as u64;
            if header.len >= 1 << 63 {
                account.violation(Violation::LengthOverflow, start);
                account.lost = true;
                break false;
            }
            account.begin(role, allowed, header, minimal, open, start, size);
            if !header.opcode.is_control() {
                open = !header.fin;
            }

            let payload = &stream[at + size..];
            let Some(payload) = usize::try_from(header.len)
                .ok()
                .and_then(|len| payload.get(..len))
            else {
                if !header.opcode.is_control() {
                    account.in_message = true;
                    account.payload_bytes += payload.len() as u64;
                }
                break false;
            };
            at += size + payload.len();
            account.end(&header, payload, start, at as u64);
        };
        account.in_message |= open;
        account
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "a model is to be plain, not short"
    )]
    fn begin(
        &mut self,
        role: Role,
        allowed: Rsv,
        header: Header,
        minimal: bool,
        open: bool,
        start: u64,
        size: usize,
    ) {
        let control = header.opcode.is_control();
        self.events.push(Seen::Begin {
            header,
            start,
            payload: start + size as u64,
        });
        for (broken, violation) in [
            (
                header.rsv | allowed != allowed,
                Violation::Header(HeaderFault::ReservedBits),
            ),
            (
                !matches!(header.opcode.bits(), 0 | 1 | 2 | 8 | 9 | 10),
                Violation::Header(HeaderFault::ReservedOpcode),
            ),
            (
                control && !header.fin,
                Violation::Header(HeaderFault::FragmentedControl),
            ),
            (
                control && header.len > 125,
                Violation::Header(HeaderFault::LongControl),
            ),
            (!minimal, Violation::Header(HeaderFault::NonMinimalLength)),
            (
                role == Role::Client && header.mask.is_none(),
                Violation::Unmasked,
            ),
            (
                role == Role::Server && header.mask.is_some(),
                Violation::Masked,
            ),
            (
                header.opcode == OpCode::Continuation && !open,
                Violation::UnexpectedContinuation,
            ),
            (
                !control && header.opcode != OpCode::Continuation && open,
                Violation::InterruptedMessage,
            ),
            (!control && self.closed, Violation::DataAfterClose),
        ] {
            if broken {
                self.violation(violation, start);
            }
        }
    }

    fn end(&mut self, header: &Header, payload: &[u8], start: u64, end: u64) {
        let control = header.opcode.is_control();
        if control {
            self.control_frames += 1;
        } else {
            self.data_frames += 1;
            self.messages += u64::from(header.fin);
            self.payload_bytes += payload.len() as u64;
        }
        if control && payload.len() <= 125 {
            let key = header.mask.unwrap_or_default();
            let payload: Vec<u8> = payload
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ key[at % 4])
                .collect();
            if header.opcode == OpCode::Close {
                if let Some(fault) = close_fault(&payload) {
                    self.violation(Violation::Close(fault), start);
                }
                if !self.closed {
                    self.close = Some(payload.clone());
                }
            }
            self.events.push(Seen::Control {
                opcode: header.opcode,
                payload,
                start,
            });
        }
        self.closed |= header.opcode == OpCode::Close;
        self.events.push(Seen::End {
            end,
            ends_message: !control && header.fin,
        });
    }

    fn violation(&mut self, violation: Violation, start: u64) {
        self.events.push(Seen::Violation { violation, start });
    }
}

/// The header, its size, and whether its length is in the shortest form.
fn read_header(bytes: &[u8]) -> Option<(Header, usize, bool)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let len = match extended {
        0 => u64::from(second & 0x7f),
        _ => bytes
            .get(2..2 + extended)?
            .iter()
            .fold(0, |len, byte| len << 8 | u64::from(*byte)),
    };
    let mut size = 2 + extended;
    let mut mask = None;
    if second >= 0x80 {
        mask = Some(bytes.get(size..size + 4)?.try_into().expect("four bytes"));
        size += 4;
    }
    let minimal = match extended {
        0 => true,
        2 => len >= 126,
        _ => len >= 65_536,
    };
    let opcode = OpCode::from_bits(first);
    let header = Header {
        fin: first >= 0x80,
        rsv: Rsv::from_bits(first),
        opcode,
        mask,
        len,
    };
    Some((header, size, minimal))
}

fn close_fault(payload: &[u8]) -> Option<CloseFault> {
    match payload {
        [] => None,
        [_] => Some(CloseFault::HalfCode),
        [high, low, reason @ ..] => {
            let code = u16::from(*high) << 8 | u16::from(*low);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                Some(CloseFault::UnsendableCode(CloseCode(code)))
            } else {
                str::from_utf8(reason)
                    .err()
                    .map(|_| CloseFault::ReasonNotUtf8)
            }
        }
    }
}

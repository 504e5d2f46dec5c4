//! Frames as tests write and read them.

use std::fmt;

use wsgate_frame::{ControlFrame, Event, Header, OpCode, Role, Rsv, Tracker, apply_mask};

/// One frame, whoever sends it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    pub(super) payload: Vec<u8>,
}

pub(super) fn text(payload: &str) -> Frame {
    Frame::new(OpCode::Text, true, payload.as_bytes())
}

/// A data frame of a message that goes on.
pub(super) fn part(opcode: OpCode, payload: &str) -> Frame {
    Frame::new(opcode, false, payload.as_bytes())
}

pub(super) fn ping(payload: &[u8]) -> Frame {
    Frame::new(OpCode::Ping, true, payload)
}

pub(super) fn pong(payload: &[u8]) -> Frame {
    Frame::new(OpCode::Pong, true, payload)
}

pub(super) fn close(code: u16, reason: &str) -> Frame {
    let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    Frame::new(OpCode::Close, true, &payload)
}

/// The bytes of frames, as `role` sends them.
pub(super) fn bytes(role: Role, frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.by(role)).collect()
}

/// The frames in what `role` has sent.
///
/// # Panics
///
/// Where it breaks a rule, or ends in the middle of a frame.
#[track_caller]
pub(super) fn frames(role: Role, bytes: &[u8]) -> Vec<Frame> {
    let (frames, rest) = parse(role, bytes);
    assert_eq!(rest, b"", "after {frames:?}: not a whole frame");
    frames
}

/// The frames in what `role` has sent, and what comes after the last whole one.
#[track_caller]
pub(super) fn parse(role: Role, bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut frames = Vec::new();
    let mut begun = None;
    let mut done = 0;
    Tracker::new(role).feed(bytes, |event| match event {
        Event::FrameBegin {
            header, payload, ..
        } => begun = Some((header, payload as usize)),
        Event::FrameEnd { end, .. } => {
            let (header, start) = begun.take().expect("a frame has begun");
            done = end as usize;
            let mut payload = bytes[start..done].to_vec();
            if let Some(key) = header.mask {
                apply_mask(&mut payload, key, 0);
            }
            frames.push(Frame::new(header.opcode, header.fin, &payload));
        }
        Event::Violation { violation, start } => panic!("at {start} of {bytes:02x?}: {violation}"),
        _ => {}
    });
    (frames, &bytes[done..])
}

/// The role at the other end.
pub(super) const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// Whoever may be at the other end.
pub(super) const BOTH: [Role; 2] = [Role::Client, Role::Server];

// ===== impl Frame =====

impl Frame {
    pub(super) fn new(opcode: OpCode, fin: bool, payload: &[u8]) -> Self {
        Self {
            opcode,
            fin,
            payload: payload.to_vec(),
        }
    }

    /// Its bytes, as `role` sends it.
    pub(super) fn by(&self, role: Role) -> Vec<u8> {
        let mask = role.masks().then_some(KEY);
        let header = Header {
            fin: self.fin,
            rsv: Rsv::NONE,
            opcode: self.opcode,
            mask,
            len: self.payload.len() as u64,
        };
        let mut buf = [0; Header::MAX_SIZE];
        let mut bytes = header.write(&mut buf).unwrap().to_vec();
        let start = bytes.len();
        bytes.extend_from_slice(&self.payload);
        apply_mask(&mut bytes[start..], mask.unwrap_or_default(), 0);
        bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.fin { "" } else { "..." };
        match &self.payload[..] {
            [high, low, reason @ ..] if self.opcode == OpCode::Close => {
                let code = u16::from_be_bytes([*high, *low]);
                write!(f, "close {code} {}", reason.escape_ascii())
            }
            payload if payload.len() <= 32 => {
                write!(f, "{} {}{more}", self.opcode, payload.escape_ascii())
            }
            payload => write!(f, "{} of {} bytes{more}", self.opcode, payload.len()),
        }
    }
}

/// Neither zero, which would not show, nor one byte four times.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[test]
fn frames_are_read_as_they_were_written() {
    let all = [
        text("hello"),
        part(OpCode::Binary, "a"),
        ping(b""),
        Frame::new(OpCode::Continuation, true, &[0xff; 70_000]),
        close(1000, "bye"),
    ];
    for role in BOTH {
        assert_eq!(frames(role, &bytes(role, &all)), all);
    }
    assert_eq!(
        ControlFrame::pong(b"x", None).unwrap()[..],
        pong(b"x").by(Role::Server)
    );
}

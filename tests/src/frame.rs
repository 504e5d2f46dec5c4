//! Frames as they stand on the wire (RFC 6455, 5.2).
//!
//! Written apart from the code under test, so that the two can disagree.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// One frame, with everything in its header that a test may want to set or to see.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is the last of its message.
    pub fin: bool,
    /// The three reserved bits; permessage-deflate sets the highest, 0b100.
    pub rsv: u8,
    /// 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// The masking key, on frames from a client.
    pub mask: Option<[u8; 4]>,
    /// Always as it is without the mask.
    pub payload: Bytes,
}

// ===== impl Frame =====

impl Frame {
    /// A text message in one frame.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(TEXT, text.into())
    }

    /// A binary message in one frame.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::new(BINARY, bytes)
    }

    /// A further frame of a message.
    pub fn continuation(bytes: impl Into<Bytes>) -> Self {
        Self::new(CONTINUATION, bytes)
    }

    /// A ping.
    pub fn ping(bytes: impl Into<Bytes>) -> Self {
        Self::new(PING, bytes)
    }

    /// A pong.
    pub fn pong(bytes: impl Into<Bytes>) -> Self {
        Self::new(PONG, bytes)
    }

    /// A Close with a code and a reason.
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
    }

    /// A frame of any opcode, whole and unmasked.
    pub fn new(opcode: u8, payload: impl Into<Bytes>) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            mask: None,
            payload: payload.into(),
        }
    }

    /// The same frame with more of its message to come.
    #[must_use]
    pub fn unfinished(self) -> Self {
        Self { fin: false, ..self }
    }

    /// The same frame with these reserved bits, of three.
    #[must_use]
    pub fn with_rsv(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    /// The same frame as a client sends it.
    #[must_use]
    pub fn masked(self, key: [u8; 4]) -> Self {
        Self {
            mask: Some(key),
            ..self
        }
    }

    /// The same frame as a server sends it: what a test compares when the key does not matter.
    #[must_use]
    pub fn unmasked(self) -> Self {
        Self { mask: None, ..self }
    }

    /// The code and the reason, if this is a Close that has them.
    pub fn close_parts(&self) -> Option<(u16, String)> {
        let is_close = self.opcode == CLOSE && self.payload.len() >= 2;
        is_close.then(|| {
            let mut payload = self.payload.clone();
            (
                payload.get_u16(),
                String::from_utf8_lossy(&payload).into_owned(),
            )
        })
    }

    /// The bytes on the wire, with the shortest length that fits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut wire = self.header_for(self.payload.len());
        let payload = wire.len();
        wire.extend(&self.payload);
        apply_mask(self.mask, &mut wire[payload..]);
        wire
    }

    /// The header that this frame would have with so long a payload: for payloads that are sent piece
    /// by piece, since they are too big to be held.
    pub fn header_for(&self, length: usize) -> Vec<u8> {
        let mut wire = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let masked = u8::from(self.mask.is_some()) << 7;
        match length {
            0..=125 => wire.push(masked | length as u8),
            126..=0xffff => {
                wire.push(masked | 126);
                wire.extend((length as u16).to_be_bytes());
            }
            _ => {
                wire.push(masked | 127);
                wire.extend((length as u64).to_be_bytes());
            }
        }
        wire.extend(self.mask.iter().flatten());
        wire
    }

    /// Takes a frame from the front of `buffer`, when all of it is there.
    pub fn take_from(buffer: &mut BytesMut) -> Option<Self> {
        let mut head = &buffer[..];
        let first = head.try_get_u8().ok()?;
        let second = head.try_get_u8().ok()?;
        let len = match second & 0x7f {
            126 => head.try_get_u16().ok()?.into(),
            127 => head.try_get_u64().ok()?,
            short => short.into(),
        };
        let mask = if second & 0x80 != 0 {
            Some(head.try_get_u32().ok()?.to_be_bytes())
        } else {
            None
        };
        let len = usize::try_from(len).expect("tests run on 64 bits");
        if head.len() < len {
            return None;
        }
        buffer.advance(buffer.len() - head.len());
        let mut payload = buffer.split_to(len);
        apply_mask(mask, &mut payload);
        Some(Self {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 0b111,
            opcode: first & 0xf,
            mask,
            payload: payload.freeze(),
        })
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fin,
            rsv,
            opcode,
            mask,
            payload,
        } = self;
        let shown = payload.slice(..payload.len().min(SHOWN));
        write!(
            f,
            "Frame {{ fin: {fin}, rsv: {rsv:03b}, opcode: {opcode:#x}, mask: {mask:x?}, "
        )?;
        write!(f, "{} bytes: {shown:?}", payload.len())?;
        f.write_str(if payload.len() > SHOWN { ".. }" } else { " }" })
    }
}

/// XOR is its own inverse: this masks and unmasks (RFC 6455, 5.3).
fn apply_mask(mask: Option<[u8; 4]>, bytes: &mut [u8]) {
    if let Some(key) = mask {
        for (byte, key) in bytes.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
    }
}

/// As much of a payload as a failed assertion prints.
const SHOWN: usize = 64;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

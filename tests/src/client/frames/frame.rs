//! One frame of HTTP/2, and what it says.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::hpack::{block, huffman_digits};
use super::names::{flag, kind};

/// One frame, whether anybody may send it or not.
#[derive(Clone, PartialEq, Eq)]
pub struct Http2Frame {
    /// See [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// 0 for the connection.
    pub stream: u32,
    /// All of it.
    pub payload: Bytes,
}

// ===== impl Http2Frame =====

impl Http2Frame {
    /// Any frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Bytes>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// SETTINGS.
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let one = |&(name, value): &(u16, u32)| {
            [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat()
        };
        let payload: Vec<u8> = settings.iter().flat_map(one).collect();
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// The acknowledgement of SETTINGS.
    pub fn settings_ack() -> Self {
        Self::new(kind::SETTINGS, flag::ACK, 0, Bytes::new())
    }

    /// HEADERS with all of these fields.
    pub fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Self {
        let end = if end { flag::END_STREAM } else { 0 };
        Self::new(
            kind::HEADERS,
            flag::END_HEADERS | end,
            stream,
            block(fields),
        )
    }

    /// DATA.
    pub fn data(stream: u32, data: impl Into<Bytes>, end: bool) -> Self {
        let end = if end { flag::END_STREAM } else { 0 };
        Self::new(kind::DATA, end, stream, data)
    }

    /// PING.
    pub fn ping(payload: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, payload.to_vec())
    }

    /// RST_STREAM.
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes().to_vec())
    }

    /// WINDOW_UPDATE.
    pub fn window_update(stream: u32, more: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, more.to_be_bytes().to_vec())
    }

    /// PRIORITY.
    pub fn priority(stream: u32, on: u32) -> Self {
        let payload = [&on.to_be_bytes()[..], &[16]].concat();
        Self::new(kind::PRIORITY, 0, stream, payload)
    }

    /// CONTINUATION.
    pub fn continuation(stream: u32, block: impl Into<Bytes>, end: bool) -> Self {
        let end = if end { flag::END_HEADERS } else { 0 };
        Self::new(kind::CONTINUATION, end, stream, block)
    }

    /// On the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = (self.payload.len() as u32).to_be_bytes();
        let head = [&length[1..], &[self.kind, self.flags]].concat();
        [&head[..], &self.stream.to_be_bytes(), &self.payload].concat()
    }

    /// The error code in a RST_STREAM or a GOAWAY.
    ///
    /// # Panics
    ///
    /// When it is neither.
    pub fn code(&self) -> u32 {
        let at = match self.kind {
            kind::RST_STREAM => 0,
            kind::GOAWAY => 4,
            _ => panic!("no error: {self:?}"),
        };
        (&self.payload[at..]).get_u32()
    }

    /// The status in HEADERS, of a peer that has no table to refer to.
    ///
    /// # Panics
    ///
    /// When it does not begin with one.
    pub fn status(&self) -> u16 {
        let mut block = &self.payload[..];
        // The table's size may be told first (RFC 7541, 6.3).
        while block[0] & 0xe0 == 0x20 {
            block = &block[1..];
        }
        match block {
            // The static table (RFC 7541, A).
            [0x88, ..] => 200,
            [0x89, ..] => 204,
            [0x8a, ..] => 206,
            [0x8b, ..] => 304,
            [0x8c, ..] => 400,
            [0x8d, ..] => 404,
            [0x8e, ..] => 500,
            [0x08 | 0x18 | 0x48, length, value @ ..] => {
                let digits = match length & 0x80 {
                    0 => value[..3].to_vec(),
                    _ => huffman_digits(value),
                };
                let digits = String::from_utf8(digits).expect("digits");
                digits.parse().expect("a status")
            }
            _ => panic!("no status: {self:?}"),
        }
    }

    /// Takes a whole frame from the front of what was read.
    pub(super) fn take_from(buffer: &mut BytesMut) -> Option<Self> {
        let length = usize::from_be_bytes([
            0,
            0,
            0,
            0,
            0,
            *buffer.first()?,
            *buffer.get(1)?,
            *buffer.get(2)?,
        ]);
        if buffer.len() < 9 + length {
            return None;
        }
        let mut head = buffer.split_to(9).freeze();
        head.advance(3);
        Some(Self {
            kind: head.get_u8(),
            flags: head.get_u8(),
            stream: head.get_u32(),
            payload: buffer.split_to(length).freeze(),
        })
    }
}

impl fmt::Debug for Http2Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            flags,
            stream,
            payload,
        } = self;
        let some = payload.slice(..payload.len().min(32));
        write!(
            f,
            "frame {kind:#x}, flags {flags:#x}, stream {stream}, {} bytes: {some:?}",
            payload.len()
        )
    }
}

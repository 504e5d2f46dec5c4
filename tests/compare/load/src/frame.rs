//! Frames on the wire (RFC 6455, 5.2): headers, and the mask.
//!
//! Written apart from the code that is measured, so that one can catch the other in an error.

use crate::Fault;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// FIN, the three reserved bits and the opcode, as they stand on the wire.
    pub(crate) first: u8,
    /// The masking key, on frames from a client.
    pub(crate) key: Option<[u8; 4]>,
    /// Bytes of payload.
    pub(crate) length: u64,
}

/// Reads headers from bytes that come in any chunking.
#[derive(Debug)]
pub(crate) struct HeaderReader {
    /// The beginning of a header whose rest has not come; less than 14 bytes.
    held: Vec<u8>,
}

// ===== impl Header =====

impl Header {
    /// A frame that is whole by itself.
    pub(crate) const fn whole(opcode: u8, length: u64, key: Option<[u8; 4]>) -> Self {
        Self {
            first: FIN | opcode,
            key,
            length,
        }
    }

    pub(crate) const fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub(crate) const fn is_final(&self) -> bool {
        self.first & FIN != 0
    }

    pub(crate) const fn has_reserved_bits(&self) -> bool {
        self.first & 0x70 != 0
    }

    /// Close, ping and pong, which may stand between the fragments of a message (RFC 6455, 5.5).
    pub(crate) const fn is_control(&self) -> bool {
        self.first & 0x08 != 0
    }

    /// Writes the header with the shortest length that fits.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.first);
        let masked = if self.key.is_some() { MASKED } else { 0 };
        match self.length {
            short @ 0..=125 => out.push(masked | short as u8),
            medium @ 126..=0xffff => {
                out.push(masked | LENGTH_16);
                out.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                out.push(masked | LENGTH_64);
                out.extend_from_slice(&long.to_be_bytes());
            }
        }
        if let Some(key) = self.key {
            out.extend_from_slice(&key);
        }
    }

    /// The header at the front of `bytes` and its own length, when all of it is there.
    fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let [first, second, rest @ ..] = bytes else {
            return None;
        };
        let (length, rest) = match second & !MASKED {
            LENGTH_16 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*length).into(), rest)
            }
            LENGTH_64 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (short.into(), rest),
        };
        let (key, rest) = if second & MASKED != 0 {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        let header = Self {
            first: *first,
            key,
            length,
        };
        Some((header, bytes.len() - rest.len()))
    }
}

// ===== impl HeaderReader =====

impl HeaderReader {
    pub(crate) const fn new() -> Self {
        Self { held: Vec::new() }
    }

    /// Whether no header has begun.
    pub(crate) const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes a header from the front of `input`, or all of `input` when the header goes on after it.
    ///
    /// # Errors
    ///
    /// When a control frame is longer than 125 bytes or fragmented (RFC 6455, 5.5).
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Fault> {
        let found = if self.held.is_empty() {
            let found = Header::decode(input);
            if found.is_none() {
                self.held.extend_from_slice(input);
            }
            *input = &input[found.map_or(input.len(), |(_, used)| used)..];
            found
        } else {
            self.complete(input)
        };
        let Some((header, _)) = found else {
            return Ok(None);
        };
        if header.is_control() && (header.length > 125 || !header.is_final()) {
            return Err(Fault::new("a control frame that is long or fragmented"));
        }
        Ok(Some(header))
    }

    /// Adds to what is held, byte by byte: this happens once in thousands of frames.
    fn complete(&mut self, input: &mut &[u8]) -> Option<(Header, usize)> {
        while let Some((next, rest)) = input.split_first() {
            self.held.push(*next);
            *input = rest;
            if let Some(found) = Header::decode(&self.held) {
                self.held.clear();
                return Some(found);
            }
        }
        None
    }
}

/// Masks or unmasks (RFC 6455, 5.3) the part of a payload that begins at `offset`.
pub(crate) fn mask(bytes: &mut [u8], mut key: [u8; 4], offset: u64) {
    key.rotate_left((offset % 4) as usize);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // Whole words, which the compiler makes into whole vectors.
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// The length follows in two bytes.
const LENGTH_16: u8 = 126;
/// The length follows in eight bytes.
const LENGTH_64: u8 = 127;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The header, written and read back in two pieces, with two bytes of payload behind it.
    #[track_caller]
    fn check(header: Header, cut: usize) {
        let mut wire = Vec::new();
        header.encode(&mut wire);
        wire.extend(b"ab");
        let (mut first, mut second) = wire.split_at(cut.min(wire.len() - 2));
        let mut reader = HeaderReader::new();
        let early = reader.read(&mut first).unwrap();
        assert!(first.is_empty());
        let read = early.or_else(|| reader.read(&mut second).unwrap());
        assert_eq!(read, Some(header));
        assert_eq!(second, b"ab");
    }

    #[test]
    fn lengths_at_the_edges_of_their_encodings() {
        for (length, bytes) in [
            (0, 2),
            (125, 2),
            (126, 4),
            (65_535, 4),
            (65_536, 10),
            (u64::MAX, 10),
        ] {
            let mut wire = Vec::new();
            Header::whole(BINARY, length, None).encode(&mut wire);
            assert_eq!(wire.len(), bytes, "{length}");
        }
    }

    #[test]
    fn long_control_frames_are_refused() {
        let mut wire = Vec::new();
        Header::whole(PING, 126, None).encode(&mut wire);
        let fault = HeaderReader::new().read(&mut &wire[..]).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "a control frame that is long or fragmented"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_any_two_pieces(
            fin: bool,
            opcode in 0u8..3,
            key: Option<[u8; 4]>,
            length: u64,
            shift in 0u32..64,
            cut in 0usize..=14,
        ) {
            let first = u8::from(fin) << 7 | opcode;
            check(Header { first, key, length: length >> shift }, cut);
        }

        #[test]
        fn a_mask_is_applied_byte_by_byte(payload: Vec<u8>, key: [u8; 4], offset in 0u64..9) {
            let mut masked = payload.clone();
            mask(&mut masked, key, offset);
            for (at, (masked, plain)) in masked.iter().zip(&payload).enumerate() {
                prop_assert_eq!(masked ^ key[(offset as usize + at) % 4], *plain);
            }
        }
    }
}

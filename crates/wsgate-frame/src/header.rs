//! What stands before the payload: RFC 6455 5.2.
//!
//! ```text
//!   first byte     second byte    0, 2 or 8 bytes       0 or 4 bytes
//! +-+---+-------+ +-+-----------+ +-------------------+ +----------+
//! |F|RSV|opcode | |M| length    | | extended length   | | mask     |
//! |I|123| (4)   | | | (7)       | | when 126: 16 bits | | when M   |
//! |N|   |       | | |           | | when 127: 64 bits | |          |
//! +-+---+-------+ +-+-----------+ +-------------------+ +----------+
//! ```

use core::{error, fmt};

use crate::control::MAX_CONTROL_PAYLOAD;
use crate::opcode::OpCode;
use crate::rsv::Rsv;

/// A frame's header.
///
/// # Tolerant and strict
///
/// [`parse`](Self::parse) fails only where it must: when nobody can tell where the next frame
/// begins. Everything else that RFC 6455 forbids leaves the place known, so that a relay can pass
/// the frame on; [`faults`](Self::faults) names it for those who would rather not.
///
/// # Example
///
/// ```
/// use wsgate_frame::{Header, HeaderFault, OpCode, Rsv};
///
/// // A ping of 126 bytes: one too many.
/// let bytes = [0x89, 0x7e, 0x00, 0x7e];
/// assert_eq!(Header::parse(&bytes[..3]), Ok(None), "not whole yet, nothing is consumed");
///
/// let (header, size) = Header::parse(&bytes)?.expect("the header is whole");
/// assert_eq!((header.opcode, header.len, size), (OpCode::Ping, 126, 4));
///
/// let strict = match header.faults(size, Rsv::NONE).next() {
///     Some(fault) => Err(fault),
///     None => Ok(header),
/// };
/// assert_eq!(strict, Err(HeaderFault::LongControl));
///
/// let mut buf = [0; Header::MAX_SIZE];
/// assert_eq!(header.write(&mut buf)?, bytes);
/// # Ok::<(), wsgate_frame::LengthOverflow>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Whether the frame is the last, or only, one of its message.
    pub fin: bool,
    /// The reserved bits.
    pub rsv: Rsv,
    /// What the frame is.
    pub opcode: OpCode,
    /// The key that the payload is masked with, which clients must and servers must not have.
    pub mask: Option<[u8; 4]>,
    /// The payload's length in bytes, at most [`Header::MAX_LEN`].
    pub len: u64,
}

/// What RFC 6455 forbids in a header, and what still leaves it clear where the next frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderFault {
    /// A reserved bit is set that no extension gave a meaning (5.2).
    ReservedBits,
    /// The opcode is reserved (5.2).
    ReservedOpcode,
    /// A control frame without the FIN bit (5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (5.5).
    LongControl,
    /// The length would have fitted into fewer bytes (5.2).
    NonMinimalLength,
}

/// The payload's length has the highest of its 64 bits set, which RFC 6455 5.2 forbids.
///
/// When reading, it means that the place is lost: no peer sends 2^63 bytes, so what comes next is
/// anyone's guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthOverflow;

// ===== impl Header =====

impl Header {
    /// The size in bytes of the longest header: two bytes, an eight-byte length and a mask.
    pub const MAX_SIZE: usize = 14;

    /// The longest payload in bytes, 2^63 - 1.
    pub const MAX_LEN: u64 = u64::MAX >> 1;

    /// Parses the header at the beginning of `bytes`. Returns it with its size in bytes, which is
    /// where the payload begins.
    ///
    /// `None` means that the header is not whole; come back with more of it. 14 bytes are always
    /// enough.
    ///
    /// # Errors
    ///
    /// [`LengthOverflow`] when the place is lost.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, LengthOverflow> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };

        let (len, rest) = match second & LENGTH_BITS {
            LENGTH_IS_U16 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            LENGTH_IS_U64 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            len => (u64::from(len), rest),
        };

        let (mask, rest) = match rest.split_first_chunk() {
            _ if second & MASK_BIT == 0 => (None, rest),
            Some((mask, rest)) => (Some(*mask), rest),
            None => return Ok(None),
        };

        if len > Self::MAX_LEN {
            return Err(LengthOverflow);
        }
        let header = Self {
            fin: first & FIN_BIT != 0,
            rsv: Rsv::from_bits(first),
            opcode: OpCode::from_bits(first),
            mask,
            len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// What is wrong with the header, in the order of [`HeaderFault`]'s variants.
    ///
    /// `size` is how many bytes it was parsed from, `allowed` are the reserved bits that the agreed
    /// extensions use.
    pub fn faults(&self, size: usize, allowed: Rsv) -> impl Iterator<Item = HeaderFault> + use<> {
        let control = self.opcode.is_control();
        [
            (!allowed.contains(self.rsv), HeaderFault::ReservedBits),
            (self.opcode.is_reserved(), HeaderFault::ReservedOpcode),
            (control && !self.fin, HeaderFault::FragmentedControl),
            (
                control && self.len > MAX_CONTROL_PAYLOAD as u64,
                HeaderFault::LongControl,
            ),
            (size != self.size(), HeaderFault::NonMinimalLength),
        ]
        .into_iter()
        .filter_map(|(found, fault)| found.then_some(fault))
    }

    /// Writes the header into `buf`, with the length in its shortest form, and returns the part of
    /// `buf` that it takes.
    ///
    /// It writes what the fields say, also a header that has [`faults`](Self::faults).
    ///
    /// # Errors
    ///
    /// [`LengthOverflow`] when [`len`](Self::len) is above [`MAX_LEN`](Self::MAX_LEN).
    pub fn write<'b>(&self, buf: &'b mut [u8; Self::MAX_SIZE]) -> Result<&'b [u8], LengthOverflow> {
        if self.len > Self::MAX_LEN {
            return Err(LengthOverflow);
        }
        let masked = if self.mask.is_some() { MASK_BIT } else { 0 };
        let fin = if self.fin { FIN_BIT } else { 0 };

        buf[0] = fin | self.rsv.bits() | self.opcode.bits();
        let mut size = 2;
        match self.len {
            0..=0x7d => buf[1] = masked | self.len as u8,
            0x7e..=0xffff => {
                buf[1] = masked | LENGTH_IS_U16;
                buf[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                size = 4;
            }
            _ => {
                buf[1] = masked | LENGTH_IS_U64;
                buf[2..10].copy_from_slice(&self.len.to_be_bytes());
                size = 10;
            }
        }
        if let Some(mask) = self.mask {
            buf[size..size + 4].copy_from_slice(&mask);
            size += 4;
        }
        Ok(&buf[..size])
    }

    /// The header's size in bytes when it is written, 2 to 14.
    pub const fn size(&self) -> usize {
        let length = match self.len {
            0..=0x7d => 0,
            0x7e..=0xffff => 2,
            _ => 8,
        };
        2 + length + if self.mask.is_some() { 4 } else { 0 }
    }
}

// ===== impl HeaderFault =====

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => "reserved bit without an extension",
            Self::ReservedOpcode => "reserved opcode",
            Self::FragmentedControl => "fragmented control frame",
            Self::LongControl => "control frame of more than 125 bytes",
            Self::NonMinimalLength => "length not in its shortest form",
        })
    }
}

impl error::Error for HeaderFault {}

// ===== impl LengthOverflow =====

impl fmt::Display for LengthOverflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("frame length of more than 63 bits")
    }
}

impl error::Error for LengthOverflow {}

const FIN_BIT: u8 = 0x80;
const MASK_BIT: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;
/// The 7-bit length that announces a 16-bit one.
const LENGTH_IS_U16: u8 = 0x7e;
/// The 7-bit length that announces a 64-bit one.
const LENGTH_IS_U64: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Header, HeaderFault, LengthOverflow};
    use crate::opcode::OpCode;
    use crate::rsv::Rsv;

    #[track_caller]
    fn check(bytes: &[u8], opcode: OpCode, len: u64, faults: &[HeaderFault]) {
        for cut in 0..bytes.len() {
            assert_eq!(
                Header::parse(&bytes[..cut]),
                Ok(None),
                "whole after {cut} bytes"
            );
        }
        let (header, size) = Header::parse(bytes).unwrap().unwrap();
        assert_eq!(
            (header.opcode, header.len, size),
            (opcode, len, bytes.len())
        );
        assert_eq!(header.faults(size, Rsv::NONE).collect::<Vec<_>>(), faults);
    }

    #[test]
    fn parses_the_three_forms_of_length() {
        check(&[0x81, 0x00], OpCode::Text, 0, &[]);
        check(&[0x81, 0x7d], OpCode::Text, 125, &[]);
        check(&[0x82, 0x7e, 0x00, 0x7e], OpCode::Binary, 126, &[]);
        check(&[0x82, 0x7e, 0xff, 0xff], OpCode::Binary, 65_535, &[]);
        check(
            &[0x00, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0],
            OpCode::Continuation,
            65_536,
            &[],
        );
        check(
            &[0x82, 0xff, 0x7f, !0, !0, !0, !0, !0, !0, !0, 1, 2, 3, 4],
            OpCode::Binary,
            Header::MAX_LEN,
            &[],
        );
    }

    #[test]
    fn keeps_the_place_after_what_is_merely_forbidden() {
        use HeaderFault::{
            FragmentedControl, LongControl, NonMinimalLength, ReservedBits, ReservedOpcode,
        };

        check(&[0xc1, 0x01], OpCode::Text, 1, &[ReservedBits]);
        check(&[0x83, 0x01], OpCode::Reserved3, 1, &[ReservedOpcode]);
        check(&[0x8f, 0x01], OpCode::ReservedF, 1, &[ReservedOpcode]);
        check(&[0x09, 0x01], OpCode::Ping, 1, &[FragmentedControl]);
        check(
            &[0x88, 0x7e, 0x00, 0x7e],
            OpCode::Close,
            126,
            &[LongControl],
        );
        check(
            &[0x81, 0x7e, 0x00, 0x7d],
            OpCode::Text,
            125,
            &[NonMinimalLength],
        );
        check(
            &[0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            OpCode::Text,
            65_535,
            &[NonMinimalLength],
        );
        check(
            &[0x7b, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0x7e],
            OpCode::ReservedB,
            126,
            &[
                ReservedBits,
                ReservedOpcode,
                FragmentedControl,
                LongControl,
                NonMinimalLength,
            ],
        );
    }

    #[test]
    fn allows_the_reserved_bits_of_an_extension() {
        let (header, size) = Header::parse(&[0xd1, 0x01]).unwrap().unwrap();

        assert_eq!(header.rsv, Rsv::RSV1 | Rsv::RSV3);
        assert_eq!(
            header.faults(size, Rsv::RSV1).next(),
            Some(HeaderFault::ReservedBits)
        );
        assert_eq!(header.faults(size, Rsv::ALL).next(), None);
    }

    #[test]
    fn a_length_of_64_bits_loses_the_place() {
        let bytes = [0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Header::parse(&bytes), Err(LengthOverflow));

        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode: OpCode::Binary,
            mask: None,
            len: 1 << 63,
        };
        assert_eq!(
            header.write(&mut [0; Header::MAX_SIZE]),
            Err(LengthOverflow)
        );
    }
}

//! What is done to a relay, read from bytes.

use wsgate_frame::{Header, OpCode, Role, Rsv};

/// One end of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Upstream,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// So many reads.
    Says(Side, Vec<Vec<u8>>),
    /// So many bytes more.
    Takes(Side, usize),
    HoldsFlush(Side, bool),
    Ends(Side),
    /// Reads fail from then on, and writes too.
    Breaks(Side),
    /// Writes fail.
    Deafens(Side),
    Recalls,
    /// So many milliseconds pass.
    Waits(u64),
    /// The relay is polled without need.
    Wakes,
    /// It is dropped.
    Cancels,
}

/// The operations, one after the other.
pub(super) struct Script<'a> {
    bytes: &'a [u8],
}

// ===== impl Script =====

impl<'a> Script<'a> {
    /// The script, and a byte about the relay itself.
    pub(super) fn of(bytes: &'a [u8]) -> Option<(Self, u8)> {
        let (flags, bytes) = bytes.split_first()?;
        Some((Self { bytes }, *flags))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    /// A frame, in pieces.
    fn says(&mut self, side: Side) -> Option<Op> {
        let [first, size] = [self.byte()?, self.byte()?];
        // Mostly those that there are, with all their flags.
        let first = match first & 0x30 {
            0 => first,
            _ => [0x82, 0x02, 0x80, 0x88, 0x89, 0x8a, 0x00, 0xc1][usize::from(first & 7)],
        };
        let len = match size {
            0..=199 => size.into(),
            200..=239 => 126 + u32::from(size - 200),
            240..=251 => 1_000 * u32::from(size - 239),
            252.. => 65_532 + u32::from(size - 252),
        };
        let bytes = frame(side.role(), first, len);
        Some(Op::Says(side, self.cut(bytes)?))
    }

    /// What need be no frame.
    fn babbles(&mut self, side: Side) -> Option<Op> {
        let len = self.byte()? % 20;
        let bytes = (0..len).map_while(|_| self.byte()).collect();
        Some(Op::Says(side, self.cut(bytes)?))
    }

    fn cut(&mut self, bytes: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        if bytes.is_empty() {
            return Some(Vec::new());
        }
        let size = match self.byte()? {
            0..=127 => bytes.len(),
            128..=159 if bytes.len() < 400 => 1,
            cut => (usize::from(cut - 127) * bytes.len()).div_ceil(128),
        };
        Some(bytes.chunks(size).map(<[u8]>::to_vec).collect())
    }
}

impl Iterator for Script<'_> {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let op = self.byte()?;
        let side = match op & 1 {
            0 => Side::Client,
            _ => Side::Upstream,
        };
        match (op >> 1) % 20 {
            0..=5 => self.says(side),
            6 => self.babbles(side),
            7..=9 => {
                let most = usize::from(self.byte()?);
                // Now and then everything that may come.
                Some(Op::Takes(
                    side,
                    if most > 200 { usize::MAX } else { most * most },
                ))
            }
            10 => Some(Op::HoldsFlush(side, true)),
            11 => Some(Op::HoldsFlush(side, false)),
            12 => Some(Op::Ends(side)),
            13 => Some(Op::Breaks(side)),
            14 => Some(Op::Deafens(side)),
            15 => Some(Op::Recalls),
            16 | 17 => Some(Op::Waits(u64::from(self.byte()?) * 40)),
            18 => Some(Op::Wakes),
            _ => Some(Op::Cancels),
        }
    }
}

// ===== impl Side =====

impl Side {
    pub(super) const fn role(self) -> Role {
        match self {
            Self::Client => Role::Client,
            Self::Upstream => Role::Server,
        }
    }
}

/// A frame with this first byte.
pub(super) fn frame(role: Role, first: u8, len: u32) -> Vec<u8> {
    let header = Header {
        fin: first & 0x80 != 0,
        rsv: Rsv::from_bits(first),
        opcode: OpCode::from_bits(first),
        mask: role.masks().then_some([0; 4]),
        len: len.into(),
    };
    let mut buf = [0; Header::MAX_SIZE];
    let mut frame = header
        .write(&mut buf)
        .expect("the length can be written")
        .to_vec();
    frame.extend((0..len).map(|at| at as u8));
    frame
}

//! The three reserved bits of a frame: RFC 6455 5.2, "RSV1, RSV2, RSV3", and 11.9, the registry.

use core::ops::BitOr;

/// A set of the three reserved bits.
///
/// They are zero unless an extension was agreed that gives them a meaning. permessage-deflate uses
/// [`Rsv::RSV1`] (RFC 7692 6).
///
/// # Example
///
/// ```
/// use wsgate_frame::Rsv;
///
/// let compressed = Rsv::from_bits(0xc1);
/// assert_eq!(compressed, Rsv::RSV1);
/// assert!((Rsv::RSV1 | Rsv::RSV3).contains(compressed));
/// assert!(!Rsv::NONE.contains(compressed));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
// Only the bits 0x70 are ever set: a frame's first byte as it stands.
pub struct Rsv(u8);

// ===== impl Rsv =====

impl Rsv {
    /// None of the bits: what a frame has when no extension was agreed.
    pub const NONE: Self = Self(0x00);
    /// The first bit, which marks a compressed message in permessage-deflate.
    pub const RSV1: Self = Self(0x40);
    /// The second bit.
    pub const RSV2: Self = Self(0x20);
    /// The third bit.
    pub const RSV3: Self = Self(0x10);
    /// All three bits.
    pub const ALL: Self = Self(0x70);

    /// Takes the reserved bits from where they stand in a frame's first byte, and ignores the
    /// others.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bits, as they stand in a frame's first byte.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all bits of `other` are in this set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

impl BitOr for Rsv {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

//! What a frame is: RFC 6455 5.2, "Opcode", and 11.8, the registry.

use core::fmt;

/// What a frame is, all sixteen values of the four bits.
///
/// The reserved values are kept rather than refused: a relay passes on what it does not know.
///
/// # Example
///
/// ```
/// use wsgate_frame::OpCode;
///
/// let ping = OpCode::from_bits(0x89);
/// assert_eq!(ping, OpCode::Ping);
/// assert!(ping.is_control());
///
/// let unknown = OpCode::from_bits(0x0b);
/// assert!(unknown.is_control() && unknown.is_reserved());
/// assert_eq!(unknown.bits(), 0x0b);
/// assert_eq!(unknown.to_string(), "reserved control 0xb");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// The next piece of a fragmented message.
    Continuation = 0x0,
    /// A text message, or its first piece.
    Text = 0x1,
    /// A binary message, or its first piece.
    Binary = 0x2,
    /// Reserved for a further data frame.
    Reserved3 = 0x3,
    /// Reserved for a further data frame.
    Reserved4 = 0x4,
    /// Reserved for a further data frame.
    Reserved5 = 0x5,
    /// Reserved for a further data frame.
    Reserved6 = 0x6,
    /// Reserved for a further data frame.
    Reserved7 = 0x7,
    /// The end of what its sender has to say.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or tells unasked that its sender is alive.
    Pong = 0xa,
    /// Reserved for a further control frame.
    ReservedB = 0xb,
    /// Reserved for a further control frame.
    ReservedC = 0xc,
    /// Reserved for a further control frame.
    ReservedD = 0xd,
    /// Reserved for a further control frame.
    ReservedE = 0xe,
    /// Reserved for a further control frame.
    ReservedF = 0xf,
}

// ===== impl OpCode =====

impl OpCode {
    /// Takes the opcode from the low four bits, so that a frame's first byte can be given as it is.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0x0f {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x3 => Self::Reserved3,
            0x4 => Self::Reserved4,
            0x5 => Self::Reserved5,
            0x6 => Self::Reserved6,
            0x7 => Self::Reserved7,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            0xb => Self::ReservedB,
            0xc => Self::ReservedC,
            0xd => Self::ReservedD,
            0xe => Self::ReservedE,
            _ => Self::ReservedF,
        }
    }

    /// The opcode as the low four bits of a frame's first byte.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether frames of this kind may stand between the pieces of a message: opcodes with the
    /// highest bit set (RFC 6455 5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }

    /// Whether RFC 6455 leaves this value to later versions and extensions.
    #[inline]
    pub const fn is_reserved(self) -> bool {
        matches!(self.bits(), 0x3..=0x7 | 0xb..=0xf)
    }

    /// The opcode's name. Reserved ones share `reserved data` and `reserved control`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
            reserved if reserved.is_control() => "reserved control",
            _ => "reserved data",
        }
    }
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_reserved() {
            write!(f, "{} {:#x}", self.name(), self.bits())
        } else {
            f.write_str(self.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OpCode;

    #[test]
    fn keeps_all_sixteen_values() {
        for bits in 0x0..=0xf {
            assert_eq!(OpCode::from_bits(bits).bits(), bits);
            assert_eq!(OpCode::from_bits(bits | 0xf0).bits(), bits);
        }
    }

    #[test]
    fn tells_data_control_and_reserved_apart() {
        let kinds = |wanted: fn(OpCode) -> bool| {
            (0x0..=0xf)
                .filter(|&bits| wanted(OpCode::from_bits(bits)))
                .fold(0u16, |set, bits| set | 1 << bits)
        };

        assert_eq!(kinds(OpCode::is_control), 0xff00);
        assert_eq!(kinds(OpCode::is_reserved), 0xf8f8);
    }
}

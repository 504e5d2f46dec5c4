//! Control frames of our own: RFC 6455 5.5.

use core::{error, fmt, ops::Deref};

use crate::close::CloseCode;
use crate::header::Header;
use crate::mask::apply_mask;
use crate::opcode::OpCode;
use crate::rsv::Rsv;

/// The longest payload of a control frame, in bytes (RFC 6455 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// A control frame as it goes on the wire, kept on the stack. It derefs to its bytes.
///
/// Frames to a server need a mask that nobody can guess, fresh for each one, from a strong source
/// of randomness (RFC 6455 5.3 and 10.3); frames to a client must have none. This crate has no such
/// source: hand the key in.
///
/// # Example
///
/// ```
/// use wsgate_frame::{CloseCode, ControlError, ControlFrame};
///
/// let ping = ControlFrame::ping(b"Hello", None)?;
/// assert_eq!(*ping, *b"\x89\x05Hello");
///
/// let close = ControlFrame::close(CloseCode::SERVICE_RESTART, "", Some([0xff, 0, 0, 0]))?;
/// assert_eq!(*close, *b"\x88\x82\xff\x00\x00\x00\xfc\xf4");
///
/// let forbidden = ControlFrame::close(CloseCode::ABNORMAL_CLOSURE, "", None);
/// assert_eq!(forbidden, Err(ControlError::UnsendableCode(CloseCode::ABNORMAL_CLOSURE)));
/// # Ok::<(), ControlError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ControlFrame {
    /// How many bytes of `bytes` there are.
    len: u8,
    /// The frame, then zeros.
    bytes: [u8; MAX_FRAME],
}

/// Why a control frame cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// The payload would be longer than 125 bytes. The two bytes of a close code count.
    PayloadTooLong,
    /// The close code is one that must not be sent: see [`CloseCode::is_sendable`].
    UnsendableCode(CloseCode),
}

// ===== impl ControlFrame =====

impl ControlFrame {
    /// A ping, which its receiver answers with the same payload (RFC 6455 5.5.2).
    ///
    /// # Errors
    ///
    /// [`ControlError::PayloadTooLong`] above 125 bytes.
    pub fn ping(payload: &[u8], mask: Option<[u8; 4]>) -> Result<Self, ControlError> {
        Self::build(OpCode::Ping, &[], payload, mask)
    }

    /// A pong, which answers a ping with the ping's payload, or stands for itself (RFC 6455 5.5.3).
    ///
    /// # Errors
    ///
    /// [`ControlError::PayloadTooLong`] above 125 bytes.
    pub fn pong(payload: &[u8], mask: Option<[u8; 4]>) -> Result<Self, ControlError> {
        Self::build(OpCode::Pong, &[], payload, mask)
    }

    /// A Close that says why (RFC 6455 5.5.1). The `reason` may be empty, and is at most 123 bytes
    /// long.
    ///
    /// # Errors
    ///
    /// [`ControlError::PayloadTooLong`] when the reason is too long,
    /// [`ControlError::UnsendableCode`] when the code is not for the wire.
    pub fn close(
        code: CloseCode,
        reason: &str,
        mask: Option<[u8; 4]>,
    ) -> Result<Self, ControlError> {
        if !code.is_sendable() {
            return Err(ControlError::UnsendableCode(code));
        }
        Self::build(
            OpCode::Close,
            &code.0.to_be_bytes(),
            reason.as_bytes(),
            mask,
        )
    }

    fn build(
        opcode: OpCode,
        code: &[u8],
        text: &[u8],
        mask: Option<[u8; 4]>,
    ) -> Result<Self, ControlError> {
        let len = code.len() + text.len();
        if len > MAX_CONTROL_PAYLOAD {
            return Err(ControlError::PayloadTooLong);
        }
        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode,
            mask,
            len: len as u64,
        };
        let mut header_bytes = [0; Header::MAX_SIZE];
        let header_bytes = header
            .write(&mut header_bytes)
            .expect("125 has fewer than 64 bits");

        let size = header_bytes.len() + len;
        let mut bytes = [0; MAX_FRAME];
        let (head, payload) = bytes[..size].split_at_mut(header_bytes.len());
        head.copy_from_slice(header_bytes);
        payload[..code.len()].copy_from_slice(code);
        payload[code.len()..].copy_from_slice(text);
        if let Some(key) = mask {
            apply_mask(payload, key, 0);
        }
        Ok(Self {
            len: size as u8,
            bytes,
        })
    }
}

impl Deref for ControlFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl AsRef<[u8]> for ControlFrame {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for ControlFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ControlFrame").field(&&**self).finish()
    }
}

// ===== impl ControlError =====

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PayloadTooLong => f.write_str("control payload of more than 125 bytes"),
            Self::UnsendableCode(code) => write!(f, "close code {code} must not be sent"),
        }
    }
}

impl error::Error for ControlError {}

/// Two bytes, a mask and the longest payload.
const MAX_FRAME: usize = 2 + 4 + MAX_CONTROL_PAYLOAD;

#[cfg(test)]
mod tests {
    use super::{ControlError, ControlFrame, MAX_FRAME};
    use crate::close::CloseCode;

    #[test]
    fn fills_the_frame_to_its_last_byte() {
        assert_eq!(
            ControlFrame::pong(&[b'x'; 125], Some([1, 2, 3, 4]))
                .unwrap()
                .len(),
            MAX_FRAME
        );

        let longest = str::from_utf8(&[b'x'; 123]).unwrap();
        assert_eq!(
            ControlFrame::close(CloseCode(4999), longest, Some([0; 4]))
                .unwrap()
                .len(),
            MAX_FRAME
        );
    }

    #[test]
    fn refuses_one_byte_more() {
        let too_long = Err(ControlError::PayloadTooLong);
        assert_eq!(ControlFrame::ping(&[b'x'; 126], None), too_long);
        assert_eq!(ControlFrame::pong(&[b'x'; 126], None), too_long);

        let reason = str::from_utf8(&[b'x'; 124]).unwrap();
        assert_eq!(
            ControlFrame::close(CloseCode::GOING_AWAY, reason, None),
            too_long
        );
    }
}

//! Why a connection closes: RFC 6455 5.5.1 and 7.4, and the IANA "WebSocket Close Code Number
//! Registry".

use core::{error, fmt, str};

use crate::control::MAX_CONTROL_PAYLOAD;

/// Why a connection closes, as a number.
///
/// Every number can be held, also those that the protocol reserves:
/// [`is_sendable`](Self::is_sendable) tells which may stand in a Close frame.
///
/// # Example
///
/// ```
/// use wsgate_frame::CloseCode;
///
/// assert_eq!(CloseCode(1012), CloseCode::SERVICE_RESTART);
/// assert_eq!(CloseCode::SERVICE_RESTART.to_string(), "1012 service restart");
///
/// // Applications have a range for themselves.
/// assert!(CloseCode(4001).is_sendable());
/// // "The connection broke" can be told to the application, but not to the peer.
/// assert!(!CloseCode::ABNORMAL_CLOSURE.is_sendable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(
    /// The number itself.
    pub u16,
);

/// The payload of a Close frame, as it came: a code and a reason, both optional.
///
/// It is a plain value of 126 bytes: reading one allocates nothing. Payloads that break the rules
/// are held too, because a log line should show what the peer really sent; [`check`](Self::check)
/// says what is wrong with them.
///
/// # Example
///
/// ```
/// use wsgate_frame::{Close, CloseCode, CloseFault};
///
/// let close = Close::parse(b"\x03\xe9brb").expect("at most 125 bytes");
/// assert_eq!(close.code(), Some(CloseCode::GOING_AWAY));
/// assert_eq!(close.reason(), Some("brb"));
/// assert_eq!(close.check(), Ok(()));
///
/// let forbidden = Close::parse(b"\x03\xee").expect("at most 125 bytes");
/// assert_eq!(forbidden.code(), Some(CloseCode::ABNORMAL_CLOSURE));
/// assert_eq!(forbidden.check(), Err(CloseFault::UnsendableCode(CloseCode::ABNORMAL_CLOSURE)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// How many bytes of `payload` there are.
    len: u8,
    /// The unmasked payload, then zeros.
    payload: [u8; MAX_CONTROL_PAYLOAD],
}

/// What is wrong with the payload of a Close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseFault {
    /// The payload is one byte long, half a code (RFC 6455 5.5.1).
    HalfCode,
    /// The code is one that must not be sent (RFC 6455 7.4).
    UnsendableCode(CloseCode),
    /// The reason is not UTF-8 (RFC 6455 5.5.1).
    ReasonNotUtf8,
}

// ===== impl CloseCode =====

impl CloseCode {
    /// 1000: what the connection was made for is done.
    pub const NORMAL_CLOSURE: Self = Self(1000);
    /// 1001: a server shuts down, or a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the peer sent a kind of data that this end cannot take, such as binary to a text-only
    /// one.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1004: reserved, without a meaning so far. Never sent.
    pub const RESERVED_1004: Self = Self(1004);
    /// 1005: stands for a Close without a code. Never sent.
    pub const NO_STATUS_RECEIVED: Self = Self(1005);
    /// 1006: stands for a connection that ended without a Close. Never sent.
    pub const ABNORMAL_CLOSURE: Self = Self(1006);
    /// 1007: a message does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message breaks this end's policy; also when no other code fits, or none should be
    /// told.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big for this end.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs. Only clients send it.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met something that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts; come back after 5 to 30 seconds, chosen at random.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; come back later, or to another address.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got no valid answer from its upstream, as 502 says in HTTP.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: stands for a failed TLS handshake. Never sent.
    pub const TLS_HANDSHAKE: Self = Self(1015);
    /// 3000: the client has to authenticate, as 401 says in HTTP.
    pub const UNAUTHORIZED: Self = Self(3000);
    /// 3003: the client may not do this, as 403 says in HTTP.
    pub const FORBIDDEN: Self = Self(3003);
    /// 3008: the peer took too long, as 408 says in HTTP.
    pub const TIMEOUT: Self = Self(3008);

    /// Whether the code may stand in a Close frame.
    ///
    /// RFC 6455 7.4.1 keeps 1004, 1005, 1006 and 1015 off the wire. Of the rest of 1000 to 2999
    /// only registered codes are in use, up to 1014 today. 3000 to 3999 are for libraries and 4000
    /// to 4999 for applications, registered or not (7.4.2).
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The code's name, or that of the range it falls in.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NORMAL_CLOSURE => "normal closure",
            Self::GOING_AWAY => "going away",
            Self::PROTOCOL_ERROR => "protocol error",
            Self::UNSUPPORTED_DATA => "unsupported data",
            Self::NO_STATUS_RECEIVED => "no status received",
            Self::ABNORMAL_CLOSURE => "abnormal closure",
            Self::INVALID_PAYLOAD => "invalid payload",
            Self::POLICY_VIOLATION => "policy violation",
            Self::MESSAGE_TOO_BIG => "message too big",
            Self::MANDATORY_EXTENSION => "mandatory extension",
            Self::INTERNAL_ERROR => "internal error",
            Self::SERVICE_RESTART => "service restart",
            Self::TRY_AGAIN_LATER => "try again later",
            Self::BAD_GATEWAY => "bad gateway",
            Self::TLS_HANDSHAKE => "tls handshake",
            Self::UNAUTHORIZED => "unauthorized",
            Self::FORBIDDEN => "forbidden",
            Self::TIMEOUT => "timeout",
            Self(1000..=2999) => "reserved",
            Self(3000..=3999) => "library code",
            Self(4000..=4999) => "application code",
            Self(_) => "invalid code",
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({self})")
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

// ===== impl Close =====

impl Close {
    /// Reads the unmasked payload of a Close frame. `None` when it is longer than the 125 bytes of
    /// a control frame.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_CONTROL_PAYLOAD];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self {
            len: payload.len() as u8,
            payload: bytes,
        })
    }

    /// The payload as it came, after unmasking.
    pub fn payload(&self) -> &[u8] {
        &self.payload[..usize::from(self.len)]
    }

    /// The code, `None` when there was none, or half of one.
    pub fn code(&self) -> Option<CloseCode> {
        let code = self.payload().first_chunk()?;
        Some(CloseCode(u16::from_be_bytes(*code)))
    }

    /// The reason, empty when there was none, `None` when it is not UTF-8.
    ///
    /// It is the peer's text: escape it before it goes to a log or a page.
    pub fn reason(&self) -> Option<&str> {
        str::from_utf8(self.reason_bytes()).ok()
    }

    /// The bytes of the reason, UTF-8 or not.
    pub fn reason_bytes(&self) -> &[u8] {
        self.payload().get(2..).unwrap_or_default()
    }

    /// Whether the payload is one that a peer may send.
    ///
    /// # Errors
    ///
    /// The first rule of RFC 6455 5.5.1 and 7.4 that it breaks.
    pub fn check(&self) -> Result<(), CloseFault> {
        match self.code() {
            None if self.len != 0 => Err(CloseFault::HalfCode),
            Some(code) if !code.is_sendable() => Err(CloseFault::UnsendableCode(code)),
            _ if self.reason().is_none() => Err(CloseFault::ReasonNotUtf8),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut close = f.debug_struct("Close");
        close.field("code", &self.code());
        match self.reason() {
            Some(reason) => close.field("reason", &reason),
            None => close.field("reason", &self.reason_bytes()),
        };
        close.finish()
    }
}

// ===== impl CloseFault =====

impl fmt::Display for CloseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HalfCode => f.write_str("close payload of one byte"),
            Self::UnsendableCode(code) => write!(f, "close code {code} must not be sent"),
            Self::ReasonNotUtf8 => f.write_str("close reason is not utf-8"),
        }
    }
}

impl error::Error for CloseFault {}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{Close, CloseCode, CloseFault};

    #[track_caller]
    fn check(
        payload: &[u8],
        code: Option<CloseCode>,
        reason: Option<&str>,
        valid: Result<(), CloseFault>,
    ) {
        let close = Close::parse(payload).unwrap();
        assert_eq!(close.payload(), payload);
        assert_eq!(close.code(), code);
        assert_eq!(close.reason(), reason);
        assert_eq!(close.check(), valid);
    }

    #[test]
    fn reads_every_kind_of_payload() {
        check(b"", None, Some(""), Ok(()));
        check(b"\x03", None, Some(""), Err(CloseFault::HalfCode));
        check(
            b"\x03\xe8",
            Some(CloseCode::NORMAL_CLOSURE),
            Some(""),
            Ok(()),
        );
        check(
            "\u{fb}\u{e9}\u{e9}".as_bytes(),
            Some(CloseCode(0xc3bb)),
            Some("éé"),
            unsendable(0xc3bb),
        );
        check(b"\x0f\xa0bye", Some(CloseCode(4000)), Some("bye"), Ok(()));
        check(
            b"\x03\xe8\xff",
            Some(CloseCode::NORMAL_CLOSURE),
            None,
            Err(CloseFault::ReasonNotUtf8),
        );
        check(
            b"\x03\xed",
            Some(CloseCode::NO_STATUS_RECEIVED),
            Some(""),
            unsendable(1005),
        );
    }

    #[test]
    fn holds_no_more_than_a_control_frame_can() {
        assert!(Close::parse(&[b'x'; 125]).is_some());
        assert_eq!(Close::parse(&[b'x'; 126]), None);
    }

    #[test]
    fn sends_only_what_the_registry_allows() {
        let mut sendable = (0..=u16::MAX).filter(|&code| CloseCode(code).is_sendable());

        assert!(sendable.by_ref().take(4).eq(1000..=1003));
        assert!(sendable.by_ref().take(8).eq(1007..=1014));
        assert!(sendable.eq(3000..=4999));
    }

    #[test]
    fn debug_shows_the_code_by_name_and_escapes_the_reason() {
        let close = Close::parse(b"\x03\xf6no\nupstream").unwrap();
        assert_eq!(
            format!("{close:?}"),
            r#"Close { code: Some(CloseCode(1014 bad gateway)), reason: "no\nupstream" }"#
        );
    }

    fn unsendable(code: u16) -> Result<(), CloseFault> {
        Err(CloseFault::UnsendableCode(CloseCode(code)))
    }
}

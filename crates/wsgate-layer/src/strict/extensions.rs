//! What the agreed extensions allow: RFC 6455 9.1 and RFC 7692 6.

use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};
use wsgate_frame::{Header, OpCode, Rsv};

/// Which bits and opcodes have a meaning beside those of RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreed {
    /// None.
    Nothing,
    /// The first reserved bit, in the first frame of a message.
    Deflate,
    /// Nobody knows which.
    Unknown,
}

// ===== impl Agreed =====

impl Agreed {
    /// What an answer has agreed to.
    pub(super) fn of(answer: &HeaderMap) -> Self {
        let mut agreed = Self::Nothing;
        for field in answer.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            let Ok(field) = field.to_str() else {
                return Self::Unknown;
            };
            // A comma in a quoted parameter makes two of one, and the second is one that nobody knows:
            // permessage-deflate has no such parameter.
            for extension in field.split(',') {
                let name = extension.split(';').next().unwrap_or_default().trim();
                if name.eq_ignore_ascii_case("permessage-deflate") {
                    agreed = Self::Deflate;
                } else if !name.is_empty() {
                    return Self::Unknown;
                }
            }
        }
        agreed
    }

    /// Whether a frame may have the reserved bits that it has.
    pub(super) fn allows_bits(self, header: &Header) -> bool {
        let begins_message = matches!(header.opcode, OpCode::Text | OpCode::Binary);
        let allowed = match self {
            Self::Deflate if begins_message => Rsv::RSV1,
            Self::Nothing | Self::Deflate => Rsv::NONE,
            Self::Unknown => Rsv::ALL,
        };
        allowed.contains(header.rsv)
    }

    /// Whether reserved opcodes may have a meaning.
    pub(super) const fn allows_opcodes(self) -> bool {
        matches!(self, Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(fields: &[&[u8]], expected: Agreed) {
        let mut answer = HeaderMap::new();
        for field in fields {
            let field = HeaderValue::from_bytes(field).unwrap();
            answer.append(SEC_WEBSOCKET_EXTENSIONS, field);
        }
        assert_eq!(Agreed::of(&answer), expected, "{answer:?}");
    }

    #[test]
    fn only_what_is_known_is_held_to_its_rules() {
        check(&[], Agreed::Nothing);
        check(&[b""], Agreed::Nothing);
        check(&[b"permessage-deflate"], Agreed::Deflate);
        check(
            &[b" Permessage-Deflate ; server_max_window_bits=10"],
            Agreed::Deflate,
        );
        check(&[b"permessage-deflate, x-own"], Agreed::Unknown);
        check(&[b"x-webkit-deflate-frame"], Agreed::Unknown);
        check(&[b"permessage-deflate", b"mux; quota=1"], Agreed::Unknown);
        check(&[b"\xff"], Agreed::Unknown);
    }
}

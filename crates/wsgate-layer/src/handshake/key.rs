use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use sha1::{Digest, Sha1};

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 4.2.2).
#[must_use]
pub fn accept_key(key: &[u8]) -> HeaderValue {
    let mut sha = Sha1::new();
    sha.update(key);
    sha.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(&sha.finalize())
}

/// A fresh `Sec-WebSocket-Key`: 16 random bytes in base64 (RFC 6455 4.1).
#[must_use]
pub fn new_key() -> HeaderValue {
    base64(&rand::random::<[u8; 16]>())
}

/// Whether a `Sec-WebSocket-Key` is what the RFC asks for: 16 bytes in base64.
pub(super) fn is_key(value: &HeaderValue) -> bool {
    STANDARD
        .decode(value.as_bytes())
        .is_ok_and(|bytes| bytes.len() == 16)
}

fn base64(bytes: &[u8]) -> HeaderValue {
    HeaderValue::try_from(STANDARD.encode(bytes)).expect("base64 is made of visible ASCII")
}

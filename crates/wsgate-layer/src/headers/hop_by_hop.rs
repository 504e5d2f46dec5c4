use http::{
    HeaderMap, HeaderName,
    header::{CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

use crate::handshake::tokens;

/// Fields that speak of one connection (RFC 9110 7.6.1), whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    // Comes with `Upgrade: h2c` (RFC 7540 3.2.1), and must not outlive it.
    HeaderName::from_static("http2-settings"),
];

/// Removes what is meant for one connection only.
///
/// `Connection` may name any field, and a client could name one that the upstream relies on. The
/// fields without which there is no handshake stay all the same.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens::members(headers, &CONNECTION)
        .filter_map(|name| name.parse::<HeaderName>().ok())
        .filter(|name| *name != HOST && !name.as_str().starts_with("sec-websocket-"))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

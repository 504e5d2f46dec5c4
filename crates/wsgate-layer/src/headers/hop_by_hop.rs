use http::{
    HeaderMap, HeaderName,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, ORIGIN, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
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
/// `Connection` may name any field, and a client could name one that the upstream relies on. Those
/// that are [for the upstream](is_end_to_end) stay all the same.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens::members(headers, &CONNECTION)
        .filter_map(|name| name.parse::<HeaderName>().ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Whether a field is never meant for one connection, whatever `Connection` says: without it there is
/// no handshake, or the upstream decides by it who asks and from where. A trusted proxy that passes
/// its client's `Connection` on would else have its own word about that client taken away.
fn is_end_to_end(name: &HeaderName) -> bool {
    let prefixes = ["sec-websocket-", "x-forwarded-"];
    let named = [
        HOST,
        ORIGIN,
        COOKIE,
        AUTHORIZATION,
        CONTENT_LENGTH,
        FORWARDED,
        HeaderName::from_static("x-real-ip"),
    ];
    named.contains(name) || prefixes.iter().any(|p| name.as_str().starts_with(p))
}

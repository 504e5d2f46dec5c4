//! Where a header ends, and what it says. No I/O.
//!
//! Only the extent is told here, from the few bytes that say it, since a header may come in pieces
//! and what follows it must be left alone. What is in a whole one is for `proxy-header` to read.

use std::fmt;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};

use crate::accept::canonical;

/// How far a header goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// So far.
    Whole(usize),
    /// Further than this, and to here at most.
    Beginning { most: usize },
}

/// Why a connection that has to begin with a header was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// It ended within the header, or before.
    Closed,
    /// The header was not whole in time.
    Late,
    /// It begins with something else.
    Absent,
    /// The header is longer than one can be, or than [`V2_MOST`].
    TooLong,
    /// It is no header in spite of its beginning.
    Malformed,
}

/// How much there is to look at before anything is known: the longest header of version 1.
pub(super) const FIRST_LOOK: usize = V1_MOST;

/// The extent of the header that begins with these bytes.
///
/// Bytes that are no longer than [`Extent::Beginning::most`] said are never more than the header, or
/// what follows it is told by [`Extent::Whole`].
pub(super) fn extent(bytes: &[u8]) -> Result<Extent, HeaderFault> {
    if begins_alike(bytes, V2_SIGNATURE) {
        let Some(&[_, _, high, low]) = bytes.get(V2_SIGNATURE.len()..V2_FIXED) else {
            return Ok(Extent::Beginning { most: V2_FIXED });
        };
        let most = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
        return match bytes.len() {
            _ if most > V2_MOST => Err(HeaderFault::TooLong),
            seen if seen >= most => Ok(Extent::Whole(most)),
            _ => Ok(Extent::Beginning { most }),
        };
    }
    if begins_alike(bytes, V1_PREFIX) {
        let line = &bytes[..bytes.len().min(V1_MOST)];
        let end = line.iter().position(|byte| *byte == b'\n');
        return match end {
            Some(end) => Ok(Extent::Whole(end + 1)),
            None if bytes.len() >= V1_MOST => Err(HeaderFault::TooLong),
            None => Ok(Extent::Beginning { most: V1_MOST }),
        };
    }
    Err(HeaderFault::Absent)
}

/// The client that a whole header tells of. `None` where it tells of none: a connection of the
/// sender's own (LOCAL), or one by a protocol without addresses of this kind (UNKNOWN, UNSPEC, UNIX).
pub(super) fn client(header: &[u8]) -> Result<Option<SocketAddr>, HeaderFault> {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    let (parsed, size) = ProxyHeader::parse(header, config).map_err(|_| HeaderFault::Malformed)?;
    if size != header.len() {
        return Err(HeaderFault::Malformed);
    }
    let addresses = parsed.proxied_address();
    Ok(addresses.map(|addresses| canonical(addresses.source)))
}

/// Whether a connection begins as one with a header would.
pub(crate) fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(V1_PREFIX) || bytes.starts_with(V2_SIGNATURE)
}

// ===== impl HeaderFault =====

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed before its PROXY protocol header was whole",
            Self::Late => "no PROXY protocol header in time",
            Self::Absent => "it does not begin with a PROXY protocol header",
            Self::TooLong => "its PROXY protocol header is too long",
            Self::Malformed => "its PROXY protocol header is malformed",
        })
    }
}

/// As far as there is something of both.
fn begins_alike(bytes: &[u8], expected: &[u8]) -> bool {
    bytes.iter().zip(expected).all(|(a, b)| a == b)
}

const V1_PREFIX: &[u8] = b"PROXY ";

/// With its line end: what the longest addresses and ports come to, and a few bytes (2.1).
const V1_MOST: usize = 107;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, protocols, and the length of the rest (2.2).
const V2_FIXED: usize = 16;

/// What is taken of version 2. Its 16 bits of length could have us keep 64 KiB; addresses take 52
/// bytes, those of Unix sockets 232, and what balancers add to them (names, a checksum, a client's
/// certificate at the most) some hundred more.
const V2_MOST: usize = 4096;

#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(unreachable_pub, reason = "a fuzz target calls it"))]
pub(crate) mod laws;

#[cfg(test)]
mod tests;

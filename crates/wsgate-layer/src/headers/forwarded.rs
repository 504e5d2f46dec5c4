//! `X-Forwarded-*`, `X-Real-IP` and `Forwarded`: what we tell the upstream about the client.

use std::{fmt::Write, net::IpAddr};

use bytes::{BufMut, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::FORWARDED,
    uri::{Authority, Scheme},
};

use crate::{
    client::{TrustedProxies, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO},
    handshake::tokens,
};

const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What is known of the request at this hop, none of it from the fields set here.
pub(super) struct Hop<'a> {
    pub(super) peer: Option<IpAddr>,
    pub(super) scheme: &'a Scheme,
    /// The Host that the client asked for.
    pub(super) host: Option<&'a HeaderValue>,
}

/// Sets the family. What was there is kept and added to if the peer is trusted, else removed.
pub(super) fn set(headers: &mut HeaderMap, hop: &Hop<'_>, trusted: &TrustedProxies) {
    let peer = hop.peer.map(|p| p.to_canonical());
    if !peer.is_some_and(|p| trusted.contains(p)) {
        remove_family(headers);
    }

    // First, as it reads what the peer said before this hop adds to it.
    let forwarded = forwarded(headers, peer, hop);
    if let Some(peer) = peer {
        let client = trusted.client(peer, headers);
        set_default(headers, X_REAL_IP, || ascii(client.to_string()));
        append(headers, X_FORWARDED_FOR, &peer.to_string());
    }
    headers.insert(FORWARDED, forwarded);

    let proto = hop.scheme.as_str();
    set_default(headers, X_FORWARDED_PROTO, || ascii(proto.to_owned()));
    set_default_if(headers, X_FORWARDED_PORT, || {
        hop.host.map(|host| port(host, hop.scheme))
    });
    set_default_if(headers, X_FORWARDED_HOST, || hop.host.cloned());
}

/// All of `X-Forwarded-*`, not only those that we set: an upstream may read more of them.
fn remove_family(headers: &mut HeaderMap) {
    let family: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in family.iter().chain(&[X_REAL_IP, FORWARDED]) {
        headers.remove(name);
    }
}

/// The whole `Forwarded` field: what the trusted peer sent, and this hop's element. A peer that
/// writes only `X-Forwarded-For` has its chain put into words here, so that the two fields agree.
fn forwarded(headers: &HeaderMap, peer: Option<IpAddr>, hop: &Hop<'_>) -> HeaderValue {
    let mut value = BytesMut::new();
    for before in headers.get_all(FORWARDED) {
        separate(&mut value);
        value.put_slice(before.as_bytes());
    }
    // A proxy that does not know the field passes on what its client wrote. An open quote in it would
    // take our own element in.
    if !is_well_formed(&value) {
        value.clear();
        for before in tokens::members(headers, &X_FORWARDED_FOR) {
            separate(&mut value);
            value.put_slice(b"for=");
            put_parameter(&mut value, &node(before));
        }
    }
    separate(&mut value);
    value.put_slice(b"for=");
    let peer = peer.map_or_else(|| "unknown".to_owned(), |p| node(&p.to_string()));
    put_parameter(&mut value, &peer);
    if let Some(host) = hop.host.and_then(|h| h.to_str().ok()) {
        value.put_slice(b";host=");
        put_parameter(&mut value, host);
    }
    value.put_slice(b";proto=");
    value.put_slice(hop.scheme.as_str().as_bytes());
    HeaderValue::from_maybe_shared(value.freeze())
        .expect("made of valid field values and quoted strings")
}

/// Whether this is a list of elements that can be added to (RFC 7239 4).
fn is_well_formed(value: &[u8]) -> bool {
    let mut rest = value;
    loop {
        let Some(behind) = after_parameter(rest) else {
            return false;
        };
        rest = match behind {
            [] => return true,
            [b';', rest @ ..] => rest,
            _ => match after(behind, is_space).strip_prefix(b",") {
                Some(next) => after(next, |b| is_space(b) || b == b','),
                None => return false,
            },
        };
    }
}

/// What stands behind a parameter, where there is one.
fn after_parameter(rest: &[u8]) -> Option<&[u8]> {
    let value = after_token(rest)?.strip_prefix(b"=")?;
    let Some(mut rest) = value.strip_prefix(b"\"") else {
        return after_token(value);
    };
    loop {
        rest = match rest {
            [] => return None,
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', _, rest @ ..] | [_, rest @ ..] => rest,
        };
    }
}

fn after_token(rest: &[u8]) -> Option<&[u8]> {
    Some(after(rest, is_token)).filter(|behind| behind.len() < rest.len())
}

fn after(rest: &[u8], passes: impl Fn(u8) -> bool) -> &[u8] {
    let end = rest.iter().position(|b| !passes(*b));
    &rest[end.unwrap_or(rest.len())..]
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A character of a token (RFC 9110 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A node as RFC 7239 6 writes it: an IPv6 address stands in brackets.
fn node(addr: &str) -> String {
    match addr.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
        _ => addr.to_owned(),
    }
}

/// A parameter's value, quoted where it is no token (RFC 7239 4).
fn put_parameter(out: &mut BytesMut, value: &str) {
    if !value.is_empty() && value.bytes().all(is_token) {
        out.put_slice(value.as_bytes());
        return;
    }
    out.put_u8(b'"');
    for b in value.bytes() {
        if matches!(b, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(b);
    }
    out.put_u8(b'"');
}

/// The port that the client came to, as its Host says it.
fn port(host: &HeaderValue, scheme: &Scheme) -> HeaderValue {
    let authority = Authority::try_from(host.as_bytes()).ok();
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    authority
        .and_then(|a| a.port_u16())
        .unwrap_or(default)
        .into()
}

fn set_default(headers: &mut HeaderMap, name: HeaderName, value: impl FnOnce() -> HeaderValue) {
    set_default_if(headers, name, || Some(value()));
}

/// Of several lines the last was written by the proxy next to us, and those before it perhaps by its
/// client: an upstream that reads the first would be told by whoever likes.
fn set_default_if(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: impl FnOnce() -> Option<HeaderValue>,
) {
    let last = headers.get_all(&name).iter().next_back().cloned();
    if let Some(value) = last.or_else(value) {
        headers.insert(name, value);
    }
}

/// Adds a member to a list field, and folds its lines into one: upstreams often read only the
/// first.
fn append(headers: &mut HeaderMap, name: HeaderName, member: &str) {
    let mut value = BytesMut::new();
    for line in headers.get_all(&name) {
        separate(&mut value);
        value.put_slice(line.as_bytes());
    }
    separate(&mut value);
    write!(value, "{member}").expect("a BytesMut grows");
    let value = HeaderValue::from_maybe_shared(value.freeze());
    headers.insert(name, value.expect("valid field values with commas between"));
}

fn separate(out: &mut BytesMut) {
    if !out.is_empty() {
        out.put_slice(b", ");
    }
}

fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("an address or a scheme is visible ASCII")
}

//! Who came is told as it is, whatever the client says of it.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Request, uri::Scheme};
use wsgate_layer::client::TrustedProxies;

use super::head::{PROXY, STRANGER, TRUSTED, lines, members, request};

/// A request's head: who its client is, behind proxies that are trusted and without.
///
/// # Panics
///
/// When the law is broken.
pub(crate) fn says_who_came(bytes: &[u8]) {
    let Some((req, _)) = request(bytes) else {
        return;
    };
    let trusted = TrustedProxies::new(TRUSTED).expect("they are networks");
    for peer in [STRANGER, PROXY] {
        let client = trusted.client(peer.ip(), req.headers());
        assert_eq!(client, model(peer.ip(), req.headers(), &trusted), "{req:?}");
        // Behind the one next to us nothing but its own word counts: what stands before it, as the client
        // may have sent it, makes no difference.
        let nobody = TrustedProxies::none();
        assert_eq!(nobody.client(peer.ip(), req.headers()), peer.ip());
    }

    let mut behind = req.headers().clone();
    behind.append("x-forwarded-for", "192.0.2.7".parse().expect("a value"));
    let client = trusted.client(PROXY.ip(), &behind);
    assert_eq!(client, IpAddr::from([192, 0, 2, 7]), "forged by {req:?}");

    // The same where the proxy adds to the last line.
    let mut behind = req.headers().clone();
    let all = members(&behind, "x-forwarded-for").join(&b", "[..]);
    let all = [&all, &b", 192.0.2.7"[..]].concat();
    let all = http::HeaderValue::from_bytes(&all).expect("values with commas between");
    behind.insert("x-forwarded-for", all);
    let client = trusted.client(PROXY.ip(), &behind);
    assert_eq!(client, IpAddr::from([192, 0, 2, 7]), "forged by {req:?}");
}

/// What the layer has made of the family: nothing of a stranger's is left, what a trusted proxy said is
/// added to, and `Forwarded` is well-formed.
pub(crate) fn is_told(
    req: &Request<()>,
    sent: &Request<()>,
    trusted: &TrustedProxies,
    peer: SocketAddr,
    scheme: &Scheme,
) {
    let (before, headers) = (req.headers(), sent.headers());
    let ip = peer.ip().to_string();
    let is_trusted = trusted.contains(peer.ip());
    for name in [
        "x-forwarded-for",
        "x-real-ip",
        "forwarded",
        "x-forwarded-proto",
    ] {
        assert_eq!(lines(headers, name).len(), 1, "{name} of {sent:?}");
    }
    for name in ["x-forwarded-host", "x-forwarded-port"] {
        assert!(lines(headers, name).len() <= 1, "{name} of {sent:?}");
    }
    let list = members(headers, "x-forwarded-for");
    assert_eq!(list.last(), Some(&ip.as_bytes()));

    let elements = elements(lines(headers, "forwarded")[0]);
    let elements = elements.unwrap_or_else(|| panic!("{:?}", headers["forwarded"]));
    let last = elements.last().expect("our own element");
    assert_eq!(last[0], ("for".to_owned(), ip.clone().into_bytes()));
    assert_eq!(last[last.len() - 1].1, scheme.as_str().as_bytes());

    if is_trusted {
        return;
    }
    assert_eq!((list.len(), elements.len()), (1, 1));
    assert_eq!(lines(headers, "x-real-ip"), [ip.as_bytes()]);
    assert_eq!(
        lines(headers, "x-forwarded-proto"),
        [scheme.as_str().as_bytes()]
    );
    let host = req.uri().authority().map(|authority| {
        let authority = authority.as_str();
        authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host)
    });
    let host = host
        .map(str::as_bytes)
        .or(lines(before, "host").first().copied());
    assert_eq!(lines(headers, "x-forwarded-host").first().copied(), host);
    let ours = ["for", "proto", "host", "port"].map(|name| format!("x-forwarded-{name}"));
    for name in headers.keys() {
        let family = name.as_str().starts_with("x-forwarded-");
        assert!(
            !family || ours.iter().any(|our| our == name.as_str()),
            "{name}"
        );
    }
}

/// Read from behind: the first that is not trusted, and none that stands before what is no address.
fn model(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut chain = members(headers, "x-forwarded-for");
    let mut client = peer;
    while trusted.contains(client) {
        let before = chain.pop().and_then(|hop| str::from_utf8(hop).ok());
        let Some(before) = before.and_then(address) else {
            break;
        };
        client = before;
    }
    client
}

/// Bare, with a port, or in brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let ip = hop.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || {
        hop.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<IpAddr>()
            .ok()
    };
    let ip = ip.or_else(with_port).or_else(bracketed)?;
    Some(ip.to_canonical())
}

/// Its parameters, in order.
type Element = Vec<(String, Vec<u8>)>;

/// The elements of a `Forwarded` field and their parameters (RFC 7239 4), values without quotes. `None`
/// where it is not well-formed.
fn elements(value: &[u8]) -> Option<Vec<Element>> {
    let mut rest = value;
    let mut all = vec![Vec::new()];
    loop {
        let name = take_while(&mut rest, is_token);
        rest = rest.strip_prefix(b"=")?;
        let value = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                rest = quoted;
                unquote(&mut rest)?
            }
            None => Some(take_while(&mut rest, is_token)).filter(|v| !v.is_empty())?,
        };
        let name = String::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())?;
        all.last_mut()?.push((name.to_ascii_lowercase(), value));
        match rest.split_first() {
            None => return Some(all),
            Some((b';', behind)) => rest = behind,
            Some(_) => {
                take_while(&mut rest, is_space);
                rest = rest.strip_prefix(b",")?;
                // Empty elements are allowed (RFC 9110 5.6.1.2).
                take_while(&mut rest, |byte| is_space(byte) || byte == b',');
                all.push(Vec::new());
            }
        }
    }
}

fn unquote(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    loop {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        match byte {
            b'"' => return Some(value),
            b'\\' => {
                let (escaped, behind) = rest.split_first()?;
                *rest = behind;
                value.push(*escaped);
            }
            other => value.push(*other),
        }
    }
}

fn take_while(rest: &mut &[u8], keep: impl Fn(u8) -> bool) -> Vec<u8> {
    let end = rest.iter().position(|byte| !keep(*byte));
    let (taken, behind) = rest.split_at(end.unwrap_or(rest.len()));
    *rest = behind;
    taken.to_vec()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

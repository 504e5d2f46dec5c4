//! The law of headers, as a plain function: it takes any bytes, and panics when the law is broken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Extent, FIRST_LOOK, HeaderFault, client, extent};

/// What a reader that is given `bytes`, and then nothing more, makes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It waits for more, having taken all there is.
    Waits,
    Refuses(HeaderFault),
    /// The client, and how much was taken.
    Tells(Option<SocketAddr>, usize),
}

/// However the bytes come in pieces, the same is made of them, and it is what a model makes of them
/// that has them all before it.
pub(crate) fn any_cutting_agrees_with_the_model(bytes: &[u8]) {
    let Some((&cuts, bytes)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let expected = model(bytes);
    assert_eq!(read(bytes, &[]), expected, "in one piece");
    assert_eq!(read(bytes, &[1]), expected, "byte by byte");
    let cuts = cuts.map(|cut| usize::from(cut).max(1));
    assert_eq!(read(bytes, &cuts), expected, "cut by {cuts:?}");
}

/// As [`take`](super::super::take), with pieces of these sizes, over and over.
fn read(bytes: &[u8], sizes: &[usize]) -> Outcome {
    let mut sizes = sizes.iter().cycle();
    let (mut taken, mut most, mut come) = (0, FIRST_LOOK, 0);
    loop {
        if come == bytes.len() && taken == come {
            return Outcome::Waits;
        }
        if come == taken {
            let size = sizes.next().copied().unwrap_or(bytes.len());
            come = bytes.len().min(come + size);
        }
        let seen = come.min(most);
        match extent(&bytes[..seen]) {
            Err(fault) => return Outcome::Refuses(fault),
            Ok(Extent::Whole(size)) => {
                assert!(size > taken, "it was whole before");
                return match client(&bytes[..size]) {
                    Ok(client) => Outcome::Tells(client, size),
                    Err(fault) => Outcome::Refuses(fault),
                };
            }
            Ok(Extent::Beginning { most: next }) => {
                assert!(next > seen, "it could not go on");
                assert!(next <= 4096, "more is kept than is allowed");
                (taken, most) = (seen, next);
            }
        }
    }
}

/// The specification, in the order of its sections.
fn model(bytes: &[u8]) -> Outcome {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    if bytes.len() >= 12 && bytes.starts_with(signature) {
        return version_2(bytes);
    }
    if bytes.len() >= 6 && bytes.starts_with(b"PROXY ") {
        return version_1(bytes);
    }
    if signature.starts_with(bytes) || b"PROXY ".starts_with(bytes) {
        return Outcome::Waits;
    }
    Outcome::Refuses(HeaderFault::Absent)
}

fn version_1(bytes: &[u8]) -> Outcome {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() < 107 {
            true => Outcome::Waits,
            false => Outcome::Refuses(HeaderFault::TooLong),
        };
    };
    if end >= 107 {
        return Outcome::Refuses(HeaderFault::TooLong);
    }
    let line = str::from_utf8(&bytes[..=end]).ok();
    let told = line
        .and_then(|line| line.strip_suffix("\r\n"))
        // The parser takes its end to be at the first one.
        .filter(|line| !line.contains('\r'))
        .and_then(|line| tcp(line.strip_prefix("PROXY ")?));
    // The parser does not look at what follows UNKNOWN, which need not be text.
    let unknown = bytes.starts_with(b"PROXY UNKNOWN") && {
        let cr = bytes.iter().position(|byte| *byte == b'\r');
        cr.is_some_and(|cr| cr + 1 == end)
    };
    match told {
        _ if unknown => Outcome::Tells(None, end + 1),
        Some(client) => Outcome::Tells(Some(client), end + 1),
        None => Outcome::Refuses(HeaderFault::Malformed),
    }
}

fn tcp(line: &str) -> Option<SocketAddr> {
    let words: Vec<_> = line.split(' ').collect();
    let [family, source, destination, port, other] = words[..] else {
        return None;
    };
    let ip = match family {
        "TCP4" => {
            destination.parse::<Ipv4Addr>().ok()?;
            IpAddr::V4(source.parse().ok()?)
        }
        "TCP6" => {
            destination.parse::<Ipv6Addr>().ok()?;
            IpAddr::V6(source.parse().ok()?)
        }
        _ => return None,
    };
    other.parse::<u16>().ok()?;
    Some((ip.to_canonical(), port.parse().ok()?).into())
}

fn version_2(bytes: &[u8]) -> Outcome {
    let Some(&[version, family, high, low]) = bytes.get(12..16) else {
        return Outcome::Waits;
    };
    let rest = usize::from(high) << 8 | usize::from(low);
    if rest > 4080 {
        return Outcome::Refuses(HeaderFault::TooLong);
    }
    let Some(body) = bytes.get(16..16 + rest) else {
        return Outcome::Waits;
    };
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let source = |size: usize| {
        // Of both sides, so that the ports are there too.
        body.get(..2 * size + 4)?;
        let ip = match size {
            4 => IpAddr::from(<[u8; 4]>::try_from(&body[..4]).ok()?),
            _ => IpAddr::from(<[u8; 16]>::try_from(&body[..16]).ok()?),
        };
        Some(SocketAddr::new(ip.to_canonical(), port(2 * size)?))
    };
    let told = match family {
        0x00 => Some(None),
        0x11 | 0x12 => source(4).map(Some),
        0x21 | 0x22 => source(16).map(Some),
        0x31 | 0x32 if rest >= 216 => Some(None),
        _ => None,
    };
    match (version, told) {
        (0x20, Some(_)) => Outcome::Tells(None, 16 + rest),
        (0x21, Some(client)) => Outcome::Tells(client, 16 + rest),
        _ => Outcome::Refuses(HeaderFault::Malformed),
    }
}

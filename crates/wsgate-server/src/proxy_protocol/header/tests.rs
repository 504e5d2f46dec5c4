use super::laws::any_cutting_agrees_with_the_model;
use super::*;

/// Version 2 with this command, family and rest.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[0x20 | command, family], &len, rest].concat()
}

const TCP4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0xc3, 0x50, 1, 0xbb];

/// The header, with other things behind it, is taken whole and no further, in any pieces.
#[track_caller]
fn tells(header: &[u8], expected: Option<&str>) {
    let behind = [header, b"\x16\x03\x01 and more\r\n"].concat();
    assert_eq!(extent(&behind), Ok(Extent::Whole(header.len())));
    let expected = expected.map(|address| address.parse().unwrap());
    assert_eq!(client(header), Ok(expected));
    for cut in 0..header.len() {
        let begun = extent(&header[..cut]);
        assert!(
            matches!(begun, Ok(Extent::Beginning { most }) if most > cut && most <= V2_MOST),
            "{cut}: {begun:?}"
        );
    }
    any_cutting_agrees_with_the_model(&[&[3, 1, 7], &behind[..]].concat());
}

#[track_caller]
fn refuses(bytes: &[u8], expected: HeaderFault) {
    let found = extent(bytes).and_then(|extent| match extent {
        Extent::Whole(size) => client(&bytes[..size]),
        Extent::Beginning { .. } => panic!("it waits for more"),
    });
    assert_eq!(found, Err(expected), "{}", bytes.escape_ascii());
    any_cutting_agrees_with_the_model(&[&[3, 1, 7], bytes].concat());
}

#[test]
fn what_fuzzing_came_upon() {
    wsgate_seeds::replay("proxy_header", any_cutting_agrees_with_the_model);
}

#[test]
fn version_1_tells_the_client() {
    let v4 = b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\r\n";
    tells(v4, Some("192.0.2.7:50000"));
    let v6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n";
    tells(v6, Some("[2001:db8::7]:50000"));
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 50000 443\r\n";
    tells(mapped, Some("192.0.2.7:50000"));
    tells(b"PROXY UNKNOWN\r\n", None);
    let ignored = b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n";
    tells(ignored, None);
}

#[test]
fn version_2_tells_the_client() {
    tells(&v2(1, 0x11, TCP4), Some("192.0.2.7:50000"));
    let addresses = "2001:db8::7"
        .parse::<std::net::Ipv6Addr>()
        .unwrap()
        .octets();
    let v6 = [&addresses[..], &[0; 16], &[0xc3, 0x50, 1, 0xbb]].concat();
    tells(&v2(1, 0x21, &v6), Some("[2001:db8::7]:50000"));
}

/// Names, checksums, what AWS calls its endpoint, certificates.
#[test]
fn what_version_2_adds_is_passed_over() {
    for len in [1, 500, V2_MOST - V2_FIXED - TCP4.len() - 3] {
        let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
        let more = [TCP4, &[0xea, high, low], &vec![0x16; len]].concat();
        tells(&v2(1, 0x11, &more), Some("192.0.2.7:50000"));
    }
    // Not even whether it is well-formed: nothing is made of it.
    tells(
        &v2(1, 0x11, &[TCP4, &[0xff; 7]].concat()),
        Some("192.0.2.7:50000"),
    );
}

#[test]
fn a_connection_of_the_senders_own_tells_of_nobody() {
    tells(&v2(0, 0, b""), None);
    tells(&v2(0, 0x11, TCP4), None);
    tells(&v2(0, 0, &[4, 0, 1, 0]), None);
    tells(&v2(1, 0, b""), None);
    tells(&v2(1, 0x31, &[0; 216]), None);
}

#[test]
fn what_is_no_header_is_named() {
    use HeaderFault::{Absent, Malformed, TooLong};

    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01",
        b"PROXX",
        b"proxy TCP4",
        b"\r\n\r\n\0\r\nQUITx",
        b"\r\nx",
    ] {
        refuses(bytes, Absent);
    }
    for bytes in [
        &b"PROXY \r\n"[..],
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 192.0.2.7 10.0.0.1 50000 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 443 \r\n",
        b"PROXY TCP4 192.0.2.7  10.0.0.1 50000 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 66000\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 50000\r\n",
        b"PROXY TCP4 2001:db8::7 10.0.0.1 50000 443\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 50000 443\r\n",
        b"PROXY TCP4 192.0.2.7\r10.0.0.1 50000 443\r\n",
        b"PROXY UNKNOWN\r\r\n",
        b"PROXY \n",
    ] {
        refuses(bytes, Malformed);
    }
    refuses(&v2(1, 0x11, &TCP4[..11]), Malformed);
    refuses(&v2(1, 0x31, &[0; 215]), Malformed);
    refuses(&v2(1, 0x41, TCP4), Malformed);
    refuses(&v2(2, 0x11, TCP4), Malformed);
    refuses(&[V2_SIGNATURE, b"\x11\x11\0\0"].concat(), Malformed);

    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MOST));
    refuses(long.as_bytes(), TooLong);
    refuses(&v2(1, 0x11, &vec![0; V2_MOST - V2_FIXED + 1]), TooLong);
    refuses(&[V2_SIGNATURE, b"\x21\x11\xff\xff"].concat(), TooLong);
}

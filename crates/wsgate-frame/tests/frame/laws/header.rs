//! Our header parser against tungstenite's.

use std::io::Cursor;

use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::FrameHeader;
use wsgate_frame::{Header, HeaderFault, LengthOverflow, Rsv};

/// Both parsers say the same of `bytes`, except where we know why not.
pub(crate) fn agrees_with_tungstenite(bytes: &[u8]) {
    let ours = Header::parse(bytes);
    let mut cursor = Cursor::new(bytes);
    let theirs = FrameHeader::parse(&mut cursor);

    match (ours, theirs) {
        (Ok(None), Ok(None)) => {
            assert_eq!(cursor.position(), 0, "nothing is consumed");
        }

        (Ok(Some((ours, size))), Ok(Some((theirs, len)))) => {
            assert_eq!(size as u64, cursor.position());
            assert_same_fields(&ours, &theirs, len);
            assert_faults(&ours, &theirs, len, size);
            assert_same_writing(&ours, &theirs, len, &bytes[..size]);
        }

        // They refuse reserved opcodes where they find them. A relay passes on what it does not
        // know, and the length is as good as any: we parse the header and name the fault.
        (Ok(Some((ours, size))), Err(Error::Protocol(ProtocolError::InvalidOpcode(opcode)))) => {
            assert_eq!(ours.opcode.bits(), opcode);
            assert!(ours.opcode.is_reserved());
            assert!(
                ours.faults(size, Rsv::ALL)
                    .any(|fault| fault == HeaderFault::ReservedOpcode)
            );
        }

        // They take all 64 bits for a length, and leave it to their limit on the frame's size to
        // refuse it. RFC 6455 5.2: "the most significant bit MUST be 0".
        (Err(LengthOverflow), Ok(Some((_, len)))) => assert!(len > Header::MAX_LEN),

        // Both at once: they look at the opcode, we look at the length.
        (Err(LengthOverflow), Err(Error::Protocol(ProtocolError::InvalidOpcode(opcode)))) => {
            assert!(matches!(opcode, 0x3..=0x7 | 0xb..=0xf));
            assert_eq!(bytes[1] & 0x7f, 0x7f);
            assert!(bytes[2] & 0x80 != 0);
        }

        (ours, theirs) => panic!("of {bytes:02x?} we say {ours:?}, they say {theirs:?}"),
    }
}

/// A whole header, and no prefix of it, is parsed; the bytes behind it do not matter.
pub(crate) fn consumes_nothing_until_whole(bytes: &[u8]) {
    let parsed = Header::parse(bytes);
    let size = match parsed {
        Ok(Some((_, size))) => size,
        Ok(None) => bytes.len() + 1,
        // Found out with the last byte of the header: the length takes ten bytes, the mask four.
        Err(LengthOverflow) => 10 + if bytes[1] & 0x80 != 0 { 4 } else { 0 },
    };
    assert!(size <= Header::MAX_SIZE, "the longest header has 14 bytes");

    for cut in 0..=bytes.len().min(Header::MAX_SIZE) {
        let expected = if cut < size { Ok(None) } else { parsed };
        assert_eq!(
            Header::parse(&bytes[..cut]),
            expected,
            "{cut} bytes of {bytes:02x?}"
        );
    }
}

fn assert_same_fields(ours: &Header, theirs: &FrameHeader, len: u64) {
    assert_eq!(ours.fin, theirs.is_final);
    assert_eq!(ours.rsv.contains(Rsv::RSV1), theirs.rsv1);
    assert_eq!(ours.rsv.contains(Rsv::RSV2), theirs.rsv2);
    assert_eq!(ours.rsv.contains(Rsv::RSV3), theirs.rsv3);
    assert_eq!(ours.opcode.bits(), u8::from(theirs.opcode));
    assert_eq!(ours.mask, theirs.mask);
    assert_eq!(ours.len, len);
}

/// What they let pass in a header, and look at only later, or (the length's form) never at all.
fn assert_faults(ours: &Header, theirs: &FrameHeader, len: u64, size: usize) {
    let control = u8::from(theirs.opcode) >= 0x8;
    let mut expected = Vec::new();
    if theirs.rsv1 || theirs.rsv2 || theirs.rsv3 {
        expected.push(HeaderFault::ReservedBits);
    }
    if control && !theirs.is_final {
        expected.push(HeaderFault::FragmentedControl);
    }
    if control && len > 125 {
        expected.push(HeaderFault::LongControl);
    }
    if theirs.len(len) != size {
        expected.push(HeaderFault::NonMinimalLength);
    }
    assert_eq!(ours.faults(size, Rsv::NONE).collect::<Vec<_>>(), expected);
}

/// Both write the same bytes, and, if the length was in its shortest form, those that were parsed.
fn assert_same_writing(ours: &Header, theirs: &FrameHeader, len: u64, parsed: &[u8]) {
    let mut buf = [0xaa; Header::MAX_SIZE];
    let our_bytes = ours.write(&mut buf).expect("the length was parsed");
    let mut their_bytes = Vec::new();
    theirs
        .format(len, &mut their_bytes)
        .expect("a Vec takes everything");

    assert_eq!(our_bytes, their_bytes);
    assert_eq!(our_bytes.len(), ours.size());
    assert_eq!(our_bytes == parsed, ours.size() == parsed.len());
}

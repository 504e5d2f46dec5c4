//! One of each fault, from either side.

use wsgate_frame::{CloseCode, CloseFault, HeaderFault, Role, Violation};

use super::super::frames::{other, text};

/// What one side sends, the last frame of which breaks a rule.
pub(super) struct Case {
    /// Frames that are right.
    pub(super) before: Vec<u8>,
    /// The one that is not.
    pub(super) wrong: Vec<u8>,
    pub(super) violation: Violation,
    pub(super) reason: &'static str,
}

/// A frame of this side's, mask and all, with what a header can say and more. The key is zero, so that
/// a payload is what it is.
pub(super) fn raw(from: Role, first: u8, length: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    frame.extend(length);
    if from.masks() {
        frame[1] |= 0x80;
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}

/// One of each.
pub(super) fn cases(from: Role) -> Vec<Case> {
    use HeaderFault::{
        FragmentedControl, LongControl, NonMinimalLength, ReservedBits, ReservedOpcode,
    };
    let mut cases = Vec::new();
    let mut add = |before: &[u8], wrong: Vec<u8>, violation, reason| {
        cases.push(Case {
            before: before.to_vec(),
            wrong,
            violation,
            reason,
        });
    };
    let short = |first| raw(from, first, &[2], b"hi");
    let header = |fault| Violation::Header(fault);

    let (violation, reason) = match from {
        Role::Client => (Violation::Unmasked, "frame without a mask"),
        Role::Server => (Violation::Masked, "frame with a mask"),
    };
    add(b"", text("hi").by(other(from)), violation, reason);
    for first in [0xc1, 0xa1, 0x91, 0xc9, 0xca, 0x91] {
        let reason = "reserved bit without an extension";
        add(b"", short(first), header(ReservedBits), reason);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        add(
            b"",
            short(0x80 | opcode),
            header(ReservedOpcode),
            "reserved opcode",
        );
    }
    for opcode in [8, 9, 10] {
        let reason = "fragmented control frame";
        add(b"", short(opcode), header(FragmentedControl), reason);
        let long = raw(from, 0x80 | opcode, &[126, 0, 126], &[b'x'; 126]);
        let reason = "control frame of more than 125 bytes";
        add(b"", long, header(LongControl), reason);
    }
    for length in [&[126, 0, 2][..], &[127, 0, 0, 0, 0, 0, 0, 0, 2]] {
        for first in [0x81, 0x89, 0x88] {
            let long = raw(from, first, length, &[0x03, 0xe8]);
            let reason = "length not in its shortest form";
            add(b"", long, header(NonMinimalLength), reason);
        }
    }
    for length in [
        &[127, 0x80, 0, 0, 0, 0, 0, 0, 0][..],
        &[127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        let reason = "frame length of more than 63 bits";
        add(
            b"",
            raw(from, 0x82, length, b""),
            Violation::LengthOverflow,
            reason,
        );
    }
    add(
        b"",
        short(0x80),
        Violation::UnexpectedContinuation,
        "continuation of no message",
    );
    add(
        &short(0x01),
        short(0x82),
        Violation::InterruptedMessage,
        "new message inside a fragmented one",
    );
    for (payload, fault, reason) in [
        (
            &b"\x03"[..],
            CloseFault::HalfCode,
            "close payload of one byte",
        ),
        (
            b"\x03\xed",
            unsendable(1005),
            "close code that must not be sent",
        ),
        (
            b"\x03\xe7bye",
            unsendable(999),
            "close code that must not be sent",
        ),
        (
            b"\xff\xff",
            unsendable(65535),
            "close code that must not be sent",
        ),
        (
            b"\x03\xe8\xce\xba\xe1",
            CloseFault::ReasonNotUtf8,
            "close reason is not utf-8",
        ),
    ] {
        let close = raw(from, 0x88, &[payload.len() as u8], payload);
        add(b"", close, Violation::Close(fault), reason);
    }
    cases
}

fn unsendable(code: u16) -> CloseFault {
    CloseFault::UnsendableCode(CloseCode(code))
}

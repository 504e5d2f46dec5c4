//! Frames, and streams of them, that obey the rules or do not.

use std::ops::Range;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wsgate_frame::{CloseCode, Header, OpCode, Role, Rsv};

/// One message: the payload sizes of its frames, and the control frames after each of them.
pub(crate) type Message = Vec<(usize, Vec<(OpCode, Vec<u8>)>)>;

/// A stream without a fault, and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) role: Role,
    pub(crate) bytes: Vec<u8>,
    pub(crate) messages: u64,
    pub(crate) data_frames: u64,
    pub(crate) control_frames: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) close: Option<(CloseCode, String)>,
}

/// Either end.
pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// Any set of reserved bits.
pub(crate) fn rsv() -> impl Strategy<Value = Rsv> {
    any::<u8>().prop_map(Rsv::from_bits)
}

/// Up to eight sizes to cut a stream into, the last piece being what is left.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![4 => 0..16usize, 1 => 0..300usize], 0..8)
}

/// Any header that can be written.
pub(crate) fn header() -> impl Strategy<Value = Header> {
    let len = prop_oneof![
        0..=130u64,
        65_500..=65_600u64,
        Just(Header::MAX_LEN),
        0..=Header::MAX_LEN,
    ];
    (any::<u8>(), any::<Option<[u8; 4]>>(), len).prop_map(|(first, mask, len)| Header {
        fin: first & 0x80 != 0,
        rsv: Rsv::from_bits(first),
        opcode: OpCode::from_bits(first),
        mask,
        len,
    })
}

/// The bytes of a header that may break every rule there is, and some bytes after it.
pub(crate) fn mutated_header() -> impl Strategy<Value = Vec<u8>> {
    let flips = vec((0..Header::MAX_SIZE, any::<u8>()), 0..3);
    (header(), flips, vec(any::<u8>(), 0..16), 0..16usize).prop_map(
        |(header, flips, tail, cut_off)| {
            let mut buf = [0; Header::MAX_SIZE];
            let mut bytes = header
                .write(&mut buf)
                .expect("the length can be written")
                .to_vec();
            bytes.extend(tail);
            for (at, bits) in flips {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            bytes.truncate(bytes.len().saturating_sub(cut_off));
            bytes
        },
    )
}

/// A stream of frames that mostly, but not always, obey the rules, maybe cut off at its end.
pub(crate) fn unruly_stream() -> impl Strategy<Value = Vec<u8>> {
    (vec(unruly_frame(), 0..12), 0..8usize).prop_map(|(frames, cut_off)| {
        let mut bytes = frames.concat();
        bytes.truncate(bytes.len().saturating_sub(cut_off));
        bytes
    })
}

/// A stream that obeys every rule of RFC 6455, as `role` would send it.
pub(crate) fn conversation() -> impl Strategy<Value = Conversation> {
    let size = prop_oneof![8 => 0..140usize, 1 => 65_530..65_540usize];
    let opcode = prop_oneof![Just(OpCode::Ping), Just(OpCode::Pong)];
    let controls = vec((opcode, vec(any::<u8>(), 0..=125)), 0..3);
    let message = vec((size, controls), 1..4);
    let code = prop_oneof![1000..=1003u16, 1007..=1014u16, 3000..=4999u16].prop_map(CloseCode);
    let close = option::of((code, "\\PC{0,30}"));
    (role(), any::<[u8; 4]>(), vec(message, 0..6), close)
        .prop_map(|(role, key, messages, close)| converse(role, key, &messages, close))
}

fn converse(
    role: Role,
    key: [u8; 4],
    messages: &[Message],
    close: Option<(CloseCode, String)>,
) -> Conversation {
    let mask = role.masks().then_some(key);
    let mut bytes = Vec::new();
    let mut frame = |fin: bool, opcode: OpCode, payload: &[u8]| {
        let header = Header {
            fin,
            rsv: Rsv::NONE,
            opcode,
            mask,
            len: payload.len() as u64,
        };
        let mut buf = [0; Header::MAX_SIZE];
        bytes.extend_from_slice(header.write(&mut buf).expect("the length can be written"));
        let key = mask.unwrap_or_default();
        bytes.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    };

    let (mut data_frames, mut control_frames, mut payload_bytes) = (0, 0, 0);
    for message in messages {
        for (at, (size, controls)) in message.iter().enumerate() {
            let opcode = if at == 0 {
                OpCode::Binary
            } else {
                OpCode::Continuation
            };
            frame(at + 1 == message.len(), opcode, &vec![0x55; *size]);
            data_frames += 1;
            payload_bytes += *size as u64;
            for (opcode, payload) in controls {
                frame(true, *opcode, payload);
                control_frames += 1;
            }
        }
    }
    if let Some((code, reason)) = &close {
        frame(
            true,
            OpCode::Close,
            &[&code.0.to_be_bytes(), reason.as_bytes()].concat(),
        );
        control_frames += 1;
    }

    let messages = messages.len() as u64;
    Conversation {
        role,
        bytes,
        messages,
        data_frames,
        control_frames,
        payload_bytes,
        close,
    }
}

/// A frame with any first byte, its length in any of the three forms, masked or not.
fn unruly_frame() -> impl Strategy<Value = Vec<u8>> {
    const COMMON: [u8; 9] = [0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a, 0xc1];

    let first = prop_oneof![4 => prop::sample::select(&COMMON[..]), 1 => any::<u8>()];
    let form = prop_oneof![8 => Just(0), 1 => Just(2), 1 => Just(8)];
    let payload = prop_oneof![
        4 => payload(0..20),
        2 => payload(120..132),
        // Closes that are right but for one thing.
        2 => (990..1020u16, payload(0..4))
            .prop_map(|(code, reason)| [code.to_be_bytes().to_vec(), reason].concat()),
    ];
    let claim = prop_oneof![60 => Just(None), 1 => any::<u64>().prop_map(Some)];
    (first, form, any::<Option<[u8; 4]>>(), payload, claim).prop_map(
        |(first, form, mask, payload, claim)| {
            let masked = if mask.is_some() { 0x80 } else { 0x00 };
            let len = claim.unwrap_or(payload.len() as u64);
            let mut bytes = vec![first];
            match (form, len) {
                (0, 0..=125) => bytes.push(masked | len as u8),
                (0 | 2, 0..=0xffff) => {
                    bytes.push(masked | 0x7e);
                    bytes.extend((len as u16).to_be_bytes());
                }
                _ => {
                    bytes.push(masked | 0x7f);
                    bytes.extend(len.to_be_bytes());
                }
            }
            bytes.extend(
                mask.unwrap_or_default()
                    .iter()
                    .take(if masked != 0 { 4 } else { 0 }),
            );
            let key = mask.unwrap_or_default();
            bytes.extend(
                payload
                    .iter()
                    .zip(key.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
            bytes
        },
    )
}

fn payload(size: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), size)
}

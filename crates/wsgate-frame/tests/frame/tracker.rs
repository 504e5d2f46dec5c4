//! What a tracker says, by example.

use wsgate_frame::{CloseCode, CloseFault, ControlFrame, Event, Header, HeaderFault, OpCode, Role};
use wsgate_frame::{Rsv, Tracker, Violation};

use crate::laws::model::Seen;
use crate::laws::tracker::any_cutting_agrees_with_the_model;

#[test]
fn takes_little_room() {
    assert!(size_of::<Tracker>() <= 64, "{} bytes", size_of::<Tracker>());
}

#[test]
fn reports_the_examples_of_the_rfc() {
    // RFC 6455 5.7: a text message in two frames, here with an empty ping between them.
    let stream = b"\x01\x03Hel\x89\x00\x80\x02lo";

    let hel = Header {
        fin: false,
        ..header(OpCode::Text, 3)
    };
    let lo = header(OpCode::Continuation, 2);
    assert_eq!(
        events(Role::Server, stream),
        [
            Seen::Begin {
                header: hel,
                start: 0,
                payload: 2
            },
            Seen::End {
                end: 5,
                ends_message: false
            },
            Seen::Begin {
                header: header(OpCode::Ping, 0),
                start: 5,
                payload: 7
            },
            Seen::Control {
                opcode: OpCode::Ping,
                payload: Vec::new(),
                start: 5
            },
            Seen::End {
                end: 7,
                ends_message: false
            },
            Seen::Begin {
                header: lo,
                start: 7,
                payload: 9
            },
            Seen::End {
                end: 11,
                ends_message: true
            },
        ]
    );
}

#[test]
fn unmasks_a_control_payload_that_comes_byte_by_byte() {
    let pong = ControlFrame::pong(b"are you there", Some([0x37, 0xfa, 0x21, 0x3d])).unwrap();
    let mut tracker = Tracker::new(Role::Client);

    let mut answers = Vec::new();
    for (at, byte) in pong.chunks(1).enumerate() {
        assert!(answers.is_empty(), "the last byte is missing after {at}");
        assert_eq!(tracker.at_boundary(), at == 0);
        tracker.feed(byte, |event| {
            if let Event::Control {
                opcode: OpCode::Pong,
                payload,
                ..
            } = event
            {
                answers.push(payload.to_vec());
            }
        });
    }
    assert_eq!(answers, [b"are you there"]);
    assert!(tracker.at_boundary());
}

#[test]
fn names_each_violation_and_goes_on() {
    use HeaderFault::{
        FragmentedControl, LongControl, NonMinimalLength, ReservedBits, ReservedOpcode,
    };
    use Violation::{Close, DataAfterClose, InterruptedMessage, Masked, UnexpectedContinuation};
    use Violation::{Header as Fault, Unmasked};

    check(Role::Client, b"\x81\x00", &[Unmasked]);
    check(Role::Server, b"\x81\x80\x01\x02\x03\x04", &[Masked]);
    check(Role::Server, b"\xc1\x00", &[Fault(ReservedBits)]);
    check(Role::Server, b"\x83\x00", &[Fault(ReservedOpcode)]);
    check(Role::Server, b"\x8b\x00", &[Fault(ReservedOpcode)]);
    check(Role::Server, b"\x09\x00", &[Fault(FragmentedControl)]);
    check(
        Role::Server,
        &[b"\x89\x7e\x00\x7e", &[0; 126][..]].concat(),
        &[Fault(LongControl)],
    );
    check(
        Role::Server,
        b"\x82\x7e\x00\x01x",
        &[Fault(NonMinimalLength)],
    );
    check(Role::Server, b"\x80\x00", &[UnexpectedContinuation]);
    check(Role::Server, b"\x01\x00\x82\x00", &[InterruptedMessage]);
    check(Role::Server, b"\x88\x00\x81\x00", &[DataAfterClose]);
    check(
        Role::Server,
        b"\x88\x01\x03",
        &[Close(CloseFault::HalfCode)],
    );
    check(
        Role::Server,
        b"\x88\x03\x03\xe8\xff",
        &[Close(CloseFault::ReasonNotUtf8)],
    );
    let unsendable = CloseFault::UnsendableCode(CloseCode::NO_STATUS_RECEIVED);
    check(Role::Server, b"\x88\x02\x03\xed", &[Close(unsendable)]);
}

#[test]
fn allows_the_bits_of_an_agreed_extension() {
    let compressed = b"\xc1\x01x\x41\x01x\x80\x01x";
    let mut tracker = Tracker::new(Role::Server).allow_rsv(Rsv::RSV1);

    tracker.feed(compressed, |event| {
        assert!(!matches!(event, Event::Violation { .. }), "{event:?}");
    });
    assert_eq!(tracker.counts().messages, 2);
    check(
        Role::Server,
        b"\xa1\x00",
        &[Violation::Header(HeaderFault::ReservedBits)],
    );
}

#[test]
fn control_frames_may_follow_a_close_and_the_first_close_counts() {
    let stream = b"\x88\x02\x03\xe9\x8a\x00\x88\x02\x03\xe8";
    let mut tracker = Tracker::new(Role::Server);
    tracker.feed(stream, |event| {
        assert!(!matches!(event, Event::Violation { .. }), "{event:?}");
    });

    assert_eq!(
        tracker.close().and_then(|close| close.code()),
        Some(CloseCode::GOING_AWAY)
    );
    assert_eq!(tracker.counts().control_frames, 3);
    assert!(tracker.at_boundary() && !tracker.can_inject());
}

#[test]
fn a_close_counts_when_its_last_byte_has_passed() {
    let mut tracker = Tracker::new(Role::Server);

    tracker.feed(b"\x88\x02\x03", |_| {});
    assert!(!tracker.is_closed());
    assert_eq!(tracker.close(), None);

    tracker.feed(b"\xe8", |_| {});
    assert!(tracker.is_closed());
    assert!(tracker.close().is_some());
}

#[test]
fn a_close_that_is_too_long_ends_the_direction_but_is_not_kept() {
    let mut tracker = Tracker::new(Role::Server);
    tracker.feed(&[b"\x88\x7e\x00\x7e", &[b'x'; 126][..]].concat(), |_| {});

    assert!(tracker.is_closed() && !tracker.can_inject());
    assert_eq!(tracker.close(), None);
}

#[test]
fn once_lost_it_counts_bytes_and_says_no_more() {
    let mut tracker = Tracker::new(Role::Server);
    let mut violations = Vec::new();
    let mut on_event = |event: Event<'_>| violations.push(Seen::from(event));

    tracker.feed(b"\x81\x7f\xff\0\0\0\0\0\0\0", &mut on_event);
    tracker.feed(b"\x81\x00\x89\x00", &mut on_event);
    tracker.feed(b"", &mut on_event);

    assert_eq!(
        violations,
        [Seen::Violation {
            violation: Violation::LengthOverflow,
            start: 0
        }]
    );
    assert!(tracker.is_lost() && !tracker.at_boundary() && !tracker.can_inject());
    assert_eq!((tracker.offset(), tracker.counts().messages), (14, 0));
}

#[test]
fn counts_the_payload_that_passed_not_the_one_that_was_claimed() {
    let mut tracker = Tracker::new(Role::Server);
    tracker.feed(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffabc", |_| {});
    tracker.feed(&[0; 1000], |_| {});

    assert_eq!(tracker.counts().payload_bytes, 1003);
    assert_eq!(tracker.counts().data_frames, 0);
    assert!(tracker.in_message());
}

/// The stream has these violations, in this order; a pong and a Close after it are followed as if
/// nothing had been; and all of it holds however it is cut.
#[track_caller]
fn check(role: Role, stream: &[u8], expected: &[Violation]) {
    let (pong, close) = match role {
        Role::Client => (&b"\x8a\x83\0\0\0\0abc"[..], &b"\x88\x80\0\0\0\0"[..]),
        Role::Server => (&b"\x8a\x03abc"[..], &b"\x88\x00"[..]),
    };
    let stream = [stream, pong, close].concat();

    let mut tracker = Tracker::new(role);
    let (mut violations, mut pongs) = (Vec::new(), 0);
    tracker.feed(&stream, |event| match event {
        Event::Violation { violation, .. } => violations.push(violation),
        Event::Control {
            opcode: OpCode::Pong,
            payload: b"abc",
            ..
        } => pongs += 1,
        _ => {}
    });
    assert_eq!(violations, expected);
    assert_eq!(pongs, 1);
    assert!(tracker.at_boundary() && tracker.is_closed());
    any_cutting_agrees_with_the_model(role, Rsv::NONE, &stream, &[1, 2, 3]);
}

fn events(role: Role, stream: &[u8]) -> Vec<Seen> {
    let mut events = Vec::new();
    Tracker::new(role).feed(stream, |event| events.push(event.into()));
    events
}

fn header(opcode: OpCode, len: u64) -> Header {
    Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode,
        mask: None,
        len,
    }
}

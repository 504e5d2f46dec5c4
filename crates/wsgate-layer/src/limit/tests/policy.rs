use wsgate_frame::{CloseCode, Event, Header, OpCode, Rsv, Tracker, Violation};

use super::*;
use crate::{
    guard::{Action, Ending, PeerEnds, Place, Policy, Wants},
    limit::{
        Excess, Rate,
        gate::Permit,
        policy::{LimitPolicy, StreamLimits},
    },
    moment::Moment,
    tunnel::Cause,
};

fn header(opcode: OpCode, fin: bool, len: u64) -> Header {
    Header {
        fin,
        rsv: Rsv::NONE,
        opcode,
        mask: Some([0; 4]),
        len,
    }
}

fn policy(limits: StreamLimits) -> (LimitPolicy, Arc<Told>) {
    let tunnel = Tunnel::default();
    let told = Told::by(&tunnel);
    (LimitPolicy::new(limits, tunnel, Permit::default()), told)
}

/// The limit that the last of these frames breaks, and only that one.
#[track_caller]
fn check(limits: StreamLimits, frames: &[Header], expected: Option<Limit>) {
    let (mut policy, told) = policy(limits);
    let now = Moment::now();
    policy.on_read(now);
    let (last, before) = frames.split_last().unwrap();
    for header in before {
        assert_eq!(policy.on_frame(header), None, "{header:?}");
    }
    let broken = policy.on_frame(last);
    let Some(limit) = expected else {
        assert_eq!(broken, None);
        return;
    };
    let ending = broken.expect("no limit was broken");
    assert_eq!(ending.cause, Cause::Limit(limit));
    let until = now + Duration::from_secs(5);
    assert_eq!(ending.peer, PeerEnds::Politely { until });
    assert_eq!(told.take(), [limit]);
}

#[test]
fn a_frame_has_its_size() {
    use OpCode::{Binary, Close, Continuation, Ping, Text};
    let limits = StreamLimits {
        frame_size: Some(100),
        ..StreamLimits::default()
    };
    check(limits, &[header(Text, true, 100)], None);
    check(limits, &[header(Text, true, 101)], Some(Limit::FrameSize));
    check(
        limits,
        &[header(Binary, true, u64::MAX >> 1)],
        Some(Limit::FrameSize),
    );
    check(
        limits,
        &[header(Text, false, 100), header(Continuation, true, 101)],
        Some(Limit::FrameSize),
    );
    // Sound control frames are always small; others are no better than data.
    check(limits, &[header(Ping, true, 125)], None);
    check(limits, &[header(Close, true, 125)], None);
    check(limits, &[header(Ping, true, 126)], Some(Limit::FrameSize));
}

#[test]
fn a_message_has_its_size_however_it_is_cut() {
    use OpCode::{Continuation, Ping, Text};
    let limits = StreamLimits {
        message_size: Some(100),
        ..StreamLimits::default()
    };
    check(limits, &[header(Text, true, 100)], None);
    check(limits, &[header(Text, true, 101)], Some(Limit::MessageSize));
    let begun = [header(Text, false, 60), header(Ping, true, 125)];
    let [begun, ping] = begun;
    check(limits, &[begun, ping, header(Continuation, true, 40)], None);
    check(
        limits,
        &[begun, ping, header(Continuation, false, 41)],
        Some(Limit::MessageSize),
    );
    // The next message begins at nothing.
    check(
        limits,
        &[
            begun,
            header(Continuation, true, 40),
            header(Text, true, 100),
        ],
        None,
    );
    // To begin anew within a message is against the rules, and no way round the limit.
    check(limits, &[begun, begun], Some(Limit::MessageSize));
    let huge = header(Text, false, Header::MAX_LEN);
    let no_limit = StreamLimits {
        message_size: Some(u64::MAX),
        ..StreamLimits::default()
    };
    check(no_limit, &[huge, huge, huge, huge], None);
}

#[test]
fn the_close_says_what_was_wrong() {
    let ending = |limits, len| {
        let (mut policy, _) = policy(limits);
        let Ending { code, reason, .. } = policy
            .on_frame(&header(OpCode::Text, true, len))
            .expect("the limit is broken");
        (code, reason)
    };
    let frame_size = StreamLimits {
        frame_size: Some(1),
        ..StreamLimits::default()
    };
    let message_size = StreamLimits {
        message_size: Some(1),
        ..StreamLimits::default()
    };
    let too_big = CloseCode::MESSAGE_TOO_BIG;
    assert_eq!(ending(frame_size, 2), (too_big, "frame too big"));
    assert_eq!(ending(message_size, 2), (too_big, "message too big"));
    let frame_rate = StreamLimits {
        frame_rate: Some(Rate::new(1, Duration::from_secs(3600)).burst(1)),
        excess: Excess::Close,
        ..StreamLimits::default()
    };
    let (mut policy, _) = policy(frame_rate);
    let pong = header(OpCode::Pong, true, 0);
    assert_eq!(policy.on_frame(&pong), None);
    let Ending { code, reason, .. } = policy.on_frame(&pong).expect("the limit is broken");
    assert_eq!(
        (code, reason),
        (CloseCode::POLICY_VIOLATION, "too many frames")
    );
}

/// Ten a second, two at once.
fn message_rate(excess: Excess) -> StreamLimits {
    StreamLimits {
        message_rate: Some(Rate::per_second(10).burst(2)),
        excess,
        ..StreamLimits::default()
    }
}

#[test]
fn messages_and_pings_count() {
    use OpCode::{Binary, Close, Continuation, Ping, Pong, Text};
    let limits = message_rate(Excess::Close);
    let [text, ping] = [header(Text, true, 1), header(Ping, true, 0)];
    let over = Some(Limit::MessageRate);
    check(limits, &[text, text], None);
    check(limits, &[text, text, text], over);
    check(limits, &[ping, text, header(Binary, true, 1)], over);
    check(limits, &[text, text, ping], over);
    // A message in pieces is one, when it ends.
    let [begun, more] = [header(Text, false, 1), header(Continuation, false, 1)];
    let end = header(Continuation, true, 1);
    check(limits, &[text, begun, more, more, end, begun], None);
    check(limits, &[text, begun, end, begun, end], over);
    // Answers and farewells are free.
    let [pong, close] = [header(Pong, true, 0), header(Close, true, 2)];
    check(limits, &[text, text, pong, pong, close], None);
}

#[test]
fn frames_of_every_kind_count() {
    use OpCode::{Close, Continuation, Ping, Pong, Reserved3, Text};
    let limits = StreamLimits {
        frame_rate: Some(Rate::per_second(10).burst(2)),
        excess: Excess::Close,
        ..StreamLimits::default()
    };
    let over = Some(Limit::FrameRate);
    let text = header(Text, true, 1);
    check(limits, &[text, text], None);
    for opcode in [Text, Continuation, Ping, Pong, Close, Reserved3] {
        for fin in [true, false] {
            let frame = header(opcode, fin, 0);
            check(limits, &[frame, frame, frame], over);
            check(limits, &[text, text, frame], over);
        }
    }
}

#[test]
fn of_frames_and_messages_both_are_counted() {
    let limits = StreamLimits {
        message_rate: Some(Rate::per_second(1).burst(1)),
        frame_rate: Some(Rate::per_second(10).burst(1)),
        ..StreamLimits::default()
    };
    let (mut policy, told) = policy(limits);
    let start = Moment::now();
    policy.on_read(start);
    for _ in 0..2 {
        assert_eq!(policy.on_frame(&header(OpCode::Text, true, 1)), None);
    }
    assert_eq!(policy.pauses_until(), Some(start + Duration::from_secs(1)));
    assert_eq!(told.take(), [Limit::FrameRate, Limit::MessageRate]);
}

/// There is no frame then that could be counted, nor any after it.
#[test]
fn a_length_of_more_than_63_bits_is_beyond_every_limit() {
    let refuses = |limits, violation| {
        let (mut policy, told) = policy(limits);
        policy.on_read(Moment::now());
        let event = Event::Violation {
            violation,
            start: 0,
        };
        let ending = policy.refuses(&event, Role::Client);
        (ending.map(|e| (e.cause, e.code)), told.take())
    };
    let sizes = StreamLimits {
        message_size: Some(1),
        ..StreamLimits::default()
    };
    let (ending, told) = refuses(sizes, Violation::LengthOverflow);
    let cause = Cause::Limit(Limit::FrameSize);
    assert_eq!(ending, Some((cause, CloseCode::MESSAGE_TOO_BIG)));
    assert_eq!(told, [Limit::FrameSize]);
    // Others are none of its business.
    assert_eq!(refuses(sizes, Violation::Unmasked), (None, vec![]));
}

#[test]
fn messages_beyond_the_rate_are_waited_for() {
    let (mut policy, told) = policy(message_rate(Excess::HoldBack));
    let text = header(OpCode::Text, true, 1);
    let start = Moment::now();
    policy.on_read(start);
    for _ in 0..2 {
        assert_eq!(policy.on_frame(&text), None);
    }
    assert_eq!(policy.pauses_until(), None);
    // What has been read has been read: the debt of all is waited for.
    for _ in 0..5 {
        assert_eq!(policy.on_frame(&text), None);
    }
    let paid = start + Duration::from_millis(500);
    assert_eq!(policy.pauses_until(), Some(paid));

    policy.on_read(paid);
    assert_eq!(policy.pauses_until(), None);
    assert_eq!(policy.on_frame(&text), None);
    let paid = paid + Duration::from_millis(100);
    assert_eq!(policy.pauses_until(), Some(paid));
    assert_eq!(told.take(), [Limit::MessageRate], "once for all of it");

    let rested = paid + Duration::from_millis(200);
    policy.on_read(rested);
    for _ in 0..3 {
        assert_eq!(policy.on_frame(&text), None);
    }
    assert_eq!(told.take(), [Limit::MessageRate], "and again after a rest");
}

/// What a policy makes of a read of so many bytes, all of them in the middle of a frame.
fn read(
    policy: &mut LimitPolicy,
    tracker: &mut Tracker,
    bytes: usize,
    now: Moment,
) -> Option<Action> {
    policy.on_read(now);
    tracker.feed(&vec![0; bytes], |_| {});
    assert_eq!(policy.deadline(), Some(now), "due at once");
    let place = Place {
        incoming: tracker,
        outgoing: &Tracker::new(Role::Server),
        blocked: false,
        reads: true,
        tunnel: &Tunnel::default(),
    };
    let action = policy.on_deadline(now, place);
    assert_eq!(policy.deadline(), None);
    action
}

/// A thousand bytes a second, two thousand at once.
fn byte_rate(excess: Excess) -> StreamLimits {
    StreamLimits {
        byte_rate: Some(Rate::per_second(1000).burst(2000)),
        excess,
        ..StreamLimits::default()
    }
}

/// A tracker in the middle of a large frame, and the bytes that brought it there.
fn in_frame(policy: &mut LimitPolicy, now: Moment) -> Tracker {
    let mut tracker = Tracker::new(Role::Client);
    let header = header(OpCode::Binary, true, 1 << 30);
    let mut bytes = [0; Header::MAX_SIZE];
    tracker.feed(header.write(&mut bytes).unwrap(), |_| {});
    policy.on_read(now);
    assert_eq!(policy.on_frame(&header), None);
    tracker
}

#[test]
fn bytes_beyond_the_rate_are_waited_for() {
    let (mut policy, told) = policy(byte_rate(Excess::HoldBack));
    let start = Moment::now();
    let mut tracker = in_frame(&mut policy, start);
    let header = usize::try_from(tracker.offset()).unwrap();
    assert!(read(&mut policy, &mut tracker, 2000 - header, start).is_none());
    assert_eq!(policy.pauses_until(), None);
    assert!(read(&mut policy, &mut tracker, 3000, start).is_none());
    assert_eq!(policy.pauses_until(), Some(start + Duration::from_secs(3)));
    assert_eq!(told.take(), [Limit::ByteRate]);
}

#[test]
fn bytes_beyond_the_rate_may_end_it() {
    let (mut policy, told) = policy(byte_rate(Excess::Close));
    let start = Moment::now();
    let mut tracker = in_frame(&mut policy, start);
    assert!(read(&mut policy, &mut tracker, 1900, start).is_none());
    let Some(Action::End(ending)) = read(&mut policy, &mut tracker, 1000, start) else {
        panic!("it goes on");
    };
    assert_eq!(ending.cause, Cause::Limit(Limit::ByteRate));
    assert_eq!(ending.code, CloseCode::POLICY_VIOLATION);
    assert_eq!(ending.reason, "too much data");
    assert_eq!(told.take(), [Limit::ByteRate]);

    // From the next frame on nothing more is let in but the farewell.
    assert_eq!(policy.on_frame(&header(OpCode::Close, true, 2)), None);
    assert!(policy.on_frame(&header(OpCode::Text, true, 1)).is_some());
    assert_eq!(told.take(), []);
}

/// How long the client waits after so many pings and so many bytes, of which one each is free.
#[track_caller]
fn waits(pings: usize, bytes: usize, seconds: u64) {
    let one = || Some(Rate::per_second(1).burst(1));
    let (mut policy, told) = policy(StreamLimits {
        message_rate: one(),
        byte_rate: one(),
        ..StreamLimits::default()
    });
    let start = Moment::now();
    policy.on_read(start);
    for _ in 0..pings {
        assert_eq!(policy.on_frame(&header(OpCode::Ping, true, 0)), None);
    }
    let mut tracker = Tracker::new(Role::Client);
    tracker.feed(&vec![0; bytes], |_| {});
    let place = Place {
        incoming: &tracker,
        outgoing: &Tracker::new(Role::Server),
        blocked: false,
        reads: true,
        tunnel: &Tunnel::default(),
    };
    assert!(policy.on_deadline(start, place).is_none());
    let until = start + Duration::from_secs(seconds);
    assert_eq!(policy.pauses_until(), Some(until));
    assert_eq!(told.take(), [Limit::MessageRate, Limit::ByteRate]);
}

#[test]
fn of_two_debts_the_longer_counts() {
    waits(2, 6, 5);
    waits(6, 2, 5);
}

#[test]
fn headers_are_held_only_where_frames_may_be_refused() {
    let inspects = |limits| policy(limits).0.wants().include(Wants::REFUSE);
    let sizes = StreamLimits {
        message_size: Some(1),
        ..StreamLimits::default()
    };
    assert!(!inspects(StreamLimits::default()));
    assert!(inspects(sizes));
    assert!(!inspects(message_rate(Excess::HoldBack)));
    assert!(inspects(message_rate(Excess::Close)));
    assert!(inspects(byte_rate(Excess::Close)));
}

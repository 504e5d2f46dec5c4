use tokio::io::{ReadHalf, WriteHalf, split};
use wsgate_frame::Tracker;

use super::*;
use crate::{
    guard::{Place, Policy, tests::Peer},
    moment::Moment,
    timeout::idle::IdlePolicy,
    tunnel::Tunnel,
};

/// The decisions by themselves, told the time in seconds. The timeout is 160 s, a step is 10 s.
struct Bench {
    policy: IdlePolicy,
    start: Moment,
    incoming: Tracker,
    outgoing: Tracker,
}

// ===== impl Bench =====

impl Bench {
    fn new() -> Self {
        let start = Moment::now();
        Self {
            policy: IdlePolicy::new(IdleTimeoutLayer::new(secs(160)), start),
            start,
            incoming: Tracker::new(Role::Client),
            outgoing: Tracker::new(Role::Server),
        }
    }

    /// The next second at which something is due.
    fn next(&self) -> u64 {
        (self.policy.deadline().unwrap() - self.start).as_secs()
    }

    /// Lets all deadlines pass before this second. Where one of them ends it, gives that.
    fn run_to(&mut self, second: u64) -> Option<u64> {
        while self.next() < second {
            let now = self.policy.deadline().unwrap();
            let place = Place {
                incoming: &self.incoming,
                outgoing: &self.outgoing,
                blocked: false,
                reads: true,
                tunnel: &Tunnel::default(),
            };
            if self.policy.on_deadline(now, place).is_some() {
                return Some((now - self.start).as_secs());
            }
        }
        None
    }

    /// Comes to look at this second, for the first time since the deadline. Whether that ends it.
    fn wakes(&mut self, second: u64) -> bool {
        let place = Place {
            incoming: &self.incoming,
            outgoing: &self.outgoing,
            blocked: false,
            reads: true,
            tunnel: &Tunnel::default(),
        };
        let now = self.start + secs(second);
        self.policy.on_deadline(now, place).is_some()
    }

    /// Bytes come at this second.
    #[track_caller]
    fn reads(&mut self, second: u64, bytes: &[u8]) {
        assert_eq!(self.run_to(second), None);
        let now = self.start + secs(second);
        self.policy.on_read(now);
        let policy = &mut self.policy;
        self.incoming.feed(bytes, |event| {
            policy.on_incoming(&event, now, &Tunnel::default())
        });
    }

    /// The end comes in time for messages that moved last at this second.
    #[track_caller]
    fn ends_after(&mut self, last: u64) {
        let end = self.run_to(last + 1000).expect("no end");
        let late = end.checked_sub(last + 160).expect("too early");
        assert!(late <= 10, "{late} s late");
    }
}

#[test]
fn it_takes_little_memory() {
    assert!(size_of::<IdlePolicy>() <= 64);
}

#[test]
fn an_idle_one_costs_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.next(), 160);
    bench.reads(20, &frame(Role::Client, 0x81, "a message"));
    assert_eq!(bench.next(), 30);
    assert_eq!(bench.run_to(41), None);
    // It has been looked at twice, and not again until its end.
    assert_eq!(bench.next(), 190);
    bench.ends_after(20);
}

#[test]
fn the_end_is_never_early_and_a_sixteenth_late_at_most() {
    for second in 1..150 {
        let mut bench = Bench::new();
        for message in 0..=second % 7 {
            bench.reads(second + message * second, &frame(Role::Client, 0x82, "x"));
        }
        bench.ends_after(second + second % 7 * second);
    }
}

#[test]
fn control_frames_do_not_count() {
    let mut bench = Bench::new();
    for (second, first) in [(40, 0x89), (80, 0x8a), (120, 0x8b)] {
        bench.reads(second, &frame(Role::Client, first, "control"));
    }
    assert_eq!(bench.run_to(1000), Some(160));
}

#[test]
fn an_empty_message_counts() {
    let mut bench = Bench::new();
    bench.reads(150, &frame(Role::Client, 0x81, ""));
    bench.ends_after(150);
}

#[test]
fn a_message_counts_as_long_as_it_moves() {
    let mut bench = Bench::new();
    let message = frame(Role::Client, 0x81, "a long one");
    let (header, payload) = message.split_at(6);
    bench.reads(50, header);
    for (byte, second) in payload.chunks(1).zip((150..).step_by(100)) {
        bench.reads(second, byte);
    }
    bench.ends_after(1050);
}

#[test]
fn a_message_under_way_counts_only_while_it_moves() {
    let mut bench = Bench::new();
    bench.reads(30, &frame(Role::Client, 0x81, "a long one")[..9]);
    bench.ends_after(30);

    let mut bench = Bench::new();
    bench.reads(30, &frame(Role::Client, 0x01, "the first part"));
    bench.reads(120, &frame(Role::Client, 0x89, "ping"));
    bench.ends_after(30);
}

#[test]
fn where_nobody_can_tell_what_a_message_is_all_bytes_count() {
    let mut bench = Bench::new();
    // A length that is no number of bytes.
    bench.reads(20, &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for second in (100..1000).step_by(100) {
        bench.reads(second, b"whatever");
    }
    assert_eq!(bench.run_to(1000), None);
    let end = bench.run_to(2000).expect("no end");
    // The frames that would make it look are not to be seen, so it looks once in each timeout.
    assert!((900 + 160..=900 + 320).contains(&end), "{end} s");
}

/// A handler that reads and writes on two tasks.
struct Rig {
    reader: ReadHalf<IdleTimeoutIo<Scripted>>,
    writer: WriteHalf<IdleTimeoutIo<Scripted>>,
    peer: Peer,
    tunnel: Tunnel,
}

impl Rig {
    fn new(role: Role) -> Self {
        let (stream, peer) = scripted();
        let upgrade = upgrade();
        let layer = IdleTimeoutLayer::new(secs(160));
        let (reader, writer) = split(IdleTimeoutIo::new(stream, role, &layer, &upgrade));
        Self {
            reader,
            writer,
            peer,
            tunnel: upgrade.tunnel,
        }
    }

    async fn hears(&mut self, seconds: u64) -> Vec<u8> {
        hears(&mut self.reader, secs(seconds)).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_unused_websocket_is_closed_politely() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let ping = frame(role, 0x89, "alive");
        for _ in 0..15 {
            rig.peer.sends(&ping);
            assert_eq!(rig.hears(10).await, ping);
        }
        assert_eq!(rig.tunnel.end(), None);
        assert_eq!(rig.hears(11).await, b"");
        let (code, reason) = close_from(other(role), &rig.peer.got());
        assert_eq!((code, &*reason), (CloseCode::GOING_AWAY, "idle timeout"));
        assert_eq!(rig.tunnel.end().unwrap().cause, Cause::IdleTimeout);
        let answer = frame(role, 0x88, "");
        rig.peer.sends(&answer);
        assert_eq!(hears_end(&mut rig.reader, secs(1)).await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_either_side_count() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        let (theirs, ours) = (frame(role, 0x81, "text"), frame_to(role, 0x82, "data"));
        for _ in 0..3 {
            rig.peer.sends(&theirs);
            assert_eq!(rig.hears(150).await, theirs);
            rig.writer.write_all(&ours).await.unwrap();
            assert_eq!(rig.hears(150).await, b"");
            assert_eq!(rig.peer.got(), ours);
        }
        assert_eq!(rig.tunnel.end(), None);
        rig.hears(25).await;
        assert_eq!(rig.tunnel.end().unwrap().cause, Cause::IdleTimeout);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_message_to_a_slow_peer_counts() {
    for role in BOTH {
        let mut rig = Rig::new(role);
        rig.peer.takes(0);
        let text = frame_to(role, 0x81, "x".repeat(100));
        let (mut writer, bytes) = (rig.writer, text.clone());
        let flood = tokio::spawn(async move { writer.write_all(&bytes).await });
        let mut got = Vec::new();
        while got.len() < text.len() {
            assert_eq!(hears(&mut rig.reader, secs(140)).await, b"");
            rig.peer.takes(10);
            tokio::task::yield_now().await;
            got.extend(rig.peer.got());
        }
        flood.await.unwrap().unwrap();
        assert_eq!(got, text);
        assert_eq!(hears(&mut rig.reader, secs(150)).await, b"");
        assert_eq!(rig.tunnel.end(), None);
        hears(&mut rig.reader, secs(25)).await;
        assert_eq!(rig.tunnel.end().unwrap().cause, Cause::IdleTimeout);
    }
}

#[test]
fn who_was_asleep_when_the_time_was_over_waits_once_more() {
    let mut bench = Bench::new();
    assert_eq!(bench.next(), 160);
    assert!(!bench.wakes(1000));
    assert_eq!(bench.next(), 1160);
    assert!(bench.wakes(2000));
}

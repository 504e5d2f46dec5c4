//! The decisions by themselves, told the time in seconds.

mod asleep;
mod lost;

use super::*;
use crate::{
    guard::{Action, Ending, PeerEnds, Place, Policy},
    keepalive::policy::KeepalivePolicy,
    moment::Moment,
    tunnel::Cause,
};

struct Bench {
    policy: KeepalivePolicy,
    start: Moment,
    incoming: Tracker,
    outgoing: Tracker,
    blocked: bool,
    tunnel: Tunnel,
    round_trips: Arc<RoundTrips>,
}

// ===== impl Bench =====

impl Bench {
    fn new(layer: &KeepaliveLayer) -> Self {
        let (tunnel, start) = (Tunnel::default(), Moment::now());
        let round_trips = RoundTrips::of(&tunnel);
        let settings = Arc::clone(&layer.settings);
        Self {
            policy: KeepalivePolicy::new(settings, Role::Client, start),
            start,
            incoming: Tracker::new(Role::Client),
            outgoing: Tracker::new(Role::Server),
            blocked: false,
            tunnel,
            round_trips,
        }
    }

    fn at(&self, second: u64) -> Moment {
        self.start + secs(second)
    }

    /// At which second something is due.
    #[track_caller]
    fn next(&self) -> Option<u64> {
        let deadline = self.policy.deadline()?;
        let second = (deadline - self.start).as_secs();
        assert_eq!(deadline, self.at(second));
        Some(second)
    }

    /// Lets the deadline pass, which is at this second.
    #[track_caller]
    fn due(&mut self, second: u64) -> Option<Action> {
        assert_eq!(self.next(), Some(second));
        let place = Place {
            incoming: &self.incoming,
            outgoing: &self.outgoing,
            blocked: self.blocked,
            reads: true,
            tunnel: &self.tunnel,
        };
        self.policy.on_deadline(self.start + secs(second), place)
    }

    /// The deadline at this second asks for a ping.
    #[track_caller]
    fn pings(&mut self, second: u64) -> [u8; 8] {
        match self.due(second) {
            Some(Action::Ping(payload)) => payload,
            other => panic!("no ping but {other:?}"),
        }
    }

    /// The same, and it is sent at once.
    #[track_caller]
    fn sends_ping(&mut self, second: u64) -> [u8; 8] {
        let payload = self.pings(second);
        self.sent(payload, second);
        payload
    }

    /// The ping goes out.
    #[track_caller]
    fn sent(&mut self, payload: [u8; 8], second: u64) {
        let at = self.at(second);
        assert!(!self.policy.on_ping_sent(*b"another!", at));
        assert!(self.policy.on_ping_sent(payload, at));
    }

    /// The deadline at this second asks for nothing.
    #[track_caller]
    fn waits(&mut self, second: u64) {
        let action = self.due(second);
        assert!(action.is_none(), "{action:?}");
    }

    /// The deadline at `second` is heard of only now, and asks for nothing.
    #[track_caller]
    fn misses(&mut self, second: u64, now: u64) {
        assert_eq!(self.next(), Some(second));
        let place = Place {
            incoming: &self.incoming,
            outgoing: &self.outgoing,
            blocked: self.blocked,
            reads: true,
            tunnel: &self.tunnel,
        };
        let action = self.policy.on_deadline(self.start + secs(now), place);
        assert!(action.is_none(), "{action:?}");
    }

    #[track_caller]
    fn dies(&mut self, second: u64) {
        match self.due(second) {
            Some(Action::End(ending)) => assert_eq!(ending.cause, Cause::PongTimeout),
            other => panic!("it lives: {other:?}"),
        }
    }

    fn reads(&mut self, second: u64) {
        self.policy.on_read(self.at(second));
    }

    /// A pong comes, which is a sign of life like any other. Whether it was ours.
    fn pong(&mut self, payload: [u8; 8], second: u64) -> bool {
        self.reads(second);
        let at = self.at(second);
        self.policy.expects_pong() && self.policy.absorbs_pong(payload, at, &self.tunnel)
    }
}

#[test]
fn it_takes_little_memory() {
    assert!(size_of::<KeepalivePolicy>() <= 56);
}

#[test]
fn a_quiet_peer_is_pinged_and_a_dead_one_ends() {
    let mut bench = Bench::new(&steady().close_code(CloseCode(4000)));
    bench.sends_ping(10);
    let ending = Ending {
        cause: Cause::PongTimeout,
        code: CloseCode(4000),
        reason: "pong timeout",
        peer: PeerEnds::AtOnce,
    };
    match bench.due(14) {
        Some(Action::End(end)) => assert_eq!(end, ending),
        other => panic!("it lives: {other:?}"),
    }
}

#[test]
fn a_pong_begins_the_interval_anew_and_tells_the_round_trip() {
    let mut bench = Bench::new(&steady());
    for round in 0..40 {
        let payload = bench.sends_ping(10 + round * 12);
        assert!(bench.pong(payload, 12 + round * 12));
        assert_eq!(bench.round_trips.take(), [(Role::Client, secs(2))]);
    }
}

#[test]
fn what_the_peer_sends_postpones_the_ping() {
    let mut bench = Bench::new(&steady());
    bench.reads(3);
    assert_eq!(bench.next(), Some(13));
    bench.reads(12);
    let payload = bench.sends_ping(22);
    assert!(bench.pong(payload, 23));
    assert_eq!(bench.next(), Some(33));
}

#[test]
fn regardless_of_traffic_the_ping_comes_in_time() {
    let mut bench = Bench::new(&steady().regardless_of_traffic());
    bench.reads(9);
    let payload = bench.sends_ping(10);
    assert!(bench.pong(payload, 12));
    bench.reads(19);
    bench.sends_ping(20);
    assert_eq!(bench.next(), Some(24), "it has to answer nevertheless");
}

#[test]
fn what_the_peer_takes_does_not_postpone_the_ping() {
    let mut bench = Bench::new(&steady());
    bench.policy.on_unblocked(bench.at(9));
    bench.sends_ping(10);
}

#[test]
fn a_sign_of_life_gives_the_whole_time_again() {
    let mut bench = Bench::new(&steady());
    let payload = bench.sends_ping(10);
    bench.reads(13);
    bench.reads(16);
    bench.policy.on_unblocked(bench.at(19));
    assert_eq!(bench.next(), Some(23));
    assert!(bench.pong(payload, 22));
    assert_eq!(bench.round_trips.take(), [(Role::Client, secs(12))]);

    bench.sends_ping(32);
    bench.reads(35);
    bench.dies(39);
}

#[test]
fn a_ping_that_waits_for_a_boundary_has_no_deadline() {
    let mut bench = Bench::new(&steady());
    bench.outgoing.feed(b"\x81\x05Hel", |_| {});
    let payload = bench.pings(10);
    for second in [14, 18, 22] {
        bench.waits(second);
    }
    assert!(!bench.pong(payload, 25), "not sent yet");
    bench.sent(payload, 28);
    bench.dies(32);
}

#[test]
fn a_peer_that_takes_nothing_is_dead_in_time() {
    let mut bench = Bench::new(&steady());
    bench.blocked = true;
    bench.pings(10);
    bench.dies(14);
}

#[test]
fn a_peer_that_takes_something_is_alive() {
    let mut bench = Bench::new(&steady());
    bench.blocked = true;
    bench.pings(10);
    bench.policy.on_unblocked(bench.at(12));
    // For how long it has been blocked again is not known.
    bench.waits(16);
    bench.reads(19);
    bench.waits(23);
    bench.dies(27);
}

#[test]
fn a_peer_has_its_whole_time_from_when_it_blocks() {
    let mut bench = Bench::new(&steady());
    bench.outgoing.feed(b"\x81\x05Hel", |_| {});
    bench.pings(10);
    bench.blocked = true;
    bench.waits(14);
    bench.dies(18);
}

#[test]
fn a_ping_that_cannot_be_sent_at_a_boundary_means_no_death_by_itself() {
    // The handler has shut its direction down.
    let mut bench = Bench::new(&steady());
    bench.pings(10);
    bench.waits(14);
    bench.waits(18);
}

#[test]
fn pings_go_on_while_one_is_open() {
    let mut bench = Bench::new(&steady().pong_timeout(secs(25)));
    bench.sends_ping(10);
    bench.sends_ping(20);
    bench.pings(30);
    // The time runs from the first one that was not answered, sent or not.
    bench.dies(35);
}

#[test]
fn a_late_pong_is_absorbed_and_tells_no_round_trip() {
    let mut bench = Bench::new(&steady().pong_timeout(secs(25)));
    let payloads = [10, 20].map(|second| bench.sends_ping(second));
    assert!(bench.pong(payloads[0], 21));
    assert_eq!(bench.round_trips.take(), []);
    assert!(!bench.pong(payloads[0], 21), "answered");
    assert!(bench.pong(payloads[1], 23));
    assert_eq!(bench.round_trips.take(), [(Role::Client, secs(3))]);
    assert_eq!(bench.next(), Some(33));
}

#[test]
fn a_pong_may_come_while_the_next_ping_is_due() {
    let mut bench = Bench::new(&steady().pong_timeout(secs(25)));
    let payload = bench.sends_ping(10);
    bench.outgoing.feed(b"\x81\x05Hel", |_| {});
    let next = bench.pings(20);
    assert!(bench.pong(payload, 21));
    bench.waits(46);
    bench.sent(next, 50);
    assert!(bench.pong(next, 51));
    assert_eq!(bench.round_trips.take(), [(Role::Client, secs(1))]);
}

#[test]
fn a_talking_peer_that_answers_no_ping_is_alive() {
    let mut bench = Bench::new(&steady().regardless_of_traffic());
    for round in 1..100 {
        bench.sends_ping(round * 10);
        for second in [3, 6, 9] {
            bench.reads(round * 10 + second);
        }
    }
    bench.sends_ping(1000);
    bench.dies(1003);
}

#[test]
fn the_handlers_close_is_as_good_as_a_ping() {
    let mut bench = Bench::new(&steady());
    bench.outgoing.feed(b"\x88\x00", |_| {});
    bench.waits(10);
    bench.dies(14);
}

#[test]
fn a_peer_that_talks_on_after_the_handlers_close_is_alive() {
    let mut bench = Bench::new(&steady());
    bench.outgoing.feed(b"\x88\x00", |_| {});
    bench.waits(10);
    bench.reads(13);
    bench.waits(17);
    bench.dies(21);
}

#[test]
fn a_peer_that_has_sent_its_close_owes_nothing() {
    let mut bench = Bench::new(&steady());
    let payload = bench.sends_ping(10);
    bench.incoming.feed(b"\x88\x80\0\0\0\0", |_| {});
    bench.waits(14);
    assert_eq!(bench.next(), None);
    assert!(bench.pong(payload, 20), "it may answer, though");
    assert_eq!(bench.next(), None);
}

#[test]
fn a_ping_that_leaves_after_the_peers_close_needs_no_answer() {
    let mut bench = Bench::new(&steady());
    bench.outgoing.feed(b"\x81\x05Hel", |_| {});
    let payload = bench.pings(10);
    bench.incoming.feed(b"\x88\x80\0\0\0\0", |_| {});
    bench.waits(14);
    bench.sent(payload, 15);
    assert_eq!(bench.next(), None);
}

#[test]
fn no_two_sockets_ping_in_step() {
    let layer = KeepaliveLayer::every(secs(10));
    let first = |_| Bench::new(&layer).policy.deadline().unwrap();
    let began = Moment::now();
    let mut firsts: Vec<_> = (0..100).map(first).collect();
    let done = Moment::now();
    assert!(firsts.iter().all(|&at| at > began + secs(9)));
    assert!(firsts.iter().all(|&at| at <= done + secs(10)));
    firsts.sort_unstable();
    // By chance alone they are closer once in 10^27 runs.
    assert!(firsts[99] - firsts[0] > secs(1) / 2);
}

#[test]
fn no_two_intervals_are_alike() {
    let mut bench = Bench::new(&KeepaliveLayer::every(secs(10)));
    let mut intervals = Vec::new();
    for _ in 0..100 {
        let now = bench.policy.deadline().unwrap();
        let place = Place {
            incoming: &bench.incoming,
            outgoing: &bench.outgoing,
            blocked: false,
            reads: true,
            tunnel: &bench.tunnel,
        };
        let Some(Action::Ping(payload)) = bench.policy.on_deadline(now, place) else {
            panic!("no ping");
        };
        assert!(bench.policy.on_ping_sent(payload, now));
        assert!(bench.policy.absorbs_pong(payload, now, &bench.tunnel));
        intervals.push(bench.policy.deadline().unwrap() - now);
    }
    intervals.sort_unstable();
    assert!(intervals[0] > secs(9) && intervals[99] <= secs(10));
    assert!(intervals[99] - intervals[0] > secs(1) / 2);
}

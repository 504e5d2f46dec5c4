//! Deadlines that nobody was awake for.

use super::*;

/// The pong may be in the socket, unread.
#[test]
fn who_was_asleep_when_the_time_was_over_waits_once_more() {
    let mut bench = Bench::new(&steady());
    let payload = bench.sends_ping(10);
    bench.misses(14, 1000);
    assert!(bench.pong(payload, 1001));
    assert_eq!(bench.next(), Some(1011));

    bench.sends_ping(1011);
    bench.misses(1015, 2000);
    bench.dies(2004);
}

#[test]
fn who_is_always_late_finds_a_dead_peer_dead_all_the_same() {
    let mut bench = Bench::new(&steady());
    bench.sends_ping(10);
    bench.misses(14, 1000);
    let place = Place {
        incoming: &bench.incoming,
        outgoing: &bench.outgoing,
        blocked: false,
        reads: true,
        tunnel: &bench.tunnel,
    };
    let late = bench.policy.on_deadline(bench.start + secs(2000), place);
    assert!(matches!(late, Some(Action::End(_))), "{late:?}");
}

#[test]
fn a_peer_that_took_nothing_while_nobody_was_awake_gets_its_time_again() {
    let mut bench = Bench::new(&steady());
    bench.blocked = true;
    bench.pings(10);
    bench.misses(14, 1000);
    bench.dies(1004);
}

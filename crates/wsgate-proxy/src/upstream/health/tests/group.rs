use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use http::{HeaderMap, Response, StatusCode};
use tokio::time::advance;

use super::{SECOND, endpoint, group, handshake};
use crate::{
    error::UpstreamFailure,
    exhausted::Exhausted,
    upstream::{
        Upstream,
        health::{Attempt, Bar, Ejection, EndpointHealth, Moment, Verdict},
    },
};

type Answer = Result<Response<()>, UpstreamFailure>;

fn status(status: u16) -> Answer {
    let mut res = Response::new(());
    *res.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(res)
}

fn refused() -> Answer {
    let error = std::io::ErrorKind::ConnectionRefused;
    Err(UpstreamFailure::Refused(Arc::new(error.into())))
}

fn well() -> Answer {
    status(101)
}

/// Sends a handshake, to which each endpoint answers so, by its port. The ports that it went to.
fn shake(upstream: &Upstream, answer: impl Fn(u16) -> Answer) -> Vec<u16> {
    let headers = HeaderMap::new();
    let mut tries = upstream.tries();
    let mut ports = Vec::new();
    while let Some(lease) = tries.next(&handshake(&headers)) {
        let name = lease.endpoint().to_string();
        let port = name.rsplit(':').next().unwrap().parse().unwrap();
        ports.push(port);
        let answer = answer(port);
        tries.report(&answer);
        if answer.is_ok_and(|res| !upstream.retries(res.status())) {
            break;
        }
    }
    ports
}

fn health(upstream: &Upstream, port: u16) -> EndpointHealth {
    let endpoint = endpoint(port).endpoint().clone();
    let all = upstream.endpoints().into_iter();
    let mut its = all.filter(|e| e.endpoint == endpoint);
    its.next().expect("it is there").health
}

#[track_caller]
fn is_ejected(upstream: &Upstream, port: u16) -> bool {
    matches!(health(upstream, port), EndpointHealth::Ejected { .. })
}

/// Handshakes until this endpoint had one.
fn until(upstream: &Upstream, port: u16, answer: impl Fn(u16) -> Answer) {
    for _ in 0..1000 {
        if shake(upstream, &answer).contains(&port) {
            return;
        }
    }
    panic!("{port} was never chosen");
}

#[tokio::test(start_paused = true)]
async fn any_failure_ejects_and_no_other_answer_does() {
    #[track_caller]
    fn check(answer: fn() -> Answer, why: Option<&str>) {
        let upstream = group([1, 2]).build().unwrap();
        until(
            &upstream,
            1,
            |port| if port == 1 { answer() } else { well() },
        );
        match (health(&upstream, 1), why) {
            (EndpointHealth::Healthy, None) => {}
            (EndpointHealth::Ejected { why, remaining }, Some(expected)) => {
                assert!(why.contains(expected), "{why}");
                assert!(remaining >= SECOND * 3 / 4 && remaining <= SECOND);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(health(&upstream, 2), EndpointHealth::Healthy);
    }
    check(refused, Some("refused the connection: connection refused"));
    check(
        || Err(UpstreamFailure::HandshakeTimeout(SECOND)),
        Some("did not answer the handshake within 1s"),
    );
    check(|| status(500), Some("answered 500 Internal Server Error"));
    check(|| status(503), Some("answered 503"));
    check(|| status(101), None);
    check(|| status(200), None);
    check(|| status(401), None);
    check(|| status(429), None);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_switched_off() {
    let off = group([1, 2]).eject(None).build().unwrap();
    let deaf = group([1, 2]).eject(Ejection::default().ignore_answers());
    let deaf = deaf.build().unwrap();
    for upstream in [off, deaf] {
        for _ in 0..10 {
            shake(&upstream, |_| status(503));
        }
        assert!(!is_ejected(&upstream, 1) && !is_ejected(&upstream, 2));
    }
    let single = Upstream::single(endpoint(1)).unwrap();
    assert_eq!(shake(&single, |_| refused()), [1]);
    assert_eq!(health(&single, 1), EndpointHealth::Healthy);
}

#[tokio::test(start_paused = true)]
async fn what_the_gateway_lacks_ejects_nobody() {
    for exhausted in [Exhausted::Files, Exhausted::Ports] {
        let upstream = group(1..=3).build().unwrap();
        let lacks = || {
            let error = std::io::Error::other(exhausted);
            Err(UpstreamFailure::connecting(error))
        };
        for _ in 0..10 {
            assert_eq!(shake(&upstream, |_| lacks()).len(), 3);
        }
        assert!((1..=3).all(|port| health(&upstream, port) == EndpointHealth::Healthy));
    }
}

#[tokio::test(start_paused = true)]
async fn an_ejected_endpoint_is_passed_over_then_probed_by_one() {
    let upstream = group([1, 2]).build().unwrap();
    let first_fails = |port| if port == 1 { refused() } else { well() };
    until(&upstream, 1, first_fails);
    for _ in 0..100 {
        assert_eq!(shake(&upstream, first_fails), [2]);
    }

    advance(SECOND).await;
    let headers = HeaderMap::new();
    let mut probe = upstream.tries();
    let lease = loop {
        let lease = probe.next(&handshake(&headers)).unwrap();
        if lease.endpoint().to_string().ends_with(":1") {
            break lease;
        }
        probe = upstream.tries();
    };
    for _ in 0..100 {
        assert_eq!(shake(&upstream, first_fails), [2], "a probe is under way");
    }

    // Its client leaves.
    drop((probe, lease));
    until(&upstream, 1, |_| well());
    assert_eq!(health(&upstream, 1), EndpointHealth::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_makes_one_probe_and_its_next_try_is_a_well_endpoint() {
    let upstream = group(1..=4).build().unwrap();
    let only_last = |port| if port == 4 { well() } else { refused() };
    for _ in 0..100 {
        shake(&upstream, only_last);
    }
    let mut probed = 0;
    for _ in 0..100 {
        advance(Duration::from_secs(60)).await;
        match *shake(&upstream, only_last) {
            [4] => {}
            [_, 4] => probed += 1,
            ref other => panic!("{other:?}"),
        }
    }
    assert!(probed > 0);
}

#[tokio::test(start_paused = true)]
async fn none_is_picked_twice_in_a_row_while_another_lives() {
    for seed in 1..=3 {
        let upstream = group(1..=3).build().unwrap();
        let one_lives = |port| if port == seed { well() } else { refused() };
        let mut last = 0;
        for _ in 0..200 {
            advance(Duration::from_millis(700)).await;
            let ports = shake(&upstream, one_lives);
            assert_eq!(ports.last(), Some(&seed), "the client gets its WebSocket");
            for port in ports {
                assert!(port == seed || port != last, "{port} twice");
                last = port;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_one_standing_is_never_ejected() {
    let upstream = group(1..=3).build().unwrap();
    assert_eq!(shake(&upstream, |_| refused()).len(), 3);
    let out = (1..=3).filter(|&port| is_ejected(&upstream, port)).count();
    assert_eq!(out, 2);

    // Nor one whose only companion is drained.
    let upstream = group(1..=2).build().unwrap();
    upstream.drain(endpoint(2).endpoint()).unwrap();
    shake(&upstream, |_| refused());
    assert!(!is_ejected(&upstream, 1));
}

#[tokio::test(start_paused = true)]
async fn a_live_backup_lets_all_primaries_be_ejected() {
    let upstream = group(1..=2).endpoint(endpoint(3).backup());
    let upstream = upstream.build().unwrap();
    let primaries_fail = |port| if port == 3 { well() } else { refused() };
    assert_eq!(shake(&upstream, primaries_fail).len(), 3);
    assert!(is_ejected(&upstream, 1) && is_ejected(&upstream, 2));
    for _ in 0..10 {
        assert_eq!(shake(&upstream, primaries_fail), [3]);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_their_share_of_the_primaries_is_ejected() {
    #[track_caller]
    fn check(share: f64, expected: usize) {
        let upstream = group(1..=10).tries(10);
        let upstream = upstream.eject(Ejection::default().max_share(share));
        let upstream = upstream.build().unwrap();
        for _ in 0..5 {
            shake(&upstream, |_| refused());
        }
        let out = (1..=10).filter(|&port| is_ejected(&upstream, port)).count();
        assert_eq!(out, expected, "of 10 with a share of {share}");
    }
    check(1.0, 9);
    check(0.7, 7);
    check(0.35, 3);
    check(0.0, 0);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_well_all_are_tried_and_the_first_answer_ends_it() {
    let upstream = group(1..=3).build().unwrap();
    for _ in 0..10 {
        let mut ports = shake(&upstream, |_| refused());
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3], "better a try than a certain 503");
    }
    let out = (1..=3).find(|&port| is_ejected(&upstream, port)).unwrap();
    let this_lives = |port| if port == out { well() } else { refused() };
    until(&upstream, out, this_lives);
    assert_eq!(health(&upstream, out), EndpointHealth::Healthy);
    // And the one that had to stay is out by now.
    for _ in 0..100 {
        shake(&upstream, this_lives);
    }
    assert_eq!(shake(&upstream, this_lives), [out]);
}

#[tokio::test(start_paused = true)]
async fn a_later_try_that_had_no_time_tells_nothing() {
    let late = || Err(UpstreamFailure::HandshakeTimeout(SECOND));
    let upstream = group(1..=3).deadline(SECOND).build().unwrap();
    let headers = HeaderMap::new();
    let mut tries = upstream.tries();
    for expected in [1, 1] {
        let _lease = tries.next(&handshake(&headers)).unwrap();
        advance(SECOND * 6 / 10).await;
        tries.report::<()>(&late());
        let out = (1..=3).filter(|&port| is_ejected(&upstream, port)).count();
        assert_eq!(out, expected);
    }
    // A first try has had all the time there is.
    let mut tries = upstream.tries();
    let _lease = tries.next(&handshake(&headers)).unwrap();
    advance(2 * SECOND).await;
    tries.report::<()>(&late());
    let out = (1..=3).filter(|&port| is_ejected(&upstream, port)).count();
    assert_eq!(out, 2);
}

/// Real threads, as many as may fit between two instructions.
#[test]
fn of_many_threads_exactly_one_is_the_probe() {
    let upstream = group([1, 2]).eject(Ejection::default().back_off(Duration::ZERO, SECOND));
    let upstream = upstream.build().unwrap();
    let member = Arc::clone(&upstream.group.members.load().primary[0]);
    let rules = Ejection::default().back_off(Duration::ZERO, SECOND);
    let later = || Moment::now().plus(100 * SECOND);
    for _ in 0..200 {
        let ordinary = member.health.admit(Bar::WELL, Moment::now()).unwrap();
        let health = &member.health;
        health.failed(ordinary, "", Moment::now(), &rules, || true);
        let probes = AtomicUsize::new(0);
        let tickets: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let ticket = health.admit(Bar::at(later()), later());
                        probes.fetch_add(usize::from(ticket.is_some()), Ordering::Relaxed);
                        ticket
                    })
                })
                .collect();
            let joined = threads.into_iter();
            joined.filter_map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(probes.load(Ordering::Relaxed), 1);
        assert!(tickets[0].is_probe);
        health.succeeded(tickets[0], Moment::now(), Duration::ZERO);
    }
}

/// Each ejects its own at the same time: the last two must not go together.
#[test]
fn threads_that_fail_together_leave_one_standing() {
    const ROUNDS: usize = 2000;
    let groups = [(); ROUNDS].map(|()| group(1..=2).build().unwrap());
    let arrived = AtomicUsize::new(0);
    thread::scope(|scope| {
        for index in 0..2 {
            let (groups, arrived) = (&groups, &arrived);
            scope.spawn(move || {
                let rules = Ejection::default();
                for (round, upstream) in groups.iter().enumerate() {
                    let member = &upstream.group.members.load().primary[index];
                    let attempt = Attempt::begin(member, Bar::WELL, Moment::now()).unwrap();
                    // A barrier that sleeps wakes one of the two too late.
                    arrived.fetch_add(1, Ordering::SeqCst);
                    while arrived.load(Ordering::SeqCst) < 2 * (round + 1) {
                        thread::yield_now();
                    }
                    let gone = Verdict::Failed {
                        why: "gone".to_owned(),
                        is_its_own: true,
                    };
                    assert!(attempt.report(upstream, &rules, &gone, None).is_none());
                }
            });
        }
    });
    for upstream in &groups {
        assert!(is_ejected(upstream, 1) != is_ejected(upstream, 2));
    }
}

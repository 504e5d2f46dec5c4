//! Who gets a handshake, without sockets.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::*;

/// The port is all that tells endpoints apart here.
fn at(port: u16) -> EndpointSettings {
    EndpointSettings::new(&format!("http://127.0.0.1:{port}")).unwrap()
}

fn group(endpoints: impl IntoIterator<Item = EndpointSettings>) -> Upstream {
    let builder = Upstream::builder("backend").tries(10);
    let all = endpoints
        .into_iter()
        .fold(builder, UpstreamBuilder::endpoint);
    all.build().unwrap()
}

fn handshake(headers: &HeaderMap) -> Handshake<'_> {
    Handshake {
        headers,
        path: "/websocket",
        query: None,
        client: None,
        is_secure: true,
    }
}

/// A lease for one handshake, at its first try.
fn first(upstream: &Upstream) -> Option<Lease> {
    upstream.tries().next(&handshake(&HeaderMap::new()))
}

fn port(lease: &Lease) -> u16 {
    lease
        .endpoint()
        .to_string()
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap()
}

/// All endpoints that a handshake is sent to, in order.
fn all_tries(upstream: &Upstream) -> Vec<u16> {
    let headers = HeaderMap::new();
    let mut tries = upstream.tries();
    std::iter::from_fn(|| tries.next(&handshake(&headers)))
        .map(|lease| port(&lease))
        .collect()
}

fn tunnels(upstream: &Upstream) -> Vec<u32> {
    let endpoints = upstream.endpoints();
    endpoints.iter().map(|status| status.tunnels).collect()
}

#[test]
fn a_lease_counts_until_it_is_dropped() {
    let upstream = group([at(1), at(2)]);
    let leases: Vec<_> = (0..10).map(|_| first(&upstream).unwrap()).collect();
    assert_eq!(tunnels(&upstream), [5, 5]);
    drop(leases);
    assert_eq!(tunnels(&upstream), [0, 0]);
}

#[test]
fn each_endpoint_is_tried_once_and_backups_last() {
    let upstream = group([at(9).backup(), at(1), at(2), at(3)]);
    let mut tried = all_tries(&upstream);
    assert_eq!(tried.pop(), Some(9));
    tried.sort_unstable();
    assert_eq!(tried, [1, 2, 3]);
}

#[test]
fn tries_are_bounded() {
    let builder = Upstream::builder("backend").tries(2);
    let all = (1..=5).map(at).fold(builder, UpstreamBuilder::endpoint);
    assert_eq!(all_tries(&all.build().unwrap()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn past_the_deadline_nothing_is_tried() {
    let builder = Upstream::builder("backend").deadline(Duration::from_secs(3));
    let upstream = builder.endpoint(at(1)).endpoint(at(2)).build().unwrap();
    let headers = HeaderMap::new();
    let mut tries = upstream.tries();
    assert!(tries.next(&handshake(&headers)).is_some());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(tries.next(&handshake(&headers)).is_none());
}

#[test]
fn a_full_endpoint_is_passed_over_and_backups_step_in() {
    let upstream = group([at(1).max_tunnels(1), at(2).backup().max_tunnels(1)]);
    let (one, two) = (first(&upstream).unwrap(), first(&upstream).unwrap());
    assert_eq!((port(&one), port(&two)), (1, 2));
    assert!(first(&upstream).is_none());
    drop(one);
    assert_eq!(first(&upstream).map(|lease| port(&lease)), Some(1));
}

#[test]
fn a_drained_endpoint_keeps_its_tunnels_and_gets_no_more() {
    let upstream = group([at(1), at(2)]);
    let _leases: Vec<_> = (0..4).map(|_| first(&upstream).unwrap()).collect();
    upstream.drain(at(1).endpoint()).unwrap();
    let _more: Vec<_> = (0..4).map(|_| first(&upstream).unwrap()).collect();
    assert_eq!(tunnels(&upstream), [2, 6]);
    upstream.undrain(at(1).endpoint()).unwrap();
    let _rest: Vec<_> = (0..4).map(|_| first(&upstream).unwrap()).collect();
    assert_eq!(tunnels(&upstream), [6, 6]);
}

#[test]
fn weights_can_change_while_tunnels_live() {
    let upstream = group([at(1), at(2)]);
    upstream.set_weight(at(2).endpoint(), 3).unwrap();
    let _leases: Vec<_> = (0..40).map(|_| first(&upstream).unwrap()).collect();
    assert_eq!(tunnels(&upstream), [10, 30]);
}

#[test]
fn an_endpoint_comes_and_goes_and_its_lease_outlives_it() {
    let upstream = group([at(1)]);
    let lease = first(&upstream).unwrap();
    upstream.add(at(2)).unwrap();
    upstream.remove(at(1).endpoint()).unwrap();
    assert_eq!(port(&first(&upstream).unwrap()), 2);
    assert_eq!(tunnels(&upstream), [0]);
    drop(lease);

    upstream.remove(at(2).endpoint()).unwrap();
    assert!(first(&upstream).is_none());
}

#[test]
fn many_threads_never_take_more_than_there_is() {
    let upstream = group([at(1).max_tunnels(50), at(2).max_tunnels(50)]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let upstream = upstream.clone();
            std::thread::spawn(move || {
                let leases = (0..50).map(|_| first(&upstream));
                leases.flatten().collect::<Vec<_>>()
            })
        })
        .collect();
    let leases: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(leases.iter().map(Vec::len).sum::<usize>(), 100);
    assert_eq!(tunnels(&upstream), [50, 50]);
}

#[test]
fn what_cannot_be_is_named() {
    #[track_caller]
    fn check(result: Result<impl Sized, UpstreamError>, expected: &str) {
        let error = result.err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some(expected));
    }
    check(
        Upstream::builder("backend").build(),
        "upstream `backend` has no endpoint, and no discovery that could find one",
    );
    let upstream = group([at(1)]);
    check(
        upstream.add(at(1).weight(2)),
        "upstream `backend` has http://127.0.0.1:1 twice: give one of the two a weight instead",
    );
    for result in [
        upstream.remove(at(2).endpoint()).map(drop),
        upstream.drain(at(2).endpoint()),
        upstream.set_weight(at(2).endpoint(), 1),
    ] {
        check(
            result,
            "upstream `backend` has no endpoint http://127.0.0.1:2",
        );
    }
}

#[test]
fn a_group_of_one_is_tried_once_and_passes_every_answer_on() {
    let upstream = Upstream::single(at(1)).unwrap();
    assert_eq!(upstream.name(), "http://127.0.0.1:1");
    assert!(upstream.tries().is_single());
    assert!(!upstream.retries(StatusCode::BAD_GATEWAY));
    assert_eq!(all_tries(&upstream), [1]);
    assert!(group([at(1)]).retries(StatusCode::BAD_GATEWAY));
}

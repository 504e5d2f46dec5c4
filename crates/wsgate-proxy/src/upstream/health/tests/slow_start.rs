use std::time::Duration;

use http::{HeaderMap, Response};
use tokio::time::advance;

use super::{SECOND, endpoint, group, handshake};
use crate::{
    error::UpstreamFailure,
    upstream::{
        Candidate, Lease, Upstream,
        health::{EndpointHealth, HealthCheck, Moment},
    },
};

#[track_caller]
fn weighs(upstream: &Upstream, index: usize, expected: f64) {
    let members = upstream.group.members.load();
    let member = members.all().nth(index).unwrap();
    let weight = Candidate::new(member, Moment::now()).weight();
    assert!((weight - expected).abs() < 1e-6, "{weight} != {expected}");
}

fn take(upstream: &Upstream, tunnels: usize) -> Vec<Lease> {
    let headers = HeaderMap::new();
    let mut taken = Vec::new();
    for _ in 0..tunnels {
        let mut tries = upstream.tries();
        taken.push(tries.next(&handshake(&headers)).unwrap());
        tries.report(&Ok(Response::new(())));
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn who_is_added_to_a_group_that_serves_gains_weight() {
    let upstream = group([1, 2]).slow_start(30 * SECOND).build().unwrap();
    upstream.add(endpoint(3)).unwrap();
    weighs(&upstream, 2, 1.0);

    let _tunnels = take(&upstream, 1);
    upstream.add(endpoint(4).weight(2)).unwrap();
    weighs(&upstream, 3, 0.2);
    let EndpointHealth::StartingSlowly { share } = upstream.endpoints()[3].health else {
        panic!("{upstream:?}");
    };
    assert!((share - 0.1).abs() < 1e-6);
    advance(15 * SECOND).await;
    weighs(&upstream, 3, 1.1);
    advance(15 * SECOND).await;
    weighs(&upstream, 3, 2.0);
    assert_eq!(upstream.endpoints()[3].health, EndpointHealth::Healthy);
    weighs(&upstream, 0, 1.0);
}

#[tokio::test(start_paused = true)]
async fn without_it_the_whole_weight_is_there_at_once() {
    let upstream = group([1]).build().unwrap();
    let _tunnels = take(&upstream, 1);
    upstream.add(endpoint(2)).unwrap();
    weighs(&upstream, 1, 1.0);
}

/// The tunnels of the one that came last grow with its weight, in place of all at once.
#[tokio::test(start_paused = true)]
async fn the_least_loaded_does_not_get_every_new_tunnel() {
    let upstream = group([1, 2]).slow_start(30 * SECOND).build().unwrap();
    let _before = take(&upstream, 1000);
    upstream.add(endpoint(3)).unwrap();
    let mut now = Vec::new();
    for (gone, expected) in [(0, 50..=70), (15, 320..=400)] {
        advance(Duration::from_secs(gone)).await;
        now.extend(take(&upstream, 300));
        let tunnels = upstream.endpoints()[2].tunnels;
        assert!(expected.contains(&tunnels), "{tunnels} after {gone} s");
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_starts_slowly() {
    let upstream = group([1, 2]).slow_start(30 * SECOND).build().unwrap();
    let headers = HeaderMap::new();
    let mut tries = upstream.tries();
    drop(tries.next(&handshake(&headers)).unwrap());
    tries.report::<()>(&Err(UpstreamFailure::HandshakeTimeout(SECOND)));
    advance(SECOND).await;
    // The probe is among them, as it has the fewest.
    let _tunnels = take(&upstream, 2);
    let all = upstream.endpoints();
    let slow = all
        .iter()
        .filter(|e| e.health == EndpointHealth::StartingSlowly { share: 0.1 });
    assert_eq!(slow.count(), 1, "{all:?}");

    let check = HealthCheck::tcp().rise(1).fall(1);
    let upstream = group([1]).slow_start(30 * SECOND).build().unwrap();
    let member = upstream.group.members.load().primary[0].clone();
    member
        .health
        .passed_check(Moment::now(), &check, 30 * SECOND);
    weighs(&upstream, 0, 1.0);
    member.health.failed_check("timed out", &check);
    member
        .health
        .passed_check(Moment::now(), &check, 30 * SECOND);
    weighs(&upstream, 0, 0.1);
}

//! What a client can do to a group by handshakes of which it knows that they fail.

use std::net::IpAddr;

use http::{HeaderMap, Response, StatusCode};
use tokio::time::advance;

use super::{SECOND, endpoint, group, handshake};
use crate::{
    error::UpstreamFailure,
    upstream::{
        Handshake, Upstream,
        health::{Accuser, Attempt, Bar, Ejection, EndpointHealth, Moment, Verdict},
    },
};

type Answer = Result<Response<()>, UpstreamFailure>;

fn hung() -> Answer {
    Err(UpstreamFailure::HandshakeTimeout(SECOND))
}

fn unreachable() -> Answer {
    Err(UpstreamFailure::ConnectTimeout(SECOND))
}

fn status(status: u16) -> Answer {
    let mut res = Response::new(());
    *res.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(res)
}

/// A handshake of this client's, to which each endpoint answers so, by its port.
fn shake(upstream: &Upstream, client: Option<&str>, answer: impl Fn(u16) -> Answer) {
    let headers = HeaderMap::new();
    let handshake = Handshake {
        client: client.map(|addr| addr.parse::<IpAddr>().unwrap()),
        ..handshake(&headers)
    };
    let mut tries = upstream.tries();
    while let Some(lease) = tries.next(&handshake) {
        let name = lease.endpoint().to_string();
        let answer = answer(name.rsplit(':').next().unwrap().parse().unwrap());
        tries.report(&answer);
        if answer.is_ok_and(|res| !upstream.retries(res.status())) {
            break;
        }
    }
}

/// The ports of those that are out.
fn out(upstream: &Upstream) -> Vec<u16> {
    let is_out = |port: &u16| {
        let mut all = upstream.endpoints().into_iter();
        let it = all.find(|e| e.endpoint == *endpoint(*port).endpoint());
        matches!(it.unwrap().health, EndpointHealth::Ejected { .. })
    };
    (1..=9)
        .take(upstream.endpoints().len())
        .filter(is_out)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_fails_everywhere_takes_one_endpoint_out() {
    for poison in [hung, || status(500), || status(503)] {
        let upstream = group(1..=9).build().unwrap();
        for _ in 0..100 {
            shake(&upstream, Some("192.0.2.1"), |_| poison());
        }
        assert_eq!(out(&upstream).len(), 1);
        // Nor does the subscriber have more than one word.
        let upstream = group(1..=9).build().unwrap();
        for host in 0..100 {
            let host = format!("2001:db8::{host}");
            shake(&upstream, Some(&host), |_| poison());
        }
        assert_eq!(out(&upstream).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_keep_others_out_as_their_probe() {
    let upstream = group(1..=3).build().unwrap();
    for client in ["192.0.2.1", "192.0.2.2"] {
        shake(&upstream, Some(client), |_| hung());
    }
    assert_eq!(out(&upstream).len(), 2);
    for _ in 0..1000 {
        advance(SECOND / 10).await;
        shake(&upstream, Some("192.0.2.1"), |_| hung());
        shake(&upstream, Some("198.51.100.1"), |_| status(101));
    }
    assert!(out(&upstream).len() <= 1, "{:?}", out(&upstream));
}

/// The first endpoint's time is over when another client has the second one out, and it fails its probe.
#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_is_by_its_clients_word_until_its_time_is_over_too() {
    let upstream = group(1..=4).build().unwrap();
    let is_believed = |port: usize, client: &str| {
        let member = &upstream.group.members.load().primary[port - 1];
        let now = Moment::now();
        let attempt = Attempt::begin(member, Bar::at(now), now).unwrap();
        let hung = Verdict::Failed {
            why: "hung".to_owned(),
            is_its_own: false,
        };
        let accuser = Accuser::at(client.parse().unwrap());
        let unproven = attempt.report(&upstream, &Ejection::default(), &hung, Some(accuser));
        unproven.is_none()
    };
    assert!(is_believed(1, "192.0.2.1"));
    advance(SECOND).await;
    assert!(is_believed(2, "192.0.2.2"));
    assert!(is_believed(1, "192.0.2.1"));
    assert!(!is_believed(3, "192.0.2.1"));
    assert_eq!(out(&upstream), [1, 2]);

    advance(60 * SECOND).await;
    assert!(is_believed(3, "192.0.2.1"));
}

#[tokio::test(start_paused = true)]
async fn what_does_better_elsewhere_was_the_endpoint() {
    let upstream = group(1..=4).tries(4).build().unwrap();
    for _ in 0..100 {
        let only_last = |port| if port == 4 { status(101) } else { hung() };
        shake(&upstream, Some("192.0.2.1"), only_last);
    }
    assert_eq!(out(&upstream), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn several_clients_are_believed_and_so_is_a_connection_that_fails() {
    let upstream = group(1..=4).build().unwrap();
    for host in 1..=9 {
        shake(&upstream, Some(&format!("192.0.2.{host}")), |_| hung());
    }
    assert_eq!(out(&upstream).len(), 3, "all but the last one standing");

    for (client, fails) in [
        (Some("192.0.2.1"), unreachable as fn() -> Answer),
        (None, hung),
    ] {
        let upstream = group(1..=4).build().unwrap();
        shake(&upstream, client, |_| fails());
        assert_eq!(out(&upstream).len(), 3);
    }
}

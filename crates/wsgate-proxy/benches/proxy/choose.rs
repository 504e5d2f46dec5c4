//! What a policy costs each handshake: the choice of one among so many endpoints, the lease included.

use divan::Bencher;
use http::{HeaderMap, HeaderValue};
use wsgate_bench::bench;
use wsgate_proxy::{
    Endpoint,
    upstream::{
        Balance, EndpointSettings, Handshake, Hash, LeastTunnels, Random, RoundRobin, StickyCookie,
        TwoChoices, Upstream,
    },
};

/// The weights are 1, 2 and 3, which costs more than when all are the same.
const ENDPOINTS: [usize; 3] = [10, 1_000, 100_000];

#[divan::bench(args = ENDPOINTS)]
fn least_tunnels(bencher: Bencher<'_, '_>, endpoints: usize) {
    choose(bencher, endpoints, LeastTunnels::new());
}

#[divan::bench(args = ENDPOINTS)]
fn two_choices(bencher: Bencher<'_, '_>, endpoints: usize) {
    choose(bencher, endpoints, TwoChoices::new());
}

#[divan::bench(args = ENDPOINTS)]
fn round_robin(bencher: Bencher<'_, '_>, endpoints: usize) {
    choose(bencher, endpoints, RoundRobin::new());
}

#[divan::bench(args = ENDPOINTS)]
fn random(bencher: Bencher<'_, '_>, endpoints: usize) {
    choose(bencher, endpoints, Random::new());
}

#[divan::bench(args = ENDPOINTS)]
fn hash(bencher: Bencher<'_, '_>, endpoints: usize) {
    choose(bencher, endpoints, Hash::by_header("x-user"));
}

/// Of a client that shows its cookie.
#[divan::bench(args = ENDPOINTS)]
fn sticky_cookie(bencher: Bencher<'_, '_>, endpoints: usize) {
    let key = [7; StickyCookie::MIN_KEY];
    let policy = StickyCookie::with_key(&key).expect("a key that is long enough");
    choose(bencher, endpoints, policy);
}

fn choose(bencher: Bencher<'_, '_>, endpoints: usize, policy: impl Balance) {
    let is_by_cookie = format!("{policy:?}").starts_with("StickyCookie");
    let group = Upstream::builder("bench").balance(policy);
    let group = (0..endpoints).fold(group, |group, n| {
        let [_, a, b, c] = u32::try_from(n).expect("few enough").to_be_bytes();
        let endpoint: Result<Endpoint, _> = format!("http://10.{a}.{b}.{c}:9000").parse();
        let settings = EndpointSettings::from(endpoint.expect("an endpoint"));
        group.endpoint(settings.weight(1 + n as u32 % 3))
    });
    let group = group.build().expect("endpoints, each once");
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("5f2d7c1e"));
    headers.insert("cookie", HeaderValue::from_static(COOKIE));
    let handshake = Handshake::new(&headers, "/websocket");
    if is_by_cookie {
        let lease = group.lease(&handshake).expect("all can take one");
        assert_eq!(lease.endpoint().to_string(), "http://10.0.0.0:9000");
    }
    // A lease is given back at once: as many tunnels come as go.
    bench(bencher, || {
        group.lease(&handshake).expect("all can take one")
    });
}

/// Of http://10.0.0.0:9000, by a key of sevens.
const COOKIE: &str =
    "session=0123456789abcdef; wsgate=5NXpALltMWXJxR9e3kj8XsRfYdPgfQXTu7FGRP1zO5nFfc30ezVXsQ";

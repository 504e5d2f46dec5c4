mod by_chance;
mod hash;
mod least_tunnels;
mod round_robin;
mod sticky_cookie;

use std::collections::BTreeMap;

use http::HeaderMap;

use super::{Balance, Handshake, chance};
use crate::{
    Endpoint,
    upstream::{EndpointSettings, Lease, Upstream},
};

/// A group of `http://a`, `http://b` and so on.
fn group(weights: &[u32], balance: impl Balance) -> Upstream {
    chance::seed(1);
    let settings = ('a'..)
        .zip(weights)
        .map(|(name, weight)| settings(name).weight(*weight));
    let builder = Upstream::builder("test").balance(balance);
    let builder = settings.fold(builder, |builder, settings| builder.endpoint(settings));
    builder.build().unwrap()
}

fn settings(name: char) -> EndpointSettings {
    endpoint(name).into()
}

fn endpoint(name: char) -> Endpoint {
    format!("http://{name}").parse().unwrap()
}

/// The place that a handshake gets of which nothing is known.
#[track_caller]
fn lease(group: &Upstream) -> Lease {
    let headers = HeaderMap::new();
    let lease = group.lease(&Handshake::new(&headers, "/"));
    lease.expect("there is an endpoint")
}

fn name(lease: &Lease) -> char {
    let endpoint = lease.endpoint().to_string();
    endpoint.chars().last().unwrap()
}

/// How many of so many handshakes, each over before the next, an endpoint gets.
fn tally(group: &Upstream, handshakes: usize) -> BTreeMap<char, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..handshakes {
        *tally.entry(name(&lease(group))).or_default() += 1;
    }
    tally
}

/// The live tunnels of each endpoint.
fn tunnels(group: &Upstream) -> Vec<u32> {
    group.endpoints().iter().map(|e| e.tunnels).collect()
}

#[track_caller]
fn is_about(value: usize, expected: usize) {
    let tolerance = expected / 8;
    assert!(
        value.abs_diff(expected) <= tolerance,
        "{value}, not {expected}"
    );
}

//! `Random` and `TwoChoices`, and the sampling that both do.

use super::{endpoint, group, is_about, lease, settings, tally, tunnels};
use crate::upstream::{Balance, Random, TwoChoices};

#[test]
fn random_ones_come_as_often_as_their_weights_say() {
    let group = group(&[1, 2, 7], Random::new());
    let seen = tally(&group, 10_000);
    is_about(seen[&'a'], 1_000);
    is_about(seen[&'b'], 2_000);
    is_about(seen[&'c'], 7_000);
    group.set_weight(&endpoint('c'), 2).unwrap();
    let seen = tally(&group, 10_000);
    is_about(seen[&'a'], 2_000);
    is_about(seen[&'c'], 4_000);
    group.remove(&endpoint('b')).unwrap();
    group.add(settings('d').weight(7)).unwrap();
    let seen = tally(&group, 10_000);
    assert!(!seen.contains_key(&'b'));
    is_about(seen[&'d'], 7_000);
}

/// Few looks do not find them then.
#[test]
fn the_few_of_many_that_can_take_a_tunnel_are_found_and_share_it_by_weight() {
    #[track_caller]
    fn check(balance: impl Balance) {
        let mut weights = [1000; 26];
        (weights[3], weights[9]) = (1, 3);
        let group = group(&weights, balance);
        for name in ('a'..='z').filter(|name| !"dj".contains(*name)) {
            group.drain(&endpoint(name)).unwrap();
        }
        let _leases: Vec<_> = (0..4000).map(|_| lease(&group)).collect();
        let tunnels = tunnels(&group);
        is_about(tunnels[3] as usize, 1000);
        is_about(tunnels[9] as usize, 3000);
    }
    check(Random::new());
    check(TwoChoices::new());
}

#[test]
fn two_choices_stay_close_to_the_mean() {
    #[track_caller]
    fn check(weights: &[u32]) {
        let group = group(weights, TwoChoices::new());
        let all: u32 = weights.iter().sum();
        let _leases: Vec<_> = (0..all * 1000).map(|_| lease(&group)).collect();
        for (tunnels, weight) in tunnels(&group).into_iter().zip(weights) {
            let difference = tunnels.abs_diff(weight * 1000);
            assert!(difference <= 10 * weight, "{weight}: {tunnels}");
        }
    }
    check(&[1; 10]);
    check(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 10]);
}

#[test]
fn of_two_endpoints_the_emptier_is_always_taken() {
    let group = group(&[1, 1], TwoChoices::new());
    for round in 1..100 {
        let leases: Vec<_> = (0..2 * round).map(|_| lease(&group)).collect();
        assert_eq!(tunnels(&group), [round, round]);
        drop(leases);
    }
}

#[test]
fn one_alone_is_taken() {
    for balance in [
        Box::new(Random::new()) as Box<dyn Balance>,
        Box::new(TwoChoices::new()),
    ] {
        assert_eq!(tally(&group(&[3], balance), 10)[&'a'], 10);
    }
}

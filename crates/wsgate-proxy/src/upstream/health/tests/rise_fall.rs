use std::time::Duration;

use super::SECOND;
use crate::upstream::health::{Ejection, EndpointHealth, Health, HealthCheck, Moment, state::Bar};

/// Checks that pass (`+`) and fail (`-`), and after each whether the endpoint may be chosen.
#[track_caller]
fn check(results: &str, expected: &str) {
    let check = HealthCheck::tcp().rise(2).fall(3);
    let health = Health::new();
    let mut told = String::new();
    for result in results.chars() {
        let was = health.meets(Bar::WELL);
        let changed = match result {
            '+' => health.passed_check(Moment::now(), &check, Duration::ZERO),
            _ => health.failed_check("timed out", &check),
        };
        let is = health.meets(Bar::WELL);
        assert_eq!(changed, was != is, "a change is told, and nothing else");
        told.push(if is { 'w' } else { 'f' });
    }
    assert_eq!(told, expected, "{results}");
}

#[test]
fn endpoints_rise_and_fall_by_what_comes_in_a_row() {
    check("+++", "www");
    check("+--+--+---", "wwwwwwwwwf");
    check("+---+-+-++", "wwwffffffw");
    check("+---++--+---", "wwwffwwwwwwf");
}

#[test]
fn the_first_check_decides() {
    check("-", "f");
    check("-++", "ffw");
}

#[test]
fn checks_that_pass_again_end_an_ejection_too() {
    let check = HealthCheck::tcp();
    let health = Health::new();
    health.passed_check(Moment::now(), &check, SECOND);
    let ticket = health.admit(Bar::WELL, Moment::now()).unwrap();
    health.failed(
        ticket,
        "answered 500",
        Moment::now(),
        &Ejection::default(),
        || true,
    );
    for _ in 0..5 {
        health.passed_check(Moment::now(), &check, SECOND);
    }
    assert!(
        !health.meets(Bar::WELL),
        "they have not seen what handshakes saw"
    );

    for _ in 0..3 {
        health.failed_check("timed out", &check);
    }
    let later = Moment::now().plus(10 * SECOND);
    assert!(!health.meets(Bar::at(later)), "no probe while checks fail");
    assert_eq!(health.admit(Bar::at(later), later), None);
    assert!(health.meets(Bar::ANYONE));
    for _ in 0..2 {
        health.passed_check(Moment::now(), &check, Duration::ZERO);
    }
    assert_eq!(health.status(Moment::now()), EndpointHealth::Healthy);
}

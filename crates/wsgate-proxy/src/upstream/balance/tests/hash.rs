use std::{collections::BTreeMap, net::IpAddr};

use http::{HeaderMap, HeaderValue, header::COOKIE};

use super::{endpoint, group, is_about, name, settings, tunnels};
use crate::upstream::{Handshake, Hash, Lease, Upstream, member};

/// A handshake of this user.
fn lease_for(group: &Upstream, user: &str) -> Lease {
    let mut headers = HeaderMap::new();
    headers.insert("x-user", user.parse().unwrap());
    group.lease(&Handshake::new(&headers, "/")).unwrap()
}

/// Where each of a thousand users goes, while nobody is there.
fn places(group: &Upstream) -> BTreeMap<usize, char> {
    let users = 0..1000;
    let place = |user: usize| name(&lease_for(group, &user.to_string()));
    users.map(|user| (user, place(user))).collect()
}

fn moved(before: &BTreeMap<usize, char>, after: &BTreeMap<usize, char>) -> Vec<(char, char)> {
    let both = before.values().zip(after.values());
    let both = both.map(|(before, after)| (*before, *after));
    both.filter(|(before, after)| before != after).collect()
}

/// What changes them makes gateways of different versions disagree.
#[test]
fn hashes_are_the_same_in_every_build() {
    assert_eq!(member::hash(b"http://10.0.0.1:9000"), GOLDEN_NAME);
    let group = group(&[1; 26], Hash::by_header("x-user"));
    let places: String = places(&group).into_values().take(20).collect();
    assert_eq!(places, GOLDEN_PLACES);
}

#[test]
fn users_are_shared_by_weight() {
    let group = group(&[1, 2, 7], Hash::by_header("x-user"));
    let places = places(&group);
    let share = |name: char| places.values().filter(|place| **place == name).count();
    is_about(share('b'), 200);
    is_about(share('c'), 700);
    assert_eq!(share('a') + share('b') + share('c'), 1000);
}

#[test]
fn only_the_users_of_one_that_goes_are_moved_and_they_come_back() {
    let group = group(&[1, 2, 3, 4], Hash::by_header("x-user"));
    let before = places(&group);
    group.drain(&endpoint('b')).unwrap();
    let without = places(&group);
    assert!(
        moved(&before, &without)
            .iter()
            .all(|(from, _)| *from == 'b')
    );
    group.undrain(&endpoint('b')).unwrap();
    assert_eq!(places(&group), before);

    group.add(settings('e').weight(10)).unwrap();
    let with = moved(&before, &places(&group));
    assert!(with.iter().all(|(_, to)| *to == 'e'));
    is_about(with.len(), 500);

    let other = super::group(&[1, 2, 3, 4, 10], Hash::by_header("x-user"));
    assert_eq!(places(&other), places(&group));
}

#[test]
fn a_large_room_overflows_to_the_next_of_its_order() {
    let group = group(&[1; 10], Hash::by_header("x-user"));
    let leases: Vec<_> = (0..1000).map(|_| lease_for(&group, "the hall")).collect();
    let mut spread = tunnels(&group);
    spread.sort_unstable();
    // Eight times 125.
    assert_eq!(spread, [0, 0, 125, 125, 125, 125, 125, 125, 125, 125]);
    let first = name(&leases[0]);
    drop(leases);
    assert_eq!(name(&lease_for(&group, "the hall")), first);
}

#[test]
fn the_bound_can_be_set_and_follows_the_weights() {
    let group = group(&[1, 3], Hash::by_header("x-user").bound(1.0));
    let leases: Vec<_> = (0..400).map(|_| lease_for(&group, "the hall")).collect();
    assert_eq!(tunnels(&group), [100, 300]);
    drop(leases);

    let group = super::group(&[1; 3], Hash::by_header("x-user").bound(f64::INFINITY));
    let _leases: Vec<_> = (0..100).map(|_| lease_for(&group, "the hall")).collect();
    assert!(tunnels(&group).contains(&100));
}

#[test]
fn without_a_key_the_emptiest_is_taken() {
    let group = group(&[1, 1], Hash::by_header("x-user"));
    let mut headers = HeaderMap::new();
    let leases: Vec<_> = (0..10)
        .map(|_| group.lease(&Handshake::new(&headers, "/")))
        .collect();
    assert_eq!(tunnels(&group), [5, 5]);
    drop(leases);
    headers.insert("x-user", HeaderValue::from_static(""));
    let _leases: Vec<_> = (0..10)
        .map(|_| group.lease(&Handshake::new(&headers, "/")))
        .collect();
    assert_eq!(tunnels(&group), [5, 5]);
}

/// With so many endpoints, two values hardly ever meet.
#[test]
fn the_key_is_where_it_was_said_to_be() {
    #[track_caller]
    fn check(hash: Hash, change: impl Fn(&mut Handshake<'_>, &'static str)) {
        let group = group(&[1; 26], hash.bound(f64::INFINITY));
        let place = |value| {
            let cookies = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(value))]);
            let mut handshake = Handshake::new(&cookies, "/");
            change(&mut handshake, value);
            name(&group.lease(&handshake).unwrap())
        };
        let [one, again, other] = [VALUES[0], VALUES[0], VALUES[1]].map(place);
        assert_eq!(one, again);
        assert_ne!(one, other);
    }
    const VALUES: [&str; 2] = ["x=1; room=red", "x=1; room=green"];
    check(Hash::by_cookie("room"), |_, _| {});
    check(Hash::by_query("room"), |handshake, value| {
        handshake.query = Some(match value == VALUES[0] {
            true => "x=1&room=red&room=2",
            false => "room=green",
        });
    });
    check(Hash::by_client(), |handshake, value| {
        let ip: [u8; 4] = [10, 0, 0, u8::from(value == VALUES[0])];
        handshake.client = Some(IpAddr::from(ip));
    });
    check(Hash::by_client(), |handshake, value| {
        let last = u16::from(value == VALUES[0]);
        handshake.client = Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
    });
}

/// `printf http://10.0.0.1:9000 | sha256sum`
const GOLDEN_NAME: u64 = 0x701c_6029_832c_2d2a;
/// Of users 0 to 19, by a second implementation.
const GOLDEN_PLACES: &str = "xccyjarotybwjvprgojm";

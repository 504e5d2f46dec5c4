use std::{collections::BTreeMap, thread};

use http::HeaderMap;

use super::{endpoint, group, lease, name, settings, tally};
use crate::upstream::{Handshake, RoundRobin, Upstream};

fn turns(group: &Upstream, turns: usize) -> Vec<char> {
    (0..turns).map(|_| name(&lease(group))).collect()
}

fn longest_run(turns: &[char]) -> usize {
    let runs = turns.chunk_by(|a, b| a == b);
    runs.map(<[char]>::len).max().unwrap_or(0)
}

#[test]
fn each_has_exactly_its_share_of_any_round() {
    #[track_caller]
    fn check(weights: &[u32], most_at_once: usize) {
        let group = group(weights, RoundRobin::new());
        let round = weights.iter().sum::<u32>() as usize;
        let turns = turns(&group, 20 * round);
        for window in turns.windows(round) {
            for (name, weight) in ('a'..).zip(weights) {
                let share = window.iter().filter(|turn| **turn == name).count();
                assert_eq!(share, *weight as usize, "{window:?}");
            }
        }
        let longest = longest_run(&turns);
        assert!(longest <= most_at_once, "{longest}: {turns:?}");
    }
    check(&[1], 20);
    check(&[1, 1, 1, 1], 1);
    // nginx has four of the first at once.
    check(&[5, 1, 1], 4);
    check(&[3, 2, 1], 2);
    check(&[7, 3, 3, 1], 3);
}

#[test]
fn turns_survive_endpoints_that_come_and_go() {
    let group = group(&[1, 1, 1], RoundRobin::new());
    let before = turns(&group, 2);
    group.add(settings('d')).unwrap();
    // The one that was still to come does not wait another round.
    let after = turns(&group, 4);
    assert!(after.contains(&'d'), "{after:?}");
    let waiting = ('a'..='c').find(|name| !before.contains(name)).unwrap();
    assert!(after[..2].contains(&waiting), "{before:?} {after:?}");
    group.remove(&endpoint(after[3])).unwrap();
    let mut left = turns(&group, 3);
    left.sort_unstable();
    left.dedup();
    assert_eq!(left.len(), 3);
    assert!(!left.contains(&after[3]));
}

#[test]
fn turns_that_were_missed_are_not_made_up_for() {
    let group = group(&[5, 1, 1], RoundRobin::new());
    group.drain(&endpoint('a')).unwrap();
    let without = tally(&group, 100);
    assert_eq!(without, BTreeMap::from([('b', 50), ('c', 50)]));
    group.undrain(&endpoint('a')).unwrap();
    let turns = turns(&group, 70);
    assert!(longest_run(&turns) <= 5, "{turns:?}");
    let share = turns.iter().filter(|turn| **turn == 'a').count();
    assert!(share.abs_diff(50) <= 1, "{share}");
}

#[test]
fn backups_have_turns_of_their_own() {
    let group = group(&[1, 1], RoundRobin::new());
    group.add(settings('c').backup()).unwrap();
    group.add(settings('d').backup()).unwrap();
    assert_eq!(tally(&group, 10), BTreeMap::from([('a', 5), ('b', 5)]));
    group.drain(&endpoint('a')).unwrap();
    group.drain(&endpoint('b')).unwrap();
    assert_eq!(tally(&group, 10), BTreeMap::from([('c', 5), ('d', 5)]));
}

#[test]
fn nobody_is_chosen_where_nobody_can_take_a_tunnel() {
    let group = group(&[1; 26], RoundRobin::new());
    for name in 'a'..='z' {
        group.drain(&endpoint(name)).unwrap();
    }
    let headers = HeaderMap::new();
    assert!(group.lease(&Handshake::new(&headers, "/")).is_none());
    group.undrain(&endpoint('k')).unwrap();
    assert_eq!(turns(&group, 3), ['k'; 3]);
}

#[test]
fn threads_share_the_turns() {
    let group = group(&[1, 2, 3], RoundRobin::new());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..600).map(|_| lease(&group)).collect::<Vec<_>>()))
            .collect();
        let leases = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        let leases: Vec<_> = leases.collect();
        assert_eq!(leases.len(), 2400);
        assert_eq!(super::tunnels(&group), [400, 800, 1200]);
    });
}

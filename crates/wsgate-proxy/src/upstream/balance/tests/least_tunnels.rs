use super::{endpoint, group, is_about, lease, name, settings, tally, tunnels};
use crate::upstream::LeastTunnels;

#[test]
fn tunnels_are_shared_by_weight() {
    let group = group(&[1, 2, 7], LeastTunnels::new());
    let _leases: Vec<_> = (0..1000).map(|_| lease(&group)).collect();
    assert_eq!(tunnels(&group), [100, 200, 700]);
}

#[test]
fn of_equally_loaded_ones_the_heaviest_is_taken() {
    let group = group(&[1, 2], LeastTunnels::new());
    let leases: Vec<_> = (0..3).map(|_| lease(&group)).collect();
    let names: String = leases.iter().map(name).collect();
    // With one more, the second time, both would have one tunnel for each unit of weight.
    assert_eq!(names, "bba");
}

#[test]
fn of_equals_each_is_as_likely() {
    let group = group(&[1; 5], LeastTunnels::new());
    let tally = tally(&group, 10_000);
    assert_eq!(tally.len(), 5);
    tally.values().for_each(|n| is_about(*n, 2_000));
}

#[test]
fn where_tunnels_end_the_next_ones_go() {
    let group = group(&[1, 1], LeastTunnels::new());
    let mut leases: Vec<_> = (0..20).map(|_| lease(&group)).collect();
    leases.retain(|lease| name(lease) == 'b');
    assert_eq!(tunnels(&group), [0, 10]);
    leases.extend((0..10).map(|_| lease(&group)));
    assert_eq!(tunnels(&group), [10, 10]);
}

#[test]
fn a_new_endpoint_catches_up() {
    let group = group(&[1, 1], LeastTunnels::new());
    let mut leases: Vec<_> = (0..20).map(|_| lease(&group)).collect();
    group.add(settings('c').weight(2)).unwrap();
    leases.extend((0..16).map(|_| lease(&group)));
    assert_eq!(tunnels(&group), [10, 10, 16]);
    group.set_weight(&endpoint('a'), 2).unwrap();
    leases.extend((0..10).map(|_| lease(&group)));
    assert_eq!(tunnels(&group), [18, 10, 18]);
}

#[test]
fn full_and_drained_ones_get_none() {
    let group = group(&[1, 1, 1], LeastTunnels::new());
    group.set_max_tunnels(&endpoint('a'), 2).unwrap();
    group.drain(&endpoint('b')).unwrap();
    let _leases: Vec<_> = (0..10).map(|_| lease(&group)).collect();
    assert_eq!(tunnels(&group), [2, 0, 8]);
}

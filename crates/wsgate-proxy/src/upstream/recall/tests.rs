//! Tunnels that are told to end, and their groups. The tunnels are tasks that hold a lease, as relays do.

use std::{
    future::poll_fn,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use http::HeaderMap;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_test::{assert_pending, assert_ready_eq, task};

use super::{Rebalance, Recall, Roll};
use crate::{
    Endpoint,
    upstream::{
        Balance, Candidate, Candidates, Handshake, Lease, Upstream, UpstreamBuilder, UpstreamError,
    },
};

const TEN: Duration = Duration::from_secs(10);

fn endpoint(port: u16) -> Endpoint {
    format!("http://127.0.0.1:{port}").parse().unwrap()
}

fn group(adjust: impl FnOnce(UpstreamBuilder) -> UpstreamBuilder) -> Upstream {
    let builder = Upstream::builder("backend").endpoint(endpoint(1));
    adjust(builder).build().unwrap()
}

fn lease(upstream: &Upstream) -> Lease {
    let headers = HeaderMap::new();
    let handshake = Handshake {
        headers: &headers,
        path: "/",
        query: None,
        client: None,
        is_secure: true,
    };
    upstream.tries().next(&handshake).unwrap()
}

/// Ends when it is told to, and tells why and when.
fn tunnel(upstream: &Upstream) -> JoinHandle<(Recall, Instant)> {
    let lease = lease(upstream);
    tokio::spawn(async move {
        let told = poll_fn(|cx| match lease.poll_recall(cx) {
            Some(why) => Poll::Ready(why),
            None => Poll::Pending,
        });
        (told.await, Instant::now())
    })
}

fn tunnels(upstream: &Upstream) -> Vec<u32> {
    let endpoints = upstream.endpoints();
    endpoints.iter().map(|endpoint| endpoint.tunnels).collect()
}

// ===== closing =====

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_emptied_evenly_and_the_others_are_left_alone() {
    let upstream = group(|b| b.endpoint(endpoint(2)));
    upstream.drain(&endpoint(2)).unwrap();
    let ours: Vec<_> = (0..100).map(|_| tunnel(&upstream)).collect();
    upstream.undrain(&endpoint(2)).unwrap();
    upstream.drain(&endpoint(1)).unwrap();
    let others: Vec<_> = (0..100).map(|_| tunnel(&upstream)).collect();

    let start = Instant::now();
    let closing = upstream.close_tunnels(&endpoint(1), TEN).unwrap();
    assert_eq!(closing.await, 100);
    assert_eq!(tunnels(&upstream), [0, 100]);
    let mut seconds = [0; 10];
    for tunnel in ours {
        let (why, when) = tunnel.await.unwrap();
        assert_eq!(why, Recall::Drained);
        seconds[(when - start).as_secs() as usize] += 1;
    }
    assert_eq!(seconds, [10; 10]);
    assert!(others.iter().all(|tunnel| !tunnel.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_last_tunnel_and_counts_what_it_closed() {
    let upstream = group(|b| b);
    let (slow, quits) = (lease(&upstream), lease(&upstream));
    let mut closing = task::spawn(upstream.close_tunnels(&endpoint(1), TEN).unwrap());
    assert_pending!(closing.poll());
    drop(quits);
    sleep(Duration::from_secs(60)).await;
    assert_pending!(closing.poll());
    assert_eq!(
        slow.poll_recall(&Context::from_waker(Waker::noop())),
        Some(Recall::Asked)
    );
    // Those that come later are not meant.
    let later = lease(&upstream);
    assert_pending!(closing.poll());
    drop(slow);
    assert!(closing.is_woken());
    // The one that went by itself may have been told before, by chance.
    let closed = match closing.poll() {
        Poll::Ready(closed) => closed,
        Poll::Pending => panic!("the last one has ended"),
    };
    assert!((1..=2).contains(&closed));
    assert_eq!(later.poll_recall(&Context::from_waker(Waker::noop())), None);
}

#[tokio::test(start_paused = true)]
async fn dropped_it_closes_no_more() {
    let upstream = group(|b| b);
    let tunnels: Vec<_> = (0..10).map(|_| tunnel(&upstream)).collect();
    let closing = upstream.close_tunnels(&endpoint(1), TEN).unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(4_500), closing).await;
    sleep(TEN).await;
    assert_eq!(tunnels.iter().filter(|t| t.is_finished()).count(), 5);
}

#[tokio::test(start_paused = true)]
async fn nobody_to_close_is_no_wait() {
    let upstream = group(|b| b);
    let mut closing = task::spawn(upstream.close_tunnels(&endpoint(1), TEN).unwrap());
    assert_ready_eq!(closing.poll(), 0);
    let unknown = upstream.close_tunnels(&endpoint(7), TEN).unwrap_err();
    assert!(matches!(unknown, UpstreamError::Unknown { .. }));
}

// ===== removed =====

#[tokio::test(start_paused = true)]
async fn a_removed_endpoint_keeps_its_tunnels_until_they_are_closed() {
    let upstream = group(|b| b);
    let tunnel = tunnel(&upstream);
    let removed = upstream.remove(&endpoint(1)).unwrap();
    assert!(matches!(
        upstream.remove(&endpoint(1)),
        Err(UpstreamError::Unknown { .. })
    ));
    // The same endpoint again is another member.
    upstream.add(endpoint(1)).unwrap();
    let new = lease(&upstream);
    sleep(TEN).await;
    assert_eq!((removed.endpoint(), removed.tunnels()), (&endpoint(1), 1));
    assert!(!tunnel.is_finished());

    assert_eq!(removed.close_tunnels(TEN).await, 1);
    assert_eq!(tunnel.await.unwrap().0, Recall::Removed);
    assert_eq!(removed.tunnels(), 0);
    assert_eq!(new.poll_recall(&Context::from_waker(Waker::noop())), None);
}

/// Its handshake chose the endpoint just before that was removed.
#[tokio::test(start_paused = true)]
async fn who_comes_late_to_a_removed_endpoint_is_closed_at_once() {
    let upstream = group(|b| b);
    let member = Arc::clone(lease(&upstream).member());
    upstream
        .remove(&endpoint(1))
        .unwrap()
        .close_tunnels(TEN)
        .await;
    let late = Lease::take(&member).unwrap();
    let why = late.poll_recall(&Context::from_waker(Waker::noop()));
    assert_eq!(why, Some(Recall::Removed));
}

#[tokio::test(start_paused = true)]
async fn a_group_can_close_what_is_removed_by_itself() {
    let upstream = group(|b| b.endpoint(endpoint(2)).close_removed(TEN));
    let tunnels: Vec<_> = (0..20).map(|_| tunnel(&upstream)).collect();
    let start = Instant::now();
    upstream.remove(&endpoint(1)).unwrap();
    sleep(Duration::from_secs(3)).await;
    upstream.remove(&endpoint(2)).unwrap();
    let mut last = start;
    for tunnel in tunnels {
        let (why, when) = tunnel.await.unwrap();
        assert_eq!(why, Recall::Removed);
        last = last.max(when);
    }
    assert_eq!((last - start).as_secs(), 12);
}

// ===== rebalancing =====

#[derive(Debug)]
struct Sticky;

impl Balance for Sticky {
    fn choose<'a>(&self, _: &Handshake<'_>, candidates: &Candidates<'a>) -> Option<Candidate<'a>> {
        candidates.get(0)
    }

    fn is_sticky(&self) -> bool {
        true
    }
}

#[test]
fn what_clients_come_back_to_is_not_rebalanced() {
    let builder = Upstream::builder("backend").endpoint(endpoint(1));
    let refused = builder.balance(Sticky).rebalance(Rebalance::new()).build();
    assert_eq!(
        refused.unwrap_err().to_string(),
        "upstream `backend` cannot be rebalanced: its policy sends a client back to where it was, so \
         that closing its tunnel changes nothing"
    );
}

/// A rule for what to do with tunnels is nothing that finds an endpoint.
#[test]
fn an_empty_group_stays_an_error() {
    let builder = Upstream::builder("backend")
        .rebalance(Rebalance::new())
        .close_removed(TEN);
    assert!(matches!(builder.build(), Err(UpstreamError::Empty(_))));
}

/// A user, who comes back whenever the tunnel is closed.
async fn user(upstream: Upstream, moved: Arc<AtomicUsize>) {
    loop {
        assert_eq!(tunnel(&upstream).await.unwrap().0, Recall::Rebalance);
        moved.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn tunnels_move_to_an_endpoint_that_was_added_and_then_stay() {
    let upstream = group(|b| b.rebalance(Rebalance::new().at_least(10).share_per_minute(0.1)));
    let moved = Arc::new(AtomicUsize::new(0));
    let mut users = tokio::task::JoinSet::new();
    for _ in 0..300 {
        users.spawn(user(upstream.clone(), Arc::clone(&moved)));
    }
    // A group of one has nowhere to send them.
    sleep(Duration::from_secs(600)).await;
    assert_eq!(moved.load(Ordering::Relaxed), 0);

    upstream.add(endpoint(2)).unwrap();
    upstream.add(endpoint(3)).unwrap();
    // A drained one does not count.
    upstream.drain(&endpoint(3)).unwrap();
    let mut before = 0;
    for _ in 0..5 {
        sleep(Duration::from_secs(60)).await;
        let now = moved.load(Ordering::Relaxed);
        // A round begins somewhere in the minute.
        assert!((1..=45).contains(&(now - before)), "{now} after {before}");
        before = now;
    }
    sleep(Duration::from_secs(120)).await;
    assert_eq!(tunnels(&upstream), [150, 150, 0]);
    assert_eq!(moved.load(Ordering::Relaxed), 150);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(moved.load(Ordering::Relaxed), 150);
}

/// Its chore holds the group only while it looks at it.
#[tokio::test(start_paused = true)]
async fn rebalancing_ends_with_the_group() {
    let upstream = group(|b| b.rebalance(Rebalance::new()).close_removed(TEN));
    let group = Arc::downgrade(&upstream.group);
    sleep(Duration::from_secs(600)).await;
    drop(upstream);
    assert!(group.upgrade().is_none());
}

// ===== the roll =====

#[test]
fn every_reason_is_told_as_it_was_given() {
    let all = [
        Recall::Asked,
        Recall::Drained,
        Recall::Removed,
        Recall::Rebalance,
    ];
    for why in all {
        let ticket = Roll::default().enter();
        let cx = &Context::from_waker(Waker::noop());
        assert_eq!(ticket.poll(cx), None);
        assert!(ticket.recall(why));
        assert!(!ticket.recall(Recall::Asked), "the first reason stands");
        assert_eq!(ticket.poll(cx), Some(why));
    }
}

#[test]
fn any_one_is_recalled_and_none_twice() {
    let roll = Roll::default();
    assert!(!roll.recall_any(Recall::Rebalance), "there is none");
    let tickets: Vec<_> = (0..100).map(|_| roll.enter()).collect();
    let recalled = (0..50)
        .filter(|_| roll.recall_any(Recall::Rebalance))
        .count();
    let cx = &Context::from_waker(Waker::noop());
    let told = tickets
        .iter()
        .filter(|ticket| ticket.poll(cx).is_some())
        .count();
    assert_eq!(told, recalled);
    // With half of them left, eight looks miss one time in 256.
    assert!(recalled >= 45, "{recalled}");
}

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_tunnel_that_is_recalled_as_it_begins_to_listen_hears_it() {
    for _ in 0..500 {
        let ticket = Roll::default().enter();
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let both = Barrier::new(2);
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                ticket.recall(Recall::Drained);
            });
            both.wait();
            ticket.poll(&Context::from_waker(&waker))
        });
        assert!(seen.is_some() || woken.0.load(Ordering::SeqCst) == 1);
    }
}

#[test]
fn the_roll_is_right_however_many_come_and_go_at_once() {
    let roll = Roll::default();
    let stay: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let roll = &roll;
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for i in 0..2_000 {
                        mine.push(roll.enter());
                        if i % 7 == thread {
                            roll.recall_any(Recall::Rebalance);
                        }
                        if i % 3 > 0 {
                            let gone = mine.swap_remove(i * 31 % mine.len());
                            roll.leave(&gone);
                        }
                    }
                    mine
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    let pointers = |tickets: &[Arc<_>]| {
        let mut all: Vec<_> = tickets.iter().map(Arc::as_ptr).collect();
        all.sort();
        all
    };
    assert_eq!(pointers(&roll.all()), pointers(&stay));
    for ticket in &stay {
        roll.leave(ticket);
    }
    assert!(roll.all().is_empty());
}

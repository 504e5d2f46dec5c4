//! Deadlines, signals, and handlers that do not read.

use std::{future::poll_fn, task::Poll, time::Duration};

use tokio::{
    task::coop,
    time::{advance, timeout},
};
use wsgate_frame::Role;

use super::{
    super::clock::Clock,
    frames::{BOTH, close, ping, text},
    handler::{After, guarded},
    planned::{OURS, Planned, REASON, at_once, politely},
};
use crate::moment::Moment;

#[tokio::test(start_paused = true)]
async fn all_deadlines_that_have_passed_are_served() {
    let policy = Planned::<false>::default().pings_at(1);
    let policy = policy.ends_at(2, politely());
    let told = policy.told();
    let (mut task, wire) = guarded(Role::Client, policy);
    advance(Duration::from_secs(5)).await;
    task.waits();
    assert_eq!(told.notes().deadlines.len(), 2);
    assert_eq!(wire.heard(Role::Client), [close(1001, REASON)]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_always_has_something_to_read_meets_its_deadline() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pings_at(10);
        let (mut task, wire) = guarded(peer, policy.ends_at(15, at_once()));
        let mut heard = Vec::new();
        for _ in 0..14 {
            wire.says(peer, &[text("more")]);
            assert!(task.read(100).is_ready());
            heard.extend(wire.heard(peer));
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(heard, [ping(&OURS)]);
        assert!(wire.is_flushed());

        advance(Duration::from_secs(1)).await;
        wire.says(peer, &[text("last")]);
        let told = vec![text("last"), close(1001, REASON)];
        assert_eq!(task.reads(), (told, After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_is_heard_in_time() {
    for peer in BOTH {
        // By one that waits.
        let policy = Planned::<false>::default().ends_at_signal(politely());
        let told = policy.told();
        let (mut task, wire) = guarded(peer, policy.pings_at(100));
        task.waits();
        told.signal();
        assert!(task.is_woken());
        task.waits();
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);

        // By one that never waits.
        let policy = Planned::<false>::default().ends_at_signal(politely());
        let told = policy.told();
        let (mut task, wire) = guarded(peer, policy);
        told.signal();
        wire.says(peer, &[text("more")]);
        assert!(task.read(100).is_ready());
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_without_room_serves_only_what_counts_unread() {
    let policy = Planned::<false>::default().pings_at(10);
    let told = policy.told();
    let (mut task, _wire) = guarded(Role::Client, policy);
    advance(Duration::from_secs(10)).await;
    assert!(task.read(0).is_ready());
    assert!(told.notes().deadlines.is_empty());

    let policy = Planned::<true>::default().pings_at(10);
    let (mut task, wire) = guarded(Role::Client, policy.ends_at(20, politely()));
    assert!(task.read(0).is_ready());
    for expected in [ping(&OURS), close(1001, REASON)] {
        advance(Duration::from_secs(10)).await;
        assert!(task.is_woken());
        assert!(task.read(0).is_ready());
        assert_eq!(wire.heard(Role::Client), [expected]);
    }
    // The peer has its time, whoever reads.
    advance(Duration::from_secs(5)).await;
    assert!(task.is_woken());
    assert!(task.read(0).is_ready());
    assert!(wire.is_cut());
    assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
}

#[tokio::test(start_paused = true)]
async fn after_the_peers_end_time_goes_on_with_reads_without_room() {
    let policy = Planned::<false>::default().pings_at(10);
    let (mut task, wire) = guarded(Role::Client, policy);
    wire.ends();
    assert_eq!(task.read_all(), (vec![], After::Eof));
    assert!(task.read(0).is_ready());
    advance(Duration::from_secs(10)).await;
    assert!(task.is_woken());
    assert!(task.read(0).is_ready());
    assert_eq!(wire.heard(Role::Client), [ping(&OURS)]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_rings_for_the_first_of_its_deadlines() {
    let mut clock = Clock::new();
    let now = Moment::now();
    let after = |secs| now + Duration::from_secs(secs);
    let mut task = tokio_test::task::spawn(());
    let mut poll = |clock: &mut Clock, next| task.enter(|cx, _| clock.poll(cx, next));

    assert!(poll(&mut clock, after(10)).is_pending());
    assert!(clock.is_set_for(after(10)) && !clock.is_set_for(after(9)));
    // Later is left for later, earlier is not.
    assert!(poll(&mut clock, after(20)).is_pending());
    assert!(clock.is_set_for(after(10)));
    assert!(poll(&mut clock, after(5)).is_pending());
    assert!(clock.is_set_for(after(5)));
    advance(Duration::from_secs(5)).await;
    assert!(!clock.is_set_for(after(100)), "it has rung");
    assert!(poll(&mut clock, after(20)).is_pending());
    advance(Duration::from_secs(15)).await;
    assert_eq!(poll(&mut clock, after(20)), Poll::Ready(()));
}

#[tokio::test(start_paused = true)]
async fn a_clock_wakes_the_last_task_that_followed_it() {
    let mut clock = Clock::new();
    let next = Moment::now() + Duration::from_secs(10);
    let [mut first, mut last] = [(); 2].map(tokio_test::task::spawn);
    let polled = first.enter(|cx, _| clock.poll(cx, next));
    assert!(polled.is_pending());
    last.enter(|cx, _| clock.follow(cx));
    advance(Duration::from_secs(10)).await;
    assert!(last.is_woken() && !first.is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_clock_is_set_by_a_task_that_has_done_enough_for_now() {
    let mut clock = Clock::new();
    let (start, ten) = (Moment::now(), Duration::from_secs(10));
    let rings = poll_fn(|cx| {
        while coop::has_budget_remaining() {
            let Poll::Ready(proceed) = coop::poll_proceed(cx) else {
                break;
            };
            proceed.made_progress();
        }
        clock.poll(cx, start + ten)
    });
    assert!(timeout(2 * ten, rings).await.is_ok());
    assert_eq!(start.elapsed(), ten);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_nobody_hears_says_so_after_a_minute() {
    let now = Moment::now();
    let mut task = tokio_test::task::spawn(());
    let after = |secs| now + Duration::from_secs(secs);

    // Never asked: from the first deadline on.
    let mut clock = Clock::new();
    advance(Duration::from_secs(70)).await;
    assert!(!clock.is_unheard(|| None));
    assert!(!clock.is_unheard(|| Some(after(10))));
    assert!(clock.is_unheard(|| Some(after(9))));

    // Asked: from its ring on.
    let polled = task.enter(|cx, _| clock.poll(cx, after(80)));
    assert!(polled.is_pending());
    advance(Duration::from_secs(70)).await;
    assert!(
        !clock.is_unheard(|| Some(after(9))),
        "the timer is the later one"
    );
    advance(Duration::from_secs(1)).await;
    assert!(clock.is_unheard(|| None));

    // Heard, although there was nothing to do.
    clock.hear();
    advance(Duration::from_secs(1000)).await;
    assert!(!clock.is_unheard(|| Some(after(9))));

    // Asked again.
    let polled = task.enter(|cx, _| clock.poll(cx, after(2000)));
    assert!(polled.is_pending());
    advance(Duration::from_secs(1000)).await;
    assert!(clock.is_unheard(|| None));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_for_a_minute_after_a_deadline_is_noticed() {
    let policy = || Planned::<false>::default().pings_at(10);
    let (mut never, _wire) = guarded(Role::Client, policy());
    let (mut once, _wire) = guarded(Role::Client, policy());
    once.waits();
    advance(Duration::from_secs(70)).await;
    assert!(!never.is_unread() && !once.is_unread());
    advance(Duration::from_secs(1)).await;
    assert!(never.is_unread() && once.is_unread());

    once.waits();
    assert!(!once.is_unread());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_reads_is_not_taken_for_one_that_does_not() {
    let policy = || Planned::<false>::default().pings_at(10);
    // One that finds something at each read, and never comes to wait again.
    let (mut busy, wire) = guarded(Role::Client, policy().pings_at(200));
    busy.waits();
    // One that has nothing to wait for after the first deadline.
    let (mut idle, _wire) = guarded(Role::Client, policy());
    idle.waits();
    // One that is held back, and says so.
    let (mut patient, _wire) = guarded(Role::Client, policy());
    patient.waits();
    // One that has read the end.
    let (mut done, ended) = guarded(Role::Client, policy());
    ended.ends();
    assert_eq!(done.read_all(), (vec![], After::Eof));

    for second in 0..150 {
        wire.says(Role::Client, &[text("more")]);
        assert!(busy.read(100).is_ready());
        if second == 20 {
            idle.waits();
        }
        assert!(patient.read(0).is_ready());
        assert!(!busy.is_unread() && !patient.is_unread() && !done.is_unread());
        assert!(!idle.is_unread());
        advance(Duration::from_secs(1)).await;
    }
}

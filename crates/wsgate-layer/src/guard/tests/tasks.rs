//! A handler that reads on one task and writes on another.

use std::{task::Poll, time::Duration};

use tokio::time::advance;
use wsgate_frame::Role;

use super::{
    Peer,
    frames::{BOTH, close, other, ping, text},
    handler::{After, Task, guarded},
    planned::{OURS, Planned, REASON, at_once, politely},
};
use crate::{guard::Policy, moment::Moment};

/// A handler whose writer waits with a whole frame, and whose reader waits too.
#[track_caller]
fn blocked<P: Policy>(peer: Role, policy: P) -> (Task<P>, Task<P>, Peer) {
    let (mut reader, wire) = guarded(peer, policy);
    let mut writer = reader.another();
    wire.takes(0);
    reader.waits();
    assert!(writer.write(&text("mine").by(other(peer))).is_pending());
    (reader, writer, wire)
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_ours_does_not_take_the_writers_place() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pings_at(10);
        let told = policy.told();
        let (mut reader, mut writer, wire) = blocked(peer, policy);

        advance(Duration::from_secs(10)).await;
        assert!(reader.is_woken() && !writer.is_woken());
        reader.waits();
        assert!(told.notes().blocked, "the policy was not told");
        assert!(!wire.was_stolen_from());

        wire.takes_all();
        assert!(writer.is_woken());
        writer.sends(&[text("mine")]);
        assert_eq!(wire.heard(peer), [ping(&OURS), text("mine")]);
        assert_eq!(told.notes().unblocked, 1);

        // From now on the reading side may write again.
        reader.waits();
        assert!(!wire.was_stolen_from());
    }
}

#[tokio::test(start_paused = true)]
async fn neither_does_it_take_the_place_of_who_waits_for_a_flush_or_a_shutdown() {
    fn check(wait: impl Fn(&mut Task<Planned>) -> Poll<std::io::Result<()>>) -> impl AsyncFn() {
        async move || {
            let policy = Planned::default().pings_at(10).ends_at(20, politely());
            let (mut reader, wire) = guarded(Role::Client, policy);
            let mut writer = reader.another();
            wire.holds_flush(true);
            writer.write_all(b"\x81\x00");
            assert!(wait(&mut writer).is_pending());
            advance(Duration::from_secs(10)).await;
            reader.waits();
            advance(Duration::from_secs(10)).await;
            reader.waits();
            assert!(!wire.was_stolen_from());

            wire.holds_flush(false);
            assert!(writer.is_woken());
            assert!(wait(&mut writer).is_ready());
        }
    }

    check(Task::flush)().await;
    check(Task::shutdown)().await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_ping_that_the_writer_sent_wakes_the_reader() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pings_at(10);
        let (mut reader, mut writer, wire) = blocked(peer, policy.ends_unless_answered(5));
        advance(Duration::from_secs(10)).await;
        reader.waits();

        wire.takes_all();
        writer.sends(&[text("mine")]);
        assert_eq!(wire.heard(peer), [ping(&OURS), text("mine")]);
        // There was no deadline when the reader last looked.
        assert!(reader.is_woken());
        reader.waits();

        advance(Duration::from_secs(5)).await;
        assert!(reader.is_woken());
        assert_eq!(reader.reads(), (vec![close(1001, REASON)], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_a_write_sets_wakes_the_reader_once() {
    let policy = Planned::<false>::default().pings_after_writes(5);
    let (mut reader, wire) = guarded(Role::Client, policy);
    let mut writer = reader.another();
    reader.waits();
    writer.write_all(b"\x81\x00");
    assert!(reader.is_woken());
    // It knows now, whether or not it has looked.
    assert!(reader.flush().is_ready());
    writer.write_all(b"\x89\x00");
    assert!(!reader.is_woken());
    reader.waits();

    // The timer rings soon enough for all that are later.
    advance(Duration::from_secs(1)).await;
    writer.write_all(b"\x89\x00");
    advance(Duration::from_secs(4)).await;
    assert!(reader.is_woken());
    reader.waits();
    assert_eq!(wire.heard(Role::Client)[3], ping(&OURS));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_wakes_nobody() {
    let (mut reader, _wire) = guarded(Role::Client, Planned::<false>::default().pings_at(10));
    let mut writer = reader.another();
    reader.waits();
    writer.sends(&[text("mine")]);
    assert!(!reader.is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_is_woken_when_the_peer_is_cut() {
    for ending in [at_once(), politely()] {
        for peer in BOTH {
            let policy = Planned::<false>::default().ends_at(10, ending.clone());
            let (mut reader, mut writer, wire) = blocked(peer, policy);
            advance(Duration::from_secs(10)).await;
            let _ = reader.read_all();
            advance(Duration::from_secs(5)).await;
            let _ = reader.read_all();
            assert!(wire.is_cut());
            assert!(writer.is_woken(), "{ending:?}");
            writer.sends(&[text("mine")]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_wakes_the_reader_when_the_writer_sent_our_close() {
    let peer = Role::Client;
    let policy = Planned::<false>::default().ends_at(10, politely());
    let (mut reader, mut writer, wire) = blocked(peer, policy);
    advance(Duration::from_secs(10)).await;
    reader.waits();
    // The peer's own Close crosses ours.
    wire.says(peer, &[close(1000, "")]);
    assert_eq!(reader.reads(), (vec![close(1000, "")], After::Pending));

    wire.takes_all();
    writer.sends(&[text("mine")]);
    assert_eq!(wire.heard(peer), [close(1001, REASON)]);
    assert!(reader.is_woken());
    assert_eq!(reader.reads(), (vec![], After::Eof));
    assert!(reader.tunnel.is_over());
}

#[tokio::test(start_paused = true)]
async fn the_writer_goes_on_with_a_frame_that_the_reader_began() {
    let peer = Role::Server;
    let policy = Planned::<false>::default().pings_at(10);
    let told = policy.told();
    let (mut reader, wire) = guarded(peer, policy);
    let mut writer = reader.another();
    wire.takes(5);
    advance(Duration::from_secs(10)).await;
    reader.waits();
    assert!(writer.write(&text("mine").by(Role::Client)).is_pending());
    reader.waits();

    advance(Duration::from_secs(3)).await;
    wire.takes_all();
    assert!(writer.is_woken());
    writer.sends(&[text("mine")]);
    assert_eq!(wire.heard(peer), [ping(&OURS), text("mine")]);
    assert_eq!(told.notes().pings_sent, [Moment::now()]);
}

/// On a runtime with one thread nobody would else see the peer's answer.
#[tokio::test(start_paused = true)]
async fn a_writer_whose_bytes_are_thrown_away_gives_others_their_turn() {
    for ending in [at_once(), politely()] {
        let policy = Planned::<false>::default().ends_at(10, ending);
        let (mut reader, _wire) = guarded(Role::Client, policy);
        let mut writer = reader.another();
        advance(Duration::from_secs(10)).await;
        let _ = reader.read_all();

        let bytes = text("mine").by(Role::Server);
        let busy = (0..10_000).all(|_| writer.write(&bytes).is_ready());
        assert!(!busy, "it never leaves off");
        tokio::task::yield_now().await;
        assert!(writer.is_woken());
        writer.sends(&[text("mine")]);
        let busy = (0..10_000).all(|_| writer.write_vectored(&[&bytes]).is_ready());
        assert!(!busy, "it never leaves off");
        tokio::task::yield_now().await;
    }
}

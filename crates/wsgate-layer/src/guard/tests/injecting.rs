//! Frames of ours between the handler's.

use std::{io, task::Poll, time::Duration};

use tokio::time::advance;
use wsgate_frame::{CloseCode, OpCode, Role};

use super::{
    super::outgoing::{Outgoing, Sent},
    Peer,
    frames::{BOTH, bytes, close, frames, other, part, ping, text},
    handler::{After, Task, guarded},
    planned::{OURS, Planned, REASON, at_once, politely},
    scripted,
};
use crate::handshake::Kind;

#[tokio::test(start_paused = true)]
async fn a_ping_goes_out_and_is_flushed_when_it_is_due() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
        task.waits();
        advance(Duration::from_secs(9)).await;
        assert!(!task.is_woken());
        assert_eq!(wire.heard(peer), []);

        advance(Duration::from_secs(1)).await;
        assert!(task.is_woken());
        task.waits();
        assert!(wire.is_flushed());
        assert_eq!(wire.heard(peer), [ping(&OURS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_can_foresee_the_key_of_a_frame_to_a_server() {
    let policy = Planned::<false>::default().pings_at(1).pings_at(2);
    let (mut task, wire) = guarded(Role::Server, policy);
    for _ in 0..2 {
        advance(Duration::from_secs(1)).await;
        task.waits();
    }

    let got = wire.got();
    assert_eq!(frames(Role::Client, &got), [ping(&OURS), ping(&OURS)]);
    let (first, second) = got.split_at(got.len() / 2);
    assert_ne!(first, second);
}

#[tokio::test(start_paused = true)]
async fn a_write_is_cut_at_the_boundary_where_a_frame_of_ours_goes() {
    for peer in BOTH {
        let all = [text("one"), text("two"), text("three")];
        let written = bytes(other(peer), &all);
        let first = all[0].by(other(peer)).len();

        // The cut may go through the header as well.
        for half in [1, first - 1] {
            let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
            task.write_all(&written[..half]);
            advance(Duration::from_secs(10)).await;
            task.waits();
            assert_eq!(wire.len(), half, "a ping went into a frame");

            let pieces = task.write_all(&written[half..]);
            assert_eq!(pieces, [first - half, written.len() - first]);
            let heard = wire.heard(peer);
            assert_eq!(heard, [&all[..1], &[ping(&OURS)], &all[1..]].concat());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_handlers_flush_takes_a_frame_of_ours_along() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
        let frame = text("one").by(other(peer));
        task.write_all(&frame[..4]);
        advance(Duration::from_secs(10)).await;
        task.waits();

        task.write_all(&frame[4..]);
        assert!(task.flush().is_ready());
        assert_eq!(wire.heard(peer), [text("one"), ping(&OURS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_writes_whole_frames_is_cut_all_the_same() {
    const CHUNK: usize = 4099;

    for peer in BOTH {
        let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
        let frame = text(&"x".repeat(1000));
        let all = frame.by(other(peer)).repeat(50);
        let mut chunks = all.chunks(CHUNK);
        task.write_all(chunks.next().unwrap());
        advance(Duration::from_secs(10)).await;
        task.waits();
        for chunk in chunks {
            task.write_all(chunk);
        }

        let heard = wire.heard(peer);
        let at = heard.iter().position(|f| *f == ping(&OURS)).unwrap();
        // It was due within the fifth frame.
        assert_eq!((at, heard.len()), (CHUNK / (all.len() / 50) + 1, 51));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_may_stand_between_the_frames_of_a_message() {
    let peer = Role::Client;
    let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
    task.sends(&[part(OpCode::Text, "be")]);
    advance(Duration::from_secs(10)).await;
    task.waits();
    task.sends(&[part(OpCode::Continuation, "gun")]);
    assert_eq!(
        wire.heard(peer),
        [
            part(OpCode::Text, "be"),
            ping(&OURS),
            part(OpCode::Continuation, "gun")
        ]
    );
}

/// Leaves `taken` bytes of a ping with the peer, and the rest with us.
async fn with_a_ping_half_taken(peer: Role, taken: usize) -> (Task<Planned>, Peer) {
    let (mut task, wire) = guarded(peer, Planned::default().pings_at(10));
    wire.takes(taken);
    advance(Duration::from_secs(10)).await;
    task.waits();
    assert_eq!(wire.len(), taken);
    (task, wire)
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_ours_that_is_half_taken_is_finished_first() {
    for peer in BOTH {
        for taken in 0..ping(&OURS).by(other(peer)).len() {
            // By the reading side itself.
            let (mut task, wire) = with_a_ping_half_taken(peer, taken).await;
            wire.takes_all();
            assert!(task.is_woken());
            task.waits();
            assert!(wire.is_flushed());
            assert_eq!(wire.heard(peer), [ping(&OURS)]);

            // By the handler's write, which waits for as long.
            let (mut task, wire) = with_a_ping_half_taken(peer, taken).await;
            let frame = text("mine").by(other(peer));
            assert!(task.write(&frame).is_pending());
            assert_eq!(wire.len(), taken);
            wire.takes_all();
            assert!(task.is_woken());
            task.write_all(&frame);
            assert_eq!(wire.heard(peer), [ping(&OURS), text("mine")]);

            // By its flush.
            let (mut task, wire) = with_a_ping_half_taken(peer, taken).await;
            assert!(task.flush().is_pending());
            wire.takes_all();
            assert!(task.flush().is_ready());
            assert!(wire.is_flushed());
            assert_eq!(wire.heard(peer), [ping(&OURS)]);

            // By its shutdown.
            let (mut task, wire) = with_a_ping_half_taken(peer, taken).await;
            assert!(task.shutdown().is_pending());
            assert!(!wire.is_shut());
            wire.takes_all();
            assert!(task.shutdown().is_ready());
            assert!(wire.is_shut());
            assert_eq!(wire.heard(peer), [ping(&OURS)]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_ours_that_has_to_wait_is_remembered() {
    let peer = Role::Client;
    let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
    wire.holds_flush(true);
    advance(Duration::from_secs(10)).await;
    task.waits();
    assert!(wire.len() > 0 && !wire.is_flushed());

    wire.holds_flush(false);
    assert!(task.is_woken());
    task.waits();
    assert!(wire.is_flushed());
}

#[tokio::test(start_paused = true)]
async fn nothing_of_ours_follows_the_handlers_close() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pings_at(10);
        let (mut task, wire) = guarded(peer, policy.ends_at(20, politely()));
        task.sends(&[text("last"), close(1000, "")]);
        advance(Duration::from_secs(20)).await;
        task.waits();
        assert_eq!(wire.heard(peer), [text("last"), close(1000, "")]);
        // What a handler writes after its own Close is between it and the peer: nothing of ours is due.
        let late = bytes(other(peer), &[ping(b"late"), ping(b"later")]);
        assert_eq!(task.write_all(&late), [late.len()]);
        let (first, second) = late.split_at(7);
        let both = task.write_vectored(&[first, second]);
        assert!(matches!(both, Poll::Ready(Ok(n)) if n == late.len()));
        assert_eq!(wire.got(), late.repeat(2));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_at_all_follows_our_close() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy.pings_at(11));
        advance(Duration::from_secs(10)).await;
        task.waits();
        advance(Duration::from_secs(2)).await;
        task.waits();

        let late = text("too late").by(other(peer));
        assert!(matches!(task.write(&late), Poll::Ready(Ok(n)) if n == late.len()));
        assert!(matches!(
            task.write_vectored(&[b"", &late[..2], &late[2..]]),
            Poll::Ready(Ok(1..))
        ));
        assert!(task.flush().is_ready());
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
        assert!(task.shutdown().is_ready() && wire.is_shut());
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_takes_the_place_of_a_ping_that_waits() {
    let peer = Role::Client;
    let policy = Planned::<false>::default().pings_at(10);
    let (mut task, wire) = guarded(peer, policy.ends_at(10, politely()));
    let frame = text("one").by(other(peer));
    task.write_all(&frame[..2]);
    advance(Duration::from_secs(10)).await;
    task.waits();

    // The write that ends the frame is the last that counts.
    let rest = [&frame[2..], &frame].concat();
    assert_eq!(task.write_all(&rest), [frame.len() - 2, frame.len()]);
    assert_eq!(wire.heard(peer), [text("one"), close(1001, REASON)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_ours_follows_a_shutdown() {
    let peer = Role::Client;
    let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
    assert!(task.shutdown().is_ready());
    advance(Duration::from_secs(10)).await;
    task.waits();
    assert_eq!(wire.heard(peer), []);
}

#[tokio::test(start_paused = true)]
async fn where_the_boundaries_are_lost_all_passes_and_nothing_of_ours_goes_in() {
    // A length of 64 bits, and what may be anything.
    let lost = b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xffanything\x81\x02ok";
    let policy = Planned::<false>::default().expects(OURS);
    let policy = policy.refuses_above(1000, politely());
    let (mut task, wire) = guarded(Role::Client, policy.pings_at(10).ends_at(11, politely()));
    wire.dribbles(lost);
    assert_eq!(task.read_all(), (lost.to_vec(), After::Pending));
    task.write_all(lost);

    advance(Duration::from_secs(10)).await;
    task.waits();
    task.write_all(lost);
    advance(Duration::from_secs(1)).await;
    task.waits();
    task.write_all(lost);
    assert_eq!(wire.got(), lost.repeat(3));

    // There is no boundary at which the handler could be told.
    advance(Duration::from_secs(5)).await;
    assert_eq!(task.read_all(), (vec![], After::Eof));
    assert!(wire.is_cut());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_more_fails_the_write() {
    let (mut task, wire) = guarded(Role::Client, Planned::<false>::default().pings_at(10));
    wire.breaks_writes();
    advance(Duration::from_secs(10)).await;
    // What was sent before can still be read.
    wire.says(Role::Client, &[text("before")]);
    assert_eq!(
        task.reads(),
        (
            vec![text("before")],
            After::Error(io::ErrorKind::BrokenPipe)
        )
    );
    let written = task.write(b"\x81\x00");
    assert!(matches!(written, Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::BrokenPipe));
    assert_eq!(wire.len(), 0);
}

#[test]
fn a_header_with_which_the_boundaries_are_lost_is_not_kept() {
    let lost = b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff";
    let policy = Planned::<false>::default().refuses_above(1000, politely());
    let (mut task, wire) = guarded(Role::Server, policy);
    wire.dribbles(lost);
    assert_eq!(task.read_all(), (lost.to_vec(), After::Pending));
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_takes_counts_before_the_clock() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pings_at(10);
        let (mut task, wire) = guarded(peer, policy.ends_at(20, at_once()));
        wire.takes(3);
        advance(Duration::from_secs(10)).await;
        task.waits();
        advance(Duration::from_secs(10)).await;
        wire.takes_all();
        let _ = task.reads();
        assert_eq!(wire.heard(peer), [ping(&OURS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_learns_that_the_peer_does_not_take_our_frame() {
    let policy = Planned::<false>::default().pings_at(10);
    let told = policy.told();
    let (mut task, wire) = guarded(Role::Client, policy.pings_at(20).pings_at(30));
    wire.takes(3);
    for (seconds, blocked) in [(10, false), (20, true), (30, false)] {
        if seconds == 30 {
            wire.takes_all();
            task.waits();
        }
        advance(Duration::from_secs(10)).await;
        task.waits();
        assert_eq!(told.notes().blocked, blocked, "after {seconds} s");
    }
}

#[test]
fn even_a_ping_that_comes_too_late_does_not_follow_our_close() {
    let (mut io, wire) = scripted();
    let mut outgoing = Outgoing::new(Role::Client, Kind::Upgrade);
    let mut task = tokio_test::task::spawn(());
    let mut poll =
        |outgoing: &mut Outgoing| match task.enter(|cx, _| outgoing.poll_own(cx, &mut io)) {
            Poll::Ready(sent) => sent.unwrap(),
            Poll::Pending => panic!("the peer takes all"),
        };
    outgoing.close(CloseCode::GOING_AWAY, "");
    assert_eq!(poll(&mut outgoing), Some(Sent::Close));
    outgoing.ping(OURS);
    outgoing.close(CloseCode::GOING_AWAY, "");
    assert_eq!(poll(&mut outgoing), None);
    assert_eq!(wire.heard(Role::Client), [close(1001, "")]);
}

//! The pongs to our pings, and those to others'.

use std::time::Duration;

use tokio::time::advance;
use wsgate_frame::{OpCode, Role};

use super::{
    Peer,
    frames::{BOTH, Frame, bytes, close, frames, other, part, ping, pong, text},
    handler::{After, Task, guarded},
    planned::{OURS, Planned, REASON, at_once},
};

/// Cuts what the peer sends in two at every place and reads into buffers of every size: the handler
/// always sees `expected`.
#[track_caller]
fn check(peer: Role, sent: &[u8], expected: &[u8], absorbed: usize) {
    for cut in 0..=sent.len() {
        for room in (1..=20).chain([4096]) {
            let policy = Planned::<false>::default().expects(OURS);
            let told = policy.told();
            let (mut task, wire) = guarded(peer, policy);
            let (first, second) = sent.split_at(cut);
            wire.sends(first);
            let (mut read, _) = task.read_all_by(room);
            wire.sends(second);
            let (more, after) = task.read_all_by(room);
            read.extend(more);
            assert_eq!(
                (&read[..], after),
                (expected, After::Pending),
                "{cut} {room}"
            );
            assert_eq!(told.notes().absorbed, absorbed);
        }
    }
}

#[test]
fn our_pong_is_taken_out_from_between_others_frames() {
    for peer in BOTH {
        let (before, after) = (text("before").by(peer), text("after").by(peer));
        let ours = pong(&OURS).by(peer);
        let all = [&before[..], &ours, &after].concat();
        check(peer, &all, &[before, after].concat(), 1);
        check(peer, &ours, b"", 1);
    }
}

#[test]
fn our_pong_is_taken_out_from_within_a_message() {
    for peer in BOTH {
        let before = part(OpCode::Text, "mess").by(peer);
        let after = Frame::new(OpCode::Continuation, true, b"age").by(peer);
        let all = [&before[..], &pong(&OURS).by(peer), &after].concat();
        check(peer, &all, &[before, after].concat(), 1);
    }
}

#[test]
fn only_the_first_of_two_answers_is_ours() {
    for peer in BOTH {
        let twice = bytes(peer, &[pong(&OURS), pong(&OURS), text("")]);
        let once = bytes(peer, &[pong(&OURS), text("")]);
        check(peer, &twice, &once, 1);
    }
}

#[test]
fn a_pong_that_is_not_ours_passes_whole_and_in_its_place() {
    for peer in BOTH {
        for payload in [&b"not ours"[..], b"", b"our pin", b"our ping!", &[7; 125]] {
            let all = bytes(peer, &[text("a"), pong(payload), text("b")]);
            check(peer, &all, &all, 0);
        }
        // An application's ping with the very same payload is not a pong.
        let all = bytes(peer, &[ping(&OURS), Frame::new(OpCode::Text, true, &OURS)]);
        check(peer, &all, &all, 0);
    }
}

#[test]
fn a_pong_whose_length_takes_more_room_than_it_needs_passes() {
    for peer in BOTH {
        let mask = if peer.masks() { 0x80 } else { 0 };
        let key = if peer.masks() { &[0; 4][..] } else { &[] };
        let short = [&[0x8a, 0x7e | mask, 0, 8][..], key, &OURS].concat();
        let long = [&[0x8a, 0x7f | mask, 0, 0, 0, 0, 0, 0, 0, 8][..], key, &OURS].concat();
        for odd in [short, long] {
            let all = [&text("a").by(peer)[..], &odd, &text("b").by(peer)].concat();
            check(peer, &all, &all, 0);
        }
    }
}

#[test]
fn many_pongs_of_ours_in_one_read() {
    let peer = Role::Client;
    let payloads: Vec<_> = (0..5).map(|n| [n; 8]).collect();
    let mut policy = Planned::<false>::default();
    let mut sent = Vec::new();
    let mut kept = Vec::new();
    for payload in &payloads {
        policy = policy.expects(*payload);
        sent.extend([text("kept"), pong(payload), pong(b"unasked!")]);
        kept.extend([text("kept"), pong(b"unasked!")]);
    }
    let (mut task, wire) = guarded(peer, policy);
    wire.says(peer, &sent);
    assert_eq!(task.reads(), (kept, After::Pending));
}

/// The peer has begun to send `pong` when our ping goes out.
async fn begun_before_the_ping(peer: Role, begun: &[u8]) -> (Task<Planned>, Peer) {
    let (mut task, wire) = guarded(peer, Planned::default().pings_at(10));
    wire.sends(begun);
    assert_eq!(task.read_all(), (begun.to_vec(), After::Pending));
    advance(Duration::from_secs(10)).await;
    task.waits();
    assert_eq!(wire.heard(peer), [ping(&OURS)]);
    (task, wire)
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_began_before_our_ping_passes() {
    for peer in BOTH {
        let whole = pong(&OURS).by(peer);
        for cut in 1..whole.len() {
            let (mut task, wire) = begun_before_the_ping(peer, &whole[..cut]).await;
            wire.sends(&whole[cut..]);
            assert_eq!(task.read_all(), (whole[cut..].to_vec(), After::Pending));
        }
        // The next one may be ours.
        let (mut task, wire) = begun_before_the_ping(peer, &whole[..1]).await;
        wire.sends(&[&whole[1..], &whole].concat());
        assert_eq!(task.read_all(), (whole[1..].to_vec(), After::Pending));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_is_never_finished_is_seen_where_the_peer_ends() {
    for peer in BOTH {
        let whole = pong(&OURS).by(peer);
        for cut in 1..whole.len() {
            let (mut task, wire) = guarded(peer, Planned::<false>::default().expects(OURS));
            wire.sends(&whole[..cut]);
            task.waits();
            wire.ends();
            assert_eq!(task.read_all_by(3), (whole[..cut].to_vec(), After::Eof));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_which_a_pong_is_held_can_be_told() {
    for peer in BOTH {
        let policy = Planned::<false>::default().expects(OURS);
        let (mut task, wire) = guarded(peer, policy.ends_at(10, at_once()));
        wire.says(peer, &[text("before")]);
        wire.sends(&pong(&OURS).by(peer)[..7]);
        assert_eq!(task.reads(), (vec![text("before")], After::Pending));
        advance(Duration::from_secs(10)).await;
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_answers_a_ping() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pings_at(10);
        let told = policy.told();
        let (mut task, wire) = guarded(peer, policy.ends_unless_answered(5));
        advance(Duration::from_secs(10)).await;
        task.waits();
        assert_eq!(frames(other(peer), &wire.got()), [ping(&OURS)]);
        wire.dribbles(&pong(&OURS).by(peer));
        task.waits();
        assert_eq!(told.notes().absorbed, 1);
        advance(Duration::from_secs(60)).await;
        task.waits();

        // Without an answer it is over.
        let policy = Planned::<false>::default().pings_at(10);
        let (mut task, wire) = guarded(peer, policy.ends_unless_answered(5));
        task.waits();
        advance(Duration::from_secs(10)).await;
        task.waits();
        advance(Duration::from_secs(5)).await;
        assert!(task.is_woken(), "the deadline of the ping was forgotten");
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert!(wire.is_cut());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_is_not_ours_is_given_whole_before_the_end() {
    for peer in BOTH {
        let policy = Planned::<false>::default().expects(OURS);
        let (mut task, wire) = guarded(peer, policy.ends_at(10, at_once()));
        let theirs = pong(b"not ours").by(peer);
        wire.sends(&theirs[..7]);
        task.waits();
        wire.sends(&theirs[7..]);
        advance(Duration::from_secs(10)).await;
        let (read, after) = task.read_all_by(3);
        let told = [pong(b"not ours"), close(1001, REASON)];
        assert_eq!((frames(peer, &read), after), (told.to_vec(), After::Eof));
    }
}

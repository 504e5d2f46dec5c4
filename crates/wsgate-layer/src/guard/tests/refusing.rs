//! Frames that a policy refuses.

use std::time::Duration;

use tokio::time::advance;
use wsgate_frame::{OpCode, Role};

use super::{
    super::Ending,
    frames::{BOTH, Frame, bytes, close, frames, part, pong, text},
    handler::{After, guarded},
    planned::{OURS, Planned, REASON, at_once, politely},
};

fn above(bytes: u64, ending: Ending) -> Planned {
    Planned::default().refuses_above(bytes, ending)
}

fn big(len: usize) -> Frame {
    text(&"x".repeat(len))
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_refused_frame_reaches_the_handler_and_all_before_it_does() {
    for peer in BOTH {
        for size in [101, 126, 70_000] {
            let before = bytes(peer, &[text("one"), text("two")]);
            let refused = bytes(peer, &[big(size), text("never seen")]);
            let all = [&before[..], &refused].concat();

            // Cut before it, within its header, behind that, and not at all.
            for cut in 0..(before.len() + 16) {
                for room in [size.min(7), 4096] {
                    let (mut task, wire) = guarded(peer, above(100, politely()));
                    wire.sends(&all[..cut]);
                    let (mut read, _) = task.read_all_by(room);
                    assert!(before.starts_with(&read));
                    wire.sends(&all[cut..]);
                    wire.says(peer, &[close(1001, "")]);
                    wire.ends();
                    let (more, after) = task.read_all_by(room);
                    read.extend(more);

                    let told = [text("one"), text("two"), close(1001, REASON)];
                    assert_eq!((frames(peer, &read), after), (told.to_vec(), After::Eof));
                    assert_eq!(wire.heard(peer), [close(1001, REASON)]);
                    assert!(task.tunnel.is_over());
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_frame_that_comes_byte_by_byte() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, above(100, politely()));
        let told = task.tunnel.clone();
        wire.dribbles(&bytes(peer, &[text("one"), big(300)]));
        assert_eq!(task.reads(), (vec![text("one")], After::Pending));
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
        assert!(told.end().is_some() && !told.is_over());

        wire.dribbles(&close(1001, "").by(peer));
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert!(told.is_over());
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_not_refused_pass_however_they_come() {
    let all = [
        text(""),
        big(100),
        part(OpCode::Binary, "a"),
        Frame::new(OpCode::Continuation, true, b""),
        close(1000, "bye"),
    ];
    for peer in BOTH {
        let sent = bytes(peer, &all);
        for chunk in 1..=sent.len() {
            for room in [1, 2, 3, 4096] {
                let policy = above(100, politely());
                let told = policy.told();
                let (mut task, wire) = guarded(peer, policy);
                sent.chunks(chunk).for_each(|chunk| wire.sends(chunk));
                assert_eq!(task.read_all_by(room), (sent.clone(), After::Pending));
                assert_eq!(told.notes().frames.0, all.len());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_frame_may_cut_the_peer_at_once() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, above(100, at_once()));
        wire.says(peer, &[text("one"), big(101), text("two")]);
        let told = vec![text("one"), close(1001, REASON)];
        assert_eq!(task.reads(), (told, After::Eof));
        assert!(wire.is_cut());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_has_the_peers_close_is_told_of_no_refusal() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, above(100, politely()));
        wire.says(peer, &[close(1000, "bye"), big(101)]);
        assert_eq!(task.reads(), (vec![close(1000, "bye")], After::Eof));
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
    }
}

#[tokio::test(start_paused = true)]
async fn our_close_goes_out_with_the_refusal_itself() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, above(100, politely()));
        // The peer's own Close is in the same read, so both have been said when the handler has what
        // came before.
        wire.says(peer, &[text("one"), big(101), close(1000, "bye")]);
        assert_eq!(frames(peer, &ready(task.read(4096))), [text("one")]);
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
        // The peer's is lost with the rest, so the handler is told ours.
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peers_close_behind_a_refused_frame_waits_for_ours() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, above(100, politely()));
        wire.takes(0);
        wire.says(peer, &[big(101), close(1000, "bye")]);
        task.waits();
        wire.takes_all();
        assert!(task.is_woken());
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_behind_a_refused_frame_is_thrown_away_in_turns() {
    let peer = Role::Client;
    let (mut task, wire) = guarded(peer, above(100, politely()));
    wire.says(peer, &[big(101)]);
    for _ in 0..100 {
        wire.says(peer, &[big(1000)]);
    }
    assert!(task.read(4096).is_pending());
    assert!(task.is_woken(), "it goes on");
    assert!(wire.unread() > 0, "it takes the thread for itself");

    // It has no more time than others.
    advance(Duration::from_secs(5)).await;
    assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
    assert!(wire.is_cut());
}

#[tokio::test(start_paused = true)]
async fn a_header_that_is_never_whole_is_seen_where_the_peer_ends() {
    for peer in BOTH {
        let header = &big(70_000).by(peer)[..9];
        let (mut task, wire) = guarded(peer, above(100, politely()));
        wire.says(peer, &[text("one")]);
        wire.dribbles(header);
        assert_eq!(task.reads(), (vec![text("one")], After::Pending));
        wire.ends();
        assert_eq!(task.read_all_by(2), (header.to_vec(), After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_which_a_header_is_held_can_be_told() {
    for peer in BOTH {
        let policy = above(100, politely()).ends_at(10, at_once());
        let (mut task, wire) = guarded(peer, policy);
        wire.sends(&text("one").by(peer)[..1]);
        task.waits();
        advance(Duration::from_secs(10)).await;
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn our_pong_before_a_refused_frame_is_taken_out() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, above(100, at_once()).expects(OURS));
        wire.says(peer, &[text("one"), pong(&OURS), text("two"), big(101)]);
        let told = vec![text("one"), text("two"), close(1001, REASON)];
        assert_eq!(task.reads(), (told, After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_end_what_has_been_ended() {
    for peer in BOTH {
        let policy = above(100, at_once()).ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        advance(Duration::from_secs(10)).await;
        task.waits();
        advance(Duration::from_secs(3)).await;
        wire.says(peer, &[text("one"), big(101), text("two")]);
        assert_eq!(task.reads(), (vec![text("one")], After::Pending));
        assert!(!wire.is_cut());
        // The peer has the time that it had.
        advance(Duration::from_secs(2)).await;
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
    }
}

fn ready<T>(poll: std::task::Poll<std::io::Result<T>>) -> T {
    match poll {
        std::task::Poll::Ready(Ok(value)) => value,
        _ => panic!("not ready"),
    }
}

//! How a WebSocket is ended.

use std::{io, time::Duration};

use tokio::time::advance;
use wsgate_frame::{CloseCode, Role};

use super::{
    frames::{BOTH, close, other, parse, text},
    handler::{After, guarded},
    planned::{Planned, REASON, at_once, politely},
};
use crate::tunnel::{Cause, End};

/// How the planned ends are told to others.
const fn ended(peer: Role) -> Option<End> {
    Some(End {
        cause: Cause::Lifetime,
        code: CloseCode::GOING_AWAY,
        peer,
    })
}

#[tokio::test(start_paused = true)]
async fn the_peer_answers_our_close_and_the_handler_reads_the_answer() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        task.waits();
        assert_eq!(task.tunnel.end(), None);
        advance(Duration::from_secs(10)).await;
        assert!(task.is_woken());
        task.waits();
        assert!(wire.is_flushed());
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
        assert_eq!(
            (task.tunnel.end(), task.tunnel.is_over()),
            (ended(peer), false)
        );

        // What was under way still comes, and then the answer.
        let last = [text("last words"), close(1001, "")];
        wire.says(peer, &last);
        assert_eq!(task.reads(), (last.to_vec(), After::Eof));
        assert!(task.tunnel.is_over());
        // A server waits for the client to see the end before it closes the connection.
        assert!(!wire.is_cut());
        assert_eq!(task.reads(), (vec![], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_when_the_peer_ends_without_a_close() {
    for breaks in [false, true] {
        for peer in BOTH {
            let policy = Planned::<false>::default().ends_at(10, politely());
            let (mut task, wire) = guarded(peer, policy);
            advance(Duration::from_secs(10)).await;
            task.waits();
            wire.says(peer, &[text("last words")]);
            match breaks {
                true => wire.breaks(),
                false => wire.ends(),
            }
            assert!(task.is_woken());
            let told = vec![text("last words"), close(1001, REASON)];
            assert_eq!(task.reads(), (told, After::Eof));
            assert!(task.tunnel.is_over());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_its_time_to_answer_and_no_more() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        advance(Duration::from_secs(10)).await;
        task.waits();
        advance(Duration::from_millis(4999)).await;
        assert!(!task.is_woken() && !wire.is_cut());

        advance(Duration::from_millis(1)).await;
        assert!(task.is_woken());
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert!(wire.is_cut() && task.tunnel.is_over());
        // The handler may answer what it was told.
        task.sends(&[close(1001, "")]);
        assert!(task.shutdown().is_ready());
        assert!(!task.is_write_vectored());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_cut_at_once() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, at_once());
        let (mut task, wire) = guarded(peer, policy);
        wire.says(peer, &[text("last words")]);
        assert_eq!(task.reads(), (vec![text("last words")], After::Pending));
        advance(Duration::from_secs(10)).await;
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert!(wire.is_cut());
        assert_eq!(
            (task.tunnel.end(), task.tunnel.is_over()),
            (ended(peer), true)
        );
        assert!(wire.heard(peer).is_empty());
        task.sends(&[text("to nobody")]);
        assert_eq!(task.reads(), (vec![], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_in_pieces_as_small_as_it_reads() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, at_once());
        let (mut task, _wire) = guarded(peer, policy);
        advance(Duration::from_secs(10)).await;
        let (told, after) = task.read_all_by(1);
        assert_eq!(after, After::Eof);
        let (told, rest) = parse(peer, &told);
        assert_eq!((told, rest), (vec![close(1001, REASON)], &b""[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_in_the_middle_of_a_frame_reads_the_plain_end() {
    for ending in [at_once(), politely()] {
        for peer in BOTH {
            let policy = Planned::<false>::default().ends_at(10, ending.clone());
            let (mut task, wire) = guarded(peer, policy);
            let frame = text("half").by(peer);
            wire.sends(&frame[..frame.len() - 1]);
            let (half, _) = task.read_all();
            assert_eq!(half, frame[..frame.len() - 1]);
            advance(Duration::from_secs(10)).await;
            let _ = task.read(1);
            advance(Duration::from_secs(5)).await;
            assert_eq!(task.read_all(), (vec![], After::Eof));
            assert!(wire.is_cut() && task.tunnel.is_over());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_has_the_peers_close_is_told_nothing_more() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, at_once());
        let (mut task, wire) = guarded(peer, policy);
        wire.says(peer, &[close(1000, "bye")]);
        assert_eq!(task.reads(), (vec![close(1000, "bye")], After::Pending));
        advance(Duration::from_secs(10)).await;
        assert_eq!(task.reads(), (vec![], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn our_close_answers_a_peers_that_the_handler_has_not_answered() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        wire.says(peer, &[close(1000, "bye")]);
        assert_eq!(task.reads(), (vec![close(1000, "bye")], After::Pending));
        advance(Duration::from_secs(10)).await;
        assert_eq!(task.reads(), (vec![], After::Eof));
        task.sends(&[close(1000, "bye")]);
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
        assert!(task.tunnel.is_over());
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_handshake_of_the_two_passes_untouched() {
    for peer in BOTH {
        // The handler is the first, and our end comes too late to say anything.
        let policy = Planned::<false>::default().ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        task.sends(&[close(1000, "bye")]);
        task.waits();
        advance(Duration::from_secs(10)).await;
        task.waits();
        wire.says(peer, &[close(1000, "bye")]);
        assert_eq!(task.reads(), (vec![close(1000, "bye")], After::Eof));
        assert_eq!(wire.heard(peer), [close(1000, "bye")]);

        // The peer is the first.
        let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(10));
        wire.says(peer, &[close(1000, "bye")]);
        assert_eq!(task.reads(), (vec![close(1000, "bye")], After::Pending));
        task.sends(&[close(1000, "bye")]);
        advance(Duration::from_secs(10)).await;
        task.waits();
        assert_eq!(wire.heard(peer), [close(1000, "bye")]);
        assert!(!task.tunnel.is_over(), "no layer has ended it");
        wire.ends();
        assert_eq!(task.reads(), (vec![], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn two_closes_that_cross_end_it() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        let frame = text("half").by(other(peer));
        task.write_all(&frame[..3]);
        advance(Duration::from_secs(10)).await;
        task.waits();
        wire.says(peer, &[close(1000, "bye")]);
        assert_eq!(task.reads(), (vec![close(1000, "bye")], After::Pending));

        // Ours has yet to go out: the handler's frame is not finished.
        task.write_all(&frame[3..]);
        task.sends(&[close(1000, "bye")]);
        assert_eq!(wire.heard(peer), [text("half"), close(1001, REASON)]);
        assert_eq!(task.reads(), (vec![], After::Eof));
        assert!(task.tunnel.is_over() && !wire.is_cut());
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_until_our_close_is_flushed() {
    let peer = BOTH[0];
    let policy = Planned::<false>::default().ends_at(10, politely());
    let (mut task, wire) = guarded(peer, policy);
    wire.holds_flush(true);
    advance(Duration::from_secs(10)).await;
    task.waits();
    wire.says(peer, &[close(1001, "")]);
    assert_eq!(task.reads(), (vec![close(1001, "")], After::Pending));
    wire.holds_flush(false);
    assert!(task.is_woken());
    assert_eq!(task.reads(), (vec![], After::Eof));
    assert!(wire.is_flushed());
}

#[tokio::test(start_paused = true)]
async fn a_close_that_cannot_be_sent_ends_it_too() {
    for peer in BOTH {
        let policy = Planned::<false>::default().ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        wire.breaks_writes();
        advance(Duration::from_secs(10)).await;
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert!(task.tunnel.is_over());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_on_sending_is_cut_in_time_all_the_same() {
    let peer = BOTH[0];
    let policy = Planned::<false>::default().ends_at(10, politely());
    let (mut task, wire) = guarded(peer, policy);
    advance(Duration::from_secs(10)).await;
    for _ in 0..5 {
        wire.says(peer, &[text("and another thing")]);
        let _ = task.reads();
        advance(Duration::from_secs(1)).await;
    }
    wire.says(peer, &[text("and another thing")]);
    let told = vec![text("and another thing"), close(1001, REASON)];
    assert_eq!(task.reads(), (told, After::Eof));
    assert!(wire.is_cut());
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_ends_counts() {
    let policy = Planned::<true>::default().ends_at(10, politely());
    let (mut task, wire) = guarded(BOTH[0], policy.ends_at(11, at_once()));
    advance(Duration::from_secs(12)).await;
    task.waits();
    assert!(!wire.is_cut());
    assert_eq!(wire.heard(BOTH[0]), [close(1001, REASON)]);
}

#[tokio::test(start_paused = true)]
async fn an_end_of_the_peers_passes_as_it_is() {
    let policy = Planned::<false>::default().pings_at(10);
    let (mut task, wire) = guarded(BOTH[0], policy);
    wire.ends();
    assert_eq!(task.read_all(), (vec![], After::Eof));
    assert_eq!(task.read_all(), (vec![], After::Eof));
    // Its other half may still be open.
    task.sends(&[text("can you hear me?")]);
    assert_eq!(wire.heard(BOTH[0]), [text("can you hear me?")]);
    assert_eq!((task.tunnel.end(), task.tunnel.is_over()), (None, false));

    let (mut task, wire) = guarded(BOTH[0], Planned::<false>::default());
    wire.breaks();
    let reset = After::Error(io::ErrorKind::ConnectionReset);
    assert_eq!(task.read_all(), (vec![], reset));
}

#[tokio::test(start_paused = true)]
async fn the_policy_learns_once_that_the_handler_let_go() {
    let policy = Planned::<false>::default().pings_at(10);
    let told = policy.told();
    let (mut task, wire) = guarded(BOTH[0], policy);
    wire.says(BOTH[0], &[text("one"), text("two")]);
    assert_eq!(task.reads().0.len(), 2);
    task.sends(&[text("three")]);
    assert_eq!(told.notes().drops, 0);
    drop(task);
    let notes = told.notes();
    assert_eq!((notes.drops, notes.frames), (1, (2, 1)));
    assert!(wire.is_cut());
}

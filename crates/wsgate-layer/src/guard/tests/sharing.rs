//! Several policies in one stream: each decides as if it had a stream of its own.

use std::time::Duration;

use tokio::time::advance;
use wsgate_frame::{OpCode, Role};

use super::{
    super::Policies,
    boxed::Boxed,
    frames::{BOTH, Frame, bytes, close, other, ping, pong, text},
    handler::{After, guarded},
    planned::{OURS, Planned, REASON, Told, at_once, politely},
};

type Plan = Planned<false>;

/// So many policies; the outermost is the first.
struct Row {
    all: Vec<Boxed>,
    told: Vec<Told>,
}

impl Row {
    const fn new() -> Self {
        Self {
            all: Vec::new(),
            told: Vec::new(),
        }
    }

    fn inside<const UNREAD: bool>(mut self, policy: Planned<UNREAD>) -> Self {
        self.told.push(policy.told());
        self.all.push(Box::new(policy));
        self
    }

    fn build(self) -> (Policies<Boxed>, Vec<Told>) {
        (Policies::new(self.all.into()), self.told)
    }

    /// One outside of a keepalive, the keepalive, and one inside.
    fn around_a_keepalive() -> (Policies<Boxed>, Vec<Told>) {
        let outside = Self::new().inside(Plan::default());
        let keepalive = outside.inside(Plan::default().expects(OURS));
        keepalive.inside(Plan::default()).build()
    }
}

/// How many reads each was told of, and how many frames.
fn seen(told: &[Told]) -> Vec<(usize, usize)> {
    let seen = told.iter().map(Told::notes);
    seen.map(|notes| (notes.reads, notes.frames.0)).collect()
}

#[test]
fn a_pong_of_ours_is_seen_only_outside() {
    for peer in BOTH {
        let (policies, told) = Row::around_a_keepalive();
        let (mut task, wire) = guarded(peer, policies);
        wire.says(peer, &[pong(&OURS)]);
        assert_eq!(task.reads(), (vec![], After::Pending));
        assert_eq!(seen(&told), [(1, 1), (1, 1), (0, 0)]);
        assert_eq!(told[1].notes().absorbed, 1);
    }
}

#[test]
fn a_pong_of_ours_in_pieces_is_seen_only_outside() {
    for peer in BOTH {
        let (policies, told) = Row::around_a_keepalive();
        let (mut task, wire) = guarded(peer, policies);
        wire.dribbles(&pong(&OURS).by(peer));
        assert_eq!(task.reads(), (vec![], After::Pending));
        assert_eq!(told[2].notes().reads, 0);
        assert!(told[0].notes().reads > 1 && told[1].notes().reads > 1);
    }
}

#[test]
fn what_comes_with_a_pong_of_ours_is_seen_by_all() {
    for peer in BOTH {
        for frames in [
            [text("a"), pong(&OURS)],
            [pong(&OURS), text("a")],
            [pong(&OURS), pong(b"not ours")],
            [pong(&OURS), ping(b"a")],
        ] {
            let (policies, told) = Row::around_a_keepalive();
            let (mut task, wire) = guarded(peer, policies);
            wire.says(peer, &frames);
            let (read, _) = task.reads();
            assert_eq!(read.len(), 1, "{frames:?}");
            assert_eq!(seen(&told), [(1, 2), (1, 2), (1, 1)], "{frames:?}");
        }
    }
}

#[test]
fn a_pong_that_is_not_ours_is_seen_by_all_in_the_end() {
    for peer in BOTH {
        let (policies, told) = Row::around_a_keepalive();
        let (mut task, wire) = guarded(peer, policies);
        wire.dribbles(&pong(b"not ours").by(peer));
        assert_eq!(task.reads(), (vec![pong(b"not ours")], After::Pending));
        assert!(told[2].notes().reads > 0);
    }
}

/// The middle of a payload has no events, and is something to read all the same.
#[test]
fn the_middle_of_a_message_is_seen_by_all() {
    for peer in BOTH {
        let (policies, told) = Row::around_a_keepalive();
        let (mut task, wire) = guarded(peer, policies);
        let message = text("a message in three pieces").by(peer);
        for (at, piece) in message.chunks(message.len() / 3 + 1).enumerate() {
            wire.sends(piece);
            task.read_all_by(4096);
            assert_eq!(told[2].notes().reads, at + 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_keepalive_has_its_own_pongs() {
    for peer in BOTH {
        let one = Plan::default().pings_at(10);
        let two = Plan::default().expects(*b"the othe");
        let row = Row::new().inside(one).inside(Plan::default()).inside(two);
        let (policies, told) = row.inside(Plan::default()).build();
        let (mut task, wire) = guarded(peer, policies);
        task.waits();
        advance(Duration::from_secs(10)).await;
        task.waits();
        assert_eq!(wire.heard(peer), [ping(&OURS)]);
        assert_eq!(told[0].notes().pings_sent.len(), 1);
        assert_eq!(told[2].notes().pings_sent.len(), 0);

        // What the inner one takes passes the outer one and what is between them.
        wire.says(peer, &[pong(b"the othe")]);
        task.waits();
        assert_eq!(seen(&told), [(1, 1), (1, 1), (1, 1), (0, 0)]);
        wire.says(peer, &[pong(&OURS)]);
        task.waits();
        assert_eq!(seen(&told), [(2, 2), (1, 1), (1, 1), (0, 0)]);
        let absorbed: Vec<_> = told.iter().map(|t| t.notes().absorbed).collect();
        assert_eq!(absorbed, [1, 0, 1, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn pings_due_together_all_go_out_and_each_is_told_of_its_own() {
    for peer in BOTH {
        let row = Row::new().inside(Plan::default().pings_at(10));
        let row = row.inside(Plan::default().pings_at(10));
        let (policies, told) = row.inside(Plan::default()).build();
        let (mut task, wire) = guarded(peer, policies);
        task.waits();
        advance(Duration::from_secs(10)).await;
        task.waits();
        assert_eq!(wire.heard(peer), [ping(&OURS), ping(&OURS)]);
        let sent: Vec<_> = told.iter().map(|t| t.notes().pings_sent.len()).collect();
        assert_eq!(sent, [1, 1, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_pause_of_one_only_those_act_that_count_it() {
    for peer in BOTH {
        let row = Row::new().inside(Plan::default().ends_at(10, at_once()));
        let row = row.inside(Plan::default().pauses(0, 30));
        let row = row.inside(Planned::<true>::default().ends_at(20, politely()));
        let (policies, told) = row.build();
        let (mut task, wire) = guarded(peer, policies);
        task.waits();
        advance(Duration::from_secs(15)).await;
        task.waits();
        assert_eq!(wire.heard(peer), []);
        assert!(told[0].notes().deadlines.is_empty());
        advance(Duration::from_secs(5)).await;
        task.waits();
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
        assert!(told[0].notes().deadlines.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn any_of_them_can_refuse_a_frame_or_hear_its_signal() {
    for peer in BOTH {
        let refuses = Plan::default().refuses_above(3, at_once());
        let row = Row::new().inside(Plan::default()).inside(refuses);
        let (policies, _) = row.inside(Plan::default()).build();
        let (mut task, wire) = guarded(peer, policies);
        wire.says(peer, &[text("abc"), text("abcd"), text("e")]);
        let (read, after) = task.reads();
        assert_eq!(
            (read, after),
            (vec![text("abc"), close(1001, REASON)], After::Eof)
        );
        assert!(wire.is_cut());
    }
    for peer in BOTH {
        let row = Row::new().inside(Plan::default());
        let row = row.inside(Plan::default().ends_at_signal(at_once()));
        let (policies, told) = row.build();
        let (mut task, wire) = guarded(peer, policies);
        task.waits();
        told[1].signal();
        assert!(task.is_woken());
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert!(wire.is_cut());
    }
}

#[test]
fn all_are_told_what_the_handler_sends_and_that_it_lets_go() {
    for peer in BOTH {
        let (policies, told) = Row::around_a_keepalive();
        let (mut task, wire) = guarded(peer, policies);
        task.sends(&[text("mine")]);
        assert_eq!(wire.got(), bytes(other(peer), &[text("mine")]));
        drop(task);
        for told in told {
            let notes = told.notes();
            assert_eq!((notes.frames.1, notes.drops), (1, 1));
        }
    }
}

/// A pong can be told from its first byte, and all else is seen at once.
#[test]
fn a_header_in_pieces_is_seen_as_soon_as_it_is_no_pong() {
    let (policies, told) = Row::around_a_keepalive();
    let (mut task, wire) = guarded(Role::Server, policies);
    let frame = Frame::new(OpCode::Binary, true, &[0; 300]).by(Role::Server);
    wire.sends(&frame[..1]);
    task.read_all_by(4096);
    assert_eq!(told[2].notes().reads, 1);
}

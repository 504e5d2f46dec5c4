//! Frames that break a rule, where both sides are held to the rules, and where they are not.

mod cases;
mod transparent;

use std::{
    slice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use http::HeaderMap;
use tokio::task::coop::unconstrained;
use wsgate_frame::{CloseCode, Event, Role, Violation};

use self::cases::{Case, cases, raw};
use super::{
    super::{Ending, Policies, Policy, Wants},
    Peer,
    frames::{BOTH, Frame, bytes, close, frames, other, ping, text},
    handler::{After, Task, guarded, guarded_over_h2},
};
use crate::{
    strict::StrictPolicy,
    tunnel::{Cause, End},
};

/// Whether the frames are cut, how, and in how much room they are read.
#[derive(Clone, Copy, Debug)]
enum Cut {
    At(usize),
    Everywhere,
}

fn strict() -> StrictPolicy {
    StrictPolicy::new(&HeaderMap::new())
}

fn cuts(len: usize) -> impl Iterator<Item = Cut> {
    (0..=len.min(40)).map(Cut::At).chain([Cut::Everywhere])
}

fn told(case: &Case, by: Role) -> Frame {
    let by = match by {
        Role::Client => "client",
        Role::Server => "server",
    };
    close(1002, &format!("{by}: {}", case.reason))
}

#[track_caller]
fn is_blamed<P: Policy>(task: &Task<P>, case: &Case, side: Role) {
    let end = End {
        cause: Cause::ProtocolError(case.violation),
        code: CloseCode::PROTOCOL_ERROR,
        peer: side,
    };
    assert_eq!(task.tunnel.end(), Some(end));
    assert_eq!(end.cause.to_string(), "protocol error");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_wrong_frame_reaches_the_handler_and_both_are_told() {
    for peer in BOTH {
        for case in cases(peer) {
            let good = [&text("good").by(peer)[..], &case.before].concat();
            let all = [&good[..], &case.wrong, &text("never seen").by(peer)].concat();
            for cut in cuts(good.len() + case.wrong.len()) {
                for room in [1, 4096] {
                    let (mut task, wire) = guarded(peer, Policies::new([strict()].into()));
                    let mut read = Vec::new();
                    match cut {
                        Cut::At(at) => {
                            wire.sends(&all[..at]);
                            read.extend(task.read_all_by(room).0);
                            wire.sends(&all[at..]);
                        }
                        Cut::Everywhere => wire.dribbles(&all),
                    }
                    read.extend(task.read_all_by(room).0);
                    assert_eq!(wire.heard(peer), [told(&case, peer)], "{cut:?}");
                    // Its answer comes too late to be read.
                    wire.says(peer, &[close(1002, "")]);
                    wire.ends();
                    let (rest, after) = task.read_all_by(room);
                    read.extend(rest);

                    assert!(read.starts_with(&good), "{cut:?}: {read:02x?}");
                    let rest = frames(peer, &read[good.len()..]);
                    assert_eq!((rest, after), (vec![told(&case, peer)], After::Eof));
                    is_blamed(&task, &case, peer);
                    assert!(task.tunnel.is_over());
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_handlers_wrong_frame_reaches_the_peer_and_both_are_told() {
    // A task may throw away so much, and then others have their turn. There are none.
    unconstrained(handlers_wrong_frames()).await;
}

async fn handlers_wrong_frames() {
    for peer in BOTH {
        let handler = other(peer);
        for case in cases(handler) {
            let good = [&text("good").by(handler)[..], &case.before].concat();
            let all = [&good[..], &case.wrong, &text("never seen").by(handler)].concat();
            for cut in cuts(good.len() + case.wrong.len()) {
                for taken in [usize::MAX, 1] {
                    let (mut task, wire) = guarded(peer, Policies::new([strict()].into()));
                    let mut reader = task.another();
                    reader.waits();
                    match cut {
                        Cut::At(at) => {
                            dribbled(&mut task, &wire, &all[..at], taken);
                            dribbled(&mut task, &wire, &all[at..], taken);
                        }
                        Cut::Everywhere => all
                            .chunks(1)
                            .for_each(|byte| dribbled(&mut task, &wire, byte, taken)),
                    }
                    wire.takes_all();
                    assert!(matches!(task.flush(), Poll::Ready(Ok(()))));
                    let got = wire.got();
                    assert!(got.starts_with(&good), "{cut:?}: {got:02x?}");
                    assert_eq!(frames(handler, &got[good.len()..]), [told(&case, handler)]);
                    is_blamed(&task, &case, handler);

                    // What the handler says from now on goes nowhere, and what the peer says, too.
                    task.sends(&[text("never seen")]);
                    assert!(reader.is_woken(), "the answer has its time");
                    wire.says(peer, &[text("not read"), close(1002, "")]);
                    assert_eq!(reader.reads(), (vec![told(&case, handler)], After::Eof));
                    assert_eq!(wire.got(), b"");
                    assert!(task.tunnel.is_over());
                }
            }
        }
    }
}

/// Writes all of it to a peer that takes so much at once.
#[track_caller]
fn dribbled<P: Policy>(task: &mut Task<P>, wire: &Peer, mut bytes: &[u8], at_once: usize) {
    if at_once == usize::MAX {
        task.write_all(bytes);
        return;
    }
    while !bytes.is_empty() {
        wire.takes(at_once);
        if let Poll::Ready(n) = task.write(bytes) {
            bytes = &bytes[n.unwrap()..];
        }
    }
}

/// What is between the two is right, and passes however it is cut.
#[tokio::test(start_paused = true)]
async fn right_frames_pass_both_ways_however_they_come() {
    for peer in BOTH {
        let all = |from| {
            [
                raw(from, 0x81, &[0], b""),
                raw(from, 0x01, &[2], b"hi"),
                raw(from, 0x89, &[125], &[b'p'; 125]),
                raw(from, 0x00, &[0], b""),
                raw(from, 0x8a, &[0], b""),
                raw(from, 0x80, &[126, 0, 126], &[b'x'; 126]),
                raw(
                    from,
                    0x88,
                    &[125],
                    &[&b"\x0f\xa0"[..], &[b'r'; 123]].concat(),
                ),
                raw(from, 0x8a, &[1], b"!"),
            ]
            .concat()
        };
        let (incoming, outgoing) = (all(peer), all(other(peer)));
        for chunk in 1..incoming.len() {
            let (mut task, wire) = guarded(peer, Policies::new([strict()].into()));
            incoming.chunks(chunk).for_each(|chunk| wire.sends(chunk));
            assert_eq!(task.read_all(), (incoming.clone(), After::Pending));
            for chunk in outgoing.chunks(chunk) {
                task.write_all(chunk);
            }
            assert!(matches!(task.flush(), Poll::Ready(Ok(()))));
            assert_eq!(wire.got(), outgoing);
            assert_eq!(task.tunnel.end(), None);
        }
    }
}

/// It was told all it can be told.
#[tokio::test(start_paused = true)]
async fn data_after_a_close_is_told_to_the_one_that_has_had_none() {
    for peer in BOTH {
        let bye = close(1000, "bye");
        let (mut task, wire) = guarded(peer, Policies::new([strict()].into()));
        wire.says(peer, slice::from_ref(&bye));
        assert_eq!(task.reads(), (vec![bye.clone()], After::Pending));
        wire.says(peer, &[text("never seen")]);
        assert_eq!(task.reads(), (vec![], After::Eof));
        let name = if peer == Role::Client {
            "client"
        } else {
            "server"
        };
        let told = close(1002, &format!("{name}: data frame after a close"));
        assert_eq!(wire.heard(peer), [told]);

        let handler = other(peer);
        let (mut task, wire) = guarded(peer, Policies::new([strict()].into()));
        task.sends(slice::from_ref(&bye));
        task.sends(&[text("never seen")]);
        // Alone there would be nothing wrong with it.
        task.sends(&[ping(b"nor this")]);
        assert_eq!(wire.heard(peer), [bye]);
        let end = task.tunnel.end().unwrap();
        assert_eq!(end.cause, Cause::ProtocolError(Violation::DataAfterClose));
        assert_eq!(end.peer, handler);
        // The handler waits for the answer to its Close, and hears what became of that.
        wire.says(peer, &[close(1000, "")]);
        let name = if peer == Role::Client {
            "server"
        } else {
            "client"
        };
        let told = close(1002, &format!("{name}: data frame after a close"));
        assert_eq!(task.reads(), (vec![told], After::Eof));
    }
}

#[tokio::test(start_paused = true)]
async fn over_http2_and_by_vectored_writes_it_is_the_same() {
    let peer = Role::Client;
    for open in [guarded, guarded_over_h2] {
        for case in cases(Role::Server) {
            let (mut task, wire) = open(peer, Policies::new([strict()].into()));
            let good = [text("good").by(Role::Server), case.before.clone()].concat();
            let mut bufs = vec![&good[..], &case.wrong, b"more"];
            while let Some(first) = bufs.first() {
                let Poll::Ready(Ok(n)) = task.write_vectored(&bufs) else {
                    panic!("it waits");
                };
                assert!(
                    n <= first.len() || bufs.len() < 3,
                    "the rest is thrown away"
                );
                if n == first.len() {
                    bufs.remove(0);
                } else {
                    bufs[0] = &first[n..];
                }
            }
            assert!(matches!(task.flush(), Poll::Ready(Ok(()))));
            let got = wire.got();
            assert!(got.starts_with(&good));
            assert_eq!(
                frames(Role::Server, &got[good.len()..]),
                [told(&case, Role::Server)]
            );
        }
    }
}

/// Has every frame shown to it, and counts them.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl Policy for Counting {
    fn wants(&self) -> Wants {
        Wants::STRICT
    }

    fn refuses(&mut self, _: &Event<'_>, _: Role) -> Option<Ending> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// However often a handler offers what its peer does not take.
#[tokio::test(start_paused = true)]
async fn what_has_to_wait_is_looked_at_once() {
    for peer in BOTH {
        let counting = Counting::default();
        let seen = Arc::clone(&counting.0);
        let (mut task, wire) = guarded(peer, counting);
        wire.takes(0);
        let frame = text("good").by(other(peer));
        for _ in 0..100 {
            assert!(task.write(&frame).is_pending());
        }
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        wire.takes_all();
        task.write_all(&frame);
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        assert_eq!(wire.got(), frame);
    }
}

/// A header that never comes to its end is of no use to the peer.
#[tokio::test(start_paused = true)]
async fn what_the_handler_leaves_unfinished_is_not_sent() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, Policies::new([strict()].into()));
        let header = &bytes(other(peer), &[text("good"), close(1000, "bye")]);
        task.write_all(&header[..header.len() - 1]);
        assert!(matches!(task.shutdown(), Poll::Ready(Ok(()))));
        assert_eq!(wire.heard(peer), [text("good")]);
        assert!(wire.is_shut());
    }
}

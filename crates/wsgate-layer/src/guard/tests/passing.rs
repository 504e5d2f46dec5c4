//! Bytes that pass, and calls that are passed on.

use std::task::Poll;

use wsgate_frame::{OpCode, Role};

use super::{
    frames::{BOTH, Frame, bytes, close, other, part, ping, text},
    handler::{After, guarded, guarded_over_h2},
    planned::{OURS, Planned, at_once},
};

fn some_of_all() -> Vec<Frame> {
    vec![
        text("hello"),
        text(""),
        ping(b"theirs"),
        part(OpCode::Binary, "a"),
        ping(b""),
        part(OpCode::Continuation, "b"),
        Frame::new(OpCode::Continuation, true, &[7; 300]),
        text(&"x".repeat(70_000)),
        close(4000, "bye"),
    ]
}

#[test]
fn all_passes_as_it_came() {
    for peer in BOTH {
        for chunk in [1, 2, 3, 14, 125, 4096, 100_000] {
            let policy = Planned::<false>::default();
            let told = policy.told();
            let (mut task, wire) = guarded(peer, policy);
            let sent = bytes(peer, &some_of_all());
            sent.chunks(chunk).for_each(|chunk| wire.sends(chunk));
            assert_eq!(task.read_all_by(1000), (sent, After::Pending));

            let written = bytes(other(peer), &some_of_all());
            for chunk in written.chunks(chunk) {
                assert_eq!(task.write_all(chunk), [chunk.len()], "it was cut");
            }
            assert_eq!(wire.got(), written);
            let all = some_of_all().len();
            assert_eq!(told.notes().frames, (all, all));
        }
    }
}

#[test]
fn a_peer_that_takes_little_gets_all() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, Planned::<false>::default());
        let written = bytes(other(peer), &some_of_all());
        let mut rest = &written[..];
        for n in 0..1000 {
            let room = n % 777;
            wire.takes(room);
            match task.write(rest) {
                Poll::Ready(n) => rest = &rest[n.unwrap()..],
                Poll::Pending => assert_eq!(room, 0),
            }
        }
        assert!(rest.is_empty());
        assert_eq!(wire.got(), written);
    }
}

#[test]
fn many_buffers_go_as_one() {
    for peer in BOTH {
        let policy = Planned::<false>::default();
        let told = policy.told();
        let (mut task, wire) = guarded(peer, policy);
        assert!(task.is_write_vectored());
        let all = bytes(other(peer), &some_of_all());
        let bufs: Vec<_> = all.chunks(5000).collect();
        let written = task.write_vectored(&bufs);
        assert!(matches!(written, Poll::Ready(Ok(n)) if n == all.len()));
        assert_eq!(wire.got(), all);
        assert_eq!(told.notes().frames.1, some_of_all().len());

        // Of a part, the tracker follows just that part.
        wire.takes(7000);
        let written = task.write_vectored(&bufs);
        assert!(matches!(written, Poll::Ready(Ok(7000))));
        wire.takes_all();
        task.write_all(&all[7000..]);
        assert_eq!(wire.got(), all);
        assert_eq!(told.notes().frames.1, 2 * some_of_all().len());
    }
}

#[tokio::test(start_paused = true)]
async fn many_buffers_are_cut_where_a_frame_of_ours_goes() {
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, Planned::<false>::default().pings_at(0));
        let frame = text("mine").by(other(peer));
        task.write_all(&frame[..3]);
        task.waits();
        let bufs = [b"", &frame[3..], &frame[..], &frame[..]];
        let first = task.write_vectored(&bufs);
        assert!(matches!(first, Poll::Ready(Ok(n)) if n == frame.len() - 3));
        // Ours goes before the next, which is the first buffer of it.
        for bufs in [&bufs[2..], &bufs[3..]] {
            let next = task.write_vectored(bufs);
            assert!(matches!(next, Poll::Ready(Ok(n)) if n == frame.len()));
        }
        let mine = text("mine");
        assert_eq!(
            wire.heard(peer),
            [mine.clone(), ping(&OURS), mine.clone(), mine]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn many_buffers_to_a_peer_that_was_cut() {
    let policy = Planned::<false>::default().ends_at(0, at_once());
    let (mut task, _wire) = guarded(Role::Client, policy);
    let _ = task.read_all();
    let written = task.write_vectored(&[b"to", b"nobody"]);
    assert!(matches!(written, Poll::Ready(Ok(8))));
    assert!(matches!(task.write_vectored(&[]), Poll::Ready(Ok(0))));
}

#[test]
fn a_write_to_http_2_is_kept_small() {
    let (mut task, wire) = guarded_over_h2(Role::Client, Planned::<false>::default());
    let all = text(&"x".repeat(40_000)).by(Role::Server);
    assert!(matches!(task.write(&all), Poll::Ready(Ok(16_384))));
    let (second, third) = all[16_384..].split_at(10_000);
    let vectored = task.write_vectored(&[second, third]);
    assert!(matches!(vectored, Poll::Ready(Ok(10_000))));
    assert_eq!(task.write_all(third).len(), 1);
    assert_eq!(wire.got(), all);
}

#[test]
fn a_read_without_room_finds_nothing_and_loses_nothing() {
    for peer in BOTH {
        let policy = Planned::<false>::default().expects(OURS);
        let (mut task, wire) = guarded(peer, policy);
        let sent = bytes(peer, &some_of_all());
        sent.chunks(3).for_each(|chunk| wire.sends(chunk));
        let mut read = Vec::new();
        loop {
            assert!(matches!(task.read(0), Poll::Ready(Ok(none)) if none.is_empty()));
            match task.read(1000) {
                Poll::Ready(more) => read.extend(more.unwrap()),
                Poll::Pending => break,
            }
        }
        assert_eq!(read, sent);
        wire.ends();
        assert!(matches!(task.read(0), Poll::Ready(Ok(none)) if none.is_empty()));
        assert_eq!(task.read_all(), (vec![], After::Eof));
        assert!(matches!(task.read(0), Poll::Ready(Ok(_))));
    }
}

#[test]
fn an_error_that_a_read_without_room_meets_is_not_lost() {
    let (mut task, wire) = guarded(Role::Client, Planned::<false>::default());
    wire.breaks();
    assert!(matches!(task.read(0), Poll::Ready(Err(_))));
}

#[test]
fn the_policy_learns_of_each_read_that_found_something() {
    let policy = Planned::<false>::default();
    let told = policy.told();
    let (mut task, wire) = guarded(Role::Client, policy);
    task.waits();
    for reads in 1..4 {
        wire.says(Role::Client, &[text("one"), text("two")]);
        assert_eq!(task.reads().0.len(), 2);
        assert_eq!(told.notes().reads, reads);
    }
    wire.ends();
    assert_eq!(task.read_all(), (vec![], After::Eof));
    assert_eq!(told.notes().reads, 3);
}

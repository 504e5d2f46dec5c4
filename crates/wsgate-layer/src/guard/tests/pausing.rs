//! Holding the peer back.

use std::{task::Poll, time::Duration};

use tokio::time::advance;

use super::{
    frames::{BOTH, close, other, ping, text},
    handler::{After, guarded},
    planned::{OURS, Planned, REASON, at_once, politely},
};

#[tokio::test(start_paused = true)]
async fn nothing_is_read_in_a_pause_and_all_of_it_later() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pauses(10, 20);
        let (mut task, wire) = guarded(peer, policy);
        wire.says(peer, &[text("before")]);
        assert_eq!(task.reads(), (vec![text("before")], After::Pending));
        advance(Duration::from_secs(10)).await;
        wire.says(peer, &[text("in the pause")]);
        task.waits();
        advance(Duration::from_secs(9)).await;
        task.waits();
        assert_eq!(wire.unread(), 1);
        // The handler may write all the while.
        task.sends(&[text("mine")]);
        assert_eq!(wire.heard(peer), [text("mine")]);

        advance(Duration::from_secs(1)).await;
        assert!(task.is_woken());
        assert_eq!(task.reads(), (vec![text("in the pause")], After::Pending));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_for_what_is_read_waits_for_the_end_of_the_pause() {
    for peer in BOTH {
        let policy = Planned::<false>::default().pauses(0, 20);
        let told = policy.told();
        let (mut task, wire) = guarded(peer, policy.pings_at(10));
        task.waits();
        advance(Duration::from_secs(19)).await;
        task.waits();
        assert!(told.notes().deadlines.is_empty());

        // What has come meanwhile is read before anything is said about it.
        wire.says(peer, &[text("in the pause")]);
        advance(Duration::from_secs(1)).await;
        assert!(told.notes().deadlines.is_empty());
        assert_eq!(task.reads(), (vec![text("in the pause")], After::Pending));
        assert_eq!(wire.heard(peer), [ping(&OURS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn writes_do_not_wake_a_reader_for_what_waits_for_the_end_of_the_pause() {
    let policy = Planned::<false>::default().pauses(0, 20);
    let (mut reader, _wire) = guarded(BOTH[0], policy.pings_at(10));
    let mut writer = reader.another();
    reader.waits();
    writer.sends(&[text("mine")]);
    assert!(!reader.is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_counts_unread_ends_the_pause_with_the_websocket() {
    for peer in BOTH {
        let policy = Planned::<true>::default().pauses(0, 20);
        let policy = policy.pings_at(5).ends_at(10, politely());
        let (mut task, wire) = guarded(peer, policy);
        task.waits();
        advance(Duration::from_secs(5)).await;
        assert!(task.is_woken());
        task.waits();
        assert!(wire.is_flushed());
        assert_eq!(wire.heard(peer), [ping(&OURS)]);

        wire.says(peer, &[text("held back")]);
        advance(Duration::from_secs(5)).await;
        assert!(task.is_woken());
        assert_eq!(task.reads(), (vec![text("held back")], After::Pending));
        assert_eq!(wire.heard(peer), [close(1001, REASON)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_ours_that_is_half_taken_goes_on_in_the_pause() {
    for peer in BOTH {
        let policy = Planned::<true>::default().pauses(0, 20).pings_at(5);
        let (mut task, wire) = guarded(peer, policy);
        wire.takes(1);
        advance(Duration::from_secs(5)).await;
        task.waits();
        wire.takes_all();
        assert!(task.is_woken());
        task.waits();
        assert_eq!(wire.heard(peer), [ping(&OURS)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_is_heard_in_a_pause() {
    for peer in BOTH {
        let policy = Planned::<true>::default().pauses(0, 20);
        let policy = policy.ends_at_signal(at_once());
        let told = policy.told();
        let (mut task, wire) = guarded(peer, policy);
        task.waits();
        told.signal();
        assert!(task.is_woken());
        assert_eq!(task.reads(), (vec![close(1001, REASON)], After::Eof));
        assert!(wire.is_cut());
    }
}

#[tokio::test(start_paused = true)]
async fn the_layers_below_a_pause_go_on() {
    use super::super::Guarded;
    use std::pin::Pin;
    use tokio::io::{AsyncRead, ReadBuf};

    let peer = BOTH[0];
    let (io, wire) = super::scripted();
    let upgrade = super::upgrade();
    let below = Planned::<true>::default().pings_at(5);
    let below = Guarded::new(io, peer, below, &upgrade);
    let above = Planned::<false>::default().pauses(0, 20);
    let above = Guarded::new(below, peer, above, &upgrade);
    let mut task = tokio_test::task::spawn(above);

    let mut read = |buf: &mut [u8]| {
        let mut buf = ReadBuf::new(buf);
        let polled = task.enter(|cx, io: Pin<&mut _>| io.poll_read(cx, &mut buf));
        (polled.is_pending(), task.is_woken())
    };
    assert_eq!(read(&mut [0; 100]), (true, false));
    advance(Duration::from_secs(5)).await;
    assert_eq!(read(&mut [0; 100]), (true, false));
    assert_eq!(wire.heard(peer), [ping(&OURS)]);
}

#[tokio::test(start_paused = true)]
async fn an_end_leaves_no_pause() {
    let peer = BOTH[0];
    let policy = Planned::<true>::default().pauses(0, 1000);
    let (mut task, wire) = guarded(peer, policy.ends_at(10, politely()));
    task.waits();
    let frame = text("half").by(other(peer));
    task.write_all(&frame[..2]);
    advance(Duration::from_secs(10)).await;
    wire.says(peer, &[close(1000, "")]);
    assert_eq!(task.reads(), (vec![close(1000, "")], After::Pending));
    task.write_all(&frame[2..]);
    assert!(matches!(task.flush(), Poll::Ready(Ok(()))));
    assert_eq!(task.reads(), (vec![], After::Eof));
}

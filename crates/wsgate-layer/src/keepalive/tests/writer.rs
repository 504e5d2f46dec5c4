//! Pings among what the handler writes.

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};

use super::*;
use crate::tunnel::Cause;

/// A handler that reads and writes on two tasks, as many do.
fn halves(
    rig: Rig,
) -> (
    ReadHalf<KeepaliveIo<Scripted>>,
    WriteHalf<KeepaliveIo<Scripted>>,
    Peer,
) {
    let (reader, writer) = split(rig.io);
    (reader, writer, rig.peer)
}

#[tokio::test(start_paused = true)]
async fn a_ping_waits_for_the_end_of_a_half_written_frame() {
    for role in BOTH {
        let text = frame_to(role, 0x81, "Hello");
        let next = frame_to(role, 0x81, "again");
        for cut in 1..text.len() {
            let mut rig = Rig::new(role, &steady());
            rig.io.write_all(&text[..cut]).await.unwrap();
            // For minutes: it is not the peer who keeps us waiting.
            assert_eq!(rig.hears(secs(300)).await, b"");
            assert_eq!(rig.peer.got(), text[..cut]);
            assert_eq!(rig.tunnel.end(), None);

            // The rest of it, glued to another one.
            let rest = [&text[cut..], &*next].concat();
            rig.io.write_all(&rest).await.unwrap();
            let got = rig.peer.got();
            let (end, after) = got.split_at(text.len() - cut);
            assert_eq!(end, &text[cut..]);
            let (ping, after) = after.split_at(ping_size(role));
            assert_eq!(pings(ping, role).len(), 1, "cut at {cut}");
            assert_eq!(after, next);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_may_stand_within_a_message() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        let first = frame_to(role, 0x01, "Hel");
        rig.io.write_all(&first).await.unwrap();
        rig.hears(secs(11)).await;
        let got = rig.peer.got();
        assert_eq!(got[..first.len()], first);
        assert_eq!(pings(&got, role).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_ping_follows_a_close_of_the_handler() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        let close = frame_to(role, 0x88, "\x03\u{68}");
        rig.io.write_all(&close).await.unwrap();
        let heard = hears_end(&mut rig.io, secs(15)).await;
        assert_eq!(rig.peer.got(), close);
        let (_, reason) = close_from(role, &heard);
        assert_eq!(reason, "pong timeout", "it owed an answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_crosses_our_ping_needs_no_pong() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        rig.hears(secs(11)).await;
        rig.ping();
        let close = frame(role, 0x88, "");
        rig.peer.sends(&close);
        assert_eq!(rig.hears(secs(300)).await, close);
        assert_eq!(rig.tunnel.end(), None);

        let answer = frame_to(role, 0x88, "");
        rig.io.write_all(&answer).await.unwrap();
        rig.peer.ends();
        assert_eq!(hears_end(&mut rig.io, secs(1)).await, b"");
        assert_eq!(rig.peer.got(), answer);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_pinged_after_the_handler_has_shut_its_side() {
    let mut rig = Rig::new(Role::Client, &steady());
    rig.io.shutdown().await.unwrap();
    assert_eq!(rig.hears(secs(300)).await, b"");
    assert_eq!(rig.peer.got(), b"");
    assert_eq!(rig.tunnel.end(), None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_found_dead() {
    for role in BOTH {
        let rig = Rig::new(role, &steady());
        let tunnel = rig.tunnel.clone();
        let (mut reader, mut writer, peer) = halves(rig);
        peer.takes(3);
        let text = frame_to(role, 0x81, "Hello");
        let flood = tokio::spawn(async move { writer.write_all(&text).await });

        assert_eq!(hears(&mut reader, secs(13)).await, b"");
        assert!(!peer.was_stolen_from());
        assert_eq!(tunnel.end(), None);
        let heard = hears_end(&mut reader, secs(2)).await;
        assert_eq!(close_from(role, &heard).1, "pong timeout");
        assert_eq!(tunnel.end().unwrap().cause, Cause::PongTimeout);
        assert!(peer.is_cut());
        let flood = timeout(secs(1), flood).await;
        flood.expect("the writer is left waiting").unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_ping_is_found_dead() {
    for role in BOTH {
        // At a boundary, and in the middle of the ping.
        for room in [0, 3] {
            let mut rig = Rig::new(role, &steady());
            rig.peer.takes(room);
            assert_eq!(rig.hears(secs(13)).await, b"");
            let heard = hears_end(&mut rig.io, secs(2)).await;
            assert_eq!(close_from(role, &heard).1, "pong timeout");
            assert!(rig.peer.is_cut());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_little_is_alive_and_is_pinged_in_between() {
    for role in BOTH {
        let rig = Rig::new(role, &steady());
        let tunnel = rig.tunnel.clone();
        let (mut reader, mut writer, peer) = halves(rig);
        peer.takes(0);
        let text = frame_to(role, 0x81, "x".repeat(30));
        let all = text.repeat(8);
        let flood = tokio::spawn(async move { writer.write_all(&all).await });

        let mut got = Vec::new();
        while got.len() < 6 * text.len() {
            assert_eq!(hears(&mut reader, secs(3)).await, b"");
            assert!(!peer.was_stolen_from());
            peer.takes(20);
            tokio::task::yield_now().await;
            got.extend(peer.got());
        }
        assert_eq!(tunnel.end(), None);
        let payloads = pings(&got, role);
        assert_eq!(payloads.len(), 1);
        peer.takes_all();
        flood.await.unwrap().unwrap();
        peer.sends(&pong(role, &payloads[0]));
        assert_eq!(hears(&mut reader, secs(1)).await, b"");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_and_the_handlers_bytes_do_not_mix() {
    // The peer takes half of the ping; the handler, which knows nothing of it, writes.
    for role in BOTH {
        let rig = Rig::new(role, &steady());
        let (mut reader, mut writer, peer) = halves(rig);
        peer.takes(5);
        hears(&mut reader, secs(11)).await;
        let text = frame_to(role, 0x81, "Hello");
        let ours = text.clone();
        let write = tokio::spawn(async move { writer.write_all(&ours).await });
        hears(&mut reader, secs(1)).await;
        let mut got = peer.got();
        assert_eq!(got.len(), 5);
        peer.takes_all();
        write.await.unwrap().unwrap();
        got.extend(peer.got());
        assert_eq!(got.len(), ping_size(role) + text.len());
        assert_eq!(pings(&got, role).len(), 1);
        assert_eq!(got[ping_size(role)..], text);
        peer.sends(&pong(role, &pings(&got, role)[0]));
        assert_eq!(hears(&mut reader, secs(1)).await, b"");
    }
}

use super::*;
use crate::{guard::tests::Peer, tunnel::Tunnel};

fn open(role: Role) -> (ReadTimeoutIo<Scripted>, Peer, Tunnel) {
    let (stream, peer) = scripted();
    let upgrade = upgrade();
    let layer = ReadTimeoutLayer::default();
    let io = ReadTimeoutIo::new(stream, role, &layer, &upgrade);
    (io, peer, upgrade.tunnel)
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_told_and_the_handler_reads_its_answer() {
    for role in BOTH {
        let (mut io, peer, tunnel) = open(role);
        assert_eq!(hears(&mut io, secs(59)).await, b"");
        assert_eq!(peer.got(), b"");
        assert_eq!(hears(&mut io, secs(2)).await, b"");
        let (code, reason) = close_from(other(role), &peer.got());
        assert_eq!((code, &*reason), (CloseCode::GOING_AWAY, "read timeout"));
        assert_eq!(tunnel.end().unwrap().cause, Cause::ReadTimeout);

        io.write_all(&frame_to(role, 0x81, "too late"))
            .await
            .unwrap();
        let answer = [frame(role, 0x81, "on its way"), frame(role, 0x88, "")];
        peer.sends(&answer.concat());
        assert_eq!(hears_end(&mut io, secs(1)).await, answer.concat());
        assert_eq!(peer.got(), b"");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_is_cut_after_a_while() {
    for role in BOTH {
        let (mut io, peer, _) = open(role);
        hears(&mut io, secs(61)).await;
        assert!(!peer.is_cut());
        let heard = hears_end(&mut io, LINGER).await;
        let (code, reason) = close_from(role, &heard);
        assert_eq!((code, &*reason), (CloseCode::GOING_AWAY, "read timeout"));
        assert!(peer.is_cut());
    }
}

#[tokio::test(start_paused = true)]
async fn any_byte_counts() {
    for role in BOTH {
        let (mut io, peer, tunnel) = open(role);
        let bytes = [frame(role, 0x8a, "pong"), frame(role, 0x01, "text")].concat();
        for byte in bytes.chunks(1) {
            peer.sends(byte);
            assert_eq!(hears(&mut io, secs(59)).await, byte);
        }
        assert_eq!(tunnel.end(), None);
        assert_eq!(peer.got(), b"");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_sends_does_not_count() {
    let (mut io, peer, tunnel) = open(Role::Client);
    for _ in 0..3 {
        io.write_all(&frame_to(Role::Client, 0x81, "news"))
            .await
            .unwrap();
        hears(&mut io, secs(21)).await;
        peer.got();
    }
    assert_eq!(tunnel.end().unwrap().cause, Cause::ReadTimeout);
}

#[tokio::test(start_paused = true)]
async fn no_time_passes_while_the_handler_does_not_read_what_is_there() {
    let (mut io, peer, tunnel) = open(Role::Client);
    let text = frame(Role::Client, 0x81, "text");
    peer.sends(&text);
    tokio::time::sleep(secs(3600)).await;
    assert_eq!(hears(&mut io, secs(59)).await, text);
    assert_eq!(tunnel.end(), None);
}

#[tokio::test(start_paused = true)]
async fn the_close_waits_for_the_end_of_a_half_written_frame() {
    for role in BOTH {
        let (mut io, peer, _) = open(role);
        let text = frame_to(role, 0x81, "Hello");
        io.write_all(&text[..4]).await.unwrap();
        hears(&mut io, secs(61)).await;
        assert_eq!(peer.got(), text[..4]);
        // Of what the handler writes, the first part only.
        let more = [&text[4..], &*frame_to(role, 0x81, "too late")].concat();
        io.write_all(&more).await.unwrap();
        let got = peer.got();
        let (rest, close) = got.split_at(text.len() - 4);
        assert_eq!(rest, &text[4..]);
        assert_eq!(close_from(other(role), close).1, "read timeout");
    }
}

#[tokio::test(start_paused = true)]
async fn the_code_can_be_chosen() {
    let (stream, peer) = scripted();
    let layer = ReadTimeoutLayer::new(secs(1)).close_code(CloseCode(4408));
    let mut io = ReadTimeoutIo::new(stream, Role::Client, &layer, &upgrade());
    hears_end(&mut io, secs(7)).await;
    assert_eq!(close_from(Role::Server, &peer.got()).0, CloseCode(4408));
}

/// What came meanwhile may be in the socket, unread; and a keepalive was asleep as well.
#[tokio::test(start_paused = true)]
async fn who_was_asleep_when_the_time_was_over_waits_once_more() {
    for role in BOTH {
        let (mut io, peer, tunnel) = open(role);
        for _ in 0..2 {
            hears(&mut io, secs(1)).await;
            tokio::time::advance(secs(1000)).await;
            assert_eq!(hears(&mut io, secs(59)).await, b"");
            peer.sends(&frame(role, 0x8a, "pong"));
            hears(&mut io, secs(1)).await;
        }
        assert_eq!(tunnel.end(), None);

        tokio::time::advance(secs(1000)).await;
        hears(&mut io, secs(61)).await;
        assert_eq!(tunnel.end().unwrap().cause, Cause::ReadTimeout);
    }
}

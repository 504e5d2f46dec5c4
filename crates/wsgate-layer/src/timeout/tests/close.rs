use tokio::time::Instant;

use super::*;

fn open(role: Role) -> (CloseTimeoutIo<Scripted>, Peer, Tunnel) {
    let (stream, peer) = scripted();
    let upgrade = upgrade();
    let layer = CloseTimeoutLayer::default();
    let io = CloseTimeoutIo::new(stream, role, &layer, &upgrade);
    (io, peer, upgrade.tunnel)
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_close_is_not_answered_is_told_in_the_end() {
    for role in BOTH {
        let (mut io, peer, tunnel) = open(role);
        assert_eq!(hears(&mut io, secs(3600)).await, b"");
        let close = frame_to(role, 0x88, "");
        io.write_all(&close).await.unwrap();
        assert_eq!(peer.got(), close);
        let closed = Instant::now();
        let heard = hears_end(&mut io, secs(11)).await;
        assert_eq!(closed.elapsed().as_secs(), 10);
        let (code, reason) = close_from(role, &heard);
        assert_eq!((code, &*reason), (CloseCode::GOING_AWAY, "close timeout"));
        assert!(peer.is_cut());
        assert_eq!(tunnel.end().unwrap().cause, Cause::CloseTimeout);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_close_gives_no_more_time() {
    for role in BOTH {
        let (mut io, peer, _) = open(role);
        io.write_all(&frame_to(role, 0x88, "")).await.unwrap();
        let dribbled = frame(role, 0x82, "a frame that takes its time");
        for byte in dribbled.chunks(1).take(9) {
            peer.sends(byte);
            assert_eq!(hears(&mut io, secs(1)).await, byte);
        }
        assert!(!peer.is_cut());
        // It stands within a frame, so there is nothing to be told.
        assert_eq!(hears_end(&mut io, secs(2)).await, b"");
        assert!(peer.is_cut());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_closed_and_stays_is_cut() {
    for role in BOTH {
        let (mut io, peer, _) = open(role);
        let close = frame(role, 0x88, "");
        peer.sends(&close);
        assert_eq!(hears(&mut io, secs(9)).await, close);
        io.write_all(&frame_to(role, 0x88, "")).await.unwrap();
        assert!(!peer.is_cut());
        assert_eq!(hears_end(&mut io, secs(2)).await, b"");
        assert!(peer.is_cut());
    }
}

/// Beside a layer with a timer of its own, which is set for later.
#[tokio::test(start_paused = true)]
async fn a_close_brings_the_deadline_nearer() {
    for is_clients in [true, false] {
        let layer = CloseTimeoutLayer::default();
        let (mut io, peer, _) = beside_an_hour(Box::new(layer.policy()));
        assert_eq!(hears(&mut io, secs(5)).await, b"");
        match is_clients {
            true => peer.sends(&frame(Role::Client, 0x88, "")),
            false => {
                let close = frame_to(Role::Client, 0x88, "");
                io.write_all(&close).await.unwrap();
            }
        }
        hears(&mut io, secs(9)).await;
        assert!(!peer.is_cut());
        hears(&mut io, secs(2)).await;
        assert!(peer.is_cut());
    }
}

//! A peer that answers, and one that does not.

use super::*;
use crate::tunnel::Cause;

#[tokio::test(start_paused = true)]
async fn a_quiet_peer_is_pinged_and_the_handler_sees_nothing_of_it() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        assert_eq!(rig.hears(secs(9)).await, b"");
        assert_eq!(rig.peer.got(), b"");
        let mut before = None;
        for _ in 0..3 {
            assert_eq!(rig.hears(secs(2)).await, b"");
            let payload = rig.ping();
            assert!(rig.peer.is_flushed());
            assert_ne!(
                before.replace(payload),
                Some(payload),
                "a fresh payload each"
            );
            rig.peer.sends(&rig.pong(&payload));
            assert_eq!(rig.hears(secs(9)).await, b"");
        }
        assert_eq!(rig.tunnel.end(), None);
        let round_trips = rig.round_trips.take();
        assert_eq!(round_trips.len(), 3);
        for (peer, round_trip) in round_trips {
            assert_eq!(peer, role);
            assert_eq!(round_trip.as_secs_f64().round(), 1.0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_cut_and_the_handler_told() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        assert_eq!(rig.hears(secs(13)).await, b"");
        assert!(!rig.peer.is_cut());
        let heard = hears_end(&mut rig.io, secs(2)).await;
        let (code, reason) = close_from(role, &heard);
        assert_eq!(
            (code, &*reason),
            (CloseCode::INTERNAL_ERROR, "pong timeout")
        );
        assert!(rig.peer.is_cut());
        let end = rig.tunnel.end().unwrap();
        let told = (end.cause, end.code, end.peer);
        assert_eq!(told, (Cause::PongTimeout, code, role));
        rig.ping();
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_may_come_in_any_pieces() {
    for role in BOTH {
        for cut in 0..=pong(role, &[0; 8]).len() {
            let mut rig = Rig::new(role, &steady());
            rig.hears(secs(11)).await;
            let pong = rig.pong(&rig.ping());
            let (head, tail) = pong.split_at(cut);
            rig.peer.sends(&[&*rig.text("a"), head].concat());
            let text = rig.text("a");
            assert_eq!(rig.hears(secs(1)).await, text, "cut at {cut}");
            rig.peer.sends(&[tail, &*rig.text("b")].concat());
            let text = rig.text("b");
            assert_eq!(rig.hears(secs(8)).await, text, "cut at {cut}");
            assert_eq!(rig.round_trips.take().len(), 1);
            assert_eq!(rig.tunnel.end(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_may_come_byte_by_byte() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        rig.hears(secs(11)).await;
        let bytes = [rig.text("a"), rig.pong(&rig.ping()), rig.text("b")].concat();
        rig.peer.dribbles(&bytes);
        let texts = [rig.text("a"), rig.text("b")].concat();
        assert_eq!(rig.hears(secs(1)).await, texts);
        assert_eq!(rig.round_trips.take().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_may_be_glued_to_data() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        rig.hears(secs(11)).await;
        // In the middle of a message: control frames may stand there (RFC 6455 5.4).
        let (first, last) = (frame(role, 0x01, "Hel"), frame(role, 0x80, "lo"));
        let pong = rig.pong(&rig.ping());
        rig.peer.sends(&[&*first, &pong, &last].concat());
        assert_eq!(rig.hears(secs(1)).await, [first, last].concat());
        assert_eq!(rig.round_trips.take().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn pongs_that_are_not_ours_pass() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        // With no ping of ours on its way, and with one.
        for open in [false, true] {
            if open {
                rig.hears(secs(11)).await;
                rig.ping();
            }
            let pongs = [
                rig.pong(b""),
                rig.pong(b"8 bytes!"),
                rig.pong(b"not ours at all"),
            ];
            let pongs = pongs.concat();
            rig.peer.sends(&pongs);
            assert_eq!(rig.hears(secs(1)).await, pongs);
            rig.peer.dribbles(&pongs);
            assert_eq!(rig.hears(secs(1)).await, pongs);
        }
        assert_eq!(rig.round_trips.take(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn our_pong_passes_the_second_time() {
    let mut rig = Rig::new(Role::Client, &steady());
    rig.hears(secs(11)).await;
    let pong = rig.pong(&rig.ping());
    rig.peer.sends(&[&*pong, &*pong].concat());
    assert_eq!(rig.hears(secs(1)).await, pong);
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_the_peer_is_the_handlers_to_answer() {
    let mut rig = Rig::new(Role::Client, &steady());
    let ping = frame(Role::Client, 0x89, "8 bytes!");
    rig.peer.sends(&ping);
    assert_eq!(rig.hears(secs(1)).await, ping);
    assert_eq!(rig.peer.got(), b"");
}

#[tokio::test(start_paused = true)]
async fn a_late_pong_is_absorbed() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady().pong_timeout(secs(25)));
        rig.hears(secs(11)).await;
        let first = rig.ping();
        rig.hears(secs(10)).await;
        let second = rig.ping();
        rig.peer.sends(&rig.pong(&first));
        assert_eq!(rig.hears(secs(1)).await, b"");
        assert_eq!(rig.round_trips.take(), [], "nobody knows of which ping");
        rig.peer.sends(&rig.pong(&second));
        assert_eq!(rig.hears(secs(1)).await, b"");
        assert_eq!(rig.round_trips.take().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_upload_may_hold_the_pong_up() {
    for role in BOTH {
        let mut rig = Rig::new(role, &steady());
        rig.hears(secs(11)).await;
        let payload = rig.ping();
        let upload = rig.text(&"x".repeat(90));
        for piece in upload.chunks(10) {
            rig.peer.sends(piece);
            assert_eq!(rig.hears(secs(3)).await, piece);
        }
        rig.peer.sends(&rig.pong(&payload));
        assert_eq!(rig.hears(secs(3)).await, b"");
        assert_eq!(rig.round_trips.take().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_counts_before_the_clock() {
    let mut rig = Rig::new(Role::Client, &steady());
    rig.hears(secs(11)).await;
    let pong = rig.pong(&rig.ping());
    // The handler is busy for an hour, with the pong behind more than it reads at a time.
    let text = rig.text(&"x".repeat(100));
    rig.peer.sends(&[&*text, &*pong].concat());
    tokio::time::sleep(secs(3600)).await;
    let mut heard = Vec::<u8>::new();
    while heard.len() < text.len() {
        let mut some = [0; 7];
        let read = rig.io.read(&mut some).await.unwrap();
        heard.extend(&some[..read]);
    }
    assert_eq!(heard, text);
    assert_eq!(rig.hears(secs(9)).await, b"");
    assert_eq!((rig.tunnel.end(), rig.round_trips.take().len()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_of_the_handler_a_quiet_peer_has_its_whole_time() {
    let mut rig = Rig::new(Role::Client, &steady());
    tokio::time::sleep(secs(3600)).await;
    assert_eq!(rig.hears(secs(3)).await, b"");
    rig.peer.sends(&rig.pong(&rig.ping()));
    assert_eq!(rig.hears(secs(9)).await, b"");
    assert_eq!(rig.tunnel.end(), None);
}

#[tokio::test(start_paused = true)]
async fn two_keepalives_answer_for_themselves() {
    for role in BOTH {
        let (stream, peer) = scripted();
        let upgrade = upgrade();
        let outer = KeepaliveIo::new(stream, role, &steady(), &upgrade);
        let often = KeepaliveLayer::every(secs(2)).jitter(0.0);
        let often = often.regardless_of_traffic();
        let mut io = KeepaliveIo::new(outer, role, &often, &upgrade);
        let round_trips = RoundTrips::of(&upgrade.tunnel);

        let mut sent = 0;
        for _ in 0..60 {
            assert_eq!(hears(&mut io, secs(1)).await, b"");
            for payload in pings(&peer.got(), role) {
                peer.sends(&pong(role, &payload));
                sent += 1;
            }
        }
        // The outer one sees the pongs to the inner one, and so has no reason for pings of its own.
        assert!((28..=30).contains(&sent), "{sent} pings");
        hears(&mut io, secs(1)).await;
        assert_eq!(round_trips.take().len(), sent);

        // Pings of both are on their way at once.
        let both = steady().regardless_of_traffic();
        let (stream, peer) = scripted();
        let outer = KeepaliveIo::new(stream, role, &both, &upgrade);
        let mut io = KeepaliveIo::new(outer, role, &both, &upgrade);
        hears(&mut io, secs(11)).await;
        let payloads = pings(&peer.got(), role);
        assert_eq!(payloads.len(), 2);
        let pongs = payloads.iter().flat_map(|payload| pong(role, payload));
        peer.dribbles(&pongs.collect::<Vec<_>>());
        assert_eq!(hears(&mut io, secs(1)).await, b"");
        assert_eq!(round_trips.take().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_inner_layers_are_told_of_a_dead_peer() {
    let (stream, _peer) = scripted();
    let upgrade = upgrade();
    let outer = KeepaliveIo::new(stream, Role::Client, &steady(), &upgrade);
    let patient = KeepaliveLayer::every(secs(60));
    let mut io = KeepaliveIo::new(outer, Role::Client, &patient, &upgrade);
    let heard = hears_end(&mut io, secs(15)).await;
    let (_, reason) = close_from(Role::Client, &heard);
    assert_eq!(reason, "pong timeout");
}

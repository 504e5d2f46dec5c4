use std::{future::poll_fn, pin::Pin};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Instant, timeout},
};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_busy_websocket_ends_as_well() {
    for role in BOTH {
        let (stream, peer) = scripted();
        let upgrade = upgrade();
        let layer = LifetimeLayer::new(secs(60)).jitter(0.0);
        let mut io = LifetimeIo::new(stream, role, &layer, &upgrade);
        let text = frame(role, 0x81, "text");
        for _ in 0..59 {
            peer.sends(&text);
            assert_eq!(hears(&mut io, secs(1)).await, text);
        }
        assert_eq!(peer.got(), b"");
        peer.sends(&text);
        assert_eq!(hears(&mut io, secs(2)).await, text);
        let (code, reason) = close_from(other(role), &peer.got());
        assert_eq!((code, &*reason), (CloseCode::GOING_AWAY, "lifetime"));
        assert_eq!(upgrade.tunnel.end().unwrap().cause, Cause::Lifetime);
        let answer = frame(role, 0x88, "");
        peer.sends(&answer);
        assert_eq!(hears_end(&mut io, secs(1)).await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_no_elixir() {
    // There is always something to read, so that nobody ever waits for the timer.
    let (stream, peer) = scripted();
    let layer = LifetimeLayer::new(secs(60)).jitter(0.0);
    let mut io = LifetimeIo::new(stream, Role::Client, &layer, &upgrade());
    let text = frame(Role::Client, 0x81, "text");
    (0..100).for_each(|_| peer.sends(&text));
    for _ in 0..61 {
        let mut frame = vec![0; text.len()];
        assert_eq!(io.read(&mut frame).await.unwrap(), text.len());
        tokio::time::advance(secs(1)).await;
    }
    assert_eq!(close_from(Role::Server, &peer.got()).1, "lifetime");
}

#[tokio::test(start_paused = true)]
async fn life_goes_on_while_the_handler_holds_the_peer_back() {
    let (stream, peer) = scripted();
    let layer = LifetimeLayer::new(secs(60)).close_code(CloseCode::SERVICE_RESTART);
    let mut io = LifetimeIo::new(stream, Role::Client, &layer, &upgrade());
    peer.sends(&frame(Role::Client, 0x81, "text"));
    // Reads into no room, as relays do that cannot go on.
    let closed = poll_fn(|cx| {
        let _ = Pin::new(&mut io).poll_read(cx, &mut ReadBuf::new(&mut []));
        match peer.got() {
            got if got.is_empty() => std::task::Poll::Pending,
            got => std::task::Poll::Ready(got),
        }
    });
    let closed = timeout(secs(61), closed).await.expect("it lives");
    assert_eq!(
        close_from(Role::Server, &closed).0,
        CloseCode::SERVICE_RESTART
    );
}

#[tokio::test(start_paused = true)]
async fn no_two_lives_are_of_one_length() {
    let layer = LifetimeLayer::new(secs(100));
    let mut ages = Vec::new();
    for _ in 0..100 {
        let (stream, peer) = scripted();
        let mut io = LifetimeIo::new(stream, Role::Client, &layer, &upgrade());
        peer.sends(&frame(Role::Client, 0x88, ""));
        let born = Instant::now();
        hears_end(&mut io, secs(101)).await;
        ages.push(born.elapsed());
    }
    ages.sort_unstable();
    assert!(ages[0] >= secs(90) && ages[99] <= secs(101), "{ages:?}");
    // By chance alone they are closer once in 10^27 runs.
    assert!(ages[99] - ages[0] > secs(5));
}

//! Layers in the two streams: the relay gives them their chances, and ends when they have ended it.

use wsgate_frame::Role;
use wsgate_layer::{
    KeepaliveLayer, LifetimeLayer, ReadTimeoutLayer, handshake::Kind, keepalive::KeepaliveIo,
    map_upgrade::Upgrade, timeout::LifetimeIo, timeout::ReadTimeoutIo, tunnel::Tunnel,
};

use super::*;

const TEN: Duration = Duration::from_secs(10);

/// Close 1001 with a reason, as it goes to the client; the upstream gets it masked.
fn close(reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, 2 + reason.len() as u8, 0x03, 0xe9];
    frame.extend(reason.as_bytes());
    frame
}

fn upgrade() -> Upgrade {
    Upgrade::new(Tunnel::default(), Kind::Upgrade)
}

fn read_timeout(io: DuplexStream, upgrade: &Upgrade) -> ReadTimeoutIo<DuplexStream> {
    ReadTimeoutIo::new(io, Role::Client, &ReadTimeoutLayer::new(TEN), upgrade)
}

#[tokio::test(start_paused = true)]
async fn a_timeout_tells_both_sides_and_is_the_cause() {
    let (log, _guard) = Log::capture();
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    let upgrade = upgrade();
    let relay = relay_of(read_timeout(near, &upgrade), far).with_layers(upgrade.tunnel.clone());
    let relay = tokio::spawn(relay);

    expect(&mut client, &close("read timeout")).await;
    // This client does not answer; the upstream learns of it when the client has had its time.
    assert_eq!(unmasked(&mut upstream).await, close("read timeout"));
    upstream.write_all(SERVER_CLOSE).await.unwrap();
    drop(upstream);
    relay.await.unwrap();
    expect_end(&mut client).await;
    log.assert_has(&[
        "closed_by=\"gateway\"",
        "cause=\"read timeout\"",
        "side=\"client\"",
        "close_code=1001",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_ends_it_at_once() {
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    let upgrade = upgrade();
    let relay = relay_of(read_timeout(near, &upgrade), far).with_layers(upgrade.tunnel.clone());
    let relay = tokio::spawn(relay);
    let opened = Instant::now();

    expect(&mut client, &close("read timeout")).await;
    client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut upstream, CLIENT_CLOSE).await;
    drop(upstream);
    relay.await.unwrap();
    assert_eq!(opened.elapsed(), TEN);
}

/// A client that ended its direction without a Close, before an upstream that does not care: nobody
/// else would ever end this.
#[tokio::test(start_paused = true)]
async fn a_half_closed_tunnel_ends_with_the_timeout() {
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    let upgrade = upgrade();
    let relay = relay_of(read_timeout(near, &upgrade), far).with_layers(upgrade.tunnel.clone());
    let relay = tokio::spawn(relay);

    client.shutdown().await.unwrap();
    expect_end(&mut upstream).await;
    expect(&mut client, &close("read timeout")).await;
    relay.await.unwrap();
}

/// While the upstream takes nothing the client is not read from, and its layers live on all the same.
#[tokio::test(start_paused = true)]
async fn time_goes_on_while_the_upstream_is_stuck() {
    let ((mut client, near), (_upstream, far)) = (duplex(1024), duplex(8));
    let upgrade = upgrade();
    let layer = LifetimeLayer::new(TEN).jitter(0.0);
    let near = LifetimeIo::new(near, Role::Client, &layer, &upgrade);
    let relay = relay_of(near, far).with_layers(upgrade.tunnel.clone());
    let relay = tokio::spawn(relay);

    let message = [&[0x82, 0x80 | 100, 0, 0, 0, 0][..], &[b'x'; 100]].concat();
    client.write_all(&message).await.unwrap();
    client.write_all(&message).await.unwrap();
    expect(&mut client, &close("lifetime")).await;
    // It cannot be heard, so it has its time, and the upstream the relay's.
    relay.await.unwrap();
    expect_end(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_upstream_is_told_to_the_client() {
    let (log, _guard) = Log::capture();
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    let upgrade = upgrade();
    let layer = KeepaliveLayer::every(TEN).jitter(0.0);
    let far = KeepaliveIo::new(far, Role::Server, &layer, &upgrade);
    let relay = relay_of(near, far).with_layers(upgrade.tunnel.clone());
    let relay = tokio::spawn(relay);

    let ping = unmasked(&mut upstream).await;
    assert_eq!(ping[..2], [0x89, 8]);
    // Nobody answers it.
    expect(&mut client, b"\x88\x0e\x03\xf3pong timeout").await;
    client.write_all(CLIENT_CLOSE).await.unwrap();
    client.shutdown().await.unwrap();
    relay.await.unwrap();
    expect_end(&mut upstream).await;
    log.assert_has(&[
        "cause=\"pong timeout\"",
        "side=\"upstream\"",
        "close_code=1011",
    ]);
}

/// The client never sees the pings to the upstream, nor the pongs to those.
#[tokio::test(start_paused = true)]
async fn a_living_upstream_is_kept_alive_unseen() {
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    let upgrade = upgrade();
    let layer = KeepaliveLayer::every(TEN).jitter(0.0);
    let far = KeepaliveIo::new(far, Role::Server, &layer, &upgrade);
    let _relay = tokio::spawn(relay_of(near, far).with_layers(upgrade.tunnel.clone()));
    for _ in 0..3 {
        let mut pong = unmasked(&mut upstream).await;
        pong[0] = 0x8a;
        upstream.write_all(&pong).await.unwrap();
    }
    upstream.write_all(b"\x81\x02hi").await.unwrap();
    expect(&mut client, b"\x81\x02hi").await;
}

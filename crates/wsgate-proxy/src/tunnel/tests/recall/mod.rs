//! A tunnel that is told from outside to end.

mod frames;
mod peers;

use wsgate_frame::Role;
use wsgate_layer::{
    KeepaliveLayer, ReadTimeoutLayer, keepalive::KeepaliveIo, map_upgrade::Upgrade,
    timeout::ReadTimeoutIo, tunnel::Tunnel,
};

use super::*;

/// What the client is told.
const RESTART: &[u8] = b"\x88\x11\x03\xf4service restart";
/// What the upstream is told, without its mask.
const AWAY: &[u8] = b"\x88\x11\x03\xe9tunnel recalled";
/// The answers to these.
const CLIENT_ANSWER: &[u8] = b"\x88\x82\0\0\0\0\x03\xf4";
const UPSTREAM_ANSWER: &[u8] = b"\x88\x02\x03\xe9";

const TEN: Duration = Duration::from_secs(10);

/// A group of one, which is drained as soon as it has its tunnel.
fn drained() -> (Upstream, Lease) {
    let endpoint = EndpointSettings::new("http://127.0.0.1:9000").unwrap();
    let group = Upstream::builder("backend").endpoint(endpoint).build();
    let group = group.unwrap();
    let lease = group.tries().next(&handshake(&HeaderMap::new())).unwrap();
    group.drain(lease.endpoint()).unwrap();
    (group, lease)
}

/// Has the tunnel end, when the relay has done all that it had to do. Gives how many were closed, once
/// they have ended.
async fn recall(group: &Upstream) -> JoinHandle<usize> {
    settle().await;
    let endpoint = &group.endpoints()[0].endpoint;
    let closing = group.close_tunnels(endpoint, Duration::ZERO).unwrap();
    let closing = tokio::spawn(closing);
    settle().await;
    closing
}

/// The clock stands still while anybody has something to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A tunnel between two pipes, and the group that can end it.
struct Stage {
    group: Upstream,
    client: DuplexStream,
    upstream: DuplexStream,
    relay: JoinHandle<()>,
}

impl Stage {
    fn start(pipe: usize) -> Self {
        Self::between(pipe, pipe)
    }

    fn between(to_client: usize, to_upstream: usize) -> Self {
        let (group, lease) = drained();
        let ((client, near), (upstream, far)) = (duplex(to_client), duplex(to_upstream));
        let relay = tokio::spawn(relay_with(lease, near, far));
        Self {
            group,
            client,
            upstream,
            relay,
        }
    }

    /// Both sides take their Close and answer it, and the tunnel is over at once.
    async fn part(mut self, closing: JoinHandle<usize>) {
        let start = Instant::now();
        expect(&mut self.client, RESTART).await;
        assert_eq!(unmasked(&mut self.upstream).await, AWAY);
        self.client.write_all(CLIENT_ANSWER).await.unwrap();
        // The client waits for nobody.
        expect_end(&mut self.client).await;
        self.upstream.write_all(UPSTREAM_ANSWER).await.unwrap();
        expect_end(&mut self.upstream).await;
        drop((self.client, self.upstream));
        self.relay.await.unwrap();
        assert_eq!(closing.await.unwrap(), 1);
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_tunnel_is_closed_on_both_sides_and_told_as_ours() {
    let (log, _guard) = Log::capture();
    let stage = Stage::start(64);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let closing = recall(&stage.group).await;
    stage.part(closing).await;
    log.assert_has(&[
        "closed_by=\"gateway\"",
        "cause=\"endpoint drained\"",
        "close_code=1012",
        "client_bytes=0",
        "upstream_bytes=0",
    ]);
}

/// Its handshake was under way when the endpoint was drained.
#[tokio::test(start_paused = true)]
async fn a_tunnel_that_was_recalled_before_it_began_is_closed_as_it_begins() {
    let (group, lease) = drained();
    let closing = recall(&group).await;
    let ((client, near), (upstream, far)) = (duplex(64), duplex(64));
    let relay = tokio::spawn(relay_with(lease, near, far));
    let stage = Stage {
        group,
        client,
        upstream,
        relay,
    };
    stage.part(closing).await;
}

/// The first message of a client may be on its way while we close.
#[tokio::test(start_paused = true)]
async fn what_comes_after_the_close_is_thrown_away_and_not_counted() {
    let (log, _guard) = Log::capture();
    let mut stage = Stage::start(64);
    stage.client.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    expect(&mut stage.upstream, b"\x81\x82\0\0\0\0hi").await;
    let closing = recall(&stage.group).await;
    for _ in 0..100 {
        stage.client.write_all(b"\x81\x82\0\0\0\0no").await.unwrap();
        stage.upstream.write_all(b"\x81\x02no").await.unwrap();
    }
    stage.part(closing).await;
    log.assert_has(&[
        "client_bytes=8",
        "client_messages=1",
        "upstream_bytes=0",
        "upstream_messages=0",
    ]);
}

// ===== ends that have begun before =====

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_closing_gets_no_second_close_but_an_end() {
    let (log, _guard) = Log::capture();
    let mut stage = Stage::start(64);
    stage.client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut stage.upstream, CLIENT_CLOSE).await;
    // The upstream takes its time.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let start = Instant::now();
    let closing = recall(&stage.group).await;
    stage.upstream.write_all(b"\x81\x02hi").await.unwrap();
    expect(&mut stage.client, b"\x81\x02hi").await;
    closing.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    expect_end(&mut stage.client).await;
    expect_end(&mut stage.upstream).await;
    log.assert_has(&["closed_by=\"client\"", "cause=\"close\"", "close_code=1000"]);
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_tunnel_is_closed_where_it_is_open() {
    let mut stage = Stage::start(64);
    stage.client.shutdown().await.unwrap();
    expect_end(&mut stage.upstream).await;
    let closing = recall(&stage.group).await;
    expect(&mut stage.client, RESTART).await;
    // It said before that it has nothing more to say.
    expect_end(&mut stage.client).await;
    drop(stage.upstream);
    assert_eq!(closing.await.unwrap(), 1);
}

// ===== with layers =====

#[tokio::test(start_paused = true)]
async fn layers_in_the_clients_stream_let_the_closes_pass() {
    let (log, _guard) = Log::capture();
    let (group, lease) = drained();
    let ((mut client, near), (upstream, far)) = (duplex(64), duplex(64));
    let upgrade = Upgrade::new(Tunnel::default(), Kind::Upgrade);
    let layer = KeepaliveLayer::every(TEN).jitter(0.0);
    let near = KeepaliveIo::new(near, Role::Client, &layer, &upgrade);
    let relay = relay_with(lease, near, far).with_layers(upgrade.tunnel.clone());
    let relay = tokio::spawn(relay);
    // A ping of the layer's, which the upstream does not know of.
    let mut ping = [0; 10];
    client.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping[..2], [0x89, 8]);

    let closing = recall(&group).await;
    let stage = Stage {
        group,
        client,
        upstream,
        relay,
    };
    stage.part(closing).await;
    log.assert_has(&["cause=\"endpoint drained\"", "close_code=1012"]);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_was_first_has_its_way() {
    let (log, _guard) = Log::capture();
    let (group, lease) = drained();
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    let upgrade = Upgrade::new(Tunnel::default(), Kind::Upgrade);
    let near = ReadTimeoutIo::new(near, Role::Client, &ReadTimeoutLayer::new(TEN), &upgrade);
    let relay = relay_with(lease, near, far).with_layers(upgrade.tunnel.clone());
    let _relay = tokio::spawn(relay);
    expect(&mut client, b"\x88\x0e\x03\xe9read timeout").await;
    let closing = recall(&group).await;
    client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut upstream, CLIENT_CLOSE).await;
    drop(upstream);
    expect_end(&mut client).await;
    assert_eq!(closing.await.unwrap(), 1);
    log.assert_has(&["cause=\"read timeout\"", "close_code=1001"]);
}

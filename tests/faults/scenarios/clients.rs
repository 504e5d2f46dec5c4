//! Clients that are cut off.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsgate_tests::client::Protocol;

use super::{PATIENCE, SLACK, SPEAK, TALK, caused_by, millis, seconds, within};
use crate::book::How;
use crate::net::Weather;
use crate::peer::Part;
use crate::report::Line;
use crate::stage::Stage;

/// For less than the gateway waits.
pub(super) async fn away() -> Vec<Line> {
    let mut stage = Stage::set("--keepalive 500ms --pong-timeout 10s").await;
    for protocol in Protocol::BOTH {
        stage.open(protocol, "/echo", 3, TALK).await;
        stage.open(protocol, "/echo", 3, SPEAK).await;
    }
    stage.clients.more(5, PATIENCE).await;
    stage.world.to_client.be(Weather::CUT);
    sleep(seconds(2)).await;
    stage.world.to_client.be(Weather::CLEAR);
    stage.clients.more(5, PATIENCE).await;
    stage.close(PATIENCE).await;
    let line = Line::new("client cut off for 2 s, pongs due within 10 s");
    vec![line.count_all(&stage.clients, &stage.upstreams)]
}

/// Their last sign of life was a pong, up to an interval before.
pub(super) async fn gone_and_quiet() -> Vec<Line> {
    let what = "client cut off, and quiet before";
    both(what, "/listen", Part::Listen, PONG).await
}

/// Their last sign of life was just before.
pub(super) async fn gone_while_talking() -> Vec<Line> {
    let what = "client cut off, and talking before";
    both(what, "/echo", TALK, KEEPALIVE.mul_f64(0.9) + PONG).await
}

/// The gateway cannot even send a ping.
pub(super) async fn gone_while_flooded() -> Vec<Line> {
    let what = "client cut off in the middle of a flood";
    both(what, "/flood", Part::Listen, PONG).await
}

async fn both(what: &str, path: &str, part: Part, earliest: Duration) -> Vec<Line> {
    let mut lines = Vec::new();
    for (protocol, name) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2")] {
        let what = format!("{what}, {name}");
        lines.push(gone(&what, protocol, path, part, earliest).await);
    }
    lines
}

async fn gone(what: &str, protocol: Protocol, path: &str, part: Part, earliest: Duration) -> Line {
    let mut stage = Stage::set("--keepalive 1s --pong-timeout 1s").await;
    // Little room in the kernel: a ping waits behind all that a flood has put there.
    stage
        .world
        .gateway
        .set("ipv4/tcp_wmem", "4096 16384 65536")
        .await;
    stage
        .world
        .client
        .set("ipv4/tcp_rmem", "4096 16384 65536")
        .await;
    stage.open(protocol, path, TUNNELS, part).await;
    // The first ping is answered by then.
    sleep(millis(1_500)).await;
    let open = stage.clients.pages();
    assert!(open.values().all(|page| page.end.is_none()), "{open:?}");
    let cut = Instant::now();
    stage.world.to_client.be(Weather::CUT);
    let events = stage.gateway.logs("tunnel closed", TUNNELS, PATIENCE).await;
    let after = within(cut, &events, earliest, KEEPALIVE + PONG);
    caused_by(&events, "gateway", "pong timeout");
    let told = How::Close(1011, "pong timeout".to_owned());
    let seen = stage.upstreams.ended(TUNNELS, SLACK).await;
    assert!(
        seen.values().all(|page| page.how() == Some(&told)),
        "{seen:?}"
    );
    // A connection over HTTP/2 stays until its own pings find out.
    let connections = usize::from(protocol == Protocol::Http2);
    stage
        .gateway
        .has_freed(stage.idle_files + connections, LINGER + SLACK)
        .await;
    // The clients do not know until they hear from the gateway again.
    assert!(
        stage
            .clients
            .pages()
            .values()
            .all(|page| page.end.is_none())
    );
    let healed = Instant::now();
    stage.world.to_client.be(Weather::CLEAR);
    stage.clients.ended(TUNNELS, PATIENCE).await;
    let line = Line::new(what).count(&stage.clients, &stage.upstreams);
    line.healed(healed, &stage.clients)
        .told(&events)
        .found("the gateway's ping", after)
}

/// Without pings of WebSockets those of HTTP/2 find the connection dead, and all of its tunnels.
pub(super) async fn gone_and_found_by_http2() -> Vec<Line> {
    let mut stage = Stage::set("--keepalive off --read-timeout off").await;
    stage
        .open(Protocol::Http2, "/listen", TUNNELS, Part::Listen)
        .await;
    let cut = Instant::now();
    stage.world.to_client.be(Weather::CUT);
    let events = stage.gateway.logs("tunnel closed", TUNNELS, PATIENCE).await;
    // The server's limits: a ping each 20 s, and 20 s for its answer.
    let after = within(cut, &events, seconds(19), seconds(40));
    stage.upstreams.ended(TUNNELS, SLACK).await;
    stage
        .gateway
        .has_freed(stage.idle_files, LINGER + SLACK)
        .await;
    let healed = Instant::now();
    stage.world.to_client.be(Weather::CLEAR);
    stage.clients.ended(TUNNELS, PATIENCE).await;
    let line = Line::new("client cut off, no keepalive, HTTP/2");
    let line = line.count(&stage.clients, &stage.upstreams).told(&events);
    vec![
        line.healed(healed, &stage.clients)
            .found("HTTP/2's ping", after),
    ]
}

const KEEPALIVE: Duration = seconds(1);
const PONG: Duration = seconds(1);

/// What upstreams get for their answer to a Close.
const LINGER: Duration = seconds(5);

const TUNNELS: usize = 5;

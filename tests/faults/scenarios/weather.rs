//! Bad links: frames are lost, late, doubled, in another order or damaged. TCP makes up for all of it,
//! so nobody is to notice, whatever the gateway puts into the tunnels meanwhile.

use wsgate_tests::client::Protocol;

use super::{PATIENCE, SPEAK, TALK, millis};
use crate::book::Book;
use crate::net::Weather;
use crate::report::Line;
use crate::stage::Stage;

pub(super) async fn loss_5() -> Vec<Line> {
    endured("5 % of all frames lost", Weather::loss(0.05)).await
}

pub(super) async fn loss_20() -> Vec<Line> {
    endured("20 % of all frames lost", Weather::loss(0.2)).await
}

pub(super) async fn delay() -> Vec<Line> {
    endured(
        "200 ms of delay, 50 more or less",
        Weather::delay(millis(200), millis(50)),
    )
    .await
}

pub(super) async fn duplicates() -> Vec<Line> {
    endured("20 % of all frames twice", Weather::duplicates(0.2)).await
}

pub(super) async fn reordering() -> Vec<Line> {
    endured(
        "20 % of all frames overtaken for 20 ms",
        Weather::late(0.2, millis(20)),
    )
    .await
}

pub(super) async fn damage() -> Vec<Line> {
    endured("a bit turned in 5 % of all frames", Weather::damage(0.05)).await
}

/// Over either link, and then over both, tunnels of both protocols go on.
async fn endured(what: &str, weather: Weather) -> Vec<Line> {
    let mut stage = Stage::set(ARGS).await;
    for protocol in Protocol::BOTH {
        stage.open(protocol, "/echo", 3, TALK).await;
        stage.open(protocol, "/echo", 3, SPEAK).await;
    }
    let (client, upstream) = (&stage.world.to_client, &stage.world.to_upstream);
    for (to_client, to_upstream) in [
        (weather, Weather::CLEAR),
        (Weather::CLEAR, weather),
        (weather, weather),
    ] {
        client.be(to_client);
        upstream.be(to_upstream);
        stage.clients.more(MESSAGES, PATIENCE).await;
    }
    for link in [client, upstream] {
        assert!(link.hurt() > 10, "a link that is well shows nothing");
    }
    stage.close(PATIENCE).await;
    for side in [&stage.clients, &stage.upstreams] {
        assert!(pings(side) > 10, "no pings went in between");
    }
    vec![Line::new(what).count_all(&stage.clients, &stage.upstreams)]
}

fn pings(side: &Book) -> u64 {
    side.pages().values().map(|page| page.pings).sum()
}

/// Pings to both sides wherever there is a pause. Of the slowest: the fast ones send many more.
const ARGS: &str =
    "--keepalive 100ms --pong-timeout 20s --upstream-keepalive 100ms --upstream-pong-timeout 20s";
const MESSAGES: u64 = 5;

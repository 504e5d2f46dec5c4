//! Links that are broken in ways of their own.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsgate_tests::client::Protocol;

use super::{PATIENCE, SPEAK, TALK, caused_by, millis, seconds, within};
use crate::net::Weather;
use crate::peer::Part;
use crate::report::Line;
use crate::stage::Stage;

/// Frames pass in one direction only, which for TCP is as good as none.
pub(super) async fn one_way() -> Vec<Line> {
    let mut lines = Vec::new();
    for (what, inbound, outbound) in [
        (
            "nothing comes from the client, what is sent arrives",
            Weather::CUT,
            Weather::CLEAR,
        ),
        (
            "nothing reaches the client, what it sends arrives",
            Weather::CLEAR,
            Weather::CUT,
        ),
    ] {
        let mut stage = Stage::set("--keepalive 1s --pong-timeout 1s").await;
        for protocol in Protocol::BOTH {
            stage.open(protocol, "/echo", TUNNELS / 2, TALK).await;
        }
        stage.clients.more(5, PATIENCE).await;
        let cut = Instant::now();
        stage.world.to_client.bring(inbound);
        stage.world.to_client.take(outbound);
        let events = stage.gateway.logs("tunnel closed", TUNNELS, PATIENCE).await;
        // What was under way, and what a client sends without an answer, is still life.
        let after = within(
            cut,
            &events,
            KEEPALIVE.mul_f64(0.9) + PONG,
            KEEPALIVE + PONG,
        );
        caused_by(&events, "gateway", "pong timeout");
        stage.upstreams.ended(TUNNELS, PATIENCE).await;
        stage.world.to_client.be(Weather::CLEAR);
        stage.clients.ended(TUNNELS, PATIENCE).await;
        let line = Line::new(what).count(&stage.clients, &stage.upstreams);
        lines.push(line.told(&events).found("the gateway's ping", after));
    }
    lines
}

/// Gone and back, again and again.
pub(super) async fn flapping() -> Vec<Line> {
    let mut stage = Stage::set(PATIENT).await;
    for protocol in Protocol::BOTH {
        stage.open(protocol, "/echo", TUNNELS / 2, TALK).await;
        stage.open(protocol, "/echo", TUNNELS / 2, SPEAK).await;
    }
    for round in 0..10 {
        let (client, upstream) = (&stage.world.to_client, &stage.world.to_upstream);
        let link = if round % 2 == 0 { client } else { upstream };
        link.be(Weather::CUT);
        sleep(millis(200)).await;
        link.be(Weather::CLEAR);
        sleep(millis(400)).await;
    }
    stage.clients.more(5, PATIENCE).await;
    stage.close(PATIENCE).await;
    let line = Line::new("links down for 200 ms, ten times, in turn");
    vec![line.count_all(&stage.clients, &stage.upstreams)]
}

/// The gateway's own interfaces go down, and its routes with them, and come back.
pub(super) async fn interface_down() -> Vec<Line> {
    let mut stage = Stage::set(PATIENT).await;
    for protocol in Protocol::BOTH {
        stage.open(protocol, "/echo", TUNNELS / 2, TALK).await;
        stage.open(protocol, "/echo", TUNNELS / 2, SPEAK).await;
    }
    for interface in ["eth1", "eth2"] {
        stage.clients.more(3, PATIENCE).await;
        stage
            .world
            .gateway
            .ip(&format!("link set {interface} down"));
        sleep(seconds(1)).await;
        stage.world.gateway.ip(&format!("link set {interface} up"));
    }
    stage.clients.more(5, PATIENCE).await;
    stage.close(PATIENCE).await;
    let line = Line::new("the gateway's interfaces down for 1 s");
    vec![line.count_all(&stage.clients, &stage.upstreams)]
}

/// Long frames vanish on the way to the client, without the ICMP that would say why.
pub(super) async fn black_hole() -> Vec<Line> {
    let mut stage = Stage::set("--keepalive 1s --pong-timeout 1s").await;
    stage.open(Protocol::Http1, "/echo", TUNNELS, SPEAK).await;
    stage.open(Protocol::Http1, "/flood", 1, Part::Listen).await;
    stage.clients.more(3, PATIENCE).await;
    let narrowed = Instant::now();
    stage.world.to_client.take(Weather::no_longer_than(600));
    // Its ping waits behind what never arrives. The others send nothing long.
    let events = stage.gateway.logs("tunnel closed", 1, PATIENCE).await;
    let after = within(narrowed, &events, PONG, KEEPALIVE + PONG);
    caused_by(&events, "gateway", "pong timeout");
    sleep(seconds(2)).await;
    let closed = stage.gateway.logs("tunnel closed", 1, PATIENCE).await;
    assert_eq!(closed.len(), 1, "{closed:?}");
    stage.world.to_client.be(Weather::CLEAR);
    stage.close(PATIENCE).await;
    let line = Line::new("frames of more than 600 bytes vanish: one tunnel has such")
        .count(&stage.clients, &stage.upstreams);
    vec![line.told(&events).found("the gateway's ping", after)]
}

/// Waits for as long as all this takes.
const PATIENT: &str =
    "--keepalive 300ms --pong-timeout 20s --upstream-keepalive 300ms --upstream-pong-timeout 20s";

const KEEPALIVE: Duration = seconds(1);
const PONG: Duration = seconds(1);
const TUNNELS: usize = 4;

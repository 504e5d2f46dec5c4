//! What is counted and measured of a day's events, as an exporter would show it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use wsgate::layer::{KeepaliveLayer, LimitLayer, ObserveLayer, OriginLayer};
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::Http;
use wsgate_tests::{Frame, trace};

use super::super::{House, Visitor, is_closed, is_keepalive};

/// Each metric with its labels, and what was added to it since the last look; of a histogram the
/// number of values.
type Metrics = BTreeMap<String, u64>;

#[tokio::test]
async fn a_day() {
    let _trace = trace::init();
    let recorder = DebuggingRecorder::new();
    // For this thread, on which all tasks of this test run.
    let _local = metrics::set_default_local_recorder(&recorder);
    let snapshotter = recorder.snapshotter();
    for http in Http::BOTH {
        let (protocol, status) = match http {
            Http::One => ("http/1.1", 101),
            Http::Two => ("http/2", 200),
        };
        let house = House::start().await;
        let app = Router::new()
            .route("/rooms/{room}", house.app.handler())
            .layer(
                KeepaliveLayer::every(Duration::from_millis(300))
                    .pong_timeout(Duration::from_secs(20)),
            )
            .layer(LimitLayer::new().message_size(100))
            .layer(OriginLayer::same_origin())
            .layer(ObserveLayer::metrics());
        let gateway = Gateway::serving(app).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;

        let mut client = visitor.enter("/rooms/1").await;
        client.send(Frame::text("hello")).await;
        assert_eq!(client.frame().await, Frame::text("hello"));
        let ping = client.frame().await;
        assert!(is_keepalive(&ping));
        client.send(Frame::pong(ping.payload)).await;
        // Heard after the pong.
        client.send(Frame::text("hello")).await;
        while client.frame().await != Frame::text("hello") {}
        let label = format!("route=/rooms/{{room}},protocol={protocol}");
        let open = look(&snapshotter);
        check(&open, "websocket_tunnels_open", &label, 1);
        let accepted = format!("{label},outcome=accepted,status={status},reason=none");
        check(&open, "websocket_handshakes_total", &accepted, 1);
        let round_trip = "websocket_ping_round_trip_seconds";
        check(&open, round_trip, &format!("{label},peer=client"), 1);
        client.close(1000, "bye").await;
        house.app.until_told(1).await;

        let mut greedy = visitor.enter("/rooms/2").await;
        greedy.send(Frame::text("x".repeat(101))).await;
        is_closed(greedy, 1009, "message too big").await;
        house.app.until_told(2).await;
        let hijack = Handshake::of("/rooms/3").field("Origin", "https://evil.example");
        visitor.open(hijack).await.unwrap_err();

        let closed = look(&snapshotter);
        check(&closed, "websocket_tunnels_open", &label, 0);
        let refused = format!("{label},outcome=refused,status=403,reason=origin");
        check(&closed, "websocket_handshakes_total", &refused, 1);
        let closes = |code, by, cause| {
            let how = format!("{label},upstream=none,code={code},by={by},cause={cause}");
            check(&closed, "websocket_closes_total", &how, 1);
        };
        closes(1000, "client", "close");
        closes(1009, "gateway", "message_size");
        check(
            &closed,
            "websocket_limits_total",
            &format!("{label},limit=message_size"),
            1,
        );
        let upstream = format!("{label},upstream=none");
        check(&closed, "websocket_tunnel_duration_seconds", &upstream, 2);
        // Two messages of one tunnel; of the other came a header that was refused.
        let from_client = format!("{upstream},direction=from_client");
        check(&closed, "websocket_messages_total", &from_client, 3);
        let to_client = format!("{upstream},direction=to_client");
        check(&closed, "websocket_messages_total", &to_client, 2);
        visitor.leave().await;
        gateway.join().await;
        house.join().await;
    }
}

#[track_caller]
fn check(metrics: &Metrics, name: &str, labels: &str, value: u64) {
    let found = metrics.get(&format!("{name}{{{labels}}}"));
    assert_eq!(found, Some(&value), "{name}{{{labels}}} in {metrics:#?}");
}

fn look(snapshotter: &Snapshotter) -> Metrics {
    let all = snapshotter.snapshot().into_vec().into_iter();
    let all = all.map(|(key, _, _, value)| {
        let key = key.key();
        let labels = key.labels().map(|l| format!("{}={}", l.key(), l.value()));
        let name = format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","));
        let value = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Gauge(gauge) => gauge.into_inner() as u64,
            DebugValue::Histogram(values) => values.len() as u64,
        };
        (name, value)
    });
    all.collect()
}

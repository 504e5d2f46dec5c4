//! What the metrics observer counts, and that no client can make it count under new names.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::any};
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tower::ServiceExt;
use wsgate_frame::{Close, Counts, Role};

use super::{super::*, harness::*};
use crate::{
    handshake::Kind,
    tunnel::{Limit, Tunnel},
    upgrade::{self, UpgradeSender},
};

/// A metric as Prometheus would write it, with its value: what was added since the last look.
fn look(snapshotter: &Snapshotter) -> BTreeMap<String, String> {
    let metrics = snapshotter.snapshot().into_vec();
    let metrics = metrics.into_iter().map(|(key, unit, description, value)| {
        assert!(unit.is_some() && description.is_some(), "of {key:?}");
        let labels = key.key().labels();
        let labels: Vec<_> = labels
            .map(|l| format!("{}={}", l.key(), l.value()))
            .collect();
        let value = match value {
            DebugValue::Counter(n) => n.to_string(),
            DebugValue::Gauge(n) => n.to_string(),
            DebugValue::Histogram(values) => format!("{values:?}"),
        };
        (
            format!("{}{{{}}}", key.key().name(), labels.join(",")),
            value,
        )
    });
    metrics.collect()
}

#[track_caller]
fn assert_has(metrics: &BTreeMap<String, String>, name: &str, labels: &str, value: &str) {
    let key = format!("{name}{{route=unmatched,protocol=http/1.1{labels}}}");
    let found = metrics.get(&key).map(String::as_str);
    assert_eq!(found, Some(value), "{key} in {metrics:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_counted_and_measured() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let snapshotter = recorder.snapshotter();

    let (tunnel, mut client, mut handler) = open(&ObserveLayer::metrics()).await;
    tunnel.set_upstream("chat");
    let opened = look(&snapshotter);
    assert_has(&opened, "websocket_tunnels_open", "", "1");
    let accepted = ",outcome=accepted,status=101,reason=none";
    assert_has(&opened, "websocket_handshakes_total", accepted, "1");
    let took = "websocket_handshake_duration_seconds";
    assert_has(&opened, took, ",outcome=accepted", "[0.0]");

    tunnel.ping(Role::Client, Duration::from_millis(250));
    tunnel.limit(Limit::MessageRate);
    client.write_all(CLIENT_HELLO).await.unwrap();
    client.write_all(CLIENT_CLOSE).await.unwrap();
    let mut read = [0; 22];
    handler.read_exact(&mut read).await.unwrap();
    handler.write_all(SERVER_CLOSE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(handler);

    let closed = look(&snapshotter);
    let round_trip = "websocket_ping_round_trip_seconds";
    assert_has(&closed, round_trip, ",peer=client", "[0.25]");
    assert_has(
        &closed,
        "websocket_limits_total",
        ",limit=message_rate",
        "1",
    );
    let direction = |d| format!(",upstream=chat,direction={d}");
    let (from, to) = (direction("from_client"), direction("to_client"));
    assert_has(&closed, "websocket_bytes_total", &from, "22");
    assert_has(&closed, "websocket_bytes_total", &to, "7");
    assert_has(&closed, "websocket_messages_total", &from, "1");
    assert_has(&closed, "websocket_messages_total", &to, "0");
    let duration = "websocket_tunnel_duration_seconds";
    assert_has(&closed, duration, ",upstream=chat", "[3.0]");
    let close = ",upstream=chat,code=1000,by=client,cause=close";
    assert_has(&closed, "websocket_closes_total", close, "1");
    // The recorder of the tests forgets a gauge's value when it is read.
    assert_has(&closed, "websocket_tunnels_open", "", "-1");
}

#[tokio::test]
async fn a_handshake_is_counted_by_what_came_of_it() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let snapshotter = recorder.snapshotter();
    let layer = ObserveLayer::metrics();

    let refuse = async |status: u16, limit: Option<Limit>| {
        let mut req = request();
        let sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
        let mut res = Response::new(());
        *res.status_mut() = StatusCode::from_u16(status).unwrap();
        limit.map(|l| res.extensions_mut().insert(l));
        answer(&layer, req, res).await;
        drop(sender);
        tokio::task::yield_now().await;
    };
    refuse(429, Some(Limit::HandshakeRate)).await;
    refuse(499, None).await;
    // Accepted, but its client is gone.
    refuse(101, None).await;

    let metrics = look(&snapshotter);
    let check = |labels| assert_has(&metrics, "websocket_handshakes_total", labels, "1");
    check(",outcome=refused,status=429,reason=limit");
    check(",outcome=refused,status=4xx,reason=none");
    check(",outcome=gone,status=none,reason=none");
}

// ===== hostile clients =====

#[test]
fn close_codes_make_few_series() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let ObserveLayer { settings } = ObserveLayer::metrics();
    let mut req = request();
    let unsettled = record::Unsettled::new(&settings, Kind::Upgrade, &mut req);
    let tunnel = Tunnel::of(req.extensions_mut());
    let record = unsettled.opened(StatusCode::SWITCHING_PROTOCOLS);
    for code in 0..=u16::MAX {
        let payload = [&code.to_be_bytes()[..], b"a reason"].concat();
        let close = Close::parse(&payload).expect("short enough");
        let closed = Closed {
            status: StatusCode::SWITCHING_PROTOCOLS,
            duration: Duration::ZERO,
            from_client: Counts::default(),
            to_client: Counts::default(),
            close: Some(&close),
            by: ClosedBy::Client,
            ended: Ended::Close,
        };
        record.tell(&tunnel, |observer, handshake| {
            observer.closed(handshake, &closed);
        });
    }

    let metrics = look(&recorder.snapshotter());
    let closes = metrics.iter().filter_map(|(key, count)| {
        let key = key.strip_prefix("websocket_closes_total{")?;
        let code = key.split_once("code=")?.1.split_once(',')?.0;
        Some((code, count.as_str()))
    });
    let closes: BTreeMap<_, _> = closes.collect();
    let expected = [
        "1000", "1001", "1002", "1003", "1007", "1008", "1009", "1010", "1011", "1012", "1013",
        "1014", "3000", "3003", "3008", "3xxx", "4xxx", "invalid",
    ];
    assert_eq!(closes.keys().copied().collect::<Vec<_>>(), expected);
    assert_eq!((closes["3xxx"], closes["4xxx"]), ("997", "1000"));
}

/// A client that writes something of its own wherever it can.
async fn attack(app: &Router, n: usize) {
    let mut req = request().map(|()| Body::empty());
    *req.uri_mut() = format!("/rooms/{n}?{n}").parse().unwrap();
    let headers = req.headers_mut();
    for name in [
        "host",
        "origin",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
    ] {
        headers.insert(name, format!("evil-{n}.example").parse().unwrap());
    }
    for name in [
        "x-forwarded-proto",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    ] {
        headers.insert(name, format!("evil-{n}").parse().unwrap());
    }
    let address = SocketAddr::from(([192, 0, 2, (n % 256) as u8], 1024 + n as u16));
    req.extensions_mut().insert(ConnectInfo(address));
    let (sender, on_upgrade) = upgrade::pair();
    req.extensions_mut().insert(on_upgrade);

    let (mut client, near) = duplex(1024);
    assert_eq!(app.clone().oneshot(req).await.unwrap().status(), 101);
    sender.send(near).unwrap();
    // A code of its own in the range of applications, a reason, and sizes.
    let code = (4000 + n as u16).to_be_bytes();
    let ping = [b"\x89\x84\0\0\0\0".as_slice(), &(n as u32).to_be_bytes()].concat();
    let close = [
        b"\x88\x86\0\0\0\0".as_slice(),
        &code,
        &(n as u32).to_be_bytes(),
    ]
    .concat();
    client
        .write_all(&[&ping[..], &close].concat())
        .await
        .unwrap();
    let _ = client.read_to_end(&mut Vec::new()).await;
}

/// Reads to the end.
async fn handler(mut req: Request<Body>) -> Response<Body> {
    let on_upgrade = hyper::upgrade::on(&mut req);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(on_upgrade.await.unwrap());
        let mut buf = [0; 64];
        // Up to the Close: the client waits for our end.
        while !buf.contains(&0x88) && stream.read(&mut buf).await.unwrap() > 0 {}
    });
    let mut res = Response::new(Body::empty());
    *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    res
}

#[tokio::test]
async fn no_label_can_be_grown_by_a_client() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let snapshotter = recorder.snapshotter();
    let app = Router::new()
        .route("/rooms/{room}", any(handler))
        .layer(ObserveLayer::metrics());
    let names = || look(&snapshotter).into_keys().collect::<BTreeSet<_>>();

    attack(&app, 0).await;
    let first = names();
    assert!(
        first.iter().any(|name| name.contains("code=4xxx")),
        "{first:#?}"
    );
    for n in 1..200 {
        attack(&app, n).await;
    }
    assert_eq!(names(), first);
    assert!(
        first
            .iter()
            .all(|name| name.contains("{route=/rooms/{room},"))
    );
    assert!(
        !first.iter().any(|name| name.contains("evil")),
        "{first:#?}"
    );
}

//! Extended CONNECT (RFC 8441): many tunnels on one connection, and what becomes of each handshake.

use std::collections::HashSet;

use wsgate::WebSocketProxy;
use wsgate_tests::bulk::Bulk;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::{self, Script};
use wsgate_tests::upstream::{Seen, Upstream};
use wsgate_tests::{End, Frame, Role, trace};

// ===== one connection =====

#[tokio::test]
async fn tunnels_and_pages_share_a_connection() {
    let trace = trace::init();
    let mut stage = Stage::start(Http::Two).await;
    let mut tunnels = Vec::new();
    for at in 0..5 {
        let ends = stage.open(Handshake::of(&format!("/websocket/{at}"))).await;
        tunnels.push(ends);
    }
    for round in 0..3 {
        // Said by all before it is heard from any.
        for (at, ends) in tunnels.iter_mut().enumerate() {
            ends.client.send(Frame::text(format!("{round}/{at}"))).await;
            ends.upstream
                .send(Frame::text(format!("{at}/{round}")))
                .await;
        }
        for (at, ends) in tunnels.iter_mut().enumerate().rev() {
            let up = ends.upstream.frame().await.unmasked();
            assert_eq!(up, Frame::text(format!("{round}/{at}")));
            let down = ends.client.frame().await;
            assert_eq!(down, Frame::text(format!("{at}/{round}")));
        }
        page(&mut stage).await;
    }
    drop(tunnels);
    stage.join().await;
    let mut peers = HashSet::new();
    for event in trace.until("tunnel closed", 5).await {
        assert_eq!(event.field("protocol"), "HTTP/2");
        assert_eq!(event.field("route"), "/websocket/{*rest}");
        peers.insert(event.field("client").to_owned());
    }
    assert_eq!(peers.len(), 1, "one connection: {peers:?}");
}

/// The client has read nothing of one tunnel: its window is full, and those of the others are not.
#[tokio::test]
async fn a_client_that_does_not_read_one_tunnel_reads_the_others() {
    let _trace = trace::init();
    let mut stage = Stage::start(Http::Two).await;
    let stalled = stage.open(Handshake::of("/websocket")).await;
    let bulk = Bulk::from(Role::Server, STALLING);
    let mut from = stalled.upstream.into_parts().0;
    let flood = tokio::spawn({
        let bulk = bulk.clone();
        async move {
            bulk.send(&mut from, |_| {}).await;
            from
        }
    });

    others_go_on(&mut stage).await;
    assert!(!flood.is_finished(), "who has read {STALLING} bytes?");
    let mut stalled = stalled.client.into_parts().0;
    bulk.receive(&mut stalled).await;
    flood.await.unwrap();
    drop(stalled);
    stage.join().await;
}

/// The same the other way: the gateway may not let one upstream use up what it has room for.
#[tokio::test]
async fn an_upstream_that_does_not_read_its_tunnel_leaves_the_others_alone() {
    let _trace = trace::init();
    let mut stage = Stage::start(Http::Two).await;
    let stalled = stage.open(Handshake::of("/websocket")).await;
    let bulk = Bulk::from(Role::Client, STALLING);
    let mut from = stalled.client.into_parts().0;
    let flood = tokio::spawn({
        let bulk = bulk.clone();
        async move {
            bulk.send(&mut from, |_| {}).await;
            from
        }
    });

    others_go_on(&mut stage).await;
    assert!(!flood.is_finished(), "who has read {STALLING} bytes?");
    let mut stalled = stalled.upstream.into_parts().0;
    bulk.receive(&mut stalled).await;
    flood.await.unwrap();
    drop(stalled);
    stage.join().await;
}

/// More than all buffers and windows hold between two ends.
const STALLING: usize = 64 << 20;

/// Much is said on a tunnel and a page is read while another tunnel stands.
async fn others_go_on(stage: &mut Stage) {
    let Ends {
        mut client,
        mut upstream,
        ..
    } = stage.open(Handshake::of("/websocket")).await;
    // By then the other one stands, however much it got before.
    for _ in 0..100 {
        let piece = Frame::binary(vec![1; 100_000]);
        let ((), up) = tokio::join!(client.send(piece.clone()), upstream.frame());
        assert_eq!(up.unmasked(), piece);
        let ((), down) = tokio::join!(upstream.send(piece.clone()), client.frame());
        assert_eq!(down, piece);
    }
    page(stage).await;
}

async fn page(stage: &mut Stage) {
    let h2 = stage.h2.as_mut().expect("the client speaks HTTP/2");
    let page = h2.get("/").await;
    assert_eq!(
        (page.response.status, &page.body[..]),
        (200, &b"an ordinary page"[..])
    );
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_one_tunnel() {
    let _trace = trace::init();
    let mut stage = Stage::start(Http::Two).await;
    let mut first = stage.open(Handshake::of("/websocket")).await;
    let mut second = stage.open(Handshake::of("/websocket")).await;
    first.client.reset();
    assert!(matches!(first.upstream.end().await, End::Eof));
    second.client.send(Frame::text("still here")).await;
    let still = second.upstream.frame().await.unmasked();
    assert_eq!(still, Frame::text("still here"));
    page(&mut stage).await;
    drop((first.upstream, second));
    stage.join().await;
}

#[tokio::test]
async fn a_connection_that_breaks_ends_all_its_tunnels() {
    let trace = trace::init();
    let mut stage = Stage::start(Http::Two).await;
    let mut first = stage.open(Handshake::of("/websocket")).await;
    let mut second = stage.open(Handshake::of("/websocket")).await;
    drop(stage.h2.take());
    assert!(matches!(first.upstream.end().await, End::Eof));
    assert!(matches!(second.upstream.end().await, End::Eof));
    drop((first, second));
    stage.join().await;
    for event in trace.until("tunnel closed", 2).await {
        assert_eq!(event.field("closed_by"), "client");
        assert_eq!(event.field("cause"), "connection lost");
    }
}

// ===== the handshake =====

#[tokio::test]
async fn an_upstream_sees_an_ordinary_http1_handshake() {
    let _trace = trace::init();
    let mut stage = Stage::start(Http::Two).await;
    let authority = stage.gateway.target().authority();
    let handshake = Handshake::of("/websocket/room?name=%C3%A4&b")
        .field("Origin", &format!("https://{authority}"))
        .field("Cookie", "session=1");
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        let ends = stage.open(handshake.clone()).await;
        assert_eq!(ends.response.status, 200);
        for field in ["sec-websocket-accept", "connection", "upgrade"] {
            assert_eq!(ends.response.fields.get(field), None);
        }
        tunnels.push(ends);
    }

    let mut keys = HashSet::new();
    for Seen { request, .. } in stage.upstream.seen() {
        let request = request.unwrap();
        let line = (&*request.method, &*request.target, &*request.version);
        assert_eq!(line, ("GET", "/websocket/room?name=%C3%A4&b", "HTTP/1.1"));
        for (name, value) in [
            ("host", &*authority),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("origin", &format!("https://{authority}")),
            ("cookie", "session=1"),
        ] {
            assert_eq!(request.fields.all(name), [value], "{name}");
        }
        for (name, _) in request.fields.iter() {
            assert!(
                !name.contains("protocol") && !name.starts_with(':'),
                "{name}"
            );
        }
        let [key] = request.fields.all("sec-websocket-key")[..] else {
            panic!("one key: {request:?}");
        };
        // 16 bytes in base64.
        assert!(key.len() == 24 && key.ends_with("=="), "{key}");
        keys.insert(key.to_owned());
    }
    assert_eq!(keys.len(), 3, "a fresh one each: {keys:?}");
    drop(tunnels);
    stage.join().await;
}

#[tokio::test]
async fn a_subprotocol_is_agreed_on() {
    let _trace = trace::init();
    let (upstream, gateway) = start(script::echo_with_subprotocols(&["chat.v2"])).await;
    let mut h2 = gateway.target().h2().await;
    let offer = Handshake::of("/websocket").field("Sec-WebSocket-Protocol", "chat.v1, chat.v2");
    let mut opened = h2.open(offer).await.unwrap();
    let chosen = opened.response.fields.all("sec-websocket-protocol");
    assert_eq!(chosen, ["chat.v2"]);
    opened.tunnel.send(Frame::text("hello")).await;
    assert_eq!(opened.tunnel.frame().await, Frame::text("hello"));
    opened.tunnel.close(1000, "").await;
    h2.join().await;
    let seen = upstream.join_one().await;
    let offered = seen.request().fields.all("sec-websocket-protocol");
    assert_eq!(offered, ["chat.v1, chat.v2"]);
    gateway.join().await;
}

#[tokio::test]
async fn a_refusal_passes_whole() {
    let _trace = trace::init();
    let challenge = ("WWW-Authenticate", "Basic realm=\"chat\"");
    let location = ("Location", "https://example.com/elsewhere");
    for (status, field) in [
        (401, challenge),
        (302, location),
        (503, ("Retry-After", "7")),
    ] {
        let answer = script::respond(&format!("{status} So"), &[field], "who are you?");
        let (upstream, gateway) = start(answer).await;
        let mut h2 = gateway.target().h2().await;
        let refused = h2.open(Handshake::of("/websocket")).await.unwrap_err();
        assert_eq!(refused.response.status, status);
        assert_eq!(refused.response.fields.get(field.0), Some(field.1));
        assert_eq!(refused.body, "who are you?");
        // The connection is none the worse for it.
        assert_eq!(h2.get("/").await.response.status, 200);
        h2.join().await;
        upstream.join_one().await;
        gateway.join().await;
    }
}

/// The client never saw the key, so nobody but the gateway can check its answer. And it would take
/// any 2xx for an open WebSocket (RFC 8441, 5).
#[tokio::test]
async fn an_answer_that_does_not_fit_is_a_bad_gateway() {
    let trace = trace::init();
    for (script, reason) in [
        (script::wrong_accept(), "`Sec-WebSocket-Accept`"),
        (script::respond("200 OK", &[], "hello"), "it answered 200"),
        (
            script::respond("204 No Content", &[], ""),
            "it answered 204",
        ),
    ] {
        let (upstream, gateway) = start(script).await;
        let mut h2 = gateway.target().h2().await;
        let refused = h2.open(Handshake::of("/websocket")).await.unwrap_err();
        assert_eq!(refused.response.status, 502);
        let body = String::from_utf8(refused.body.to_vec()).unwrap();
        let endpoint = upstream.addr().to_string();
        assert!(body.contains(&endpoint) && body.contains(reason), "{body}");
        h2.join().await;
        upstream.join_one().await;
        gateway.join().await;

        let warnings = trace.find(reason);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0].field("side"), "upstream");
    }
}

async fn start(script: Script) -> (Upstream, Gateway) {
    let upstream = Upstream::tcp(script).await;
    let endpoint = format!("http://{}", upstream.addr());
    let gateway = Gateway::proxying(WebSocketProxy::to(&endpoint).unwrap()).await;
    (upstream, gateway)
}

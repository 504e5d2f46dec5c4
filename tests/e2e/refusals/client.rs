//! Requests that are no handshakes: each with the status that fits and what was wrong.

use wsgate::layer::handshake::Refusal;
use wsgate_tests::client::{Handshake, Refused};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{check, proxy};

/// The fields that tell the client how to do better.
const TELLING: [&str; 4] = ["sec-websocket-version", "allow", "upgrade", "connection"];

#[track_caller]
fn check_refusal(refused: &Refused, refusal: Refusal, status: u16, more: &[(&str, &str)]) {
    check(refused, status, &refusal.to_string());
    let fields = TELLING.into_iter();
    let told: Vec<_> = fields
        .filter_map(|name| Some((name, refused.response.fields.get(name)?)))
        .collect();
    assert_eq!(told, [&[("sec-websocket-version", "13")], more].concat());
}

fn handshake() -> Handshake {
    Handshake::of("/websocket")
}

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::tcp(script::echo()).await;
    let gateway = Gateway::proxying(proxy(upstream.addr())).await;
    (upstream, gateway)
}

/// The connection stays as it was: a page comes over it after each refusal, and a tunnel at last.
#[tokio::test]
async fn over_http1_each_says_what_was_wrong() {
    let _trace = trace::init();
    let (upstream, gateway) = start().await;
    let mut client = gateway.target().h1().await;
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade")];
    let key = |key: &str| {
        handshake()
            .without("Sec-WebSocket-Key")
            .field("Sec-WebSocket-Key", key)
    };
    let version = |version: &str| {
        let handshake = handshake().without("Sec-WebSocket-Version");
        handshake.field("Sec-WebSocket-Version", version)
    };
    for (handshake, refusal, status, more) in [
        (
            handshake().method("POST"),
            Refusal::NotGet,
            405,
            &[("allow", "GET")][..],
        ),
        (
            handshake().without("Upgrade"),
            Refusal::NoUpgrade,
            426,
            &upgrade,
        ),
        (
            handshake()
                .without("Connection")
                .field("Connection", "keep-alive"),
            Refusal::NoConnectionUpgrade,
            400,
            &[],
        ),
        (
            handshake().without("Sec-WebSocket-Key"),
            Refusal::Key,
            400,
            &[],
        ),
        (key("dG9vIHNob3J0"), Refusal::Key, 400, &[]),
        (
            handshake().field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            Refusal::Key,
            400,
            &[],
        ),
        (
            handshake().without("Sec-WebSocket-Version"),
            Refusal::Version,
            426,
            &upgrade,
        ),
        (version("8"), Refusal::Version, 426, &upgrade),
        (version("13, 8"), Refusal::Version, 426, &upgrade),
        (
            handshake().field("Host", "a.test").field("Host", "b.test"),
            Refusal::Host,
            400,
            &[],
        ),
        (handshake().field("Host", ""), Refusal::Host, 400, &[]),
        // Six bytes that are a body to the one and a frame to the other.
        (
            handshake()
                .field("Content-Length", "6")
                .early(&[wsgate_tests::Frame::text("")]),
            Refusal::Body,
            400,
            &[],
        ),
    ] {
        let refused = client.refused(&handshake).await;
        check_refusal(&refused, refusal, status, more);
        let page = client.get("/").await;
        assert_eq!(
            (page.response.status, &page.body[..]),
            (200, &b"an ordinary page"[..])
        );
    }
    assert_eq!(
        upstream.seen().len(),
        0,
        "nothing of it is the upstream's business"
    );
    client
        .open(handshake())
        .await
        .unwrap()
        .tunnel
        .close(1000, "")
        .await;
    upstream.ended(1).await;
    gateway.join().await;
}

/// After these two the connection cannot go on, which hyper may tell with a field of its own.
#[tokio::test]
async fn old_http_and_an_endless_body_are_refused() {
    let _trace = trace::init();
    let (upstream, gateway) = start().await;
    let chunked = handshake().field("Transfer-Encoding", "chunked");
    for (handshake, refusal) in [
        (handshake().version("HTTP/1.0"), Refusal::HttpVersion),
        (chunked, Refusal::Body),
    ] {
        let refused = gateway.target().refused(handshake).await;
        check(&refused, 400, &refusal.to_string());
        let version = refused.response.fields.get("sec-websocket-version");
        assert_eq!(version, Some("13"));
    }
    upstream.ended(0).await;
    gateway.join().await;
}

/// One with a length never comes this far: hyper ends the connection.
#[tokio::test]
async fn over_http2_each_says_what_was_wrong() {
    let _trace = trace::init();
    let (upstream, gateway) = start().await;
    let mut client = gateway.target().h2().await;
    for (handshake, refusal, status, more) in [
        (
            handshake().method("GET"),
            Refusal::NotConnect,
            405,
            &[("allow", "CONNECT")][..],
        ),
        (
            handshake().method("POST"),
            Refusal::NotConnect,
            405,
            &[("allow", "CONNECT")],
        ),
        (
            handshake().protocol("connect-udp"),
            Refusal::Protocol,
            400,
            &[],
        ),
        // HTTP/2 has no Upgrade field to tell it with.
        (
            handshake().without("Sec-WebSocket-Version"),
            Refusal::Version,
            426,
            &[],
        ),
    ] {
        let refused = client.refused(handshake).await;
        check_refusal(&refused, refusal, status, more);
        assert_eq!(client.get("/").await.body, "an ordinary page");
    }
    assert_eq!(
        upstream.seen().len(),
        0,
        "nothing of it is the upstream's business"
    );
    client.tunnel(handshake()).await.close(1000, "").await;
    client.join().await;
    upstream.ended(1).await;
    gateway.join().await;
}

/// They could leave the prefix that is replaced.
#[tokio::test]
async fn dot_segments_are_refused_where_a_prefix_is_replaced() {
    let trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let proxy = proxy(upstream.addr())
        .replace_prefix("/websocket/", "/app/")
        .unwrap();
    let gateway = Gateway::proxying(proxy).await;
    let paths = [
        "/websocket/../admin",
        "/websocket/a/%2E%2e/b",
        "/websocket/.",
    ];
    let mut h2 = gateway.target().h2().await;
    for path in paths {
        let refused = gateway.target().refused(Handshake::of(path)).await;
        check(&refused, 400, "the path has `.` or `..` segments");
        let refused = h2.refused(Handshake::of(path)).await;
        check(&refused, 400, "the path has `.` or `..` segments");
    }
    // A route that the prefix does not fit is a mistake of the gateway's own set-up, and says so.
    let refused = h2.refused(handshake()).await;
    let sentence = "the path does not begin with `/websocket/`, the prefix to replace";
    check(&refused, 500, sentence);
    h2.join().await;
    upstream.ended(0).await;
    gateway.join().await;

    let [mistake] = &trace.find("the prefix to replace")[..] else {
        panic!("{:?}", trace.events())
    };
    assert_eq!(
        (mistake.level, mistake.field("side")),
        (tracing::Level::WARN, "gateway")
    );
    let refused = trace.find("segments");
    assert_eq!(refused.len(), 2 * paths.len());
    assert_eq!(
        (refused[0].level, refused[0].field("side")),
        (tracing::Level::DEBUG, "client")
    );
}

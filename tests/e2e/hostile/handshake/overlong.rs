//! Heads that are too long, or never end.

use wsgate::WebSocketProxy;
use wsgate::server::Limits;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{Fate, HOST, LINE, Scene, request, with};

/// What comes in one read may be more, up to twice as much.
const LIMIT: usize = 32 * 1024;

/// It is refused and the connection ends, perhaps so soon that the client is still writing, and hears no
/// more of it.
async fn check_too_long(gateway: &Gateway, head: &[u8]) {
    let mut client = gateway.target().h1().await;
    let _ = client.try_say(head).await;
    let answer = client.rest().await;
    let refused = ["HTTP/1.1 400 ", "HTTP/1.1 414 ", "HTTP/1.1 431 "];
    let is_refused = refused
        .iter()
        .any(|line| answer.starts_with(line.as_bytes()));
    assert!(answer.is_empty() || is_refused, "{answer:?}");
}

#[tokio::test]
async fn a_head_has_a_limit_and_the_connection_ends_with_it() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    let room = LIMIT - with("X-Long: \r\n").len();
    let long = |length| with(&format!("X-Long: {}\r\n", "a".repeat(length)));
    scene
        .check(long(room - 1024), Fate::Opened("/websocket"))
        .await;
    let query = "a".repeat(room - 1024);
    let line = format!("GET /websocket?{query} HTTP/1.1");
    let (head, _) = scene.ask(request(&line, HOST, "")).await;
    assert_eq!(head.status, 101);

    for head in [
        long(2 * LIMIT),
        request(
            &format!("GET /{} HTTP/1.1", "a".repeat(2 * LIMIT)),
            HOST,
            "",
        ),
        format!("{}{LINE}", "A".repeat(2 * LIMIT)),
        with(&format!("X-{}: a\r\n", "a".repeat(2 * LIMIT))),
        with(&format!(
            "Sec-WebSocket-Protocol: {}\r\n",
            "a,".repeat(LIMIT)
        )),
    ] {
        check_too_long(&scene.gateway, head.as_bytes()).await;
    }
    scene.ended(2).await;
}

#[tokio::test]
async fn a_head_has_a_hundred_fields_at_most() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    let fields = |count: usize| with(&"X-A: 1\r\n".repeat(count - 5));
    scene.check(fields(100), Fate::Opened("/websocket")).await;
    let (answer, client) = scene.ask(fields(101)).await;
    assert_eq!(answer.status, 431);
    assert_eq!(client.rest().await, "", "the connection has ended");
    scene.join().await;
}

/// Nothing is kept of what is too much: the client is told while it goes on.
#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    for begin in [
        "GET /",
        "GET / HTTP/1.1\r\nX-Long: ",
        "GET / HTTP/1.1\r\nHost: a\r\n",
    ] {
        let mut client = scene.gateway.target().h1().await;
        client.say(begin.as_bytes()).await;
        // By then it is sure to be more than all sockets in between hold.
        let more = "a: bcdef\r\n".repeat(100);
        let piece = if begin.ends_with('\n') {
            more
        } else {
            "a".repeat(1000)
        };
        let mut sent = 0;
        while sent < 64 << 20 && client.try_say(piece.as_bytes()).await.is_ok() {
            sent += piece.len();
        }
        assert!(sent < 64 << 20, "{begin:?}: somebody takes all of it");
    }
    assert_eq!(scene.join().await.len(), 0);
}

#[tokio::test]
async fn the_limit_is_a_setting_over_both_protocols() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::recording(None)).await;
    let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
    let gateway = Gateway::adjusted(gateway::app(proxy), |server| {
        server.limits(Limits::new().request_head(100_000))
    })
    .await;
    let target = gateway.target();
    let long = |length| Handshake::of("/websocket").field("X-Long", &"a".repeat(length));
    let mut h2 = target.h2().await;
    drop((
        target.tunnel(long(90_000)).await,
        h2.tunnel(long(90_000)).await,
    ));
    let longer = with(&format!("X-Long: {}\r\n", "a".repeat(250_000)));
    check_too_long(&gateway, longer.as_bytes()).await;
    assert_eq!(h2.refused(long(110_000)).await.response.status, 431);
    // The connection is none the worse for it.
    drop(h2.tunnel(long(0)).await);
    h2.join().await;
    upstream.ended(3).await;
    gateway.join().await;
}

/// What an upstream says is held to a limit as well.
#[tokio::test]
async fn so_has_the_head_of_an_answer() {
    let _trace = trace::init();
    for (length, status) in [(32 * 1024, 403), (200 * 1024, 502)] {
        let long = "a".repeat(length);
        let answer =
            format!("HTTP/1.1 403 Forbidden\r\nX-Long: {long}\r\nContent-Length: 0\r\n\r\n");
        let scene = Scene::start(Some(&answer)).await;
        let (head, _) = scene.ask(with("")).await;
        assert_eq!(head.status, status, "{length}");
        scene.ended(1).await;
    }
}

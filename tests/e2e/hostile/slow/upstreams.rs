//! Upstreams that take their time to answer, and clients that take theirs to read a refusal.

use std::time::Duration;

use axum::Router;
use axum::routing::any;
use tokio::time::{Instant, sleep};
use wsgate::WebSocketProxy;
use wsgate::proxy::UpstreamTls;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::tasks::Tasks;
use wsgate_tests::upstream::{Connection, Script, Upstream, script};
use wsgate_tests::{trace, within};

use super::{SHORT, lenient, serves, took_its_time};

/// Says this, and then a byte now and then for as long as somebody takes it.
fn dribbling(head: &'static [u8], reads: bool) -> Script {
    script::script(move |mut connection: Connection| async move {
        if reads && connection.request().await.is_none() {
            return;
        }
        connection.write(head).await;
        while connection.is_in_order() {
            sleep(SHORT / 20).await;
            connection.write("x").await;
        }
    })
}

/// Says this again and again, as fast as it is taken.
fn repeating(head: &'static str, again: Vec<u8>) -> Script {
    script::script(move |mut connection: Connection| {
        let again = again.clone();
        async move {
            if connection.request().await.is_none() {
                return;
            }
            connection.write(head).await;
            while connection.is_in_order() {
                connection.write(&again).await;
            }
        }
    })
}

/// A gateway with the slow upstream at `/websocket` and an honest one at `/honest`.
async fn gateway(proxy: WebSocketProxy, honest: &Upstream) -> Gateway {
    let echo = WebSocketProxy::to(&format!("http://{}", honest.addr())).unwrap();
    let app = Router::new()
        .route("/websocket", any(proxy))
        .route("/honest", any(echo));
    Gateway::serving(app).await
}

fn proxy(upstream: &Upstream) -> WebSocketProxy {
    lenient(WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap())
}

/// The client is told 504 when the limit is over, and the upstream's connection is gone.
async fn gives_up(upstream: Upstream, proxy: WebSocketProxy, failure: &str) {
    let _trace = trace::init();
    let honest = Upstream::tcp(script::echo()).await;
    let gateway = gateway(proxy, &honest).await;
    let tasks = Tasks::now();
    for protocol in Protocol::BOTH {
        let begun = Instant::now();
        let target = gateway.target();
        let asked = target.visit(protocol, Handshake::of("/websocket"));
        let (refused, ()) = tokio::join!(asked, serves(&target, "/honest"));
        let refused = refused.unwrap_err();
        took_its_time(begun);
        assert_eq!(refused.response.status, 504);
        let body = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(body.contains(failure), "{body}");
    }
    upstream
        .until("both connections' end", |seen| {
            seen.len() == 2 && seen.iter().all(|seen| seen.ended)
        })
        .await;
    drop(upstream);
    tasks.settle().await;
    gateway.join().await;
    honest.join().await;
}

#[tokio::test]
async fn an_upstream_that_dribbles_its_tls_handshake() {
    // A ServerHello that is longer than it has patience.
    let upstream = Upstream::tcp(dribbling(b"\x16\x03\x03\x3f\xff\x02\0\x3f\xfb", false)).await;
    let tls = UpstreamTls::ca_pem(TestCa::new().pem()).unwrap();
    let endpoint = format!("https://{}", upstream.addr());
    let proxy = WebSocketProxy::to_with_tls(&endpoint, tls).unwrap();
    let proxy = lenient(proxy).connect_timeout(SHORT);
    gives_up(upstream, proxy, "did not take the connection within 400ms").await;
}

#[tokio::test]
async fn an_upstream_that_dribbles_its_head() {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nX: ";
    let upstream = Upstream::tcp(dribbling(head, true)).await;
    let proxy = proxy(&upstream).handshake_timeout(SHORT);
    gives_up(upstream, proxy, "did not answer the handshake within 400ms").await;
}

#[tokio::test]
async fn an_upstream_with_hints_and_no_end() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    let upstream = Upstream::tcp(repeating("", hints.into())).await;
    let proxy = proxy(&upstream).handshake_timeout(SHORT);
    gives_up(upstream, proxy, "did not answer the handshake within 400ms").await;
}

#[tokio::test]
async fn a_refusal_that_dribbles_is_broken_off() {
    let trace = trace::init();
    let head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\n";
    let upstream = Upstream::tcp(dribbling(head, true)).await;
    let honest = Upstream::tcp(script::echo()).await;
    let gateway = gateway(proxy(&upstream).refusal_timeout(SHORT), &honest).await;
    let tasks = Tasks::now();

    let begun = Instant::now();
    let mut h1 = gateway.target().h1().await;
    let answer = h1.answer(&Handshake::of("/websocket")).await;
    assert_eq!(answer.status, 403);
    serves(&gateway.target(), "/honest").await;
    let body = h1.rest().await;
    assert!(
        !body.is_empty() && body.len() < 1000,
        "{} bytes",
        body.len()
    );
    took_its_time(begun);

    let mut h2 = gateway.target().h2().await;
    let begun = Instant::now();
    let (answer, mut stream) = h2.answer(Handshake::of("/websocket")).await;
    assert_eq!(answer.status, 403);
    let mut body = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut body);
    let error = within("the end of the body", read).await.unwrap_err();
    assert!(error.to_string().contains("stream"), "{error}");
    took_its_time(begun);
    drop(stream);
    h2.join().await;

    trace.until("takes too long", 2).await;
    upstream
        .until("both connections' end", |seen| {
            seen.iter().all(|seen| seen.ended)
        })
        .await;
    drop(upstream);
    tasks.settle().await;
    gateway.join().await;
    honest.join().await;
}

#[tokio::test]
async fn a_refusal_that_nobody_reads_holds_no_upstream() {
    let _trace = trace::init();
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 10000000000\r\n\r\n";
    let upstream = Upstream::tcp(repeating(head, vec![b'x'; 1 << 16])).await;
    let honest = Upstream::tcp(script::echo()).await;
    let gateway = gateway(proxy(&upstream).refusal_timeout(SHORT), &honest).await;
    let tasks = Tasks::now();

    // Neither reads more than the head; over HTTP/2 the window of the stream is used up.
    let begun = Instant::now();
    let mut h1 = gateway.target().h1().await;
    assert_eq!(h1.answer(&Handshake::of("/websocket")).await.status, 403);
    let mut h2 = gateway.target().h2().await;
    let (answer, stream) = h2.answer(Handshake::of("/websocket")).await;
    assert_eq!(answer.status, 403);
    // The connection itself is as good as ever.
    let mut beside = h2.tunnel(Handshake::of("/honest")).await;
    upstream
        .until("both connections' end", |seen| {
            seen.len() == 2 && seen.iter().all(|seen| seen.ended)
        })
        .await;
    took_its_time(begun);
    beside.send(wsgate_tests::Frame::text("hi")).await;
    assert_eq!(beside.frame().await, wsgate_tests::Frame::text("hi"));
    beside.close(1000, "").await;

    drop((h1, stream));
    h2.join().await;
    drop(upstream);
    tasks.settle().await;
    gateway.join().await;
    honest.join().await;
}

/// A request with a body is refused for its head, and its body not waited for.
#[tokio::test]
async fn a_body_that_dribbles_is_not_waited_for() {
    let _trace = trace::init();
    let honest = Upstream::tcp(script::echo()).await;
    let gateway = gateway(proxy(&honest), &honest).await;
    let tasks = Tasks::now();
    let mut h1 = gateway.target().h1().await;
    let handshake = Handshake::of("/websocket")
        .method("POST")
        .field("Content-Length", "1000000000");
    let answer = h1.answer(&handshake).await;
    assert_eq!(answer.status, 405);
    within("the end of the connection", h1.rest()).await;
    tasks.settle().await;

    let mut h2 = gateway.target().h2().await;
    let post = Handshake::of("/websocket").method("POST");
    let (answer, stream) = h2.answer(post).await;
    assert_eq!(answer.status, 405);
    // The stream stays as open as its client likes, and costs nobody but the connection anything.
    sleep(Duration::from_millis(20)).await;
    drop(stream);
    h2.join().await;
    tasks.settle().await;
    gateway.join().await;
    honest.join().await;
}

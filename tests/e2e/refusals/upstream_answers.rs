//! Upstreams that answer something else than 101: it is the client's, whole.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use wsgate_tests::client::{Handshake, Protocol, Refused};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::{Script, Upstream, script};
use wsgate_tests::{trace, within};

use super::{check, proxy, refusals};

#[track_caller]
fn check_passed(refused: &Refused, status: u16, fields: &[(&str, &str)], body: &str) {
    assert_eq!(refused.response.status, status);
    for (name, value) in fields {
        assert_eq!(refused.response.fields.all(name), [*value], "{name}");
    }
    assert_eq!(refused.body, body);
}

#[tokio::test]
async fn a_challenge_passes_whole() {
    let _trace = trace::init();
    let fields = [
        (
            "WWW-Authenticate",
            "Bearer realm=\"chat\", error=\"invalid_token\"",
        ),
        ("Content-Type", "application/problem+json"),
        ("Content-Length", "17"),
    ];
    let upstream = script::respond("401 Unauthorized", &fields[..2], "{\"who\":\"are you\"}");
    for refused in refusals(upstream).await {
        check_passed(&refused, 401, &fields, "{\"who\":\"are you\"}");
    }
}

#[tokio::test]
async fn a_redirect_passes_with_its_location() {
    let _trace = trace::init();
    let fields = [
        ("Location", "https://login.example/?next=%2Fwebsocket"),
        ("Set-Cookie", "a=1"),
    ];
    for refused in refusals(script::respond("302 Found", &fields, "")).await {
        check_passed(&refused, 302, &fields, "");
    }
}

#[tokio::test]
async fn the_reason_phrase_may_be_anything() {
    let _trace = trace::init();
    for refused in refusals(script::respond("429 Slow Down, Please", &[], "later")).await {
        check_passed(&refused, 429, &[], "later");
    }
    for refused in refusals(script::respond("599 ", &[], "odd")).await {
        check_passed(&refused, 599, &[], "odd");
    }
}

#[tokio::test]
async fn a_body_passes_however_it_ends() {
    let _trace = trace::init();
    for answer in [
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n5\r\n you!\r\n0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\n\r\nnot you!",
        "HTTP/1.1 403 Forbidden\r\n\r\nnot you!",
        "HTTP/1.0 403 Forbidden\r\n\r\nnot you!",
    ] {
        for refused in refusals(script::answer(answer)).await {
            check_passed(&refused, 403, &[], "not you!");
        }
    }
}

#[tokio::test]
async fn early_hints_before_it_are_passed_over() {
    let _trace = trace::init();
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n\
                  HTTP/1.1 100 Continue\r\n\r\n\
                  HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno\n";
    for refused in refusals(script::answer(answer)).await {
        check_passed(&refused, 401, &[("WWW-Authenticate", "Basic")], "no\n");
        assert_eq!(refused.response.fields.get("link"), None);
    }
}

/// An HTTP/1.1 client knows that a 2xx is no tunnel. Over HTTP/2 it would be one.
#[tokio::test]
async fn success_passes_over_http1_and_is_no_tunnel_over_http2() {
    let trace = trace::init();
    for (status, body) in [(200, "<!doctype html>hello"), (204, "")] {
        let upstream = Upstream::tcp(match status {
            200 => script::respond("200 OK", &[("Content-Type", "text/html")], body),
            _ => script::answer("HTTP/1.1 204 No Content\r\n\r\n"),
        })
        .await;
        let endpoint = format!("http://{}", upstream.addr());
        let gateway = Gateway::proxying(proxy(upstream.addr())).await;
        let refused = gateway.target().refused(Handshake::of("/websocket")).await;
        check_passed(&refused, status, &[], body);

        let visit = gateway
            .target()
            .visit(Protocol::Http2, Handshake::of("/websocket"))
            .await;
        let sentence = format!(
            "upstream {endpoint} failed the handshake: it answered {status} where a handshake \
             wants 101"
        );
        check(&visit.unwrap_err(), 502, &sentence);
        assert_eq!(trace.find(&sentence).len(), 1);
        upstream.ended(2).await;
        gateway.join().await;
    }
}

/// Answers with the first part of a body, and with the rest when it is told to.
fn in_two_parts(go_on: Arc<Notify>) -> Script {
    script::script(move |mut connection| {
        let go_on = Arc::clone(&go_on);
        async move {
            connection.request().await;
            let length = FIRST.len() + REST;
            connection
                .write(format!(
                    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: {length}\r\n\r\n"
                ))
                .await;
            connection.write(FIRST).await;
            go_on.notified().await;
            connection.write(vec![b'x'; REST]).await;
            connection.drain().await;
        }
    })
}

const FIRST: &[u8] = b"the first of many lines\n";
const REST: usize = 8 << 20;

#[tokio::test]
async fn a_large_body_is_streamed() {
    let _trace = trace::init();
    let go_on = Arc::new(Notify::new());
    let upstream = Upstream::tcp(in_two_parts(Arc::clone(&go_on))).await;
    let gateway = Gateway::proxying(proxy(upstream.addr())).await;

    let mut h1 = gateway.target().h1().await;
    let head = h1.answer(&Handshake::of("/websocket")).await;
    let length = (FIRST.len() + REST).to_string();
    assert_eq!(
        (head.status, head.fields.get("content-length")),
        (500, Some(&*length))
    );
    // The upstream has not written the rest yet.
    assert_eq!(h1.part(FIRST.len()).await, FIRST);
    go_on.notify_one();
    assert_eq!(h1.part(REST).await, vec![b'x'; REST]);
    assert_eq!(h1.get("/").await.body, "an ordinary page");

    let mut h2 = gateway.target().h2().await;
    let (head, mut body) = h2.answer(Handshake::of("/websocket")).await;
    assert_eq!(
        (head.status, head.fields.get("content-length")),
        (500, Some(&*length))
    );
    let mut first = vec![0; FIRST.len()];
    within("the first part", body.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(first, FIRST);
    go_on.notify_one();
    let mut rest = Vec::new();
    within("the rest", body.read_to_end(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, vec![b'x'; REST]);
    assert_eq!(h2.get("/").await.body, "an ordinary page");

    drop((h1, body));
    h2.join().await;
    upstream.ended(2).await;
    gateway.join().await;
}

/// Ends the connection in the middle of a body, when it is told to.
fn breaking_off(go_on: Arc<Notify>) -> Script {
    script::script(move |mut connection| {
        let go_on = Arc::clone(&go_on);
        async move {
            connection.request().await;
            connection
                .write("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nhalf of")
                .await;
            go_on.notified().await;
        }
    })
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_look_whole() {
    let _trace = trace::init();
    let go_on = Arc::new(Notify::new());
    let upstream = Upstream::tcp(breaking_off(Arc::clone(&go_on))).await;
    let gateway = Gateway::proxying(proxy(upstream.addr())).await;

    let mut h2 = gateway.target().h2().await;
    let (head, mut body) = h2.answer(Handshake::of("/websocket")).await;
    assert_eq!(head.status, 500);
    go_on.notify_one();
    let mut read = String::new();
    let error = within("the end of the body", body.read_to_string(&mut read))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("stream error"), "{error}");

    let mut h1 = gateway.target().h1().await;
    let head = h1.answer(&Handshake::of("/websocket")).await;
    assert_eq!(
        (head.status, head.fields.get("content-length")),
        (500, Some("100"))
    );
    assert_eq!(h1.part(7).await, "half of");
    go_on.notify_one();
    assert_eq!(
        h1.rest().await,
        "",
        "the connection is of no use without the rest"
    );
    drop(body);
    h2.join().await;
    upstream.ended(2).await;
    gateway.join().await;
}

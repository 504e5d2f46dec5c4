//! Handshakes whose fields HTTP/2 forbids, or that ask for what is none.

use axum::Router;
use axum::routing::any;
use wsgate::WebSocketProxy;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, code};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::connect;

/// Changes a good handshake: a field is replaced, or taken out, or added.
fn bent(
    changes: &[(&'static str, Option<&'static str>)],
    more: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    let mut fields = connect("localhost");
    for &(name, value) in changes {
        match value {
            Some(value) => fields
                .iter_mut()
                .filter(|f| f.0 == name)
                .for_each(|f| f.1 = value),
            None => fields.retain(|f| f.0 != name),
        }
    }
    fields.extend(more);
    fields
}

/// Each on a connection of its own, before a proxy that gets all there is.
#[tokio::test]
async fn a_bent_handshake_never_reaches_the_upstream() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
    let app = Router::new()
        .fallback_service(proxy.clone())
        .route("/websocket", any(proxy));
    let gateway = Gateway::serving(app).await;

    let malformed = Outcome::Reset(code::PROTOCOL_ERROR);
    // Some of it h2 takes for an error of the connection.
    let broken = Outcome::GoneAway(code::PROTOCOL_ERROR);
    let refused = Outcome::Status(400);
    for (fields, expected) in [
        // RFC 8441, 4: what else has :protocol, and what is there besides.
        (bent(&[(":protocol", Some("websocket2"))], &[]), refused),
        (bent(&[(":protocol", Some("h2c"))], &[]), refused),
        (bent(&[(":protocol", Some(""))], &[]), refused),
        (bent(&[], &[(":protocol", "websocket")]), malformed),
        (bent(&[(":method", Some("GET"))], &[]), malformed),
        (bent(&[(":method", Some("POST"))], &[]), malformed),
        (bent(&[(":protocol", None)], &[]), malformed),
        (
            bent(
                &[(":protocol", None), (":scheme", None), (":path", None)],
                &[],
            ),
            refused,
        ),
        (bent(&[(":method", None)], &[]), malformed),
        (bent(&[(":scheme", None)], &[]), malformed),
        (bent(&[(":path", None)], &[]), malformed),
        (bent(&[], &[(":method", "CONNECT")]), malformed),
        (bent(&[], &[(":status", "200")]), malformed),
        (bent(&[], &[(":upgrade", "websocket")]), malformed),
        // Odd paths.
        (bent(&[(":path", Some(""))], &[]), malformed),
        (bent(&[(":path", Some("*"))], &[]), refused),
        (bent(&[(":path", Some("websocket"))], &[]), malformed),
        (bent(&[(":path", Some("?a"))], &[]), refused),
        (
            bent(&[(":path", Some("https://evil.example/"))], &[]),
            malformed,
        ),
        (bent(&[(":path", Some("/a b"))], &[]), malformed),
        (
            bent(&[(":path", Some("/a\r\nX-Injected: 1"))], &[]),
            malformed,
        ),
        (
            bent(
                &[(":path", Some("/a HTTP/1.1\r\nHost: b\r\n\r\nGET /c"))],
                &[],
            ),
            malformed,
        ),
        (bent(&[(":path", Some("/a\0"))], &[]), malformed),
        // Odd schemes.
        (bent(&[(":scheme", Some("ftp"))], &[]), refused),
        (bent(&[(":scheme", Some("wss"))], &[]), refused),
        (
            bent(&[(":scheme", Some("https\r\nX-Injected: 1"))], &[]),
            malformed,
        ),
        (bent(&[(":scheme", Some(""))], &[]), refused),
        // Odd authorities.
        (
            bent(&[(":authority", Some("user@localhost"))], &[]),
            refused,
        ),
        (
            bent(&[(":authority", Some("localhost/evil"))], &[]),
            malformed,
        ),
        (
            bent(&[(":authority", Some("localhost evil"))], &[]),
            malformed,
        ),
        (
            bent(&[(":authority", Some("localhost\r\nX-Injected: 1"))], &[]),
            malformed,
        ),
        (
            bent(&[(":authority", Some("a.example,b.example"))], &[]),
            refused,
        ),
        (bent(&[(":authority", None)], &[]), refused),
        (bent(&[], &[(":authority", "localhost")]), malformed),
        (bent(&[], &[("host", "evil.example")]), refused),
        (
            bent(&[], &[("host", "localhost"), ("host", "evil.example")]),
            refused,
        ),
        // What belongs to HTTP/1.1 (RFC 9113, 8.2.2).
        (bent(&[], &[("connection", "Upgrade")]), malformed),
        (bent(&[], &[("upgrade", "websocket")]), malformed),
        (bent(&[], &[("transfer-encoding", "chunked")]), malformed),
        (bent(&[], &[("keep-alive", "timeout=5")]), malformed),
        (bent(&[], &[("proxy-connection", "keep-alive")]), malformed),
        (bent(&[], &[("te", "gzip")]), malformed),
        // Header injection (RFC 9113, 8.2.1).
        (bent(&[], &[("x-a", "1\r\nX-Injected: 1")]), malformed),
        (bent(&[], &[("x-a", "1\nX-Injected: 1")]), malformed),
        (bent(&[], &[("x-a", "1\0")]), malformed),
        (bent(&[], &[("x-a\r\nx-injected", "1")]), malformed),
        (bent(&[], &[("x a", "1")]), malformed),
        (bent(&[], &[("X-A", "1")]), malformed),
        (bent(&[], &[("", "1")]), malformed),
        (bent(&[], &[("x:a", "1")]), malformed),
        // The handshake itself (RFC 6455, 4.2.1).
        (
            bent(&[("sec-websocket-version", Some("8"))], &[]),
            Outcome::Status(426),
        ),
        (
            bent(&[], &[("sec-websocket-version", "13")]),
            Outcome::Status(426),
        ),
    ] {
        let mut client = gateway.target().frames(&[]).await;
        client.send(&[Http2Frame::headers(1, &fields, false)]).await;
        let outcome = client.answer(1).await;
        let fits = outcome == expected || (expected, outcome) == (malformed, broken);
        assert!(fits, "{outcome:?} and not {expected:?}: {fields:?}");
        assert_eq!(upstream.seen().len(), 0, "{fields:?}");
        if outcome == broken {
            continue;
        }
        // It can go on as if nothing had been.
        client
            .send(&[Http2Frame::headers(3, super::GET, true)])
            .await;
        assert_eq!(client.answer(3).await, Outcome::Status(405), "{fields:?}");
    }
    // A body, for which hyper ends the connection without a word, and h2 with one.
    for lengths in [
        &[("content-length", "5")][..],
        &[("content-length", "+0")],
        &[("content-length", "0"), ("content-length", "5")],
    ] {
        let mut client = gateway.target().frames(&[]).await;
        client
            .send(&[Http2Frame::headers(1, &bent(&[], lengths), false)])
            .await;
        let outcome = client.answer(1).await;
        assert!(
            !matches!(outcome, Outcome::Status(200..300)),
            "{outcome:?}: {lengths:?}"
        );
        assert_eq!(upstream.seen().len(), 0, "{lengths:?}");
    }
    upstream.join().await;
    gateway.join().await;
}

/// What is odd and harmless.
#[tokio::test]
async fn an_odd_handshake_arrives_clean() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::recording(None)).await;
    let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
    let gateway = Gateway::serving(Router::new().fallback_service(proxy)).await;
    for (fields, target, host) in [
        (
            bent(&[(":scheme", Some("http"))], &[]),
            "/websocket",
            "localhost",
        ),
        (
            bent(&[(":protocol", Some("WebSocket"))], &[]),
            "/websocket",
            "localhost",
        ),
        (
            bent(&[(":path", Some("//evil.example/%0d%0a?a"))], &[]),
            "//evil.example/%0d%0a?a",
            "localhost",
        ),
        (bent(&[(":path", Some("/a#b"))], &[]), "/a", "localhost"),
        (
            bent(&[], &[("host", "LOCALHOST:443")]),
            "/websocket",
            "localhost",
        ),
        (bent(&[], &[("te", "trailers")]), "/websocket", "localhost"),
        // Its own key counts as little as its Forwarded.
        (
            bent(
                &[],
                &[
                    ("sec-websocket-key", "c21hbGw="),
                    ("x-forwarded-for", "6.6.6.6"),
                ],
            ),
            "/websocket",
            "localhost",
        ),
        (
            bent(
                &[],
                &[("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
            ),
            "/websocket",
            "localhost",
        ),
    ] {
        let mut client = gateway.target().frames(&[]).await;
        client.send(&[Http2Frame::headers(1, &fields, false)]).await;
        assert_eq!(client.answer(1).await, Outcome::Status(200), "{fields:?}");
        let seen = upstream.seen().pop().unwrap();
        let head = seen.request();
        assert_eq!((&*head.method, &*head.target), ("GET", target));
        for (name, value) in [
            ("host", host),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("x-forwarded-for", "127.0.0.1"),
            // Whatever `:scheme` says.
            ("x-forwarded-proto", "https"),
        ] {
            assert_eq!(head.fields.all(name), [value], "{name}: {fields:?}");
        }
        let [key] = head.fields.all("sec-websocket-key")[..] else {
            panic!("one key: {head:?}")
        };
        assert_ne!(key, "c21hbGw=");
        assert_eq!(
            (head.fields.get("te"), head.fields.get("content-length")),
            (None, None)
        );
    }
    upstream.join().await;
    gateway.join().await;
}

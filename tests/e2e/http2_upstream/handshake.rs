//! What is said in HTTP/1.1 and in HTTP/2 by the same handshake, and its answers.

use std::time::Duration;

use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::http2::{Http2Upstream, Offer};
use wsgate_tests::{Frame, trace};

use super::{Client, Http2, Stage, plain, proxy};

#[tokio::test]
async fn an_upgrade_becomes_an_extended_connect_and_its_answer_a_101() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut stage = Stage::start(protocol).await;
        let mut handshake = Handshake::of("/websocket/room?id=7")
            .field("Host", "chat.example")
            .field("Cookie", "a=1; b=2")
            .field("Sec-WebSocket-Protocol", "chat, superchat")
            .field("Sec-WebSocket-Extensions", "permessage-deflate");
        if protocol == Protocol::Http1 {
            // In HTTP/2 it would forbid every frame.
            handshake = handshake.field("Content-Length", "0");
        }
        let upstream = async {
            let asked = stage.upstream.asked().await;
            assert_eq!(asked.method(), "CONNECT");
            assert_eq!(asked.protocol(), Some("websocket"));
            let path = asked.uri().path_and_query().unwrap();
            assert_eq!(path, "/websocket/room?id=7");
            assert_eq!(asked.uri().scheme_str(), Some("http"));
            let fields = asked.fields();
            let one = |name: &str| fields.get(name).map(|v| v.to_str().unwrap().to_owned());
            assert_eq!(one("sec-websocket-version").as_deref(), Some("13"));
            assert_eq!(one("cookie").as_deref(), Some("a=1; b=2"));
            assert_eq!(one("x-forwarded-for").as_deref(), Some("127.0.0.1"));
            assert_eq!(one("x-forwarded-proto").as_deref(), Some("https"));
            for gone in [
                "host",
                "upgrade",
                "connection",
                "sec-websocket-key",
                "content-length",
            ] {
                assert_eq!(one(gone), None, "{gone}");
            }
            if protocol == Protocol::Http1 {
                assert_eq!(asked.uri().authority().unwrap(), "chat.example");
            }
            asked.accept_with(&[
                ("sec-websocket-protocol", "chat"),
                ("sec-websocket-extensions", "permessage-deflate"),
                ("set-cookie", "s=1"),
            ])
        };
        let (opened, mut upstream) = tokio::join!(stage.client.knock(handshake), upstream);
        let mut opened = opened.unwrap();
        let fields = &opened.response.fields;
        assert_eq!(fields.get("sec-websocket-protocol"), Some("chat"));
        assert_eq!(
            fields.get("sec-websocket-extensions"),
            Some("permessage-deflate")
        );
        assert_eq!(fields.get("set-cookie"), Some("s=1"));
        match protocol {
            Protocol::Http1 => {
                // RFC 6455 1.3: the accept to the one key that all know.
                let accept = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
                assert_eq!(fields.get("sec-websocket-accept"), accept);
                assert_eq!(opened.response.status, 101);
            }
            Protocol::Http2 => {
                assert_eq!(fields.get("sec-websocket-accept"), None);
                assert_eq!(opened.response.status, 200);
            }
        }
        opened.tunnel.send(Frame::text("up")).await;
        assert_eq!(upstream.frame().await.unmasked(), Frame::text("up"));
        upstream.send(Frame::text("down")).await;
        assert_eq!(opened.tunnel.frame().await, Frame::text("down"));
    }
}

#[tokio::test]
async fn a_refusal_passes_with_its_fields_and_its_body() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut stage = Stage::start(protocol).await;
        // Further than the window of a stream.
        let long = "not today. ".repeat(50_000);
        for (status, body) in [(403, "not you"), (401, ""), (503, "busy"), (404, &long)] {
            let body = body.to_owned();
            let upstream = async {
                let asked = stage.upstream.asked().await;
                asked.refuse(status, &[("x-reason", "a reason")], body.clone());
            };
            let (refused, ()) = tokio::join!(stage.client.refused(), upstream);
            assert_eq!(refused.response.status, status);
            assert_eq!(refused.response.fields.get("x-reason"), Some("a reason"));
            assert_eq!(refused.body, body.as_bytes());
        }
        assert_eq!(stage.upstream.connections(), (1, 0));
    }
}

#[tokio::test]
async fn an_answer_outside_of_the_offer_is_a_bad_gateway() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut stage = Stage::start(protocol).await;
        let upstream = async {
            let asked = stage.upstream.asked().await;
            asked.accept_with(&[("sec-websocket-protocol", "chat")])
        };
        let (refused, mut upstream) = tokio::join!(stage.client.refused(), upstream);
        assert_eq!(refused.response.status, 502);
        let body = String::from_utf8(refused.body.to_vec()).unwrap();
        assert!(
            body.contains("chose the subprotocol `chat`, which was not offered"),
            "{body}"
        );
        // The stream that was opened for nothing is gone, and the connection is not.
        upstream.end().await;
        let (..) = stage.open().await;
        assert_eq!(stage.upstream.connections(), (1, 0));
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_costs_its_stream_and_not_its_connection() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut upstream = Http2Upstream::tcp(Offer::default()).await;
        let proxy = proxy(plain(upstream.addr(), Http2::Only));
        let proxy = proxy.handshake_timeout(Duration::from_millis(200));
        let gateway = Gateway::proxying(proxy).await;
        let mut client = Client::of(&gateway, protocol).await;
        let (refused, asked) = tokio::join!(client.refused(), upstream.asked());
        assert_eq!(refused.response.status, 504);
        assert_eq!(asked.cancelled().await, h2::Reason::CANCEL);
        let mut stage = Stage {
            upstream,
            gateway,
            client,
        };
        let (..) = stage.open().await;
        assert_eq!(stage.upstream.connections(), (1, 0));
    }
}

#[tokio::test]
async fn a_stream_that_was_not_processed_is_tried_again() {
    let _trace = trace::init();
    let mut stage = Stage::start(Protocol::Http1).await;
    let upstream = async {
        let asked = stage.upstream.asked().await;
        asked.reset(h2::Reason::REFUSED_STREAM);
        stage.upstream.asked().await.accept()
    };
    let handshake = Handshake::of("/websocket");
    let (opened, _upstream) = tokio::join!(stage.client.knock(handshake), upstream);
    assert_eq!(opened.unwrap().response.status, 101);
}

#[tokio::test]
async fn a_stream_that_may_have_been_processed_is_not() {
    let _trace = trace::init();
    let mut stage = Stage::start(Protocol::Http1).await;
    let upstream = async {
        let asked = stage.upstream.asked().await;
        asked.reset(h2::Reason::INTERNAL_ERROR);
    };
    let (refused, ()) = tokio::join!(stage.client.refused(), upstream);
    assert_eq!(refused.response.status, 502);
    let body = String::from_utf8(refused.body.to_vec()).unwrap();
    assert!(body.contains("broke off the handshake"), "{body}");
}

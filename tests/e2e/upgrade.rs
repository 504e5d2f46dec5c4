//! A handshake and a conversation through the gateway, over both protocols, and what is logged.

use wsgate::WebSocketProxy;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, trace};

#[tokio::test]
async fn a_conversation_over_http1() {
    let trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let endpoint = format!("http://{}", upstream.addr());
    let gateway = Gateway::proxying(WebSocketProxy::to(&endpoint).unwrap()).await;

    let mut client = gateway
        .target()
        .tunnel(Handshake::of("/websocket?room=1"))
        .await;
    client.send(Frame::text("hello")).await;
    assert_eq!(client.frame().await, Frame::text("hello"));
    client.close(1000, "bye").await;

    let seen = upstream.join_one().await;
    assert_eq!(seen.request().target, "/websocket?room=1");
    assert_eq!(seen.close, Some((1000, "bye".to_owned())));
    gateway.join().await;

    let [closed] = &trace.find("tunnel closed")[..] else {
        panic!("one event a tunnel: {:?}", trace.events());
    };
    assert_eq!(closed.spans, ["tunnel"]);
    for (field, value) in [
        ("route", "/websocket"),
        ("endpoint", endpoint.as_str()),
        ("protocol", "HTTP/1.1"),
        ("client_messages", "1"),
        ("upstream_messages", "1"),
        ("closed_by", "client"),
        ("cause", "close"),
        ("close_code", "1000"),
        ("close_reason", "bye"),
    ] {
        assert_eq!(closed.field(field), value, "{field}");
    }
    assert!(closed.field("client").starts_with("127.0.0.1:"));
}

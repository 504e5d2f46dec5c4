//! The log of a WebSocket.

use wsgate::layer::ObserveLayer;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::Http;
use wsgate_tests::{Frame, trace};

use super::super::{House, Visitor};

/// With the names of OpenTelemetry's conventions, before axum's own WebSockets.
#[tokio::test]
async fn the_log_of_one() {
    let trace = trace::init();
    for (at, http) in Http::BOTH.into_iter().enumerate() {
        let house = House::start().await;
        let app = house.router().layer(ObserveLayer::tracing());
        let gateway = Gateway::serving(app).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;
        let mut client = visitor.enter("/axum").await;
        client.send(Frame::text("hello")).await;
        assert_eq!(client.frame().await, Frame::text("hello"));
        client.close(1000, "bye").await;
        house.app.until_told(1).await;

        let closed = &trace.until("websocket closed", at + 1).await[at];
        assert_eq!(closed.spans, ["websocket"]);
        let (version, method, status) = match http {
            Http::One => ("1.1", "GET", "101"),
            Http::Two => ("2", "CONNECT", "200"),
        };
        for (field, value) in [
            ("network.protocol.version", version),
            ("http.request.method", method),
            ("http.response.status_code", status),
            ("http.route", "/axum"),
            ("url.scheme", "https"),
            ("client.address", "127.0.0.1"),
            ("server.address", "localhost"),
            ("websocket.closed_by", "client"),
            ("websocket.cause", "close"),
            ("websocket.close_code", "1000"),
            ("websocket.close_reason", "bye"),
            ("websocket.from_client_messages", "1"),
            ("websocket.from_client_bytes", "22"),
            ("websocket.to_client_bytes", "14"),
        ] {
            assert_eq!(closed.field(field), value, "{field}");
        }
        visitor.leave().await;
        gateway.join().await;
        house.join().await;
    }
}

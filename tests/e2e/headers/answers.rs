//! Which fields of the upstream's answer reach the client.

use wsgate::WebSocketProxy;
use wsgate_tests::ResponseHead;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Script, Upstream, script};

/// The fields of an answer that the upstream made up, and those that are the gateway's business.
const FIELDS: &str = "Sec-WebSocket-Protocol: chat\r\n\
                      Set-Cookie: session=1; HttpOnly\r\n\
                      Server: upstream/1.0\r\n\
                      Set-Cookie: theme=dark\r\n\
                      X-Name: Zo\u{eb}\r\n\
                      Connection: keep-alive, X-Hop\r\n\
                      Keep-Alive: timeout=5\r\n\
                      Proxy-Connection: keep-alive\r\n\
                      TE: trailers\r\n\
                      X-Hop: 1\r\n";

/// What the client is answered, over both protocols.
async fn answers(script: Script) -> [ResponseHead; 2] {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script).await;
    let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
    let gateway = Gateway::proxying(proxy).await;
    let mut heads = Vec::new();
    for protocol in Protocol::BOTH {
        let handshake = Handshake::of("/websocket").field("Sec-WebSocket-Protocol", "chat, other");
        let answer = gateway.target().visit(protocol, handshake).await;
        heads.push(answer.unwrap_or_else(|refused| refused.response));
    }
    upstream.ended(2).await;
    gateway.join().await;
    heads.try_into().unwrap()
}

#[track_caller]
fn check(head: &ResponseHead, status: u16, own: &[(&str, &str)]) {
    assert_eq!(head.status, status);
    let fields = head
        .fields
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value));
    let mut fields: Vec<_> = fields.filter(|(name, _)| name != "date").collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    let upstreams = [
        ("sec-websocket-protocol", "chat"),
        ("server", "upstream/1.0"),
        ("set-cookie", "session=1; HttpOnly"),
        ("set-cookie", "theme=dark"),
        ("x-name", "Zo\u{eb}"),
    ];
    let mut expected: Vec<_> = upstreams.iter().chain(own).copied().collect();
    expected.sort_by_key(|(name, _)| *name);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn of_a_101_all_that_is_meant_for_the_client() {
    let [h1, h2] = answers(script::echo_with_fields(FIELDS)).await;
    let accept = ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), accept];
    check(&h1, 101, &upgrade);
    // HTTP/2 has neither an Upgrade nor a key to answer (RFC 8441, 5).
    check(&h2, 200, &[]);
}

#[tokio::test]
async fn and_of_any_other_answer() {
    let answer = format!("HTTP/1.1 403 Forbidden\r\n{FIELDS}Content-Length: 3\r\n\r\nno\n");
    for head in answers(script::answer(answer)).await {
        check(&head, 403, &[("content-length", "3")]);
    }
}

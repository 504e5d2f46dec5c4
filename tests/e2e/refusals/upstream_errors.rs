//! Upstreams that answer wrongly, or not at all.

use std::time::Duration;

use tracing::Level;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Script, Upstream, script, switching};

use super::{check, proxy, refused};

/// The client is told that it was the upstream, which one, and what; the log tells why.
async fn fails(script: Script, status: u16, failure: &str, cause: Option<&str>) {
    let trace = trace::init();
    let upstream = Upstream::tcp(script).await;
    let proxy = proxy(upstream.addr()).handshake_timeout(DEADLINE);
    let gateway = Gateway::proxying(proxy).await;
    let sentence = format!("upstream http://{} {failure}", upstream.addr());
    for refused in refused(&gateway).await {
        check(&refused, status, &sentence);
    }
    upstream.ended(2).await;
    gateway.join().await;

    let logged = trace.find(&sentence);
    assert_eq!(logged.len(), 2, "{:?}", trace.events());
    for event in logged {
        assert_eq!(
            (event.level, event.field("side")),
            (Level::WARN, "upstream")
        );
        assert_eq!(event.field("status"), status.to_string());
        assert_eq!(event.field("route"), "/websocket");
        assert!(event.field("client").starts_with("127.0.0.1:"));
        match cause {
            Some(cause) => assert!(event.field("cause").contains(cause), "{event:?}"),
            None => assert!(!event.fields.contains_key("cause"), "{event:?}"),
        }
    }
    assert!(
        trace.find("tunnel closed").is_empty(),
        "there was no tunnel"
    );
}

const DEADLINE: Duration = Duration::from_millis(200);

/// A good 101 but for one thing.
fn altered(from: &'static str, to: &'static str) -> Script {
    script::script(move |mut connection| async move {
        let request = connection.request().await.unwrap();
        let answer = switching(&request, "");
        assert!(answer.contains(from), "{answer}");
        connection.write(answer.replace(from, to)).await;
        connection.drain().await;
    })
}

#[tokio::test]
async fn a_101_that_does_not_answer_the_handshake() {
    let upgrade = "Upgrade: websocket\r\n";
    let accept = "its 101 has not the `Sec-WebSocket-Accept` that answers the key";
    for (script, wrong) in [
        (script::wrong_accept(), accept),
        (altered("Sec-WebSocket-Accept", "X-Accept"), accept),
        (altered(upgrade, ""), "its 101 has no `Upgrade: websocket`"),
        (
            altered(upgrade, "Upgrade: h2c\r\n"),
            "its 101 has no `Upgrade: websocket`",
        ),
        (
            altered("Connection: Upgrade", "Connection: close"),
            "its 101 has no `Connection: Upgrade`",
        ),
        (
            altered(
                upgrade,
                "Upgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n",
            ),
            "its 101 chose the subprotocol `chat`, which was not offered",
        ),
        (
            altered(
                upgrade,
                "Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate; \
                 server_no_context_takeover\r\n",
            ),
            "its 101 agreed to the extension `permessage-deflate`, which was not offered",
        ),
    ] {
        fails(script, 502, &format!("failed the handshake: {wrong}"), None).await;
    }
}

#[tokio::test]
async fn something_that_is_not_http() {
    for (answer, cause) in [
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "invalid HTTP version"),
        // A fatal alert, as every TLS server answers a plain request with.
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{46}", "invalid HTTP"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nnot a field\r\n\r\n",
            "invalid HTTP header",
        ),
    ] {
        fails(
            script::answer(answer),
            502,
            "did not answer in HTTP/1.1",
            Some(cause),
        )
        .await;
    }
    let endless = format!(
        "HTTP/1.1 101 Switching Protocols\r\nX: {}",
        "x".repeat(1 << 20)
    );
    fails(
        script::answer(endless),
        502,
        "did not answer in HTTP/1.1",
        Some("too large"),
    )
    .await;
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer() {
    let broken = "broke off the handshake";
    let at_once = script::script(|mut connection| async move {
        connection.request().await;
    });
    fails(
        at_once,
        502,
        broken,
        Some("closed before message completed"),
    )
    .await;
    let half = script::answer("HTTP/1.1 101 Switching Prot");
    fails(half, 502, broken, Some("closed before message completed")).await;
}

#[tokio::test]
async fn a_connection_that_is_reset() {
    let broken = "broke off the handshake";
    // Whether writing or reading finds out first is the kernel's choice.
    fails(script::reset_on_accept(), 502, broken, Some("")).await;
    fails(script::reset_in_handshake(), 502, broken, Some("reset")).await;
}

#[tokio::test]
async fn silence() {
    let late = "did not answer the handshake within 200ms";
    fails(script::silence(), 504, late, None).await;
    let half = script::script(|mut connection| async move {
        connection.request().await;
        connection
            .write("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 ")
            .await;
        connection.drain().await;
    });
    fails(half, 504, late, None).await;
}

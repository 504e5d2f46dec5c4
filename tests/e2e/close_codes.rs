//! What each peer's application is told when a gateway ends its tunnel. It decides which codes a
//! gateway may send: a code that a peer takes for a broken frame turns an orderly end into a failure.

use futures_util::StreamExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use wsgate_tests::browser::Browser;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::Target;
use wsgate_tests::peers::{Event, Peer};
use wsgate_tests::upstream::{Script, Upstream, script, switching};
use wsgate_tests::{Frame, trace};

/// Serves an empty page at `/`, and at `/<code>` a WebSocket that is closed at once with that code.
fn closing() -> Script {
    script::script(|mut connection| async move {
        let Some(request) = connection.request().await else {
            return;
        };
        // Browsers ask for an icon as well.
        let Ok(code) = request.target[1..].parse() else {
            connection
                .write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
            return connection.drain().await;
        };
        connection.write(switching(&request, "")).await;
        let mut tunnel = connection.into_tunnel();
        tunnel.send(Frame::close(code, REASON)).await;
        tunnel.frame().await;
        tunnel.shutdown().await;
    })
}

async fn start() -> (TestCa, Upstream, Target) {
    let ca = TestCa::new();
    let server = Upstream::tls(ca.server(&["localhost"], &["http/1.1"]), closing()).await;
    let target = Target::tls(server.addr(), &ca);
    (ca, server, target)
}

#[tokio::test]
async fn chromium_is_told_every_code_of_a_gateway() {
    let _trace = trace::init();
    let (ca, server, target) = start().await;
    let browser = Browser::start(&ca.pem()).await;
    browser
        .open(&format!("https://{}/", target.authority()))
        .await;
    for code in CODES {
        let url = target.url(&format!("/{code}"));
        let script = format!(
            "return await new Promise(resolve => {{\
                 const socket = new WebSocket('{url}');\
                 const saw = {{ error: false }};\
                 socket.onerror = () => saw.error = true;\
                 socket.onclose = ({{ code, reason, wasClean }}) =>\
                     resolve({{ ...saw, code, reason, wasClean }});\
             }})"
        );
        let expected = json!({ "code": code, "reason": REASON, "wasClean": true, "error": false });
        assert_eq!(browser.run(&script).await, expected);
    }
    browser.close().await;
    server.join().await;
}

#[tokio::test]
async fn node_and_python_are_told_every_code_of_a_gateway() {
    let _trace = trace::init();
    let (ca, server, target) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = ca.write(folder.path());
    for peer in Peer::ALL {
        for code in CODES {
            let saw = peer
                .client(&target.url(&format!("/{code}")), Some(&file))
                .run()
                .await;
            let close = Event::Close {
                code,
                reason: REASON.to_owned(),
                clean: true,
            };
            assert_eq!(saw[1..], [close], "{peer:?}");
        }
    }
    server.join().await;
}

/// axum's applications are tungstenite's too. When this fails, tungstenite has learnt the code, and
/// nothing speaks against 1014 any more.
#[tokio::test]
async fn tungstenite_takes_bad_gateway_for_a_violation() {
    let _trace = trace::init();
    let (_ca, server, target) = start().await;
    for code in CODES {
        let mut socket = target.tungstenite(&format!("/{code}")).await;
        let Some(Ok(Message::Close(Some(close)))) = socket.next().await else {
            panic!("expected a Close")
        };
        let told = (u16::from(close.code), close.reason.as_str());
        let expected = if code == BAD_GATEWAY {
            (1002, "Protocol violation")
        } else {
            (code, REASON)
        };
        assert_eq!(told, expected);
        while socket.next().await.is_some() {}
    }
    server.join().await;
}

/// Going away, policy, too big, internal error, service restart, try again later, bad gateway: see
/// the registry that RFC 6455, 11.7 set up.
const CODES: [u16; 7] = [1001, 1008, 1009, 1011, 1012, 1013, BAD_GATEWAY];

const BAD_GATEWAY: u16 = 1014;

const REASON: &str = "the reason";

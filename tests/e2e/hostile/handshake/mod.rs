//! Handshakes that want to be something else: smuggled, forged, doubled, over-long.
//!
//! Every test says what the upstream saw: nothing, or one handshake as a careful client sends it.

mod fields;
mod lengths;
mod overlong;
mod smuggling;
mod targets;

use wsgate::WebSocketProxy;
use wsgate_tests::ResponseHead;
use wsgate_tests::client::H1;
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::upstream::{Seen, Upstream, script};

/// A gateway before an upstream that records every byte.
struct Scene {
    upstream: Upstream,
    gateway: Gateway,
}

/// What comes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// A refusal, and nothing at the upstream.
    Refused(u16),
    /// A tunnel, and one clean handshake at the upstream, for this target.
    Opened(&'static str),
}

// ===== impl Scene =====

impl Scene {
    /// With an upstream that answers with these bytes, or accepts.
    async fn start(answer: Option<&str>) -> Self {
        Self::mounted(answer, gateway::app).await
    }

    /// With an app of one's own round the proxy.
    async fn mounted(
        answer: Option<&str>,
        app: impl FnOnce(WebSocketProxy) -> axum::Router,
    ) -> Self {
        let upstream = Upstream::tcp(script::recording(answer)).await;
        let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
        let gateway = Gateway::serving(app(proxy)).await;
        Self { upstream, gateway }
    }

    /// Sends these bytes over a connection of their own, and reads the head of the answer.
    async fn ask(&self, bytes: impl AsRef<[u8]>) -> (ResponseHead, H1) {
        let mut client = self.gateway.target().h1().await;
        client.say(bytes.as_ref()).await;
        (client.head().await, client)
    }

    /// Sends this request, and looks at what came of it on both sides. The upstream's connection ends
    /// with the client's.
    async fn check(&self, request: impl AsRef<[u8]>, fate: Fate) -> Option<Seen> {
        let request = request.as_ref();
        let told = request.escape_ascii().to_string();
        let before = self.upstream.seen().len();
        let (answer, client) = self.ask(request).await;
        drop(client);
        match fate {
            Fate::Refused(status) => {
                assert_eq!(answer.status, status, "{told}");
                assert_eq!(self.upstream.seen().len(), before, "{told}");
                None
            }
            Fate::Opened(target) => {
                assert_eq!(answer.status, 101, "{told}");
                let ended =
                    |seen: &Vec<Seen>| seen.len() > before && seen.iter().all(|seen| seen.ended);
                let seen = self.upstream.until("the end of the tunnel", ended);
                let mut seen = seen.await;
                assert_eq!(seen.len(), before + 1, "{told}");
                let seen = seen.pop().unwrap();
                check_clean(&seen, target, &told);
                Some(seen)
            }
        }
    }

    /// Waits for the ends of so many connections to the upstream.
    async fn ended(self, connections: usize) -> Vec<Seen> {
        let seen = self.upstream.ended(connections).await;
        self.gateway.join().await;
        seen
    }

    async fn join(self) -> Vec<Seen> {
        let seen = self.upstream.join().await;
        self.gateway.join().await;
        seen
    }
}

/// Whether the upstream was sent one handshake that no two readers can take for different things.
#[track_caller]
fn check_clean(seen: &Seen, target: &str, told: &str) {
    let request = seen.request();
    let raw = request.raw.escape_ascii().to_string();
    let about = format!("{told}\nbecame\n{raw}");
    let line = (&*request.method, &*request.target, &*request.version);
    assert_eq!(line, ("GET", target, "HTTP/1.1"), "{about}");
    // One line for each field, each ended by CR and LF, and neither of them anywhere else.
    let lines = 2 + request.fields.iter().count();
    let count = |byte| request.raw.iter().filter(|b| **b == byte).count();
    assert_eq!(
        (count(b'\r'), count(b'\n'), count(0)),
        (lines, lines, 0),
        "{about}"
    );
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ] {
        assert_eq!(request.fields.all(name), [value], "{name}: {about}");
    }
    assert_eq!(request.fields.all("host").len(), 1, "{about}");
    for never in [
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "http2-settings",
    ] {
        assert_eq!(request.fields.get(never), None, "{never}: {about}");
    }
}

/// A handshake with this first line, and these lines in place of the Host, each with its end.
fn request(line: &str, host: &str, more: &str) -> String {
    format!(
        "{line}\r\n{host}Upgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// The handshake of a good client, with these lines added.
fn with(more: &str) -> String {
    request(LINE, HOST, more)
}

const LINE: &str = "GET /websocket HTTP/1.1";
const HOST: &str = "Host: example.com\r\n";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

//! What must never be in a log: what clients show to be let in, and what they say.
//!
//! Each secret here begins with the same word, which then is nowhere in the log: neither of the program
//! at `--log-level trace`, nor of the library with all of its layers.

mod injection;
mod library;
mod program;

use std::time::Duration;

use wsgate_tests::client::{Handshake, Protocol, Target};
use wsgate_tests::upstream::{Script, Upstream, script, switching};
use wsgate_tests::{Frame, Tunnel};

const WORD: &str = "sesame";

/// A handshake with a secret in every place where applications have them.
fn handshake(path: &str) -> Handshake {
    Handshake::of(&format!(
        "{path}?token={WORD}-query&access_token={WORD}-oauth&{WORD}-name"
    ))
    .field("Cookie", &format!("session={WORD}-cookie"))
    .field("Authorization", &format!("Bearer {WORD}-bearer"))
    // Pages can set no other field.
    .field("Sec-WebSocket-Protocol", &format!("chat, {WORD}-protocol"))
    .field("Referer", &format!("https://localhost/?{WORD}-referer"))
    .field("User-Agent", &format!("{WORD}-agent"))
    .field("X-Api-Key", &format!("{WORD}-key"))
}

/// Upstreams that do each thing that one can do, and what comes of it for the client.
struct Upstreams {
    all: Vec<(&'static str, Upstream, u16)>,
}

impl Upstreams {
    async fn start() -> Self {
        let mut all = Vec::new();
        for (name, script, status) in [
            ("echo", script::echo_with_subprotocols(&["chat"]), 101),
            ("refusing", refusing(), 401),
            ("unavailable", unavailable(), 503),
            ("silent", script::silence(), 504),
            ("resetting", script::reset_in_handshake(), 502),
            ("wrong", script::wrong_accept(), 502),
            ("repeating", repeating(), 502),
            ("agreeing", agreeing(), 502),
            (
                "babbling",
                script::answer(format!("{WORD}-answer\r\n")),
                502,
            ),
        ] {
            all.push((name, Upstream::tcp(script).await, status));
        }
        Self { all }
    }

    /// Each with the path that leads to it and what a handshake there is answered with.
    fn each(&self) -> impl Iterator<Item = (String, String, u16)> {
        self.all.iter().map(|(name, upstream, status)| {
            let url = format!("http://{}", upstream.addr());
            (format!("/{name}"), url, *status)
        })
    }

    async fn join(self) {
        for (_, upstream, _) in self.all {
            upstream.join().await;
        }
    }
}

/// Says what it was told, as applications do for debugging.
fn refusing() -> Script {
    let cookie = format!("session={WORD}-set");
    let fields = [("Set-Cookie", &*cookie)];
    script::respond(
        "401 Unauthorized",
        &fields,
        &format!("{WORD}-body is no token"),
    )
}

fn unavailable() -> Script {
    script::respond("503 Service Unavailable", &[], &format!("{WORD}-body"))
}

/// Takes all subprotocols, tokens among them, which no client may be told.
fn repeating() -> Script {
    script::script(|mut connection| async move {
        if let Some(request) = connection.request().await {
            let offered = request.fields.all("sec-websocket-protocol").join(", ");
            let answer = format!("Sec-WebSocket-Protocol: {offered}\r\n");
            connection.write(switching(&request, &answer)).await;
            connection.drain().await;
        }
    })
}

/// Takes the token for the name of an extension.
fn agreeing() -> Script {
    script::script(|mut connection| async move {
        if let Some(request) = connection.request().await {
            let answer = format!("Sec-WebSocket-Extensions: x-new; key={WORD}-parameter\r\n");
            connection.write(switching(&request, &answer)).await;
            connection.drain().await;
        }
    })
}

/// Comes by each of the ways and over both protocols, opens what can be opened, and says secrets there.
async fn visit_each(target: &Target, upstreams: &Upstreams) {
    for (path, _, status) in upstreams.each() {
        for protocol in Protocol::BOTH {
            let handshake = handshake(&format!("{path}/{WORD}-path"));
            if status == 101 {
                converse(target, protocol, handshake).await;
                continue;
            }
            let visit = target.visit(protocol, handshake).await;
            let answered = visit.unwrap_err().response.status;
            assert_eq!(answered, status, "{path} over {protocol:?}");
        }
    }
}

async fn converse(target: &Target, protocol: Protocol, handshake: Handshake) {
    let talk = async |mut tunnel: Tunnel| {
        for frame in [
            Frame::text(format!("{WORD}-text")),
            Frame::binary(format!("{WORD}-binary")),
        ] {
            tunnel.send(frame.clone()).await;
            assert_eq!(tunnel.frame().await, frame);
        }
        tunnel.send(Frame::ping(format!("{WORD}-ping"))).await;
        tunnel.frame().await;
        tunnel.close(1000, "").await;
    };
    match protocol {
        Protocol::Http1 => talk(target.tunnel(handshake).await).await,
        Protocol::Http2 => {
            let mut h2 = target.h2().await;
            talk(h2.tunnel(handshake).await).await;
            h2.join().await;
        }
    }
}

/// Handshakes that are wrong in themselves, with what each is answered.
async fn err_in_each_way(target: &Target, path: &str) {
    let rest = format!("{path}/{WORD}-path");
    let good = || handshake(&rest);
    let secret = format!("{WORD}-wrong");
    let foreign = format!("https://evil.test/?{WORD}-origin");
    let userinfo = format!("https://user:{WORD}-password@evil.test");
    let elsewhere = handshake(&format!("/{WORD}-nowhere"));
    let mut crowded = good();
    for number in 0..150 {
        crowded = crowded.field(&format!("x-{number}"), &secret);
    }
    for (handshake, status) in [
        (good().without("Sec-WebSocket-Key"), 400),
        (good().field("Sec-WebSocket-Key", &secret), 400),
        (
            good()
                .without("Sec-WebSocket-Version")
                .field("Sec-WebSocket-Version", &secret),
            426,
        ),
        (good().without("Upgrade"), 426),
        (good().without("Connection"), 400),
        (good().method("POST").field("Content-Length", "0"), 405),
        (good().field("Content-Length", "9"), 400),
        (good().field("Host", &format!("{WORD}@localhost")), 400),
        (good().field("Origin", &foreign), 403),
        (good().field("Origin", &userinfo), 403),
        (crowded, 431),
        (elsewhere, 404),
    ] {
        let refused = target.h1().await.refused(&handshake).await;
        assert_eq!(refused.response.status, status, "{handshake:?}");
    }
}

/// Long enough for whoever answers at all.
const PATIENCE: Duration = Duration::from_millis(300);

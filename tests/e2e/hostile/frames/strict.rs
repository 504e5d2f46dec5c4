//! Where both sides are held to the rules: nothing of a wrong frame passes, and both get a Close 1002.

use axum::Router;
use axum::extract::ws::{CloseFrame, Message};
use wsgate::layer::StrictFramesLayer;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, Role, trace, within};

use super::cases::{self, Case, raw, right};
use super::{listener, strictly};

#[tokio::test]
async fn a_clients_fault_is_told_to_both_over_http1() {
    each(Http::One, Role::Client).await;
}

#[tokio::test]
async fn a_clients_fault_is_told_to_both_over_http2() {
    each(Http::Two, Role::Client).await;
}

#[tokio::test]
async fn an_upstreams_fault_is_told_to_both_over_http1() {
    each(Http::One, Role::Server).await;
}

#[tokio::test]
async fn an_upstreams_fault_is_told_to_both_over_http2() {
    each(Http::Two, Role::Server).await;
}

/// Each fault in one piece with what follows, and byte by byte.
async fn each(http: Http, from: Role) {
    let trace = trace::init();
    let mut stage = Stage::serving(http, Accept::default(), strictly).await;
    let mut count = 0;
    for case in cases::from(from) {
        for bytewise in [false, true] {
            if bytewise && case.wrong.len() > 1000 {
                continue;
            }
            let mut ends = stage.open(Handshake::of("/websocket")).await;
            is_refused(&case, &mut ends, bytewise).await;
            both_are_told(ends, &case.reason).await;

            count += 1;
            let closed = trace.until("tunnel closed", count).await;
            let closed = closed.last().unwrap();
            let side = match from {
                Role::Client => "client",
                Role::Server => "upstream",
            };
            assert_eq!(closed.field("closed_by"), "gateway", "{case:?}");
            assert_eq!(closed.field("cause"), "protocol error");
            assert_eq!(closed.field("side"), side);
            assert_eq!(closed.field("close_code"), "1002");
            let violation = format!("{side}_violation");
            assert_eq!(closed.field(&violation), case.violation);
        }
    }
    stage.join().await;
}

/// Sends what is right, which passes, and then what is not.
async fn is_refused(case: &Case, ends: &mut Ends, bytewise: bool) {
    let good = [case.good("good"), case.before.clone()].concat();
    let (from, to) = case.ends(ends);
    from.send_raw(&good).await;
    assert_eq!(to.raw(good.len()).await, good);
    if bytewise {
        from.send_bytewise(&case.wrong).await;
    } else {
        let more = case.good("never seen");
        from.send_raw(&[&case.wrong[..], &more].concat()).await;
    }
}

/// Each hears the reason and nothing before it, the upstream when the client has answered.
async fn both_are_told(ends: Ends, reason: &str) {
    let Ends {
        mut client,
        mut upstream,
        ..
    } = ends;
    let close = Frame::close(1002, reason);
    assert_eq!(client.frame().await, close);
    let _ = client.try_send(Frame::close(1002, "")).await;
    assert_eq!(upstream.frame().await.unmasked(), close);
    let _ = upstream.try_send(Frame::close(1002, "")).await;
    upstream.shutdown().await;
    // Where its own Close was the wrong frame, it need not have answered.
    client.end().await;
    client.shutdown().await;
    upstream.end().await;
}

/// A Close has passed already: whoever has had it is told no more.
#[tokio::test]
async fn data_after_a_close_goes_nowhere() {
    let trace = trace::init();
    let mut count = 0;
    for http in Http::BOTH {
        let mut stage = Stage::serving(http, Accept::default(), strictly).await;
        for from in [Role::Client, Role::Server] {
            let mut ends = stage.open(Handshake::of("/websocket")).await;
            let (client, upstream) = (&mut ends.client, &mut ends.upstream);
            let name = match from {
                // What ended it was the Close.
                Role::Client => {
                    client.send(Frame::close(1000, "bye")).await;
                    let bye = upstream.frame().await.unmasked();
                    assert_eq!(bye, Frame::close(1000, "bye"));
                    client.send(Frame::text("never seen")).await;
                    let told = Frame::close(1002, "client: data frame after a close");
                    assert_eq!(client.frame().await, told);
                    "client_violation"
                }
                Role::Server => {
                    upstream.send(Frame::close(1000, "bye")).await;
                    assert_eq!(client.frame().await, Frame::close(1000, "bye"));
                    upstream.send(Frame::text("never seen")).await;
                    trace.until(LINE, count + 1).await;
                    client.send(Frame::close(1000, "bye")).await;
                    let told = Frame::close(1002, "server: data frame after a close");
                    assert_eq!(upstream.frame().await.unmasked(), told);
                    "upstream_violation"
                }
            };
            upstream.shutdown().await;
            client.end().await;
            client.shutdown().await;
            upstream.end().await;
            drop(ends);
            count += 1;
            let closed = trace.until("tunnel closed", count).await;
            let closed = closed.last().unwrap();
            assert_eq!(closed.field("cause"), "close");
            assert_eq!(closed.field(name), "data frame after a close");
        }
        stage.join().await;
    }
}

/// The same layer before axum's own WebSockets; a handler of axum's breaks no rule.
#[tokio::test]
async fn axums_handler_never_sees_a_wrong_frame() {
    let trace = trace::init();
    for http in Http::BOTH {
        let (handler, mut heard) = listener();
        let app = Router::new().route("/axum", handler);
        let gateway = Gateway::serving(app.layer(StrictFramesLayer::new())).await;
        let mut h2 = match http {
            Http::One => None,
            Http::Two => Some(gateway.target().h2().await),
        };
        for case in cases::from(Role::Client) {
            let lines = trace.find(LINE).len();
            let handshake = Handshake::of("/axum");
            let mut client = match &mut h2 {
                None => gateway.target().tunnel(handshake).await,
                Some(h2) => h2.open(handshake).await.unwrap().tunnel,
            };
            let (good, more) = (case.good("good"), case.good("never seen"));
            let all = [&good[..], &case.before, &case.wrong, &more].concat();
            client.send_raw(&all).await;
            assert_eq!(client.frame().await, Frame::close(1002, &case.reason));
            let _ = client.try_send(Frame::close(1002, "")).await;
            client.end().await;
            drop(client);

            let heard = within("what the handler heard", heard.recv())
                .await
                .unwrap();
            let close = CloseFrame {
                code: 1002,
                reason: case.reason.clone().into(),
            };
            assert_eq!(heard, [Message::text("good"), Message::Close(Some(close))]);
            let line = trace.until(LINE, lines + 1).await;
            let line = line.last().unwrap();
            assert_eq!(line.level, tracing::Level::INFO);
            assert_eq!(line.field("cause"), "protocol error");
            assert_eq!(line.field("violation"), case.violation);
            assert_eq!(line.field("peer"), "client");
        }
        if let Some(h2) = h2 {
            h2.join().await;
        }
        gateway.join().await;
    }
}

/// What a layer logs, quietly where the relay has promised to.
const LINE: &str = "a layer ends the WebSocket";

/// What was agreed decides which reserved bits have a meaning.
#[tokio::test]
async fn extensions_have_the_bits_that_they_need() {
    let _trace = trace::init();
    for http in Http::BOTH {
        for role in [Role::Client, Role::Server] {
            let bit = |opcode: u8, first: u8| raw(role, opcode | first, &[2], b"hi");
            let [plain, begun] = [bit(0x81, 0), bit(0x01, 0)];
            let compressed = bit(0x81, 0x40);
            let compressed_begun = bit(0x01, 0x40);
            let end = right(role, Frame::continuation("end"));

            // RFC 7692, 6.1: the first frame of a message, and no other.
            let deflate = Agreed::new(http, "permessage-deflate; client_no_context_takeover");
            let mut deflate = deflate.await;
            let good = [&plain[..], &compressed, &compressed_begun, &end].concat();
            let bits = "reserved bit without an extension";
            for (before, wrong) in [
                (&b""[..], bit(0x81, 0x20)),
                (b"", bit(0x81, 0x10)),
                (b"", bit(0x89, 0x40)),
                (&compressed_begun, bit(0x80, 0x40)),
                (&begun, bit(0x00, 0x40)),
            ] {
                let good = [&good[..], before].concat();
                deflate.is_refused(role, &good, &wrong, bits).await;
            }
            deflate.stage.join().await;

            // Nobody knows what that one needs.
            let mut other = Agreed::new(http, "permessage-deflate, x-own; a=\"b, c\"").await;
            let good = [bit(0x81, 0x70), bit(0x83, 0x10), bit(0x8b, 0x20)].concat();
            let wrong = raw(role, 0x81, &[126, 0, 2], b"hi");
            let reason = "length not in its shortest form";
            other.is_refused(role, &good, &wrong, reason).await;
            other.stage.join().await;
        }
    }
}

/// A stage on which these extensions are agreed.
struct Agreed {
    stage: Stage,
    extensions: &'static str,
}

// ===== impl Agreed =====

impl Agreed {
    async fn new(http: Http, extensions: &'static str) -> Self {
        let fields = format!("Sec-WebSocket-Extensions: {extensions}\r\n");
        let accept = Accept {
            fields: fields.leak(),
            ..Accept::default()
        };
        Self {
            stage: Stage::serving(http, accept, strictly).await,
            extensions,
        }
    }

    async fn is_refused(&mut self, from: Role, good: &[u8], wrong: &[u8], reason: &str) {
        let handshake = Handshake::of("/websocket");
        let handshake = handshake.field("Sec-WebSocket-Extensions", self.extensions);
        let mut ends = self.stage.open(handshake).await;
        let (sender, receiver, who) = match from {
            Role::Client => (&mut ends.client, &mut ends.upstream, "client"),
            Role::Server => (&mut ends.upstream, &mut ends.client, "server"),
        };
        sender.send_raw(good).await;
        assert_eq!(receiver.raw(good.len()).await, good);
        sender.send_raw(wrong).await;
        both_are_told(ends, &format!("{who}: {reason}")).await;
    }
}

/// Right frames of all kinds, in any pieces.
#[tokio::test]
async fn what_is_right_passes_as_it_came() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::serving(http, Accept::default(), strictly).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        let frames = |role| {
            let frames = [
                Frame::text("a ").unfinished(),
                Frame::ping("p".repeat(125)),
                Frame::continuation("").unfinished(),
                Frame::pong(""),
                Frame::continuation("message"),
                Frame::binary(vec![0; 126]),
                Frame::text("not UTF-8 in the middle: that is the end's business"),
                Frame::new(1, vec![0xff]),
                Frame::binary(vec![7; 0x1_0000]),
                Frame::close(4999, &"r".repeat(123)),
                Frame::ping("after it"),
            ];
            frames.map(|frame| right(role, frame)).concat()
        };
        let (up, down) = (frames(Role::Client), frames(Role::Server));
        for cut in [1, 2, 7, 1000] {
            // The first of these has a frame of 64 KiB in single bytes, which takes too long.
            let part = |all: &[u8]| all[..if cut < 7 { 400 } else { all.len() }].to_vec();
            let (up, down) = (part(&up), part(&down));
            let mut ends = stage.open(Handshake::of("/websocket")).await;
            let (client, upstream) = (&mut ends.client, &mut ends.upstream);
            let send = async {
                for chunk in up.chunks(cut) {
                    client.send_raw(chunk).await;
                }
            };
            let ((), arrived) = tokio::join!(send, upstream.raw(up.len()));
            assert!(arrived == up, "{http:?}, {cut}");
            let (client, upstream) = (&mut ends.client, &mut ends.upstream);
            let send = async {
                for chunk in down.chunks(cut) {
                    upstream.send_raw(chunk).await;
                }
            };
            let ((), arrived) = tokio::join!(send, client.raw(down.len()));
            assert!(arrived == down, "{http:?}, {cut}");
        }
        ends.client.send(Frame::close(1000, "")).await;
        let close = ends.upstream.frame().await.unmasked();
        ends.upstream.send(close).await;
        ends.upstream.shutdown().await;
        assert_eq!(ends.client.frame().await, Frame::close(1000, ""));
        drop(ends);
        stage.join().await;
    }
}

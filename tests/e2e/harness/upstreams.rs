//! The upstreams that misbehave, as a client sees them.

use std::time::Duration;

use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::upstream::{Script, Upstream, script};
use wsgate_tests::{End, Frame, trace};

async fn start(script: Script) -> (Upstream, Target) {
    let upstream = Upstream::tcp(script).await;
    let target = Target::plain(upstream.addr());
    (upstream, target)
}

#[tokio::test]
async fn the_first_known_subprotocol_is_chosen() {
    let _trace = trace::init();
    let (upstream, target) = start(script::echo_with_subprotocols(&["b", "c"])).await;
    let offer = Handshake::of("/").field("Sec-WebSocket-Protocol", "a, c, b");
    let opened = target.open(offer).await.unwrap();
    assert_eq!(
        opened.response.fields.get("sec-websocket-protocol"),
        Some("c")
    );
    opened.tunnel.close(1000, "").await;
    upstream.join().await;
}

#[tokio::test]
async fn a_refusal_arrives_whole() {
    let _trace = trace::init();
    let basic = [("WWW-Authenticate", "Basic realm=\"chat\"")];
    let (upstream, target) =
        start(script::respond("401 Unauthorized", &basic, "who are you?")).await;
    let refused = target.refused(Handshake::of("/")).await;
    assert_eq!(
        (refused.response.status, refused.response.reason.as_str()),
        (401, "Unauthorized")
    );
    assert_eq!(
        refused.response.fields.get("www-authenticate"),
        Some(basic[0].1)
    );
    assert_eq!(refused.body, "who are you?");
    upstream.join().await;
}

#[tokio::test]
async fn bodies_end_as_they_say() {
    let _trace = trace::init();
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n5\r\n, but\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nyes, but no",
        "HTTP/1.1 200 OK\r\n\r\nyes, but",
    ] {
        let (upstream, target) = start(script::answer(answer)).await;
        assert_eq!(target.get("/").await.body, "yes, but", "{answer:?}");
        upstream.join().await;
    }
}

#[tokio::test]
async fn an_early_hint_comes_before_the_tunnel() {
    let _trace = trace::init();
    let (upstream, target) = start(script::informational()).await;
    let mut client = target.tunnel(Handshake::of("/")).await;
    client.send(Frame::text("hello")).await;
    assert_eq!(client.frame().await, Frame::text("hello"));
    client.close(1000, "").await;
    upstream.join().await;
}

#[tokio::test]
async fn frames_may_come_with_the_answer() {
    let _trace = trace::init();
    let (upstream, target) = start(script::early(&[Frame::text("one"), Frame::text("two")])).await;
    let mut client = target.tunnel(Handshake::of("/")).await;
    assert_eq!(client.frame().await, Frame::text("one"));
    assert_eq!(client.frame().await, Frame::text("two"));
    client.close(1000, "").await;
    upstream.join().await;
}

#[tokio::test]
#[should_panic(expected = "RFC 6455, 4.2.2")]
async fn a_wrong_accept_does_not_pass_for_a_right_one() {
    let (_upstream, target) = start(script::wrong_accept()).await;
    target.tunnel(Handshake::of("/")).await;
}

#[tokio::test]
async fn silence_lasts() {
    let _trace = trace::init();
    let (upstream, target) = start(script::silence()).await;
    let answer = tokio::spawn(async move { target.open(Handshake::of("/")).await });
    upstream
        .until("the handshake", |seen| {
            seen.iter().any(|seen| seen.request.is_some())
        })
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!answer.is_finished());
    answer.abort();
    upstream.join_one().await;
}

#[tokio::test]
async fn resets_are_resets() {
    let _trace = trace::init();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for (script, answer) in [
        (script::reset_on_accept(), ""),
        (
            script::reset_in_handshake(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs",
        ),
    ] {
        let (upstream, target) = start(script).await;
        let mut io = target.connect(&[]).await;
        // The reset may already be here.
        let _ = io.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        let mut read = String::new();
        let error = io.read_to_string(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(answer.starts_with(&read), "{read:?}");
        upstream.join_one().await;
    }
}

#[tokio::test]
async fn an_upstream_that_never_reads_fills_up() {
    let _trace = trace::init();
    let (upstream, target) = start(script::never_reading()).await;
    let mut client = target.tunnel(Handshake::of("/")).await;
    let mut sent = 0;
    let chunk = Frame::binary(vec![0; 1 << 20]);
    while tokio::time::timeout(Duration::from_millis(200), client.send(chunk.clone()))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 1000, "somebody reads a gigabyte");
    }
    drop(client);
    upstream.join_one().await;
}

#[tokio::test]
async fn a_flood_stops_when_nobody_reads() {
    let _trace = trace::init();
    let frame = Frame::binary(vec![0; 1 << 16]);
    let (upstream, target) = start(script::flooding(&frame)).await;
    let mut client = target.tunnel(Handshake::of("/")).await;
    assert_eq!(client.frame().await, frame);

    let mut before = None;
    loop {
        let written = upstream.seen()[0].written;
        if before.replace(written) == Some(written) {
            break;
        }
        assert!(written < 1 << 30, "somebody reads a gigabyte");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    client.reset();
    upstream
        .until("the flood's end", |seen| seen[0].error.is_some())
        .await;
    upstream.join_one().await;
}

#[tokio::test]
#[should_panic(expected = "as it should")]
async fn a_panic_in_an_upstream_is_the_tests() {
    let (upstream, target) = start(script::script(|_| async { panic!("as it should") })).await;
    drop(target.connect(&[]).await);
    upstream.until("a connection", |seen| seen.len() == 1).await;
    upstream.join().await;
}

#[tokio::test]
async fn the_end_of_the_upstream_ends_a_quiet_tunnel() {
    let _trace = trace::init();
    let (upstream, target) = start(script::never_reading()).await;
    let mut client = target.tunnel(Handshake::of("/")).await;
    upstream.join_one().await;
    assert!(matches!(client.end().await, End::Eof));
}

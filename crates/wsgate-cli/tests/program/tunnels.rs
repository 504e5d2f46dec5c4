//! What the options about open WebSockets do. Each layer is tested where it is; here it counts that the
//! option reaches it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame, FrameHeader,
        coding::{Data, OpCode},
    },
};

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Socket, Upstream, closed, hear},
};

/// A gateway with these options, its upstream, and someone who knows it.
async fn start(options: &str) -> (Program, Upstream, Client) {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /a={} {options}",
        identity.args(),
        upstream.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    (wsgate, upstream, client)
}

async fn open(client: &Client) -> Socket {
    let mut socket = client.open("/a", None).await.unwrap();
    hear(&mut socket).await;
    socket
}

/// Opens a WebSocket, says something, and sees it closed; gives what the gateway logs of it.
async fn closes(options: &str, says: Option<&str>, code: u16, reason: &str) -> String {
    let (mut wsgate, _upstream, client) = start(options).await;
    let mut socket = open(&client).await;
    if let Some(text) = says {
        socket.send(Message::text(text)).await.unwrap();
    }
    let close = closed(&mut socket).await;
    assert_eq!(close, (code, reason.to_owned()), "{options}");
    drop(socket);
    let told = wsgate.logs("tunnel closed").await;
    assert!(told.contains("closed_by=\"gateway\""), "{told}");
    wsgate.stop().await;
    told
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_stays() {
    // The ping comes before the timeout, and the pong keeps the WebSocket open.
    let (mut wsgate, _upstream, client) = start("--keepalive 200ms --read-timeout 2s").await;
    let mut socket = open(&client).await;
    for _ in 0..15 {
        let message = socket.next().await.unwrap().unwrap();
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
    }
    drop(socket);
    wsgate.stop().await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_dead() {
    let options = "--keepalive 100ms --pong-timeout 300ms --read-timeout off";
    let (mut wsgate, _upstream, client) = start(options).await;
    let socket = open(&client).await;
    let told = wsgate.logs("tunnel closed").await;
    assert!(
        told.contains("cause=\"pong timeout\" side=\"client\""),
        "{told}"
    );
    drop(socket);
    wsgate.stop().await;
}

#[tokio::test]
async fn times_that_are_over_end_it() {
    let read = closes(
        "--read-timeout 300ms --keepalive off",
        None,
        1001,
        "read timeout",
    )
    .await;
    assert!(read.contains("cause=\"read timeout\""), "{read}");
    let idle = closes("--idle-timeout 300ms", None, 1001, "idle timeout").await;
    assert!(idle.contains("cause=\"idle timeout\""), "{idle}");
    let lifetime = closes("--max-lifetime 300ms", None, 1001, "lifetime").await;
    assert!(lifetime.contains("cause=\"lifetime\""), "{lifetime}");
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_it() {
    let options = "--max-message-size 1KiB";
    let long = "x".repeat(1025);
    let told = closes(options, Some(&long), 1009, "message too big").await;
    assert!(told.contains("cause=\"message size\""), "{told}");

    let (mut wsgate, _upstream, client) = start(options).await;
    let mut socket = open(&client).await;
    let whole = "x".repeat(1024);
    socket.send(Message::text(&whole)).await.unwrap();
    assert_eq!(hear(&mut socket).await, whole);
    drop(socket);
    wsgate.stop().await;
}

#[tokio::test]
async fn a_frame_that_breaks_the_rules_ends_it_where_that_was_asked_for() {
    let (mut wsgate, _upstream, client) = start("--frames strict").await;
    let mut socket = open(&client).await;
    let header = FrameHeader {
        rsv1: true,
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };
    let frame = Frame::from_payload(header, "compressed, without having said so".into());
    socket.send(Message::Frame(frame)).await.unwrap();
    let (code, reason) = closed(&mut socket).await;
    assert_eq!(
        (code, &*reason),
        (1002, "client: reserved bit without an extension")
    );
    drop(socket);
    let told = wsgate.logs("tunnel closed").await;
    let cause = "cause=\"protocol error\" side=\"client\"";
    assert!(told.contains(cause), "{told}");
    wsgate.stop().await;
}

#[tokio::test]
async fn who_sends_frames_too_fast_waits() {
    let (mut wsgate, _upstream, client) = start("--max-frame-rate 10").await;
    let mut socket = open(&client).await;
    let start = Instant::now();
    for number in 0..16 {
        socket
            .send(Message::text(number.to_string()))
            .await
            .unwrap();
        assert_eq!(hear(&mut socket).await, number.to_string());
    }
    // Ten at once, and the debt of each of the others is paid before the next.
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(400), "{took:?}");
    drop(socket);
    wsgate.stop().await;
}

#[tokio::test]
async fn more_than_may_be_open_are_refused() {
    for (options, status) in [
        ("--max-tunnels 1", 503),
        ("--max-tunnels-per-address 1", 429),
    ] {
        let (mut wsgate, _upstream, client) = start(options).await;
        let socket = open(&client).await;
        assert_eq!(client.refused("/a", None).await, status, "{options}");
        drop(socket);
        wsgate.logs("tunnel closed").await;
        drop(open(&client).await);
        wsgate.stop().await;
    }
}

/// An upstream that answers no ping is as good as gone, and its client is told.
#[tokio::test]
async fn an_upstream_that_is_dead_is_found() {
    let (mut wsgate, upstream, client) = start("--upstream-keepalive 200ms").await;
    let mut socket = open(&client).await;
    // It waits for us and answers pings meanwhile.
    socket.send(Message::text("still there")).await.unwrap();
    assert_eq!(hear(&mut socket).await, "still there");
    drop(upstream);
    let told = wsgate.logs("tunnel closed").await;
    assert!(told.contains("closed_by=\"upstream\""), "{told}");
    drop(socket);
    wsgate.stop().await;
}

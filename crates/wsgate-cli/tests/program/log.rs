//! What the program logs.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, PATIENCE, Upstream, hear},
};

/// Starts a gateway for `/websocket`, and has one tunnel opened through it and closed.
async fn one_tunnel(options: &str, environment: &[(&str, &str)]) -> (Program, Upstream) {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let line = format!(
        "--listen {ANYWHERE} {} --route /websocket={} {options}",
        identity.args(),
        upstream.url()
    );
    let mut wsgate = Program::start_with(&line, environment);
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    let mut socket = client.open("/websocket", None).await.unwrap();
    hear(&mut socket).await;
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "enough".into(),
    };
    socket.close(Some(goodbye)).await.unwrap();
    (wsgate, upstream)
}

#[tokio::test]
async fn each_line_of_json_is_an_event() {
    let (mut wsgate, upstream) = one_tunnel("--log json", &[]).await;
    let closed: Value = serde_json::from_str(&wsgate.logs("tunnel closed").await).unwrap();
    assert_eq!(closed["level"], "INFO");
    assert_eq!(closed["message"], "tunnel closed");
    assert_eq!(closed["closed_by"], "client");
    assert_eq!(closed["close_code"], 1000);
    assert_eq!(closed["close_reason"], "enough");
    assert_eq!(closed["upstream_messages"], 1);
    assert!(closed["duration_ms"].is_u64(), "{closed}");
    assert_eq!(closed["span"]["name"], "tunnel");
    assert_eq!(closed["span"]["route"], "/websocket");
    assert_eq!(closed["span"]["endpoint"], upstream.url());
    let client = closed["span"]["client"].as_str().unwrap();
    assert!(client.starts_with("127.0.0.1:"), "{closed}");

    wsgate.stop().await;
    for line in wsgate.stderr().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["timestamp"].is_string(), "{event}");
    }
}

#[tokio::test]
async fn text_has_no_colours_in_a_file() {
    let (mut wsgate, _upstream) = one_tunnel("", &[]).await;
    let closed = wsgate.logs("tunnel closed").await;
    assert!(closed.contains("route=\"/websocket\""), "{closed}");
    wsgate.stop().await;
    assert!(!wsgate.stderr().contains('\x1b'));
}

#[tokio::test]
async fn the_level_of_the_command_line_goes_before_that_of_the_environment() {
    let quiet = [("RUST_LOG", "error")];
    let (mut wsgate, _upstream) = one_tunnel("", &quiet).await;
    wsgate.stop().await;
    assert_eq!(wsgate.stderr(), "");

    let (mut wsgate, _upstream) = one_tunnel("--log-level info", &quiet).await;
    wsgate.logs("tunnel closed").await;
    wsgate.stop().await;
}

/// What those tell is not ours to choose, and they tell all.
#[tokio::test]
async fn libraries_that_would_tell_secrets_are_asked_for_by_the_environment_only() {
    let warning = "cookies and tokens";
    let (mut wsgate, _upstream) = one_tunnel("--log-level trace", &[("RUST_LOG", "trace")]).await;
    wsgate.stop().await;
    assert!(!wsgate.stderr().contains(warning));

    for (filter, warned) in [
        ("trace", true),
        ("debug", true),
        ("info,h2=debug", true),
        ("info,hyper=trace", true),
        ("info,rustls=trace", true),
        ("info,wsgate=trace", false),
    ] {
        let (mut wsgate, _upstream) = one_tunnel("", &[("RUST_LOG", filter)]).await;
        wsgate.stop().await;
        assert_eq!(wsgate.stderr().contains(warning), warned, "{filter}");
    }
}

/// A pipe is full after 64 KiB. Each of these is told in more than 200 bytes.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let line = format!("--listen {ANYWHERE} --plain --route /a=http://127.0.0.1:9");
    let mut wsgate = Program::start_unread(&line);
    let address = wsgate.address().await;
    let handshake = "GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for _ in 0..500 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(handshake.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        let read = timeout(PATIENCE, client.read_exact(&mut status)).await;
        read.expect("an answer").unwrap();
        assert_eq!(&status, b"HTTP/1.1 502");
    }
    wsgate.signal("-TERM").await;
    assert_eq!(wsgate.ended().await.code(), Some(0));
}

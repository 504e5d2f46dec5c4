//! Limits on slow peers. Each is tested where it is; here it counts that its option reaches it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use crate::{
    process::Program,
    support::{ANYWHERE, PATIENCE, Upstream},
};

const SHORT: Duration = Duration::from_millis(300);

/// A gateway without TLS, with these options.
async fn start(upstream: &str, options: &str) -> (Program, std::net::SocketAddr) {
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} --plain --route /a={upstream} {options}"
    ));
    let address = wsgate.address().await;
    (wsgate, address)
}

/// Says this, and gives what is answered to the end, which must not come before its time.
async fn says(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is as good an end.
    let _ = read.expect("the end of the connection");
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    answer
}

const HANDSHAKE: &[u8] = b"GET /a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_head_has_its_time() {
    let upstream = Upstream::start().await;
    let (mut wsgate, address) = start(&upstream.url(), "--header-timeout 300ms").await;
    says(address, b"GET /a HTTP/1.1\r\nHost: local").await;
    says(address, b"").await;
    wsgate.stop().await;
}

/// That of this one is longer than any could be by default.
#[tokio::test]
async fn a_head_has_its_length() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let (upstream, task) = answers(refusal).await;
    let (mut wsgate, address) = start(&upstream, "--max-request-head 256KiB").await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let fields = HANDSHAKE.strip_suffix(b"\r\n").unwrap();
    let cookie = format!("Cookie: a={}\r\n\r\n", "a".repeat(100 * 1024));
    stream
        .write_all(&[fields, cookie.as_bytes()].concat())
        .await
        .unwrap();
    let mut answer = [0; 12];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
    read.expect("an answer").unwrap();
    assert_eq!(answer.escape_ascii().to_string(), "HTTP/1.1 403");
    drop(stream);
    timeout(PATIENCE, task).await.expect("its end").unwrap();
    wsgate.stop().await;
}

#[tokio::test]
async fn an_http2_connection_without_requests_has_its_time() {
    let upstream = Upstream::start().await;
    let (mut wsgate, address) = start(&upstream.url(), "--http2-idle-timeout 300ms").await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = says(address, preface).await;
    // GOAWAY, of no stream, NO_ERROR.
    assert!(
        answer.ends_with(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        "{answer:?}"
    );
    wsgate.stop().await;
}

#[tokio::test]
async fn a_frame_and_a_message_have_their_time() {
    for (options, frame, reason) in [
        (
            "--frame-timeout 300ms",
            &b"\x82\xfe\xff\xff\0\0\0\0x"[..],
            "frame timeout",
        ),
        (
            "--message-timeout 300ms",
            b"\x02\x81\0\0\0\0x",
            "message timeout",
        ),
    ] {
        let upstream = Upstream::start().await;
        let (mut wsgate, address) = start(&upstream.url(), options).await;
        let answer = says(address, &[HANDSHAKE, frame].concat()).await;
        let close = [&b"\x03\xf0"[..], reason.as_bytes()].concat();
        assert!(
            answer.ends_with(&close),
            "{:?}",
            answer.escape_ascii().to_string()
        );
        let told = wsgate.logs("tunnel closed").await;
        assert!(told.contains(&format!("cause=\"{reason}\"")), "{told}");
        wsgate.stop().await;
    }
}

/// Accepts by the handshake's sample key, and says this.
async fn answers(answer: &'static str) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 64]).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Reads to the end, which comes when the gateway gives up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    (url, task)
}

#[tokio::test]
async fn a_refusal_has_its_time() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno";
    let (upstream, task) = answers(refusal).await;
    let (mut wsgate, address) = start(&upstream, "--refusal-timeout 300ms").await;
    let answer = says(address, HANDSHAKE).await;
    assert!(answer.ends_with(b"\r\n\r\nno"), "{answer:?}");
    timeout(PATIENCE, task).await.expect("its end").unwrap();
    wsgate.stop().await;
}

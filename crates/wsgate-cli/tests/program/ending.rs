//! How the program ends.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Upstream, closed, hear},
};

/// How long the program waits for requests under way when it is told to stop.
const GRACE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn either_signal_is_an_orderly_end() {
    let identity = Identity::new("localhost");
    for signal in ["-TERM", "-INT"] {
        let mut wsgate = Program::start(&format!(
            "--listen {ANYWHERE} {} --route /a=http://127.0.0.1:9",
            identity.args()
        ));
        let address = wsgate.address().await;
        wsgate.signal(signal).await;
        assert_eq!(wsgate.ended().await.code(), Some(0), "{signal}");
        // The port is free again.
        TcpListener::bind(address).await.unwrap();
    }
}

#[tokio::test]
async fn open_websockets_are_closed_first() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /a={}",
        identity.args(),
        upstream.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = client.open("/a", None).await.unwrap();
        hear(&mut socket).await;
        sockets.push(socket);
    }
    let asked = Instant::now();
    wsgate.signal("-TERM").await;
    for socket in &mut sockets {
        assert_eq!(
            closed(socket).await,
            (1001, "server shutting down".to_owned())
        );
        // Its answer goes out with the next poll, and then the gateway ends the connection.
        assert!(socket.next().await.is_none());
    }
    assert_eq!(wsgate.ended().await.code(), Some(0));
    // Few are told at once, and who has answered is not waited for.
    assert!(asked.elapsed() < GRACE);
    wsgate.logs("closed 3 of 3").await;
    let told = wsgate.logs("tunnel closed").await;
    assert!(
        told.contains("closed_by=\"gateway\" cause=\"drain\""),
        "{told}"
    );
}

/// Who does not answer is cut when the time is over.
#[tokio::test]
async fn a_drain_has_an_end() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /a={} --drain-timeout 500ms --drain-spread 0s",
        identity.args(),
        upstream.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    let mut socket = client.open("/a", None).await.unwrap();
    hear(&mut socket).await;
    wsgate.stop().await;
    let stderr = wsgate.stderr();
    assert!(stderr.contains("closed 0 of 1"), "{stderr}");
    assert!(stderr.contains("cut=1"), "{stderr}");
    drop(socket);
}

/// Whoever wants the bare tunnel can have it.
#[tokio::test]
async fn without_a_drain_they_are_cut_at_once() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /a={} --drain-timeout off",
        identity.args(),
        upstream.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    let mut socket = client.open("/a", None).await.unwrap();
    hear(&mut socket).await;
    wsgate.stop().await;
    let stderr = wsgate.stderr();
    assert!(!stderr.contains("drain"), "{stderr}");
    assert!(!matches!(socket.next().await, Some(Ok(_))));
}

#[tokio::test]
async fn told_twice_it_waits_for_nobody() {
    let silent = TcpListener::bind(ANYWHERE).await.unwrap();
    let upstream = silent.local_addr().unwrap();
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} --plain --route /a=http://{upstream} --handshake-timeout 1h"
    ));
    // A handshake under way, which nobody will ever answer.
    let mut client = TcpStream::connect(wsgate.address().await).await.unwrap();
    let handshake = "GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(handshake.as_bytes()).await.unwrap();
    let (mut reached, _) = silent.accept().await.unwrap();
    reached.read_u8().await.unwrap();

    let asked = Instant::now();
    wsgate.signal("-TERM").await;
    wsgate.logs("shutting down").await;
    wsgate.signal("-TERM").await;
    assert_eq!(wsgate.ended().await.code(), Some(0));
    assert!(asked.elapsed() < GRACE);
}

#[tokio::test]
async fn it_serves_on_when_nobody_reads_what_it_says() {
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} --plain --route /a=http://127.0.0.1:9"
    ));
    wsgate.hang_up();
    wsgate.logs("listening").await;
    wsgate.stop().await;
}

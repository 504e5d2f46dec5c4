//! How the program ends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::support::{ANYWHERE, Identity, Program};

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

//! Whatever may run out does: files, memory, ports, time, names, the room for a log. The program serves on.

mod clocks;
mod files;
mod floods;
mod logs;
mod measured;
mod names;
mod ports;
mod slow_readers;
mod storms;
mod vanishing;

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsgate_tests::client::Handshake;
use wsgate_tests::{Frame, Tunnel, within};

/// The handshake that every test here makes.
fn handshake() -> Handshake {
    Handshake::of("/websocket")
}

/// Sends a message and hears it again.
async fn echoes(tunnel: &mut Tunnel) {
    tunnel.send(Frame::text("hello")).await;
    assert_eq!(tunnel.frame().await.unmasked(), Frame::text("hello"));
}

/// Makes a handshake over a connection of its own, in the fewest steps there are, for crowds. The status
/// that it was answered with, and the connection.
async fn knock(addr: SocketAddr) -> io::Result<(u16, TcpStream, String)> {
    let stream = TcpStream::connect(addr).await?;
    shake_hands(stream, "/websocket").await
}

async fn shake_hands(mut stream: TcpStream, path: &str) -> io::Result<(u16, TcpStream, String)> {
    let handshake = HANDSHAKE.replacen("/websocket", path, 1);
    stream.write_all(handshake.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Ok((status.expect("a status"), stream, head))
}

/// [`knock`] where a WebSocket has to be opened.
async fn open(addr: SocketAddr) -> TcpStream {
    open_at(addr, "/websocket").await
}

/// The same at another path.
async fn open_at(addr: SocketAddr, path: &str) -> TcpStream {
    let opened = async { shake_hands(TcpStream::connect(addr).await?, path).await };
    let (status, stream, head) = within("an answer", opened).await.unwrap();
    assert_eq!(status, 101, "{head}");
    stream
}

/// Sends a message over a bare connection and hears it again.
async fn echoes_raw(stream: &mut TcpStream) {
    let hello = Frame::text("hello");
    let masked = hello.clone().masked([1, 2, 3, 4]).to_bytes();
    stream.write_all(&masked).await.unwrap();
    let mut heard = vec![0; hello.to_bytes().len()];
    let read = within("an echo", stream.read_exact(&mut heard)).await;
    read.unwrap();
    assert_eq!(heard, hello.to_bytes());
}

const HANDSHAKE: &str = "GET /websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

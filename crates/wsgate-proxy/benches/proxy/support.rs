//! The upstream, and what else all benchmarks need.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use wsgate_frame::{Header, OpCode, Role, Rsv};
use wsgate_layer::handshake::accept_key;
use wsgate_proxy::WebSocketProxy;

/// Where everything runs.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had")
}

/// A proxy, and behind it an upstream that answers each message of so many bytes with its like. The
/// upstream ends with the runtime.
pub(crate) fn proxy(runtime: &Runtime, payload: usize) -> WebSocketProxy {
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)));
    let listener = listener.expect("a free port");
    let addr: SocketAddr = listener
        .local_addr()
        .expect("a bound socket has an address");
    runtime.spawn(serve(listener, payload));
    WebSocketProxy::to(&format!("http://{addr}")).expect("an endpoint")
}

/// A message with so many bytes of payload, as `sender` sends it, in one frame.
pub(crate) fn frame(sender: Role, payload: usize) -> Vec<u8> {
    let header = Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode: OpCode::Binary,
        mask: sender.masks().then_some([1, 2, 3, 4]),
        len: payload as u64,
    };
    let mut buf = [0; Header::MAX_SIZE];
    let header = header.write(&mut buf).expect("a length of a few bits");
    [header, &vec![0x55; payload]].concat()
}

/// Logs as most services do, from INFO on, but to nowhere.
pub(crate) fn log() {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(io::sink)
        .init();
}

async fn serve(listener: TcpListener, payload: usize) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.expect("a listening socket accepts");
        connections.spawn(answer(socket, payload));
        while connections.try_join_next().is_some() {}
    }
}

/// The handshake, then a message for each that comes. A gateway that leaves is an end like any.
async fn answer(mut socket: TcpStream, payload: usize) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let accept = accept_key(key.expect("a handshake has a key").as_bytes());
    let mut switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Accept: "
        .to_vec();
    switching.extend(accept.as_bytes());
    switching.extend(b"\r\n\r\n");
    socket.write_all(&switching).await?;

    let message = frame(Role::Client, payload).len();
    let answers = frame(Role::Server, payload).repeat(MOST_AT_ONCE);
    let answer = answers.len() / MOST_AT_ONCE;
    let mut buf = vec![0; 64 * 1024];
    let mut unanswered = 0;
    loop {
        match socket.read(&mut buf).await? {
            0 => return Ok(()),
            n => unanswered += n,
        }
        while unanswered >= message {
            let messages = (unanswered / message).min(MOST_AT_ONCE);
            unanswered -= messages * message;
            socket.write_all(&answers[..messages * answer]).await?;
        }
    }
}

/// Answers in one write.
const MOST_AT_ONCE: usize = 16;

//! Sessions with a server that the test plays.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::frame::{BINARY, Header, HeaderReader, PING, mask};
use crate::payload;

/// A session, and the server that the test plays.
async fn pair(early: Vec<u8>) -> (Session, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (far, _) = listener.accept().await.unwrap();
    (Session::new(Stream::Plain(near.unwrap()), early), far)
}

/// What a server sends.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    Header::whole(opcode, payload.len() as u64, None).encode(&mut wire);
    wire.extend(payload);
    wire
}

fn message(number: u64) -> Vec<u8> {
    let mut body = Vec::new();
    payload::append(number, 0, SIZE, &mut body);
    frame(BINARY, &body)
}

/// The opcode and the payload of the next frame from the client.
async fn receive(server: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut headers = HeaderReader::new();
    let header = loop {
        let byte = [server.read_u8().await.unwrap()];
        if let Some(header) = headers.read(&mut &byte[..]).unwrap() {
            break header;
        }
    };
    let mut body = vec![0; header.length as usize];
    server.read_exact(&mut body).await.unwrap();
    mask(&mut body, header.key.expect("a client masks"), 0);
    (header.opcode(), body)
}

/// Sends one message and awaits it.
async fn run(session: &mut Session, tally: &Tally) -> Result<(), Fault> {
    let pace = Pace::Closed {
        in_flight: 1,
        last: 1,
    };
    session.run(SIZE, &pace, &Reins::default(), tally).await
}

/// How a run ends when this is what the server sends, and then no more.
#[track_caller]
fn check_fault(sent: &[u8], expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fault = runtime.block_on(async {
        let (mut session, mut server) = pair(Vec::new()).await;
        server.write_all(sent).await.unwrap();
        server.shutdown().await.unwrap();
        run(&mut session, &Tally::new()).await.unwrap_err()
    });
    assert_eq!(fault.to_string(), expected);
}

#[tokio::test]
async fn pings_are_answered() {
    let (mut session, mut server) = pair(Vec::new()).await;
    let tally = Tally::new();
    let serve = async {
        assert_eq!(receive(&mut server).await.0, BINARY);
        server.write_all(&frame(PING, b"hello")).await.unwrap();
        assert_eq!(receive(&mut server).await, (PONG, b"hello".to_vec()));
        assert_eq!(tally.messages(), 0);
        server.write_all(&message(0)).await.unwrap();
    };
    let (ran, ()) = tokio::join!(run(&mut session, &tally), serve);
    ran.unwrap();
    assert_eq!(tally.messages(), 1);
}

#[tokio::test]
async fn what_came_with_the_answer_is_read_first() {
    let whole = message(0);
    let (begun, rest) = whole.split_at(10);
    let (mut session, mut server) = pair(begun.to_vec()).await;
    server.write_all(rest).await.unwrap();
    run(&mut session, &Tally::new()).await.unwrap();
}

#[tokio::test]
async fn the_server_is_left_to_end_it() {
    let (session, mut server) = pair(Vec::new()).await;
    let serve = async {
        let close = receive(&mut server).await;
        assert_eq!(close, (CLOSE, NORMAL.to_be_bytes().to_vec()));
        // A message that was on its way, and the answer.
        let last = [message(0), frame(CLOSE, &close.1)].concat();
        server.write_all(&last).await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    };
    let (closed, ()) = tokio::join!(session.close(SIZE), serve);
    closed.unwrap();
}

#[tokio::test]
async fn an_end_is_no_close() {
    let (session, mut server) = pair(Vec::new()).await;
    server.shutdown().await.unwrap();
    let fault = session.close(SIZE).await.unwrap_err();
    assert_eq!(fault.to_string(), "an end without a Close");
}

#[test]
fn ends_that_nobody_asked_for() {
    check_fault(b"", "the connection ended");
    check_fault(&message(0)[..20], "the connection ended");
    let close = frame(CLOSE, &1014u16.to_be_bytes());
    check_fault(&close, "the peer sent a Close, with 1014");
    check_fault(&frame(CLOSE, b""), "the peer sent a Close, with no code");
}

const SIZE: usize = 100;

//! What connections see of the workers, and the end of those.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustls::HandshakeKind;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wsgate_server::{Running, Server, rustls};

use crate::support::{LOOPBACK, Log, PATIENCE, connect, localhost, request};
use crate::tunnels::{echo, echoes, tunnel_http1};

/// An app whose `/` tells which thread answers.
fn which() -> Router {
    let name = || async { thread::current().name().unwrap_or_default().to_owned() };
    Router::new().route("/", get(name))
}

/// The thread that answers on a connection of its own.
async fn asked(running: &Running) -> String {
    let stream = TcpStream::connect(running.local_addr()).await.unwrap();
    let answer = request(stream, "GET / HTTP/1.1\nhost: a\n").await.unwrap();
    let (_, name) = answer.rsplit_once("\r\n\r\n").unwrap();
    name.to_owned()
}

/// How many of so many connections each worker got.
async fn spread(running: &Running, connections: u64) -> BTreeMap<String, u64> {
    let mut spread = BTreeMap::new();
    for _ in 0..connections {
        *spread.entry(asked(running).await).or_default() += 1;
    }
    spread
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn each_has_its_share_of_the_connections() {
    let log = Log::capture();
    let server = Server::bind(LOOPBACK).workers(4);
    let running = server.start(which()).await.unwrap();

    let spread = spread(&running, 1000).await;

    let names: Vec<_> = spread.keys().map(String::as_str).collect();
    assert_eq!(names, ["wsgate-0", "wsgate-1", "wsgate-2", "wsgate-3"]);
    // A coin with four sides: 250, with a deviation of 14. Once in some ten thousand million runs one is
    // further away than 6.5 of those.
    let fair = |&count: &u64| (160..=340).contains(&count);
    assert!(spread.values().all(fair), "{spread:?}");

    running.shutdown(PATIENCE).await.unwrap();
    for (worker, count) in spread.values().enumerate() {
        let (worker, count) = (format!("worker={worker} "), format!("connections={count}"));
        log.line(&["DEBUG", &worker, &count]).await;
    }
}

#[tokio::test]
async fn a_session_of_one_is_resumed_with_another() {
    let _log = Log::capture();
    let (running, client) = localhost(which(), |server| server).await;
    let mut seen = Vec::new();
    // A hundred throws of a coin are not all the same.
    for _ in 0..100 {
        let stream = connect(running.local_addr(), "localhost", &client).await;
        let stream = stream.unwrap();
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        let head = "GET / HTTP/1.1\nhost: localhost\n";
        let answer = request(stream, head).await.unwrap();
        let (_, name) = answer.rsplit_once("\r\n\r\n").unwrap();
        seen.push((name.to_owned(), kind));
        if seen[0].0 != name {
            break;
        }
    }
    // Those of the first one are all that the second can have resumed.
    let (_, kind) = seen.last().unwrap();
    assert_eq!(*kind, HandshakeKind::Resumed, "{seen:?}");
    assert_eq!(seen[0].1, HandshakeKind::Full);
    assert_ne!(seen[0].0, seen.last().unwrap().0);
}

#[tokio::test]
async fn a_handler_that_panics_does_not_take_its_worker_along() {
    let _log = Log::capture();
    let panics = || async {
        if true {
            panic!("by intent")
        }
    };
    let app = which().route("/panic", get(panics));
    let running = Server::bind(LOOPBACK).workers(2).start(app).await.unwrap();
    for _ in 0..20 {
        let stream = TcpStream::connect(running.local_addr()).await.unwrap();
        let answer = request(stream, "GET /panic HTTP/1.1\nhost: a\n").await;
        assert!(answer.is_err() || answer.unwrap().is_empty());
    }
    assert_eq!(spread(&running, 100).await.len(), 2);
}

/// Where there are no workers it would live on with the caller's runtime.
#[tokio::test]
async fn a_tunnel_ends_with_the_server_at_the_latest() {
    for shutdown in [true, false] {
        let _log = Log::capture();
        let (running, client) = localhost(echo(), |server| server).await;
        let mut tunnel = tunnel_http1(&running, &client).await;
        echoes(&mut tunnel).await.unwrap();

        let gone = running.gone();
        if shutdown {
            running.shutdown(PATIENCE).await.unwrap();
            timeout(Duration::ZERO, gone).await.expect("the end");
        } else {
            drop(running);
            timeout(PATIENCE, gone).await.expect("an end");
        }

        let mut rest = Vec::new();
        let read = timeout(PATIENCE, tunnel.read_to_end(&mut rest)).await;
        let _ = read.expect("an end");
        assert!(rest.is_empty());
    }
}

/// On the test's own runtime, which is not the worker's, the time that the end may take passes at once.
#[tokio::test(start_paused = true)]
async fn a_handler_that_blocks_its_worker_does_not_hold_up_the_end() {
    let _log = Log::capture();
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let once = Arc::new(Mutex::new(Some((begun, released))));
    let blocks = move || {
        let (begun, released) = once.lock().unwrap().take().unwrap();
        async move {
            begun.send(()).unwrap();
            let _ = released.recv();
        }
    };
    let app = Router::new().route("/", get(blocks));
    let running = Server::bind(LOOPBACK).workers(2).start(app).await.unwrap();
    let gone = running.gone();
    let mut client = std::net::TcpStream::connect(running.local_addr()).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    has_begun.recv_timeout(PATIENCE).unwrap();

    running.shutdown(Duration::ZERO).await.unwrap();

    let mut gone = Box::pin(gone);
    timeout(Duration::from_millis(20), &mut gone)
        .await
        .expect_err("its thread is still there");
    release.send(()).unwrap();
    // Not by this clock, which is faster.
    tokio::time::resume();
    timeout(PATIENCE, gone).await.expect("an end");
}

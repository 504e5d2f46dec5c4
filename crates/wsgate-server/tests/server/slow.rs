//! Clients that dribble, that do not read, or that keep a connection for nothing: over TLS and without,
//! HTTP/1.1 and HTTP/2.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wsgate_server::{Limits, Running};

use crate::greedy::{Endless, PREFACE, greedy};
use crate::support::{
    LOOPBACK, Log, PATIENCE, alpn, bind, connect, get_root, hello, localhost, request,
};

/// Of the limit that a test is about.
const SHORT: Duration = Duration::from_millis(300);

/// Of the others.
const LONG: Duration = Duration::from_secs(200);

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

fn lenient() -> Limits {
    Limits::new()
        .tls_handshake(LONG)
        .first_request(LONG)
        .header_read(LONG)
        .http2_ping(LONG, LONG)
        .http2_idle(LONG)
        .send(LONG)
}

/// A server over TLS and one without, and a client of each.
struct Both {
    tls: (Running, rustls::ClientConfig),
    plain: Running,
}

impl Both {
    async fn start(app: &Router, limits: &Limits) -> Self {
        let tls = localhost(app.clone(), |server| server.limits(limits.clone())).await;
        let plain = bind(LOOPBACK).limits(limits.clone());
        Self {
            tls,
            plain: plain.start(app.clone()).await.unwrap(),
        }
    }

    async fn connect(&self, protocol: &str) -> [Box<dyn Io>; 2] {
        let (running, client) = &self.tls;
        let client = alpn(client.clone(), &[protocol]);
        let tls = connect(running.local_addr(), "localhost", &client).await;
        let plain = TcpStream::connect(self.plain.local_addr()).await;
        [Box::new(tls.unwrap()), Box::new(plain.unwrap())]
    }

    /// Others are served meanwhile.
    async fn serve_others(&self) {
        let (running, client) = &self.tls;
        let answer = get_root(running, client).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
        let stream = TcpStream::connect(self.plain.local_addr()).await.unwrap();
        let answer = request(stream, "GET / HTTP/1.1\nhost: localhost\n").await;
        assert!(answer.unwrap().ends_with("hello"));
    }
}

/// Sends a byte of this now and then, and sees the connection end long before the last one, and not before
/// the limit, which has been running since `begun` at the earliest.
async fn dribble(begun: Instant, mut stream: impl Io, bytes: &[u8]) {
    let (mut reading, mut writing) = tokio::io::split(&mut stream);
    let ended = async {
        let mut ignored = Vec::new();
        // A reset is as good an end.
        let _ = reading.read_to_end(&mut ignored).await;
    };
    let dribbled = async {
        for byte in bytes {
            if writing.write_all(&[*byte]).await.is_err() || writing.flush().await.is_err() {
                break;
            }
            sleep(SHORT / 10).await;
        }
        sleep(PATIENCE).await;
    };
    tokio::select! {
        () = ended => {}
        () = dribbled => panic!("it may take as long as it likes"),
    }
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_hello_that_dribbles_gets_no_more_time() {
    let _log = Log::capture();
    let both = Both::start(&hello(), &lenient().tls_handshake(SHORT)).await;
    let begun = Instant::now();
    let stream = TcpStream::connect(both.tls.0.local_addr()).await.unwrap();
    let hello = [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &[7; 500]].concat();
    dribble(begun, stream, &hello).await;
    both.serve_others().await;
}

#[tokio::test]
async fn a_first_request_that_dribbles_gets_no_more_time() {
    let _log = Log::capture();
    let both = Both::start(&hello(), &lenient().first_request(SHORT)).await;
    let head = [
        &b"GET / HTTP/1.1\r\nhost: localhost\r\nx: "[..],
        &[b'x'; 500],
    ]
    .concat();
    let begun = Instant::now();
    let [tls, plain] = both.connect("http/1.1").await;
    tokio::join!(dribble(begun, tls, &head), dribble(begun, plain, &head));
    // The first frame of settings has a length that it never comes to.
    let settings = [&PREFACE[..24], b"\0\x30\0\x04\0\0\0\0\0", &[0; 500]].concat();
    let begun = Instant::now();
    let [tls, plain] = both.connect("h2").await;
    tokio::join!(
        dribble(begun, tls, &settings),
        dribble(begun, plain, &settings)
    );
    both.serve_others().await;
}

#[tokio::test]
async fn a_later_head_that_dribbles_gets_no_more_time() {
    let _log = Log::capture();
    let both = Both::start(&hello(), &lenient().header_read(SHORT)).await;
    let first = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let head = [
        &b"GET / HTTP/1.1\r\nhost: localhost\r\nx: "[..],
        &[b'x'; 500],
    ]
    .concat();
    let [mut tls, mut plain] = both.connect("http/1.1").await;
    let begun = Instant::now();
    for stream in [&mut tls, &mut plain] {
        stream.write_all(first).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            answer.push(stream.read_u8().await.unwrap());
        }
    }
    tokio::join!(dribble(begun, tls, &head), dribble(begun, plain, &head));
    both.serve_others().await;
}

/// A frame that goes on for ever leaves no place for the answer to a ping.
#[tokio::test]
async fn a_frame_that_dribbles_is_no_answer_to_a_ping() {
    let _log = Log::capture();
    let limits = lenient().http2_ping(SHORT / 2, SHORT / 2);
    let both = Both::start(&hello(), &limits).await;
    let headers = [PREFACE, &[0, 0x30, 0, 1, 4, 0, 0, 0, 1], &[0; 500]].concat();
    let begun = Instant::now();
    let [tls, plain] = both.connect("h2").await;
    tokio::join!(
        dribble(begun, tls, &headers),
        dribble(begun, plain, &headers)
    );
    both.serve_others().await;
}

#[tokio::test]
async fn an_http2_connection_without_requests_is_told_to_go_away() {
    let _log = Log::capture();
    // It answers a ping, though not when its own time is over: whoever writes to a connection that is
    // closed may hear of that before it hears of the GOAWAY.
    let idle = SHORT * 4;
    let limits = lenient().http2_idle(idle).http2_ping(idle * 5 / 8, LONG);
    let both = Both::start(&hello(), &limits).await;
    for stream in both.connect("h2").await {
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let mut asked = Instant::now();
        for _ in 0..5 {
            asked = Instant::now();
            let get = Request::get("https://localhost/").body(()).unwrap();
            let (answer, _) = client.send_request(get, true).unwrap();
            let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
            let mut body = answer.into_body();
            while let Some(data) = body.data().await {
                data.unwrap();
            }
            // Each request begins the time anew.
            sleep(SHORT).await;
        }
        let ended = timeout(PATIENCE, tasks.join_next()).await.expect("an end");
        // With a GOAWAY that says that nothing was wrong.
        ended.unwrap().unwrap().unwrap();
        assert!(asked.elapsed() >= idle, "{:?}", asked.elapsed());
        let refused = client.ready().await;
        assert!(refused.is_err_and(|error| error.is_go_away()));
    }
    both.serve_others().await;
}

#[tokio::test]
async fn an_http2_connection_with_a_request_under_way_is_not_idle() {
    let _log = Log::capture();
    let slow = async || {
        sleep(SHORT * 4).await;
        "slow"
    };
    let app = hello().route("/slow", get(slow));
    let both = Both::start(&app, &lenient().http2_idle(SHORT)).await;
    for stream in both.connect("h2").await {
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let get = Request::get("https://localhost/slow").body(()).unwrap();
        let (answer, _) = client.send_request(get, true).unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_given_up() {
    let log = Log::capture();
    let (tell, mut begun) = mpsc::channel(1);
    let endless = async move || {
        let (sender, dropped) = oneshot::channel();
        tell.send(dropped).await.unwrap();
        Body::new(Endless(sender))
    };
    let app = hello().route("/endless", get(endless));
    let both = Both::start(&app, &lenient().send(SHORT)).await;
    for protocol in ["http/1.1", "h2"] {
        for mut stream in both.connect(protocol).await {
            let asked = Instant::now();
            if protocol == "h2" {
                // Windows as large as they can be, so that it is the socket that is full.
                stream.write_all(&greedy()).await.unwrap();
            } else {
                let get = b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n";
                stream.write_all(get).await.unwrap();
            }
            stream.flush().await.unwrap();
            let dropped = timeout(PATIENCE, begun.recv()).await.unwrap();
            let dropped = dropped.expect("the handler was asked");
            // Nothing is ever sent: the body is let go.
            timeout(PATIENCE, dropped)
                .await
                .expect("an end")
                .unwrap_err();
            assert!(asked.elapsed() >= SHORT);
            drop(stream);
        }
    }
    log.line(&["DEBUG", "a client does not read what it is sent"])
        .await;
    both.serve_others().await;
}

/// hyper does not wait for a body that nobody wants.
#[tokio::test]
async fn a_body_that_is_not_wanted_is_not_waited_for() {
    let _log = Log::capture();
    let both = Both::start(&hello(), &lenient()).await;
    let post = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\nx";
    for mut stream in both.connect("http/1.1").await {
        stream.write_all(post).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        let _ = read.expect("the connection ends");
        assert!(answer.starts_with(b"HTTP/1.1 405"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_redirect_listener_has_the_same_limits() {
    let _log = Log::capture();
    let limits = lenient().first_request(SHORT);
    let (running, _) = localhost(hello(), |server| {
        server.limits(limits).redirect_http(LOOPBACK)
    })
    .await;
    let address = running.redirect_addr().unwrap();
    let head = [
        &b"GET / HTTP/1.1\r\nhost: localhost\r\nx: "[..],
        &[b'x'; 500],
    ]
    .concat();
    let begun = Instant::now();
    let dribbled = TcpStream::connect(address).await.unwrap();
    let http2 = TcpStream::connect(address).await.unwrap();
    let on_tls_port = TcpStream::connect(running.local_addr()).await.unwrap();
    let headers = [PREFACE, &[0, 0x30, 0, 1, 4, 0, 0, 0, 1], &[0; 500]].concat();
    tokio::join!(
        dribble(begun, dribbled, &head),
        dribble(begun, http2, &headers),
        dribble(begun, on_tls_port, &head),
    );
    let stream = TcpStream::connect(address).await.unwrap();
    let answer = request(stream, "GET / HTTP/1.1\nhost: localhost\n").await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 308"));
}

#[tokio::test]
async fn slow_clients_do_not_hold_up_the_end() {
    let _log = Log::capture();
    let endless = async || Body::new(Endless(oneshot::channel().0));
    let app = hello().route("/endless", get(endless));
    let both = Both::start(&app, &lenient()).await;
    let mut held = Vec::new();
    let mut stream = TcpStream::connect(both.tls.0.local_addr()).await.unwrap();
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    held.push(Box::new(stream) as Box<dyn Io>);
    for (protocol, said) in [
        ("http/1.1", &b""[..]),
        ("http/1.1", b"GET / HTTP/1.1\r\nhost: local"),
        (
            "http/1.1",
            b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n",
        ),
        ("h2", b""),
        ("h2", &PREFACE[..20]),
        ("h2", PREFACE),
        ("h2", &greedy()),
    ] {
        for mut stream in both.connect(protocol).await {
            stream.write_all(said).await.unwrap();
            stream.flush().await.unwrap();
            held.push(stream);
        }
    }
    both.serve_others().await;
    for running in [both.tls.0, both.plain] {
        let ended = timeout(PATIENCE, running.shutdown(SHORT)).await;
        ended.expect("it ends").unwrap();
    }
    for mut stream in held {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .expect("it is cut");
    }
}

/// An upgraded connection is none of HTTP's, and may be held up for as long as its two ends like.
#[tokio::test]
async fn what_was_upgraded_may_be_left_unread() {
    const LENGTH: usize = 16 << 20;

    let _log = Log::capture();
    let upgrade = async |mut request: Request<Body>| {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            // Fails when the connection is cut, and the client sees that.
            let _ = stream.write_all(&vec![7; LENGTH]).await;
            let _ = stream.shutdown().await;
        });
        let fields = [("connection", "upgrade"), ("upgrade", "flood")];
        (StatusCode::SWITCHING_PROTOCOLS, fields)
    };
    let app = hello().route("/flood", get(upgrade));
    let limits = Limits::new().send(SHORT);
    let both = Both::start(&app, &limits).await;
    let head =
        b"GET /flood HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: flood\r\n\r\n";
    for mut stream in both.connect("http/1.1").await {
        stream.write_all(head).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        sleep(SHORT * 3).await;
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        read.expect("an end").unwrap();
        assert_eq!(rest.len(), LENGTH);
    }
}

//! Connections over memory, with the clock paused; and one pool shared by two runtimes, over TCP.

use std::{
    future::Future,
    sync::mpsc,
    thread::{self, JoinHandle as Thread},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server};
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    net::TcpListener,
    runtime,
    task::JoinHandle,
};
use tokio_test::{assert_pending, assert_ready, task};

use super::*;
use crate::{
    forward::UpstreamBody,
    upstream::http2::{Http2Stream, Route},
};

fn pool() -> Arc<Pool> {
    pool_to("http://127.0.0.1:9")
}

fn pool_to(endpoint: &str) -> Arc<Pool> {
    let endpoint = endpoint.parse().unwrap();
    Pool::new(Http2::Only, &endpoint, None).unwrap()
}

/// What an endpoint does with a stream that it has accepted.
type Serve = fn(RecvStream, SendStream<Bytes>) -> Served;
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Accepts every stream, until the connection ends in order.
async fn endpoint<IO>(io: IO, serve: Serve)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut settings = server::Builder::new();
    let settings = settings.enable_connect_protocol();
    let mut connection = settings.handshake::<_, Bytes>(io).await.unwrap();
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted.unwrap();
        let send = respond.send_response(Response::new(()), false).unwrap();
        tokio::spawn(serve(request.into_body(), send));
    }
}

fn echo(mut receive: RecvStream, mut send: SendStream<Bytes>) -> Served {
    Box::pin(async move {
        while let Some(Ok(data)) = receive.data().await {
            let _ = receive.flow_control().release_capacity(data.len());
            let _ = send.send_data(data, false);
        }
        let _ = send.send_data(Bytes::new(), true);
    })
}

/// A connection in this pool, and its endpoint.
async fn connected(pool: &Arc<Pool>, serve: Serve) -> (Weak<Connection>, JoinHandle<()>) {
    let (near, far) = duplex(64 * 1024);
    let endpoint = tokio::spawn(endpoint(far, serve));
    let connection = over(near, pool).await;
    let weak = Arc::downgrade(&connection);
    pool.put(connection);
    (weak, endpoint)
}

async fn over(io: DuplexStream, pool: &Arc<Pool>) -> Arc<Connection> {
    let (requests, live) = start(io).await.unwrap();
    let target = Arc::clone(&pool.target);
    Arc::new_cyclic(|me| {
        let life = Life {
            connection: me.clone(),
            pool: Arc::downgrade(pool),
        };
        let task = tokio::spawn(async move { life.move_frames(live, &target).await });
        Connection {
            state: watch::channel(State::Open(requests)).1,
            taken: 0.into(),
            idle: 0.into(),
            has_served: false.into(),
            task: task.abort_handle(),
        }
    })
}

fn upgrade() -> Request<()> {
    Request::get("/websocket")
        .header("host", "example.com")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap()
}

async fn tunnel(connection: &Weak<Connection>) -> Box<Http2Stream> {
    let place = connection.upgrade().unwrap().take(1).unwrap();
    let res = place.shake_hands(&upgrade(), false).await.unwrap();
    assert_eq!(res.status(), 101);
    assert_eq!(
        res.headers()["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    let UpstreamBody::Upgraded(parts) = res.into_body() else {
        panic!("no tunnel");
    };
    let UpstreamStream::Http2(stream) = parts.io else {
        panic!("no stream");
    };
    stream
}

/// Writes until no more is taken, or a MiB was.
async fn fill(stream: &mut Http2Stream) -> usize {
    let (mut written, chunk) = (0, vec![0; 100_000]);
    let mut write = task::spawn(async {
        while written < 1 << 20 {
            let n = stream.write(&chunk).await.unwrap();
            assert!(n <= crate::upstream::MAX_WRITE);
            written += n;
        }
    });
    for _ in 0..100 {
        if write.poll().is_ready() {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    drop(write);
    written
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_after_a_while() {
    let pool = pool();
    let (_, endpoint) = connected(&pool, echo).await;
    sleep(Http2::IDLE_TIMEOUT).await;
    assert_eq!(pool.count(), 1);
    sleep(Http2::PING_INTERVAL * 2).await;
    assert_eq!(pool.count(), 0);
    endpoint.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_keeps_its_connection() {
    let pool = pool();
    let (connection, endpoint) = connected(&pool, echo).await;
    let mut stream = tunnel(&connection).await;
    sleep(Http2::IDLE_TIMEOUT * 10).await;
    assert_eq!(pool.count(), 1);
    stream.write_all(b"still here").await.unwrap();
    let mut back = [0; 10];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"still here");

    drop(stream);
    sleep(Http2::IDLE_TIMEOUT * 2).await;
    assert_eq!(pool.count(), 0);
    endpoint.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_outlives_the_pool_and_its_connection_does_not_outlive_it() {
    let pool = pool();
    let (connection, endpoint) = connected(&pool, echo).await;
    let mut stream = tunnel(&connection).await;
    drop(pool);
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"hello");
    assert!(!endpoint.is_finished());
    drop(stream);
    endpoint.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_told_to_its_tunnels_and_leaves_the_pool() {
    let pool = pool();
    let (connection, endpoint) = connected(&pool, echo).await;
    let mut stream = tunnel(&connection).await;
    endpoint.abort();
    let error = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    let words = error.to_string();
    assert!(
        words.starts_with("its connection over HTTP/2 was lost"),
        "{words}"
    );
    tokio::task::yield_now().await;
    assert_eq!(pool.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_is_noticed_by_a_ping() {
    let (near, mut far) = duplex(64 * 1024);
    let pool = pool();
    let opening = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { over(near, &pool).await }
    });
    // SETTINGS with ENABLE_CONNECT_PROTOCOL (RFC 8441 3), and then nothing any more.
    let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x08\0\0\0\x01";
    far.write_all(settings).await.unwrap();
    let connection = opening.await.unwrap();
    pool.put(Arc::clone(&connection));
    let place = connection.take(1).unwrap();
    let req = upgrade();
    let mut handshake = task::spawn(async { place.shake_hands(&req, false).await.is_ok() });
    assert_pending!(handshake.poll());
    sleep(Http2::PING_TIMEOUT - Duration::from_millis(1)).await;
    assert_pending!(handshake.poll());
    sleep(Duration::from_millis(2)).await;
    assert!(!assert_ready!(handshake.poll()));
    assert_eq!(pool.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_gets_no_more_than_a_window() {
    let pool = pool();
    let flood: Serve = |_receive, mut send| {
        Box::pin(async move {
            loop {
                send.reserve_capacity(3);
                while send.capacity() < 3 {
                    match poll_fn(|cx| send.poll_capacity(cx)).await {
                        Some(Ok(_)) => {}
                        _ => return,
                    }
                }
                send.send_data(Bytes::from_static(b"\x81\x01x"), false)
                    .unwrap();
            }
        })
    };
    let (connection, _endpoint) = connected(&pool, flood).await;
    let mut stream = tunnel(&connection).await;
    let mut last = 0;
    // As the relay does while the client takes nothing.
    let mut ticks = task::spawn(());
    loop {
        sleep(Duration::from_millis(1)).await;
        ticks.enter(|cx, _| {
            let mut nothing = ReadBuf::new(&mut []);
            assert!(
                Pin::new(&mut *stream)
                    .poll_read(cx, &mut nothing)
                    .is_ready()
            );
        });
        let kept = stream.kept();
        if kept == last && kept > 0 {
            break;
        }
        last = kept;
    }
    // What no whole message fits in is left of the window.
    let window = STREAM_WINDOW as usize;
    assert!(last <= window && last > window - 3, "{last}");

    // All of it is there, and reading lets the endpoint go on.
    let mut read = vec![0; 3 * window];
    stream.read_exact(&mut read).await.unwrap();
    assert!(read.chunks_exact(3).all(|message| message == b"\x81\x01x"));
}

#[tokio::test(start_paused = true)]
async fn a_write_takes_what_the_window_has_room_for() {
    let pool = pool();
    let idle: Serve = |receive, send| {
        Box::pin(async move {
            let _held = (receive, send);
            pending::<()>().await;
        })
    };
    let (connection, _endpoint) = connected(&pool, idle).await;
    let mut stream = tunnel(&connection).await;
    let written = fill(&mut stream).await;
    // The window of a stream by default (RFC 9113 6.9.2).
    assert_eq!(written, 65_535);
}

#[tokio::test(start_paused = true)]
async fn a_write_takes_what_the_socket_has_room_for() {
    let pool = pool();
    let (near, far) = duplex(64 * 1024);
    let _endpoint = tokio::spawn(async {
        let mut settings = server::Builder::new();
        let settings = settings.enable_connect_protocol();
        let settings = settings.initial_window_size(1 << 30);
        let settings = settings.initial_connection_window_size(1 << 30);
        let mut connection = settings.handshake::<_, Bytes>(far).await.unwrap();
        let (_receive, mut respond) = connection.accept().await.unwrap().unwrap();
        let _send = respond.send_response(Response::new(()), false).unwrap();
        // It sends its answer, and does nothing any more.
        let _ = timeout(Duration::from_millis(1), connection.accept()).await;
        pending::<()>().await;
    });
    let connection = over(near, &pool).await;
    let mut stream = tunnel(&Arc::downgrade(&connection)).await;
    let written = fill(&mut stream).await;
    assert!(written < 256 * 1024, "{written}");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_from_a_reset() {
    let pool = pool();
    // Not at once, as it would overtake the answer.
    let cancel: Serve = |mut receive, mut send| {
        Box::pin(async move {
            receive.data().await;
            send.send_reset(Reason::CANCEL);
        })
    };
    let (connection, _endpoint) = connected(&pool, cancel).await;
    let mut stream = tunnel(&connection).await;
    stream.write_all(b"reset me").await.unwrap();
    let error = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = stream.write(b"lost").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

    let enough: Serve = |mut receive, mut send| {
        Box::pin(async move {
            receive.data().await;
            send.send_reset(Reason::NO_ERROR);
        })
    };
    let (connection, _endpoint) = connected(&pool, enough).await;
    let mut stream = tunnel(&connection).await;
    stream.write_all(b"end me").await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_none_is_named() {
    let pool = pool();
    let (connection, _endpoint) = connected(&pool, echo).await;
    let place = connection.upgrade().unwrap().take(1).unwrap();
    let mut req = upgrade();
    req.headers_mut().insert("host", "a b".parse().unwrap());
    let Err(failed) = place.shake_hands(&req, false).await else {
        panic!("sent");
    };
    let words = failed.failure.to_string();
    assert_eq!(
        words,
        "cannot be asked over HTTP/2 for `a b`, which is no host"
    );
}

/// A runtime on a thread of its own, which takes a place and ends when it is told to.
fn worker(pool: Arc<Pool>) -> (Place, mpsc::Sender<()>, Thread<()>) {
    let (tell, place) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap();
        let route = runtime.block_on(pool.route(Duration::from_secs(5)));
        let Ok(Route::Http2(place)) = route else {
            panic!("no place");
        };
        tell.send(place).unwrap();
        stopped.recv().unwrap_err();
    });
    (place.recv().unwrap(), stop, thread)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_runtime_has_its_own_connections_and_they_end_with_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let pool = pool_to(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(endpoint(socket, echo));
        }
    });
    let (first, stop_first, first_thread) = worker(Arc::clone(&pool));
    let (second, stop_second, second_thread) = worker(Arc::clone(&pool));
    assert!(!Arc::ptr_eq(&first.connection, &second.connection));
    assert_eq!(pool.count(), 2);

    drop(stop_first);
    first_thread.join().unwrap();
    assert_eq!(pool.count(), 1);
    assert!(first.connection.take(1).is_none());
    drop(stop_second);
    second_thread.join().unwrap();
    assert_eq!(pool.count(), 0);
}

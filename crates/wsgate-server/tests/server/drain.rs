//! A server with a drain: in which order it ends, and what waits for what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use wsgate_server::rustls::ClientConfig;
use wsgate_server::{Running, ServerErrorKind};

use crate::support::{
    LOOPBACK, Log, PATIENCE, bind, connect, free, get_root, held, hello, localhost, request,
};
use crate::tunnels::{Http2Tunnel, echo, echoes, tunnel_http1};

/// A drain that finishes when the test says so, and tells what happened to it.
#[derive(Default)]
struct Drain {
    begun: Arc<AtomicUsize>,
    /// The first strong count is the test's, the second the future's.
    alive: Arc<()>,
}

impl Drain {
    /// The future, and what finishes it.
    fn future(
        &self,
    ) -> (
        impl Future<Output = ()> + Send + 'static,
        oneshot::Sender<()>,
    ) {
        let (finish, finished) = oneshot::channel();
        let (begun, alive) = (Arc::clone(&self.begun), Arc::clone(&self.alive));
        let future = async move {
            begun.fetch_add(1, Ordering::SeqCst);
            let _ = finished.await;
            drop(alive);
        };
        (future, finish)
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// Waits until the server has let go of the future.
    async fn dropped(&self) {
        let dropped = async {
            while Arc::strong_count(&self.alive) > 1 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, dropped).await.expect("a dropped drain");
    }
}

/// A server on loopback with a drain in the test's hands.
async fn drained(app: Router) -> (Running, ClientConfig, Drain, oneshot::Sender<()>) {
    let drain = Drain::default();
    let (future, finish) = drain.future();
    let (running, client) = localhost(app, |server| server.drain(future)).await;
    (running, client, drain, finish)
}

/// Shows that a future is still pending after more than the graces that these tests give.
async fn pends<F: Future + Unpin>(future: &mut F) {
    timeout(GRACE * 5, future).await.err().expect("pending");
}

async fn ends<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("an end")
}

const GRACE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_drain_begins_only_when_the_server_is_to_stop() {
    let _log = Log::capture();
    let (running, client, drain, finish) = drained(hello()).await;

    get_root(&running, &client).await.unwrap();
    sleep(GRACE).await;
    assert_eq!(drain.begun(), 0);

    finish.send(()).unwrap();
    ends(running.shutdown(PATIENCE)).await.unwrap();
    assert_eq!(drain.begun(), 1);
}

#[tokio::test]
async fn it_begins_before_listening_ends() {
    let _log = Log::capture();
    let (tell, told) = oneshot::channel::<SocketAddr>();
    let (began, begun) = oneshot::channel();
    let (finish, finished) = oneshot::channel::<()>();
    let mut told = told;
    let server = bind(LOOPBACK).drain(async move {
        // All this is one poll.
        let address = told.try_recv().unwrap();
        began
            .send(std::net::TcpStream::connect(address).is_ok())
            .unwrap();
        finished.await
    });
    let running = server.start(hello()).await.unwrap();
    let address = running.local_addr();
    tell.send(address).unwrap();

    let mut end = Box::pin(running.shutdown(GRACE));
    pends(&mut end).await;

    assert!(begun.await.unwrap(), "it did not listen any more");
    free(address).await;
    finish.send(()).unwrap();
    ends(end).await.unwrap();
}

#[tokio::test]
async fn all_listeners_end_while_it_goes_on() {
    let _log = Log::capture();
    let (future, finish) = Drain::default().future();
    let (running, _) = localhost(hello(), |server| {
        server.redirect_http(LOOPBACK).drain(future)
    })
    .await;
    let addresses = [running.local_addr(), running.redirect_addr().unwrap()];

    let mut end = Box::pin(running.shutdown(GRACE));
    pends(&mut end).await;

    for address in addresses {
        free(address).await;
    }
    finish.send(()).unwrap();
    ends(end).await.unwrap();
}

#[tokio::test]
async fn an_http1_tunnel_is_waited_for_as_long_as_it_goes_on() {
    let _log = Log::capture();
    let (running, client, _drain, finish) = drained(echo()).await;
    let mut tunnel = tunnel_http1(&running, &client).await;

    let mut end = Box::pin(running.shutdown(GRACE));
    pends(&mut end).await;

    echoes(&mut tunnel).await.unwrap();
    finish.send(()).unwrap();
    ends(end).await.unwrap();
}

#[tokio::test]
async fn an_http2_tunnel_outlives_the_grace_but_not_the_drain() {
    let _log = Log::capture();
    let (future, finish) = Drain::default().future();
    let (stop, stopped) = oneshot::channel::<()>();
    let (mut running, client) = localhost(echo(), |server| {
        server
            .shutdown_on(async {
                let _ = stopped.await;
            })
            .shutdown_grace(GRACE)
            .drain(future)
    })
    .await;
    let mut tunnel = Http2Tunnel::open(&running, &client).await;

    stop.send(()).unwrap();
    pends(&mut Box::pin(running.wait())).await;

    tunnel.echoes().await.unwrap();
    finish.send(()).unwrap();
    ends(running.wait()).await.unwrap();
    // Cut by the end itself: the server is not dropped yet.
    tunnel.ended().await;
    drop(running);
}

#[tokio::test]
async fn a_tunnel_that_is_gone_by_its_end_makes_it_the_end_of_all() {
    let _log = Log::capture();
    let (running, client, _drain, finish) = drained(echo()).await;
    let tunnel = Http2Tunnel::open(&running, &client).await;

    let mut end = Box::pin(running.shutdown(PATIENCE * 2));
    pends(&mut end).await;
    drop(tunnel);
    pends(&mut end).await;

    finish.send(()).unwrap();
    // Long before the grace.
    ends(end).await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_has_the_grace_after_a_short_drain() {
    let _log = Log::capture();
    let (app, was_asked, release) = held();
    let (running, client) = localhost(app, |server| server.drain(async {})).await;
    let stream = connect(running.local_addr(), "localhost", &client).await;

    let ask = request(stream.unwrap(), "GET / HTTP/1.1\nhost: localhost\n");
    let end = async {
        was_asked.await.unwrap();
        let mut end = Box::pin(running.shutdown(PATIENCE));
        pends(&mut end).await;
        release.send(()).unwrap();
        end.await.unwrap();
    };
    let (answer, ()) = ends(async { tokio::join!(ask, end) }).await;
    assert!(answer.unwrap().ends_with("finished"));
}

#[tokio::test]
async fn a_request_under_way_is_cut_when_grace_and_drain_are_over() {
    let log = Log::capture();
    let (app, was_asked, _release) = held();
    let (running, client, _drain, finish) = drained(app).await;
    let stream = connect(running.local_addr(), "localhost", &client).await;

    let ask = request(stream.unwrap(), "GET / HTTP/1.1\nhost: localhost\n");
    let mut ask = Box::pin(ask);
    let mut end = Box::pin(async {
        was_asked.await.unwrap();
        running.shutdown(GRACE).await
    });
    let (mut asking, mut ending) = (&mut ask, &mut end);
    pends(&mut Box::pin(async {
        tokio::select! {
            _ = &mut asking => {},
            _ = &mut ending => {},
        }
    }))
    .await;

    finish.send(()).unwrap();
    let (answer, ended) = ends(async { tokio::join!(ask, end) }).await;
    ended.unwrap();
    assert!(answer.is_err() || answer.unwrap().is_empty());
    log.line(&[
        "WARN",
        "cutting what has not ended in time",
        "connections=1",
    ])
    .await;
}

#[tokio::test]
async fn serve_waits_for_it() {
    let _log = Log::capture();
    let drain = Drain::default();
    let (future, finish) = drain.future();
    let serve = bind(LOOPBACK)
        .shutdown_on(async {})
        .shutdown_grace(GRACE)
        .drain(future)
        .serve(hello());
    let mut serve = Box::pin(serve);

    pends(&mut serve).await;
    assert_eq!(drain.begun(), 1);
    finish.send(()).unwrap();
    ends(serve).await.unwrap();
}

#[tokio::test]
async fn wait_can_be_dropped_and_called_again_meanwhile() {
    let _log = Log::capture();
    let drain = Drain::default();
    let (future, finish) = drain.future();
    let server = bind(LOOPBACK).shutdown_on(async {}).drain(future);
    let mut running = server.start(hello()).await.unwrap();

    for _ in 0..3 {
        pends(&mut Box::pin(running.wait())).await;
    }
    finish.send(()).unwrap();
    ends(running.wait()).await.unwrap();
    // And once more, of a server that has ended.
    ends(running.wait()).await.unwrap();
    assert_eq!(drain.begun(), 1);
}

#[tokio::test]
async fn shutdown_after_the_signal_shortens_the_grace_and_begins_nothing_twice() {
    let _log = Log::capture();
    let (app, was_asked, _release) = held();
    let drain = Drain::default();
    let (future, finish) = drain.future();
    let (stop, stopped) = oneshot::channel::<()>();
    let (running, client) = localhost(app, |server| {
        server
            .shutdown_on(async {
                let _ = stopped.await;
            })
            .shutdown_grace(PATIENCE * 2)
            .drain(future)
    })
    .await;
    let stream = connect(running.local_addr(), "localhost", &client).await;
    let ask = request(stream.unwrap(), "GET / HTTP/1.1\nhost: localhost\n");
    let end = async {
        was_asked.await.unwrap();
        stop.send(()).unwrap();
        sleep(GRACE).await;
        finish.send(()).unwrap();
        running.shutdown(GRACE).await.unwrap();
    };
    let (answer, ()) = ends(async { tokio::join!(ask, end) }).await;
    assert!(answer.is_err() || answer.unwrap().is_empty());
    assert_eq!(drain.begun(), 1);
}

#[tokio::test]
async fn dropping_the_server_drops_it_and_cuts_all() {
    let _log = Log::capture();
    // Before it begins, and while it goes on.
    for begun in [0, 1] {
        let (mut running, client, drain, _finish) = drained(echo()).await;
        let tunnel = Http2Tunnel::open(&running, &client).await;
        let address = running.local_addr();
        if begun == 0 {
            pends(&mut Box::pin(running.wait())).await;
            drop(running);
        } else {
            pends(&mut Box::pin(running.shutdown(GRACE))).await;
        }
        assert_eq!(drain.begun(), begun);
        drain.dropped().await;
        tunnel.ended().await;
        free(address).await;
    }
}

#[tokio::test]
async fn one_that_panics_cuts_all_and_is_told() {
    let _log = Log::capture();
    let (running, client) = localhost(echo(), |server| {
        server.drain(async {
            // After its first poll.
            sleep(GRACE).await;
            panic!("by intent");
        })
    })
    .await;
    let tunnel = Http2Tunnel::open(&running, &client).await;

    let error = ends(running.shutdown(PATIENCE)).await.unwrap_err();

    assert_eq!(error.kind(), ServerErrorKind::Serve);
    assert_eq!(error.to_string(), "the drain panicked");
    tunnel.ended().await;
}

//! How a server ends.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::{
    LOOPBACK, Log, PATIENCE, bind, connect, free, get_root, held, hello, localhost, request,
};

#[tokio::test]
async fn shutdown_frees_the_ports() {
    let _log = Log::capture();
    let (running, client) = localhost(hello(), |server| server.redirect_http(LOOPBACK)).await;
    let (address, redirect) = (running.local_addr(), running.redirect_addr().unwrap());
    get_root(&running, &client).await.unwrap();

    timeout(PATIENCE, running.shutdown(PATIENCE))
        .await
        .expect("an end")
        .unwrap();

    for address in [address, redirect] {
        TcpListener::bind(address).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_under_way_is_finished() {
    let _log = Log::capture();
    let (app, was_asked, release) = held();
    let (running, client) = localhost(app, |server| server).await;
    let address = running.local_addr();

    let ask = async {
        let stream = connect(address, "localhost", &client).await.unwrap();
        request(stream, "GET / HTTP/1.1\nhost: localhost\n")
            .await
            .unwrap()
    };
    let end = async {
        was_asked.await.unwrap();
        let end = running.shutdown(PATIENCE);
        tokio::pin!(end);
        // Waiting for the request, not listening any more.
        timeout(Duration::from_millis(20), &mut end)
            .await
            .unwrap_err();
        free(address).await;
        release.send(()).unwrap();
        end.await.unwrap();
    };
    let (answer, ()) = tokio::join!(ask, end);
    assert!(answer.ends_with("finished"), "{answer}");
}

/// Less than the 10 s after which containers are killed.
#[test]
fn there_is_a_grace_by_default_and_it_is_short() {
    let server = format!("{:?}", bind(LOOPBACK));
    assert!(server.contains("shutdown_grace: 8s"), "{server}");
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_after_the_grace() {
    let _log = Log::capture();
    let (app, was_asked, _release) = held();
    let (running, client) = localhost(app, |server| server).await;
    let address = running.local_addr();

    let ask = async {
        let stream = connect(address, "localhost", &client).await.unwrap();
        request(stream, "GET / HTTP/1.1\nhost: localhost\n").await
    };
    let end = async {
        was_asked.await.unwrap();
        running.shutdown(Duration::from_millis(20)).await.unwrap();
    };
    let (answer, ()) = timeout(PATIENCE, async { tokio::join!(ask, end) })
        .await
        .unwrap();
    assert!(answer.is_err() || answer.unwrap().is_empty());
}

#[tokio::test]
async fn dropping_it_stops_listening_and_cuts_connections() {
    let _log = Log::capture();
    let (app, was_asked, _release) = held();
    let (running, client) = localhost(app, |server| server).await;
    let address = running.local_addr();
    let gone = running.gone();

    let ask = async {
        let stream = connect(address, "localhost", &client).await.unwrap();
        request(stream, "GET / HTTP/1.1\nhost: localhost\n").await
    };
    let end = async {
        was_asked.await.unwrap();
        drop(running);
        gone.await;
        TcpListener::bind(address).await.unwrap();
    };
    let (answer, ()) = timeout(PATIENCE, async { tokio::join!(ask, end) })
        .await
        .unwrap();
    assert!(answer.is_err() || answer.unwrap().is_empty());
}

#[tokio::test]
async fn it_is_not_gone_before_it_has_ended() {
    let _log = Log::capture();
    let (running, _client) = localhost(hello(), |server| server.redirect_http(LOOPBACK)).await;
    let mut gone = Box::pin(running.gone());
    timeout(Duration::from_millis(20), &mut gone)
        .await
        .unwrap_err();
    running.shutdown(PATIENCE).await.unwrap();
    timeout(PATIENCE, gone).await.expect("an end");
}

#[tokio::test]
async fn serve_returns_after_its_signal() {
    let _log = Log::capture();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = bind(LOOPBACK).shutdown_on(async {
        let _ = stopped.await;
    });
    let serve = server.serve(hello());
    tokio::pin!(serve);
    timeout(Duration::from_millis(20), &mut serve)
        .await
        .unwrap_err();
    stop.send(()).unwrap();
    timeout(PATIENCE, serve).await.expect("an end").unwrap();
}

#[tokio::test]
async fn wait_can_be_dropped_and_called_again() {
    let _log = Log::capture();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = bind(LOOPBACK).shutdown_on(async {
        let _ = stopped.await;
    });
    let mut running = server.start(hello()).await.unwrap();
    timeout(Duration::from_millis(10), running.wait())
        .await
        .unwrap_err();
    stop.send(()).unwrap();
    timeout(PATIENCE, running.wait())
        .await
        .expect("an end")
        .unwrap();
}

//! What becomes of handshakes.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    sync::{mpsc, oneshot},
};
use tower::{Service, ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    tunnel::Cause,
    upgrade::{OnUpgrade, UpgradeSender, UpgradedIo, pair},
};

type Answer = Response<String>;

/// A handshake, and the connection that it comes on.
fn handshake() -> (Request<()>, UpgradeSender<DuplexStream>) {
    let (connection, on_upgrade) = pair();
    let mut req = ordinary();
    let headers = req.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", "websocket".parse().unwrap());
    req.extensions_mut().insert(on_upgrade);
    (req, connection)
}

fn ordinary() -> Request<()> {
    Request::get("/").body(()).unwrap()
}

fn with_status(status: StatusCode) -> Answer {
    let mut res = Response::new("inner".to_owned());
    *res.status_mut() = status;
    res
}

/// A service that answers with this status, after the upgrade was put aside.
fn answers(
    status: StatusCode,
) -> (
    impl Service<Request<()>, Response = Answer, Error = Infallible, Future: Unpin> + Clone,
    mpsc::UnboundedReceiver<OnUpgrade>,
) {
    let (keep, kept) = mpsc::unbounded_channel();
    let service = service_fn(move |mut req: Request<()>| {
        if let Some(on_upgrade) = req.extensions_mut().remove() {
            keep.send(on_upgrade).unwrap();
        }
        std::future::ready(Ok(with_status(status)))
    });
    (service, kept)
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_counted_from_its_handshake_to_its_end() {
    let drain = Drain::new();
    let (service, mut kept) = answers(StatusCode::SWITCHING_PROTOCOLS);
    let (req, connection) = handshake();
    let mut service = drain.layer().layer(service);
    let res = service.ready().await.unwrap().call(req);
    assert_eq!(drain.live(), 1);
    assert_eq!(res.await.unwrap().status(), 101);
    assert_eq!(drain.live(), 1);

    let (near, _far) = duplex(64);
    connection.send(near).unwrap();
    let stream = kept.recv().await.unwrap().await.unwrap();
    assert_eq!(drain.live(), 1);
    drop(stream);
    assert_eq!(drain.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_comes_to_nothing_is_not_counted() {
    // Refused by the handler.
    let drain = Drain::new();
    let (service, _kept) = answers(StatusCode::FORBIDDEN);
    let (req, _connection) = handshake();
    let layered = drain.layer().layer(service);
    assert_eq!(layered.oneshot(req).await.unwrap().status(), 403);
    assert_eq!(drain.live(), 0);

    // Accepted, but the client has left.
    let (service, _kept) = answers(StatusCode::SWITCHING_PROTOCOLS);
    let (req, connection) = handshake();
    let layered = drain.layer().layer(service);
    layered.oneshot(req).await.unwrap();
    drop(connection);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(drain.live(), 0);

    // Given up before the answer.
    let never = service_fn(|_: Request<()>| std::future::pending::<Result<Answer, Infallible>>());
    let (req, _connection) = handshake();
    let mut layered = drain.layer().layer(never);
    let res = layered.ready().await.unwrap().call(req);
    assert_eq!(drain.live(), 1);
    drop(res);
    assert_eq!(drain.live(), 0);

    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_eq!(assert_ready!(draining.poll()).closed, 0);
}

#[tokio::test(start_paused = true)]
async fn while_it_drains_handshakes_are_refused_and_requests_pass() {
    let drain = Drain::new();
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_ready!(draining.poll());
    let (service, _kept) = answers(StatusCode::OK);
    let layered = drain.layer().layer(service);

    let res = layered.clone().oneshot(handshake().0).await.unwrap();
    assert_eq!(res.status(), 503);
    assert_eq!(res.headers()["retry-after"], "5");
    assert_eq!(res.extensions().get::<Cause>(), Some(&Cause::Drain));
    assert_eq!(
        res.body(),
        "the server is shutting down: try again in 5 s\n"
    );

    let res = layered.oneshot(ordinary()).await.unwrap();
    assert_eq!(
        (res.status(), res.body().as_str()),
        (StatusCode::OK, "inner")
    );
}

#[tokio::test(start_paused = true)]
async fn a_handshake_under_way_is_waited_for_and_its_websocket_closed_at_once() {
    let drain = Drain::new();
    let (answer, answered) = oneshot::channel::<()>();
    let (keep, kept) = oneshot::channel::<OnUpgrade>();
    let mut once = Some((keep, answered));
    let slow = service_fn(move |mut req: Request<()>| {
        let (keep, answered) = once.take().unwrap();
        let _ = keep.send(req.extensions_mut().remove().unwrap());
        async move {
            let _ = answered.await;
            Ok::<_, Infallible>(with_status(StatusCode::SWITCHING_PROTOCOLS))
        }
    });
    let (req, connection) = handshake();
    let res = tokio::spawn(drain.layer().layer(slow).oneshot(req));
    // For the sake of these the window is five seconds long.
    let others: Vec<_> = (0..1_000).map(|_| drain.shared.enter()).collect();
    sleep(Duration::from_millis(1)).await;

    let draining = tokio::spawn(drain.within(DEADLINE));
    sleep(Duration::from_millis(1)).await;
    drop(others);
    sleep(Duration::from_millis(1)).await;
    assert!(!draining.is_finished());
    answer.send(()).unwrap();
    res.await.unwrap().unwrap();
    let (near, mut far) = duplex(64);
    connection.send(near).unwrap();
    let mut stream = UpgradedIo::new(kept.await.unwrap().await.unwrap());
    let handler = tokio::spawn(async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    });

    let mut told = vec![0; going_away().len()];
    far.read_exact(&mut told).await.unwrap();
    assert_eq!(told, going_away());
    far.write_all(ANSWER).await.unwrap();
    assert_eq!(handler.await.unwrap(), ANSWER);
    let drained = draining.await.unwrap();
    assert_eq!(drained.closed, 1);
    assert!(drained.took < TOLD, "{:?}", drained.took);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_without_a_stream_is_counted_until_its_answer() {
    let drain = Drain::new();
    let (service, _kept) = answers(StatusCode::SWITCHING_PROTOCOLS);
    let (mut req, _connection) = handshake();
    req.extensions_mut().remove::<OnUpgrade>();
    let mut service = drain.layer().layer(service);
    let res = service.ready().await.unwrap().call(req);
    assert_eq!(drain.live(), 1);
    res.await.unwrap();
    assert_eq!(drain.live(), 0);
}

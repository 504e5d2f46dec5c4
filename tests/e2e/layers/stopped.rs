//! Peers that are stopped in the middle of everything (SIGSTOP). Their kernels go on answering, so only
//! pings can tell.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsgate::WebSocketProxy;
use wsgate::layer::{KeepaliveLayer, ObserveLayer};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::peers::{Event, Peer, RunningClient, Step};
use wsgate_tests::stage::Http;
use wsgate_tests::{Frame, trace};

use super::house::FLOOD;
use super::{Behind, House, Visitor, is_closed};

#[tokio::test]
async fn a_quiet_client_that_is_stopped_is_found() {
    clients_are_found(None).await;
}

/// The flood fills what there is of buffers, and no ping can leave.
#[tokio::test]
async fn a_client_that_is_stopped_in_the_middle_of_a_flood_is_found() {
    clients_are_found(Some(Step::Text(FLOOD.to_owned()))).await;
}

/// All clients, before the app and before the proxy.
async fn clients_are_found(first: Option<Step>) {
    let trace = trace::init();
    let house = House::start().await;
    let keepalive = KeepaliveLayer::every(INTERVAL).pong_timeout(PONG_TIMEOUT);
    let app = house
        .router()
        .layer(keepalive)
        .layer(ObserveLayer::tracing());
    let gateway = Gateway::serving(app).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = gateway.ca().write(folder.path());

    let mut clients = Vec::new();
    for peer in Peer::ALL {
        for behind in Behind::BOTH {
            let client = peer.client(&gateway.target().url(behind.path()), Some(&ca));
            let mut client = match &first {
                Some(first) => client.then(first.clone()).start(),
                None => client.start(),
            };
            assert!(matches!(
                client.event().await,
                Event::Open { status: 101, .. }
            ));
            if first.is_some() {
                hears_the_flood(&mut client).await;
            }
            clients.push(client);
        }
    }
    if first.is_none() {
        // Well and quiet they stay as long as they like.
        sleep(INTERVAL + PONG_TIMEOUT).await;
    }
    house.app.until_open(clients.len()).await;
    for client in &clients {
        client.freeze().await;
    }
    let frozen = Instant::now();

    let told = house.app.until_told(clients.len()).await;
    let took = frozen.elapsed();
    assert!(took < INTERVAL + PONG_TIMEOUT + SLACK, "{took:?}");
    assert_eq!(told.len(), clients.len());
    for told in told {
        assert_eq!(
            told.close,
            Some((1011, "pong timeout".to_owned())),
            "{}",
            told.path
        );
        assert!(told.lived > PONG_TIMEOUT, "{:?}", told.lived);
    }
    for (words, cause, count) in [
        ("tunnel closed", "cause", clients.len() / 2),
        ("websocket closed", "websocket.cause", clients.len()),
    ] {
        for event in trace.until(words, count).await {
            assert_eq!(event.field(cause), "pong timeout");
        }
    }
    drop(clients);
    gateway.join().await;
    house.join().await;
}

/// The keepalive of the proxy towards its upstream.
#[tokio::test]
async fn an_upstream_that_is_stopped_is_found() {
    let trace = trace::init();
    tokio::join!(
        upstream_is_found(Peer::Node, Http::One),
        upstream_is_found(Peer::Python, Http::Two)
    );
    for closed in trace.until("tunnel closed", 2).await {
        assert_eq!(closed.field("cause"), "pong timeout");
        assert_eq!(closed.field("side"), "upstream");
    }
}

async fn upstream_is_found(peer: Peer, http: Http) {
    let mut server = peer.server(&[]).await;
    let keepalive = KeepaliveLayer::every(INTERVAL).pong_timeout(PONG_TIMEOUT);
    let proxy = WebSocketProxy::to(&format!("http://{}", server.addr())).unwrap();
    let gateway = Gateway::proxying(proxy.upstream_keepalive(keepalive)).await;
    let mut visitor = Visitor::new(gateway.target(), http).await;
    let mut client = visitor.enter("/websocket").await;
    // Pings change nothing as long as they are answered, and do not come as far as the client.
    sleep(INTERVAL + PONG_TIMEOUT).await;
    client.send(Frame::text("hello")).await;
    assert_eq!(client.frame().await, Frame::text("hello"));
    if peer == Peer::Node {
        let request = server.event().await;
        assert!(matches!(request, Event::Request { .. }), "{request:?}");
        let ping = server.event().await;
        assert!(matches!(ping, Event::Ping { .. }), "{ping:?}");
    }
    server.freeze().await;
    let frozen = Instant::now();

    is_closed(client, 1011, "pong timeout").await;
    let took = frozen.elapsed();
    assert!(took < INTERVAL + PONG_TIMEOUT + SLACK, "{took:?}");
    visitor.leave().await;
    gateway.join().await;
}

async fn hears_the_flood(client: &mut RunningClient) {
    loop {
        match client.event().await {
            Event::Binary { .. } => return,
            Event::Ping { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(1);

/// Short enough to be waited for, and long beside what a busy machine makes a client wait.
const PONG_TIMEOUT: Duration = Duration::from_secs(3);

const SLACK: Duration = Duration::from_secs(5);

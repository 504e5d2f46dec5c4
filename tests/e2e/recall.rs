//! An endpoint that is to be restarted: its tunnels are closed, and their clients go to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wsgate::WebSocketProxy;
use wsgate::proxy::upstream;
use wsgate_tests::client::{H2, Handshake, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, Tunnel, trace};

/// Half of them over HTTP/1.1, half over HTTP/2, and half of those at each endpoint.
#[tokio::test]
async fn the_clients_of_a_drained_endpoint_go_to_the_other_whose_own_notice_nothing() {
    let trace = trace::init();
    let (first, second) = (
        Upstream::tcp(script::echo()).await,
        Upstream::tcp(script::echo()).await,
    );
    let settings = |upstream: &Upstream| {
        upstream::EndpointSettings::new(&format!("http://{}", upstream.addr())).unwrap()
    };
    let backend = upstream::Upstream::builder("backend")
        .endpoint(settings(&first))
        .endpoint(settings(&second))
        .build()
        .unwrap();
    let gateway = Gateway::proxying(WebSocketProxy::to_upstream(backend.clone())).await;

    let target = gateway.target();
    let mut doors = vec![Door::One(target.clone())];
    for _ in 0..CONNECTIONS {
        doors.push(Door::Two(Arc::new(Mutex::new(target.h2().await))));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for i in 0..CLIENTS {
        // Every second one by HTTP/1.1.
        let door = match i % 2 {
            0 => doors[0].clone(),
            _ => doors[1 + i / 2 % CONNECTIONS].clone(),
        };
        let tunnel = door.enter().await;
        clients.spawn(converse(door, tunnel, Arc::clone(&stop)));
    }
    assert_eq!(tunnels(&backend), [CLIENTS / 2; 2]);

    let start = Instant::now();
    let endpoint = settings(&first).endpoint().clone();
    backend.drain(&endpoint).unwrap();
    let closed = backend.close_tunnels(&endpoint, WINDOW).unwrap().await;
    let took = start.elapsed();
    assert_eq!(closed, CLIENTS / 2);
    assert!(took > WINDOW / 2 && took < WINDOW + SLACK, "{took:?}");
    first
        .until("every tunnel's end", |seen| seen.iter().all(|s| s.ended))
        .await;
    second
        .until("the clients' return", |seen| seen.len() == CLIENTS)
        .await;
    assert_eq!(tunnels(&backend), [0, CLIENTS]);

    stop.store(true, Ordering::Relaxed);
    let ends = clients.join_all().await;
    let moved: Vec<_> = ends.iter().flatten().collect();
    assert_eq!(moved.len(), CLIENTS / 2);
    // They were told one after the other.
    let early = moved.iter().filter(|at| **at < &(start + WINDOW / 2));
    assert!(
        (CLIENTS / 8..=CLIENTS * 3 / 8).contains(&early.count()),
        "{moved:?}"
    );
    for door in doors {
        door.leave().await;
    }
    gateway.join().await;
    let away = Some((1001, "tunnel recalled".to_owned()));
    let seen = first.join().await;
    assert_eq!(seen.len(), CLIENTS / 2);
    assert!(seen.iter().all(|seen| seen.close == away), "{seen:?}");
    let bye = Some((1000, "bye".to_owned()));
    let seen = second.join().await;
    assert_eq!(seen.len(), CLIENTS);
    assert!(seen.iter().all(|seen| seen.close == bye), "{seen:?}");

    let events = trace.until("tunnel closed", CLIENTS * 3 / 2).await;
    let of = |cause: &str| events.iter().filter(|e| e.field("cause") == cause).count();
    assert_eq!(of("endpoint drained"), CLIENTS / 2);
    assert_eq!(of("close"), CLIENTS);
}

/// By which a client comes in.
#[derive(Clone, Debug)]
enum Door {
    One(Target),
    Two(Arc<Mutex<H2>>),
}

// ===== impl Door =====

impl Door {
    async fn enter(&self) -> Tunnel {
        let handshake = Handshake::of("/websocket");
        match self {
            Self::One(target) => target.tunnel(handshake).await,
            Self::Two(h2) => h2.lock().await.tunnel(handshake).await,
        }
    }

    async fn leave(self) {
        if let Self::Two(h2) = self {
            let h2 = Arc::into_inner(h2).expect("its clients have left");
            h2.into_inner().join().await;
        }
    }
}

/// Speaks until it is told to stop, and comes back when it is closed. Tells when that was.
async fn converse(door: Door, mut tunnel: Tunnel, stop: Arc<AtomicBool>) -> Option<Instant> {
    let mut moved = None;
    for number in 0.. {
        let hello = Frame::text(format!("hello {number}"));
        if tunnel.try_send(hello.clone()).await.is_ok() {
            let frame = tunnel.frame().await;
            if let Some(close) = frame.close_parts() {
                assert_eq!(close, (1012, "service restart".to_owned()));
                assert_eq!(moved, None, "nobody is closed twice");
                moved = Some(Instant::now());
                let _ = tunnel.try_send(frame).await;
                tunnel.end().await;
                tunnel = door.enter().await;
            } else {
                assert_eq!(frame, hello);
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    tunnel.close(1000, "bye").await;
    moved
}

fn tunnels(backend: &upstream::Upstream) -> [usize; 2] {
    let endpoints = backend.endpoints();
    [0, 1].map(|at| endpoints[at].tunnels as usize)
}

const CLIENTS: usize = 100;
const CONNECTIONS: usize = 5;
const WINDOW: Duration = Duration::from_secs(2);

/// For a busy machine.
const SLACK: Duration = Duration::from_secs(5);

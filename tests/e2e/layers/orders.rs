//! The layers in every order that their docs allow, which is: in any.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::MethodRouter;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::io::BufWriter;
use wsgate::layer::observe::{
    Closed, ClosedBy, Ended, Handshake as Observed, Observer, Opened, Ping,
};
use wsgate::layer::tunnel::{Cause, Limit};
use wsgate::layer::upgrade::UpgradedIo;
use wsgate::layer::{
    Drain, IdleTimeoutLayer, KeepaliveLayer, LifetimeLayer, LimitLayer, MapUpgradeLayer,
    ObserveLayer, OriginLayer, ReadTimeoutLayer,
};
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::Http;
use wsgate_tests::{Frame, Tunnel, trace};

use super::house::BEAT;
use super::{Behind, House, Visitor, is_keepalive};

/// Each of them, so set that it lets an orderly client be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Observe,
    Drain,
    Limit,
    Origin,
    ReadTimeout,
    Keepalive,
    Idle,
    Lifetime,
    /// Somebody else's, with a stream of its own, which keeps ours apart.
    Foreign,
}

/// What the layers of all orders share.
#[derive(Default)]
struct Kit {
    drain: Drain,
    watcher: Arc<Watcher>,
}

/// What was told of each WebSocket.
#[derive(Default)]
struct Watcher(Mutex<BTreeMap<u64, Watched>>);

#[derive(Debug, Default)]
struct Watched {
    opened: usize,
    pings: usize,
    closed: Vec<(ClosedBy, String)>,
}

// ===== impl Kit =====

impl Kit {
    fn put(&self, layer: Layer, handler: MethodRouter) -> MethodRouter {
        match layer {
            Layer::Observe => handler.layer(ObserveLayer::new(Arc::clone(&self.watcher))),
            Layer::Drain => handler.layer(self.drain.layer()),
            Layer::Limit => {
                let limits = LimitLayer::new().tunnels(3).tunnels_per_client(3);
                handler.layer(limits.message_size(TOO_BIG - 1))
            }
            Layer::Origin => handler.layer(OriginLayer::same_origin()),
            Layer::ReadTimeout => handler.layer(ReadTimeoutLayer::default()),
            Layer::Keepalive => {
                let keepalive = KeepaliveLayer::every(Duration::from_millis(800));
                handler.layer(keepalive.pong_timeout(Duration::from_secs(30)))
            }
            Layer::Idle => handler.layer(IdleTimeoutLayer::new(Duration::from_secs(60))),
            Layer::Lifetime => handler.layer(LifetimeLayer::new(Duration::from_secs(60))),
            Layer::Foreign => {
                let buffered = |stream: UpgradedIo| BufWriter::new(stream);
                handler.layer(MapUpgradeLayer::new(buffered))
            }
        }
    }
}

impl Observer for Watcher {
    fn opened(&self, handshake: &Observed<'_>, _: &Opened) {
        self.of(handshake, |watched| watched.opened += 1);
    }

    fn ping(&self, handshake: &Observed<'_>, _: &Ping) {
        self.of(handshake, |watched| watched.pings += 1);
    }

    fn closed(&self, handshake: &Observed<'_>, closed: &Closed<'_>) {
        let end = (closed.by, closed.ended.to_string());
        if let Ended::Layer(end) = closed.ended {
            assert_eq!(closed.code(), end.code);
        }
        self.of(handshake, |watched| watched.closed.push(end));
    }
}

impl Watcher {
    fn of(&self, handshake: &Observed<'_>, note: impl FnOnce(&mut Watched)) {
        note(self.0.lock().unwrap().entry(handshake.id).or_default());
    }
}

#[tokio::test]
async fn before_axums_own_websockets() {
    every_order(Behind::Axum).await;
}

#[tokio::test]
async fn before_the_proxy() {
    every_order(Behind::Proxy).await;
}

/// In each order: a conversation over either protocol that is drained in the end, one that goes
/// beyond a limit, and a page that may not.
async fn every_order(behind: Behind) {
    let _trace = trace::init();
    let house = House::start().await;
    let kit = Kit::default();
    let orders = orders();
    let mut app = Router::new();
    for (number, order) in orders.iter().enumerate() {
        let bare = house.handler(behind);
        let inner_first = order.iter().rev();
        let stack = inner_first.fold(bare, |handler, layer| kit.put(*layer, handler));
        app = app.route(&path(number), stack);
    }
    let gateway = Gateway::serving(app).await;

    let mut visitors = Vec::new();
    let mut conversations = Vec::new();
    let mut excesses = Vec::new();
    for http in Http::BOTH {
        let mut visitor = Visitor::new(gateway.target(), http).await;
        for (number, order) in orders.iter().enumerate() {
            let client = visitor.enter(&path(number)).await;
            conversations.push(named(order, converse(client)));
        }
        visitors.push(visitor);
    }
    let mut visitor = Visitor::new(gateway.target(), Http::Two).await;
    for (number, order) in orders.iter().enumerate() {
        let hijack = Handshake::of(&path(number)).field("Origin", "https://evil.example");
        let refused = visitor.open(hijack).await.unwrap_err();
        assert_eq!(refused.response.status, 403, "{order:?}");
        let client = visitor.enter(&path(number)).await;
        excesses.push(named(order, go_too_far(client)));
    }
    visitors.push(visitor);

    let drained = orders.len() * Http::BOTH.len();
    let (clients, _) = tokio::join!(join_all(conversations), join_all(excesses));
    assert_eq!(kit.drain.live(), drained);
    let drain = kit.drain.clone().spread(Duration::from_millis(500));
    let clients = clients.into_iter().zip(orders.iter().cycle());
    let clients = clients.map(|(client, order)| named(order, is_ended(client, DRAINED)));
    let (all, _) = tokio::join!(drain.within(Duration::from_secs(30)), join_all(clients));
    assert_eq!((all.closed, all.cut, all.left), (drained, 0, 0));

    for visitor in visitors {
        visitor.leave().await;
    }
    gateway.join().await;
    let told = house.join().await;
    let with = |close: (u16, &str)| {
        let told = told.iter().filter(|told| {
            let close = (close.0, close.1.to_owned());
            told.close == Some(close)
        });
        told.count()
    };
    assert_eq!(with(DRAINED), drained);
    assert_eq!(with(EXCESS), orders.len());
    assert_eq!(told.len(), drained + orders.len());

    let watched = kit.watcher.0.lock().unwrap();
    let ended_by = |cause: Cause| {
        let end = (ClosedBy::Gateway, cause.to_string());
        let ended = watched.values().filter(|w| w.closed == [end.clone()]);
        ended
            .inspect(|w| assert_eq!(w.opened, 1))
            .collect::<Vec<_>>()
    };
    let ended = ended_by(Cause::Drain);
    assert_eq!(ended.len(), drained);
    assert!(ended.iter().all(|watched| watched.pings > 0));
    assert_eq!(
        ended_by(Cause::Limit(Limit::MessageSize)).len(),
        orders.len()
    );
}

/// Says something, has the app's heartbeat go both ways, and answers a ping of ours, whose pong must
/// not reach the app: it would say it back.
async fn converse(mut client: Tunnel) -> Tunnel {
    client.send(Frame::text("hello")).await;
    assert_eq!(hears(&mut client).await, Frame::text("hello"));
    client.send(Frame::ping("are you there?")).await;
    assert_eq!(hears(&mut client).await, Frame::pong("are you there?"));
    client.send(Frame::text(BEAT)).await;
    assert_eq!(hears(&mut client).await, Frame::ping(BEAT));
    client.send(Frame::pong(BEAT)).await;
    assert_eq!(hears(&mut client).await, Frame::binary(BEAT));

    let ping = client.frame().await;
    assert!(is_keepalive(&ping), "{ping:?}");
    // The app's own comes first: it is not taken for the answer.
    client.send(Frame::pong(BEAT)).await;
    client.send(Frame::pong(ping.payload)).await;
    assert_eq!(hears(&mut client).await, Frame::binary(BEAT));
    client.send(Frame::text("still here")).await;
    assert_eq!(hears(&mut client).await, Frame::text("still here"));
    client
}

/// The next frame that is not a ping of ours; those are answered.
async fn hears(client: &mut Tunnel) -> Frame {
    loop {
        let frame = client.frame().await;
        if !is_keepalive(&frame) {
            return frame;
        }
        client.send(Frame::pong(frame.payload)).await;
    }
}

async fn go_too_far(mut client: Tunnel) {
    client.send(Frame::binary(vec![0; TOO_BIG as usize])).await;
    is_ended(client, EXCESS).await;
}

/// Takes a Close, answers it, and sees the end.
async fn is_ended(mut client: Tunnel, (code, reason): (u16, &str)) {
    let close = hears(&mut client).await;
    assert_eq!(close, Frame::close(code, reason));
    client.send(close).await;
    client.end().await;
}

/// Tells in which order something failed.
async fn named<T>(order: &[Layer], run: impl Future<Output = T>) -> T {
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(done) => done,
        Err(failure) => {
            tracing::error!("with {order:?}, the outermost first");
            std::panic::resume_unwind(failure)
        }
    }
}

/// All orders of the five layers that say most, outermost first. The others stand among them, at a
/// place that changes, and in every second order one that is not ours.
fn orders() -> Vec<Vec<Layer>> {
    let five = [
        Layer::Observe,
        Layer::Drain,
        Layer::Limit,
        Layer::ReadTimeout,
        Layer::Keepalive,
    ];
    let mut orders = vec![Vec::new()];
    for layer in five {
        let with = |order: &Vec<_>, at| {
            let mut order = order.clone();
            order.insert(at, layer);
            order
        };
        let each = orders
            .iter()
            .flat_map(|o| (0..=o.len()).map(move |at| with(o, at)));
        orders = each.collect();
    }
    for (number, order) in orders.iter_mut().enumerate() {
        for (step, layer) in [Layer::Origin, Layer::Idle, Layer::Lifetime]
            .into_iter()
            .enumerate()
        {
            order.insert((number / (step + 1)) % (order.len() + 1), layer);
        }
        if number % 2 == 1 {
            order.insert(number / 2 % (order.len() + 1), Layer::Foreign);
        }
    }
    assert_eq!(orders.len(), 120);
    orders
}

fn path(number: usize) -> String {
    format!("/{number}")
}

const DRAINED: (u16, &str) = (1001, "server shutting down");

const EXCESS: (u16, &str) = (1009, "message too big");

const TOO_BIG: u64 = 1 << 10;

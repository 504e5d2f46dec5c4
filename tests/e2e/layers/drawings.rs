//! The drawings in the layers' docs: what their places mean.

use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use wsgate::layer::limit::Rate;
use wsgate::layer::{
    CloseCode, IdleTimeoutLayer, KeepaliveLayer, LifetimeLayer, LimitLayer, ReadTimeoutLayer,
};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::Http;
use wsgate_tests::{Frame, Tunnel, trace, within};

use super::{Behind, House, Visitor, is_keepalive};

/// What a client does, for longer than the timeout.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Answers pings, and says nothing by itself.
    Quiet,
    /// Says something now and then, and answers pings.
    Talks,
    /// Does not even answer pings.
    Dead,
    /// Says more at once than it may, and is held back for longer than the timeout.
    Hasty,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stays,
    /// It is sent this Close, which the app gets too.
    Closed(u16, &'static str),
    /// It is cut without a word. The app gets this Close.
    Cut(u16, &'static str),
}

// ===== a read timeout beside a keepalive =====

#[tokio::test]
async fn a_read_timeout_outside_of_the_keepalive_wants_a_client_that_is_there() {
    let stack = |app: Router| app.layer(keepalive()).layer(read_timeout());
    let fates = [
        (Client::Quiet, Fate::Stays),
        (Client::Talks, Fate::Stays),
        (Client::Dead, Fate::Cut(1011, "pong timeout")),
    ];
    check(stack, &fates).await;
}

#[tokio::test]
async fn a_read_timeout_inside_of_the_keepalive_wants_a_client_that_says_something() {
    let stack = |app: Router| app.layer(read_timeout()).layer(keepalive());
    let fates = [
        (Client::Quiet, Fate::Closed(1001, "read timeout")),
        (Client::Talks, Fate::Stays),
        (Client::Dead, Fate::Cut(1011, "pong timeout")),
    ];
    check(stack, &fates).await;
}

/// The backstop: it needs no ping to have been sent.
#[tokio::test]
async fn a_read_timeout_alone_wants_something_from_the_wire() {
    let fates = [
        (Client::Quiet, Fate::Closed(1001, "read timeout")),
        (Client::Talks, Fate::Stays),
    ];
    check(|app| app.layer(read_timeout()), &fates).await;
}

// ===== an idle timeout beside a keepalive =====

#[tokio::test]
async fn an_idle_timeout_outside_of_the_keepalive_wants_messages() {
    idle(|app| app.layer(keepalive()).layer(idle_timeout())).await;
}

#[tokio::test]
async fn an_idle_timeout_inside_of_the_keepalive_wants_messages() {
    idle(|app| app.layer(idle_timeout()).layer(keepalive())).await;
}

async fn idle(stack: impl FnOnce(Router) -> Router) {
    let fates = [
        (Client::Quiet, Fate::Closed(1001, "idle timeout")),
        (Client::Talks, Fate::Stays),
    ];
    check(stack, &fates).await;
}

// ===== a lifetime =====

#[tokio::test]
async fn a_lifetime_ends_whoever_it_is() {
    let lifetime = || LifetimeLayer::new(TIMEOUT).close_code(CloseCode::SERVICE_RESTART);
    let fate = Fate::Closed(1012, "lifetime");
    let fates = [(Client::Quiet, fate), (Client::Talks, fate)];
    check(|app| app.layer(keepalive()).layer(lifetime()), &fates).await;
}

// ===== a limit that holds clients back beside keepalive and timeout =====

#[tokio::test]
async fn a_limit_inside_of_the_timeouts_lets_them_wait() {
    let stack = |app: Router| app.layer(rate()).layer(keepalive()).layer(read_timeout());
    check(stack, &[(Client::Hasty, Fate::Stays)]).await;
}

#[tokio::test]
async fn a_limit_outside_of_the_timeouts_lets_them_wait_as_well() {
    let stack = |app: Router| app.layer(keepalive()).layer(read_timeout()).layer(rate());
    check(stack, &[(Client::Hasty, Fate::Stays)]).await;
}

/// All clients at once, over both protocols, before the app and before the proxy.
async fn check(stack: impl FnOnce(Router) -> Router, fates: &[(Client, Fate)]) {
    let _trace = trace::init();
    let house = House::start().await;
    let gateway = Gateway::serving(stack(house.router())).await;
    let mut visitors = Vec::new();
    let mut lives = Vec::new();
    for http in Http::BOTH {
        let mut visitor = Visitor::new(gateway.target(), http).await;
        for behind in Behind::BOTH {
            for (client, fate) in fates {
                let tunnel = visitor.enter(behind.path()).await;
                tracing::info!("{http:?} {behind:?} {client:?}, {fate:?}");
                lives.push(within("the end of a life", live(tunnel, *client, *fate)));
            }
        }
        visitors.push(visitor);
    }
    let lived = lives.len();
    join_all(lives).await;
    for visitor in visitors {
        visitor.leave().await;
    }
    gateway.join().await;

    let told = house.join().await;
    assert_eq!(told.len(), lived);
    for (_, fate) in fates {
        let close = match fate {
            Fate::Stays => (1000, "bye"),
            Fate::Closed(code, reason) | Fate::Cut(code, reason) => (*code, *reason),
        };
        let same = fates
            .iter()
            .filter(|(_, other)| format!("{other:?}") == format!("{fate:?}"));
        let expected = same.count() * Behind::BOTH.len() * Http::BOTH.len();
        let close = Some((close.0, close.1.to_owned()));
        let found = told.iter().filter(|told| told.close == close).count();
        assert_eq!(found, expected, "{fate:?}: {told:?}");
    }
}

async fn live(mut tunnel: Tunnel, client: Client, fate: Fate) {
    let mut life = 2 * TIMEOUT;
    if let Client::Hasty = client {
        tunnel.send(Frame::text("one")).await;
        tunnel.send(Frame::text("and one too many")).await;
        life = TIMEOUT + TIMEOUT / 4;
    }
    match fate {
        Fate::Stays => {
            let until = Instant::now() + life;
            while Instant::now() < until {
                act(&mut tunnel, client).await;
            }
            tunnel.send(Frame::close(1000, "bye")).await;
            while tunnel.frame().await != Frame::close(1000, "bye") {}
            tunnel.end().await;
        }
        Fate::Closed(code, reason) => loop {
            tokio::select! {
                frame = tunnel.frame() => {
                    if is_keepalive(&frame) {
                        tunnel.send(Frame::pong(frame.payload)).await;
                    } else if frame.close_parts().is_some() {
                        assert_eq!(frame, Frame::close(code, reason), "{client:?}");
                        let _ = tunnel.try_send(frame).await;
                        tunnel.end().await;
                        return;
                    }
                }
                () = sleep(STEP), if matches!(client, Client::Talks) => {
                    tunnel.send(Frame::text("here I am")).await;
                }
            }
        },
        Fate::Cut(..) => while tunnel.next().await.is_ok() {},
    }
}

/// A step of its life: it hears what there is to hear, and does what it does.
async fn act(tunnel: &mut Tunnel, client: Client) {
    let over = sleep(STEP);
    tokio::pin!(over);
    loop {
        tokio::select! {
            frame = tunnel.frame() => {
                assert!(frame.close_parts().is_none(), "{client:?}: {frame:?}");
                if is_keepalive(&frame) {
                    tunnel.send(Frame::pong(frame.payload)).await;
                }
            }
            () = &mut over => break,
        }
    }
    if let Client::Talks = client {
        tunnel.send(Frame::text("here I am")).await;
    }
}

fn keepalive() -> KeepaliveLayer {
    KeepaliveLayer::every(TIMEOUT / 6).pong_timeout(TIMEOUT / 3)
}

fn read_timeout() -> ReadTimeoutLayer {
    ReadTimeoutLayer::new(TIMEOUT)
}

fn idle_timeout() -> IdleTimeoutLayer {
    IdleTimeoutLayer::new(TIMEOUT)
}

/// Once in longer than the timeout.
fn rate() -> LimitLayer {
    LimitLayer::new().message_rate(Rate::new(1, 3 * TIMEOUT / 2))
}

/// Long beside what a busy machine may make anybody wait.
const TIMEOUT: Duration = Duration::from_millis(1800);

const STEP: Duration = Duration::from_millis(200);

//! Upstreams that are cut off, or end.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsgate_tests::client::Protocol;

use super::{LEAD, PATIENCE, SLACK, TALK, caused_by, millis, seconds, within};
use crate::book::{How, Page};
use crate::net::Weather;
use crate::peer::Part;
use crate::report::Line;
use crate::stage::Stage;

/// Asked by the gateway whether it is there.
pub(super) async fn gone_and_pinged() -> Vec<Line> {
    let gone = Gone {
        what: "upstream cut off, pinged each second",
        args: "--upstream-keepalive 1s --upstream-pong-timeout 1s",
        path: "/listen",
        part: Part::Listen,
        within: (seconds(1), seconds(2)),
        by: ("gateway", "pong timeout"),
        told: (1011, "pong timeout"),
        found: "the gateway's ping",
        over_http2: false,
    };
    vec![gone.play().await]
}

/// Asked by TCP.
pub(super) async fn gone_and_quiet() -> Vec<Line> {
    let gone = Gone {
        what: "upstream cut off, and quiet before",
        args: "--upstream-tcp-timeout 4s",
        path: "/listen",
        part: Part::Listen,
        // It was last heard of a probe before, which TCP counts to begin with.
        within: (seconds(3), seconds(5)),
        ..Gone::BY_TCP
    };
    vec![gone.play().await]
}

/// What clients sent is not acknowledged.
pub(super) async fn gone_while_talking() -> Vec<Line> {
    let gone = Gone {
        what: "upstream cut off, and talking before",
        args: "--upstream-tcp-timeout 4s",
        path: "/echo",
        part: TALK,
        within: (seconds(4), seconds(5)),
        ..Gone::BY_TCP
    };
    vec![gone.play().await]
}

/// Asked by HTTP/2, of the one connection that all tunnels share.
pub(super) async fn gone_and_found_by_http2() -> Vec<Line> {
    let gone = Gone {
        what: "upstream over HTTP/2 cut off, and quiet before",
        over_http2: true,
        path: "/listen",
        part: Part::Listen,
        // A ping each 20 s, and 10 s for its answer.
        within: (seconds(10), seconds(30)),
        found: "HTTP/2's ping",
        ..Gone::BY_TCP
    };
    vec![gone.play().await]
}

/// A cut, and what is to come of it.
struct Gone {
    what: &'static str,
    over_http2: bool,
    args: &'static str,
    path: &'static str,
    part: Part,
    /// The earliest and the latest time.
    within: (Duration, Duration),
    /// Who ended it and why, as the gateway tells.
    by: (&'static str, &'static str),
    /// The Close that the clients get.
    told: (u16, &'static str),
    found: &'static str,
}

// ===== impl Gone =====

impl Gone {
    const BY_TCP: Self = Self {
        what: "",
        over_http2: false,
        args: "",
        path: "",
        part: Part::Listen,
        within: (Duration::ZERO, Duration::ZERO),
        by: ("upstream", "connection lost"),
        told: (1014, "upstream lost"),
        found: "TCP",
    };

    async fn play(self) -> Line {
        let mut stage = match self.over_http2 {
            false => Stage::set(self.args).await,
            true => Stage::set_http2(self.args).await,
        };
        for protocol in Protocol::BOTH {
            stage
                .open(protocol, self.path, TUNNELS / 2, self.part)
                .await;
        }
        sleep(millis(1_500)).await;
        let cut = Instant::now();
        stage.world.to_upstream.be(Weather::CUT);
        let clients = stage.clients.ended(TUNNELS, PATIENCE).await;
        told(clients.values(), self.told.0, self.told.1);
        let events = stage.gateway.logs("tunnel closed", TUNNELS, PATIENCE).await;
        caused_by(&events, self.by.0, self.by.1);
        let ends = clients.values().filter_map(|page| page.end.as_ref());
        let found = ends.map(|end| end.at - cut).max().expect("all have ended");
        let (earliest, latest) = self.within;
        assert!(
            found + LEAD >= earliest && found <= latest + SLACK,
            "found after {found:?}"
        );
        // The clients of HTTP/2 keep their connection.
        stage
            .gateway
            .has_freed(stage.idle_files + 1, LINGER + SLACK)
            .await;
        // TCP has nothing left to say to the upstream, which learns of it when it sends something.
        stage.world.to_upstream.be(Weather::CLEAR);
        sleep(seconds(1)).await;
        let line = Line::new(self.what).count(&stage.clients, &stage.upstreams);
        line.told(&events).found(self.found, found)
    }
}

/// Where even TCP is not to ask, a quiet tunnel waits for ever: and goes on when the cut is healed.
pub(super) async fn gone_and_nobody_asks() -> Vec<Line> {
    let mut stage = Stage::set("--upstream-tcp-timeout off").await;
    stage.open(Protocol::Http1, "/echo", TUNNELS, TALK).await;
    stage.clients.more(5, PATIENCE).await;
    stage.world.to_upstream.be(Weather::CUT);
    sleep(seconds(8)).await;
    stage.world.to_upstream.be(Weather::CLEAR);
    stage.clients.more(5, PATIENCE).await;
    stage.close(PATIENCE).await;
    let line = Line::new("upstream cut off for 8 s, TCP timeout off");
    vec![line.count_all(&stage.clients, &stage.upstreams)]
}

/// The host is there, and says that nobody listens any more.
pub(super) async fn stopped() -> Vec<Line> {
    let mut stage = Stage::set("").await;
    for protocol in Protocol::BOTH {
        stage
            .open(protocol, "/listen", TUNNELS / 2, Part::Listen)
            .await;
    }
    let stopped = Instant::now();
    stage.kill_upstream();
    let clients = stage.clients.ended(TUNNELS, PATIENCE).await;
    told(clients.values(), 1014, "upstream lost");
    let events = stage.gateway.logs("tunnel closed", TUNNELS, PATIENCE).await;
    let after = within(stopped, &events, Duration::ZERO, seconds(1));
    // New handshakes are refused at once, by its kernel.
    let asked = Instant::now();
    let refused = stage
        .refused("/echo/late")
        .await
        .expect("it does not panic");
    assert_eq!(refused.response.status, 502);
    assert!(asked.elapsed() < SLACK);
    let line = Line::new("upstream's process ended").count(&stage.clients, &stage.upstreams);
    vec![line.told(&events).found("the end of the connection", after)]
}

/// One of two endpoints is cut off: found by handshakes and by checks, passed over, and back later.
pub(super) async fn gone_of_two() -> Vec<Line> {
    let args = "--upstream-tcp-timeout 4s --connect-timeout 1s --health-check tcp --health-check-interval 300ms";
    let mut stage = Stage::set_for_both(args).await;
    stage.open(Protocol::Http1, "/echo", TUNNELS, TALK).await;
    stage.clients.more(5, PATIENCE).await;
    let here = stage.on_spare();
    assert!((1..TUNNELS).contains(&here), "each has some: {here}");
    let gone = TUNNELS - here;

    let cut = Instant::now();
    stage.world.to_upstream.be(Weather::CUT);
    // Each of these finds an endpoint, whichever it is sent to first.
    stage.open(Protocol::Http1, "/echo", TUNNELS, TALK).await;
    assert_eq!(stage.on_spare(), here + TUNNELS);
    let found = stage
        .gateway
        .logs("an endpoint fails its checks", 1, PATIENCE)
        .await;
    let ejected = found[0].at - cut;
    // Those that were there are lost, and told so; nobody else is.
    stage.gateway.logs("tunnel closed", gone, PATIENCE).await;
    let clients = stage.clients.ended(gone, PATIENCE).await;
    let lost: Vec<_> = clients.values().filter(|page| page.end.is_some()).collect();
    assert_eq!(lost.len(), gone, "{lost:?}");
    told(lost.into_iter(), 1014, "upstream lost");

    stage.world.to_upstream.be(Weather::CLEAR);
    stage
        .gateway
        .logs("passes its checks again", 1, PATIENCE)
        .await;
    let before = stage.on_spare();
    // It has the fewest tunnels by far.
    stage.open(Protocol::Http1, "/echo", TUNNELS, TALK).await;
    assert!(stage.on_spare() < before + TUNNELS, "it is back");
    // An upstream that was cut off has nothing to send, and so does not learn that it is lost.
    stage.close_but(gone, PATIENCE).await;
    let events = stage
        .gateway
        .logs("tunnel closed", TUNNELS * 3, PATIENCE)
        .await;
    let line = Line::new("one of two endpoints cut off, checked each 300 ms")
        .count(&stage.clients, &stage.upstreams);
    vec![line.told(&events).found("checks", ejected)]
}

/// Whether each of these clients got this Close.
///
/// # Panics
///
/// When one did not, although a Close could be said: in the middle of a frame of the upstream's none can,
/// and where the upstream is lost its rest does not come.
#[track_caller]
fn told<'a>(clients: impl Iterator<Item = &'a Page>, code: u16, reason: &str) {
    let told = How::Close(code, reason.to_owned());
    for page in clients {
        let how = page.how();
        assert!(
            how == Some(&told) || how == Some(&How::Truncated),
            "{page:?}"
        );
    }
}

/// What a client gets for its answer to a Close.
const LINGER: Duration = seconds(5);

const TUNNELS: usize = 6;

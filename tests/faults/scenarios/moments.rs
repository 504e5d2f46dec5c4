//! A cut in the middle of something.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use wsgate_tests::client::Protocol;

use super::{PATIENCE, SLACK, millis, seconds, within};
use crate::net::{Weather, World};
use crate::peer::Part;
use crate::report::Line;
use crate::stage::{PORT, Stage};

/// The upstream's host answers no SYN.
pub(super) async fn connecting() -> Vec<Line> {
    let stage = Stage::set("--connect-timeout 1s").await;
    stage.world.to_upstream.be(Weather::CUT);
    let asked = Instant::now();
    let refused = stage
        .refused("/echo/late")
        .await
        .expect("it does not panic");
    let after = asked.elapsed();
    assert_eq!(refused.response.status, 504);
    assert!(
        (millis(950)..seconds(1) + SLACK).contains(&after),
        "{after:?}"
    );
    stage.gateway.has_freed(stage.idle_files + 1, SLACK).await;
    vec![refusal(
        "upstream cut off before TCP's handshake",
        "the connect timeout",
        after,
        "504",
    )]
}

/// The upstream has read the handshake, and its answer does not arrive.
pub(super) async fn handshake() -> Vec<Line> {
    let stage = Stage::set("--handshake-timeout 1s").await;
    let asked = Instant::now();
    let answer = stage.refused("/hold");
    stage.held.cancelled().await;
    stage.world.to_upstream.be(Weather::CUT);
    let refused = answer.await.expect("it does not panic");
    let after = asked.elapsed();
    assert_eq!(refused.response.status, 504);
    assert!(
        (millis(950)..seconds(1) + SLACK).contains(&after),
        "{after:?}"
    );
    stage.gateway.has_freed(stage.idle_files + 1, SLACK).await;
    vec![refusal(
        "upstream cut off before its answer",
        "the handshake timeout",
        after,
        "504",
    )]
}

/// A client is cut off in the middle of the TLS handshake.
pub(super) async fn tls() -> Vec<Line> {
    let stage = Stage::set("").await;
    let connected = stage.client().run(async {
        let mut socket = TcpStream::connect((World::CLIENT_SIDE, PORT)).await?;
        // The begin of a record with a ClientHello.
        socket.write_all(&[0x16, 3, 1, 2, 0, 1]).await?;
        Ok::<_, std::io::Error>(socket)
    });
    let _socket = connected.await.expect("the gateway listens");
    let connected = Instant::now();
    while stage.gateway.files() == stage.idle_files {
        sleep(millis(10)).await;
    }
    stage.world.to_client.be(Weather::CUT);
    let freed = stage.gateway.has_freed(stage.idle_files, PATIENCE).await;
    let after = freed - connected;
    assert!(
        (seconds(9)..seconds(10) + SLACK).contains(&after),
        "{after:?}"
    );
    let by = "the TLS handshake's limit";
    vec![refusal(
        "client cut off in its TLS handshake",
        by,
        after,
        "-",
    )]
}

/// The program is told to end while its clients are cut off.
pub(super) async fn drain() -> Vec<Line> {
    let mut stage = Stage::set("--drain-timeout 1s --drain-spread 0s").await;
    stage
        .open(Protocol::Http1, "/listen", TUNNELS, Part::Listen)
        .await;
    stage.world.to_client.be(Weather::CUT);
    let told = Instant::now();
    stage.gateway.terminate().await;
    let events = stage.gateway.logs("tunnel closed", TUNNELS, PATIENCE).await;
    let after = within(told, &events, seconds(1), seconds(1) + GRACE);
    let status = stage.gateway.ended(GRACE + PATIENCE).await;
    assert!(status.success(), "{status}");
    let ended = told.elapsed();
    assert!(
        ended < seconds(1) + GRACE + SLACK,
        "it ended after {ended:?}"
    );
    stage.upstreams.ended(TUNNELS, SLACK).await;
    let healed = Instant::now();
    stage.world.to_client.be(Weather::CLEAR);
    stage.clients.ended(TUNNELS, PATIENCE).await;
    let line = Line::new("clients cut off, then SIGTERM: --drain-timeout 1s");
    let line = line.count(&stage.clients, &stage.upstreams).told(&events);
    vec![
        line.healed(healed, &stage.clients)
            .found("the drain's deadline", after),
    ]
}

/// A line about a client that never came to have a tunnel.
fn refusal(what: &str, by: &str, after: Duration, saw: &str) -> Line {
    Line {
        client: saw.to_owned(),
        ..Line::new(what).found(by, after)
    }
}

/// How long the program gives requests under way.
const GRACE: Duration = seconds(8);

const TUNNELS: usize = 3;

//! The orderly end of two thousand WebSockets at once.

use std::fmt;
use std::time::Duration;

use axum::routing::get;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use tokio::time::{Instant, sleep};
use wsgate::layer::Drain;
use wsgate_tests::alone::alone;
use wsgate_tests::client::{H2, Handshake, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::Http;
use wsgate_tests::{Tunnel, within};

use super::{Behind, House};

/// In a process of its own, because others would disturb the rhythm. What it measured is printed, and
/// there to be read with `--nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_are_told_over_five_seconds() {
    if alone("layers::drain::two_thousand_clients_are_told_over_five_seconds").await {
        two_thousand().await;
    }
}

#[expect(clippy::print_stdout, reason = "what it measured is worth to be seen")]
async fn two_thousand() {
    let house = House::start().await;
    let drain = Drain::new();
    let app = house
        .router()
        .route("/", get(async || "a page"))
        .layer(drain.layer());
    let gateway = Gateway::adjusted(app, |server| server.drain(drain.within(DEADLINE))).await;
    let target = gateway.target();
    let mut clients = open_over_http1(&target).await;
    let mut connections = open_over_http2(&target, &mut clients).await;
    house.app.until_open(CLIENTS).await;
    assert_eq!(drain.live(), CLIENTS);

    // By itself at first, so that the gateway is still there to be asked for more.
    let draining = tokio::spawn(drain.within(DEADLINE));
    let start = Instant::now();
    let clients: Vec<_> = clients
        .into_iter()
        .map(|c| tokio::spawn(is_told(c, start)))
        .collect();
    while !drain.is_draining() {
        sleep(Duration::from_millis(1)).await;
    }
    for http in Http::BOTH {
        let refused = match http {
            Http::One => target.open(Handshake::of("/axum")).await.unwrap_err(),
            Http::Two => connections[0]
                .open(Handshake::of("/proxy"))
                .await
                .unwrap_err(),
        };
        assert_eq!(refused.response.status, 503);
        assert_eq!(refused.response.fields.get("retry-after"), Some("5"));
        assert_eq!(
            refused.body,
            "the server is shutting down: try again in 5 s\n"
        );
    }
    assert_eq!(target.get("/").await.body, "a page");
    assert!(
        drain.live() > CLIENTS / 2,
        "too late to show anything: {}",
        drain.progress()
    );

    let stopped = tokio::spawn(async move {
        gateway.join().await;
        Instant::now()
    });
    let progress = tokio::spawn(watch(drain.clone()));
    let told: Vec<Result<Close, String>> = join_all(clients)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let last = Instant::now();
    for connection in connections {
        connection.join().await;
    }
    let stopped = within("the gateway's end", stopped).await.unwrap();
    let drained = draining.await.unwrap();
    let progress = progress.await.unwrap();

    let (told, abrupt): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
    assert!(
        abrupt.is_empty(),
        "{} ended otherwise: {:?}",
        abrupt.len(),
        abrupt[0]
    );
    let told: Vec<Close> = told.into_iter().map(Result::unwrap).collect();
    let histogram = Histogram::of(told.iter().map(|close| close.after));
    println!("{histogram}\n{}", progress.join("\n"));
    for close in &told {
        assert_eq!(
            (close.code, close.reason.as_str()),
            (1001, "server shutting down")
        );
        assert!(close.after < WINDOW + SLACK, "{:?}", close.after);
    }
    let even = CLIENTS / BUCKETS;
    for (at, count) in histogram.0.iter().enumerate() {
        assert!(
            (even / 2..=even * 2).contains(count),
            "in bucket {at}:\n{histogram}"
        );
    }
    assert!(progress.len() > 3, "{progress:?}");
    assert_eq!(progress.last().unwrap(), "closed 2,000 of 2,000");

    assert_eq!((drained.closed, drained.cut, drained.left), (CLIENTS, 0, 0));
    assert!(
        (WINDOW / 2..WINDOW + SLACK).contains(&drained.took),
        "{:?}",
        drained.took
    );
    // The server ended after the last of them, and soon.
    let took = stopped - start;
    assert!(
        took + SLACK > drained.took && took < WINDOW + 2 * SLACK,
        "{took:?}"
    );
    assert!(stopped + SLACK > last);
    let told = house.join().await;
    assert_eq!(told.len(), CLIENTS);
    let close = Some((1001, "server shutting down".to_owned()));
    assert!(told.iter().all(|told| told.close == close));
}

/// Half of them, half of those by way of the proxy.
async fn open_over_http1(target: &Target) -> Vec<Tunnel> {
    let opening = (0..CLIENTS / 2).map(|i| target.tunnel(handshake(i)));
    stream::iter(opening).buffer_unordered(16).collect().await
}

/// The other half, on few connections, which are given back.
async fn open_over_http2(target: &Target, clients: &mut Vec<Tunnel>) -> Vec<H2> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = target.h2().await;
        for i in 0..CLIENTS / 2 / CONNECTIONS {
            clients.push(connection.tunnel(handshake(i)).await);
        }
        connections.push(connection);
    }
    connections
}

fn handshake(number: usize) -> Handshake {
    Handshake::of(Behind::BOTH[number % 2].path())
}

/// A Close, as a client saw it.
#[derive(Debug)]
struct Close {
    code: u16,
    reason: String,
    after: Duration,
}

/// Waits for a Close and answers it. An error is any other end.
async fn is_told(mut client: Tunnel, start: Instant) -> Result<Close, String> {
    let frame = client.next().await.map_err(|end| format!("{end:?}"))?;
    let after = start.elapsed();
    let (code, reason) = frame.close_parts().ok_or_else(|| format!("{frame:?}"))?;
    client.send(frame).await;
    client.end().await;
    Ok(Close {
        code,
        reason,
        after,
    })
}

/// Looks at the progress twice a second, to the end.
async fn watch(drain: Drain) -> Vec<String> {
    let mut seen = Vec::new();
    let mut before = 0;
    loop {
        let progress = drain.progress();
        assert_eq!(progress.total, CLIENTS);
        assert_eq!(progress.closed + progress.live, CLIENTS);
        assert!(progress.closed >= before, "{progress}");
        before = progress.closed;
        seen.push(progress.to_string());
        if progress.live == 0 {
            return seen;
        }
        sleep(BUCKET).await;
    }
}

/// How many ended in each part of the window; the last has what came later, too.
struct Histogram([usize; BUCKETS]);

impl Histogram {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut buckets = [0; BUCKETS];
        for time in times {
            let at = time.as_millis() / BUCKET.as_millis();
            buckets[(at as usize).min(BUCKETS - 1)] += 1;
        }
        Self(buckets)
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, count) in self.0.iter().enumerate() {
            let from = BUCKET.as_secs_f64() * at as f64;
            writeln!(f, "{from:.1} s {count:5} {}", "#".repeat(count / 5))?;
        }
        Ok(())
    }
}

const CLIENTS: usize = 2000;
const CONNECTIONS: usize = 10;

/// The default of a drain.
const WINDOW: Duration = Duration::from_secs(5);
const BUCKETS: usize = 10;
const BUCKET: Duration = Duration::from_millis(500);

const DEADLINE: Duration = Duration::from_secs(25);

/// For a busy machine.
const SLACK: Duration = Duration::from_secs(5);

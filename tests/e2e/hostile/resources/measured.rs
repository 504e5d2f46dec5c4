//! What is too large for every run, with its figures printed: `cargo xtask test` leaves it out, and
//!
//! ```text
//! cargo build --release -p wsgate-cli
//! cargo test --release -p wsgate-tests --test e2e -- --ignored --nocapture --test-threads 1 measured
//! ```
//!
//! runs it. Ten thousand tunnels need a limit of 20,200 open files (`ulimit -n`); with a lower one there are
//! fewer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wsgate_tests::Frame;
use wsgate_tests::alone::alone_in_namespaces;
use wsgate_tests::client::Target;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;

use super::handshake;
use super::slow_readers::{Http, crowd, stalls};

/// Memory under clients that do not read, while their upstreams send all they can get rid of.
#[tokio::test]
#[ignore = "ten thousand tunnels"]
async fn ten_thousand_slow_readers() {
    let test = "hostile::resources::measured::ten_thousand_slow_readers";
    // With few of the kernel's own buffers, which are not what is measured.
    let network =
        "for way in tcp_rmem tcp_wmem; do echo '4096 16384 65536' > /proc/sys/net/ipv4/$way; done";
    if !alone_in_namespaces(test, network).await {
        return;
    }
    for http in [Http::One, Http::Two] {
        let frame = Frame::binary(vec![0x55; 16 << 10]);
        // Two files each, in the gateway and here.
        let size = TEN_THOUSAND.min((open_files() - 200) / 2 / 100 * 100);
        let upstream = Upstream::tcp(script::flooding(&frame)).await;
        let wsgate = Wsgate::before(upstream.addr())
            .tls()
            // Who takes nothing for a minute would be gone before the last one is there.
            .args("--keepalive off --read-timeout off --max-tunnels off --send-timeout 1h");
        let wsgate = wsgate.start().await;
        let warm = wsgate.target().tunnel(handshake()).await;
        let before = wsgate.memory();
        let tunnels = crowd(&wsgate.target(), http, size).await;
        let sent = stalls(&upstream).await;
        let taken = wsgate.memory() - before;
        let each = |bytes: u64| bytes as f64 / 1024.0 / size as f64;
        let (taken, sent) = (each(taken), each(sent));
        say(&format!(
            "{http:?}: {taken:.1} KiB for each of {size}, to which {sent:.0} KiB were sent"
        ));
        drop((warm, tunnels));
        wsgate.until("the ends", |w| w.open_files() < 100).await;
        let left = wsgate.memory().saturating_sub(before) >> 20;
        say(&format!("{http:?}: {left} MiB left when all had gone"));
    }
}

/// How many of a crowd get through TLS and the handshake, and how long a message of a live WebSocket takes
/// meanwhile.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_storm_of_tls_handshakes() {
    let upstream = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(upstream.addr())
        .tls()
        .args("--log-level error");
    let wsgate = wsgate.start().await;
    let target = wsgate.target();
    for crowd in [0, 500, 2000] {
        let mut live = target.tunnel(handshake()).await;
        let latency = tokio::spawn(async move {
            let mut all = Vec::new();
            let end = Instant::now() + Duration::from_secs(1);
            while Instant::now() < end || all.len() < 100 {
                let began = Instant::now();
                live.send(Frame::text("hello")).await;
                live.frame().await;
                all.push(began.elapsed());
                sleep(Duration::from_millis(5)).await;
            }
            all.sort();
            all
        });
        let hello = hellos(&target, crowd).await;
        let began = Instant::now();
        let mut served = JoinSet::new();
        for client in hello {
            served.spawn(client);
        }
        let mut answered = 0;
        while let Some(done) = served.join_next().await {
            answered += usize::from(done.unwrap());
        }
        let took = began.elapsed();
        let all = latency.await.unwrap();
        let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
        say(&format!(
            "{crowd} hellos at once: {answered} answered within {took:?}; a live echo took {:?} at the median, {:?} at \
             99 %, {:?} at most ({} of them)",
            at(0.5),
            at(0.99),
            at(1.0),
            all.len()
        ));
    }
}

/// Clients that have a hello ready, made beforehand so that the crowd costs the machine nothing while it
/// storms, and that count as served when the server's flight has come.
async fn hellos(
    target: &Target,
    crowd: usize,
) -> Vec<impl Future<Output = bool> + Send + 'static + use<>> {
    let hello = hello(target).await;
    let connect = (0..crowd).map(|_| TcpStream::connect(target.addr()));
    let streams: Vec<_> = stream::iter(connect).buffer_unordered(100).collect().await;
    let storm = streams.into_iter().map(|stream| {
        let hello = Arc::clone(&hello);
        async move {
            let mut stream = stream.unwrap();
            stream.write_all(&hello).await.unwrap();
            let mut first = [0; 64];
            stream.read_exact(&mut first).await.is_ok()
        }
    });
    storm.collect()
}

/// What a client says first, heard by a server of our own.
async fn hello(target: &Target) -> Arc<[u8]> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = target.clone().at(listener.local_addr().unwrap());
    let client = tokio::spawn(async move { drop(there.try_connect(&["http/1.1"]).await) });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.unwrap();
    let length = u16::from_be_bytes([head[3], head[4]]).into();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    drop(stream);
    client.await.unwrap();
    [&head[..], &body].concat().into()
}

fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    line.unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap()
}

fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "a test program keeps it for who asks")]
    {
        println!("{line}");
    }
}

const TEN_THOUSAND: usize = 10_000;

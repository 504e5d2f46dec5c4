//! No more files to open.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;
use wsgate_tests::{trace, within};

use super::{echoes_raw, handshake, knock, open, shake_hands};

#[tokio::test]
async fn when_all_places_are_taken_clients_are_told_so_and_tunnels_live() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(upstream.addr())
        .shell("ulimit -n 100")
        .start()
        .await;
    let at_rest = wsgate.open_files();
    let mut tunnels = Vec::new();
    let refused = loop {
        let (status, stream, head) = knock(wsgate.addr()).await.unwrap();
        match status {
            101 => tunnels.push(stream),
            _ => break (status, head),
        }
    };
    // Two files each, and 64 for the rest.
    assert_eq!((tunnels.len(), refused.0), (18, 503));
    assert!(refused.1.contains("retry-after: "), "{}", refused.1);

    // Connections that ask for nothing take what is left. The program does not run in circles then.
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(TcpStream::connect(wsgate.addr()).await.unwrap());
    }
    wsgate.until("all files", |w| w.open_files() == 100).await;
    wsgate.logs("cannot accept connections", 1).await;
    let before = wsgate.cpu();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = wsgate.cpu() - before;
    assert!(used < Duration::from_millis(150), "{used:?} in a second");
    for tunnel in &mut tunnels {
        echoes_raw(tunnel).await;
    }
    assert_eq!(
        wsgate.count("cannot accept connections"),
        1,
        "{}",
        wsgate.log()
    );

    // Whoever waits is served as soon as there is room.
    drop(idle);
    tunnels.truncate(9);
    wsgate.logs("tunnel closed", 9).await;
    wsgate
        .until("room", |w| w.open_files() <= at_rest + 18)
        .await;
    for _ in 0..9 {
        tunnels.push(open(wsgate.addr()).await);
    }
    drop(tunnels);
    wsgate.terminate().await;
    upstream.ended(27).await;
}

#[tokio::test]
async fn an_upstream_that_there_is_no_file_for_is_not_to_blame() {
    let _trace = trace::init();
    let upstreams = [
        Upstream::tcp(script::echo()).await,
        Upstream::tcp(script::echo()).await,
    ];
    let route = format!(
        "http://{},http://{}",
        upstreams[0].addr(),
        upstreams[1].addr()
    );
    let wsgate = Wsgate::before(upstreams[0].addr())
        .route(route)
        .args("--max-tunnels off")
        .shell("ulimit -n 64")
        .start()
        .await;
    let at_rest = wsgate.open_files();
    let mut idle = Vec::new();
    while wsgate.open_files() < 63 {
        idle.push(connected(wsgate.addr()).await);
    }
    // The last file is the client's.
    for _ in 0..4 {
        let refused = wsgate.target().refused(handshake()).await;
        assert_eq!(refused.response.status, 503);
        assert_eq!(refused.response.fields.get("retry-after"), Some("1"));
        let body = String::from_utf8_lossy(&refused.body);
        assert!(
            body.contains("the gateway has too many files open"),
            "{body}"
        );
        drop(refused);
        wsgate.until("its end", |w| w.open_files() == 63).await;
    }
    drop(idle);
    wsgate.until("room", |w| w.open_files() == at_rest).await;
    let both = [open(wsgate.addr()).await, open(wsgate.addr()).await];
    wsgate.logs("too many files open", 1).await;
    let log = wsgate.log();
    let told: Vec<_> = log
        .lines()
        .filter(|l| l.contains("too many files open"))
        .collect();
    // Once, whoever was asked.
    assert!(
        matches!(&*told, [one] if one.contains("side=gateway")),
        "{log}"
    );
    assert!(
        !log.contains("ejected") && !log.contains("trying the next"),
        "{log}"
    );
    drop(both);
    wsgate.terminate().await;
    // The one with fewer tunnels comes next: none was out.
    for upstream in upstreams {
        upstream.ended(1).await;
    }
}

#[tokio::test]
async fn the_limit_is_raised_as_far_as_it_may_be() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(upstream.addr())
        .args("--max-tunnels 1000")
        .shell("ulimit -Sn 100; ulimit -Hn 500")
        .start()
        .await;
    assert_eq!(wsgate.limit_of_files(), 500);
    wsgate
        .logs("raised the limit of open files limit=500 before=100", 1)
        .await;
    wsgate.logs("--max-tunnels needs more open files", 1).await;
    within("the end", wsgate.terminate()).await;
    upstream.join().await;
}

/// A connection that the program has accepted, as it has answered a request there.
async fn connected(addr: SocketAddr) -> TcpStream {
    let connected = async { shake_hands(TcpStream::connect(addr).await?, "/nowhere").await };
    let (status, stream, _) = within("an answer", connected).await.unwrap();
    assert_eq!(status, 404);
    stream
}

//! Three processes behind one gateway, of which one is killed and comes back.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};
use wsgate::WebSocketProxy;
use wsgate::proxy::{EndpointSettings, Upstream};
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::peers::{Peer, PeerServer};
use wsgate_tests::{Frame, Tunnel, trace};

const CLIENTS: usize = 500;
/// For a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(20);

/// What became of a client when an endpoint died.
#[derive(Debug)]
enum Fate {
    /// It was told, so long after.
    Told(Duration),
    /// It is on another endpoint, and echoes.
    Alive(Box<Tunnel>),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_is_killed_and_takes_its_share_when_it_is_back() {
    let _trace = trace::init();
    let mut servers: Vec<PeerServer> = join_all((0..3).map(|_| Peer::quiet_server(0))).await;
    let builder = Upstream::builder("echo");
    let endpoints = servers.iter().map(|server| at(server.addr()));
    let upstream = endpoints.fold(builder, |builder, at| builder.endpoint(at));
    let upstream = upstream.build().unwrap();
    let gateway = Gateway::proxying(WebSocketProxy::to_upstream(upstream.clone())).await;
    let target = gateway.target();

    let clients = open(&target, CLIENTS).await;
    let shares = tunnels(&upstream);
    assert!(shares.iter().all(|n| [166, 167].contains(n)), "{shares:?}");

    let dead = servers.remove(0);
    let addr = dead.addr();
    let killed = Instant::now();
    dead.kill().await;
    let fates = clients.into_iter().map(|c| tokio::spawn(fate(c, killed)));
    // New ones never fail, also while the group learns of it.
    let (newcomers, fates) = tokio::join!(open(&target, 100), join_all(fates));
    let (mut told, mut alive) = (Vec::new(), newcomers);
    for fate in fates {
        match fate.unwrap() {
            Fate::Told(after) => told.push(after),
            Fate::Alive(client) => alive.push(*client),
        }
    }
    assert_eq!(told.len(), shares[0] as usize);
    let last = told.iter().max().unwrap();
    assert!(*last < Duration::from_secs(1), "{last:?}");
    let left = tunnels(&upstream);
    assert_eq!(left[0], 0, "{left:?}");
    assert_eq!(left[1] + left[2], alive.len() as u32);

    let back = Peer::quiet_server(addr.port()).await;
    let start = Instant::now();
    while tunnels(&upstream)[0] == 0 {
        assert!(start.elapsed() < SLACK, "it gets nothing: {upstream:?}");
        alive.extend(open(&target, 1).await);
        sleep(Duration::from_millis(50)).await;
    }
    let missing = CLIENTS + 250 - alive.len();
    alive.extend(open(&target, missing).await);
    let shares = tunnels(&upstream);
    assert!(shares.iter().all(|n| [250].contains(n)), "{shares:?}");

    join_all(alive.into_iter().map(|client| client.close(1000, ""))).await;
    gateway.join().await;
    for server in servers.into_iter().chain([back]) {
        server.join().await;
    }
}

fn at(addr: SocketAddr) -> EndpointSettings {
    EndpointSettings::new(&format!("http://{addr}")).unwrap()
}

fn tunnels(upstream: &Upstream) -> Vec<u32> {
    let endpoints = upstream.endpoints();
    endpoints.iter().map(|status| status.tunnels).collect()
}

/// Opens so many, a few at a time; each of them echoes.
async fn open(target: &Target, count: usize) -> Vec<Tunnel> {
    let opening = (0..count).map(|_| async {
        let mut tunnel = target.tunnel(Handshake::of("/websocket")).await;
        echo(&mut tunnel).await;
        tunnel
    });
    stream::iter(opening).buffer_unordered(8).collect().await
}

async fn echo(client: &mut Tunnel) {
    client.send(Frame::text("hello")).await;
    assert_eq!(client.frame().await, Frame::text("hello"));
}

async fn fate(mut client: Tunnel, killed: Instant) -> Fate {
    match timeout(Duration::from_secs(2), client.next()).await {
        Ok(frame) => {
            assert_eq!(frame.unwrap(), Frame::close(1014, "upstream lost"));
            Fate::Told(killed.elapsed())
        }
        Err(_) => {
            echo(&mut client).await;
            Fate::Alive(Box::new(client))
        }
    }
}

//! Name servers that are gone.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use wsgate_tests::alone::alone_in_namespaces;
use wsgate_tests::dns::NameServer;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;
use wsgate_tests::{trace, within};

use super::{echoes_raw, knock, open};

/// A network whose only name server is here, and is asked three times, with so many seconds for each.
fn network(seconds: u32) -> String {
    format!(
        "mount -t tmpfs none /run && mkdir /run/etc && \
         echo 'nameserver 127.0.0.1\noptions timeout:{seconds} attempts:3' > /run/etc/resolv.conf && \
         echo '127.0.0.1 localhost' > /run/etc/hosts && echo 'hosts: files dns' > /run/etc/nsswitch.conf && \
         for file in resolv.conf hosts nsswitch.conf; do mount --bind /run/etc/$file /etc/$file; done"
    )
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_lookup_without_an_answer_ends_and_the_next_one_with_an_answer_serves() {
    let test = "hostile::resources::names::a_lookup_without_an_answer_ends_and_the_next_one_with_an_answer_serves";
    // A lookup without an answer takes longer than any handshake may.
    if !alone_in_namespaces(test, &network(3)).await {
        return;
    }
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let route = format!("http://backend.test:{}", upstream.addr().port());
    let names = NameServer::at(PORT, &[("backend.test", HERE)]).await;
    let wsgate = Wsgate::before(upstream.addr())
        .route(route)
        .args("--connect-timeout 1s")
        .start()
        .await;
    let mut live = open(wsgate.addr()).await;
    let threads = wsgate.threads();

    // Nobody answers any more.
    names.kill().await;
    let silent = UdpSocket::bind(SocketAddr::new(HERE, PORT)).await.unwrap();
    let began = Instant::now();
    let crowd = join_all((0..200).map(|_| knock(wsgate.addr()))).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    for answer in crowd {
        let (status, _, head) = answer.unwrap();
        assert!(matches!(status, 502 | 504), "{head}");
    }
    // 64 lookups at once, however many wait for one; and each worker keeps its threads for a while.
    assert!(wsgate.threads() <= threads + 2 * 64, "{}", wsgate.threads());
    echoes_raw(&mut live).await;

    drop(silent);
    let names = NameServer::at(PORT, &[("backend.test", HERE)]).await;
    let next = within("a WebSocket", async {
        loop {
            let (status, stream, _) = knock(wsgate.addr()).await.unwrap();
            if status == 101 {
                return stream;
            }
        }
    });
    echoes_raw(&mut next.await).await;
    echoes_raw(&mut live).await;
    drop(live);
    names.kill().await;
    wsgate.terminate().await;
    upstream.join().await;
}

/// Endpoints that were found once stay.
#[tokio::test]
async fn a_group_that_dns_tells_of_lives_on_without_it() {
    let test = "hostile::resources::names::a_group_that_dns_tells_of_lives_on_without_it";
    if !alone_in_namespaces(test, &network(1)).await {
        return;
    }
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let route = format!("dns:http://backend.test:{}", upstream.addr().port());
    let names = NameServer::at(PORT, &[("backend.test", HERE)]).await;
    let wsgate = Wsgate::before(upstream.addr()).route(route).start().await;
    let mut live = open(wsgate.addr()).await;

    names.kill().await;
    let silent = UdpSocket::bind(SocketAddr::new(HERE, PORT)).await.unwrap();
    wsgate.logs("endpoints cannot be found", 1).await;
    for _ in 0..20 {
        let mut next = open(wsgate.addr()).await;
        echoes_raw(&mut next).await;
    }
    echoes_raw(&mut live).await;
    drop((live, silent));
    wsgate.terminate().await;
    upstream.join().await;
}

/// The one that `resolv.conf` means.
const PORT: u16 = 53;

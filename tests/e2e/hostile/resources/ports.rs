//! No more local ports for connections to an upstream.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wsgate_tests::alone::alone_in_namespaces;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;
use wsgate_tests::{trace, within};

use super::{HANDSHAKE, echoes_raw};

/// In a network with twenty ports.
const NETWORK: &str = "echo '40000 40019' > /proc/sys/net/ipv4/ip_local_port_range";

#[tokio::test]
async fn the_client_is_told_the_cause_and_the_endpoint_is_not_to_blame() {
    let test =
        "hostile::resources::ports::the_client_is_told_the_cause_and_the_endpoint_is_not_to_blame";
    if !alone_in_namespaces(test, NETWORK).await {
        return;
    }
    let _trace = trace::init();
    let upstream = Upstream::at(at([127, 0, 0, 1], 9000), script::echo()).await;
    let wsgate = start(upstream.addr(), "http://127.0.0.1:9000").await;
    let mut tunnels = Vec::new();
    let (head, body) = loop {
        match knock(&wsgate).await {
            Ok(stream) => tunnels.push(stream),
            Err(refused) => break refused,
        }
    };
    assert!((15..=20).contains(&tunnels.len()), "{}", tunnels.len());
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(head.contains("retry-after: 1"), "{head}");
    assert!(
        body.contains("no local port left for this address"),
        "{body}"
    );
    wsgate.logs("no local port left", 1).await;
    let log = wsgate.log();
    let told = log.lines().find(|line| line.contains("no local port left"));
    let told = told.expect("a warning");
    assert!(told.contains("side=gateway"), "{told}");
    assert!(told.contains("list further addresses"), "{told}");

    // A port that is free again serves the next.
    for tunnel in &mut tunnels {
        echoes_raw(tunnel).await;
    }
    tunnels.truncate(10);
    wsgate.logs("tunnel closed", 1).await;
    let next = within("a port", async {
        loop {
            match knock(&wsgate).await {
                Ok(stream) => return stream,
                // Of those that were closed from here, TIME_WAIT has some.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    });
    tunnels.push(next.await);
    drop(tunnels);
    wsgate.terminate().await;
    upstream.join().await;
}

/// The way out: ports are counted for each address.
#[tokio::test]
async fn a_further_address_of_the_endpoint_has_ports_of_its_own() {
    let test = "hostile::resources::ports::a_further_address_of_the_endpoint_has_ports_of_its_own";
    if !alone_in_namespaces(test, NETWORK).await {
        return;
    }
    let _trace = trace::init();
    let first = Upstream::at(at([127, 0, 0, 1], 9000), script::echo()).await;
    let second = Upstream::at(at([127, 0, 0, 2], 9000), script::echo()).await;
    // All go to the first, as long as it has any.
    let route = "http://127.0.0.1:9000,http://127.0.0.2:9000 backup";
    let wsgate = start(first.addr(), route).await;
    let mut tunnels = Vec::new();
    for number in 0..30 {
        match knock(&wsgate).await {
            Ok(stream) => tunnels.push(stream),
            Err(refused) => panic!("{number}: {refused:?}"),
        }
    }
    for tunnel in &mut tunnels {
        echoes_raw(tunnel).await;
    }
    let seen = [first.seen().len(), second.seen().len()];
    assert!(seen[0] >= 15 && seen[1] >= 10, "{seen:?}");
    assert_eq!(wsgate.count("ejected"), 0, "{}", wsgate.log());
    drop(tunnels);
    wsgate.terminate().await;
    first.join().await;
    second.join().await;
}

/// They say nothing of the endpoint.
#[tokio::test]
async fn checks_that_have_no_port_fail_nobody() {
    let test = "hostile::resources::ports::checks_that_have_no_port_fail_nobody";
    if !alone_in_namespaces(test, NETWORK).await {
        return;
    }
    let _trace = trace::init();
    let upstream = Upstream::at(at([127, 0, 0, 1], 9000), script::echo()).await;
    // But for one, where the gateway listens.
    let taken: Vec<_> = (40_000..40_019)
        .map(|port| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(at([0, 0, 0, 0], port)).unwrap();
            socket
        })
        .collect();
    let wsgate = Wsgate::before(upstream.addr())
        .route("http://127.0.0.1:9000,http://127.0.0.1:9001")
        .args("--health-check tcp --health-check-interval 100ms --log-level debug")
        .start()
        .await;
    wsgate
        .until("checks", |w| {
            w.count("an endpoint cannot be checked now") >= 8 || w.count("fails its checks") > 0
        })
        .await;
    assert_eq!(wsgate.count("fails its checks"), 0, "{}", wsgate.log());
    drop(taken);
    // The other one refuses connections.
    wsgate.logs("an endpoint fails its checks", 1).await;
    let mut tunnel = knock(&wsgate).await.unwrap();
    echoes_raw(&mut tunnel).await;
    drop(tunnel);
    wsgate.terminate().await;
    upstream.join().await;
}

async fn start(upstream: SocketAddr, route: &str) -> Wsgate {
    Wsgate::before(upstream).route(route).start().await
}

const fn at(ip: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3])),
        port,
    )
}

/// A handshake from a port that none of those twenty is. The answer, where it opens nothing.
async fn knock(wsgate: &Wsgate) -> Result<TcpStream, (String, String)> {
    let socket = TcpSocket::new_v4().unwrap();
    static PORT: AtomicU16 = AtomicU16::new(10_000);
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    socket.bind(at([127, 0, 0, 1], port)).unwrap();
    let mut stream = socket.connect(wsgate.addr()).await.unwrap();
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
    };
    within("an answer", read).await;
    let head = String::from_utf8(head).unwrap();
    if head.starts_with("HTTP/1.1 101") {
        return Ok(stream);
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    Err((head, String::from_utf8(body).unwrap()))
}

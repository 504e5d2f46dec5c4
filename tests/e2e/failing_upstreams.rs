//! Endpoints that fail in every way there is, beside one that works: what clients notice of it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use wsgate::WebSocketProxy;
use wsgate::proxy::upstream::health::Ejection;
use wsgate::proxy::upstream::{Upstream as Group, UpstreamBuilder};
use wsgate::proxy::{EndpointSettings, UpstreamTls};
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::{Script, Upstream, script};
use wsgate_tests::{Frame, Tunnel, trace};

/// An endpoint that fails, for as long as this is held.
struct Failing {
    name: &'static str,
    endpoint: EndpointSettings,
    /// Where it can tell who came.
    upstream: Option<Upstream>,
    _held: Option<Box<dyn Send>>,
}

impl Failing {
    fn at(name: &'static str, addr: SocketAddr, held: impl Send + 'static) -> Self {
        Self {
            name,
            endpoint: endpoint(addr),
            upstream: None,
            _held: Some(Box::new(held)),
        }
    }

    async fn playing(name: &'static str, script: Script) -> Self {
        let upstream = Upstream::tcp(script).await;
        Self {
            name,
            endpoint: endpoint(upstream.addr()),
            upstream: Some(upstream),
            _held: None,
        }
    }

    /// Every sort of it.
    async fn all() -> Vec<Self> {
        let nobody = TcpSocket::new_v4().unwrap();
        nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let refusing = nobody.local_addr().unwrap();

        let hole = TcpSocket::new_v4().unwrap();
        hole.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let hole = hole.listen(0).unwrap();
        let dropping = hole.local_addr().unwrap();
        // A backlog of none has room for one.
        let waiting = TcpStream::connect(dropping).await.unwrap();

        let tls = TestCa::new().server(&["localhost"], &["http/1.1"]);
        let impostor = Upstream::tls(tls, script::echo()).await;
        let other = UpstreamTls::ca_pem(TestCa::new().pem()).unwrap();
        let impostor = Self {
            name: "has another's certificate",
            endpoint: EndpointSettings::new(&format!("https://{}", impostor.addr()))
                .unwrap()
                .tls(other),
            upstream: Some(impostor),
            _held: None,
        };
        let answers = |status| script::respond(status, &[], "");
        vec![
            Self::at("refuses", refusing, nobody),
            Self::at("drops", dropping, (hole, waiting)),
            impostor,
            Self::playing("says nothing", script::silence()).await,
            Self::playing("answers 500", answers("500 Internal Server Error")).await,
            Self::playing("answers 502", answers("502 Bad Gateway")).await,
            Self::playing("answers 503", answers("503 Service Unavailable")).await,
            Self::playing("resets at once", script::reset_on_accept()).await,
            Self::playing("resets later", script::reset_in_handshake()).await,
            Self::playing("accepts another key", script::wrong_accept()).await,
        ]
    }
}

fn endpoint(addr: SocketAddr) -> EndpointSettings {
    EndpointSettings::new(&format!("http://{addr}")).unwrap()
}

/// Once it has failed, an endpoint stays out for the rest of a test; all 5xx answers are passed over.
fn group(good: &Upstream) -> UpstreamBuilder {
    let minutes = Duration::from_secs(600);
    let statuses = [500, 502, 503, 504].map(|status| status.try_into().unwrap());
    Group::builder("backend")
        .endpoint(endpoint(good.addr()))
        .eject(Ejection::default().back_off(minutes, minutes))
        .retry_statuses(statuses)
        .deadline(DEADLINE)
}

async fn gateway(group: UpstreamBuilder) -> Gateway {
    let proxy = WebSocketProxy::to_upstream(group.build().unwrap());
    let short = Duration::from_millis(200);
    let proxy = proxy.connect_timeout(short).handshake_timeout(short);
    Gateway::proxying(proxy).await
}

/// Opens a WebSocket, and sees that it works. How long the handshake took.
async fn visit(gateway: &Gateway) -> (Tunnel, Duration) {
    let began = Instant::now();
    let mut tunnel = gateway.target().tunnel(Handshake::of("/websocket")).await;
    let took = began.elapsed();
    tunnel.send(Frame::text("hello")).await;
    assert_eq!(tunnel.frame().await, Frame::text("hello"));
    (tunnel, took)
}

async fn leave(tunnels: Vec<Tunnel>) {
    for tunnel in tunnels {
        tunnel.close(1000, "").await;
    }
}

/// The tunnels stay, so that the endpoint that fails has the fewest and is chosen.
#[tokio::test]
async fn each_beside_a_good_one_costs_one_client_one_try() {
    for bad in Failing::all().await {
        let trace = trace::init();
        let good = Upstream::tcp(script::echo()).await;
        let gateway = gateway(group(&good).endpoint(bad.endpoint.clone())).await;
        let mut tunnels = Vec::new();
        for _ in 0..16 {
            let (tunnel, took) = visit(&gateway).await;
            assert!(took < DEADLINE, "{}: {took:?}", bad.name);
            tunnels.push(tunnel);
        }
        let ejected = trace.find("an endpoint is ejected");
        assert_eq!(ejected.len(), 1, "{}: {ejected:?}", bad.name);
        let endpoint = bad.endpoint.endpoint().to_string();
        assert_eq!(ejected[0].field("endpoint"), endpoint);
        if let Some(upstream) = &bad.upstream {
            assert_eq!(upstream.seen().len(), 1, "{}", bad.name);
        }
        leave(tunnels).await;
        gateway.join().await;
        good.ended(16).await;
    }
}

#[tokio::test]
async fn all_of_them_together_cost_no_client_its_websocket() {
    let _trace = trace::init();
    let all = Failing::all().await;
    let good = Upstream::tcp(script::echo()).await;
    let endpoints = all.iter().map(|bad| bad.endpoint.clone());
    let group = endpoints.fold(group(&good), UpstreamBuilder::endpoint);
    let gateway = gateway(group.tries(all.len() + 1)).await;
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        let clients = (0..16).map(|_| visit(&gateway));
        for (tunnel, took) in join_all(clients).await {
            assert!(took < DEADLINE, "{took:?}");
            tunnels.push(tunnel);
        }
    }
    leave(tunnels).await;
    gateway.join().await;
    good.ended(48).await;
}

/// What passes over is a matter of settings; that it is ejected is not.
#[tokio::test]
async fn an_error_that_passes_to_the_client_does_so_once() {
    let _trace = trace::init();
    let bad = Upstream::tcp(script::respond("500 Internal Server Error", &[], "oh")).await;
    let good = Upstream::tcp(script::echo()).await;
    let gateway = gateway(
        group(&good)
            .endpoint(endpoint(bad.addr()))
            .retry_statuses([]),
    )
    .await;
    let (mut tunnels, mut failures) = (Vec::new(), 0);
    for _ in 0..32 {
        match gateway.target().open(Handshake::of("/websocket")).await {
            Ok(opened) => tunnels.push(opened.tunnel),
            Err(refused) => {
                assert_eq!(refused.response.status, 500);
                assert_eq!(refused.body, "oh");
                failures += 1;
            }
        }
    }
    assert_eq!(failures, 1);
    leave(tunnels).await;
    gateway.join().await;
    bad.ended(1).await;
    good.ended(31).await;
}

#[tokio::test]
async fn where_all_fail_the_deadline_holds() {
    let _trace = trace::init();
    let silent = [(); 3].map(|()| Upstream::tcp(script::silence()));
    let silent = join_all(silent).await;
    let group = silent.iter().map(|s| endpoint(s.addr()));
    let group = group.fold(Group::builder("backend"), UpstreamBuilder::endpoint);
    let group = group.deadline(Duration::from_millis(300));
    let proxy = WebSocketProxy::to_upstream(group.build().unwrap());
    let gateway = Gateway::proxying(proxy).await;
    for _ in 0..4 {
        let began = Instant::now();
        let handshake = Handshake::of("/websocket");
        let refused = gateway.target().refused(handshake).await;
        assert_eq!(refused.response.status, 504);
        // Far from the ten seconds that each may take.
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    gateway.join().await;
}

/// For all tries of a handshake together; two seconds for the tries that take 200 ms, the rest for a
/// machine that does something else meanwhile.
const DEADLINE: Duration = Duration::from_secs(10);

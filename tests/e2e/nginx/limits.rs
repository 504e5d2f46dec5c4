//! How many WebSockets a client may have, how fast it may open them, and how much it may say.

use std::time::Duration;

use wsgate::layer::LimitLayer;
use wsgate::layer::client::TrustedProxies;
use wsgate::layer::limit::Rate;
use wsgate_tests::client::{Handshake, Refused, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::nginx::{Config, Nginx};
use wsgate_tests::{Frame, trace, within};

use super::{Backstage, mounted_at, start_nginx, start_nginx_with};

#[tokio::test]
async fn a_client_with_too_many_is_told_so_by_wsgate_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let zone = "limit_conn_zone $binary_remote_addr zone=clients:1m;";
    let (nginx, target) = limited_nginx(&backstage, zone, "limit_conn clients 1;").await;
    let refused = second_of_one_client(&mut backstage, &target).await;
    is_refused_by_nginx(&refused);
    nginx.stop().await;

    let (gateway, target) = limited(&backstage, LimitLayer::new().tunnels_per_client(1)).await;
    let refused = second_of_one_client(&mut backstage, &target).await;
    assert_eq!(refused.response.status, 429);
    assert_eq!(refused.response.fields.get("retry-after"), Some("5"));
    let text = "too many WebSockets are open from your address: try again in 5 s\n";
    assert_eq!(refused.body, text);
    gateway.join().await;
}

#[tokio::test]
async fn a_subscriber_with_many_ipv6_addresses_is_one_client_to_wsgate_alone() {
    let _trace = trace::init();
    let backstage = Backstage::new().await;
    let zone = "limit_conn_zone $binary_remote_addr zone=clients:1m;";
    let limit = "limit_conn clients 1; set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;";
    let (nginx, target) = limited_nginx(&backstage, zone, limit).await;
    let from = |client| Handshake::of("/websocket").field("X-Forwarded-For", client);
    let _first = target.tunnel(from("2001:db8::1")).await;
    target.refused(from("2001:db8::1")).await;
    target.tunnel(from("2001:db8::2")).await;
    nginx.stop().await;

    let trusted = TrustedProxies::new(["127.0.0.1"]).unwrap();
    let limits = LimitLayer::new().tunnels_per_client(1);
    let (gateway, target) = limited(&backstage, limits.trusted_proxies(trusted)).await;
    let first = target.tunnel(from("2001:db8::1")).await;
    let refused = target.refused(from("2001:db8::2")).await;
    assert_eq!(refused.response.status, 429);
    target.tunnel(from("2001:db8:0:1::1")).await;
    drop(first);
    gateway.join().await;
}

#[tokio::test]
async fn a_gateway_that_is_full_says_when_to_come_back_in_wsgate_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let zone = "limit_conn_zone $server_name zone=all:1m;";
    let (nginx, target) = limited_nginx(&backstage, zone, "limit_conn all 1;").await;
    let ends = backstage.open(&target).await;
    is_refused_by_nginx(&from_elsewhere(&target).await);
    drop(ends);
    nginx.stop().await;

    let (gateway, target) = limited(&backstage, LimitLayer::new().tunnels(1)).await;
    let ends = backstage.open(&target).await;
    let refused = from_elsewhere(&target).await;
    assert_eq!(refused.response.status, 503);
    assert_eq!(refused.response.fields.get("retry-after"), Some("5"));
    drop(ends);
    gateway.join().await;
}

#[tokio::test]
async fn ordinary_requests_count_in_nginx_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let zone = "limit_conn_zone $binary_remote_addr zone=clients:1m;";
    let (nginx, target) = limited_nginx(&backstage, zone, "limit_conn clients 1;").await;
    let ends = backstage.open(&target).await;
    is_refused_by_nginx(&target.get("/websocket").await);
    drop(ends);
    nginx.stop().await;

    let (gateway, target) = limited(&backstage, LimitLayer::new().tunnels_per_client(1)).await;
    let ends = backstage.open(&target).await;
    // By the proxy, which passes on WebSockets only.
    assert_eq!(target.get("/websocket").await.response.status, 426);
    drop(ends);
    gateway.join().await;
}

#[tokio::test]
async fn handshakes_that_come_too_fast_are_told_so_by_wsgate_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let zone = "limit_req_zone $binary_remote_addr zone=clients:1m rate=1r/m;";
    let limit = "limit_req zone=clients burst=2 nodelay;";
    let (nginx, target) = limited_nginx(&backstage, zone, limit).await;
    is_refused_by_nginx(&fourth(&mut backstage, &target).await);
    nginx.stop().await;

    // nginx's burst is what may come beyond the first.
    let rate = Rate::new(1, Duration::from_secs(60)).burst(3);
    let (gateway, target) = limited(&backstage, LimitLayer::new().handshake_rate(rate)).await;
    let refused = fourth(&mut backstage, &target).await;
    assert_eq!(refused.response.status, 429);
    let after = refused.response.fields.get("retry-after").unwrap();
    let after: u64 = after.parse().unwrap();
    assert!((20..=60).contains(&after), "{after}");
    gateway.join().await;
}

#[tokio::test]
async fn a_burst_is_slowed_down_by_nginx_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let zone = "limit_req_zone $binary_remote_addr zone=clients:1m rate=2r/s;";
    let (nginx, target) = limited_nginx(&backstage, zone, "limit_req zone=clients burst=2;").await;
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        backstage.open(&target).await;
    }
    // The second waits for half a second, and so does the third; nginx counts in milliseconds.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(990), "{took:?}");
    nginx.stop().await;

    // Far less than would have to be waited for.
    let rate = Rate::new(1, Duration::from_secs(600)).burst(3);
    let (gateway, target) = limited(&backstage, LimitLayer::new().handshake_rate(rate)).await;
    for _ in 0..3 {
        backstage.open(&target).await;
    }
    gateway.join().await;
}

#[tokio::test]
async fn a_message_of_any_size_passes_only_through_nginx() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let big = Frame::binary(vec![7; 0x1_0000]).masked([1, 2, 3, 4]);
    let lines = "client_max_body_size 1k; proxy_buffer_size 1k; proxy_buffers 2 1k;\
                 proxy_busy_buffers_size 1k;";
    let (nginx, target) = start_nginx(&backstage.location_with(lines)).await;
    let mut ends = backstage.open(&target).await;
    ends.client.send(big.clone()).await;
    assert_eq!(ends.upstream.frame().await, big);
    drop(ends);
    nginx.stop().await;

    let (gateway, target) = limited(&backstage, LimitLayer::new().message_size(1024)).await;
    let mut ends = backstage.open(&target).await;
    let small = Frame::binary(vec![7; 1024]).masked([1, 2, 3, 4]);
    ends.client.send(small.clone()).await;
    assert_eq!(ends.upstream.frame().await, small);
    ends.client.send(big).await;
    let close = Frame::close(1009, "message too big");
    assert_eq!(ends.client.frame().await, close);
    ends.client.send(close.clone()).await;
    let told = ends.upstream.frame().await;
    assert_eq!(told.close_parts(), close.close_parts());
    drop(ends);
    gateway.join().await;
}

// ===== what several of them do =====

async fn limited_nginx(backstage: &Backstage, zone: &str, limit: &str) -> (Nginx, Target) {
    let config = Config {
        http: zone,
        server: &backstage.location_with(limit),
        ..Config::default()
    };
    start_nginx_with(&config).await
}

async fn limited(backstage: &Backstage, limits: LimitLayer) -> (Gateway, Target) {
    let app = mounted_at("/websocket", backstage.proxy()).layer(limits);
    let gateway = Gateway::serving(app).await;
    let target = gateway.target();
    (gateway, target)
}

/// What nginx says to everyone that is too much.
#[track_caller]
fn is_refused_by_nginx(refused: &Refused) {
    assert_eq!(refused.response.status, 503);
    assert_eq!(refused.response.fields.get("retry-after"), None);
}

/// How a second WebSocket is refused to a client of which one is open. To another client it is not,
/// nor to the same one when the first is closed.
async fn second_of_one_client(backstage: &mut Backstage, target: &Target) -> Refused {
    let first = backstage.open(target).await;
    let refused = target.refused(Handshake::of("/websocket")).await;
    let other = target.clone().coming_from([127, 0, 0, 2]);
    backstage.open(&other).await;
    drop(first);
    let again = async {
        // Nobody tells when the place is free.
        while target.open(Handshake::of("/websocket")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the place to be free again", again).await;
    refused
}

async fn from_elsewhere(target: &Target) -> Refused {
    let other = target.clone().coming_from([127, 0, 0, 2]);
    other.refused(Handshake::of("/websocket")).await
}

/// How the fourth WebSocket is refused, after three were let in at once.
async fn fourth(backstage: &mut Backstage, target: &Target) -> Refused {
    for _ in 0..3 {
        backstage.open(target).await;
    }
    target.refused(Handshake::of("/websocket")).await
}

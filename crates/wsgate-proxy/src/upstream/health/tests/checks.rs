use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::yield_now,
    time::{sleep, timeout},
};

use super::server::{Does, Server};
use crate::upstream::{
    EndpointSettings, Upstream,
    health::{EndpointHealth, HealthCheck, Moment},
};

/// What this check finds of this server: why it does not pass.
async fn finds(check: &HealthCheck, addr: SocketAddr) -> Option<String> {
    let endpoint = EndpointSettings::new(&format!("http://{addr}")).unwrap();
    let upstream = Upstream::builder("backend").endpoint(endpoint);
    // The first check decides, as with every endpoint that is new.
    let upstream = upstream.health_check(check.clone()).build().unwrap();
    let member = Arc::clone(&upstream.group.members.load().primary[0]);
    let found = async {
        loop {
            if member.health.was_checked() {
                return match member.health.status(Moment::now()) {
                    EndpointHealth::FailingChecks { why } => Some(why),
                    _ => None,
                };
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(20), found).await.unwrap()
}

fn short(check: HealthCheck) -> HealthCheck {
    let short = Duration::from_millis(50);
    check.every(short).timeout(Duration::from_millis(300))
}

fn tcp() -> HealthCheck {
    short(HealthCheck::tcp())
}

fn http() -> HealthCheck {
    short(HealthCheck::http("/healthz").unwrap())
}

fn websocket() -> HealthCheck {
    short(HealthCheck::websocket("/websocket").unwrap())
}

async fn check(check: HealthCheck, does: Does, expected: Option<&str>) {
    let server = Server::that(does).await;
    let found = finds(&check, server.addr).await;
    match (&found, expected) {
        (Some(why), Some(expected)) if why.contains(expected) => {}
        (None, None) => {}
        _ => panic!("{check} found {found:?} of one that does {does:?}"),
    }
}

const OK: Does = Does::Answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
const BUSY: Does = Does::Answers("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
const FOUND: Does = Does::Answers("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");

#[tokio::test]
async fn tcp_passes_where_somebody_listens() {
    check(tcp(), Does::Silence, None).await;
    check(tcp(), BUSY, None).await;
}

#[tokio::test]
async fn http_passes_with_an_expected_status() {
    check(http(), OK, None).await;
    check(http(), FOUND, None).await;
    let busy = Some("answered 503 Service Unavailable");
    check(http(), BUSY, busy).await;
    check(http().expect_status(500..), BUSY, None).await;
    check(http().expect_status(500..), OK, Some("answered 200")).await;
    check(http(), Does::Silence, Some("did not pass within 300ms")).await;
    check(http(), Does::BreaksOff, Some("broke off the handshake")).await;
    let other = Does::Answers("220 smtp.example ESMTP\r\n");
    check(http(), other, Some("did not answer in HTTP/1.1")).await;
}

#[tokio::test]
async fn a_websocket_passes_with_its_pong() {
    check(websocket(), Does::Echo, None).await;
    let refused = Some("answered 200 OK where a handshake wants 101");
    check(websocket(), OK, refused).await;
    let wrong = Some("has not the `Sec-WebSocket-Accept`");
    check(websocket(), Does::WrongAccept, wrong).await;
    let late = Some("did not pass within 300ms");
    check(websocket(), Does::Sends(b""), late).await;
    check(websocket(), Does::Sends(b"\x8a\x05other"), late).await;
    let closed = Some("closed the WebSocket before its pong");
    check(websocket(), Does::Sends(b"\x88\x02\x03\xe9"), closed).await;
    let noise = Does::Sends(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
    check(websocket(), noise, Some("sent what are no frames")).await;
    check(websocket(), Does::Silence, late).await;
    let broken = Some("broke off the handshake");
    check(websocket(), Does::BreaksOff, broken).await;
}

#[tokio::test]
async fn every_check_sees_that_nobody_listens_or_answers() {
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let refusing = nobody.local_addr().unwrap();

    let hole = TcpSocket::new_v4().unwrap();
    hole.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let hole = hole.listen(0).unwrap();
    let dropping = hole.local_addr().unwrap();
    // A backlog of none has room for one.
    let _waiting = TcpStream::connect(dropping).await.unwrap();

    for check in [tcp(), http(), websocket()] {
        let why = finds(&check, refusing).await.expect("it does not pass");
        assert!(why.contains("refused the connection"), "{why}");
        let why = finds(&check, dropping).await.expect("it does not pass");
        assert_eq!(why, "did not pass within 300ms");
    }
}

#[tokio::test]
async fn it_asks_as_a_client_would_and_says_goodbye() {
    let server = Server::that(Does::Echo).await;
    assert_eq!(finds(&websocket(), server.addr).await, None);
    let seen = server.saw(|seen| !seen.closes.is_empty()).await;
    assert_eq!(seen.closes[0], Some(1000));
    let head = seen.heads[0].to_lowercase();
    let expected = format!(
        "get /websocket http/1.1\r\nhost: {}\r\nuser-agent: wsgate (health check)\r\n\
         connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
        server.addr
    );
    assert!(head.starts_with(&expected), "{head}");

    let server = Server::that(OK).await;
    let named = http().host(HeaderValue::from_static("chat.example"));
    assert_eq!(finds(&named, server.addr).await, None);
    let seen = server.saw(|seen| !seen.heads.is_empty()).await;
    let head = seen.heads[0].to_lowercase();
    let expected = "get /healthz http/1.1\r\nhost: chat.example\r\n";
    assert!(head.starts_with(expected), "{head}");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
}

/// Waits for the health of an endpoint to be such.
async fn until(upstream: &Upstream, endpoint: &EndpointSettings, is: fn(&EndpointHealth) -> bool) {
    let found = async {
        loop {
            let all = upstream.endpoints();
            let its = all.iter().find(|e| e.endpoint == *endpoint.endpoint());
            if is(&its.expect("it is there").health) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), found).await.unwrap();
}

fn is_failing(health: &EndpointHealth) -> bool {
    matches!(health, EndpointHealth::FailingChecks { .. })
}

#[tokio::test]
async fn an_endpoint_goes_comes_back_and_is_followed_when_it_is_new() {
    let [one, two, late] = [0; 3].map(|_| Server::that(OK));
    let (one, two, late) = (one.await, two.await, late.await);
    let upstream = Upstream::builder("backend")
        .endpoint(one.endpoint())
        .endpoint(two.endpoint())
        .health_check(http())
        .build()
        .unwrap();

    one.does(BUSY);
    until(&upstream, &one.endpoint(), is_failing).await;
    let all = upstream.endpoints();
    assert_eq!(all[1].health, EndpointHealth::Healthy);
    one.does(OK);
    until(&upstream, &one.endpoint(), |h| {
        *h == EndpointHealth::Healthy
    })
    .await;

    late.does(BUSY);
    upstream.add(late.endpoint()).unwrap();
    until(&upstream, &late.endpoint(), is_failing).await;

    upstream.remove(two.endpoint().endpoint()).unwrap();
    let asked = |server: &Server| server.seen().heads.len();
    // Those that are left go on; it is asked no more, once a check that was under way has ended.
    let so_far = asked(&one);
    one.saw(|seen| seen.heads.len() > so_far + 20).await;
    let last = asked(&two);
    let so_far = asked(&one);
    one.saw(|seen| seen.heads.len() > so_far + 4).await;
    assert_eq!(asked(&two), last);
}

#[tokio::test]
async fn checks_end_with_the_group() {
    let server = Server::that(Does::Silence).await;
    let upstream = Upstream::builder("backend").endpoint(server.endpoint());
    let check = http().timeout(Duration::from_secs(3600));
    let upstream = upstream.health_check(check).build().unwrap();
    server.saw(|seen| !seen.heads.is_empty()).await;
    let member = Arc::downgrade(&upstream.group.members.load().primary[0]);
    drop(upstream);
    let gone = async {
        // Held by the check that is under way, and by those to come.
        while member.strong_count() > 0 {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.unwrap();
}

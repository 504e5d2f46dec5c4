//! Programs of other people: Node, Python, nginx and Chromium, each against something honest.

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::Version;
use axum::response::Html;
use axum::routing::{any, get};
use wsgate_tests::browser::Browser;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::nginx::{Nginx, classic_location};
use wsgate_tests::peers::{Event, Peer, Step};
use wsgate_tests::site::Site;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, trace};

fn text(data: &str) -> Event {
    Event::Text {
        data: data.to_owned(),
    }
}

#[tokio::test]
async fn every_peer_talks_to_every_other_with_compression() {
    let _trace = trace::init();
    for (client, server) in [
        (Peer::Node, Peer::Node),
        (Peer::Node, Peer::Python),
        (Peer::Python, Peer::Node),
        (Peer::Python, Peer::Python),
    ] {
        let server = server.server(&["chat"]).await;
        let url = Target::plain(server.addr()).url("/room?id=7");
        let saw = client
            .client(&url, None)
            .subprotocols(&["other", "chat"])
            .field("X-Test", "yes")
            .then(Step::Text("hello".to_owned()))
            .then(Step::Fragments(vec!["in ".to_owned(), "two".to_owned()]))
            .then(Step::Binary(300_000))
            .then(Step::Ping("still there".to_owned()))
            .then(Step::Receive(3))
            .then(Step::Close(4001, "enough".to_owned()))
            .run()
            .await;
        let binary = Event::Binary {
            length: 300_000,
            intact: true,
        };
        let close = Event::Close {
            code: 4001,
            reason: "enough".to_owned(),
            clean: true,
        };
        let pong = Event::Pong {
            data: "still there".to_owned(),
        };

        let deflate = saw[0].field("sec-websocket-extensions").unwrap();
        assert!(deflate.starts_with("permessage-deflate"), "{deflate}");
        assert_eq!(saw[0].field("sec-websocket-protocol"), Some("chat"));
        // The pong may overtake messages that are still being inflated.
        let without_pong: Vec<_> = saw[1..].iter().filter(|event| **event != pong).collect();
        assert_eq!(
            without_pong,
            [&text("hello"), &text("in two"), &binary, &close]
        );
        assert_eq!(saw.len(), 6, "{saw:?}");

        let saw = server.join().await;
        let Event::Request { target, .. } = &saw[0] else {
            panic!("{saw:?}")
        };
        assert_eq!(target, "/room?id=7");
        assert_eq!(saw[0].field("x-test"), Some("yes"));
        let without_ping = saw[1..]
            .iter()
            .filter(|event| !matches!(event, Event::Ping { .. }));
        assert_eq!(
            without_ping.collect::<Vec<_>>(),
            [&text("hello"), &text("in two"), &binary, &close]
        );
    }
}

#[tokio::test]
async fn every_peer_tells_a_refusal() {
    let _trace = trace::init();
    let redirect = [("Location", "/elsewhere")];
    let upstream = Upstream::tcp(script::respond("403 Forbidden", &redirect, "not you")).await;
    for peer in Peer::ALL {
        let saw = peer
            .client(&Target::plain(upstream.addr()).url("/"), None)
            .run()
            .await;
        let Event::Refused {
            status: 403, body, ..
        } = &saw[0]
        else {
            panic!("{saw:?}")
        };
        assert_eq!(body, "not you");
        assert_eq!(saw[0].field("location"), Some("/elsewhere"));
    }
    upstream.join().await;
}

#[tokio::test]
async fn every_peer_trusts_the_ca_it_is_given() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let folder = tempfile::tempdir().unwrap();
    let file = ca.write(folder.path());
    let upstream = Upstream::tls(ca.server(&["localhost"], &["http/1.1"]), script::echo()).await;
    for peer in Peer::ALL {
        let url = Target::tls(upstream.addr(), &ca).url("/");
        let close = Step::Close(1000, String::new());
        let saw = peer
            .client(&url, Some(&file))
            .then(close.clone())
            .run()
            .await;
        assert!(
            matches!(
                saw[..],
                [
                    Event::Open { status: 101, .. },
                    Event::Close { code: 1000, .. }
                ]
            ),
            "{saw:?}"
        );
        let saw = peer.client(&url, None).then(close).run().await;
        assert!(matches!(saw[0], Event::Error { .. }), "{saw:?}");
    }
    upstream.join().await;
}

#[tokio::test]
async fn nginx_passes_websockets_on() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Upstream::tcp(script::echo()).await;
    let nginx = Nginx::start(
        &ca.leaf(&["localhost"]),
        &classic_location("/chat", &format!("http://{}", upstream.addr())),
    )
    .await;

    let target = Target::tls(nginx.addr(), &ca);
    let mut client = target.tunnel(Handshake::of("/chat?x=y")).await;
    client.send(Frame::text("through nginx")).await;
    assert_eq!(client.frame().await, Frame::text("through nginx"));
    client.close(1000, "").await;
    assert_eq!(
        target
            .refused(Handshake::of("/other"))
            .await
            .response
            .status,
        404
    );

    let seen = upstream.join_one().await;
    assert_eq!(seen.request().target, "/chat?x=y");
    assert_eq!(
        seen.request().fields.get("host"),
        Some(target.authority().as_str())
    );
    assert_eq!(
        seen.request().fields.get("x-forwarded-proto"),
        Some("https")
    );
    nginx.stop().await;
}

#[tokio::test]
async fn chromium_trusts_the_ca_and_chooses_the_protocol() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let socket = async |upgrade: WebSocketUpgrade, version: Version| {
        upgrade.on_upgrade(async move |mut socket| {
            let _ = socket.send(format!("{version:?}").into()).await;
        })
    };
    let page = async || Html("<!doctype html><title>harness</title><p>It is open.");
    let router = Router::new()
        .route("/", get(page))
        .route("/socket", any(socket));
    let site = Site::start(router, Some(ca.server(&["localhost"], &["h2", "http/1.1"]))).await;
    let url = format!("https://localhost:{}/", site.addr().port());

    let ask = "return await new Promise((resolve, reject) => {\
                   const socket = new WebSocket('/socket');\
                   socket.onmessage = event => resolve(event.data);\
                   socket.onerror = () => reject('it failed');\
               })";
    let browser = Browser::start(&ca.pem()).await;
    browser.open(&url).await;
    browser.until("document.title === 'harness'").await;
    assert_eq!(browser.run(ask).await, "HTTP/2.0");
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("page.png");
    browser.screenshot(&picture).await;
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    browser.close().await;

    let browser = Browser::start_http1(&ca.pem()).await;
    browser.open(&url).await;
    assert_eq!(browser.run(ask).await, "HTTP/1.1");
    browser.close().await;
    site.join().await;
}

#[tokio::test]
#[should_panic(expected = "ERR_CERT_AUTHORITY_INVALID")]
async fn chromium_does_not_trust_just_anybody() {
    let tls = TestCa::new().server(&["localhost"], &["http/1.1"]);
    let site = Site::start(Router::new(), Some(tls)).await;
    let browser = Browser::start(&TestCa::new().pem()).await;
    browser
        .open(&format!("https://localhost:{}/", site.addr().port()))
        .await;
}

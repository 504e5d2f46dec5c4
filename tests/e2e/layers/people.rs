//! Clients that others have written, and a quiet minute.

use std::time::Duration;

use axum::Router;
use axum::http::Version;
use axum::routing::get;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use wsgate::layer::{KeepaliveLayer, ReadTimeoutLayer};
use wsgate_tests::browser::Browser;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::peers::{Event, Peer, Step};
use wsgate_tests::trace;

use super::{Behind, House, Told};

/// With a keepalive they are all there after a minute; without it they are cut after ten seconds, and
/// report it as what it is.
#[tokio::test]
async fn a_quiet_minute() {
    let trace = trace::init();
    let house = House::start().await;
    let gateway = Gateway::serving(app(&house)).await;
    let target = gateway.target();
    let folder = tempfile::tempdir().unwrap();
    let ca = gateway.ca().write(folder.path());

    let browser = Browser::start(&gateway.ca().pem()).await;
    browser
        .open(&format!("https://{}/", target.authority()))
        .await;
    let urls = json!([
        url(true, Behind::Axum),
        url(true, Behind::Proxy),
        url(false, Behind::Axum),
        url(false, Behind::Proxy)
    ]);
    browser.run(&PAGE.replace("URLS", &urls.to_string())).await;
    let mut clients = Vec::new();
    for peer in Peer::ALL {
        for behind in Behind::BOTH {
            for kept in [true, false] {
                let client = peer.client(&target.url(&url(kept, behind)), Some(&ca));
                let client = client.then(Step::Receive(1));
                let mut client = client.then(Step::Close(1000, "bye".to_owned())).start();
                let open = client.event().await;
                assert!(matches!(open, Event::Open { status: 101, .. }), "{open:?}");
                clients.push((peer, kept, client));
            }
        }
    }
    house.app.until_open(12).await;
    let all_there = Instant::now();

    for told in house.app.until_told(6).await {
        assert_eq!(
            told.close,
            Some((1001, "read timeout".to_owned())),
            "{told:?}"
        );
        assert_eq!(told.messages, []);
        let lived = told.lived;
        assert!((TIMEOUT..TIMEOUT + SLACK).contains(&lived), "{lived:?}");
    }
    house.app.until_open(6).await;
    sleep_until(all_there + Duration::from_secs(60)).await;
    house.app.until_open(6).await;
    house.app.say("still here");

    for (peer, kept, client) in clients {
        let mut saw = client.join().await;
        let pings = saw
            .iter()
            .filter(|event| matches!(event, Event::Ping { .. }))
            .count();
        // Python's library keeps its pings to itself.
        if let (Peer::Node, true) = (peer, kept) {
            assert!((15..=26).contains(&pings), "{pings}");
        } else {
            assert_eq!(pings, 0);
        }
        saw.retain(|event| !matches!(event, Event::Ping { .. }));
        assert_eq!(saw, expected(kept), "{peer:?}");
    }
    for behind in Behind::BOTH {
        for kept in [true, false] {
            let saw = format!("saw[{}]", json!(url(kept, behind)));
            browser.until(&format!("{saw}.close")).await;
            let (heard, code, reason) = match kept {
                true => (json!(["still here"]), 1000, "bye"),
                false => (json!([]), 1001, "read timeout"),
            };
            let close = json!({ "code": code, "reason": reason, "wasClean": true });
            let expected = json!({ "heard": heard, "error": false, "close": close });
            assert_eq!(browser.run(&format!("return {saw}")).await, expected);
        }
    }
    browser.close().await;
    gateway.join().await;

    let told = house.join().await;
    assert_eq!(told.len(), 12);
    let (cut, kept) = told.split_at(6);
    assert!(
        kept.iter()
            .all(|told| told.close == Some((1000, "bye".to_owned()))),
        "{kept:?}"
    );
    // Not one pong.
    assert!(kept.iter().all(|told| told.messages.is_empty()), "{kept:?}");
    for told in [cut, kept] {
        check_protocols(told);
    }
    let closed = trace.until("tunnel closed", 6).await;
    let of = |field: &str, value: &str| closed.iter().filter(|c| c.field(field) == value).count();
    assert_eq!(of("cause", "read timeout"), 3);
    assert_eq!(of("protocol", "HTTP/2"), 2);
}

/// Chromium uses the connection of the page, the others one of HTTP/1.1; so does the proxy.
fn check_protocols(told: &[Told]) {
    let h2 = told.iter().filter(|told| told.version == Version::HTTP_2);
    let paths: Vec<_> = h2.map(|told| told.path.as_str()).collect();
    assert_eq!(paths.len(), 1, "{told:?}");
    assert!(paths[0].ends_with(Behind::Axum.path()), "{paths:?}");
}

fn app(house: &House) -> Router {
    let quiet = house.router().layer(ReadTimeoutLayer::new(TIMEOUT));
    let kept = house.router();
    let kept = kept.layer(KeepaliveLayer::every(Duration::from_secs(3)));
    Router::new()
        .route("/", get(async || "a page"))
        .nest("/kept", kept.layer(ReadTimeoutLayer::new(TIMEOUT)))
        .nest("/quiet", quiet)
}

fn url(kept: bool, behind: Behind) -> String {
    let house = if kept { "/kept" } else { "/quiet" };
    format!("{house}{}", behind.path())
}

fn expected(kept: bool) -> Vec<Event> {
    let close = |code, reason: &str| Event::Close {
        code,
        reason: reason.to_owned(),
        clean: true,
    };
    let heard = Event::Text {
        data: "still here".to_owned(),
    };
    match kept {
        true => vec![heard, close(1000, "bye")],
        false => vec![close(1001, "read timeout")],
    }
}

/// Opens its WebSockets and waits until all are there.
const PAGE: &str = "
    globalThis.saw = {};
    await Promise.all(URLS.map(url => new Promise(opened => {
        const socket = new WebSocket(`wss://${location.host}${url}`);
        const here = saw[url] = { heard: [], error: false };
        socket.onopen = opened;
        socket.onerror = () => here.error = true;
        socket.onmessage = ({ data }) => { here.heard.push(data); socket.close(1000, 'bye') };
        socket.onclose = ({ code, reason, wasClean }) => here.close = { code, reason, wasClean };
    })));
";

const TIMEOUT: Duration = Duration::from_secs(10);

const SLACK: Duration = Duration::from_secs(5);

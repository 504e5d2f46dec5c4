//! Which pages may open a WebSocket of axum's own, and what browsers and others are told.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use wsgate::layer::{OriginLayer, OriginPolicy};
use wsgate_tests::browser::Browser;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::site::Site;
use wsgate_tests::stage::Http;
use wsgate_tests::trace;

use super::{House, Visitor};

#[tokio::test]
async fn those_of_the_same_origin_or_on_a_list() {
    let welcome = ["https://localhost:PORT"];
    let others = [
        "https://localhost",
        "http://localhost:PORT",
        "https://evil.example",
        "null",
    ];
    check(OriginLayer::same_origin(), &welcome, &others).await;

    let listed = OriginLayer::allow(["https://app.example", "*.app.example"]).unwrap();
    let welcome = ["https://app.example", "https://a.app.example"];
    check(
        listed,
        &welcome,
        &["https://localhost:PORT", "https://evil.example"],
    )
    .await;

    let all = OriginPolicy::any();
    check(all.into(), &["https://evil.example", "null"], &[]).await;
}

/// `PORT` stands for the gateway's.
async fn check(layer: OriginLayer, welcome: &[&str], turned_away: &[&str]) {
    let trace = trace::init();
    let house = House::start().await;
    let page = get(async || "a page");
    let app = Router::new()
        .route("/axum", house.app.handler())
        .route("/", page);
    let gateway = Gateway::serving(app.layer(layer)).await;
    let from = |page: &str| {
        let origin = page.replace("PORT", &gateway.addr().port().to_string());
        Handshake::of("/axum").field("Origin", &origin)
    };
    for http in Http::BOTH {
        let mut visitor = Visitor::new(gateway.target(), http).await;
        for page in welcome {
            let opened = visitor.open(from(page)).await;
            let opened = opened.unwrap_or_else(|refused| panic!("{page}: {refused:?}"));
            opened.tunnel.close(1000, "").await;
        }
        // Who is no browser has none.
        visitor.enter("/axum").await.close(1000, "").await;
        for page in turned_away {
            let refused = visitor.open(from(page)).await.unwrap_err();
            assert_eq!(refused.response.status, 403, "{page}");
            let sentence = String::from_utf8(refused.body.to_vec()).unwrap();
            assert!(
                sentence.contains("may not open a WebSocket at localhost"),
                "{sentence}"
            );
            let logged = trace.find(sentence.trim_end());
            assert_eq!(logged.last().unwrap().field("client"), "127.0.0.1");
        }
        visitor.leave().await;
    }
    // A page may be looked at from anywhere.
    let get = gateway.target().get("/").await;
    assert_eq!(get.body, "a page");
    gateway.join().await;
    let told = house.join().await;
    assert_eq!(told.len(), 2 * (welcome.len() + 1));
}

/// The attack itself, with the browser that would have to carry it out.
#[tokio::test]
async fn chromium_is_let_in_from_the_page_and_not_from_elsewhere() {
    let _trace = trace::init();
    let house = House::start().await;
    let page = get(async || "a page");
    let app = Router::new()
        .route("/axum", house.app.handler())
        .route("/", page);
    let gateway = Gateway::serving(app.layer(OriginLayer::same_origin())).await;
    let target = gateway.target();
    let page = get(async || "a page to lure visitors to");
    let evil = Site::start(Router::new().route("/", page), None).await;
    let browser = Browser::start(&gateway.ca().pem()).await;

    browser
        .open(&format!("https://{}/", target.authority()))
        .await;
    assert_eq!(opens(&browser, &target).await, json!("open"));
    browser.open(&format!("http://{}/", evil.addr())).await;
    assert_eq!(opens(&browser, &target).await, json!(1006));

    browser.close().await;
    evil.join().await;
    gateway.join().await;
    house.join().await;
}

async fn opens(browser: &Browser, target: &Target) -> Value {
    let script = format!(
        "return await new Promise(resolve => {{\
             const socket = new WebSocket('{}');\
             socket.onopen = () => {{ resolve('open'); socket.close() }};\
             socket.onclose = ({{ code }}) => resolve(code);\
         }})",
        target.url("/axum")
    );
    browser.run(&script).await
}

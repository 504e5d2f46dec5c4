use std::{convert::Infallible, net::SocketAddr};

use axum::extract::ConnectInfo;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, uri::Scheme};
use hyper::ext::Protocol;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::handshake::{AnswerError, accept_key};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn get(fields: &[(&'static str, &str)]) -> Request<()> {
    let mut req = Request::get("/websocket?room=1")
        .extension(Scheme::HTTPS)
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))))
        .body(())
        .unwrap();
    for (name, value) in fields {
        req.headers_mut().append(*name, value.parse().unwrap());
    }
    req
}

fn upgrade(more: &[(&'static str, &str)]) -> Request<()> {
    let mut fields = vec![
        ("host", "example.com"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    fields.extend(more);
    get(&fields)
}

fn extended_connect() -> Request<()> {
    let mut req = get(&[
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ]);
    *req.method_mut() = Method::CONNECT;
    *req.version_mut() = Version::HTTP_2;
    *req.uri_mut() = "https://example.com/websocket?room=1".parse().unwrap();
    req.extensions_mut()
        .insert(Protocol::from_static("websocket"));
    req
}

/// What the layer sends on, and what it makes of the answer to it.
async fn forward(
    layer: &UpgradeHeadersLayer,
    req: Request<()>,
    answer: impl FnOnce(&Request<()>) -> Response<String> + Clone,
) -> (Request<()>, Response<String>) {
    let (tx, rx) = std::sync::mpsc::channel();
    let client = service_fn(move |req: Request<()>| {
        let res = (answer.clone())(&req);
        tx.send(req).unwrap();
        async { Ok::<_, Infallible>(res) }
    });
    let res = layer.layer(client).oneshot(req).await.unwrap();
    (rx.recv().unwrap(), res)
}

async fn sent_on(layer: &UpgradeHeadersLayer, req: Request<()>) -> HeaderMap {
    let ok = |_: &Request<()>| Response::new(String::new());
    forward(layer, req, ok).await.0.headers().clone()
}

#[track_caller]
fn fields(headers: &HeaderMap, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let lines: Vec<_> = headers.get_all(*name).iter().collect();
        assert_eq!(lines, [value], "{name}");
    }
}

#[track_caller]
fn none(headers: &HeaderMap, names: &[&str]) {
    for name in names {
        assert!(!headers.contains_key(*name), "{name}: {:?}", headers[*name]);
    }
}

#[tokio::test]
async fn a_handshake_keeps_upgrade_and_its_own_fields() {
    let req = upgrade(&[
        ("connection", "keep-alive, x-once"),
        ("x-once", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("proxy-connection", "keep-alive"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("cookie", "session=1"),
        ("x-unknown", "kept"),
    ]);
    let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
    fields(
        &sent,
        &[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("host", "example.com"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("cookie", "session=1"),
            ("x-unknown", "kept"),
        ],
    );
    none(&sent, &["x-once", "keep-alive", "te", "proxy-connection"]);
}

#[tokio::test]
async fn connection_cannot_name_away_the_handshake() {
    let req = upgrade(&[(
        "connection",
        "host, sec-websocket-key, x-forwarded-for, x-real-ip",
    )]);
    let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
    fields(
        &sent,
        &[
            ("host", "example.com"),
            ("sec-websocket-key", KEY),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-real-ip", "192.0.2.1"),
        ],
    );
}

#[tokio::test]
async fn another_upgrade_is_never_forwarded() {
    for (method, upgrade) in [
        (Method::GET, "h2c"),
        (Method::POST, "websocket"),
        (Method::GET, "foo/2"),
    ] {
        let mut req = get(&[
            ("host", "example.com"),
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", upgrade),
            ("http2-settings", "AAMAAABk"),
        ]);
        *req.method_mut() = method;
        let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
        none(&sent, &["connection", "upgrade", "http2-settings"]);
    }
    // A list is cut down to the one that we speak.
    let mut list = upgrade(&[]);
    list.headers_mut()
        .insert("upgrade", "h2c, websocket".parse().unwrap());
    let sent = sent_on(&UpgradeHeadersLayer::new(), list).await;
    fields(&sent, &[("upgrade", "websocket")]);
}

#[tokio::test]
async fn the_host_is_kept_or_replaced() {
    let replace = UpgradeHeadersLayer::new().host("upstream.internal".parse().unwrap());
    let sent = sent_on(&replace, upgrade(&[])).await;
    fields(
        &sent,
        &[
            ("host", "upstream.internal"),
            ("x-forwarded-host", "example.com"),
        ],
    );

    let mut absolute = upgrade(&[]);
    *absolute.uri_mut() = "http://user@other.example:81/websocket".parse().unwrap();
    let sent = sent_on(&UpgradeHeadersLayer::new(), absolute).await;
    fields(
        &sent,
        &[("host", "other.example:81"), ("x-forwarded-port", "81")],
    );
}

#[tokio::test]
async fn the_client_is_told_and_forgery_removed() {
    let req = upgrade(&[
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "ftp"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/admin"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
    ]);
    let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
    fields(
        &sent,
        &[
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.com"),
            ("x-forwarded-port", "443"),
            ("x-real-ip", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1;host=example.com;proto=https"),
        ],
    );
    none(&sent, &["x-forwarded-prefix"]);
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_added_to() {
    let trusting =
        UpgradeHeadersLayer::new().trusted_proxies(TrustedProxies::new(["192.0.2.0/24"]).unwrap());
    let req = upgrade(&[
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "192.0.2.77"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/app"),
        ("forwarded", "for=203.0.113.9;proto=http"),
    ]);
    let sent = sent_on(&trusting, req).await;
    fields(
        &sent,
        &[
            ("x-forwarded-for", "203.0.113.9, 192.0.2.77, 192.0.2.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "example.com"),
            ("x-forwarded-prefix", "/app"),
            ("x-real-ip", "203.0.113.9"),
            (
                "forwarded",
                "for=203.0.113.9;proto=http, for=192.0.2.1;host=example.com;proto=https",
            ),
        ],
    );
}

#[tokio::test]
async fn forwarded_agrees_with_a_chain_told_only_in_x_forwarded_for() {
    let trusting =
        UpgradeHeadersLayer::new().trusted_proxies(TrustedProxies::new(["192.0.2.1"]).unwrap());
    let req = upgrade(&[("x-forwarded-for", "2001:db8::9, _hidden")]);
    let sent = sent_on(&trusting, req).await;
    fields(
        &sent,
        &[(
            "forwarded",
            "for=\"[2001:db8::9]\", for=_hidden, for=192.0.2.1;host=example.com;proto=https",
        )],
    );
}

#[tokio::test]
async fn odd_peers_and_hosts_are_quoted() {
    let mut req = upgrade(&[]);
    req.headers_mut()
        .insert("host", "[2001:db8::1]:8443".parse().unwrap());
    let peer: SocketAddr = "[2001:db8::2]:4711".parse().unwrap();
    req.extensions_mut().insert(ConnectInfo(peer));
    let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
    fields(
        &sent,
        &[
            ("x-forwarded-for", "2001:db8::2"),
            ("x-forwarded-port", "8443"),
            (
                "forwarded",
                "for=\"[2001:db8::2]\";host=\"[2001:db8::1]:8443\";proto=https",
            ),
        ],
    );
}

#[tokio::test]
async fn without_a_peer_nothing_is_made_up_and_forgery_still_removed() {
    let mut req = upgrade(&[("x-forwarded-for", "6.6.6.6")]);
    req.extensions_mut().remove::<ConnectInfo<SocketAddr>>();
    let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
    none(&sent, &["x-forwarded-for", "x-real-ip"]);
    fields(
        &sent,
        &[("forwarded", "for=unknown;host=example.com;proto=https")],
    );
}

/// A 101 such as a good upstream sends.
fn switching(req: &Request<()>) -> Response<String> {
    Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header(
            "sec-websocket-accept",
            accept_key(req.headers()["sec-websocket-key"].as_bytes()),
        )
        .header("keep-alive", "timeout=5")
        .header("x-upstream", "1")
        .body(String::new())
        .unwrap()
}

#[tokio::test]
async fn extended_connect_becomes_an_upgrade_and_its_101_becomes_200() {
    let layer = UpgradeHeadersLayer::new();
    let (sent, res) = forward(&layer, extended_connect(), switching).await;
    assert_eq!(
        (sent.method(), sent.version()),
        (&Method::GET, Version::HTTP_11)
    );
    assert!(sent.extensions().get::<Protocol>().is_none());
    assert_eq!(sent.uri().path_and_query().unwrap(), "/websocket?room=1");
    fields(
        sent.headers(),
        &[
            ("host", "example.com"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat"),
        ],
    );
    assert_eq!(res.status(), 200);
    fields(res.headers(), &[("x-upstream", "1")]);
    none(
        res.headers(),
        &[
            "connection",
            "upgrade",
            "sec-websocket-accept",
            "keep-alive",
        ],
    );
}

#[tokio::test]
async fn a_good_101_passes_to_an_http1_client() {
    let (_, res) = forward(&UpgradeHeadersLayer::new(), upgrade(&[]), switching).await;
    assert_eq!(res.status(), 101);
    fields(
        res.headers(),
        &[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("x-upstream", "1"),
        ],
    );
    none(res.headers(), &["keep-alive"]);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_a_502_that_says_why() {
    async fn check(
        req: Request<()>,
        answer: impl FnOnce(&Request<()>) -> Response<String> + Clone,
        expected: AnswerError,
    ) {
        let (_, res) = forward(&UpgradeHeadersLayer::new(), req, answer).await;
        assert_eq!(res.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(
            res.body(),
            &format!("the upstream failed the handshake: {expected}\n")
        );
        assert_eq!(res.extensions().get::<AnswerError>(), Some(&expected));
    }
    let wrong_accept = |req: &Request<()>| {
        let mut res = switching(req);
        res.headers_mut()
            .insert("sec-websocket-accept", "wrong".parse().unwrap());
        res
    };
    check(upgrade(&[]), wrong_accept, AnswerError::Accept).await;
    check(extended_connect(), wrong_accept, AnswerError::Accept).await;
    // To an HTTP/2 client a 200 would mean that the WebSocket is open.
    let page = |_: &Request<()>| Response::new("<html>".to_owned());
    check(extended_connect(), page, AnswerError::Status(200)).await;
    let unasked = |_: &Request<()>| {
        Response::builder()
            .status(101)
            .header("upgrade", "websocket")
            .body(String::new())
            .unwrap()
    };
    check(
        get(&[("host", "example.com")]),
        unasked,
        AnswerError::Unasked,
    )
    .await;
}

#[tokio::test]
async fn any_other_answer_passes_whole() {
    let unauthorized = |_: &Request<()>| {
        Response::builder()
            .status(401)
            .header("www-authenticate", "Basic realm=\"a\"")
            .header("connection", "close, x-once")
            .header("x-once", "1")
            .body("who are you?".to_owned())
            .unwrap()
    };
    for req in [upgrade(&[]), extended_connect()] {
        let (_, res) = forward(&UpgradeHeadersLayer::new(), req, unauthorized).await;
        assert_eq!(
            (res.status().as_u16(), &**res.body()),
            (401, "who are you?")
        );
        fields(res.headers(), &[("www-authenticate", "Basic realm=\"a\"")]);
        none(res.headers(), &["connection", "x-once"]);
    }
    let page = |_: &Request<()>| Response::new("<html>".to_owned());
    let (_, res) = forward(&UpgradeHeadersLayer::new(), upgrade(&[]), page).await;
    assert_eq!((res.status().as_u16(), &**res.body()), (200, "<html>"));
}

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::ext::Protocol;

use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn upgrade() -> Request<()> {
    Request::get("/websocket")
        .header("host", "example.com:8443")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .body(())
        .unwrap()
}

fn extended_connect() -> Request<()> {
    Request::connect("https://example.com/websocket")
        .version(Version::HTTP_2)
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap()
}

#[track_caller]
fn refused(mut req: Request<()>, change: impl FnOnce(&mut Request<()>), expected: Refusal) {
    assert!(check(&req).is_ok(), "the request was wrong from the start");
    change(&mut req);
    assert_eq!(check(&req), Err(expected));
}

#[test]
fn a_handshake_passes() {
    assert_eq!(check(&upgrade()), Ok(Kind::Upgrade));
    assert_eq!(check(&extended_connect()), Ok(Kind::ExtendedConnect));
}

#[test]
fn tokens_are_found_in_any_case_and_place() {
    let mut req = upgrade();
    let headers = req.headers_mut();
    headers.insert("connection", "close".parse().unwrap());
    headers.append("connection", "x, UPGRADE ,y".parse().unwrap());
    headers.insert("upgrade", "h2c, WebSocket".parse().unwrap());
    assert_eq!(check(&req), Ok(Kind::Upgrade));
}

#[test]
fn an_empty_content_length_is_no_body() {
    let mut req = upgrade();
    req.headers_mut().insert("content-length", 0.into());
    assert_eq!(check(&req), Ok(Kind::Upgrade));
}

#[test]
fn upgrade_says_what_is_wrong() {
    fn set(name: &'static str, value: &'static str) -> impl FnOnce(&mut Request<()>) {
        move |r| drop(r.headers_mut().insert(name, value.parse().unwrap()))
    }
    fn add(name: &'static str, value: &'static str) -> impl FnOnce(&mut Request<()>) {
        move |r| assert!(r.headers_mut().append(name, value.parse().unwrap()))
    }
    fn cut(name: &'static str) -> impl FnOnce(&mut Request<()>) {
        move |r| drop(r.headers_mut().remove(name))
    }

    refused(
        upgrade(),
        |r| *r.version_mut() = Version::HTTP_10,
        Refusal::HttpVersion,
    );
    refused(
        upgrade(),
        |r| *r.method_mut() = Method::POST,
        Refusal::NotGet,
    );
    refused(upgrade(), cut("upgrade"), Refusal::NoUpgrade);
    refused(upgrade(), set("upgrade", "h2c"), Refusal::NoUpgrade);
    refused(upgrade(), cut("connection"), Refusal::NoConnectionUpgrade);
    refused(
        upgrade(),
        set("connection", "keep-alive"),
        Refusal::NoConnectionUpgrade,
    );
    refused(upgrade(), cut("sec-websocket-version"), Refusal::Version);
    refused(
        upgrade(),
        set("sec-websocket-version", "8"),
        Refusal::Version,
    );
    refused(
        upgrade(),
        add("sec-websocket-version", "8"),
        Refusal::Version,
    );
    refused(upgrade(), cut("sec-websocket-key"), Refusal::Key);
    refused(
        upgrade(),
        set("sec-websocket-key", "c2hvcnQ="),
        Refusal::Key,
    );
    refused(
        upgrade(),
        set("sec-websocket-key", "no base64 at all!!!!!!!!"),
        Refusal::Key,
    );
    refused(upgrade(), add("sec-websocket-key", KEY), Refusal::Key);
    refused(upgrade(), set("content-length", "5"), Refusal::Body);
    refused(
        upgrade(),
        set("transfer-encoding", "chunked"),
        Refusal::Body,
    );
}

#[test]
fn extended_connect_says_what_is_wrong() {
    refused(
        extended_connect(),
        |r| *r.method_mut() = Method::GET,
        Refusal::NotConnect,
    );
    refused(
        extended_connect(),
        |r| drop(r.extensions_mut().remove::<Protocol>()),
        Refusal::Protocol,
    );
    refused(
        extended_connect(),
        |r| {
            drop(
                r.extensions_mut()
                    .insert(Protocol::from_static("connect-udp")),
            )
        },
        Refusal::Protocol,
    );
    refused(
        extended_connect(),
        |r| drop(r.headers_mut().remove("sec-websocket-version")),
        Refusal::Version,
    );
}

#[test]
fn a_handshake_asks_for_one_host() {
    #[track_caller]
    fn check_host(uri: &str, hosts: &[&str], expected: bool) {
        let mut req = upgrade();
        *req.uri_mut() = uri.parse().unwrap();
        req.headers_mut().remove("host");
        for host in hosts {
            req.headers_mut().append("host", host.parse().unwrap());
        }
        assert_eq!(check(&req).is_ok(), expected, "{uri} {hosts:?}");
        if !expected {
            assert_eq!(check(&req), Err(Refusal::Host));
        }
    }
    check_host("/", &["example.com"], true);
    check_host("/", &["[2001:db8::1]:8443"], true);
    check_host("https://example.com/", &[], true);
    check_host("https://example.com/", &["example.com"], true);
    check_host("/", &[], false);
    check_host("/", &[""], false);
    check_host("/", &[":8443"], false);
    check_host("/", &["example.com", "example.com"], false);
    check_host("https://Example.com/", &["example.COM:443"], true);
    check_host("http://example.com:80/", &["example.com"], true);
    check_host("https://example.com:8443/", &["example.com:8443"], true);
    check_host("https://example.com:8443/", &["example.com"], false);
    check_host("https://example.com/", &["evil.example"], false);
    check_host("https://example.com/", &["a.example", "b.example"], false);
    check_host("/", &["user@example.com"], false);
    check_host("https://user@example.com/", &[], false);
    check_host("/", &["example.com/path"], false);
    check_host("/", &["a.example, b.example"], false);
    check_host("/", &["a.example,b.example"], false);
    check_host("/", &["a.example;host=b.example"], false);
    check_host("/", &["chat_1.example.com:8443"], true);
}

#[test]
fn a_handshake_asks_for_a_path() {
    #[track_caller]
    fn check_target(uri: &str, expected: Result<Kind, Refusal>) {
        let mut req = upgrade();
        *req.uri_mut() = uri.parse().unwrap();
        if req.uri().authority().is_some() {
            req.headers_mut().remove("host");
        }
        assert_eq!(check(&req), expected, "{uri}");
    }
    check_target("/", Ok(Kind::Upgrade));
    check_target("//a?b", Ok(Kind::Upgrade));
    check_target("http://example.com", Ok(Kind::Upgrade));
    check_target("https://example.com/a", Ok(Kind::Upgrade));
    check_target("*", Err(Refusal::Target));
    check_target("example.com:80", Err(Refusal::Target));
    check_target("ftp://example.com/a", Err(Refusal::Target));
    check_target("wss://example.com/a", Err(Refusal::Target));
}

#[test]
fn a_refusal_carries_the_fields_of_its_status() {
    #[track_caller]
    fn check(refusal: Refusal, version: Version, status: u16, field: Option<(HeaderName, &str)>) {
        let res: Response<String> = refusal.to_response(version);
        assert_eq!(res.status(), status);
        assert_eq!(res.headers()["sec-websocket-version"], "13");
        assert_eq!(res.body(), &format!("{refusal}\n"));
        match field {
            Some((name, value)) => assert_eq!(res.headers()[name], value),
            None => assert!(!res.headers().contains_key("upgrade")),
        }
    }
    check(
        Refusal::NoUpgrade,
        Version::HTTP_11,
        426,
        Some((header::UPGRADE, "websocket")),
    );
    check(
        Refusal::Version,
        Version::HTTP_11,
        426,
        Some((header::CONNECTION, "Upgrade")),
    );
    check(Refusal::Version, Version::HTTP_2, 426, None);
    check(
        Refusal::NotGet,
        Version::HTTP_11,
        405,
        Some((header::ALLOW, "GET")),
    );
    check(
        Refusal::NotConnect,
        Version::HTTP_2,
        405,
        Some((header::ALLOW, "CONNECT")),
    );
    check(Refusal::Key, Version::HTTP_11, 400, None);
}

#[test]
fn the_status_gates_by_kind() {
    assert!(Kind::Upgrade.is_accepted(StatusCode::SWITCHING_PROTOCOLS));
    assert!(!Kind::Upgrade.is_accepted(StatusCode::OK));
    assert!(Kind::ExtendedConnect.is_accepted(StatusCode::OK));
    assert!(!Kind::ExtendedConnect.is_accepted(StatusCode::SWITCHING_PROTOCOLS));
}

/// RFC 6455 1.3 has the one worked example.
#[test]
fn the_accept_of_the_rfc() {
    assert_eq!(accept_key(KEY.as_bytes()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn keys_are_fresh_and_well_formed() {
    let (a, b) = (new_key(), new_key());
    assert!(key::is_key(&a) && key::is_key(&b));
    assert_ne!(a, b);
}

fn answer(change: impl FnOnce(&mut HeaderMap)) -> Result<(), AnswerError> {
    let mut offer = upgrade();
    let offered = offer.headers_mut();
    offered.insert("sec-websocket-protocol", "chat, superchat".parse().unwrap());
    offered.append("sec-websocket-protocol", "third".parse().unwrap());
    let deflate = "permessage-deflate; client_max_window_bits, x-other";
    offered.insert("sec-websocket-extensions", deflate.parse().unwrap());

    let mut res = Response::new(());
    let headers = res.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", "WebSocket".parse().unwrap());
    headers.insert("sec-websocket-accept", accept_key(KEY.as_bytes()));
    change(headers);
    Offer::of(offer.headers()).check(&res)
}

#[test]
fn an_answer_within_the_offer_passes() {
    assert_eq!(answer(|_| {}), Ok(()));
    let third =
        |h: &mut HeaderMap| drop(h.insert("sec-websocket-protocol", "third".parse().unwrap()));
    assert_eq!(answer(third), Ok(()));
    let deflate = "Permessage-Deflate; server_max_window_bits=10";
    let deflate =
        |h: &mut HeaderMap| drop(h.insert("sec-websocket-extensions", deflate.parse().unwrap()));
    assert_eq!(answer(deflate), Ok(()));
}

#[test]
fn an_answer_outside_the_offer_is_told_apart() {
    #[track_caller]
    fn check(name: &'static str, value: &str, expected: AnswerError) {
        let change = |h: &mut HeaderMap| drop(h.insert(name, value.parse().unwrap()));
        assert_eq!(answer(change), Err(expected));
    }
    check("upgrade", "h2c", AnswerError::Upgrade);
    check("connection", "close", AnswerError::Connection);
    check(
        "sec-websocket-accept",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=",
        AnswerError::Accept,
    );
    check(
        "sec-websocket-protocol",
        "Chat",
        AnswerError::Protocol("***".into()),
    );
    check(
        "sec-websocket-protocol",
        "chat, superchat",
        AnswerError::Protocol("***, ***".into()),
    );
    check(
        "sec-websocket-protocol",
        "news, super",
        AnswerError::Protocol("news, ***".into()),
    );
    check(
        "sec-websocket-extensions",
        "x-other, x-new; a=1",
        AnswerError::Extension("x-new".into()),
    );
    assert_eq!(
        answer(|h| drop(h.remove("sec-websocket-accept"))),
        Err(AnswerError::Accept)
    );
    // Each of the two was offered.
    let two = |h: &mut HeaderMap| {
        for protocol in ["chat", "third"] {
            h.append("sec-websocket-protocol", protocol.parse().unwrap());
        }
    };
    assert_eq!(answer(two), Err(AnswerError::Protocol("***".into())));
    let latin = HeaderValue::from_bytes(b"x-other, \xe9").unwrap();
    assert_eq!(
        answer(|h| drop(h.insert("sec-websocket-extensions", latin))),
        Err(AnswerError::Extension("x-other, \\xe9".into()))
    );
}

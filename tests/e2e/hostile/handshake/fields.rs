//! Fields that are doubled, folded, broken, or named away.

use wsgate::layer::client::TrustedProxies;
use wsgate_tests::{gateway, trace};

use super::{Fate, KEY, Scene, with};

#[tokio::test]
async fn a_broken_field_never_reaches_the_upstream() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    for fields in [
        // Folded (RFC 9112, 5.2).
        "Sec-WebSocket-Protocol: chat,\r\n superchat\r\n",
        "Sec-WebSocket-Extensions: x\r\n\ty\r\n",
        "X-Name: a\r\n b\r\n",
        // What ends a line for the one and not for the other.
        "X-Name: a\rX-Injected: 1\r\n",
        "X-Name: a\nX-Injected : 1\r\n",
        "X-Name: a\0b\r\n",
        "X-Name: a\x0bb\r\n",
        "X-Name: a\x7fb\r\n",
        "X-Name\r\n",
        "X-Name : a\r\n",
        "X Name: a\r\n",
        "X-Name\0: a\r\n",
        "X-N\u{e4}me: a\r\n",
        ": a\r\n",
        "\"X-Name\": a\r\n",
        "X-Name:a\r\r\n",
    ] {
        scene.check(with(fields), Fate::Refused(400)).await;
    }
    scene.join().await;
}

/// A bare LF ends a line for many, and is allowed to (RFC 9112, 2.2): what is sent on has none.
#[tokio::test]
async fn odd_bytes_are_sent_on_as_they_are_or_in_order() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    let seen = scene
        .check(with("X-A: 1\nX-B: 2\n"), Fate::Opened("/websocket"))
        .await;
    let fields = &seen.unwrap().request().fields.clone();
    assert_eq!(
        (fields.get("x-a"), fields.get("x-b")),
        (Some("1"), Some("2"))
    );

    let latin = [
        with("X-A: \0").replace('\0', "").trim_end().as_bytes(),
        b" \xe4\xff\r\n\r\n",
    ]
    .concat();
    let seen = scene
        .check(latin, Fate::Opened("/websocket"))
        .await
        .unwrap();
    let raw = &seen.request().raw;
    assert!(raw.windows(9).any(|w| w == b"x-a: \xe4\xff\r\n"), "{raw:?}");
    scene.join().await;
}

#[tokio::test]
async fn what_there_is_one_of_is_not_sent_twice() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    let other = "AAAAAAAAAAAAAAAAAAAAAA==";
    for (fields, status) in [
        (format!("Sec-WebSocket-Key: {KEY}\r\n"), 400),
        (format!("Sec-WebSocket-Key: {other}\r\n"), 400),
        (
            format!("sec-websocket-key: {other}\r\nConnection: sec-websocket-key\r\n"),
            400,
        ),
        ("Sec-WebSocket-Version: 13\r\n".to_owned(), 426),
        (
            "Sec-WebSocket-Version: 8\r\nConnection: sec-websocket-version\r\n".to_owned(),
            426,
        ),
    ] {
        scene.check(with(&fields), Fate::Refused(status)).await;
    }
    for key in [
        "",
        "short",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ==, a",
        &"A".repeat(9000),
    ] {
        scene
            .check(with("").replace(KEY, key), Fate::Refused(400))
            .await;
    }
    // Offers are lists, and come in as many lines as one likes (RFC 6455, 11.3.4).
    let offers = "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: b\r\n\
                  Sec-WebSocket-Extensions: x; y=1\r\nSec-WebSocket-Extensions: x\r\n";
    let seen = scene
        .check(with(offers), Fate::Opened("/websocket"))
        .await
        .unwrap();
    let fields = &seen.request().fields;
    assert_eq!(fields.all("sec-websocket-protocol"), ["a, b", "b"]);
    assert_eq!(fields.all("sec-websocket-extensions"), ["x; y=1", "x"]);
    scene.join().await;
}

/// `Connection` names what ends at the gateway (RFC 9110, 7.6.1). Not all that a client writes there
/// does: what upstreams decide by stays.
#[tokio::test]
async fn a_field_that_the_upstream_decides_by_cannot_be_named_away() {
    let _trace = trace::init();
    let scene = Scene::mounted(None, |proxy| {
        let trusted = TrustedProxies::new(["127.0.0.1"]).unwrap();
        gateway::app(proxy.trusted_proxies(trusted))
    })
    .await;
    for (name, value) in [
        ("Origin", "https://example.com"),
        ("Cookie", "session=1"),
        ("Authorization", "Bearer 1"),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "x"),
        ("X-Forwarded-Host", "example.com"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-User", "alice"),
        ("X-Real-IP", "203.0.113.7"),
    ] {
        let fields = format!("{name}: {value}\r\nConnection: {name}\r\n");
        let seen = scene.check(with(&fields), Fate::Opened("/websocket")).await;
        assert_eq!(seen.unwrap().request().fields.all(name), [value]);
    }
    // These are added to, and all that was there is kept.
    let fields = "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.8\r\n\
                  Connection: X-Forwarded-For, Forwarded, Host, Sec-WebSocket-Key, X-Hop\r\nX-Hop: 1\r\n";
    let seen = scene
        .check(with(fields), Fate::Opened("/websocket"))
        .await
        .unwrap();
    let fields = &seen.request().fields;
    assert_eq!(fields.all("x-forwarded-for"), ["203.0.113.7, 127.0.0.1"]);
    assert!(
        fields
            .get("forwarded")
            .unwrap()
            .starts_with("for=203.0.113.8, for=127.0.0.1;")
    );
    assert_eq!(fields.get("x-hop"), None);
    scene.join().await;
}

/// Whoever is not trusted is told by his address, however he spells what he makes up.
#[tokio::test]
async fn a_forged_story_does_not_arrive() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    for fields in [
        "X-Forwarded-For: 6.6.6.6\r\n",
        "x-forwarded-for: 6.6.6.6\r\nX-FORWARDED-FOR: 6.6.6.6, 6.6.6.6\r\n",
        "X-Forwarded-For: 6.6.6.6\r\nConnection: X-Forwarded-For\r\n",
        "Forwarded: for=6.6.6.6;by=6.6.6.6\r\n",
        "Forwarded: for=6.6.6.6;by=6.6.6.6\r\nForwarded: for=\"6.6.6.6\r\n",
        "X-Real-IP: 6.6.6.6\r\n",
        "X-Forwarded-Proto: 6.6.6.6\r\n",
        "X-Forwarded-Host: 6.6.6.6\r\nX-Forwarded-Port: 6.6.6.6\r\n",
        "X-Forwarded-Anything: 6.6.6.6\r\n",
        "X-Forwarded-: 6.6.6.6\r\n",
    ] {
        let seen = scene
            .check(with(fields), Fate::Opened("/websocket"))
            .await
            .unwrap();
        let head = seen.request();
        assert_eq!(head.fields.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(head.fields.all("x-real-ip"), ["127.0.0.1"]);
        assert_eq!(
            head.fields.all("forwarded"),
            ["for=127.0.0.1;host=example.com;proto=https"]
        );
        assert!(!String::from_utf8_lossy(&head.raw).contains("6.6.6.6"));
    }
    scene.join().await;
}

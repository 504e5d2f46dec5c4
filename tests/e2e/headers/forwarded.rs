//! What the upstream is told of the client and of the host it asked for.

use axum::http::HeaderValue;
use wsgate::layer::client::TrustedProxies;
use wsgate_tests::RequestHead;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::trace;

use super::Story;

/// A handshake that tells a story about its client.
fn telling() -> Handshake {
    Handshake::of("/websocket")
        .field("X-Forwarded-For", "203.0.113.1")
        .field("X-Forwarded-For", "192.0.2.7")
        .field("X-Forwarded-Proto", "http")
        .field("X-Forwarded-Host", "public.example")
        .field("X-Forwarded-Port", "80")
        .field("X-Forwarded-Server", "front")
        .field("X-Real-IP", "192.0.2.8")
        .field("Forwarded", "for=\"[2001:db8::1]\";proto=http")
}

#[track_caller]
fn check(head: &RequestHead, expected: &[(&str, &[&str])]) {
    for (name, values) in expected {
        assert_eq!(head.fields.all(name), *values, "{name} of {head:?}");
    }
}

#[tokio::test]
async fn a_stranger_is_told_by_the_address_he_comes_from() {
    let _trace = trace::init();
    let trusted = TrustedProxies::new(["127.0.0.1/32"]).unwrap();
    let story = Story::start(|proxy| proxy.trusted_proxies(trusted)).await;
    let target = story.target().coming_from([127, 0, 0, 2]);
    let authority = target.authority();
    let port = story.gateway.addr().port().to_string();
    for protocol in Protocol::BOTH {
        let head = story.forwarded(&target, protocol, telling()).await;
        let forwarded = format!("for=127.0.0.2;host=\"{authority}\";proto=https");
        check(
            &head,
            &[
                ("X-Forwarded-For", &["127.0.0.2"]),
                ("X-Forwarded-Proto", &["https"]),
                ("X-Forwarded-Host", &[&authority]),
                ("X-Forwarded-Port", &[&port]),
                ("X-Forwarded-Server", &[]),
                ("X-Real-IP", &["127.0.0.2"]),
                ("Forwarded", &[&forwarded]),
            ],
        );
    }
    story.join().await;
}

#[tokio::test]
async fn by_default_nobody_is_believed() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy).await;
    for protocol in Protocol::BOTH {
        let head = story.forwarded(&story.target(), protocol, telling()).await;
        check(
            &head,
            &[
                ("X-Forwarded-For", &["127.0.0.1"]),
                ("X-Forwarded-Proto", &["https"]),
                ("X-Forwarded-Server", &[]),
                ("X-Real-IP", &["127.0.0.1"]),
            ],
        );
        let raw = String::from_utf8_lossy(&head.raw).into_owned();
        for forged in ["203.0.113", "192.0.2", "public.example", "2001:db8"] {
            assert!(!raw.contains(forged), "{forged}: {raw}");
        }
    }
    story.join().await;
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_added_to() {
    let trace = trace::init();
    let trusted = TrustedProxies::new(["127.0.0.1/32"]).unwrap();
    let story = Story::start(|proxy| proxy.trusted_proxies(trusted)).await;
    let target = story.target();
    let authority = target.authority();
    for protocol in Protocol::BOTH {
        let head = story.forwarded(&target, protocol, telling()).await;
        let hop = format!("for=127.0.0.1;host=\"{authority}\";proto=https");
        let forwarded = format!("for=\"[2001:db8::1]\";proto=http, {hop}");
        check(
            &head,
            &[
                ("X-Forwarded-For", &["203.0.113.1, 192.0.2.7, 127.0.0.1"]),
                ("X-Forwarded-Proto", &["http"]),
                ("X-Forwarded-Host", &["public.example"]),
                ("X-Forwarded-Port", &["80"]),
                ("X-Forwarded-Server", &["front"]),
                ("X-Real-IP", &["192.0.2.8"]),
                ("Forwarded", &[&forwarded]),
                // The host that the proxy asked for is another matter.
                ("Host", &[&authority]),
            ],
        );

        let terse = Handshake::of("/websocket").field("X-Forwarded-For", "192.0.2.7");
        let head = story.forwarded(&target, protocol, terse).await;
        let forwarded = format!("for=192.0.2.7, {hop}");
        check(
            &head,
            &[
                ("X-Forwarded-For", &["192.0.2.7, 127.0.0.1"]),
                ("X-Forwarded-Proto", &["https"]),
                ("X-Real-IP", &["192.0.2.7"]),
                ("Forwarded", &[&forwarded]),
            ],
        );
    }
    story.join().await;
    // The log speaks of the same client.
    for closed in trace.find("tunnel closed") {
        assert_eq!(closed.field("client"), "192.0.2.7");
    }
    assert_eq!(trace.find("tunnel closed").len(), 4);
}

#[tokio::test]
async fn the_host_is_the_clients_to_the_letter() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy).await;
    let target = story.target().named("LocalHost");
    let authority = target.authority();
    for protocol in Protocol::BOTH {
        let handshake = Handshake::of("/websocket");
        let head = story.forwarded(&target, protocol, handshake).await;
        check(
            &head,
            &[("Host", &[&authority]), ("X-Forwarded-Host", &[&authority])],
        );
    }
    let handshake = Handshake::of("/websocket").field("Host", "Chat.Example.COM");
    let head = story.forwarded(&target, Protocol::Http1, handshake).await;
    check(
        &head,
        &[
            ("Host", &["Chat.Example.COM"]),
            ("X-Forwarded-Host", &["Chat.Example.COM"]),
            ("X-Forwarded-Port", &["443"]),
        ],
    );
    story.join().await;
}

#[tokio::test]
async fn a_host_of_ones_own_replaces_it() {
    let _trace = trace::init();
    let own = HeaderValue::from_static("backend.internal:81");
    let story = Story::start(|proxy| proxy.host(own)).await;
    let authority = story.target().authority();
    for protocol in Protocol::BOTH {
        let handshake = Handshake::of("/websocket");
        let head = story.forwarded(&story.target(), protocol, handshake).await;
        check(
            &head,
            &[
                ("Host", &["backend.internal:81"]),
                ("X-Forwarded-Host", &[&authority]),
            ],
        );
    }
    story.join().await;
}

#[tokio::test]
async fn or_the_endpoints() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy.endpoint_host()).await;
    let (authority, endpoint) = (story.target().authority(), story.upstream.addr());
    for protocol in Protocol::BOTH {
        let handshake = Handshake::of("/websocket");
        let head = story.forwarded(&story.target(), protocol, handshake).await;
        check(
            &head,
            &[
                ("Host", &[&endpoint.to_string()]),
                ("X-Forwarded-Host", &[&authority]),
            ],
        );
    }
    story.join().await;
}

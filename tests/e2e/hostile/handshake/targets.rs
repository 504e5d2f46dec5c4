//! What a client may ask for, and of which host.

use axum::Router;
use wsgate_tests::trace;

use super::{Fate, HOST, Scene, request};

/// Everything goes to the proxy, so that no route stands before it.
async fn start() -> Scene {
    Scene::mounted(None, |proxy| Router::new().fallback_service(proxy)).await
}

#[tokio::test]
async fn a_target_arrives_as_it_was_sent_or_not_at_all() {
    let _trace = trace::init();
    let scene = start().await;
    for (target, fate) in [
        ("/", Fate::Opened("/")),
        ("//evil.example/a", Fate::Opened("//evil.example/a")),
        (
            "/a%0d%0aX-Injected:%201",
            Fate::Opened("/a%0d%0aX-Injected:%201"),
        ),
        ("/a?b=%0d%0a&c=%00", Fate::Opened("/a?b=%0d%0a&c=%00")),
        (
            "/a?b=http://evil.example/?",
            Fate::Opened("/a?b=http://evil.example/?"),
        ),
        ("/a\\..\\b", Fate::Opened("/a\\..\\b")),
        ("/\u{e4}?\u{f6}", Fate::Opened("/\u{e4}?\u{f6}")),
        ("/%zz%", Fate::Opened("/%zz%")),
        // What stands behind a # is never sent (RFC 9110, 4.2.5).
        ("/a#b", Fate::Opened("/a")),
        ("/a?b#c?d", Fate::Opened("/a?b")),
        ("", Fate::Refused(400)),
        ("a", Fate::Refused(400)),
        ("*", Fate::Refused(400)),
        ("?a", Fate::Refused(400)),
        ("example.com:80", Fate::Refused(400)),
        ("/a b", Fate::Refused(400)),
        ("/a\tb", Fate::Refused(400)),
        ("/a\x0bb", Fate::Refused(400)),
        ("/a\0b", Fate::Refused(400)),
        ("/a\x7fb", Fate::Refused(400)),
        ("/a\rb", Fate::Refused(400)),
        ("/a HTTP/1.1 /b", Fate::Refused(400)),
    ] {
        scene
            .check(request(&format!("GET {target} HTTP/1.1"), HOST, ""), fate)
            .await;
    }
    // Bytes that are no UTF-8 are no URI, and two spaces no one.
    scene
        .check(
            b"GET /\xff HTTP/1.1\r\nHost: example.com\r\n\r\n",
            Fate::Refused(400),
        )
        .await;
    scene
        .check(request("GET  /a HTTP/1.1", HOST, ""), Fate::Refused(400))
        .await;
    scene
        .check(request("GET /a  HTTP/1.1", HOST, ""), Fate::Refused(400))
        .await;
    scene.join().await;
}

#[tokio::test]
async fn of_two_hosts_neither_is_believed() {
    let _trace = trace::init();
    let scene = start().await;
    for (target, host, told) in [
        ("/a", "Host: example.com\r\n", Some("example.com")),
        (
            "/a",
            "Host:\texample.com:8443 \r\n",
            Some("example.com:8443"),
        ),
        ("/a", "Host: [2001:db8::1]\r\n", Some("[2001:db8::1]")),
        // The target's own host is the one (RFC 9112, 3.2.2).
        (
            "http://example.com/a",
            "Host: example.com\r\n",
            Some("example.com"),
        ),
        (
            "https://example.com:443/a",
            "Host: EXAMPLE.com\r\n",
            Some("example.com:443"),
        ),
        ("http://example.com/a", "Host: evil.example\r\n", None),
        ("http://example.com:81/a", "Host: example.com:82\r\n", None),
        ("http://user@example.com/a", "Host: example.com\r\n", None),
        (
            "http://example.com@evil.example/a",
            "Host: example.com@evil.example\r\n",
            None,
        ),
        ("ftp://example.com/a", "Host: example.com\r\n", None),
        ("javascript://example.com/a", "Host: example.com\r\n", None),
        ("http:///a", "Host: example.com\r\n", None),
        ("/a", "", None),
        ("/a", "Host:\r\n", None),
        ("/a", "Host: :443\r\n", None),
        ("/a", "Host: example.com\r\nHost: example.com\r\n", None),
        ("/a", "Host: example.com\r\nhost: evil.example\r\n", None),
        (
            "/a",
            "Host: example.com\r\nConnection: host\r\nHost: evil.example\r\n",
            None,
        ),
        ("/a", "Host: example.com, evil.example\r\n", None),
        ("/a", "Host: user@example.com\r\n", None),
        ("/a", "Host: example.com evil.example\r\n", None),
        ("/a", "Host: example.com/evil\r\n", None),
        ("/a", "Host: example.com?evil\r\n", None),
        ("/a", "Host: example.com#evil\r\n", None),
        ("/a", "Host: http://example.com\r\n", None),
        ("/a", "Host: \u{e4}.example\r\n", None),
        ("/a", "Host: example.com\r\n evil.example\r\n", None),
        ("/a", "Host: example.com\0evil.example\r\n", None),
        ("/a", "Host : example.com\r\n", None),
        ("/a", " Host: example.com\r\n", None),
    ] {
        let request = request(&format!("GET {target} HTTP/1.1"), host, "");
        match told {
            None => drop(scene.check(request, Fate::Refused(400)).await),
            Some(told) => {
                let seen = scene.check(request, Fate::Opened("/a")).await.unwrap();
                let fields = &seen.request().fields;
                assert_eq!(fields.all("host"), [told]);
                assert_eq!(fields.all("x-forwarded-host"), [told]);
            }
        }
    }
    scene.join().await;
}

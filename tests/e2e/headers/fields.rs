//! Which fields reach the upstream.

use wsgate_tests::RequestHead;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::trace;

use super::Story;

/// Name and value of each field, sorted by name; repeated fields stay in their order.
fn sorted(head: &RequestHead) -> Vec<(String, String)> {
    let fields = head.fields.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let fields = fields.iter();
    fields
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn a_handshake_arrives_as_it_was_sent_with_the_client_told_and_nothing_else() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy).await;
    let target = story.target();
    let authority = target.authority();
    let port = story.gateway.addr().port().to_string();
    let handshake = Handshake::of("/websocket")
        .field("Origin", &format!("https://{authority}"))
        .field("User-Agent", "Mozilla/5.0 (tests)")
        .field("Authorization", "Bearer s3cret==")
        .field("Cookie", "session=\"a b\"; theme=dark")
        .field("X-Empty", "")
        .field("X-Name", "Zo\u{eb}")
        .field("X-Repeated", "two, three")
        .field("Sec-WebSocket-Protocol", "chat, superchat")
        .field("X-Repeated", "one")
        .field(
            "Sec-WebSocket-Extensions",
            "permessage-deflate; client_max_window_bits",
        )
        .field("Sec-WebSocket-Protocol", "other")
        .field("Sec-WebSocket-Extensions", "x-unknown; a=\"b\"")
        .field("Sec-WebSocket-Odd", "kept")
        .field("X-Repeated", "one");

    for protocol in Protocol::BOTH {
        let head = story.forwarded(&target, protocol, handshake.clone()).await;
        assert_eq!((&*head.method, &*head.version), ("GET", "HTTP/1.1"));
        // An HTTP/2 client has no key; that the echo took ours shows that it is a good one.
        let key = head.fields.get("sec-websocket-key").unwrap();
        assert_eq!(
            key == "dGhlIHNhbXBsZSBub25jZQ==",
            protocol == Protocol::Http1
        );
        let forwarded = format!("for=127.0.0.1;host=\"{authority}\";proto=https");
        let expected = owned(&[
            ("authorization", "Bearer s3cret=="),
            ("connection", "Upgrade"),
            ("cookie", "session=\"a b\"; theme=dark"),
            ("forwarded", &forwarded),
            ("host", &authority),
            ("origin", &format!("https://{authority}")),
            (
                "sec-websocket-extensions",
                "permessage-deflate; client_max_window_bits",
            ),
            ("sec-websocket-extensions", "x-unknown; a=\"b\""),
            ("sec-websocket-key", key),
            ("sec-websocket-odd", "kept"),
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-protocol", "other"),
            ("sec-websocket-version", "13"),
            ("upgrade", "websocket"),
            ("user-agent", "Mozilla/5.0 (tests)"),
            ("x-empty", ""),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", &authority),
            ("x-forwarded-port", &port),
            ("x-forwarded-proto", "https"),
            ("x-name", "Zo\u{eb}"),
            ("x-real-ip", "127.0.0.1"),
            ("x-repeated", "two, three"),
            ("x-repeated", "one"),
            ("x-repeated", "one"),
        ]);
        assert_eq!(sorted(&head), expected, "{protocol:?}");
    }
    story.join().await;
}

#[tokio::test]
async fn what_is_meant_for_one_connection_ends_at_the_gateway() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy).await;
    let target = story.target();
    let handshake = Handshake::of("/websocket")
        .without("Connection")
        .without("Upgrade")
        .field("Connection", "keep-alive, Upgrade, X-Hop")
        .field("Connection", "x-other-hop,, ")
        // These are named away in vain: without them there is no handshake.
        .field("Connection", "Host, Sec-WebSocket-Version, Connection")
        .field("Upgrade", "h2c, websocket")
        .field("HTTP2-Settings", "AAMAAABkAAQAAP__")
        .field("Keep-Alive", "timeout=5")
        .field("Proxy-Connection", "keep-alive")
        .field("TE", "trailers")
        .field("Trailer", "X-Late")
        .field("X-Hop", "1")
        .field("X-Other-Hop", "1")
        .field("X-Other-Hop", "2")
        .field("X-End-To-End", "stays");
    let head = story
        .forwarded(&target, Protocol::Http1, handshake.clone())
        .await;

    assert_eq!(head.fields.all("connection"), ["Upgrade"]);
    assert_eq!(head.fields.all("upgrade"), ["websocket"]);
    assert_eq!(head.fields.all("host"), [target.authority()]);
    assert_eq!(head.fields.all("sec-websocket-version"), ["13"]);
    assert_eq!(head.fields.all("x-end-to-end"), ["stays"]);
    let raw = String::from_utf8_lossy(&head.raw).to_lowercase();
    for gone in [
        "h2c",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "\nte:",
        "trailer",
        "x-hop",
        "x-other-hop",
    ] {
        assert!(!raw.contains(gone), "{gone}: {raw}");
    }

    // Of all these HTTP/2 allows only what its own clients would send (RFC 9113, 8.2.2).
    let handshake = Handshake::of("/websocket").field("TE", "trailers");
    let head = story.forwarded(&target, Protocol::Http2, handshake).await;
    assert_eq!(head.fields.get("te"), None);
    assert_eq!(head.fields.all("connection"), ["Upgrade"]);
    assert_eq!(head.fields.all("upgrade"), ["websocket"]);
    story.join().await;
}

#[tokio::test]
async fn an_upgrade_to_anything_else_never_reaches_the_upstream() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy).await;
    for other in ["h2c", "TLS/1.0", "websocket2", "h2c, HTTP/2.0"] {
        let handshake = Handshake::of("/websocket")
            .without("Upgrade")
            .without("Connection")
            .field("Connection", "Upgrade, HTTP2-Settings")
            .field("Upgrade", other)
            .field("HTTP2-Settings", "AAMAAABkAAQAAP__");
        let refused = story.target().refused(handshake).await;
        assert_eq!(refused.response.status, 426, "{other}");
        assert_eq!(refused.response.fields.get("upgrade"), Some("websocket"));
    }
    assert_eq!(story.upstream.seen().len(), 0);
    story.join().await;
}

/// HTTP/2 clients cut cookies up, browsers among them; HTTP/1.1 servers know one field only
/// (RFC 9113, 8.2.3; RFC 6265, 5.4).
#[tokio::test]
async fn cookies_that_http2_cut_up_arrive_in_one_field() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy).await;
    let handshake = Handshake::of("/websocket")
        .field("Cookie", "session=1")
        .field("X-Between", "1")
        .field("Cookie", "theme=dark")
        .field("Cookie", "lang=en");
    let head = story
        .forwarded(&story.target(), Protocol::Http2, handshake.clone())
        .await;
    assert_eq!(
        head.fields.all("cookie"),
        ["session=1; theme=dark; lang=en"]
    );
    // What an HTTP/1.1 client sends is its own doing.
    let head = story
        .forwarded(&story.target(), Protocol::Http1, handshake)
        .await;
    let cookies = ["session=1", "theme=dark", "lang=en"];
    assert_eq!(head.fields.all("cookie"), cookies);
    story.join().await;
}

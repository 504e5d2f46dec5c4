//! What the upstream is asked.

use std::collections::BTreeSet;

use wsgate::layer::client::TrustedProxies;
use wsgate_tests::client::Handshake;
use wsgate_tests::upstream::{Seen, script};
use wsgate_tests::{Fields, Frame, trace};

use super::{Both, Scene, classic_with, proxy_to};

#[tokio::test]
async fn the_upstream_is_asked_the_same() {
    let _trace = trace::init();
    let target = "/websocket/a%2Fb//c/../d?x=%20&y=/..";
    let mut handshake = Handshake::of(target).without("Connection");
    for (name, value) in SENT {
        handshake = handshake.field(name, value);
    }
    let both = Scene::new(script::echo())
        .play(async |target| target.tunnel(handshake.clone()).await.close(1000, "").await)
        .await;

    let (nginx, wsgate) = (both.nginx.seen().request(), both.wsgate.seen().request());
    for request in [nginx, wsgate] {
        assert_eq!(request.method, "GET");
        assert_eq!(request.target, target);
        assert_eq!(request.version, "HTTP/1.1");
    }

    let fields = |fields: &Fields| -> BTreeSet<String> {
        fields.iter().map(|(name, _)| name.to_lowercase()).collect()
    };
    let of_any_handshake = [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let sent: Vec<_> = of_any_handshake.iter().chain(SENT).collect();
    let mut names: BTreeSet<_> = sent.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.extend(fields(&nginx.fields));
    names.extend(fields(&wsgate.fields));
    for name in names {
        let sent = sent.iter().filter(|(n, _)| n.eq_ignore_ascii_case(&name));
        let sent: Vec<_> = sent.map(|(_, value)| *value).collect();
        let row = CHANGED.iter().find(|row| row.field.to_lowercase() == name);
        let (by_nginx, by_wsgate) = row.map_or((&sent[..], &sent[..]), |r| (r.nginx, r.wsgate));
        assert_eq!(nginx.fields.all(&name), by_nginx, "{name} through nginx");
        assert_eq!(wsgate.fields.all(&name), by_wsgate, "{name} through wsgate");
    }
}

/// What the client sends beside the rest of a handshake.
const SENT: &[(&str, &str)] = &[
    ("Connection", "keep-alive, Upgrade, X-Hop"),
    ("Host", "chat.example.com"),
    ("Origin", "https://chat.example.com"),
    ("User-Agent", "a browser"),
    ("Cookie", "a=1"),
    ("Cookie", "b=2"),
    ("Authorization", "Basic b3BlbiBzZXNhbWU="),
    ("Sec-WebSocket-Protocol", "chat, superchat"),
    (
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    ),
    ("X-Twice", "one"),
    ("x-twice", "two"),
    ("X-Under_Score", "u"),
    ("X-Hop", "for this hop"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("X-Real-IP", "6.6.6.6"),
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "70"),
    ("Forwarded", "for=6.6.6.6"),
];

/// The fields that do not pass as they came, through one of the two at least. All others do.
const CHANGED: &[Changed] = &[
    // A token, compared in any case (RFC 9110, 7.6.1).
    Changed {
        field: "Connection",
        nginx: &["upgrade"],
        wsgate: &["Upgrade"],
    },
    // For one hop only, both drop them.
    Changed {
        field: "Keep-Alive",
        nginx: &[],
        wsgate: &[],
    },
    Changed {
        field: "TE",
        nginx: &[],
        wsgate: &[],
    },
    // For one hop only too: one by custom, one because Connection says so.
    Changed {
        field: "Proxy-Connection",
        nginx: &["keep-alive"],
        wsgate: &[],
    },
    Changed {
        field: "X-Hop",
        nginx: &["for this hop"],
        wsgate: &[],
    },
    // `underscores_in_headers off` is nginx's default.
    Changed {
        field: "X-Under_Score",
        nginx: &[],
        wsgate: &["u"],
    },
    // Both say it themselves.
    Changed {
        field: "X-Real-IP",
        nginx: &["127.0.0.1"],
        wsgate: &["127.0.0.1"],
    },
    Changed {
        field: "X-Forwarded-Proto",
        nginx: &["https"],
        wsgate: &["https"],
    },
    // Nobody vouches for what this client says of itself.
    Changed {
        field: "X-Forwarded-For",
        nginx: &["6.6.6.6, 127.0.0.1"],
        wsgate: &["127.0.0.1"],
    },
    Changed {
        field: "X-Forwarded-Host",
        nginx: &["evil.example"],
        wsgate: &["chat.example.com"],
    },
    Changed {
        field: "X-Forwarded-Port",
        nginx: &["70"],
        wsgate: &["443"],
    },
    Changed {
        field: "Forwarded",
        nginx: &["for=6.6.6.6"],
        wsgate: &["for=127.0.0.1;host=chat.example.com;proto=https"],
    },
];

/// The values of a field, all its lines, as each of the two sends them on.
struct Changed {
    field: &'static str,
    nginx: &'static [&'static str],
    wsgate: &'static [&'static str],
}

#[tokio::test]
async fn names_keep_their_spelling_only_with_nginx() {
    let _trace = trace::init();
    let handshake = Handshake::of("/websocket").field("X-Odd", "1");
    let both = Scene::new(script::echo())
        .play(async |target| target.tunnel(handshake.clone()).await.close(1000, "").await)
        .await;
    let names = |seen: &Seen| -> Vec<String> {
        let fields = seen.request().fields.iter();
        fields.map(|(name, _)| name.to_owned()).collect()
    };
    let nginx = names(both.nginx.seen());
    // Those of the configuration in its order, then those of the client in theirs.
    assert_eq!(nginx.first().unwrap(), "Upgrade");
    assert_eq!(nginx.last().unwrap(), "X-Odd");
    let wsgate = names(both.wsgate.seen());
    assert!(wsgate.contains(&"x-odd".to_owned()), "{wsgate:?}");
    assert!(
        wsgate.iter().all(|name| *name == name.to_lowercase()),
        "{wsgate:?}"
    );
}

#[tokio::test]
async fn a_proxy_in_front_is_believed_where_it_is_named() {
    let _trace = trace::init();
    let handshake = Handshake::of("/websocket").field("X-Forwarded-For", "203.0.113.9, 192.0.2.7");
    let both = Scene::new(script::echo())
        .locations(|upstream| {
            let lines = "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;";
            classic_with(upstream, lines)
        })
        .proxy(|upstream| {
            let trusted = TrustedProxies::new(["127.0.0.1"]).unwrap();
            proxy_to(upstream).trusted_proxies(trusted)
        })
        .play(async |target| target.tunnel(handshake.clone()).await.close(1000, "").await)
        .await;
    let field = |seen: &Seen, name: &str| seen.request().fields.all(name).join("|");

    let (nginx, wsgate) = (both.nginx.seen(), both.wsgate.seen());
    assert_eq!(field(nginx, "x-real-ip"), "192.0.2.7");
    assert_eq!(field(wsgate, "x-real-ip"), "192.0.2.7");
    // nginx puts the client where its own peer should stand.
    let hops = |last| format!("203.0.113.9, 192.0.2.7, {last}");
    assert_eq!(field(nginx, "x-forwarded-for"), hops("192.0.2.7"));
    assert_eq!(field(wsgate, "x-forwarded-for"), hops("127.0.0.1"));
}

#[tokio::test]
async fn the_endpoints_own_host_is_sent_where_asked() {
    let _trace = trace::init();
    let handshake = Handshake::of("/websocket").field("Host", "chat.example.com");
    let both = Scene::new(script::echo())
        .locations(|upstream| classic_with(upstream, "").replace("$http_host", "$proxy_host"))
        .proxy(|upstream| proxy_to(upstream).endpoint_host())
        .play(async |target| target.tunnel(handshake.clone()).await.close(1000, "").await)
        .await;
    for played in [&both.nginx, &both.wsgate] {
        let host = played.seen().request().fields.all("host");
        assert!(
            matches!(host[..], [host] if host.starts_with("127.0.0.1:")),
            "{host:?}"
        );
    }
    let asked = both.wsgate.seen().request().fields.all("x-forwarded-host");
    assert_eq!(asked, ["chat.example.com"]);
}

// ===== what wsgate does not pass on at all =====

#[tokio::test]
async fn an_ordinary_request_passes_only_through_nginx() {
    let _trace = trace::init();
    let both = Scene::new(script::respond("200 OK", &[], "a page"))
        .play(async |target| target.get("/websocket").await)
        .await;
    assert_eq!(both.nginx.client.body, "a page");
    let request = both.nginx.seen().request();
    assert_eq!(request.fields.all("connection"), ["close"]);
    assert!(request.fields.all("upgrade").is_empty());

    let refused = &both.wsgate.client;
    assert_eq!(refused.response.status, 426);
    assert_eq!(refused.response.fields.get("upgrade"), Some("websocket"));
    assert_eq!(
        refused.response.fields.get("sec-websocket-version"),
        Some("13")
    );
    assert!(both.wsgate.upstream.is_empty());
}

#[tokio::test]
async fn handshakes_that_are_none_pass_only_through_nginx() {
    let _trace = trace::init();
    let with = |name, value| Handshake::of("/websocket").without(name).field(name, value);
    for (handshake, status) in [
        (
            Handshake::of("/websocket").without("Sec-WebSocket-Key"),
            400,
        ),
        (with("Sec-WebSocket-Key", "too short"), 400),
        (with("Sec-WebSocket-Version", "8"), 426),
        // A body of so many bytes.
        (with("Content-Length", "6").early(&[Frame::text("")]), 400),
        // A server that speaks it would be talked to past every check of the gateway.
        (with("Upgrade", "h2c"), 426),
    ] {
        refused_by_wsgate_alone(handshake, status).await;
    }
}

#[tokio::test]
async fn pages_of_other_origins_pass_only_through_nginx() {
    let _trace = trace::init();
    let handshake = Handshake::of("/websocket").field("Origin", "https://evil.example");
    refused_by_wsgate_alone(handshake, 403).await;
}

/// nginx asks the upstream, whose answer is 418; wsgate answers by itself.
async fn refused_by_wsgate_alone(handshake: Handshake, status: u16) {
    let both: Both<u16> = Scene::new(script::respond("418 I'm a teapot", &[], ""))
        .play(async |target| target.refused(handshake.clone()).await.response.status)
        .await;
    assert_eq!(both.nginx.client, 418, "{handshake:?}");
    assert_eq!(both.nginx.upstream.len(), 1, "{handshake:?}");
    assert_eq!(both.wsgate.client, status, "{handshake:?}");
    assert!(both.wsgate.upstream.is_empty(), "{handshake:?}");
}

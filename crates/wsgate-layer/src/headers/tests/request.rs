//! What is sent on.

use super::*;

#[tokio::test]
async fn a_handshake_keeps_upgrade_and_its_own_fields() {
    let req = upgrade(&[
        ("connection", "x-none, x-once"),
        ("x-once", "1"),
        // These nobody has to name.
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("transfer-encoding", "chunked"),
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
    none(&sent, &["x-once", "keep-alive", "te", "trailer"]);
    none(&sent, &["transfer-encoding", "proxy-connection"]);
}

#[tokio::test]
async fn what_connection_names_is_removed_whatever_stands_beside_it() {
    let mut req = upgrade(&[("x-once", "1"), ("x-twice", "1")]);
    let names = HeaderValue::from_bytes(b"x-once, \xe9, x \xff, x-twice").unwrap();
    req.headers_mut().append("connection", names);
    let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
    none(&sent, &["x-once", "x-twice"]);
}

/// Without it the body of a request would be another request.
#[tokio::test]
async fn connection_cannot_name_away_the_length_of_a_body() {
    let mut req = get(&[
        ("host", "example.com"),
        ("connection", "content-length"),
        ("content-length", "5"),
    ]);
    *req.method_mut() = Method::POST;
    let sent = sent_on(&UpgradeHeadersLayer::new(), req).await;
    fields(&sent, &[("content-length", "5")]);
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

/// A trusted proxy may pass its client's `Connection` on, and the client name in it what the proxy says.
#[tokio::test]
async fn nor_who_it_is() {
    let layer =
        UpgradeHeadersLayer::new().trusted_proxies(TrustedProxies::new(["192.0.2.1"]).unwrap());
    let told = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-user", "alice"),
        // Neither this nor `Forwarded` is what would be made of the chain, were it taken away.
        ("x-real-ip", "203.0.113.8"),
        ("origin", "https://example.com"),
        ("cookie", "session=1"),
        ("authorization", "Bearer 1"),
    ];
    let names = told.map(|(name, _)| name).join(", ");
    let named = [("connection", &*names), ("connection", "forwarded, x-hop")];
    let more = [
        &told[..],
        &named,
        &[("forwarded", "for=203.0.113.9"), ("x-hop", "1")],
    ]
    .concat();
    let sent = sent_on(&layer, upgrade(&more)).await;
    fields(
        &sent,
        &[
            ("x-forwarded-for", "203.0.113.7, 192.0.2.1"),
            (
                "forwarded",
                "for=203.0.113.9, for=192.0.2.1;host=example.com;proto=https",
            ),
        ],
    );
    fields(&sent, &told[1..]);
    none(&sent, &["x-hop"]);
}

#[tokio::test]
async fn the_length_of_no_body_is_not_sent_on() {
    let sent = sent_on(
        &UpgradeHeadersLayer::new(),
        upgrade(&[("content-length", "0")]),
    )
    .await;
    none(&sent, &["content-length"]);
}

#[tokio::test]
async fn another_upgrade_is_never_forwarded() {
    for (method, upgrade, connection) in [
        (Method::GET, "h2c", "Upgrade, HTTP2-Settings"),
        (Method::POST, "websocket", "Upgrade, HTTP2-Settings"),
        (Method::GET, "foo/2", "Upgrade, HTTP2-Settings"),
        // Nor where it is not named.
        (Method::GET, "h2c", "close"),
    ] {
        let mut req = get(&[
            ("host", "example.com"),
            ("connection", connection),
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

#[tokio::test]
async fn cookies_that_http2_cut_up_become_one_field_again() {
    let mut cut_up = extended_connect();
    let mut two_fields = upgrade(&[]);
    for req in [&mut cut_up, &mut two_fields] {
        for cookie in ["", "a=1", "", "b=\"2\"", "c=3", ""] {
            req.headers_mut().append("cookie", cookie.parse().unwrap());
        }
    }
    let sent = sent_on(&UpgradeHeadersLayer::new(), cut_up).await;
    fields(&sent, &[("cookie", "a=1; b=\"2\"; c=3")]);
    // Over HTTP/1.1 it is the client's own doing.
    let sent = sent_on(&UpgradeHeadersLayer::new(), two_fields).await;
    assert_eq!(sent.get_all("cookie").iter().count(), 6);
}

/// As one that does not know the field does with what its client wrote.
#[tokio::test]
async fn a_trusted_proxy_may_pass_on_what_is_not_well_formed() {
    let trusting = TrustedProxies::new(["192.0.2.0/24"]).unwrap();
    let layer = UpgradeHeadersLayer::new().trusted_proxies(trusting);
    let ours = "for=192.0.2.1;host=example.com;proto=https";
    for (before, kept) in [
        ("for=\"6.6.6.6", ""),
        ("for=6.6.6.6;by", ""),
        ("for=6.6.6.6 by=x", ""),
        ("for=", ""),
        ("for=6.6.6.6,", ""),
        (
            "for=\"[2001:db8::7]:1\";by=\"a\\\"b\", for=b",
            "for=\"[2001:db8::7]:1\";by=\"a\\\"b\", for=b, ",
        ),
        ("for=a;proto=http ,, for=b", "for=a;proto=http ,, for=b, "),
    ] {
        let sent = sent_on(&layer, upgrade(&[("forwarded", before)])).await;
        fields(&sent, &[("forwarded", &format!("{kept}{ours}"))]);
    }
    // What it knows it says in the field that it knows.
    let both = [
        ("forwarded", "for=\"6.6.6.6"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    let sent = sent_on(&layer, upgrade(&both)).await;
    let told = format!("for=203.0.113.7, {ours}");
    fields(&sent, &[("forwarded", &told)]);
}

/// A proxy that adds its fields and leaves those that its client wrote.
#[tokio::test]
async fn of_what_is_said_twice_the_trusted_proxys_own_word_is_kept() {
    let trusting = TrustedProxies::new(["192.0.2.0/24"]).unwrap();
    let layer = UpgradeHeadersLayer::new().trusted_proxies(trusting);
    for (name, forged, own) in [
        ("x-real-ip", "6.6.6.6", "1.1.1.1"),
        ("x-forwarded-proto", "http", "https"),
        ("x-forwarded-host", "evil.example", "example.com"),
        ("x-forwarded-port", "1", "8443"),
    ] {
        let sent = sent_on(&layer, upgrade(&[(name, forged), (name, own)])).await;
        fields(&sent, &[(name, own)]);
        // Whether or not we know better, as without a Host we do not.
        let mut hostless = upgrade(&[(name, forged), (name, own)]);
        hostless.headers_mut().remove("host");
        fields(&sent_on(&layer, hostless).await, &[(name, own)]);
    }
}

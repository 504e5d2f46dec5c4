//! WebSocket smuggling: a client that gets the gateway to believe in a tunnel where the upstream
//! opened none could speak to it past every rule (after Mikhail Egorov, "What's wrong with WebSocket
//! APIs", 2019).

use wsgate_tests::{Frame, trace};

use super::{Fate, HOST, KEY, LINE, Scene, check_clean, request, with};

/// What is to arrive at the upstream behind the gateway's back.
const SMUGGLED: &str = "GET /internal HTTP/1.1\r\nHost: internal\r\n\r\n";

/// The request behind the handshake is the gateway's to answer, whose own site has no such page.
async fn refused_with(answer: &str, status: u16) {
    let scene = Scene::start(Some(answer)).await;
    let (head, mut client) = scene.ask(with("") + SMUGGLED).await;
    assert_eq!(head.status, status, "{answer}");
    if status != 204 {
        client.body(&head).await;
    }
    assert_eq!(client.head().await.status, 404, "{answer}");
    drop(client);
    let [seen] = &scene.ended(1).await[..] else {
        panic!("one connection")
    };
    check_clean(seen, "/websocket", answer);
    assert_eq!(seen.rest.escape_ascii().to_string(), "", "{answer}");
}

#[tokio::test]
async fn what_follows_a_handshake_that_the_upstream_refuses_is_never_tunneled() {
    let _trace = trace::init();
    for (status, fields) in [
        ("200 OK", ""),
        ("400 Bad Request", ""),
        ("401 Unauthorized", "WWW-Authenticate: Basic\r\n"),
        ("403 Forbidden", ""),
        // What is told by a proxy that is to forward it, and by an upstream that wants version 13.
        (
            "426 Upgrade Required",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        ),
        // All that a 101 has, but for the status.
        (
            "200 OK",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        ),
        ("503 Service Unavailable", ""),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 2\r\n\r\nno");
        refused_with(&answer, status[..3].parse().unwrap()).await;
    }
    refused_with("HTTP/1.1 204 No Content\r\n\r\n", 204).await;
}

#[tokio::test]
async fn a_101_that_is_none_opens_nothing() {
    let _trace = trace::init();
    let good = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    for fields in [
        String::new(),
        accept.to_owned(),
        good.to_owned(),
        format!("{good}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n"),
        format!("{good}{accept}{accept}"),
        format!("{good}Sec-WebSocket-Accept: {KEY}\r\n"),
        format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{accept}"),
        format!("Upgrade: websocket\r\nConnection: close\r\n{accept}"),
        format!("{good}{accept}Sec-WebSocket-Protocol: nobody-offered\r\n"),
        format!("{good}{accept}Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    ] {
        refused_with(
            &format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n"),
            502,
        )
        .await;
    }
    // No answer of HTTP/1.1 at all.
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n folded: yes\r\n\r\n",
        "HTTP/1.1 1010 Switching\r\n\r\n",
        "HTTP/2.0 101 Switching Protocols\r\n\r\n",
        "\x02\x05hello",
    ] {
        refused_with(&format!("{answer}\r\n\r\n"), 502).await;
    }
}

/// A frame with a request in it, to a gateway that has refused: it is no request.
#[tokio::test]
async fn frames_behind_a_refused_handshake_go_nowhere() {
    let _trace = trace::init();
    let scene = Scene::start(Some("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    // A key of zeros leaves the payload as it is.
    let frame = Frame::text(SMUGGLED).masked([0; 4]).to_bytes();
    let (head, client) = scene.ask([with("").as_bytes(), &frame].concat()).await;
    assert_eq!(head.status, 403);
    let rest = client.rest().await;
    assert!(
        rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "),
        "{rest:?}"
    );
    let [seen] = &scene.ended(1).await[..] else {
        panic!("one connection")
    };
    assert_eq!(seen.rest, b"");
}

/// The attack's first half: a version that the upstream refuses, which the gateway has to know.
#[tokio::test]
async fn another_version_never_reaches_the_upstream() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    for version in [
        "1337", "12", "0", "013", "13.0", "13, 13", "-13", "", "\t", "thirteen",
    ] {
        let request = request(LINE, HOST, "").replace(": 13\r\n", &format!(": {version}\r\n"));
        scene
            .check(request.clone() + SMUGGLED, Fate::Refused(426))
            .await;
    }
    for more in [
        "Sec-WebSocket-Version: 1337\r\n",
        "Sec-WebSocket-Version: 13\r\n",
    ] {
        scene.check(with(more) + SMUGGLED, Fate::Refused(426)).await;
    }
    scene.join().await;
}

/// h2c smuggling, and what else can be asked for by Upgrade.
#[tokio::test]
async fn only_a_websocket_is_ever_asked_for() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    let settings = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    let ask = |upgrade: &str, connection: &str| {
        let request = with(settings).replace("Upgrade: websocket", &format!("Upgrade: {upgrade}"));
        request.replace("Connection: Upgrade", &format!("Connection: {connection}"))
    };
    for upgrade in [
        "h2c",
        "h2",
        "TLS/1.2",
        "websocket2",
        "websocket/13",
        "connect-udp",
        "\"websocket\"",
    ] {
        let request = ask(upgrade, "Upgrade, HTTP2-Settings");
        scene.check(request + SMUGGLED, Fate::Refused(426)).await;
    }
    for connection in ["close", "HTTP2-Settings", "Upgraded", "\"Upgrade\""] {
        scene
            .check(ask("websocket", connection), Fate::Refused(400))
            .await;
    }
    // Of several one is a WebSocket, and nothing of the others is sent on.
    for upgrade in [
        "websocket, h2c",
        "h2c, WEBSOCKET",
        "websocket\r\nUpgrade: h2c",
        "websocket\r\nUpgrade: websocket",
    ] {
        for connection in ["Upgrade, HTTP2-Settings", "Upgrade"] {
            let request = ask(upgrade, connection);
            scene.check(request, Fate::Opened("/websocket")).await;
        }
    }
    scene.join().await;
}

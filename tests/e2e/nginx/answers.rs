//! What the client is answered.

use std::collections::BTreeSet;

use wsgate_tests::client::{Handshake, Refused};
use wsgate_tests::upstream::{script, switching};
use wsgate_tests::{Fields, ResponseHead, trace};

use super::{Scene, classic_with, proxy_to};

#[tokio::test]
async fn an_opened_websocket_is_answered_the_same() {
    let _trace = trace::init();
    let accept = script::script(async |mut connection| {
        let request = connection.request().await.unwrap();
        let fields = lines(ANSWERED) + "Sec-WebSocket-Protocol: chat\r\n";
        connection.write(switching(&request, &fields)).await;
        connection.drain().await;
    });
    let handshake = Handshake::of("/websocket").field("Sec-WebSocket-Protocol", "chat");
    let both = Scene::new(accept)
        .play(async |target| target.open(handshake.clone()).await.unwrap().response)
        .await;
    let (nginx, wsgate) = (&both.nginx.client, &both.wsgate.client);
    for answer in [nginx, wsgate] {
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (101, "Switching Protocols")
        );
        assert_eq!(answer.fields.get("upgrade"), Some("websocket"));
        assert_eq!(answer.fields.get("sec-websocket-protocol"), Some("chat"));
    }
    // A token, compared in any case (RFC 9110, 7.6.1).
    assert_eq!(nginx.fields.all("connection"), ["upgrade"]);
    assert_eq!(wsgate.fields.all("connection"), ["Upgrade"]);
    compare(nginx, wsgate, &["connection"]);
}

#[tokio::test]
async fn a_refusal_is_passed_on_the_same() {
    let _trace = trace::init();
    for (status, reason) in [
        (302, "Found"),
        (401, "Unauthorized"),
        (404, "No Such Room"),
        (503, "Service Unavailable"),
    ] {
        let upstream = script::respond(&format!("{status} {reason}"), ANSWERED, "who are you?");
        let both = Scene::new(upstream)
            .play(async |target| target.refused(Handshake::of("/websocket")).await)
            .await;
        let (nginx, wsgate) = (&both.nginx.client, &both.wsgate.client);
        for Refused { response, body } in [nginx, wsgate] {
            assert_eq!(
                (response.status, response.reason.as_str()),
                (status, reason)
            );
            assert_eq!(body, "who are you?");
        }
        // HTTP/1.1 connections are kept without saying so (RFC 9112, 9.3).
        assert_eq!(nginx.response.fields.all("connection"), ["keep-alive"]);
        assert!(wsgate.response.fields.all("connection").is_empty());
        compare(&nginx.response, &wsgate.response, &["connection"]);
    }
}

/// What the upstream answers beside the rest.
const ANSWERED: &[(&str, &str)] = &[
    ("WWW-Authenticate", "Basic realm=\"chat\""),
    ("Location", "/login"),
    ("Set-Cookie", "a=1"),
    ("Set-Cookie", "b=2"),
    ("X-Own", "1"),
    ("Server", "upstream/1"),
    ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("X-Accel-Buffering", "no"),
    ("Keep-Alive", "timeout=5"),
];

/// The fields that nginx replaces or keeps to itself. wsgate speaks for nobody: they pass.
const OF_NGINX: &[&str] = &["server", "date", "x-accel-buffering"];

/// All other fields are the same, `besides` apart.
#[track_caller]
fn compare(nginx: &ResponseHead, wsgate: &ResponseHead, besides: &[&str]) {
    assert!(nginx.fields.get("server").unwrap().starts_with("nginx/"));
    assert_ne!(nginx.fields.get("date"), wsgate.fields.get("date"));
    assert!(nginx.fields.all("x-accel-buffering").is_empty());

    let names = |fields: &Fields| -> BTreeSet<String> {
        fields.iter().map(|(name, _)| name.to_lowercase()).collect()
    };
    let names = &names(&nginx.fields) | &names(&wsgate.fields);
    for name in names
        .iter()
        .map(String::as_str)
        .filter(|n| !besides.contains(n))
    {
        let sent = ANSWERED
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let sent: Vec<_> = sent.map(|(_, value)| *value).collect();
        if !sent.is_empty() {
            assert_eq!(wsgate.fields.all(name), sent, "{name} through wsgate");
        }
        if !OF_NGINX.contains(&name) {
            assert_eq!(nginx.fields.all(name), wsgate.fields.all(name), "{name}");
        }
    }
    assert!(!names.contains("keep-alive"));
}

// ===== what differs =====

#[tokio::test]
async fn a_redirect_to_the_upstream_itself_is_rewritten_by_nginx_alone() {
    let _trace = trace::init();
    let redirect = script::script(async |mut connection| {
        let request = connection.request().await.unwrap();
        let host = request.fields.get("host").unwrap();
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{host}/in\r\nContent-Length: 0\r\n\r\n"
        );
        connection.write(answer).await;
        connection.drain().await;
    });
    let both = Scene::new(redirect)
        .locations(|upstream| classic_with(upstream, "").replace("$http_host", "$proxy_host"))
        .proxy(|upstream| proxy_to(upstream).endpoint_host())
        .play(async |target| {
            let answer = target.refused(Handshake::of("/websocket")).await.response;
            let location = answer.fields.get("location").unwrap();
            (location.to_owned(), target.authority())
        })
        .await;
    let (location, authority) = both.nginx.client;
    assert_eq!(location, format!("https://{authority}/in"));
    let (location, _) = both.wsgate.client;
    assert!(location.starts_with("http://127.0.0.1:"), "{location}");
}

#[tokio::test]
async fn a_long_head_is_too_long_for_nginx_alone() {
    let _trace = trace::init();
    let long = "x".repeat(16 * 1024);
    let upstream = script::respond("401 Unauthorized", &[("Set-Cookie", &long)], "");
    let both = Scene::new(upstream)
        .play(async |target| target.refused(Handshake::of("/websocket")).await.response)
        .await;
    assert_eq!(both.nginx.client.status, 502);
    assert_eq!(both.wsgate.client.status, 401);
    assert_eq!(both.wsgate.client.fields.all("set-cookie"), [long]);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_passes_only_through_nginx() {
    let _trace = trace::init();
    let surprise = script::script(async |mut connection| {
        let request = connection.request().await.unwrap();
        let fields = "Sec-WebSocket-Protocol: surprise\r\n";
        connection.write(switching(&request, fields)).await;
        connection.drain().await;
    });
    let both = Scene::new(surprise)
        .play(async |target| {
            let answer = target.open(Handshake::of("/websocket")).await;
            answer.map(|opened| opened.response.status)
        })
        .await;
    assert_eq!(both.nginx.client.unwrap(), 101);
    let refused = both.wsgate.client.unwrap_err();
    assert_eq!(refused.response.status, 502);
    let why = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(why.contains("`surprise`, which was not offered"), "{why}");
}

/// What stands between the two sides of a list of lines.
fn lines(fields: &[(&str, &str)]) -> String {
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    lines.collect()
}

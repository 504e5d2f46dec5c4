//! Which path the upstream is asked for: `proxy_pass` with a path, and `replace_prefix`.

use wsgate_tests::client::{Handshake, Refused};
use wsgate_tests::trace;
use wsgate_tests::upstream::script;

use super::{Scene, classic_location, proxy_to};

/// The rows are read from the documentation itself, so that it is what is proven.
#[tokio::test]
async fn every_documented_row_is_what_nginx_does() {
    let _trace = trace::init();
    let rows: Vec<_> = include_str!("../../../crates/wsgate-proxy/src/proxy.rs")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// | `/"))
        .map(|row| format!("/{}", row.replace(['`', ' '], "").trim_end_matches('|')))
        .collect();
    assert!(rows.len() >= 6, "{rows:?}");
    for row in &rows {
        let [from, to, asked, got]: [&str; 4] =
            row.split('|').collect::<Vec<_>>().try_into().unwrap();
        check(from, to, asked, Ok(got), Ok(got)).await;
    }
}

#[tokio::test]
async fn without_a_path_everything_passes_as_it_came() {
    let _trace = trace::init();
    for asked in [
        "/websocket",
        "/websocket?",
        "/websocket?token=a/../b&x=%20",
        "/websocket//a%2fb/../c",
        "/websocket/%7Ea/~b",
    ] {
        check("/websocket", "", asked, Ok(asked), Ok(asked)).await;
    }
}

#[tokio::test]
async fn nginx_normalises_a_path_before_it_replaces_the_prefix() {
    let _trace = trace::init();
    for (asked, by_nginx, by_wsgate) in [
        ("/websocket/a%2Fb", Ok("/app/a/b"), Ok("/app/a%2Fb")),
        ("/websocket/%61", Ok("/app/a"), Ok("/app/%61")),
        ("/websocket/a//b", Ok("/app/a/b"), Ok("/app/a//b")),
        // wsgate does not guess what the dots were to become.
        ("/websocket/a/../b", Ok("/app/b"), Err(400)),
        ("/websocket/a/%2e%2e/b", Ok("/app/b"), Err(400)),
    ] {
        check("/websocket/", "/app/", asked, by_nginx, by_wsgate).await;
    }
}

#[tokio::test]
async fn a_location_is_letters_and_a_route_is_segments() {
    let _trace = trace::init();
    check("/websocket", "/app", "/websockets", Ok("/apps"), Err(404)).await;
    check("/websocket", "/app", "/%77ebsocket", Ok("/app"), Err(404)).await;
    // nginx sends to the path with the slash, where no WebSocket client goes.
    check("/websocket/", "/app/", "/websocket", Err(301), Err(404)).await;
}

/// What the upstream is asked for, or else the status that the client is answered.
type Outcome<'a> = Result<&'a str, u16>;

async fn check(from: &str, to: &str, asked: &str, by_nginx: Outcome<'_>, by_wsgate: Outcome<'_>) {
    let locations = |upstream| classic_location(from, &format!("http://{upstream}{to}"));
    let proxy = |upstream| match to {
        "" => proxy_to(upstream),
        to => proxy_to(upstream).replace_prefix(from, to).unwrap(),
    };
    let both = Scene::new(script::echo())
        .locations(locations)
        .proxy(proxy)
        .mounted_at(from)
        .play(
            async |target| match target.open(Handshake::of(asked)).await {
                Ok(opened) => {
                    opened.tunnel.close(1000, "").await;
                    None
                }
                Err(Refused { response, .. }) => Some(response.status),
            },
        )
        .await;
    for (played, expected, name) in [
        (&both.nginx, by_nginx, "nginx"),
        (&both.wsgate, by_wsgate, "wsgate"),
    ] {
        let outcome = match played.client {
            None => Ok(played.seen().request().target.as_str()),
            Some(status) => Err(status),
        };
        assert_eq!(outcome, expected, "{asked} through {name}, {from} to {to}");
    }
}

//! A body on a handshake, which the one side could read as frames and the other as a request.

use wsgate_tests::trace;

use super::{Fate, Scene, with};

const SMUGGLED: &str = "GET /internal HTTP/1.1\r\nHost: internal\r\n\r\n";

#[tokio::test]
async fn a_handshake_with_a_body_never_reaches_the_upstream() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    let length = SMUGGLED.len();
    for fields in [
        &format!("Content-Length: {length}\r\n"),
        "Content-Length: 5\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: -0\r\n",
        "Content-Length: 0x0\r\n",
        "Content-Length: 00\r\n",
        "Content-Length: 0 0\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: 0;\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        // Which of the two counts is what smuggling is made of.
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        // Named as what belongs to this connection, it is there all the same.
        "Content-Length: 5\r\nConnection: content-length\r\n",
        "Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n",
    ] {
        scene
            .check(with(fields) + SMUGGLED, Fate::Refused(400))
            .await;
    }
    scene.join().await;
}

/// Some clients say that there is none. The upstream is not told: it would be one more thing to
/// disagree about, and over HTTP/2 forbid every frame.
#[tokio::test]
async fn no_body_is_no_body_however_often_it_is_said() {
    let _trace = trace::init();
    let scene = Scene::start(None).await;
    for fields in [
        "Content-Length: 0\r\n",
        "content-length:0\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nConnection: content-length\r\n",
    ] {
        // What follows is the tunnel's, to the last byte.
        let seen = scene.check(with(fields) + SMUGGLED, Fate::Opened("/websocket"));
        let rest = seen.await.unwrap().rest;
        assert_eq!(
            rest.escape_ascii().to_string(),
            SMUGGLED.escape_default().to_string()
        );
    }
    scene.join().await;
}

//! How many connections there are, and until when.

use futures_util::future::join_all;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::upstream::http2::Offer;
use wsgate_tests::{Frame, Tunnel, trace};

use super::Stage;

/// Opens tunnels at the same time, and says how many there came to be on each connection.
async fn crowd(stage: &mut Stage, count: usize) -> (Vec<(Tunnel, Tunnel)>, Vec<usize>) {
    let target = stage.gateway.target();
    let knocks = (0..count).map(|_| target.tunnel(Handshake::of("/websocket")));
    let accept = async {
        let (mut tunnels, mut on) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let asked = stage.upstream.asked().await;
            on.resize(on.len().max(asked.connection + 1), 0);
            on[asked.connection] += 1;
            tunnels.push(asked.accept());
        }
        (tunnels, on)
    };
    let (clients, (upstreams, on)) = tokio::join!(join_all(knocks), accept);
    (clients.into_iter().zip(upstreams).collect(), on)
}

#[tokio::test]
async fn a_hundred_tunnels_share_one() {
    let _trace = trace::init();
    let mut stage = Stage::start(Protocol::Http1).await;
    let (mut tunnels, on) = crowd(&mut stage, 150).await;
    assert_eq!(on, [100, 50]);
    assert_eq!(stage.upstream.connections(), (2, 0));
    // The clients' ends and the upstream's are in different orders: what all say is heard by all.
    let mut heard = Vec::new();
    for (at, (client, _)) in tunnels.iter_mut().enumerate() {
        client.send(Frame::text(at.to_string())).await;
    }
    for (_, upstream) in &mut tunnels {
        let frame = upstream.frame().await.unmasked();
        heard.push(String::from_utf8(frame.payload.to_vec()).unwrap());
        upstream.send(frame).await;
    }
    heard.sort_by_key(|at| at.parse::<usize>().unwrap());
    assert!(
        heard
            .iter()
            .enumerate()
            .all(|(at, text)| *text == at.to_string())
    );
    for (at, (client, _)) in tunnels.iter_mut().enumerate() {
        assert_eq!(client.frame().await, Frame::text(at.to_string()));
    }
}

#[tokio::test]
async fn no_more_streams_are_opened_than_the_upstream_allows() {
    let _trace = trace::init();
    let offer = Offer {
        streams: Some(2),
        ..Offer::default()
    };
    let mut stage = Stage::offering(Protocol::Http1, offer).await;
    let (tunnels, on) = crowd(&mut stage, 5).await;
    assert!(on.iter().all(|&streams| streams <= 2), "{on:?}");
    assert_eq!(on.iter().sum::<usize>(), 5);
    assert_eq!(on.len(), 3);

    // What has become free is used before another is opened.
    drop(tunnels);
    let (_tunnels, on) = crowd(&mut stage, 4).await;
    assert!(on.len() <= 3, "{on:?}");
}

#[tokio::test]
async fn a_connection_outlives_its_tunnels() {
    let _trace = trace::init();
    let mut stage = Stage::start(Protocol::Http2).await;
    for _ in 0..3 {
        let (client, mut upstream, connection) = stage.open().await;
        assert_eq!(connection, 0);
        let answer = async {
            assert_eq!(
                upstream.frame().await.close_parts(),
                Some((1000, String::new()))
            );
            upstream.send(Frame::close(1000, "")).await;
            upstream.shutdown().await;
        };
        tokio::join!(client.close(1000, ""), answer);
    }
    assert_eq!(stage.upstream.connections(), (1, 0));
}

#[tokio::test]
async fn it_ends_with_the_proxy() {
    let _trace = trace::init();
    let mut stage = Stage::start(Protocol::Http1).await;
    let (client, mut upstream, _) = stage.open().await;
    drop(client);
    upstream.end().await;
    drop(upstream);
    let Stage {
        mut upstream,
        gateway,
        ..
    } = stage;
    gateway.join().await;
    upstream.ended(0).await;
}

#[tokio::test]
async fn a_lost_one_ends_its_tunnels_and_the_next_handshake_gets_another() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut stage = Stage::start(protocol).await;
        let mut tunnels = Vec::new();
        for _ in 0..10 {
            tunnels.push(stage.open().await);
        }
        stage.upstream.kill(0).await;
        for (client, ..) in &mut tunnels {
            let close = client.frame().await.close_parts();
            assert_eq!(close, Some((1014, "upstream lost".to_owned())));
        }
        let (mut client, mut upstream, connection) = stage.open().await;
        assert_eq!(connection, 1);
        client.send(Frame::text("hello")).await;
        assert_eq!(upstream.frame().await.unmasked(), Frame::text("hello"));
    }
}

#[tokio::test]
async fn one_that_goes_away_keeps_its_tunnels_and_gets_no_more() {
    let _trace = trace::init();
    let mut stage = Stage::start(Protocol::Http1).await;
    let (mut client, mut upstream, _) = stage.open().await;
    stage.upstream.go_away(0).await;
    // By then GOAWAY has been read, as it stands before the frame.
    upstream.send(Frame::text("old")).await;
    assert_eq!(client.frame().await, Frame::text("old"));

    let (mut second, mut other, connection) = stage.open().await;
    assert_eq!(connection, 1);
    other.send(Frame::text("new")).await;
    assert_eq!(second.frame().await, Frame::text("new"));
    client.send(Frame::text("still here")).await;
    assert_eq!(upstream.frame().await.unmasked(), Frame::text("still here"));

    upstream.shutdown().await;
    let close = client.frame().await.close_parts();
    assert_eq!(close.map(|(code, _)| code), Some(1014));
    drop(client);
    upstream.end().await;
    stage.upstream.ended(0).await;
    second.send(Frame::text("and I")).await;
    assert_eq!(other.frame().await.unmasked(), Frame::text("and I"));
}

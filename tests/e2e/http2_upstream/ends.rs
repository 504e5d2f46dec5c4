//! One tunnel ends, in whatever way, and the others on the connection do not notice.

use wsgate_tests::client::Protocol;
use wsgate_tests::{End, Frame, Tunnel, trace};

use super::Stage;

/// Two tunnels on one connection; the second one is still good when the first has had its end.
struct Pair {
    stage: Stage,
    client: Tunnel,
    upstream: Tunnel,
    others: (Tunnel, Tunnel),
}

impl Pair {
    async fn start(protocol: Protocol) -> Self {
        let mut stage = Stage::start(protocol).await;
        let (client, upstream, _) = stage.open().await;
        let (other, others, _) = stage.open().await;
        Self {
            stage,
            client,
            upstream,
            others: (other, others),
        }
    }
}

async fn goes_on((mut client, mut upstream): (Tunnel, Tunnel), stage: Stage) {
    client.send(Frame::text("up")).await;
    assert_eq!(upstream.frame().await.unmasked(), Frame::text("up"));
    upstream.send(Frame::text("down")).await;
    assert_eq!(client.frame().await, Frame::text("down"));
    assert_eq!(stage.upstream.connections(), (1, 0));
}

#[tokio::test]
async fn by_a_close_from_either_side() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut pair = Pair::start(protocol).await;
        let close = Frame::close(4001, "enough");
        pair.upstream.send(close.clone()).await;
        assert_eq!(pair.client.frame().await, close);
        pair.client.send(close.clone()).await;
        assert_eq!(pair.upstream.frame().await.unmasked(), close);
        pair.upstream.shutdown().await;
        pair.client.end().await;
        drop(pair.client);
        assert!(matches!(pair.upstream.end().await, End::Eof));
        goes_on(pair.others, pair.stage).await;
    }
}

#[tokio::test]
async fn by_a_half_close_of_the_client_which_leaves_the_other_half_open() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut pair = Pair::start(protocol).await;
        pair.client.send(Frame::text("last words")).await;
        pair.client.shutdown().await;
        assert_eq!(
            pair.upstream.frame().await.unmasked(),
            Frame::text("last words")
        );
        assert!(matches!(pair.upstream.end().await, End::Eof));
        pair.upstream.send(Frame::text("an answer")).await;
        assert_eq!(pair.client.frame().await, Frame::text("an answer"));
        goes_on(pair.others, pair.stage).await;
    }
}

#[tokio::test]
async fn by_an_end_of_the_upstream_which_the_client_is_told() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut pair = Pair::start(protocol).await;
        pair.upstream.shutdown().await;
        let close = pair.client.frame().await.close_parts();
        assert_eq!(close, Some((1014, "upstream lost".to_owned())));
        goes_on(pair.others, pair.stage).await;
    }
}

#[tokio::test]
async fn by_a_reset_of_the_upstream_which_the_client_is_told() {
    let trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut pair = Pair::start(protocol).await;
        pair.upstream.send(Frame::text("last words")).await;
        assert_eq!(pair.client.frame().await, Frame::text("last words"));
        pair.upstream.reset();
        let close = pair.client.frame().await.close_parts();
        assert_eq!(close, Some((1014, "upstream lost".to_owned())));
        goes_on(pair.others, pair.stage).await;
    }
    let events = trace.until("tunnel closed", 4).await;
    let reset = events.iter().filter(|event| {
        event.field("closed_by") == "upstream" && event.field("cause") == "connection lost"
    });
    assert_eq!(reset.count(), 2);
}

#[tokio::test]
async fn by_a_reset_of_the_client_which_the_upstream_sees() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut pair = Pair::start(protocol).await;
        pair.client.reset();
        pair.upstream.end().await;
        drop(pair.upstream);
        goes_on(pair.others, pair.stage).await;
    }
}

//! Sides of an open WebSocket that take nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::Instant;
use wsgate::WebSocketProxy;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, Tunnel, trace, within};

use super::{SHORT, lenient, took_its_time};

async fn stage(http: Http) -> Stage {
    let app = |proxy: WebSocketProxy| gateway::app(lenient(proxy).send_timeout(SHORT));
    Stage::serving(http, Accept::default(), app).await
}

/// Sends as long as it is taken, and gives what is heard meanwhile, to the end.
async fn floods(tunnel: Tunnel, frame: &Frame) -> Vec<u8> {
    let (mut reading, mut writing) = split(tunnel.into_parts().0);
    let bytes = frame.to_bytes();
    let flood = async {
        while writing.write_all(&bytes).await.is_ok() {}
        // Nothing more is to be written, and all that is said is to be heard.
        std::future::pending::<()>().await;
    };
    let heard = async {
        let mut heard = Vec::new();
        // A reset is as good an end.
        let _ = reading.read_to_end(&mut heard).await;
        heard
    };
    within("the end of a flood", async {
        tokio::select! {
            () = flood => unreachable!("it waits for the end"),
            heard = heard => heard,
        }
    })
    .await
}

fn frame() -> Frame {
    Frame::binary(vec![7; 60_000])
}

#[tokio::test]
async fn a_client_that_takes_nothing() {
    for http in Http::BOTH {
        let trace = trace::init();
        let mut stage = stage(http).await;
        let Ends {
            client, upstream, ..
        } = stage.open(Handshake::of("/websocket")).await;
        let begun = Instant::now();
        let heard = floods(upstream, &frame()).await;
        took_its_time(begun);
        // A masked Close 1001, and nothing else.
        assert_eq!((heard[0], heard.len()), (0x88, 6 + 2 + "client lost".len()));
        let closed = trace.until("tunnel closed", 1).await;
        assert_eq!(closed[0].field("cause"), "send timeout");
        assert_eq!(closed[0].field("side"), "client");
        drop(client);
        stage.join().await;
    }
}

#[tokio::test]
async fn an_upstream_that_takes_nothing() {
    for http in Http::BOTH {
        let trace = trace::init();
        let mut stage = stage(http).await;
        let Ends {
            client, upstream, ..
        } = stage.open(Handshake::of("/websocket")).await;
        let begun = Instant::now();
        let heard = floods(client, &frame().masked([1, 2, 3, 4])).await;
        took_its_time(begun);
        assert_eq!(heard, Frame::close(1014, "upstream lost").to_bytes());
        let closed = trace.until("tunnel closed", 1).await;
        assert_eq!(closed[0].field("cause"), "send timeout");
        assert_eq!(closed[0].field("side"), "upstream");
        drop(upstream);
        stage.join().await;
    }
}

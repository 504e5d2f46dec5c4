//! Codes and reasons, from either side, and what is logged of them.

use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Http, Stage};
use wsgate_tests::{End, Frame, Role, trace};

use super::finish;

#[tokio::test]
async fn every_close_passes_from_either_side_and_is_logged() {
    let trace = trace::init();
    let mut closed = 0;
    let longest = "r".repeat(123);
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        for closer in [Role::Client, Role::Server] {
            for (frame, code, reason) in [
                (Frame::close(1000, "bye"), Some("1000"), "bye"),
                (Frame::close(1001, ""), Some("1001"), ""),
                (
                    Frame::close(3000, "a library's"),
                    Some("3000"),
                    "a library's",
                ),
                (Frame::close(4000, &longest), Some("4000"), &longest),
                (Frame::close(4999, "ade\nä"), Some("4999"), r"ade\n\xc3\xa4"),
                (Frame::new(8, ""), None, ""),
            ] {
                let mut ends = stage.open(Handshake::of("/websocket")).await;
                let (first, second) = match closer {
                    Role::Client => (&mut ends.client, &mut ends.upstream),
                    Role::Server => (&mut ends.upstream, &mut ends.client),
                };
                first.send(frame.clone()).await;
                assert_eq!(second.frame().await.unmasked(), frame);
                // The answer need not be an echo.
                second.send(Frame::close(1011, "the answer")).await;
                let answer = first.frame().await.unmasked();
                assert_eq!(answer, Frame::close(1011, "the answer"));
                finish(ends).await;

                closed += 1;
                let events = trace.until("tunnel closed", closed).await;
                let event = &events[closed - 1];
                let side = match closer {
                    Role::Client => "client",
                    Role::Server => "upstream",
                };
                assert_eq!(
                    (event.field("closed_by"), event.field("cause")),
                    (side, "close")
                );
                assert_eq!(event.fields.get("close_code").map(String::as_str), code);
                let logged = event.field("close_reason").replace(r"\'", "'");
                assert_eq!(logged, reason);
            }
        }
        stage.join().await;
    }
}

/// Neither side has to send one, nor to answer one. A client that has said goodbye is told nothing
/// of the upstream's loss.
#[tokio::test]
async fn an_unanswered_close_of_the_client_stays_unanswered() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.client.send(Frame::close(1001, "leaving")).await;
        ends.upstream.frame().await;
        finish(ends).await;
        stage.join().await;
    }
    for event in trace.until("tunnel closed", 2).await {
        assert_eq!(event.field("closed_by"), "client");
        assert_eq!(event.field("close_code"), "1001");
    }
}

#[tokio::test]
async fn an_unanswered_close_of_the_upstream_arrives() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.upstream.send(Frame::close(1012, "restart")).await;
        drop(ends.upstream);
        assert_eq!(ends.client.frame().await, Frame::close(1012, "restart"));
        assert!(matches!(ends.client.end().await, End::Eof));
        drop(ends.client);
        stage.join().await;
    }
    for event in trace.until("tunnel closed", 2).await {
        assert_eq!(event.field("closed_by"), "upstream");
        assert_eq!(event.field("close_code"), "1012");
    }
}

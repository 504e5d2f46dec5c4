//! SETTINGS (RFC 9113, 6.5).

use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, code, flag, kind, setting};

use super::{Want, act, check_all, outcome, send};

#[tokio::test]
async fn values() {
    let protocol = Want::Connection(code::PROTOCOL_ERROR);
    let set = |name, value| [Http2Frame::settings(&[(name, value)])];
    check_all(vec![
        send(
            "6.5.2",
            "ENABLE_PUSH of 2",
            &set(setting::ENABLE_PUSH, 2),
            protocol,
        ),
        send(
            "6.5.2",
            "INITIAL_WINDOW_SIZE of 2^31",
            &set(setting::INITIAL_WINDOW_SIZE, 1 << 31),
            Want::Connection(code::FLOW_CONTROL_ERROR),
        )
        .but(Outcome::GoneAway(code::PROTOCOL_ERROR)),
        send(
            "6.5.2",
            "MAX_FRAME_SIZE below 2^14",
            &set(setting::MAX_FRAME_SIZE, 16_383),
            protocol,
        ),
        send(
            "6.5.2",
            "MAX_FRAME_SIZE of 2^24",
            &set(setting::MAX_FRAME_SIZE, 1 << 24),
            protocol,
        ),
        send("6.5.2", "an unknown one", &set(0xff, 1), Want::Nothing),
        send(
            "6.5.2",
            "the largest ones",
            &[Http2Frame::settings(&[
                (setting::HEADER_TABLE_SIZE, u32::MAX),
                (setting::MAX_CONCURRENT_STREAMS, u32::MAX),
                (setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1),
                (setting::MAX_FRAME_SIZE, (1 << 24) - 1),
                (setting::MAX_HEADER_LIST_SIZE, u32::MAX),
            ])],
            Want::Nothing,
        ),
        // RFC 8441, 3: it is what a server says.
        send(
            "6.5.2",
            "ENABLE_CONNECT_PROTOCOL of 1",
            &set(setting::ENABLE_CONNECT_PROTOCOL, 1),
            Want::Nothing,
        ),
        send("6.5.3", "none", &[Http2Frame::settings(&[])], Want::Nothing),
        act(
            "6.5.3",
            "each is acknowledged",
            |client| {
                Box::pin(async move {
                    for _ in 0..3 {
                        client.send(&[Http2Frame::settings(&[(0xff, 1)])]).await;
                    }
                    for _ in 0..3 {
                        client
                            .wait("an acknowledgement", |f| {
                                f.kind == kind::SETTINGS && f.flags == flag::ACK
                            })
                            .await;
                    }
                    outcome(client, 1).await
                })
            },
            Want::Nothing,
        ),
    ])
    .await;
}

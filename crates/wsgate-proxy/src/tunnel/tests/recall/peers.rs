//! Peers that are slow, wild, or gone.

use super::*;

/// What was read and not taken is cut at the boundary: the client gets one whole frame.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_does_not_block_its_upstream() {
    let mut stage = Stage::between(8, 64);
    let frames: Vec<u8> = b"\x82\x14twenty bytes of data".repeat(100);
    let (mut from_upstream, mut to_relay) = tokio::io::split(stage.upstream);
    let flood = tokio::spawn(async move {
        to_relay.write_all(&frames).await.unwrap();
        to_relay.write_all(UPSTREAM_ANSWER).await.unwrap();
        to_relay
    });
    let closing = recall(&stage.group).await;
    // All of it goes away, and the Close comes through to the upstream.
    let mut away = [0; 23];
    from_upstream.read_exact(&mut away).await.unwrap();
    assert_eq!(away[..2], [0x88, 0x80 | 0x11]);
    let to_relay = flood.await.unwrap();

    expect(&mut stage.client, b"\x82\x14twenty bytes of data").await;
    expect(&mut stage.client, RESTART).await;
    stage.client.write_all(CLIENT_ANSWER).await.unwrap();
    expect_end(&mut stage.client).await;
    drop((stage.client, to_relay, from_upstream));
    assert_eq!(closing.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_has_its_time() {
    let mut stage = Stage::start(64);
    let start = Instant::now();
    let closing = recall(&stage.group).await;
    assert_eq!(unmasked(&mut stage.upstream).await, AWAY);
    stage.upstream.write_all(UPSTREAM_ANSWER).await.unwrap();
    expect_end(&mut stage.upstream).await;
    drop(stage.upstream);
    assert_eq!(closing.await.unwrap(), 1);
    assert_eq!(start.elapsed().as_secs(), 5);
    stage.relay.await.unwrap();
    expect(&mut stage.client, RESTART).await;
    expect_end(&mut stage.client).await;
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_goes_on_for_ever_is_cut() {
    let mut stage = Stage::start(1024);
    let start = Instant::now();
    let mut upstream = stage.upstream;
    let flood = tokio::spawn(async move {
        let frame = [&b"\x82\x7e\x01\x00"[..], &[0; 256]].concat();
        while upstream.write_all(&frame).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let mut client = tokio::spawn(async move {
        let mut seen = Vec::new();
        while !seen.ends_with(RESTART) {
            assert_ne!(stage.client.read_buf(&mut seen).await.unwrap(), 0);
        }
        stage.client.write_all(CLIENT_ANSWER).await.unwrap();
        expect_end(&mut stage.client).await;
        Instant::now()
    });
    settle().await;
    let closing = recall(&stage.group).await;
    // The client need not wait for the upstream.
    let left = (&mut client).await.unwrap();
    assert!(left - start < Duration::from_secs(1));
    assert_eq!(closing.await.unwrap(), 1);
    assert_eq!(start.elapsed().as_secs(), 5);
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_side_that_breaks_does_not_keep_the_other_from_its_close() {
    let (log, _guard) = Log::capture();
    let mut stage = Stage::start(64);
    // The rest of this has nowhere to go.
    stage.upstream.write_all(b"\x81\x05he").await.unwrap();
    let closing = recall(&stage.group).await;
    drop(stage.client);
    stage.upstream.write_all(b"llo").await.unwrap();
    assert_eq!(unmasked(&mut stage.upstream).await, AWAY);
    stage.upstream.write_all(UPSTREAM_ANSWER).await.unwrap();
    expect_end(&mut stage.upstream).await;
    drop(stage.upstream);
    assert_eq!(closing.await.unwrap(), 1);
    log.assert_has(&["cause=\"endpoint drained\""]);
}

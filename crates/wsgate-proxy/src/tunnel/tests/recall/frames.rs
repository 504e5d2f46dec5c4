//! Recalled within a frame.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_frame_that_has_begun_is_finished_first() {
    let mut stage = Stage::start(64);
    // Both in the middle of one, even of its header, and with more behind it.
    stage.client.write_all(b"\x81\x85\0\0").await.unwrap();
    stage.upstream.write_all(b"\x01\x05he").await.unwrap();
    let closing = recall(&stage.group).await;
    expect(&mut stage.upstream, b"\x81\x85\0\0").await;
    expect(&mut stage.client, b"\x01\x05he").await;

    let rest = b"\0\0hello\x81\x82\0\0\0\0no";
    stage.client.write_all(rest).await.unwrap();
    expect(&mut stage.upstream, b"\0\0hello").await;
    stage.upstream.write_all(b"ll").await.unwrap();
    stage.upstream.write_all(b"o\x80\x02no").await.unwrap();
    expect(&mut stage.client, b"llo").await;
    stage.part(closing).await;
}

/// The law: what the sink has taken is made whole frames, and then comes the Close. Wherever the source
/// stands, and however little of that the sink has taken.
#[tokio::test(start_paused = true)]
async fn whole_frames_pass_and_then_the_close() {
    let long = [&b"\x82\x7e\x00\x7e"[..], &[b'x'; 126]].concat();
    let frames: [&[u8]; 5] = [
        b"\x01\x02hi",
        b"\x89\x00",
        b"\x80\x00",
        &long,
        b"\x81\x03end",
    ];
    let all = frames.concat();
    let ends = frames.iter().scan(0, |end, frame| {
        *end += frame.len();
        Some(*end)
    });
    let boundaries: Vec<usize> = std::iter::once(0).chain(ends).collect();
    for room in [1, 7, 4096] {
        for sent in 0..=all.len() {
            let mut stage = Stage::between(room, 4096);
            stage.upstream.write_all(&all[..sent]).await.unwrap();
            let _closing = recall(&stage.group).await;
            stage.upstream.write_all(&all[sent..]).await.unwrap();
            let taken = sent.min(room);
            let whole = *boundaries.iter().find(|end| **end >= taken).unwrap();
            expect(&mut stage.client, &all[..whole]).await;
            expect(&mut stage.client, RESTART).await;
        }
    }
}

/// The rest of the frame and a Close of the source's own: one Close is enough.
#[tokio::test(start_paused = true)]
async fn a_close_that_is_half_through_is_the_only_one() {
    let mut stage = Stage::start(64);
    stage.upstream.write_all(&SERVER_CLOSE[..3]).await.unwrap();
    let closing = recall(&stage.group).await;
    assert_eq!(unmasked(&mut stage.upstream).await, AWAY);
    stage.upstream.write_all(&SERVER_CLOSE[3..]).await.unwrap();
    expect(&mut stage.client, SERVER_CLOSE).await;
    stage.client.write_all(CLIENT_CLOSE).await.unwrap();
    expect_end(&mut stage.client).await;
    expect_end(&mut stage.upstream).await;
    drop((stage.client, stage.upstream));
    assert_eq!(closing.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_does_not_end_is_cut_when_the_time_is_over() {
    let mut stage = Stage::start(64);
    stage
        .upstream
        .write_all(b"\x82\x7e\xff\xffmore")
        .await
        .unwrap();
    let start = Instant::now();
    let closing = recall(&stage.group).await;
    closing.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    expect(&mut stage.client, b"\x82\x7e\xff\xffmore").await;
    expect_end(&mut stage.client).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ends_within_its_frame_leaves_no_place_for_a_close() {
    let mut stage = Stage::start(64);
    stage.upstream.write_all(b"\x81\x05he").await.unwrap();
    let _closing = recall(&stage.group).await;
    assert_eq!(unmasked(&mut stage.upstream).await, AWAY);
    drop(stage.upstream);
    expect(&mut stage.client, b"\x81\x05he").await;
    expect_end(&mut stage.client).await;
}

//! Heads that are too long, never end, or are small on the wire only.

use bytes::Bytes;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, block, code, flag, kind, put_integer, put_string};
use wsgate_tests::trace;
use wsgate_tests::upstream::script;

use super::{GET, Scene, connect};

/// CONTINUATION without an end (CVE-2024-27983 and its kin): 64 MiB are on offer.
async fn flood_of_continuations(first: Vec<u8>, piece: Vec<u8>) {
    let _trace = trace::init();
    let mut scene = Scene::start().await;
    let mut attacker = scene.attacker().await;
    let head = Http2Frame::new(kind::HEADERS, 0, 1, first);
    attacker.send(&[head]).await;
    let more = Http2Frame::continuation(1, piece, false).to_bytes();
    let more = more.repeat(16_384 / more.len() + 1);
    let mut sent = 0;
    while sent < 64 << 20 && attacker.try_send(&more).await.is_ok() {
        sent += more.len();
    }
    assert!(sent < 64 << 20, "all of it was taken");
    // A reset may overtake the word.
    let code = attacker.goodbye().await;
    assert!(
        matches!(
            code,
            None | Some(code::ENHANCE_YOUR_CALM | code::COMPRESSION_ERROR)
        ),
        "{code:?}"
    );
    scene.is_quiet().await;
    assert_eq!(scene.join().await.len(), 0);
}

#[tokio::test]
async fn continuations_with_fields_have_an_end() {
    flood_of_continuations(block(GET), block(&[("x-more", &"a".repeat(1000))])).await;
}

#[tokio::test]
async fn so_have_those_with_a_byte_of_a_field() {
    // Its value is as long as they say it is.
    let mut first = block(GET);
    first.extend([0x00, 1, b'a']);
    put_integer(&mut first, 0, 7, 1 << 27);
    flood_of_continuations(first, b"a".to_vec()).await;
}

#[tokio::test]
async fn and_those_with_nothing() {
    flood_of_continuations(block(GET), Vec::new()).await;
}

/// A field of 4 KiB, put in the table once, and then named by a byte: 64 MiB of fields in a frame.
#[tokio::test]
async fn a_small_head_that_is_large_inside_is_refused() {
    let _trace = trace::init();
    for (times, expected) in [
        (2, Outcome::Status(200)),
        // More than there may be is refused politely, and four times that is an attack.
        (10, Outcome::Status(431)),
        (16_000, Outcome::GoneAway(code::ENHANCE_YOUR_CALM)),
    ] {
        let scene = Scene::start().await;
        let mut attacker = scene.attacker().await;
        let mut bomb = block(GET);
        bomb.push(0x40);
        put_string(&mut bomb, b"x-bomb");
        put_string(&mut bomb, &[b'a'; 4000]);
        // The first of the dynamic table.
        bomb.extend(std::iter::repeat_n(0xbe, times));
        let frames: Vec<_> = bomb.chunks(16_384).collect();
        let last = frames.len() - 1;
        for (at, piece) in frames.iter().enumerate() {
            let end = if at == last { flag::END_HEADERS } else { 0 };
            let kind = if at == 0 {
                kind::HEADERS
            } else {
                kind::CONTINUATION
            };
            let end_stream = if at == 0 { flag::END_STREAM } else { 0 };
            let piece = Bytes::copy_from_slice(piece);
            attacker
                .send(&[Http2Frame::new(kind, end | end_stream, 1, piece)])
                .await;
        }
        assert_eq!(attacker.answer(1).await, expected, "{times}");
        drop(attacker);
        scene.join().await;
    }
}

/// The most is 32 KiB, each field counted with 32 bytes more; many small ones are no way round it.
#[tokio::test]
async fn a_head_has_a_limit() {
    let _trace = trace::init();
    let mut scene = Scene::before(script::recording(None)).await;
    let mut stream = 1;
    let mut attacker = scene.attacker().await;
    let value = "a".repeat(1000);
    for (fields, each, expected) in [
        (30, &*value, Outcome::Status(200)),
        (33, &value, Outcome::Status(431)),
        (800, "", Outcome::Status(200)),
        (950, "", Outcome::Status(431)),
    ] {
        let many = vec![("x-a", each); fields];
        let head = block(&[&connect("localhost")[..], &many].concat());
        // As many frames as it takes.
        let mut pieces = head.chunks(16_000);
        let first = pieces.next().unwrap().to_vec();
        let mut frames = vec![Http2Frame::new(kind::HEADERS, 0, stream, first)];
        frames.extend(pieces.map(|piece| Http2Frame::continuation(stream, piece.to_vec(), false)));
        frames.push(Http2Frame::continuation(stream, Bytes::new(), true));
        attacker.send(&frames).await;
        assert_eq!(
            attacker.answer(stream).await,
            expected,
            "{fields} of {}",
            each.len()
        );
        stream += 2;
    }
    scene.is_quiet().await;
    drop(attacker);
    assert_eq!(scene.join().await.len(), 2);
}

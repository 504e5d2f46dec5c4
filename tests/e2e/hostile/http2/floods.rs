//! Frames that cost their sender nothing, over and over.

use bytes::Bytes;
use wsgate_tests::alone::{alone, memory};
use wsgate_tests::client::frames::{code, kind};
use wsgate_tests::client::{Frames, Http2Frame};
use wsgate_tests::{trace, within};

use super::{GET, Scene, open};

/// Sends these frames again and again, reads nothing, and ends when the connection does.
async fn flood(mut attacker: Frames, first: Vec<Http2Frame>, again: Vec<Http2Frame>) -> Frames {
    attacker.send(&first).await;
    let again: Vec<u8> = again.iter().flat_map(Http2Frame::to_bytes).collect();
    let again = again.repeat(16_384 / again.len() + 1);
    while attacker.try_send_patiently(&again).await.is_ok() {}
    attacker
}

/// What nobody forbids is taken at the pace at which it is answered: whoever reads no answers stops
/// himself, and holds nothing meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_is_held_back_by_its_answers() {
    if !alone("hostile::http2::floods::what_is_answered_is_held_back_by_its_answers").await {
        return;
    }
    let _trace = trace::init();
    let mut scene = Scene::start().await;
    scene.is_quiet().await;
    let settings = Http2Frame::settings(&[(0x3, 100)]);
    let unknown = Http2Frame::new(0xfa, 0xff, 0, vec![0; 1000]);
    for (name, first, again) in [
        ("SETTINGS", vec![], vec![settings]),
        ("PING", vec![], vec![Http2Frame::ping([0; 8])]),
        ("PRIORITY", vec![], vec![Http2Frame::priority(1, 3)]),
        ("unknown frames", vec![], vec![unknown]),
        (
            "WINDOW_UPDATE",
            vec![open(1)],
            vec![
                Http2Frame::window_update(1, 1),
                Http2Frame::window_update(0, 1),
            ],
        ),
        (
            "RST_STREAM",
            vec![open(1)],
            vec![Http2Frame::reset(1, code::CANCEL)],
        ),
    ] {
        let before = memory();
        let attack = tokio::spawn(flood(scene.attacker().await, first, again));
        for _ in 0..10 {
            scene.is_quiet().await;
        }
        let more = memory().saturating_sub(before);
        assert!(more < 8 << 20, "a flood of {name} takes {more} bytes");
        attack.abort();
        let _ = attack.await;
    }
    scene.join().await;
}

/// Ends with ENHANCE_YOUR_CALM, or with nothing where the socket broke first.
async fn ends(first: Vec<Http2Frame>, again: Vec<Http2Frame>) {
    let _trace = trace::init();
    let mut scene = Scene::start().await;
    let attack = flood(scene.attacker().await, first, again);
    let mut attacker = within("the end of a flood", attack).await;
    let code = attacker.goodbye().await;
    assert!(
        matches!(code, None | Some(code::ENHANCE_YOUR_CALM)),
        "{code:?}"
    );
    scene.is_quiet().await;
    scene.join().await;
}

#[tokio::test]
async fn empty_data_has_an_end() {
    ends(
        vec![open(1)],
        vec![Http2Frame::data(1, Bytes::new(), false)],
    )
    .await;
}

#[tokio::test]
async fn and_so_has_padding_round_nothing() {
    let padded = Http2Frame::new(kind::DATA, 0x8, 1, [&[0xff][..], &[0; 0xff]].concat());
    ends(vec![open(1)], vec![padded]).await;
}

/// Data for a page that reads none.
#[tokio::test]
async fn and_data_that_nobody_reads() {
    let post = [&[(":method", "POST")], &GET[1..]].concat();
    let first = Http2Frame::headers(1, &post, false);
    ends(vec![first], vec![Http2Frame::data(1, b"a".to_vec(), false)]).await;
}

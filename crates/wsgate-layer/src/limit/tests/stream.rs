use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, advance},
};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use wsgate_frame::{CloseCode, ControlFrame, Role};

use super::*;
use crate::{
    guard::{
        Guarded,
        tests::{Peer, Scripted, scripted, upgrade},
    },
    limit::{
        Excess, Rate,
        gate::Permit,
        policy::{LimitPolicy, StreamLimits},
    },
};

/// The handler's end, and the client.
fn limited(limits: StreamLimits) -> (Guarded<Scripted, LimitPolicy>, Peer) {
    let (io, client) = scripted();
    let upgrade = upgrade();
    let policy = LimitPolicy::new(limits, upgrade.tunnel.clone(), Permit::default());
    (Guarded::new(io, Role::Client, policy, &upgrade), client)
}

/// A text frame of a client, with a mask of zeros.
fn text(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend(payload.as_bytes());
    frame
}

fn close(code: CloseCode, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    ControlFrame::close(code, reason, mask).unwrap().to_vec()
}

/// What the handler reads until the end.
async fn all(io: &mut Guarded<Scripted, LimitPolicy>) -> Vec<u8> {
    let mut seen = Vec::new();
    io.read_to_end(&mut seen).await.unwrap();
    seen
}

/// What is left of a Close frame from the client's side, unmasked.
fn unmasked(frame: &[u8]) -> Vec<u8> {
    let mut payload = frame[6..].to_vec();
    wsgate_frame::apply_mask(&mut payload, frame[2..6].try_into().unwrap(), 0);
    payload
}

fn message_size(bytes: u64) -> StreamLimits {
    StreamLimits {
        message_size: Some(bytes),
        ..StreamLimits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_big_never_reaches_the_handler() {
    let (mut io, client) = limited(message_size(5));
    client.sends(&[text("hello"), text("too big")].concat());
    let mut seen = [0; 100];
    let n = io.read(&mut seen).await.unwrap();
    assert_eq!(seen[..n], text("hello"));

    let mut rest = tokio_test::task::spawn(all(&mut io));
    assert_pending!(rest.poll());
    let reason = "message too big";
    let told = close(CloseCode::MESSAGE_TOO_BIG, reason, None);
    assert_eq!(client.got(), told);
    client.sends(&close(CloseCode::MESSAGE_TOO_BIG, "", Some([0; 4])));
    // The frame that was refused is no end for the handler; the Close that stands for it is.
    let seen = assert_ready!(rest.poll());
    assert_eq!(unmasked(&seen), told[2..]);
}

/// Byte for byte, so that the header comes in pieces and is known before the payload.
#[tokio::test(start_paused = true)]
async fn a_header_is_enough() {
    let (mut io, client) = limited(message_size(100));
    let mut gigabyte = vec![0x82, 0xff];
    gigabyte.extend((1u64 << 30).to_be_bytes());
    gigabyte.extend([0; 4]);
    client.dribbles(&gigabyte);
    let mut seen = tokio_test::task::spawn(all(&mut io));
    assert_pending!(seen.poll());
    let told = close(CloseCode::MESSAGE_TOO_BIG, "message too big", None);
    assert_eq!(client.got(), told);
    // Nothing of the header went to the handler, which then is told at a boundary.
    client.ends();
    assert_eq!(unmasked(&assert_ready!(seen.poll())), told[2..]);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_held_back_until_its_debt_is_paid() {
    let (mut io, client) = limited(StreamLimits {
        message_rate: Some(Rate::per_second(1).burst(2)),
        ..StreamLimits::default()
    });
    let start = Instant::now();
    for _ in 0..4 {
        client.sends(&text("hello"));
    }
    let frame = text("hello").len();
    let mut seen = vec![0; 4 * frame];
    // Two at once, and one on credit.
    for _ in 0..3 {
        assert_eq!(io.read(&mut seen).await.unwrap(), frame);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(io.read(&mut seen).await.unwrap(), frame);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// The pause is for reading only.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_held_back_is_still_written_to() {
    let (mut io, client) = limited(StreamLimits {
        byte_rate: Some(Rate::per_second(1).burst(1)),
        ..StreamLimits::default()
    });
    client.sends(&text("hello"));
    client.sends(&text("again"));
    let mut seen = [0; 100];
    let n = io.read(&mut seen).await.unwrap();
    assert_eq!(n, text("hello").len());
    {
        let mut read = tokio_test::task::spawn(io.read(&mut seen));
        assert_pending!(read.poll());
        advance(Duration::from_secs(9)).await;
        assert_pending!(read.poll());
    }
    let answer = [0x81, 2, b'o', b'k'];
    assert_ready_ok!(tokio_test::task::spawn(io.write_all(&answer)).poll());
    assert_eq!(client.got(), answer);
    advance(Duration::from_secs(2)).await;
    let mut read = tokio_test::task::spawn(io.read(&mut seen));
    assert_eq!(assert_ready_ok!(read.poll()), n);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_too_fast_may_be_closed() {
    let (mut io, client) = limited(StreamLimits {
        message_rate: Some(Rate::per_second(1).burst(2)),
        excess: Excess::Close,
        ..StreamLimits::default()
    });
    client.sends(&[text("one"), text("two"), text("three")].concat());
    let mut seen = tokio_test::task::spawn(all(&mut io));
    assert_pending!(seen.poll());
    let told = close(CloseCode::POLICY_VIOLATION, "too many messages", None);
    assert_eq!(client.got(), told);
    // It does not answer: after its time the handler is told all the same.
    advance(Duration::from_secs(5)).await;
    let seen = assert_ready!(seen.poll());
    let (messages, told_handler) = seen.split_at(2 * text("one").len());
    assert_eq!(messages, [text("one"), text("two")].concat());
    assert_eq!(unmasked(told_handler), told[2..]);
    assert!(client.is_cut());
}

#[tokio::test(start_paused = true)]
async fn without_limits_everything_passes_as_it_is() {
    let (mut io, client) = limited(StreamLimits::default());
    let mut sent = [text("hello"), vec![0xff; 10]].concat();
    sent.extend(text("garbage"));
    client.dribbles(&sent);
    client.ends();
    assert_eq!(all(&mut io).await, sent);
}

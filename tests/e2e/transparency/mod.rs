//! What one side sends is what the other side gets, over either protocol of the client: every byte,
//! every end, and a word of ours only where the upstream went without one.

mod closes;
mod ends;
mod frames;
mod size;

use wsgate_tests::stage::Ends;
use wsgate_tests::{End, Frame, Tunnel};

/// Sends these bytes on one side and sees them, and no others before them, on the other.
async fn passes(from: &mut Tunnel, to: &mut Tunnel, bytes: &[u8]) {
    let ((), arrived) = tokio::join!(from.send_raw(bytes), to.raw(bytes.len()));
    assert!(arrived == bytes, "{bytes:02x?} became {arrived:02x?}");
}

/// The bytes of these frames, as a client sends them.
fn masked(frames: &[Frame]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let frames = frames.iter().cloned();
    frames.flat_map(|f| f.masked(key).to_bytes()).collect()
}

/// The bytes of these frames, as a server sends them.
fn unmasked(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::to_bytes).collect()
}

/// Closes from the client's side.
async fn close(mut ends: Ends) {
    ends.client.send(Frame::close(1000, "")).await;
    assert_eq!(
        ends.upstream.frame().await.unmasked(),
        Frame::close(1000, "")
    );
    ends.upstream.send(Frame::close(1000, "")).await;
    assert_eq!(ends.client.frame().await, Frame::close(1000, ""));
    finish(ends).await;
}

/// Ends both connections in order, the upstream's first, as RFC 6455, 7.1.1 would have it. Nothing
/// must be under way any more.
async fn finish(ends: Ends) {
    let Ends {
        mut client,
        mut upstream,
        ..
    } = ends;
    upstream.shutdown().await;
    assert!(matches!(client.end().await, End::Eof));
    client.shutdown().await;
    assert!(matches!(upstream.end().await, End::Eof));
}

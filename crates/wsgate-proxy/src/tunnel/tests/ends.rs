//! How a tunnel ends, and what each side is told.

use wsgate_layer::upgrade::ConnectionIo;

use super::*;
use crate::connect::UpstreamStream;

#[tokio::test(start_paused = true)]
async fn a_half_close_leaves_the_other_direction_open() {
    let (mut client, mut upstream, relay) = relay(64);
    client.shutdown().await.unwrap();
    expect_end(&mut upstream).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    upstream.write_all(b"\x81\x04more").await.unwrap();
    expect(&mut client, b"\x81\x04more").await;
    upstream.write_all(SERVER_CLOSE).await.unwrap();
    upstream.shutdown().await.unwrap();
    expect(&mut client, SERVER_CLOSE).await;
    expect_end(&mut client).await;
    relay.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_when_its_upstream_is_lost() {
    let (log, _guard) = Log::capture();
    let (mut client, mut upstream, relay) = relay(64);
    upstream.write_all(b"\x81\x02hi").await.unwrap();
    drop(upstream);
    expect(&mut client, b"\x81\x02hi").await;
    expect(&mut client, LOST).await;
    expect_end(&mut client).await;
    drop(client);
    relay.await.unwrap();
    // The farewell is ours, not the upstream's.
    log.assert_has(&[
        "upstream_bytes=4",
        "closed_by=\"upstream\"",
        "cause=\"connection ended without a close\"",
    ]);
}

/// In the middle of a frame a Close would become part of it.
#[tokio::test(start_paused = true)]
async fn no_close_is_put_into_a_frame() {
    let (mut client, mut upstream, _relay) = relay(64);
    upstream.write_all(b"\x81\x05hal").await.unwrap();
    drop(upstream);
    expect(&mut client, b"\x81\x05hal").await;
    expect_end(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn no_close_follows_an_end_that_was_expected() {
    let (mut client, mut upstream, _relay) = relay(64);
    upstream.write_all(SERVER_CLOSE).await.unwrap();
    drop(upstream);
    expect(&mut client, SERVER_CLOSE).await;
    expect_end(&mut client).await;

    // An upstream that follows its client's end, as servers do.
    let (mut client, mut upstream, _relay) = relay(64);
    client.shutdown().await.unwrap();
    expect_end(&mut upstream).await;
    drop(upstream);
    expect_end(&mut client).await;

    // An upstream that answers a Close by ending the connection.
    let (mut client, mut upstream, _relay) = relay(64);
    client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut upstream, CLIENT_CLOSE).await;
    drop(upstream);
    expect_end(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn both_have_closed_and_neither_ends() {
    let (log, _guard) = Log::capture();
    let (mut client, mut upstream, relay) = relay(64);
    client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut upstream, CLIENT_CLOSE).await;
    upstream.write_all(SERVER_CLOSE).await.unwrap();
    expect(&mut client, SERVER_CLOSE).await;
    let closed = Instant::now();
    relay.await.unwrap();
    assert_eq!(closed.elapsed().as_secs(), 5);
    log.assert_has(&["closed_by=\"client\"", "cause=\"close\""]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_ends_the_tunnel_and_is_named() {
    let (log, _guard) = Log::capture();
    let broken = tokio_test::io::Builder::new()
        .read(b"\x81\x02hi")
        .read_error(io::ErrorKind::ConnectionReset.into())
        .build();
    let (mut client, near) = duplex(64);
    let relay = tokio::spawn(relay_of(near, broken));
    expect(&mut client, b"\x81\x02hi").await;
    expect(&mut client, LOST).await;
    expect_end(&mut client).await;
    // The client does not end its side: the tunnel does not wait for it.
    relay.await.unwrap();
    log.assert_has(&[
        "closed_by=\"upstream\"",
        "cause=\"connection lost\"",
        "error=\"connection reset\"",
    ]);
}

/// What the client sends meets the loss first; reading then finds only that nothing more comes.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_sending_is_told_when_its_upstream_is_lost() {
    let (log, _guard) = Log::capture();
    let broken = tokio_test::io::Builder::new()
        .write_error(io::ErrorKind::TimedOut.into())
        .build();
    let (mut client, near) = duplex(64);
    let relay = tokio::spawn(relay_of(near, broken));
    client.write_all(b"\x81\x80\0\0\0\0").await.unwrap();
    expect(&mut client, LOST).await;
    expect_end(&mut client).await;
    relay.await.unwrap();
    log.assert_has(&[
        "closed_by=\"upstream\"",
        "cause=\"connection lost\"",
        "error=\"timed out\"",
    ]);
}

/// rustls reports it with a link to its manual, which is no use in a log.
#[tokio::test(start_paused = true)]
async fn a_client_that_just_vanishes_is_named_in_few_words() {
    let (log, _guard) = Log::capture();
    let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "see https://docs.example");
    let vanished = tokio_test::io::Builder::new().read_error(eof).build();
    let (mut upstream, far) = duplex(64);
    let relay = tokio::spawn(relay_of(vanished, far));
    expect_end(&mut upstream).await;
    drop(upstream);
    relay.await.unwrap();
    log.assert_has(&[
        "closed_by=\"client\"",
        "cause=\"connection lost\"",
        "error=\"ended without a TLS close_notify\"",
    ]);
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_said_last_arrives_though_it_takes_nothing_more() {
    let (mut client, mut upstream, relay) = relay(64);
    // Its last words are under way when our write to it fails.
    upstream.write_all(SERVER_CLOSE).await.unwrap();
    drop(upstream);
    client.write_all(b"\x81\x80\0\0\0\0").await.unwrap();
    expect(&mut client, SERVER_CLOSE).await;
    expect_end(&mut client).await;
    relay.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_dropped_is_logged_as_aborted() {
    let (log, _guard) = Log::capture();
    let ((_client, near), (_upstream, far)) = (duplex(64), duplex(64));
    {
        let mut relay = pin!(relay_of(near, far));
        assert!(futures_poll(relay.as_mut()).is_pending());
    }
    log.assert_has(&["closed_by=\"gateway\"", "cause=\"aborted\""]);
}

fn futures_poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(std::task::Waker::noop()))
}

/// The future is what an idle tunnel costs beside its two streams, with nothing pending in it.
#[tokio::test(start_paused = true)]
async fn an_idle_relay_holds_no_buffer() {
    // With what tokio adds, it fills half a kilobyte: tasks come in multiples of 128 bytes.
    let size = size_of::<Relay<ConnectionIo, UpstreamStream>>();
    assert!(size <= 408, "{size} bytes");

    let ((mut client, near), (_upstream, far)) = (duplex(64), duplex(64));
    let mut relay = task::spawn(relay_of(near, far));
    client.write_all(b"\x81\x80\0\0\0\0").await.unwrap();
    assert_pending!(relay.poll());
    assert_eq!(format!("{:?}", *relay).matches("pending: None").count(), 2);
}

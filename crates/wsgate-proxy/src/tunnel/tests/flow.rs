//! What passes, in which pieces, and what waits.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_conversation_and_its_close_pass_and_are_logged() {
    let (log, _guard) = Log::capture();
    let (mut client, mut upstream, relay) = relay(64);
    client.write_all(b"\x81\x85\0\0\0\0hello").await.unwrap();
    expect(&mut upstream, b"\x81\x85\0\0\0\0hello").await;
    upstream.write_all(b"\x81\x02hi").await.unwrap();
    expect(&mut client, b"\x81\x02hi").await;

    upstream.write_all(SERVER_CLOSE).await.unwrap();
    expect(&mut client, SERVER_CLOSE).await;
    client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut upstream, CLIENT_CLOSE).await;
    upstream.shutdown().await.unwrap();
    expect_end(&mut client).await;
    client.shutdown().await.unwrap();
    expect_end(&mut upstream).await;
    relay.await.unwrap();
    log.assert_has(&[
        "client_bytes=22",
        "client_messages=1",
        "upstream_bytes=11",
        "upstream_messages=1",
        "closed_by=\"upstream\"",
        "cause=\"close\"",
        "close_code=1000",
        "close_reason=\"bye\"",
    ]);
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_101_goes_first() {
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    upstream.write_all(b"\x81\x04late").await.unwrap();
    let relay = relay_of(near, far).with_early_data(Bytes::from_static(b"\x81\x05early"));
    let _relay = tokio::spawn(relay);
    expect(&mut client, b"\x81\x05early\x81\x04late").await;
}

/// What breaks the rules, or no frame at all, is between the two ends.
#[tokio::test(start_paused = true)]
async fn violations_pass_and_are_logged() {
    let (log, _guard) = Log::capture();
    let (mut client, mut upstream, relay) = relay(64);
    client
        .write_all(b"\x81\x02no\xff\xff\xff\xff")
        .await
        .unwrap();
    expect(&mut upstream, b"\x81\x02no\xff\xff\xff\xff").await;
    drop((client, upstream));
    relay.await.unwrap();
    log.assert_has(&[
        "client_violation=\"client frame without a mask\"",
        "closed_by=\"client\"",
    ]);
}

#[tokio::test(start_paused = true)]
async fn every_byte_arrives_in_order_through_the_smallest_pipes() {
    for pipe in [1, 2, 3, 7, 64] {
        let (client, upstream, relay) = relay(pipe);
        let (mut client_read, mut client_write) = tokio::io::split(client);
        let (mut upstream_read, mut upstream_write) = tokio::io::split(upstream);
        // Frames of every length class, with a Close behind so that no farewell is added.
        let mut up = Vec::new();
        for len in [0u16, 1, 125, 126, 5000] {
            up.extend([0x82, 0xfe]);
            up.extend(len.to_be_bytes());
            up.extend([0; 4]);
            up.extend((0..len).map(|i| i as u8));
        }
        let mut down: Vec<u8> = up.iter().map(|b| b ^ 0x55).collect();
        down.splice(0..0, SERVER_CLOSE.iter().copied());
        let (sent_up, sent_down) = (up.clone(), down.clone());
        tokio::join!(
            async {
                client_write.write_all(&sent_up).await.unwrap();
                client_write.shutdown().await.unwrap()
            },
            async {
                upstream_write.write_all(&sent_down).await.unwrap();
                upstream_write.shutdown().await.unwrap()
            },
            async {
                let mut b = vec![];
                upstream_read.read_to_end(&mut b).await.unwrap();
                assert_eq!(b, up)
            },
            async {
                let mut b = vec![];
                client_read.read_to_end(&mut b).await.unwrap();
                assert_eq!(b, down)
            },
        );
        relay.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_stops_the_fast_writer() {
    let (mut client, mut upstream, _relay) = relay(1024);
    let flood = tokio::spawn(async move {
        let mut taken = 0;
        let chunk = [0; 1024];
        while tokio::time::timeout(Duration::from_secs(1), upstream.write_all(&chunk))
            .await
            .is_ok()
        {
            taken += chunk.len();
        }
        taken
    });
    // Two pipes, and what was read but not taken.
    assert!(flood.await.unwrap() <= 3 * 1024);
    // Nothing of it is lost.
    let mut first = [1; 2048];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0; 2048]);
}

// ===== flushes, pieces, fairness =====

/// Always has more to give, and takes all that it is given.
#[derive(Default)]
struct Endless {
    reads: usize,
    writes: Vec<usize>,
    flushes: usize,
    /// Polls of the flush that stay pending.
    slow_flushes: usize,
    quiet: bool,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.quiet {
            return Poll::Pending;
        }
        self.reads += 1;
        let n = buf.remaining();
        buf.put_slice(&vec![0; n]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.push(buf.len());
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        match self.slow_flushes.checked_sub(1) {
            Some(left) => {
                self.slow_flushes = left;
                Poll::Pending
            }
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_tunnel_lets_others_go_on() {
    let (mut client, mut upstream) = (
        Endless {
            quiet: true,
            ..Endless::default()
        },
        Endless::default(),
    );
    let mut relay = task::spawn(relay_of(&mut client, &mut upstream));
    assert_pending!(relay.poll());
    assert!(relay.is_woken(), "or it would never go on");
    assert_pending!(relay.poll());
    drop(relay);
    assert_eq!(upstream.reads, 32);
}

#[tokio::test(start_paused = true)]
async fn writes_to_the_client_are_capped() {
    let (mut client, mut upstream) = (
        Endless {
            quiet: true,
            ..Endless::default()
        },
        Endless::default(),
    );
    let relay = relay_of(&mut client, &mut upstream).with_client_writes_of(16 * 1024);
    let mut relay = task::spawn(relay);
    assert_pending!(relay.poll());
    drop(relay);
    assert_eq!(client.writes, [16 * 1024; 16]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_follows_when_the_source_runs_dry_and_is_not_forgotten() {
    let mut client = Endless {
        quiet: true,
        slow_flushes: 1,
        ..Endless::default()
    };
    let (mut upstream, near) = duplex(64);
    upstream.write_all(b"\x81\x02hi").await.unwrap();
    let mut relay = task::spawn(relay_of(&mut client, near));
    assert_pending!(relay.poll());
    assert_pending!(relay.poll());
    assert_pending!(relay.poll());
    drop(relay);
    // One stayed pending, one was made good, and then there was nothing to flush.
    assert_eq!((client.writes.len(), client.flushes), (1, 2));
}

//! The relay between scripted streams, with the clock paused.

use std::{
    io::{self, Write},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    task::JoinHandle,
    time::Instant,
};
use tokio_test::{assert_pending, assert_ready, task};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::relay::Relay;

/// Close 1000 "bye" as a server sends it, and masked with zeros as a client does.
const SERVER_CLOSE: &[u8] = b"\x88\x05\x03\xe8bye";
const CLIENT_CLOSE: &[u8] = b"\x88\x85\0\0\0\0\x03\xe8bye";
/// The farewell to a client whose upstream is lost.
const LOST: &[u8] = b"\x88\x0f\x03\xf6upstream lost";

/// The far ends of a relay.
struct Ends {
    client: DuplexStream,
    upstream: DuplexStream,
    relay: JoinHandle<()>,
}

fn relay(pipe: usize) -> Ends {
    let ((client, near), (upstream, far)) = (duplex(pipe), duplex(pipe));
    let relay = tokio::spawn(Relay::new(near, far));
    Ends {
        client,
        upstream,
        relay,
    }
}

async fn expect(io: &mut DuplexStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    io.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, expected);
}

async fn expect_end(io: &mut DuplexStream) {
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

// ===== what is logged =====

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false);
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    #[track_caller]
    fn assert_has(&self, fields: &[&str]) {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        for field in fields {
            assert!(log.contains(field), "{field} is not in {log}");
        }
    }
}

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

// ===== both ways =====

#[tokio::test(start_paused = true)]
async fn a_conversation_and_its_close_pass_and_are_logged() {
    let (log, _guard) = Log::capture();
    let Ends {
        mut client,
        mut upstream,
        relay,
    } = relay(64);
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
    let relay = Relay::new(near, far).with_early_data(Bytes::from_static(b"\x81\x05early"));
    let _relay = tokio::spawn(relay);
    expect(&mut client, b"\x81\x05early\x81\x04late").await;
}

/// What breaks the rules, or no frame at all, is between the two ends.
#[tokio::test(start_paused = true)]
async fn violations_pass_and_are_logged() {
    let (log, _guard) = Log::capture();
    let Ends {
        mut client,
        mut upstream,
        relay,
    } = relay(64);
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
        let Ends {
            client,
            upstream,
            relay,
        } = relay(pipe);
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
    let Ends {
        mut client,
        mut upstream,
        relay: _relay,
    } = relay(1024);
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
    let mut relay = task::spawn(Relay::new(&mut client, &mut upstream));
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
    let relay = Relay::new(&mut client, &mut upstream).with_client_writes_of(16 * 1024);
    let mut relay = task::spawn(relay);
    assert_pending!(relay.poll());
    drop(relay);
    assert_eq!(client.writes, [16 * 1024; 64]);
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
    let mut relay = task::spawn(Relay::new(&mut client, near));
    assert_pending!(relay.poll());
    assert_pending!(relay.poll());
    assert_pending!(relay.poll());
    drop(relay);
    // One stayed pending, one was made good, and then there was nothing to flush.
    assert_eq!((client.writes.len(), client.flushes), (1, 2));
}

// ===== ends =====

#[tokio::test(start_paused = true)]
async fn a_half_close_leaves_the_other_direction_open() {
    let Ends {
        mut client,
        mut upstream,
        relay,
    } = relay(64);
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
    let Ends {
        mut client,
        mut upstream,
        relay,
    } = relay(64);
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
    let Ends {
        mut client,
        mut upstream,
        ..
    } = relay(64);
    upstream.write_all(b"\x81\x05hal").await.unwrap();
    drop(upstream);
    expect(&mut client, b"\x81\x05hal").await;
    expect_end(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn no_close_follows_a_close_of_either_side() {
    let Ends {
        mut client,
        mut upstream,
        ..
    } = relay(64);
    upstream.write_all(SERVER_CLOSE).await.unwrap();
    drop(upstream);
    expect(&mut client, SERVER_CLOSE).await;
    expect_end(&mut client).await;

    // An upstream that answers a Close by ending the connection.
    let Ends {
        mut client,
        mut upstream,
        ..
    } = relay(64);
    client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut upstream, CLIENT_CLOSE).await;
    drop(upstream);
    expect_end(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn both_have_closed_and_neither_ends() {
    let (log, _guard) = Log::capture();
    let Ends {
        mut client,
        mut upstream,
        relay,
    } = relay(64);
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
    let relay = tokio::spawn(Relay::new(near, broken));
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

#[tokio::test(start_paused = true)]
async fn what_a_peer_said_last_arrives_though_it_takes_nothing_more() {
    let Ends {
        mut client,
        mut upstream,
        relay,
    } = relay(64);
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
        let mut relay = pin!(Relay::new(near, far));
        assert!(futures_poll(relay.as_mut()).is_pending());
    }
    log.assert_has(&["closed_by=\"gateway\"", "cause=\"aborted\""]);
}

fn futures_poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn an_idle_relay_holds_no_buffer() {
    // The future itself is what an idle tunnel costs beside its two streams.
    assert!(
        size_of::<Relay<(), ()>>() <= 448,
        "{}",
        size_of::<Relay<(), ()>>()
    );
    let ((mut client, near), (_upstream, far)) = (duplex(64), duplex(64));
    let mut relay = task::spawn(Relay::new(near, far));
    client.write_all(b"\x81\x80\0\0\0\0").await.unwrap();
    assert_pending!(relay.poll());
    assert!(format!("{:?}", *relay).matches("pending: b\"\"").count() == 2);
    drop(client);
    let _ = relay.poll();
    assert!(assert_ready!(Poll::Ready(true)));
}

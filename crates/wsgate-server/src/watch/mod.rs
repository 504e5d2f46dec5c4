//! The limits that hyper does not have: how long an answer may wait to be read, and how long a
//! connection over HTTP/2 may have nothing to do.
//!
//! ```text
//!   socket ── TLS ── Watched ── hyper ── Connection ── the app
//!                       ▲                    │
//!                       └── was upgraded ────┘
//! ```
//!
//! A [`Watched`] stream stands below hyper until the connection is upgraded. What a handler then finds
//! inside of hyper's `Upgraded` lets everything pass.

mod acceptor;
mod blocked;
mod frames;
mod streams;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tracing::debug;
use wsgate_tls::Watch;

pub(crate) use self::acceptor::Watching;
use self::blocked::Blocked;
use self::streams::Streams;
use crate::limits::Limits;
#[cfg(doc)]
use wsgate_tls::Watched;

/// Whether a connection was upgraded, and is no business of HTTP's any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upgraded(Arc<AtomicBool>);

/// A service that knows of its connection's upgrade.
pub(crate) trait KnowsUpgrade {
    fn upgraded(&self) -> Upgraded;
}

/// What one connection is watched by.
struct Connection {
    upgraded: Upgraded,
    blocked: Blocked,
    /// What is in the connection, as far as it is HTTP/2.
    streams: Streams,
    idle: Duration,
    /// When the connection has had nothing to do for long enough.
    idles_until: Option<Pin<Box<Sleep>>>,
}

// ===== impl Upgraded =====

impl Upgraded {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

// ===== impl Connection =====

impl Connection {
    fn new(upgraded: Upgraded, limits: &Limits) -> Self {
        Self {
            upgraded,
            blocked: Blocked::new(limits.send),
            streams: Streams::default(),
            idle: limits.http2_idle,
            idles_until: None,
        }
    }
}

impl Watch for Connection {
    fn is_over(&self) -> bool {
        // The 101 is to be taken, as any answer.
        self.upgraded.get() && !self.blocked.is_waiting()
    }

    fn on_read(&mut self, bytes: &[u8]) {
        self.streams.on_read(bytes);
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Box<[u8]>>> {
        // Over HTTP/1.1 hyper has a limit.
        if !self.streams.are_idle() {
            self.idles_until = None;
            return Poll::Pending;
        }
        let idle = self.idle;
        let until = self
            .idles_until
            // No overflow: limits end at a day.
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + idle)));
        ready!(until.as_mut().poll(cx));
        debug!("an HTTP/2 connection has had no request for too long");
        Poll::Ready(self.streams.go_away())
    }

    fn on_write(&mut self, bytes: &[u8]) {
        self.blocked.on_taken(bytes.len());
        self.streams.on_write(bytes);
    }

    fn on_flush(&mut self) {
        self.blocked.on_taken(0);
    }

    fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.blocked.poll(cx));
        debug!("a client does not read what it is sent");
        Poll::Ready(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;
    use wsgate_tls::Watched;

    use super::frames::HEADERS;
    use super::streams::{PREFACE, tests::frame};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn watched(upgraded: &Upgraded) -> (DuplexStream, Watched<DuplexStream>) {
        let (client, near) = duplex(256);
        let limits = Limits::new().http2_idle(180 * SECOND).send(60 * SECOND);
        let watch = Connection::new(upgraded.clone(), &limits);
        (client, Watched::new(near, Box::new(watch)))
    }

    #[tokio::test(start_paused = true)]
    async fn an_http2_connection_without_streams_is_told_to_go_away() {
        let (mut client, mut server) = watched(&Upgraded::default());
        let sent = [&PREFACE[..], &frame(HEADERS, 0x5, 1, 4)].concat();
        client.write_all(&sent).await.unwrap();
        let mut seen = vec![0; sent.len()];
        server.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, sent);
        // As long as there is a request, it is not idle, however quiet.
        let idle = timeout(600 * SECOND, server.read_u8());
        idle.await.unwrap_err();

        server.write_all(&frame(HEADERS, 0x5, 1, 9)).await.unwrap();
        // A ping that is answered is no request.
        let answered = Instant::now();
        let pong = frame(0x6, 0x1, 0, 8);
        client.write_all(&pong).await.unwrap();
        server.read_exact(&mut [0; 17]).await.unwrap();
        let end = timeout(600 * SECOND, server.read_u8())
            .await
            .expect("an end");
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(answered.elapsed(), 180 * SECOND);
        drop(server);
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        // GOAWAY, the last stream, NO_ERROR (RFC 9113 6.8).
        let go_away = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0";
        assert_eq!(&told[18..], go_away);
    }

    #[tokio::test(start_paused = true)]
    async fn http1_is_left_to_hyper() {
        let (mut client, mut server) = watched(&Upgraded::default());
        client.write_all(b"PUT").await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
        let idle = timeout(86_400 * SECOND, server.read_u8());
        idle.await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_lost() {
        let (_client, mut server) = watched(&Upgraded::default());
        let begun = Instant::now();
        let lost = timeout(600 * SECOND, server.write_all(&[0; 1000])).await;
        let error = lost.expect("an end").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // What it took into its buffer was before it had to wait.
        assert_eq!(begun.elapsed(), 60 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_upgraded_is_left_alone() {
        let upgraded = Upgraded::default();
        let (mut client, mut server) = watched(&upgraded);
        client.write_all(b"GET").await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
        server.write_all(b"101").await.unwrap();
        upgraded.set();
        let stuck = timeout(86_400 * SECOND, server.write_all(&[0; 1000]));
        stuck.await.unwrap_err();
    }
}

//! A peer under the test's control, for everything that stands in a stream.

// Clippy exempts what is for tests alone, and a fuzz target calls some of this.
#![allow(clippy::unwrap_used)]

pub(crate) mod boxed;
#[cfg(test)]
mod ending;
mod frames;
#[cfg(test)]
mod handler;
#[cfg(test)]
mod injecting;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod pausing;
#[cfg(test)]
mod planned;
#[cfg(test)]
mod pongs;
#[cfg(test)]
mod refusing;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod time;
pub(crate) mod traffic;

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

use crate::{handshake::Kind, map_upgrade::Upgrade, tunnel::Tunnel};

/// A stream and the peer at its other end. The peer takes everything at once until it is told
/// otherwise, and says nothing.
pub(crate) fn scripted() -> (Scripted, Peer) {
    let wire = Wire::default();
    let news = Arc::clone(&wire.news);
    let wire = Arc::new(Mutex::new(wire));
    (Scripted(Arc::clone(&wire)), Peer(wire, news))
}

/// A WebSocket over HTTP/1.1 of which nobody knows anything.
pub(crate) fn upgrade() -> Upgrade {
    Upgrade::new(Tunnel::default(), Kind::Upgrade)
}

/// The test's end.
pub(crate) struct Peer(Arc<Mutex<Wire>>, Arc<Notify>);

/// The end that is given to what is tested.
pub(crate) struct Scripted(Arc<Mutex<Wire>>);

#[derive(Default)]
pub(crate) struct Wire {
    /// One read each.
    sent: VecDeque<Vec<u8>>,
    end: Option<Ended>,
    reader: Option<Waker>,

    got: Vec<u8>,
    /// How much more is taken; `None` for everything.
    room: Option<usize>,
    /// How much of `got` has been flushed, where that takes its time.
    holds_flush: bool,
    flushed: usize,
    /// The task that waits to write, flush or shut down.
    writer: Option<Waker>,
    /// Another task has taken the place of one that waited.
    stolen: bool,
    /// Whether writes fail while reads go on.
    deaf: bool,
    shut: bool,
    dropped: bool,
    /// Told of all that is flushed, shut down or dropped.
    news: Arc<Notify>,
}

#[derive(Clone, Copy)]
enum Ended {
    Eof,
    Broken,
}

// ===== impl Peer =====

impl Peer {
    /// Sends bytes that come with one read. None at all would be the end, so they are not sent.
    pub(crate) fn sends(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut wire = self.wire();
        wire.sent.push_back(bytes.to_vec());
        wake(&mut wire.reader);
    }

    /// Sends bytes that come one with each read.
    pub(crate) fn dribbles(&self, bytes: &[u8]) {
        bytes.chunks(1).for_each(|byte| self.sends(byte));
    }

    /// Ends its direction.
    pub(crate) fn ends(&self) {
        self.end(Ended::Eof);
    }

    /// Breaks the connection.
    pub(crate) fn breaks(&self) {
        self.end(Ended::Broken);
    }

    /// Fails all writes, but can still be read from.
    pub(crate) fn breaks_writes(&self) {
        let mut wire = self.wire();
        wire.deaf = true;
        wake(&mut wire.writer);
    }

    /// Takes so many bytes more, and then no more.
    pub(crate) fn takes(&self, bytes: usize) {
        let mut wire = self.wire();
        wire.room = Some(bytes);
        wake(&mut wire.writer);
    }

    /// Takes everything from now on.
    pub(crate) fn takes_all(&self) {
        let mut wire = self.wire();
        wire.room = None;
        wake(&mut wire.writer);
    }

    /// Lets flushes wait, or go on.
    pub(crate) fn holds_flush(&self, holds: bool) {
        let mut wire = self.wire();
        wire.holds_flush = holds;
        wake(&mut wire.writer);
    }

    /// What has come, taken out.
    pub(crate) fn got(&self) -> Vec<u8> {
        let mut wire = self.wire();
        wire.flushed = 0;
        std::mem::take(&mut wire.got)
    }

    /// How many reads' worth has yet to be read.
    pub(crate) fn unread(&self) -> usize {
        self.wire().sent.len()
    }

    /// How much has come.
    pub(crate) fn len(&self) -> usize {
        self.wire().got.len()
    }

    /// What has come and was flushed, taken out.
    pub(crate) fn got_flushed(&self) -> Vec<u8> {
        let mut wire = self.wire();
        let flushed = std::mem::take(&mut wire.flushed);
        wire.got.drain(..flushed).collect()
    }

    /// Waits until something is flushed, shut down or dropped.
    pub(crate) async fn news(&self) {
        self.1.notified().await;
    }

    /// Whether everything that has come was flushed.
    pub(crate) fn is_flushed(&self) -> bool {
        let wire = self.wire();
        wire.flushed == wire.got.len()
    }

    /// Whether the other end has shut its direction down.
    pub(crate) fn is_shut(&self) -> bool {
        self.wire().shut
    }

    /// Whether the other end has let go of the stream.
    pub(crate) fn is_cut(&self) -> bool {
        self.wire().dropped
    }

    /// Whether a task that waited for the write half lost its place to another one, and so would wait
    /// for ever.
    pub(crate) fn was_stolen_from(&self) -> bool {
        self.wire().stolen
    }

    fn end(&self, end: Ended) {
        let mut wire = self.wire();
        wire.end = Some(end);
        wake(&mut wire.reader);
        wake(&mut wire.writer);
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap()
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

// ===== impl Wire =====

impl Wire {
    fn park<T>(&mut self, cx: &Context<'_>) -> Poll<io::Result<T>> {
        let waiting = self.writer.replace(cx.waker().clone());
        self.stolen |= waiting.is_some_and(|waker| !waker.will_wake(cx.waker()));
        Poll::Pending
    }

    /// A stream keeps one waker: whoever comes, waits or not, is the one that it knows.
    fn arrive(&mut self, cx: &Context<'_>) {
        let waiting = self.writer.take();
        self.stolen |= waiting.is_some_and(|waker| !waker.will_wake(cx.waker()));
    }
}

// ===== impl Scripted =====

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock().unwrap();
        if let Some(mut bytes) = wire.sent.pop_front() {
            let n = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..n]);
            if n < bytes.len() {
                wire.sent.push_front(bytes.split_off(n));
            }
            return Poll::Ready(Ok(()));
        }
        match wire.end {
            Some(Ended::Eof) => Poll::Ready(Ok(())),
            Some(Ended::Broken) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                wire.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        if wire.deaf || matches!(wire.end, Some(Ended::Broken)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = buf.len().min(wire.room.unwrap_or(usize::MAX));
        if n == 0 && !buf.is_empty() {
            return wire.park(cx);
        }
        wire.arrive(cx);
        wire.room = wire.room.map(|room| room - n);
        wire.got.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.poll_write(cx, &all)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock().unwrap();
        if wire.holds_flush {
            return wire.park(cx);
        }
        wire.arrive(cx);
        wire.flushed = wire.got.len();
        wire.news.notify_one();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock().unwrap();
        if wire.holds_flush {
            return wire.park(cx);
        }
        wire.arrive(cx);
        wire.shut = true;
        wire.news.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let mut wire = self.0.lock().unwrap();
        wire.dropped = true;
        wire.news.notify_one();
    }
}

//! A stream whose every move the test decides.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The server's end, and the handle by which the test holds the other.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Mutex<State>>);

struct State {
    brought: VecDeque<u8>,
    ended: bool,
    /// The most that one read gives.
    chunk: usize,
    sent: Vec<u8>,
    /// How many more bytes can be written.
    room: usize,
    writes: usize,
    reads: usize,
    flush_blocked: bool,
    flushes: usize,
    shut: bool,
    broken: Option<io::ErrorKind>,
    unshuttable: Option<io::ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

// ===== impl Wire =====

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Bytes for the server to read.
    pub(crate) fn bring(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.brought.extend(bytes);
        if !bytes.is_empty() {
            wake(state.reader.take());
        }
    }

    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        wake(state.reader.take());
    }

    pub(crate) fn read_at_most(&self, chunk: usize) {
        self.state().chunk = chunk;
    }

    /// What the server has written since the last call.
    pub(crate) fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().sent)
    }

    /// How much [`take_sent`](Self::take_sent) would give.
    pub(crate) fn peek_sent(&self) -> usize {
        self.state().sent.len()
    }

    /// Lets the server write so many bytes and no more.
    pub(crate) fn set_room(&self, room: usize) {
        let mut state = self.state();
        state.room = room;
        if room > 0 {
            wake(state.writer.take());
        }
    }

    pub(crate) fn block_flush(&self, blocked: bool) {
        let mut state = self.state();
        state.flush_blocked = blocked;
        if !blocked {
            wake(state.writer.take());
        }
    }

    /// Each write fails from now on; `WriteZero` stands for one that takes nothing.
    pub(crate) fn break_writing(&self, kind: io::ErrorKind) {
        self.state().broken = Some(kind);
    }

    /// Shutting it down fails.
    pub(crate) fn break_shutdown(&self, kind: io::ErrorKind) {
        self.state().unshuttable = Some(kind);
    }

    pub(crate) fn writes(&self) -> usize {
        self.state().writes
    }

    pub(crate) fn reads(&self) -> usize {
        self.state().reads
    }

    pub(crate) fn flushes(&self) -> usize {
        self.state().flushes
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.state().shut
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            brought: VecDeque::new(),
            ended: false,
            chunk: usize::MAX,
            sent: Vec::new(),
            room: usize::MAX,
            writes: 0,
            reads: 0,
            flush_blocked: false,
            flushes: 0,
            shut: false,
            broken: None,
            unshuttable: None,
            reader: None,
            writer: None,
        })))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.reads += 1;
        if state.brought.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = state.brought.len().min(state.chunk).min(buf.remaining());
        let bytes: Vec<u8> = state.brought.drain(..count).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        match state.broken {
            Some(io::ErrorKind::WriteZero) => return Poll::Ready(Ok(0)),
            Some(kind) => return Poll::Ready(Err(kind.into())),
            None => {}
        }
        if state.room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = state.room.min(buf.len());
        state.sent.extend_from_slice(&buf[..count]);
        if state.room != usize::MAX {
            state.room -= count;
        }
        state.writes += 1;
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        self.poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.flush_blocked {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.shut = true;
        match state.unshuttable {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None => Poll::Ready(Ok(())),
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

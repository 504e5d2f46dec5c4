//! A connection whose other end does as it is told.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The end that the operations are done to.
pub(super) struct Wire(Arc<Mutex<State>>);

/// The relay's end.
pub(super) struct End(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// One read each, and none of them empty.
    said: VecDeque<Vec<u8>>,
    /// How much of it was read.
    read: usize,
    is_eof: bool,
    is_broken: bool,
    got: Vec<u8>,
    flushed: usize,
    room: usize,
    is_deaf: bool,
    holds_flush: bool,
    is_shut: bool,
    is_dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A connection that takes nothing yet.
pub(super) fn wire() -> (Wire, End) {
    let state = Arc::<Mutex<State>>::default();
    (Wire(Arc::clone(&state)), End(state))
}

// ===== impl Wire =====

impl Wire {
    pub(super) fn sends(&self, chunks: Vec<Vec<u8>>) {
        let mut state = lock(&self.0);
        state.said.extend(chunks);
        state.wake_reader();
    }

    pub(super) fn takes(&self, bytes: usize) {
        let mut state = lock(&self.0);
        state.room = state.room.saturating_add(bytes);
        state.wake_writer();
    }

    pub(super) fn holds_flush(&self, holds: bool) {
        let mut state = lock(&self.0);
        state.holds_flush = holds;
        state.wake_writer();
    }

    pub(super) fn ends(&self) {
        let mut state = lock(&self.0);
        state.is_eof = true;
        state.wake_reader();
    }

    pub(super) fn breaks(&self) {
        let mut state = lock(&self.0);
        state.is_broken = true;
        state.wake_reader();
        state.wake_writer();
    }

    pub(super) fn deafens(&self) {
        let mut state = lock(&self.0);
        state.is_deaf = true;
        state.wake_writer();
    }

    pub(super) fn got(&self) -> Vec<u8> {
        lock(&self.0).got.clone()
    }

    /// How much has come.
    pub(super) fn len(&self) -> usize {
        lock(&self.0).got.len()
    }

    /// How much was read of what it said.
    pub(super) fn read(&self) -> usize {
        lock(&self.0).read
    }

    pub(super) fn is_flushed(&self) -> bool {
        let state = lock(&self.0);
        state.flushed == state.got.len()
    }

    pub(super) fn is_shut(&self) -> bool {
        lock(&self.0).is_shut
    }

    pub(super) fn is_dropped(&self) -> bool {
        lock(&self.0).is_dropped
    }
}

// ===== impl End =====

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if state.is_broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if let Some(mut chunk) = state.said.pop_front() {
            let rest = chunk.split_off(chunk.len().min(buf.remaining()));
            buf.put_slice(&chunk);
            state.read += chunk.len();
            if !rest.is_empty() {
                state.said.push_front(rest);
            }
            return Poll::Ready(Ok(()));
        }
        if state.is_eof {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0);
        assert!(!state.is_shut, "a write after the end");
        assert!(!buf.is_empty(), "a write of nothing");
        if state.is_deaf || state.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let size = buf.len().min(state.room);
        if size == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Everything is no number to count down.
        if state.room < usize::MAX {
            state.room -= size;
        }
        state.got.extend_from_slice(&buf[..size]);
        Poll::Ready(Ok(size))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        if state.is_deaf || state.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.holds_flush {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.flushed = state.got.len();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.as_mut().poll_flush(cx)?;
        if flushed.is_ready() {
            lock(&self.0).is_shut = true;
        }
        flushed.map(Ok)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.0).is_dropped = true;
    }
}

// ===== impl State =====

impl State {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A law that is broken is told by its own panic.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

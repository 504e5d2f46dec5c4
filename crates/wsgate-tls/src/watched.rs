//! A stream that is watched over as long as it carries HTTP.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that somebody may end: a server, whose client keeps it waiting.
///
/// HTTP libraries limit how long a request may take to come, and leave open how long an answer may take
/// to be read and how long a connection may be idle. A [`Watch`] sees what passes, and decides that.
///
/// It is there for HTTP only. When a connection was upgraded, [`into_inner`](Self::into_inner) gives
/// the stream, and what stays a `Watched` lets everything pass. Reads and writes have to come from one
/// task until then.
pub struct Watched<S> {
    io: S,
    watch: Option<Box<dyn Watch>>,
    /// Whether the watch has ended it: there is nothing more to read.
    is_ended: bool,
}

/// What a [`Watched`] stream is watched by. It does no I/O.
pub trait Watch: Send {
    /// Whether there is nothing more to watch. The stream lets go of it then.
    fn is_over(&self) -> bool;

    /// These bytes were read.
    fn on_read(&mut self, bytes: &[u8]);

    /// There is nothing to be read now. Ready when nothing more is to be read at all: with what the peer
    /// is told, if anything.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Box<[u8]>>>;

    /// These bytes were written.
    fn on_write(&mut self, bytes: &[u8]);

    /// What was written is flushed, or shut down.
    fn on_flush(&mut self);

    /// The peer has to take something before anything else can be written. Ready when it has had enough
    /// time for that.
    fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

// ===== impl Watched =====

impl<S> Watched<S> {
    /// Has a stream watched.
    pub fn new(io: S, watch: Box<dyn Watch>) -> Self {
        Self {
            io,
            watch: Some(watch),
            is_ended: false,
        }
    }

    /// The stream itself, which is watched no more.
    pub fn into_inner(self) -> S {
        self.io
    }

    /// The stream itself. Reading from it or writing to it leaves the watch in the dark.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    fn watch(&mut self) -> Option<&mut dyn Watch> {
        self.watch.take_if(|watch| watch.is_over());
        match &mut self.watch {
            Some(watch) => Some(&mut **watch),
            None => None,
        }
    }

    /// Tells the watch what a write came to. `told` gives the bytes.
    fn wrote<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        tell: impl FnOnce(&mut dyn Watch, &T),
    ) -> Poll<io::Result<T>> {
        let Some(watch) = self.watch() else {
            return polled;
        };
        match polled {
            Poll::Ready(Ok(done)) => {
                tell(watch, &done);
                Poll::Ready(Ok(done))
            }
            Poll::Pending if watch.poll_blocked(cx).is_ready() => {
                let error = "the peer takes nothing of what it is sent";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)))
            }
            polled => polled,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.is_ended {
            return Poll::Ready(Ok(()));
        }
        let start = buf.filled().len();
        let polled = Pin::new(&mut me.io).poll_read(cx, buf);
        let Some(watch) = me.watch() else {
            return polled;
        };
        match polled {
            Poll::Ready(Ok(())) => watch.on_read(&buf.filled()[start..]),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if let Poll::Ready(last_words) = watch.poll_silence(cx) {
                    me.is_ended = true;
                    // If there is no room for them, the end alone tells.
                    if let Some(words) = last_words
                        && Pin::new(&mut me.io).poll_write(cx, &words).is_ready()
                    {
                        let _ = Pin::new(&mut me.io).poll_flush(cx);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.io).poll_write(cx, buf);
        me.wrote(cx, polled, |watch, count| watch.on_write(&buf[..*count]))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.io).poll_write_vectored(cx, bufs);
        me.wrote(cx, polled, |watch, count| {
            let mut left = *count;
            for buf in bufs {
                let part = buf.len().min(left);
                watch.on_write(&buf[..part]);
                left -= part;
            }
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.io).poll_flush(cx);
        me.wrote(cx, polled, |watch, ()| watch.on_flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.io).poll_shutdown(cx);
        me.wrote(cx, polled, |watch, ()| watch.on_flush())
    }
}

impl<S: fmt::Debug> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("io", &self.io)
            .field("is_watched", &self.watch.is_some())
            .finish_non_exhaustive()
    }
}

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{MAX_WRITE, connection::Place};

/// A tunnel's stream of a connection over HTTP/2, as a socket.
///
/// # Reading
///
/// What is read makes room in the endpoint's window, and nothing else does: who does not read stops the
/// endpoint. The end of the stream is an end; a reset is an error, as RFC 8441 5 likens it to that of
/// TCP, and so is the loss of the connection.
///
/// A read without room gathers the frames that have come into one piece, and makes no room in any
/// window. A frame is kept with a quarter of a KiB round it, and with the whole block that it was read
/// with, so those of small messages take many times their size: a client that does not read could
/// have most of a connection's memory, and h2 would end the connection for all.
///
/// # Writing
///
/// A write takes no more than the endpoint's windows have room for. Those of the connection are shared
/// fairly by h2, in pieces of at most [16 KiB](MAX_WRITE). Shutting down ends our half of the stream;
/// dropping resets what has not ended.
pub(crate) struct Http2Stream {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// The rest of a frame.
    rest: Bytes,
    /// What was gathered, which comes after it.
    gathered: BytesMut,
    has_ended: bool,
    /// Last, so that the stream has ended when its place is free.
    _place: Place,
}

// ===== impl Http2Stream =====

impl Http2Stream {
    pub(super) fn new(send: SendStream<Bytes>, receive: RecvStream, place: Place) -> Self {
        Self {
            send,
            receive,
            rest: Bytes::new(),
            gathered: BytesMut::new(),
            has_ended: false,
            _place: place,
        }
    }

    /// How much was taken from h2, and not read yet.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.rest.len() + self.gathered.len()
    }

    fn gather(&mut self, cx: &mut Context<'_>) {
        // An end and an error stay, and are found by a read that has room for them.
        while let Poll::Ready(Some(Ok(data))) = self.receive.poll_data(cx) {
            self.gathered.extend_from_slice(&data);
        }
    }

    /// Gives what is kept, and keeps no memory for what is not there.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        if !self.rest.is_empty() {
            put(&mut self.rest, buf);
            if self.rest.is_empty() {
                self.rest = Bytes::new();
            }
        }
        if !self.gathered.is_empty() && self.rest.is_empty() {
            put(&mut self.gathered, buf);
            if self.gathered.is_empty() {
                self.gathered = BytesMut::new();
            }
        }
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if buf.remaining() == 0 {
            me.gather(cx);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        me.give(buf);
        // Frames may be small: as many as there is room for make one read.
        while buf.remaining() > 0 {
            match me.receive.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    me.rest = data;
                    me.give(buf);
                }
                // It stays, and comes with the next read.
                _ if buf.filled().len() > before => break,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(error))) => {
                    // The endpoint had ended its half, and takes nothing more of ours (RFC 9113 8.1).
                    return match error.reason() {
                        Some(Reason::NO_ERROR) if error.is_reset() => Poll::Ready(Ok(())),
                        _ => Poll::Ready(Err(into_io(error))),
                    };
                }
            }
        }
        let read = buf.filled().len() - before;
        // It fails for a stream that has ended, whose window nobody needs.
        let _ = me.receive.flow_control().release_capacity(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wanted = buf.len().min(MAX_WRITE);
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        // Not more than there is to write, as what is not used nobody else has.
        self.send.reserve_capacity(wanted);
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let taken = self.send.capacity().min(wanted);
        let data = Bytes::copy_from_slice(&buf[..taken]);
        let sent = self.send.send_data(data, false);
        Poll::Ready(sent.map(|()| taken).map_err(broken))
    }

    /// Does nothing: the connection's task sends what there is.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_ended {
            return Poll::Ready(Ok(()));
        }
        self.has_ended = true;
        let sent = self.send.send_data(Bytes::new(), true);
        Poll::Ready(sent.map_err(broken))
    }
}

impl fmt::Debug for Http2Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http2Stream")
            .field(&self.receive.stream_id())
            .finish()
    }
}

fn put(from: &mut impl Buf, to: &mut ReadBuf<'_>) {
    let n = from.remaining().min(to.remaining());
    to.put_slice(&from.chunk()[..n]);
    from.advance(n);
}

/// The connection of this tunnel and others has ended.
#[derive(Debug, thiserror::Error)]
#[error("its connection over HTTP/2 was lost: {0}")]
struct Lost(h2::Error);

fn into_io(error: h2::Error) -> io::Error {
    match error.is_reset() {
        true => io::Error::new(io::ErrorKind::ConnectionReset, error),
        false => io::Error::new(io::ErrorKind::ConnectionAborted, Lost(error)),
    }
}

/// A write to a stream that was reset, which h2 calls a mistake of the caller's.
fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

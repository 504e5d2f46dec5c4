//! A handler whose tasks are polled by hand.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_test::task::{Spawn, spawn};
use wsgate_frame::Role;

use super::{
    super::{Guarded, Policy},
    Peer, Scripted,
    frames::{Frame, bytes, frames, other},
    scripted, upgrade,
};
use crate::{handshake::Kind, map_upgrade::Upgrade, tunnel::Tunnel};

/// One task of a handler. It is polled only by what is called here; [`is_woken`](Self::is_woken)
/// tells whether a real one would have been polled again.
pub(super) struct Task<P: Policy> {
    stream: Spawn<Shared<P>>,
    peer: Role,
    pub(super) tunnel: Tunnel,
}

/// The stream, which the handler's tasks share.
struct Shared<P: Policy>(Arc<Mutex<Guarded<Scripted, P>>>);

/// What came of reading until there was no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    Pending,
    Eof,
    Error(io::ErrorKind),
}

/// A stream that faces `peer`.
pub(super) fn guarded<P: Policy>(peer: Role, policy: P) -> (Task<P>, Peer) {
    guarded_in(&upgrade(), peer, policy)
}

/// The same over HTTP/2.
pub(super) fn guarded_over_h2<P: Policy>(peer: Role, policy: P) -> (Task<P>, Peer) {
    let upgrade = Upgrade::new(Tunnel::default(), Kind::ExtendedConnect);
    guarded_in(&upgrade, peer, policy)
}

fn guarded_in<P: Policy>(upgrade: &Upgrade, peer: Role, policy: P) -> (Task<P>, Peer) {
    let (io, wire) = scripted();
    let stream = Guarded::new(io, peer, policy, upgrade);
    let task = Task {
        stream: spawn(Shared(Arc::new(Mutex::new(stream)))),
        peer,
        tunnel: upgrade.tunnel.clone(),
    };
    (task, wire)
}

// ===== impl Task =====

impl<P: Policy> Task<P> {
    /// Another task that has the same stream.
    pub(super) fn another(&self) -> Self {
        Self {
            stream: spawn(Shared(Arc::clone(&self.stream.0))),
            peer: self.peer,
            tunnel: self.tunnel.clone(),
        }
    }

    /// One read into so much room.
    pub(super) fn read(&mut self, room: usize) -> Poll<io::Result<Vec<u8>>> {
        let mut bytes = vec![0xaa; room];
        let mut buf = ReadBuf::new(&mut bytes);
        let polled = self.poll(|cx, stream| stream.poll_read(cx, &mut buf));
        polled.map_ok(|()| buf.filled().to_vec())
    }

    /// Reads into buffers of so much room, again whenever the task is woken, until there is no more.
    pub(super) fn read_all_by(&mut self, room: usize) -> (Vec<u8>, After) {
        let mut all = Vec::new();
        loop {
            match self.read(room) {
                Poll::Pending if self.is_woken() => {}
                Poll::Pending => return (all, After::Pending),
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => return (all, After::Eof),
                Poll::Ready(Ok(bytes)) => all.extend(bytes),
                Poll::Ready(Err(error)) => return (all, After::Error(error.kind())),
            }
        }
    }

    pub(super) fn read_all(&mut self) -> (Vec<u8>, After) {
        self.read_all_by(4096)
    }

    /// The frames that can be read.
    #[track_caller]
    pub(super) fn reads(&mut self) -> (Vec<Frame>, After) {
        let (bytes, after) = self.read_all();
        (frames(self.peer, &bytes), after)
    }

    /// Reads, and finds nothing.
    #[track_caller]
    pub(super) fn waits(&mut self) {
        assert_eq!(self.read_all(), (Vec::new(), After::Pending));
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|cx, stream| stream.poll_write(cx, bytes))
    }

    pub(super) fn write_vectored(&mut self, bufs: &[&[u8]]) -> Poll<io::Result<usize>> {
        let bufs: Vec<_> = bufs.iter().map(|buf| IoSlice::new(buf)).collect();
        self.poll(|cx, stream| stream.poll_write_vectored(cx, &bufs))
    }

    pub(super) fn is_write_vectored(&mut self) -> bool {
        self.poll(|_, stream| stream.is_write_vectored())
    }

    pub(super) fn flush(&mut self) -> Poll<io::Result<()>> {
        self.poll(|cx, stream| stream.poll_flush(cx))
    }

    pub(super) fn shutdown(&mut self) -> Poll<io::Result<()>> {
        self.poll(|cx, stream| stream.poll_shutdown(cx))
    }

    /// Writes all of it. Gives how large the pieces were in which it was taken.
    #[track_caller]
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> Vec<usize> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            match self.write(bytes) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    pieces.push(n);
                    bytes = &bytes[n..];
                }
                other => panic!("{other:?} after {pieces:?}"),
            }
        }
        pieces
    }

    /// Writes frames and flushes.
    #[track_caller]
    pub(super) fn sends(&mut self, frames: &[Frame]) {
        self.write_all(&bytes(other(self.peer), frames));
        assert!(matches!(self.flush(), Poll::Ready(Ok(()))));
    }

    /// Whether the stream finds that nobody reads it.
    pub(super) fn is_unread(&mut self) -> bool {
        self.poll(|_, stream| stream.is_unread())
    }

    /// Whether something has woken the task since it was last polled.
    pub(super) fn is_woken(&self) -> bool {
        self.stream.is_woken()
    }

    fn poll<T>(
        &mut self,
        run: impl FnOnce(&mut Context<'_>, Pin<&mut Guarded<Scripted, P>>) -> T,
    ) -> T {
        self.stream.enter(|cx, shared| {
            let mut stream = shared.0.lock().unwrap();
            run(cx, Pin::new(&mut *stream))
        })
    }
}

// ===== impl Peer =====

impl Peer {
    /// Sends frames that come with one read.
    pub(super) fn says(&self, role: Role, frames: &[Frame]) {
        self.sends(&bytes(role, frames));
    }

    /// The frames that have come to this peer, taken out.
    #[track_caller]
    pub(super) fn heard(&self, role: Role) -> Vec<Frame> {
        frames(other(role), &self.got())
    }
}

//! [`Guarded`] as a stream: the only place where it reads and writes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
};
use wsgate_frame::Event;

use super::{
    Guarded, Policy, Wants,
    incoming::Came,
    outgoing::{Sent, Wrote},
    phase::Phase,
    stream::other,
};
use crate::moment::Moment;

impl<S, P> Guarded<S, P>
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Policy,
{
    /// Sends what is due, as far as the handler leaves the write half to us. Whether the policy was
    /// told of something.
    #[inline]
    fn tend(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        match self.outgoing.is_tended() {
            true => Ok(false),
            false => self.send(cx),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut told = false;
        let Some(io) = &mut self.io else {
            return Ok(told);
        };
        while let Poll::Ready(sent) = self.outgoing.poll_tend(cx, io) {
            match sent? {
                Some(Sent::Ping(payload)) => {
                    on_ping_sent(&mut self.policy, payload);
                    self.hastened = true;
                    told = true;
                }
                Some(Sent::Close) => {}
                None => break,
            }
        }
        Ok(told)
    }

    /// Does and sends what is due, and has the task woken when more will be. `reads` says whether the
    /// peer could have been read from just now.
    fn drive(&mut self, cx: &mut Context<'_>, reads: bool) -> io::Result<()> {
        // What the peer takes counts before the clock, as what it sends. An error comes again.
        let _ = self.tend(cx);
        loop {
            self.poll_clock(cx, reads);
            match self.tend(cx) {
                // With the ping on its way there may be another deadline.
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // Our Close could not be sent.
                Err(_) if self.phase.is_closing() => {
                    self.finish();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether what was read may have brought a deadline.
    #[inline]
    fn begins(&mut self) -> bool {
        self.incoming.tracker().is_closed()
            || (self.policy.wants().include(Wants::BEGINS) && self.policy.has_begun())
    }

    /// What of ours goes before the handler's next bytes.
    #[inline]
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.outgoing.has_own() {
            true => self.send_own(cx),
            false => Poll::Ready(Ok(())),
        }
    }

    fn send_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(()));
        };
        loop {
            match ready!(self.outgoing.poll_own(cx, io))? {
                Some(Sent::Ping(payload)) => {
                    on_ping_sent(&mut self.policy, payload);
                    self.hastened = true;
                }
                Some(Sent::Close) => {}
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Runs something on the write half for the handler, which may have to wait for it.
    fn poll_for_handler<T>(
        &mut self,
        cx: &mut Context<'_>,
        nothing: T,
        run: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.io.is_none() {
            return Poll::Ready(Ok(nothing));
        }
        let polled = match self.poll_own(cx) {
            Poll::Ready(Ok(())) => run(self, cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        let polled = match polled {
            Poll::Ready(Ok(done)) => Poll::Ready(done),
            Poll::Ready(Err(error)) => {
                self.policy.on_end(Some(&error));
                return Poll::Ready(Err(error));
            }
            Poll::Pending => Poll::Pending,
        };
        if polled.is_pending() {
            self.outgoing.block(cx);
        } else if self.outgoing.unblock() {
            self.policy.on_unblocked(Moment::now());
        }
        if polled.is_ready() {
            self.hastened |= self.outgoing.is_closed();
            self.tell_reader();
        }
        polled.map(Ok)
    }

    /// Whether what the handler writes goes nowhere.
    const fn discards(&self) -> bool {
        self.outgoing.discards() || self.io.is_none()
    }

    /// Time goes on for this layer and those below although the handler cannot take more: it reads
    /// into no room at all, or a limit of ours holds the peer back.
    fn tick(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.drive(cx, self.ended) {
            // Else there may be bytes to read first.
            Err(error) if self.ended => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let Some(io) = &mut self.io else {
            return Ok(());
        };
        match Pin::new(io).poll_read(cx, &mut ReadBuf::new(&mut [])) {
            // It need not come again with the next real read: a socket tells its error once.
            Poll::Ready(Err(error)) if self.phase.is_open() => {
                self.policy.on_end(Some(&error));
                return Err(error);
            }
            // Without room there is nothing to learn of bytes or of their end.
            Poll::Ready(_) | Poll::Pending => {}
        }
        Ok(())
    }

    /// Open, Closing: one attempt to read. `None`: the phase has changed.
    fn poll_peer(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<()>>> {
        let start = buf.filled().len();
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(Some(())));
        };
        match self
            .incoming
            .poll_read(cx, io, buf, &mut self.policy, &self.tunnel)
        {
            Poll::Ready(Ok(Came::Bytes(now))) => {
                self.hastened |= self.begins();
                self.check_clock(cx, now);
                // A write that fails here fails the handler's as well: it has bytes to read first.
                let _ = self.tend(cx);
                Poll::Ready(Ok(Some(())))
            }
            Poll::Ready(Ok(Came::Refused(ending))) => {
                self.end(ending, self.peer);
                let _ = self.tend(cx);
                Poll::Ready(Ok((buf.filled().len() > start).then_some(())))
            }
            // The peer has ended without an answer to our Close.
            Poll::Ready(Ok(Came::Eof) | Err(_)) if self.phase.is_closing() => {
                self.finish();
                Poll::Ready(Ok(None))
            }
            Poll::Ready(Ok(Came::Eof)) => {
                self.ended = true;
                self.policy.on_end(None);
                Poll::Ready(Ok(Some(())))
            }
            Poll::Ready(Err(error)) => {
                self.policy.on_end(Some(&error));
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                self.drive(cx, true)?;
                let over = self.phase.is_closing() && self.is_closed();
                match self.phase.reads() && !over {
                    true => Poll::Pending,
                    false => Poll::Ready(Ok(None)),
                }
            }
        }
    }
}

impl<S, P> AsyncRead for Guarded<S, P>
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Policy,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.has_read = true;
        if buf.remaining() == 0 {
            return Poll::Ready(me.tick(cx));
        }
        loop {
            if me.incoming.give_ready(buf) {
                return Poll::Ready(Ok(()));
            }
            match &mut me.phase {
                Phase::Open => {
                    if me.pauses() {
                        me.tick(cx)?;
                        // The pause, or the WebSocket, may have ended with that.
                        if me.pauses() {
                            return Poll::Pending;
                        }
                        continue;
                    }
                }
                Phase::Closing(_) => {
                    if me.is_closed() {
                        me.finish();
                        continue;
                    }
                }
                Phase::Telling(telling) => {
                    if telling.give(buf) {
                        me.phase = Phase::Over;
                    }
                    return Poll::Ready(Ok(()));
                }
                Phase::Over => return Poll::Ready(Ok(())),
            }
            if ready!(me.poll_peer(cx, buf))?.is_some() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S, P> AsyncWrite for Guarded<S, P>
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Policy,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        if me.discards() {
            return poll_discard(cx, buf.len());
        }
        me.warn_if_unread();
        me.poll_for_handler(cx, buf.len(), |me, cx| {
            let (Some(io), false) = (&mut me.io, me.outgoing.discards()) else {
                return Poll::Ready(Ok(buf.len()));
            };
            let (policy, tunnel, role) = (&mut me.policy, &me.tunnel, other(me.peer));
            if !policy.wants().include(Wants::STRICT) {
                let tell = |event: Event<'_>| policy.on_outgoing(&event, tunnel);
                let wrote = me.outgoing.poll_write(cx, io, buf, tell);
                me.outgoing.warn_if_lost(tunnel);
                return wrote;
            }
            let wrote = me.outgoing.poll_write_checked(cx, io, buf, policy, tunnel);
            Poll::Ready(Ok(match ready!(wrote)? {
                Wrote::Taken(n) => n,
                Wrote::Refused(ending) => {
                    me.end(ending, role);
                    // The peer's answer would say less than our own Close.
                    me.incoming.deafen();
                    // The Close goes out with the next flush, or from there.
                    me.wake_reader();
                    buf.len()
                }
            }))
        })
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        let all = bufs.iter().map(|b| b.len()).sum();
        if me.discards() {
            return poll_discard(cx, all);
        }
        if !me.outgoing.takes_vectored() || me.policy.wants().include(Wants::STRICT) {
            let first = bufs.iter().find(|b| !b.is_empty());
            return self.poll_write(cx, first.map_or(&[], |b| b));
        }
        me.warn_if_unread();
        me.poll_for_handler(cx, all, |me, cx| {
            let Some(io) = &mut me.io else {
                return Poll::Ready(Ok(all));
            };
            let (policy, tunnel) = (&mut me.policy, &me.tunnel);
            let tell = |event: Event<'_>| policy.on_outgoing(&event, tunnel);
            let wrote = me.outgoing.poll_write_vectored(cx, io, bufs, tell);
            me.outgoing.warn_if_lost(tunnel);
            wrote
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .poll_for_handler(cx, (), |me, cx| match &mut me.io {
                Some(io) => {
                    let (policy, tunnel) = (&mut me.policy, &me.tunnel);
                    ready!(me.outgoing.poll_held(cx, io, policy, tunnel))?;
                    me.outgoing.poll_flush(cx, io)
                }
                None => Poll::Ready(Ok(())),
            })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .poll_for_handler(cx, (), |me, cx| match &mut me.io {
                Some(io) => {
                    let (policy, tunnel) = (&mut me.policy, &me.tunnel);
                    ready!(me.outgoing.poll_held(cx, io, policy, tunnel))?;
                    me.policy.on_shutdown();
                    me.outgoing.poll_shutdown(cx, io)
                }
                None => Poll::Ready(Ok(())),
            })
    }
}

fn on_ping_sent<P: Policy>(policy: &mut P, payload: [u8; 8]) {
    let is_known = policy.on_ping_sent(payload, Moment::now());
    debug_assert!(is_known, "a ping of nobody's");
}

/// Takes what goes nowhere. Nothing holds back a handler that sends as fast as it can, and with no
/// pause of it the runtime would never come to see the peer's answer: it leaves off now and then, as
/// with a socket that always has room.
fn poll_discard(cx: &mut Context<'_>, len: usize) -> Poll<io::Result<usize>> {
    ready!(coop::poll_proceed(cx)).made_progress();
    Poll::Ready(Ok(len))
}

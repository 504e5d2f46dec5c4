use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};
use wsgate_frame::{CloseCode, ControlFrame, Role};
use wsgate_layer::tunnel::Tunnel;

use super::{
    direction::{Direction, End},
    labels::Labels,
    outcome::{self, First},
    scratch::with_scratch,
};

/// Relays bytes between a client and an upstream until both directions have ended.
///
/// Never fails: how it ended is logged when it is dropped, whatever path led there.
#[derive(Debug)]
pub(super) struct Relay<C, U> {
    client: C,
    upstream: U,
    to_upstream: Direction,
    to_client: Direction,
    /// Runs from when nothing more is to be expected.
    linger: Option<Pin<Box<Sleep>>>,
    opened: Instant,
    labels: Labels,
    first: Option<Box<First>>,
    /// What the layers in the two streams tell; `None` where there are none.
    layers: Option<Tunnel>,
}

/// How long the two sides have to end their connections once both have sent a Close, or one of
/// them is lost. Well-behaved peers need one round trip.
const LINGER: Duration = Duration::from_secs(5);

// ===== impl Relay =====

impl<C, U> Relay<C, U> {
    pub(super) fn new(client: C, upstream: U, labels: Labels) -> Self {
        Self {
            client,
            upstream,
            to_upstream: Direction::from(Role::Client),
            to_client: Direction::from(Role::Server),
            linger: None,
            opened: Instant::now(),
            labels,
            first: None,
            layers: None,
        }
    }

    /// There are layers in the streams: they are to get their chances although nothing can be read,
    /// and may end the tunnel.
    pub(super) fn with_layers(mut self, tunnel: Tunnel) -> Self {
        self.layers = Some(tunnel);
        self
    }

    /// Bytes that came from the upstream together with its 101.
    pub(super) fn with_early_data(mut self, early: Bytes) -> Self {
        self.to_client.set_early_data(early);
        self
    }

    /// Gives the client at most this many bytes in one write.
    pub(super) fn with_client_writes_of(mut self, max: u32) -> Self {
        self.to_client.set_max_write(max);
        self
    }

    /// Whether nothing more is to be expected: both sides have sent their Close, or the upstream
    /// has ended without one and the client knows, or one of them is lost, or a layer has ended it.
    fn is_over(&self) -> bool {
        if self.layers.as_ref().is_some_and(Tunnel::is_over) {
            return true;
        }
        let (up, down) = (&self.to_upstream, &self.to_client);
        let lost = |d: &Direction| matches!(d.end(), Some(End::SourceLost(_) | End::SinkLost(_)));
        lost(up)
            || lost(down)
            || (up.tracker().is_closed() && (down.tracker().is_closed() || down.end().is_some()))
    }
}

impl<C, U> Future for Relay<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        let (client, upstream) = (&mut me.client, &mut me.upstream);
        let ended = with_scratch(|scratch| {
            let up = me.to_upstream.poll(cx, client, upstream, scratch, || None);
            let farewell = || farewell_after(&me.to_upstream);
            let down = me.to_client.poll(cx, upstream, client, scratch, farewell);
            if me.layers.is_some() {
                if !me.to_upstream.reads() {
                    tick(cx, client);
                }
                if !me.to_client.reads() {
                    tick(cx, upstream);
                }
            }
            up.is_ready() && down.is_ready()
        });
        if me.first.is_none() {
            let first = First::of(me.layers.as_ref(), &me.to_upstream, &me.to_client);
            me.first = first.map(Box::new);
        }
        if ended {
            return Poll::Ready(());
        }
        if me.is_over() {
            let linger = me.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
            return linger.as_mut().poll(cx);
        }
        Poll::Pending
    }
}

impl<C, U> Drop for Relay<C, U> {
    fn drop(&mut self) {
        let duration = self.opened.elapsed();
        let first = self.first.as_deref();
        let span = self.labels.span();
        span.in_scope(|| outcome::log(first, duration, &self.to_upstream, &self.to_client));
    }
}

/// Lets the layers in a stream do what is due, where nothing can be read from it: a read without room
/// is understood by them, and means nothing to other streams.
fn tick<R: AsyncRead + Unpin>(cx: &mut Context<'_>, source: &mut R) {
    let _ = Pin::new(source).poll_read(cx, &mut ReadBuf::new(&mut []));
}

/// The Close for a client whose upstream has ended the connection without one, where nginx would
/// leave it with 1006, which tells nothing. A client that has sent its own Close, or has ended
/// itself, expects the end and is told no more.
fn farewell_after(to_upstream: &Direction) -> Option<ControlFrame> {
    if to_upstream.tracker().is_closed() || to_upstream.end().is_some() {
        return None;
    }
    let close = ControlFrame::close(CloseCode::BAD_GATEWAY, "upstream lost", None);
    Some(close.expect("1014 may be sent and the reason is short"))
}

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
    direction::{Direction, End, Recalled},
    labels::Labels,
    outcome::{self, First},
    scratch::with_scratch,
};
use crate::upstream::Recall;

/// Relays bytes between a client and an upstream until both directions have ended.
///
/// Never fails: how it ended is logged when it is dropped, whatever path led there.
#[derive(Debug)]
pub(super) struct Relay<C, U> {
    client: C,
    upstream: U,
    to_upstream: Direction,
    to_client: Direction,
    /// There from when nothing more is to be expected.
    last: Option<Box<Last>>,
    opened: Instant,
    labels: Labels,
    first: Option<Box<First>>,
    /// What the layers in the two streams tell; `None` where there are none.
    layers: Option<Tunnel>,
}

/// What the end takes. Apart, as most tunnels are far from it.
#[derive(Debug)]
struct Last {
    linger: Pin<Box<Sleep>>,
    /// There if the end came from outside.
    recalled: Option<[Option<Recalled>; 2]>,
}

/// How long the two sides have to end their connections once both have sent a Close, one of them is
/// lost, or both were told to end. Well-behaved peers need one round trip.
const LINGER: Duration = Duration::from_secs(5);

// ===== impl Relay =====

impl<C, U> Relay<C, U> {
    pub(super) fn new(client: C, upstream: U, labels: Labels) -> Self {
        Self {
            client,
            upstream,
            to_upstream: Direction::from(Role::Client),
            to_client: Direction::from(Role::Server),
            last: None,
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

    /// Ends it in order: both sides get a Close, where one can still be sent, and their time to answer.
    /// One that is ending already only gets the time.
    fn recall(&mut self, recall: Recall) {
        let by_layer = self.layers.as_ref().is_some_and(|t| t.end().is_some());
        if self.last.is_some() || by_layer {
            return;
        }
        let last = self.last.insert(Box::default());
        let (up, down) = (&mut self.to_upstream, &mut self.to_client);
        // Whose peer closes has its answer to wait for, not another Close.
        if up.tracker().is_closed() || down.tracker().is_closed() {
            return;
        }
        let (to_upstream, to_client) = closes();
        last.recalled = Some([up.recall(to_upstream), down.recall(to_client)]);
        self.first
            .get_or_insert_with(|| Box::new(First::Recalled(recall)));
    }

    /// The upstream is one stream of a connection over HTTP/2: it is to take its frames out of there
    /// although nothing can be read, and is given at most this many bytes in one write. No more is
    /// read for it at once, either, so that little has to be kept.
    pub(super) fn with_shared_upstream(mut self, max_write: u32) -> Self {
        self.to_upstream.set_max_write(max_write);
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
        if let Some(recall) = me.labels.lease.poll_recall(cx) {
            me.recall(recall);
        }
        let ended = with_scratch(|scratch| {
            let ended = me.poll_directions(cx, scratch);
            if me.layers.is_some() && !me.to_upstream.reads() {
                tick(cx, &mut me.client);
            }
            if (me.layers.is_some() || me.to_upstream.is_capped()) && !me.to_client.reads() {
                tick(cx, &mut me.upstream);
            }
            ended
        });
        if me.first.is_none() {
            let first = First::of(me.layers.as_ref(), &me.to_upstream, &me.to_client);
            me.first = first.map(Box::new);
        }
        if ended {
            return Poll::Ready(());
        }
        if me.last.is_some() || me.is_over() {
            let last = me.last.get_or_insert_default();
            return last.linger.as_mut().poll(cx);
        }
        Poll::Pending
    }
}

impl<C, U> Relay<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// Whether both have ended.
    fn poll_directions(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> bool {
        let (client, upstream) = (&mut self.client, &mut self.upstream);
        let (to_upstream, to_client) = (&mut self.to_upstream, &mut self.to_client);
        let recalled = self.last.as_mut().and_then(|last| last.recalled.as_mut());
        let Some([up, down]) = recalled else {
            let up = to_upstream.poll(cx, client, upstream, scratch, || None);
            let farewell = || farewell_after(to_upstream);
            let down = to_client.poll(cx, upstream, client, scratch, farewell);
            return up.is_ready() && down.is_ready();
        };
        loop {
            let ended_up = match up {
                Some(up) => to_upstream.poll_recalled(up, cx, client, upstream, scratch),
                None => to_upstream.poll(cx, client, upstream, scratch, || None),
            };
            let ended_down = match down {
                Some(down) => to_client.poll_recalled(down, cx, upstream, client, scratch),
                None => to_client.poll(cx, upstream, client, scratch, || None),
            };
            // What one side has answered lets the direction to it end.
            let by_client = up.as_ref().is_none_or(Recalled::has_answered);
            let by_upstream = down.as_ref().is_none_or(Recalled::has_answered);
            let news_up = up.as_mut().is_some_and(|up| up.sink_answered(by_upstream));
            let news_down = down
                .as_mut()
                .is_some_and(|down| down.sink_answered(by_client));
            if !news_up && !news_down {
                return ended_up.is_ready() && ended_down.is_ready();
            }
        }
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

// ===== impl Last =====

impl Default for Last {
    fn default() -> Self {
        Self {
            linger: Box::pin(sleep(LINGER)),
            recalled: None,
        }
    }
}

/// The Closes of a tunnel that is recalled: to the upstream, whose client goes away, and to the client,
/// which may come back at once (the IANA registry's "service restart").
fn closes() -> (ControlFrame, ControlFrame) {
    // Nobody may be able to foresee the key of a frame to a server (RFC 6455 5.3).
    let key = Some(rand::random());
    let to_upstream = ControlFrame::close(CloseCode::GOING_AWAY, "tunnel recalled", key);
    let to_client = ControlFrame::close(CloseCode::SERVICE_RESTART, "service restart", None);
    let sendable = "1001 and 1012 may be sent and the reasons are short";
    (to_upstream.expect(sendable), to_client.expect(sendable))
}

/// Lets the layers in a stream do what is due, where nothing can be read from it: a read without room
/// is understood by them, and means nothing to other streams. One of HTTP/2 gathers its frames.
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

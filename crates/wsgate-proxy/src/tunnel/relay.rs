use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use wsgate_frame::{CloseCode, ControlFrame, Role};
use wsgate_layer::tunnel::Tunnel;

use super::{
    direction::{Direction, End, Recalled},
    labels::Labels,
    last::Last,
    outcome::{self, First},
    patience::Patience,
    scratch::with_scratch,
    stall::Stall,
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
    rare: Option<Box<Rare>>,
    opened: Instant,
    labels: Labels,
    patience: Patience,
    /// What the layers in the two streams tell; `None` where there are none.
    layers: Option<Tunnel>,
}

/// What a tunnel needs that is near its end, or in which somebody is slow. Apart, as most are neither.
#[derive(Debug, Default)]
struct Rare {
    first: Option<First>,
    /// There from the first Close on, or from when nothing more is to be expected.
    last: Option<Last>,
    /// There if the end came from here.
    recalled: Option<[Option<Recalled>; 2]>,
    /// There while one of the two takes nothing, and a little longer.
    stall: Option<Stall>,
}

// ===== impl Relay =====

impl<C, U> Relay<C, U> {
    pub(super) fn new(client: C, upstream: U, labels: Labels) -> Self {
        Self {
            client,
            upstream,
            to_upstream: Direction::from(Role::Client),
            to_client: Direction::from(Role::Server),
            rare: None,
            opened: Instant::now(),
            labels,
            patience: Patience::default(),
            layers: None,
        }
    }

    /// How long the two sides may take for what.
    pub(super) fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
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
        let is_ending = self.rare.as_ref().is_some_and(|rare| rare.is_ending());
        let by_layer = self.layers.as_ref().is_some_and(|t| t.end().is_some());
        if is_ending || by_layer {
            return;
        }
        // Whose peer closes has its answer to wait for, not another Close.
        let closes = (!self.has_close()).then(|| closes(CloseCode::SERVICE_RESTART));
        self.tell_both(First::Recalled(recall), closes);
    }

    /// The same for a tunnel of which one side takes nothing any more, so that the other one learns
    /// of it.
    fn give_up(&mut self, stuck: Role) {
        let closes = (!self.has_close()).then(|| closes(CloseCode::BAD_GATEWAY));
        self.tell_both(First::Stuck(stuck), closes);
    }

    fn tell_both(&mut self, why: First, closes: Option<(ControlFrame, ControlFrame)>) {
        let rare = self.rare.get_or_insert_default();
        rare.last.get_or_insert_default().linger();
        if let Some((to_upstream, to_client)) = closes {
            let (up, down) = (&mut self.to_upstream, &mut self.to_client);
            rare.recalled = Some([up.recall(to_upstream), down.recall(to_client)]);
            rare.first.get_or_insert(why);
        }
    }

    /// Whether one of the two has sent a Close that the other has taken.
    fn has_close(&self) -> bool {
        self.to_upstream.tracker().is_closed() || self.to_client.tracker().is_closed()
    }

    /// Where frames have lost their place nothing of ours is put between them, and the log says so. Layers
    /// may have said it already.
    fn warn_of_lost_frames(&mut self) {
        let directions = [
            (Role::Client, &mut self.to_upstream),
            (Role::Server, &mut self.to_client),
        ];
        for (side, direction) in directions {
            if direction.take_lost() {
                let tunnel = self.layers.clone().unwrap_or_default();
                let span = self.labels.span();
                span.in_scope(|| tunnel.warn_of_lost_frames(side));
            }
        }
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
        me.warn_of_lost_frames();
        if me.rare.as_ref().is_none_or(|rare| rare.first.is_none())
            && let Some(first) = First::of(me.layers.as_ref(), &me.to_upstream, &me.to_client)
        {
            me.rare.get_or_insert_default().first = Some(first);
        }
        if ended {
            return Poll::Ready(());
        }
        me.poll_time(cx)
    }
}

impl<C, U> Relay<C, U> {
    /// Ready when the two have had their time.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = self.is_over();
        let is_closing = is_over || self.has_close();
        if is_closing {
            let rare = self.rare.get_or_insert_default();
            let last = rare.last.get_or_insert_default();
            match is_over {
                true => last.linger(),
                false => last.expect_answer(self.patience.close()),
            }
        }
        if let Some(Rare {
            last: Some(last), ..
        }) = self.rare.as_deref_mut()
        {
            return last.poll(cx);
        }
        let stuck = [&self.to_upstream, &self.to_client].map(Direction::stuck_at);
        let is_watched = self.rare.as_ref().is_some_and(|rare| rare.stall.is_some());
        if !is_watched && stuck == [None; 2] {
            return Poll::Pending;
        }
        let rare = self.rare.get_or_insert_default();
        let stall = rare.stall.get_or_insert_default();
        match stall.poll(cx, stuck, self.patience.send()) {
            Poll::Pending => {}
            Poll::Ready(None) => {
                rare.stall = None;
                self.rare.take_if(|rare| rare.is_empty());
            }
            Poll::Ready(Some(stuck)) => {
                self.give_up(stuck);
                cx.waker().wake_by_ref();
            }
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
        let recalled = self.rare.as_mut().and_then(|rare| rare.recalled.as_mut());
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
        let (first, last) = match self.rare.as_deref() {
            Some(rare) => (rare.first.as_ref(), rare.last.as_ref()),
            None => (None, None),
        };
        let unanswered = last.is_some_and(Last::is_unanswered);
        let span = self.labels.span();
        let refused = self.layers.as_ref().and_then(Tunnel::end);
        span.in_scope(|| {
            outcome::log(
                first,
                refused,
                duration,
                unanswered,
                &self.to_upstream,
                &self.to_client,
            );
        });
    }
}

// ===== impl Rare =====

impl Rare {
    /// Whether nothing more is to be expected.
    fn is_ending(&self) -> bool {
        self.last.as_ref().is_some_and(Last::is_lingering)
    }

    const fn is_empty(&self) -> bool {
        self.first.is_none() && self.last.is_none() && self.stall.is_none()
    }
}

/// The Closes of a tunnel that is ended from here: to the upstream, whose client goes away, and to the
/// client, with this code: that it may come back at once (the IANA registry's "service restart"), or that
/// its upstream is lost.
fn closes(code: CloseCode) -> (ControlFrame, ControlFrame) {
    let (up, down) = match code {
        CloseCode::SERVICE_RESTART => ("tunnel recalled", "service restart"),
        _ => ("client lost", "upstream lost"),
    };
    // Nobody may be able to foresee the key of a frame to a server (RFC 6455 5.3).
    let key = Some(rand::random());
    let to_upstream = ControlFrame::close(CloseCode::GOING_AWAY, up, key);
    let to_client = ControlFrame::close(code, down, None);
    let sendable = "1001, 1012 and 1014 may be sent and the reasons are short";
    (to_upstream.expect(sendable), to_client.expect(sendable))
}

/// Lets the layers in a stream do what is due, where nothing can be read from it: a read without room
/// is understood by them, and means nothing to other streams. One of HTTP/2 gathers its frames.
fn tick<R: AsyncRead + Unpin>(cx: &mut Context<'_>, source: &mut R) {
    let _ = Pin::new(source).poll_read(cx, &mut ReadBuf::new(&mut []));
}

/// The Close for a client whose upstream has ended the connection without one, where nginx would
/// leave it with 1006, which tells nothing. A client that has sent its own Close, or has ended
/// itself, expects the end and is told no more. One whose frames the upstream takes no longer has
/// not ended: a write may find out before a read does.
fn farewell_after(to_upstream: &Direction) -> Option<ControlFrame> {
    let client_ended = matches!(to_upstream.end(), Some(End::Eof | End::SourceLost(_)));
    if to_upstream.tracker().is_closed() || client_ended {
        return None;
    }
    let close = ControlFrame::close(CloseCode::BAD_GATEWAY, "upstream lost", None);
    Some(close.expect("1014 may be sent and the reason is short"))
}

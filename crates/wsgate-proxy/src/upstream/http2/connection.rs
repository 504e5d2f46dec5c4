//! One connection over HTTP/2, from the dial to its end.

#[cfg(test)]
mod tests;

use std::{
    future::{Future, pending, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{self, SendRequest},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{
    CONNECTION_WINDOW, Http2, SEND_BUFFER, SMALL_FRAMES, STREAM_WINDOW,
    pool::{Pool, Target},
};
use crate::{connect::UpstreamStream, error::UpstreamFailure, forward::MAX_ANSWER_HEAD};

/// What its task makes known of it, and what is counted.
///
/// The pool holds it, and so does each [`Place`]. Its task does not: the last holder takes the last
/// `SendRequest` along, which ends the connection.
pub(super) struct Connection {
    state: watch::Receiver<State>,
    /// Places that are held.
    taken: AtomicU32,
    /// Pings since a place was last held.
    idle: AtomicU32,
    /// Whether it has brought an answer.
    has_served: AtomicBool,
    task: AbortHandle,
}

/// One stream's room on a connection, from before the handshake to the end of the tunnel.
pub(crate) struct Place {
    connection: Arc<Connection>,
}

/// What became of opening a connection.
pub(super) enum Opened {
    Http2,
    /// It speaks HTTP/1.1 only. One of those that waited gets the connection.
    Http1(Option<UpstreamStream>),
    Failed(UpstreamFailure),
}

enum State {
    Opening,
    Open(SendRequest<Bytes>),
    Http1(Mutex<Option<UpstreamStream>>),
    Failed(UpstreamFailure),
}

/// A connection over HTTP/2 that its task is to move.
struct Live<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    connection: client::Connection<IO, Bytes>,
    /// One of them is under way.
    pings: PingPong,
}

// ===== impl Connection =====

impl Connection {
    /// Begins to open one, on a task of this runtime.
    pub(super) fn open(target: Arc<Target>, limit: Duration, pool: Weak<Pool>) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            let (tell, state) = watch::channel(State::Opening);
            let life = Life {
                connection: me.clone(),
                pool,
            };
            let task = tokio::spawn(life.live(target, limit, tell));
            Self {
                state,
                taken: 0.into(),
                idle: 0.into(),
                has_served: false.into(),
                task: task.abort_handle(),
            }
        })
    }

    /// Takes a place, if there is room. Of a connection that is not open yet, so many are expected.
    pub(super) fn take(self: &Arc<Self>, expected: u32) -> Option<Place> {
        if self.taken.load(Ordering::Relaxed) >= Http2::MAX_TUNNELS {
            return None;
        }
        let limit = self.limit().unwrap_or(expected);
        let one_more = |taken| (taken < limit).then_some(taken + 1);
        let order = Ordering::Relaxed;
        self.taken.fetch_update(order, order, one_more).ok()?;
        self.idle.store(0, order);
        Some(Place {
            connection: Arc::clone(self),
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.taken.load(Ordering::Relaxed) == 0
    }

    /// How many streams it can have at once: none when it goes away. `None` while it is opened.
    fn limit(&self) -> Option<u32> {
        match &*self.state.borrow() {
            State::Opening => None,
            State::Open(requests) if is_open(requests) => Some(allowed(requests)),
            State::Open(_) | State::Http1(_) | State::Failed(_) => Some(0),
        }
    }

    /// Counts another ping without a place held, and says whether it was idle for long enough.
    fn has_idled(&self) -> bool {
        if !self.is_idle() {
            self.idle.store(0, Ordering::Relaxed);
            return false;
        }
        let pings = self.idle.fetch_add(1, Ordering::Relaxed);
        Http2::PING_INTERVAL * pings >= Http2::IDLE_TIMEOUT
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Nobody waits for it any more. One that is open ends by itself, with a goodbye.
        if matches!(*self.state.borrow(), State::Opening) {
            self.task.abort();
        }
    }
}

/// Whether new streams are possible: no GOAWAY, no loss.
fn is_open(requests: &SendRequest<Bytes>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(requests.clone().poll_ready(&mut cx), Poll::Ready(Ok(())))
}

/// How many streams may be open at once.
fn allowed(requests: &SendRequest<Bytes>) -> u32 {
    let theirs = u32::try_from(requests.current_max_send_streams()).unwrap_or(u32::MAX);
    theirs.min(Http2::MAX_TUNNELS)
}

// ===== impl Place =====

impl Place {
    /// Waits until it is known what becomes of the connection.
    pub(super) async fn opened(&self) -> Opened {
        let mut state = self.connection.state.clone();
        // It fails when the task is gone, with whatever it told last.
        let _ = state.wait_for(|s| !matches!(s, State::Opening)).await;
        match &*state.borrow() {
            // The runtime is being shut down.
            State::Opening => Opened::Failed(UpstreamFailure::connecting(
                io::ErrorKind::ConnectionAborted.into(),
            )),
            State::Open(_) => Opened::Http2,
            State::Http1(stream) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                Opened::Http1(stream.take())
            }
            State::Failed(failure) => Opened::Failed(failure.clone()),
        }
    }

    /// Whether the endpoint allows as many streams as there are places; this one is given back
    /// otherwise.
    pub(super) fn is_within_limit(&self) -> bool {
        let limit = self.connection.limit().unwrap_or_default();
        self.connection.taken.load(Ordering::Relaxed) <= limit
    }

    /// What sends requests; `None` before the connection is open.
    pub(super) fn requests(&self) -> Option<SendRequest<Bytes>> {
        match &*self.connection.state.borrow() {
            State::Open(requests) => Some(requests.clone()),
            _ => None,
        }
    }

    /// The endpoint has answered.
    pub(super) fn served(&self) {
        self.connection.has_served.store(true, Ordering::Relaxed);
    }

    /// Whether the connection had been good before.
    pub(super) fn is_reused(&self) -> bool {
        self.connection.has_served.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

// ===== the task =====

/// What is made known of it, and the connection itself if it is one over HTTP/2.
type Begun = (State, Option<Live<UpstreamStream>>);

/// A connection as its task knows it. Dropped by whatever way, it takes it out of the pool.
struct Life {
    connection: Weak<Connection>,
    pool: Weak<Pool>,
}

impl Life {
    async fn live(self, target: Arc<Target>, limit: Duration, tell: watch::Sender<State>) {
        let opened = timeout(limit, self.open(&target)).await;
        let opened = opened.unwrap_or(Err(UpstreamFailure::ConnectTimeout(limit)));
        let (state, live) = match opened {
            Ok((state, live)) => (state, live),
            Err(failure) => (State::Failed(failure), None),
        };
        tell.send_replace(state);
        // It would keep the connection open.
        drop(tell);
        if let Some(live) = live {
            self.move_frames(live, &target).await;
        }
    }

    async fn open(&self, target: &Target) -> Result<Begun, UpstreamFailure> {
        let stream = target
            .connect()
            .await
            .map_err(UpstreamFailure::connecting)?;
        if !target.is_http2(&stream) {
            return self.fall_back(target, Some(stream));
        }
        let (requests, live) = start(stream).await?;
        let allowed = allowed(&requests);
        if !requests.is_extended_connect_protocol_enabled() || allowed == 0 {
            return self.fall_back(target, None);
        }
        if let Some(pool) = self.pool.upgrade() {
            pool.expect(allowed);
        }
        Ok((State::Open(requests), Some(live)))
    }

    fn fall_back(
        &self,
        target: &Target,
        stream: Option<UpstreamStream>,
    ) -> Result<Begun, UpstreamFailure> {
        if target.must {
            return Err(UpstreamFailure::NoHttp2);
        }
        if let Some(pool) = self.pool.upgrade() {
            pool.remember_http1();
        }
        tracing::debug!(
            endpoint = %target.endpoint(),
            "an endpoint offers no WebSockets over HTTP/2: it gets HTTP/1.1"
        );
        Ok((State::Http1(Mutex::new(stream)), None))
    }

    /// Until the connection ends, or its endpoint no longer answers.
    async fn move_frames<IO>(&self, live: Live<IO>, target: &Target)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let Live {
            mut connection,
            mut pings,
        } = live;
        let mut care = pin!(self.take_care(&mut pings));
        let ended = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(None),
            Poll::Ready(Err(error)) => Poll::Ready(Some(error.to_string())),
            Poll::Pending => care.as_mut().poll(cx).map(|why| Some(why.to_owned())),
        });
        let error = ended.await;
        tracing::debug!(endpoint = %target.endpoint(), error, "a connection over HTTP/2 has ended");
    }

    /// Pings, and lets the connection go when it is idle. Ready when a ping is not answered.
    async fn take_care(&self, pings: &mut PingPong) -> &'static str {
        loop {
            let pong = poll_fn(|cx| pings.poll_pong(cx));
            match timeout(Http2::PING_TIMEOUT, pong).await {
                Ok(Ok(_)) => {}
                // Of the connection, which tells more.
                Ok(Err(_)) => pending().await,
                Err(_) => return "a ping was not answered",
            }
            sleep(Http2::PING_INTERVAL).await;
            if self.connection.upgrade().is_some_and(|c| c.has_idled())
                && let Some(pool) = self.pool.upgrade()
            {
                pool.forget_idle(&self.connection);
            }
            let _ = pings.send_ping(Ping::opaque());
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.forget(&self.connection);
        }
    }
}

/// Begins HTTP/2, and waits for the endpoint's SETTINGS.
async fn start<IO>(stream: IO) -> Result<(SendRequest<Bytes>, Live<IO>), UpstreamFailure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (requests, mut connection) = client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        .max_header_list_size(MAX_ANSWER_HEAD as u32)
        .handshake(stream)
        .await
        .map_err(UpstreamFailure::http2)?;
    let mut pings = connection.ping_pong().expect("taken once");
    pings
        .send_ping(Ping::opaque())
        .expect("no other is under way");
    poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            let eof = || UpstreamFailure::broke_off(io::Error::from(io::ErrorKind::UnexpectedEof));
            return Poll::Ready(Err(ended.map_or_else(UpstreamFailure::http2, |()| eof())));
        }
        // The SETTINGS come before any answer to a ping (RFC 9113 3.4); if they say yes, that is all
        // there is to know.
        match requests.is_extended_connect_protocol_enabled() {
            true => Poll::Ready(Ok(())),
            false => pings
                .poll_pong(cx)
                .map(|pong| pong.map(drop).map_err(UpstreamFailure::http2)),
        }
    })
    .await?;
    Ok((requests, Live { connection, pings }))
}

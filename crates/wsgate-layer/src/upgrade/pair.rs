use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    server::conn::http1::{self, UpgradeableConnection},
    upgrade::OnUpgrade,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Bridge;

/// Makes a connected pair: what is [sent](UpgradeSender::send) resolves the [`OnUpgrade`].
///
/// hyper creates an `OnUpgrade` only inside a connection. So this runs a throw-away HTTP/1
/// server connection over memory and polls it by hand, exactly twice, with a waker that does
/// nothing: now, when it reads a canned request and hands over its `OnUpgrade`, and in `send`,
/// when it writes a canned 101 into the void and resolves the `OnUpgrade` with the stream inside.
/// No task, no timer, no runtime.
///
/// # Panics
///
/// If hyper no longer dispatches a complete request head within one poll. No input leads there,
/// only another hyper; a test of this crate fails first.
#[must_use]
pub fn pair<T>() -> (UpgradeSender<T>, OnUpgrade)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let slot = Slot::new();
    let mut connection = Box::new(
        http1::Builder::new()
            .auto_date_header(false)
            // Without it, hyper probes the bridge for the end of the stream.
            .half_close(true)
            // The default wants a timer, and logs a warning for each connection that has none.
            .header_read_timeout(None)
            .serve_connection(Bridge::new(slot.clone()), Mint { slot: slot.clone() })
            .with_upgrades(),
    );
    let _ = poll_once(&mut *connection);
    let on_upgrade = slot
        .with(|s| s.minted.take())
        .expect("hyper dispatches a complete request head within one poll");
    (UpgradeSender { connection, slot }, on_upgrade)
}

/// The sending half of a [`pair`].
///
/// Dropped without a [`send`](Self::send), it fails the `OnUpgrade` with hyper's "upgrade expected
/// but not completed": exactly what a handler sees when its client left.
pub struct UpgradeSender<T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    connection: Box<UpgradeableConnection<Bridge<T>, Mint<T>>>,
    slot: Slot<T>,
}

/// The stream could not be handed over: hyper did not complete the upgrade within one poll.
///
/// No input leads here, only a hyper that works otherwise than the one this crate was built for.
#[derive(Debug, thiserror::Error)]
#[error("hyper did not complete an upgrade in memory")]
pub struct SendError {
    #[source]
    source: Option<hyper::Error>,
}

/// What the throw-away connection and its two owners share.
pub(super) struct Slot<T>(Arc<Mutex<Contents<T>>>);

pub(super) struct Contents<T> {
    /// From the canned request to [`pair`].
    minted: Option<OnUpgrade>,
    /// From [`UpgradeSender::send`] to the bridge.
    pub(super) io: Option<T>,
}

// ===== impl UpgradeSender =====

impl<T> UpgradeSender<T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Resolves the paired [`OnUpgrade`] with a stream.
    ///
    /// If the `OnUpgrade` is gone already, the stream is dropped.
    ///
    /// # Errors
    ///
    /// [`SendError`] where hyper does not complete the upgrade; see there.
    pub fn send(mut self, io: T) -> Result<(), SendError> {
        self.slot.with(|s| s.io = Some(io));
        match poll_once(&mut *self.connection) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(e)) => Err(SendError { source: Some(e) }),
            Poll::Pending => Err(SendError { source: None }),
        }
    }
}

impl<T> fmt::Debug for UpgradeSender<T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeSender").finish_non_exhaustive()
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

// ===== impl Slot =====

impl<T> Slot<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Contents {
            minted: None,
            io: None,
        })))
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Contents<T>) -> R) -> R {
        // Nothing in here panics while it holds the lock, and no state is left half-changed.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// ===== the throw-away connection's service =====

/// Keeps the `OnUpgrade` of the canned request, and answers 101 as soon as there is a stream.
struct Mint<T> {
    slot: Slot<T>,
}

struct Answer<T> {
    slot: Slot<T>,
}

impl<T> hyper::service::Service<Request<Incoming>> for Mint<T> {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Answer<T>;

    fn call(&self, mut req: Request<Incoming>) -> Answer<T> {
        self.slot
            .with(|s| s.minted = req.extensions_mut().remove::<OnUpgrade>());
        Answer {
            slot: self.slot.clone(),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<Response<Empty<Bytes>>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.slot.with(|s| s.io.is_none()) {
            return Poll::Pending;
        }
        let mut res = Response::new(Empty::new());
        *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Poll::Ready(Ok(res))
    }
}

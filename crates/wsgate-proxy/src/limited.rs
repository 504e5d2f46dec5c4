//! The body of an answer that opens no tunnel, for which there is a time.

use std::{
    error::Error,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{task::AbortHandle, time::sleep};

/// A body that ends with an error when its time is over.
///
/// A body is asked for more only when the client has room for it, and one that has none, as over HTTP/2
/// with a window of nothing, would hold the upstream's connection for as long as it likes. So the time is
/// watched by a task, which takes the body away. It ends with the body.
#[derive(Debug)]
pub(crate) struct Limited<B> {
    shared: Arc<Shared<B>>,
    watch: Option<AbortHandle>,
}

#[derive(Debug)]
struct Shared<B> {
    state: Mutex<State<B>>,
}

#[derive(Debug)]
struct State<B> {
    /// `None` once its time is over.
    body: Option<Box<B>>,
    /// Who waits for more of it.
    reader: Option<Waker>,
}

/// The time for a body is over.
#[derive(Debug, thiserror::Error)]
#[error("the answer that opens no WebSocket was not sent and read within its time")]
struct TooSlow;

// ===== impl Limited =====

impl<B> Limited<B>
where
    B: HttpBody + Send + 'static,
{
    /// Gives a body so much time, from now on.
    pub(crate) fn new(body: Box<B>, time: Duration) -> Self {
        let is_over = body.is_end_stream();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                body: Some(body),
                reader: None,
            }),
        });
        let watch = (!is_over).then(|| {
            let watched = Arc::clone(&shared);
            let watch = async move {
                sleep(time).await;
                tracing::info!(
                    ?time,
                    "an answer that opens no WebSocket takes too long: breaking it off"
                );
                watched.take_away();
            };
            tokio::spawn(watch).abort_handle()
        });
        Self { shared, watch }
    }
}

impl<B> Drop for Limited<B> {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
        // The task goes when the runtime comes to it, and the connection now.
        self.shared.take_away();
    }
}

impl<B> HttpBody for Limited<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut state = self.shared.state();
        let Some(body) = &mut state.body else {
            return Poll::Ready(Some(Err(TooSlow.into())));
        };
        let polled = Pin::new(body).poll_frame(cx);
        state.reader = polled.is_pending().then(|| cx.waker().clone());
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        let state = self.shared.state();
        state.body.as_ref().is_some_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.shared.state();
        let body = state.body.as_ref();
        body.map_or_else(SizeHint::default, |body| body.size_hint())
    }
}

// ===== impl Shared =====

impl<B> Shared<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        // A body that panics is not polled again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_away(&self) {
        let mut state = self.state();
        let (body, reader) = (state.body.take(), state.reader.take());
        // Neither closing a connection nor waking somebody is to be done under the lock.
        drop(state);
        drop(body);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, channel::Channel};
    use tokio::time::{Instant, advance};
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    type Sent = Channel<Bytes, TooSlow>;

    const TIME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_passes() {
        let body = Box::new(Full::new(Bytes::from_static(b"no")));
        let mut limited = Limited::new(body, TIME);
        assert_eq!(limited.size_hint().exact(), Some(2));
        let frame = limited.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "no");
        assert!(limited.is_end_stream());
        assert!(limited.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_dribbles_is_broken_off() {
        let (mut upstream, body) = Sent::new(8);
        let mut limited = Limited::new(Box::new(body), TIME);
        let begun = Instant::now();
        let dribbles = async {
            loop {
                if upstream.send_data(Bytes::from_static(b"x")).await.is_err() {
                    return begun.elapsed();
                }
                sleep(Duration::from_secs(1)).await;
            }
        };
        let reads = async {
            loop {
                match limited.frame().await.unwrap() {
                    Ok(frame) => assert_eq!(frame.into_data().unwrap(), "x"),
                    Err(error) => return (error, begun.elapsed()),
                }
            }
        };
        let (gone, (error, broken_off)) = tokio::join!(dribbles, reads);
        assert!(error.is::<TooSlow>());
        assert_eq!(broken_off.as_secs(), 30);
        assert!(gone.as_secs() <= 31, "{gone:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_asks_for_is_let_go() {
        let (mut upstream, body) = Sent::new(1);
        let mut limited = Limited::new(Box::new(body), TIME);
        upstream.send_data(Bytes::from_static(b"x")).await.unwrap();
        advance(TIME / 2).await;
        let mut more = task::spawn(upstream.send_data(Bytes::from_static(b"y")));
        assert_pending!(more.poll());
        advance(TIME).await;
        tokio::task::yield_now().await;
        assert!(more.is_woken());
        assert_ready!(more.poll()).unwrap_err();
        let error = limited.frame().await.unwrap().unwrap_err();
        assert!(error.is::<TooSlow>());
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_it_lets_go_at_once_and_leaves_no_task() {
        let (upstream, body) = Sent::new(1);
        let limited = Limited::new(Box::new(body), TIME);
        let weak = Arc::downgrade(&limited.shared);
        drop(limited);
        let mut upstream = upstream;
        upstream
            .send_data(Bytes::from_static(b"x"))
            .await
            .unwrap_err();
        tokio::task::yield_now().await;
        assert_eq!(weak.strong_count(), 0);
    }
}

//! How a server ends: the order of things from the wish to stop to the last cut.
//!
//! ```text
//!   asked ─► drain polled once ─► listening ends ─► drain finished ────────────────┬─► what is left
//!     │                           requests under    ...and all connections ended,  │   is cut
//!     │                           way go on            or the grace is over  ──────┘
//!     └────────────── grace ────────────────────────────►│
//! ```

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum_server::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// When a server ends by itself, and what it then waits for.
pub(crate) struct Stop {
    pub(crate) signal: Option<BoxFuture>,
    /// What requests under way get after the signal.
    pub(crate) grace: Duration,
    pub(crate) drain: Option<BoxFuture>,
}

/// The listening tasks of a server.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// One for each task. The connections' tasks, which are not ours to join, listen to these too.
    handles: Vec<Handle<SocketAddr>>,
    tasks: JoinSet<io::Result<()>>,
    /// Each task holds a clone, so that `ended` is closed when the last one is over.
    alive: mpsc::Sender<Infallible>,
    ended: mpsc::Receiver<Infallible>,
}

/// Asks a server to end, from any number of places.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// When the grace is over. `None` until somebody has asked.
    deadline: watch::Sender<Option<Instant>>,
}

/// What a server goes through once it is asked to end.
pub(crate) struct Ending {
    asked: watch::Receiver<Option<Instant>>,
    drain: Option<BoxFuture>,
    handles: Vec<Handle<SocketAddr>>,
    ended: mpsc::Receiver<Infallible>,
}

/// Cuts all connections when it is dropped: also when a drain panics, which leaves nobody else
/// to do it.
struct Cut<'a>(&'a [Handle<SocketAddr>]);

// ===== impl Listeners =====

impl Listeners {
    pub(crate) fn new() -> Self {
        let (alive, ended) = mpsc::channel(1);
        Self {
            handles: Vec::new(),
            tasks: JoinSet::new(),
            alive,
            ended,
        }
    }

    /// Runs a listener that was built with `handle`.
    pub(crate) fn spawn<F>(&mut self, handle: Handle<SocketAddr>, serve: F)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let alive = self.alive.clone();
        self.handles.push(handle);
        self.tasks.spawn(async move {
            let ended = serve.await;
            drop(alive);
            ended
        });
    }

    /// The tasks, their handles, and what will happen to them when `ask` is heard.
    pub(crate) fn split(
        self,
        ask: &Ask,
        drain: Option<BoxFuture>,
    ) -> (JoinSet<io::Result<()>>, Vec<Handle<SocketAddr>>, Ending) {
        let ending = Ending {
            asked: ask.deadline.subscribe(),
            drain,
            handles: self.handles.clone(),
            ended: self.ended,
        };
        (self.tasks, self.handles, ending)
    }
}

// ===== impl Ask =====

impl Ask {
    pub(crate) fn new() -> Self {
        Self {
            deadline: watch::Sender::new(None),
        }
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.deadline.borrow().is_some()
    }

    /// Of several graces the one counts that is over first.
    pub(crate) fn ask(&self, grace: Duration) {
        info!(?grace, "shutting down");
        let now = Instant::now();
        let over = now.checked_add(grace).unwrap_or(now + FAR_FUTURE);
        self.deadline.send_modify(|deadline| {
            *deadline = Some(deadline.map_or(over, |earlier| earlier.min(over)));
        });
    }
}

// ===== impl Ending =====

impl Ending {
    /// Waits until the server is asked to end, and ends it.
    pub(crate) async fn run(mut self) {
        if self.asked.wait_for(Option::is_some).await.is_err() {
            // The server was dropped, and this task is about to be.
            return;
        }
        let cut = Cut(&self.handles);
        // The order matters. The first poll of a drain is what keeps new WebSockets out; after
        // `graceful_shutdown` hyper would answer their handshakes with `connection: upgrade, close`,
        // which strict clients refuse.
        if let Some(drain) = &mut self.drain {
            let polled = poll_fn(|cx| Poll::Ready(drain.as_mut().poll(cx))).await;
            if polled.is_ready() {
                self.drain = None;
            }
        }
        // Without a deadline of its own: to axum-server a live WebSocket over HTTP/2 is a request
        // under way, and it has the drain's time, which only the drain knows.
        for handle in &self.handles {
            handle.graceful_shutdown(None);
        }

        let drained = async {
            if let Some(drain) = self.drain {
                drain.await;
            }
        };
        let connections = async {
            tokio::select! {
                _ = self.ended.recv() => {}
                () = over(&mut self.asked) => {}
            }
        };
        tokio::join!(drained, connections);

        drop(cut);
        // A connection whose handler blocks its thread does not hear that it was cut.
        let _ = timeout(SLACK, self.ended.recv()).await;
    }
}

// ===== impl Cut =====

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        let left: usize = self.0.iter().map(Handle::connection_count).sum();
        if left > 0 {
            warn!(connections = left, "cutting what has not ended in time");
        }
        for handle in self.0 {
            handle.shutdown();
        }
    }
}

/// Waits for the end of the shortest grace, including those that are asked for meanwhile.
async fn over(asked: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let deadline = *asked.borrow_and_update();
        let sleep = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => return,
            changed = asked.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// For tasks to notice that they were cut.
const SLACK: Duration = Duration::from_secs(1);

/// Instead of a grace that the clock cannot add: a hundred years.
const FAR_FUTURE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_several_graces_the_shortest_counts() {
        #[track_caller]
        fn check(graces: &[Duration], expected: Duration) {
            let ask = Ask::new();
            assert!(!ask.is_asked());
            for grace in graces {
                ask.ask(*grace);
            }
            let deadline = ask.deadline.borrow().expect("asked");
            assert_eq!(deadline - Instant::now(), expected);
        }
        let seconds = Duration::from_secs;
        check(&[seconds(5)], seconds(5));
        check(&[seconds(5), seconds(2)], seconds(2));
        check(&[seconds(2), seconds(5)], seconds(2));
        check(&[Duration::MAX], FAR_FUTURE);
        check(&[Duration::MAX, seconds(5)], seconds(5));
    }
}

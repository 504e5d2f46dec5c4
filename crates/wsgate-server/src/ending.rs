//! How a server ends: the order of things from the wish to stop to the last cut.
//!
//! ```text
//!   asked ─► drain polled once ─► listening ends ─► drain finished ────────────────┬─► what is left
//!     │                           requests under    ...and all connections ended,  │   is cut
//!     │                           way go on            or the grace is over  ──────┘
//!     └────────────── grace ────────────────────────────►│
//! ```
//!
//! The workers, if there are some, leave last: WebSockets that came by HTTP/1.1 live on their
//! runtimes and are no connections any more.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use axum_server::{Handle, Server as AxumServer};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::alive::{Alive, Ended, alive};
use crate::listen::Prepared;
use crate::workers::Leave;

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
    alive: Alive,
    ended: Ended,
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
    ended: Ended,
    workers: Leave,
}

// ===== impl Listeners =====

impl Listeners {
    pub(crate) fn new() -> Self {
        let (alive, ended) = alive();
        Self {
            handles: Vec::new(),
            tasks: JoinSet::new(),
            alive,
            ended,
        }
    }

    /// Runs a listener by the future that `serve` makes of it.
    pub(crate) fn spawn<S, F>(&mut self, listener: Prepared, serve: S)
    where
        S: FnOnce(AxumServer<SocketAddr>) -> F,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let serve = serve(listener.server);
        self.run(&listener.runtime, listener.handle, serve);
    }

    /// Runs the future that has `handle` on a runtime.
    pub(crate) fn run<F>(&mut self, runtime: &runtime::Handle, handle: Handle<SocketAddr>, serve: F)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let alive = self.alive.clone();
        self.handles.push(handle);
        let task = async move {
            let ended = serve.await;
            drop(alive);
            ended
        };
        self.tasks.spawn_on(task, runtime);
    }

    /// Ready when none listens any more and none of their connections is left.
    pub(crate) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// The tasks, their handles, and what will happen to them when `ask` is heard.
    pub(crate) fn split(
        self,
        ask: &Ask,
        drain: Option<BoxFuture>,
        workers: Leave,
    ) -> (JoinSet<io::Result<()>>, Vec<Handle<SocketAddr>>, Ending) {
        let ending = Ending {
            asked: ask.deadline.subscribe(),
            drain,
            handles: self.handles.clone(),
            ended: self.ended,
            workers,
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
    ///
    /// # Panics
    ///
    /// When the drain panics; after everything else.
    pub(crate) async fn run(mut self) {
        if self.asked.wait_for(Option::is_some).await.is_err() {
            // The server was dropped, and this task is about to be.
            return;
        }
        // A drain that panics leaves nobody else to cut.
        let goodbye = caught(self.say_goodbye()).await;
        self.cut();
        // A connection whose handler blocks its thread does not hear that it was cut.
        let _ = timeout(SLACK, self.ended.wait()).await;
        // Nor does its worker that it may leave, and blocking work cannot be cancelled.
        let _ = timeout(SLACK, self.workers.wait()).await;
        if let Err(panic) = goodbye {
            resume_unwind(panic);
        }
    }

    async fn say_goodbye(&mut self) {
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
            if let Some(drain) = self.drain.take() {
                drain.await;
            }
        };
        let connections = async {
            tokio::select! {
                () = self.ended.wait() => {}
                () = over(&mut self.asked) => {}
            }
        };
        tokio::join!(drained, connections);
    }

    fn cut(&self) {
        let left: usize = self.handles.iter().map(Handle::connection_count).sum();
        if left > 0 {
            warn!(connections = left, "cutting what has not ended in time");
        }
        for handle in &self.handles {
            handle.shutdown();
        }
    }
}

/// Tells a panic instead of passing it on.
async fn caught<F: Future>(future: F) -> thread::Result<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let poll = AssertUnwindSafe(|| future.as_mut().poll(cx));
        match catch_unwind(poll) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
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

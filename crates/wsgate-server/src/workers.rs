//! Threads with a runtime of their own, and how they end.
//!
//! ```text
//!   the caller's runtime                     worker 0, worker 1, ..
//!   signal, drain, ending, redirect          listener ─► connections ─► what handlers spawn
//!          │                                                                  ▲
//!          └── Leave: told, or dropped ─► the runtime drops its tasks ────────┘
//!                                         the thread ends
//! ```
//!
//! A worker's listener is a task of its runtime like any other, so that it is waited for, cut and
//! reported in the same way whether there are workers or not. The thread itself only drives the
//! runtime until it is told to leave.

use std::io;
use std::thread;

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tracing::dispatcher::{self, Dispatch};
use tracing::subscriber::NoSubscriber;

use crate::alive::{Alive, Ended, alive};
use crate::error::{ServerError, ServerErrorKind};

/// Where the connections of a server are served: on threads of its own, or on the caller's runtime.
#[derive(Debug)]
pub(crate) struct Workers {
    runtimes: Vec<runtime::Handle>,
    leave: Leave,
}

/// Ends the workers: when it is told to, or when it is dropped. Of several, the first counts.
#[derive(Debug)]
pub(crate) struct Leave {
    tell: watch::Sender<bool>,
    ended: Ended,
}

// ===== impl Workers =====

impl Workers {
    /// None: connections are tasks of the runtime that this is called on.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub(crate) fn none() -> Self {
        Self {
            runtimes: vec![runtime::Handle::current()],
            leave: Leave {
                tell: watch::Sender::new(false),
                ended: alive().1,
            },
        }
    }

    /// So many threads. When one cannot be had, those that were started end again.
    pub(crate) fn start(count: usize) -> Result<Self, ServerError> {
        let (alive, ended) = alive();
        let mut workers = Self {
            runtimes: Vec::with_capacity(count),
            leave: Leave {
                tell: watch::Sender::new(false),
                ended,
            },
        };
        for number in 0..count {
            let runtime = workers
                .start_one(number, count, alive.clone())
                .map_err(|error| {
                    ServerError::new(
                        ServerErrorKind::Workers,
                        format!(
                            "cannot start worker {} of {count}: the operating system gives no \
                             thread or no file for it; raise the limits (`ulimit -n`, `ulimit -u`) \
                             or have fewer workers",
                            number + 1
                        ),
                    )
                    .because(error)
                })?;
            workers.runtimes.push(runtime);
        }
        Ok(workers)
    }

    /// The runtimes to serve on, at least one.
    pub(crate) fn runtimes(&self) -> &[runtime::Handle] {
        &self.runtimes
    }

    /// What ends them, beside the one that they are given up [for](Self::into_leave).
    pub(crate) fn leave(&self) -> Leave {
        Leave {
            tell: self.leave.tell.clone(),
            ended: self.leave.ended.clone(),
        }
    }

    /// What ends them. They go on until then.
    pub(crate) fn into_leave(self) -> Leave {
        self.leave
    }

    fn start_one(&self, number: usize, of: usize, alive: Alive) -> io::Result<runtime::Handle> {
        let name = format!("wsgate-{number}");
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(format!("{name}-blocking"))
            .max_blocking_threads((BLOCKING_THREADS / of).max(FEWEST_BLOCKING_THREADS))
            .build()?;
        let handle = runtime.handle().clone();
        let told = self.leave.tell.subscribe();
        let log = dispatcher::get_default(Clone::clone);
        thread::Builder::new()
            .name(name)
            .spawn(move || with_log(&log, || work(runtime, told, alive)))?;
        Ok(handle)
    }
}

// ===== impl Leave =====

impl Leave {
    /// Ready when all threads have ended.
    pub(crate) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// Tells the workers to leave, and waits until they have.
    pub(crate) async fn wait(&mut self) {
        self.tell.send_replace(true);
        self.ended.wait().await;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.tell.send_replace(true);
    }
}

/// What a worker's thread does.
fn work(runtime: Runtime, mut told: watch::Receiver<bool>, alive: Alive) {
    // An error means that nobody is left who could tell.
    let _ = runtime.block_on(told.wait_for(|told| *told));
    // Drops the tasks and with them what they have open, and then waits for blocking work that has
    // begun. Nobody else has to wait for that as long.
    drop(runtime);
    drop(alive);
}

/// Has events go where the caller's go, who may have a subscriber for one thread only. Tests have.
fn with_log<T>(callers: &Dispatch, run: impl FnOnce() -> T) -> T {
    let silent = |log: &Dispatch| log.is::<NoSubscriber>();
    // Not where there is one for all threads: another for this one would slow each event down.
    if dispatcher::get_default(silent) && !silent(callers) {
        dispatcher::with_default(callers, run)
    } else {
        run()
    }
}

/// How many threads all workers together may have for blocking work: as many as tokio gives to one
/// runtime. Each lookup of an upstream's name takes one for as long as it lasts.
const BLOCKING_THREADS: usize = 512;

/// On a machine with many cores a worker still has some: the lookups of a name server that is gone
/// hold theirs for many seconds.
const FEWEST_BLOCKING_THREADS: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn left(mut ended: Ended) {
        timeout(PATIENCE, ended.wait()).await.expect("an end");
    }

    /// Tells when it is dropped.
    struct Dropped(mpsc::Sender<()>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[tokio::test]
    async fn each_has_a_thread_with_a_runtime() {
        let workers = Workers::start(3).unwrap();
        let mut names = Vec::new();
        for runtime in workers.runtimes() {
            let name = runtime.spawn(async { thread::current().name().map(str::to_owned) });
            names.push(name.await.unwrap().unwrap());
        }
        assert_eq!(names, ["wsgate-0", "wsgate-1", "wsgate-2"]);
    }

    #[tokio::test]
    async fn a_panic_ends_a_task_and_no_worker() {
        let workers = Workers::start(1).unwrap();
        let runtime = &workers.runtimes()[0];
        let panicked = runtime.spawn(async { panic!("by intent") }).await;
        assert!(panicked.unwrap_err().is_panic());
        runtime.spawn(async {}).await.unwrap();
    }

    #[tokio::test]
    async fn they_end_when_they_are_told_to_or_let_go() {
        let workers = Workers::start(2).unwrap();
        timeout(PATIENCE, workers.leave().wait()).await.unwrap();

        let workers = Workers::start(2).unwrap();
        let ended = workers.leave.ended();
        drop(workers);
        left(ended).await;
    }

    #[tokio::test]
    async fn tasks_are_dropped_before_blocking_work_is_waited_for() {
        let workers = Workers::start(1).unwrap();
        let runtime = &workers.runtimes()[0];
        let (dropped, was_dropped) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        runtime.spawn(async move {
            let _held = Dropped(dropped);
            let blocking = tokio::task::spawn_blocking(move || {
                begun.send(()).unwrap();
                let _ = released.recv();
            });
            blocking.await.unwrap();
        });
        has_begun.recv_timeout(PATIENCE).unwrap();
        let mut ended = workers.leave.ended();
        drop(workers);

        was_dropped.recv_timeout(PATIENCE).unwrap();
        timeout(Duration::from_millis(50), ended.wait())
            .await
            .expect_err("blocking work goes on");
        release.send(()).unwrap();
        left(ended).await;
    }

    #[tokio::test]
    async fn where_there_are_none_the_caller_serves() {
        let workers = Workers::none();
        let here = thread::current().id();
        let there = workers.runtimes()[0].spawn(async { thread::current().id() });
        assert_eq!(there.await.unwrap(), here);
        left(workers.leave.ended()).await;
    }
}

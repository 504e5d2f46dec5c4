//! The generator's threads, and how they are told what to do.

use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::tally::Tally;

/// The steps of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Open what is needed, and say so.
    Open,
    /// Make load.
    Run,
    /// Wait for what is in flight, and say so.
    Stop,
    /// Close everything.
    Close,
}

/// The coordinator's side.
#[derive(Debug)]
pub(crate) struct Crew {
    threads: Vec<JoinHandle<()>>,
    tallies: Vec<Arc<Tally>>,
    step: watch::Sender<Step>,
    start: Arc<OnceLock<Instant>>,
    ready: mpsc::Receiver<Result<Option<String>>>,
}

/// A thread's side.
#[derive(Debug)]
pub(crate) struct Post {
    /// Which of how many threads this is.
    pub(crate) index: usize,
    pub(crate) threads: usize,
    pub(crate) tally: Arc<Tally>,
    step: watch::Receiver<Step>,
    start: Arc<OnceLock<Instant>>,
    ready: mpsc::Sender<Result<Option<String>>>,
}

// ===== impl Crew =====

impl Crew {
    /// Starts threads that do `work`, each on a runtime of its own.
    ///
    /// # Errors
    ///
    /// When a runtime cannot be made.
    pub(crate) fn hire<F, W>(threads: usize, work: F) -> Result<Self>
    where
        F: Fn(Post) -> W + Clone + Send + 'static,
        W: Future<Output = Result<()>>,
    {
        let (step, orders) = watch::channel(Step::Open);
        let (report, ready) = mpsc::channel();
        let start = Arc::new(OnceLock::new());
        let tallies: Vec<_> = (0..threads).map(|_| Arc::new(Tally::new())).collect();
        let mut handles = Vec::new();
        for (index, tally) in tallies.iter().enumerate() {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let work = work.clone();
            let post = Post {
                index,
                threads,
                tally: Arc::clone(tally),
                step: orders.clone(),
                start: Arc::clone(&start),
                ready: report.clone(),
            };
            handles.push(thread::spawn(move || {
                let report = post.ready.clone();
                if let Err(error) = runtime.block_on(work(post)) {
                    // Nobody listens any more when another thread has failed before.
                    let _ = report.send(Err(error));
                }
            }));
        }
        Ok(Self {
            threads: handles,
            tallies,
            step,
            start,
            ready,
        })
    }

    pub(crate) fn tallies(&self) -> &[Arc<Tally>] {
        &self.tallies
    }

    /// Waits until each thread has said [`Post::ready`] once more. What TLS agreed on comes back.
    ///
    /// # Errors
    ///
    /// The first thread's that could not do its work.
    pub(crate) fn ready(&self) -> Result<Option<String>> {
        let mut tls = None;
        for _ in &self.threads {
            tls = self.ready.recv().context("a thread ended too early")??;
        }
        Ok(tls)
    }

    /// Goes on to the next step. The clock of all schedules starts with [`Step::Run`].
    pub(crate) fn order(&self, step: Step) {
        if step == Step::Run {
            self.start.get_or_init(Instant::now);
        }
        self.step.send_replace(step);
    }

    /// Waits for the threads to end, and gives their tallies.
    ///
    /// # Panics
    ///
    /// When a thread has.
    pub(crate) fn dismiss(self) -> Vec<Arc<Tally>> {
        for thread in self.threads {
            thread.join().expect("no thread panics");
        }
        self.tallies
    }
}

// ===== impl Post =====

impl Post {
    /// Tells the coordinator that the step is done.
    pub(crate) fn ready(&self, tls: Option<String>) {
        // A coordinator that has given up hears nothing.
        let _ = self.ready.send(Ok(tls));
    }

    /// Waits for a step, and gives the instant at which [`Step::Run`] began.
    ///
    /// # Errors
    ///
    /// When the coordinator has given up.
    pub(crate) async fn reached(&self, step: Step) -> Result<Instant> {
        let mut orders = self.step.clone();
        orders.wait_for(|now| *now >= step).await?;
        Ok(*self.start.get().expect("it is set before the first order"))
    }
}

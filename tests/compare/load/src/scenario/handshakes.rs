//! Whole WebSockets, opened and closed one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Job;
use crate::Fault;
use crate::connect::Target;
use crate::crew::{Post, Step};
use crate::tally::Tally;

/// What one thread does: its share of the workers, until it is stopped.
///
/// # Errors
///
/// When the very first WebSocket of a worker cannot be opened.
pub(super) async fn work(post: Post, job: Arc<Job>) -> Result<()> {
    let mut tls = None;
    let mut targets = Vec::new();
    for _ in (post.index..job.args.connections).step_by(post.threads) {
        let target = job.with_own_tickets()?;
        // Whether it can be done at all shows here, and a first ticket comes of it.
        let opened = target.open(target.per_connection()).await?;
        tls = opened.tls;
        for session in opened.sessions {
            session.close(0).await?;
        }
        targets.push(target);
    }
    post.ready(tls);
    post.reached(Step::Run).await?;

    let stopped = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for target in targets {
        let (stopped, tally) = (Arc::clone(&stopped), Arc::clone(&post.tally));
        workers.spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(fault) = once(&target, &tally).await {
                    tally.fail(&fault, 0);
                    // A server that refuses at once would be refused at once again.
                    sleep(PAUSE).await;
                }
            }
        });
    }
    post.reached(Step::Stop).await?;
    stopped.store(true, Ordering::Relaxed);
    workers.join_all().await;
    post.ready(None);
    Ok(())
}

/// One connection: its WebSockets are opened, which is what takes the time that is told, and closed.
async fn once(target: &Target, tally: &Tally) -> Result<(), Fault> {
    let began = Instant::now();
    let opened = target.open(target.per_connection()).await;
    let opened = opened.map_err(|error| Fault::new(format!("{error:#}")))?;
    let latency = began.elapsed();
    for session in opened.sessions {
        session.close(0).await?;
        tally.handshake(latency, opened.resumed);
    }
    Ok(())
}

/// After a failure, before the next attempt.
const PAUSE: Duration = Duration::from_millis(10);

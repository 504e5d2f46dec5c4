//! Messages on WebSockets that stay open: `echo`, `rate`, `fanout` and `idle`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{Job, Scenario};
use crate::Fault;
use crate::connect::Target;
use crate::crew::{Post, Step};
use crate::pace::{Pace, Schedule};
use crate::session::{Reins, Session};
use crate::tally::Tally;
use crate::timer::Timer;

/// A WebSocket and its place among all of them.
#[derive(Debug)]
struct Socket {
    role: Role,
    session: Session,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    /// The one of this index.
    Numbered(usize),
    Publisher,
}

/// What one thread does.
///
/// # Errors
///
/// When a WebSocket cannot be opened.
pub(super) async fn work(post: Post, job: Arc<Job>) -> Result<()> {
    let (mut sockets, tls) = open(&post, &job).await?;
    if job.scenario == Scenario::Idle {
        let hello = |_| Pace::Closed {
            in_flight: 1,
            last: 1,
        };
        sockets = run(
            sockets,
            GREETING,
            hello,
            &post.tally,
            std::future::pending(),
        )
        .await?;
    }
    post.ready(tls);
    let start = post.reached(Step::Run).await?;
    let pace = |role| job.pace(role, start);
    let stop = post.reached(Step::Stop);
    let sockets = run(sockets, job.size, pace, &post.tally, stop).await?;
    post.ready(None);
    post.reached(Step::Close).await?;
    close(sockets, job.size, &post.tally).await;
    Ok(())
}

/// Opens this thread's share, some at a time.
async fn open(post: &Post, job: &Arc<Job>) -> Result<(Vec<Socket>, Option<String>)> {
    let mine = (post.index..job.args.connections).step_by(post.threads);
    let mine: Vec<usize> = mine.collect();
    let (mut sockets, mut tls) = (Vec::with_capacity(mine.len()), None);
    let mut opening = JoinSet::new();
    let mut groups = mine.chunks(job.target.per_connection());
    loop {
        while opening.len() < OPENING
            && let Some(group) = groups.next()
        {
            let (job, group) = (Arc::clone(job), group.to_vec());
            opening.spawn(async move {
                let opened = job.target.open(group.len()).await?;
                Ok::<_, anyhow::Error>((group, opened))
            });
        }
        let Some(opened) = opening.join_next().await else {
            break;
        };
        let (group, opened) = opened.expect("no opening panics")?;
        tls = opened.tls.or(tls);
        let roles = group.into_iter().map(Role::Numbered);
        sockets.extend(
            roles
                .zip(opened.sessions)
                .map(|(role, session)| Socket { role, session }),
        );
    }
    if post.index == 0
        && let Some(publisher) = job.publisher()
    {
        let opened = publisher.open(1).await?;
        let publisher = opened.sessions.into_iter().map(|session| Socket {
            role: Role::Publisher,
            session,
        });
        sockets.extend(publisher);
    }
    Ok((sockets, tls))
}

/// Runs all of them, until each has come to its end or `stop` is reached, and gives back those that work.
async fn run(
    sockets: Vec<Socket>,
    size: usize,
    pace_of: impl Fn(Role) -> Pace,
    tally: &Arc<Tally>,
    stop: impl Future<Output = Result<Instant>>,
) -> Result<Vec<Socket>> {
    let mut running = JoinSet::new();
    let mut turns = Vec::new();
    let mut all_reins = Vec::with_capacity(sockets.len());
    for Socket { role, mut session } in sockets {
        let (pace, reins) = (pace_of(role), Arc::new(Reins::default()));
        if let Pace::Open(schedule) | Pace::Publish(schedule) = &pace {
            turns.push((*schedule, Arc::clone(&reins)));
        }
        all_reins.push(Arc::clone(&reins));
        let tally = Arc::clone(tally);
        running.spawn(async move {
            match session.run(size, &pace, &reins, &tally).await {
                Ok(()) => Some(Socket { role, session }),
                Err(fault) => {
                    tally.fail(&fault, session.outstanding());
                    None
                }
            }
        });
    }

    let mut working = Vec::with_capacity(all_reins.len());
    let mut collect = async || {
        while let Some(ended) = running.join_next().await {
            working.extend(ended.expect("no session panics"));
        }
    };
    tokio::select! {
        () = collect() => {}
        stopped = stop => {
            stopped?;
            all_reins.iter().for_each(|reins| reins.stop());
            let _ = timeout(DRAIN, collect()).await;
        }
        paced = take_turns(turns) => paced?,
    }
    if !running.is_empty() {
        let fault = Fault::new(format!("messages did not come back within {DRAIN:?}"));
        tally.fail(&fault, running.len() as u64);
        running.shutdown().await;
    }
    Ok(working)
}

/// Wakes each socket when its next message is due.
async fn take_turns(mut sockets: Vec<(Schedule, Arc<Reins>)>) -> Result<()> {
    if sockets.is_empty() {
        std::future::pending::<()>().await;
    }
    sockets.sort_by_key(|(schedule, _)| schedule.due(0));
    let timer = Timer::new()?;
    for round in 0.. {
        for (schedule, reins) in &sockets {
            timer.until(schedule.due(round)).await?;
            reins.wake();
        }
    }
    Ok(())
}

async fn close(sockets: Vec<Socket>, size: usize, tally: &Arc<Tally>) {
    let mut closing = JoinSet::new();
    for Socket { session, .. } in sockets {
        let tally = Arc::clone(tally);
        closing.spawn(async move {
            if let Err(fault) = session.close(size).await {
                tally.fail(&fault, 0);
            }
        });
    }
    closing.join_all().await;
}

// ===== impl Job =====

impl Job {
    fn pace(&self, role: Role, start: Instant) -> Pace {
        let Self { scenario, args, .. } = self;
        match (scenario, role) {
            (Scenario::Rate, Role::Numbered(index)) => {
                Pace::Open(Schedule::new(start, args.rate, index, args.connections))
            }
            (_, Role::Publisher) => Pace::Publish(Schedule::new(start, args.rate, 0, 1)),
            (Scenario::Fanout, _) => Pace::Listen(Schedule::new(start, args.rate, 0, 1)),
            _ => Pace::Closed {
                in_flight: self.in_flight as u64,
                last: u64::MAX,
            },
        }
    }

    /// Where the messages of a fan-out come from.
    fn publisher(&self) -> Option<Target> {
        let address = self.args.publish_to?;
        (self.scenario == Scenario::Fanout).then(|| Target {
            address,
            path: "/fanout/publish".to_owned(),
            tls: None,
            streams: None,
            ..self.target.clone()
        })
    }
}

/// Payload of the one echo on each socket of `idle`.
const GREETING: usize = 64;

/// Connections that a thread opens at a time: fewer than any server's backlog.
const OPENING: usize = 32;

/// How long messages may be on their way after the last was sent.
const DRAIN: Duration = Duration::from_secs(5);

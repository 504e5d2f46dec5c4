//! Checks all endpoints of a group, those included that come later.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    future::Future,
    mem,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::{HealthCheck, ask::CheckFailure};
use crate::upstream::{
    Member, Upstream,
    chores::{Chore, WeakUpstream},
    health::{Moment, attempt::words},
    members::Members,
};

/// What a group does that has a health check.
#[derive(Debug)]
pub(in crate::upstream) struct Checker {
    check: Arc<HealthCheck>,
}

/// The checks that are under way, and those to come.
#[derive(Debug)]
struct Rounds {
    check: Arc<HealthCheck>,
    /// The endpoints as they were last looked at.
    seen: Arc<Members>,
    /// By their places in memory, which nobody else has while they are held here.
    watched: HashMap<usize, Arc<Member>>,
    /// When each is checked next, the earliest on top. One that is watched is here or `under_way`.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    under_way: JoinSet<Checked>,
}

/// With the endpoint, so that its place in memory stays its own.
type Checked = (Arc<Member>, Result<(), CheckFailure>);

// ===== impl Checker =====

impl Checker {
    pub(in crate::upstream) fn new(check: HealthCheck) -> Self {
        Self {
            check: Arc::new(check),
        }
    }
}

impl Chore for Checker {
    fn run(&self, group: WeakUpstream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let rounds = Rounds {
            check: Arc::clone(&self.check),
            seen: Arc::default(),
            watched: HashMap::new(),
            due: BinaryHeap::new(),
            under_way: JoinSet::new(),
        };
        Box::pin(rounds.run(group))
    }
}

// ===== impl Rounds =====

impl Rounds {
    async fn run(mut self, group: WeakUpstream) {
        loop {
            let now = Instant::now();
            match group.upgrade() {
                Some(upstream) => self.follow(&upstream, now),
                None => return,
            }
            let wake = self.begin(now);
            if self.under_way.is_empty() {
                sleep_until(wake).await;
            } else if let Ok(Some(ended)) = timeout_at(wake, self.under_way.join_next()).await {
                match (group.upgrade(), ended) {
                    (Some(upstream), Ok((member, result))) => self.end(&upstream, &member, result),
                    (_, Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
                    // The group is gone, or the runtime is on its way out and ends all tasks.
                    _ => return,
                }
            }
        }
    }

    /// Notices who has come and who has gone.
    fn follow(&mut self, upstream: &Upstream, now: Instant) {
        let members = upstream.group.members.load_full();
        if Arc::ptr_eq(&members, &self.seen) {
            return;
        }
        let mut before = mem::take(&mut self.watched);
        for member in members.all() {
            let place = place(member);
            if before.remove(&place).is_none() {
                // A new one is asked soon, but not in one volley with all others.
                let soon = self.check.every.mul_f64(JITTER * rand::random::<f64>());
                self.due.push(Reverse((now + soon, place)));
            }
            self.watched.insert(place, Arc::clone(member));
        }
        if !before.is_empty() {
            // Its place in memory may be another's soon.
            let watched = &self.watched;
            self.due
                .retain(|Reverse((_, place))| watched.contains_key(place));
        }
        self.seen = members;
    }

    /// Begins the checks that are due. Returns when to look again.
    fn begin(&mut self, now: Instant) -> Instant {
        let later = now + FOLLOW;
        while self.under_way.len() < MAX_UNDER_WAY {
            match self.due.peek() {
                Some(Reverse((due, _))) if *due <= now => {}
                Some(Reverse((due, _))) => return later.min(*due),
                None => return later,
            }
            if let Some(Reverse((_, place))) = self.due.pop()
                && let Some(member) = self.watched.get(&place)
            {
                let (check, member) = (Arc::clone(&self.check), Arc::clone(member));
                self.under_way.spawn(async move {
                    let result = check.ask(&member).await;
                    (member, result)
                });
            }
        }
        // The next one begins when one of these ends.
        later
    }

    fn end(&mut self, upstream: &Upstream, member: &Arc<Member>, result: Result<(), CheckFailure>) {
        let place = place(member);
        // It may have been removed meanwhile.
        if !self.watched.contains_key(&place) {
            return;
        }
        self.take(upstream, member, result);
        let chance = 1.0 + JITTER * (2.0 * rand::random::<f64>() - 1.0);
        let next = Instant::now() + self.check.every.mul_f64(chance);
        self.due.push(Reverse((next, place)));
    }

    fn take(&self, upstream: &Upstream, member: &Member, result: Result<(), CheckFailure>) {
        let (name, endpoint, check) = (upstream.name(), &member.endpoint, &*self.check);
        match result {
            Ok(()) => {
                let slow_start = upstream.group.settings.health.slow_start;
                let health = &member.health;
                if health.passed_check(Moment::now(), check, slow_start) {
                    tracing::info!(upstream = name, %endpoint, %check, "an endpoint passes its checks again");
                }
            }
            Err(failure) if failure.is_ours() => {
                let why = words(&failure);
                tracing::debug!(upstream = name, %endpoint, %check, why, "an endpoint cannot be checked now");
            }
            Err(failure) => {
                let why = words(&failure);
                if member.health.failed_check(&why, check) {
                    tracing::warn!(upstream = name, %endpoint, %check, why, "an endpoint fails its checks");
                }
            }
        }
    }
}

fn place(member: &Arc<Member>) -> usize {
    Arc::as_ptr(member).addr()
}

/// How many are asked at a time: enough to check a thousand every 5 s where all of them take half a
/// second, and few enough not to be an attack.
const MAX_UNDER_WAY: usize = 128;

/// How soon an endpoint that was added is noticed.
const FOLLOW: Duration = Duration::from_secs(1);

/// How far an interval may be off, as a share of it.
const JITTER: f64 = 0.1;

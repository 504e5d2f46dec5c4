use std::{fmt, net::IpAddr, num::NonZeroU32, ops::Add, sync::Mutex, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::keyed::HashMapStateStore,
};
use tokio::time::Instant;

use super::Rate;

/// How often each client may knock.
pub(super) struct Handshakes {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, TokioClock, NoOpMiddleware<Moment>>,
    sweeping: Mutex<Sweeping>,
}

/// When to forget the clients that have rested long enough to be as good as new.
///
/// A sweep costs time for each client that is known. One for each [`MIN_CHECKS`] handshakes, or for as
/// many as there were clients left by the last, keeps that cost per handshake constant, and the
/// memory within twice what is needed. Once things have calmed down, time does it.
#[derive(Debug)]
struct Sweeping {
    /// How many handshakes are left until the next.
    checks: usize,
    last: Instant,
}

/// tokio's clock, which tests can pause.
#[derive(Clone, Copy, Debug)]
struct TokioClock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Instant);

/// So few clients take some 50 KiB.
const MIN_CHECKS: usize = 1024;

/// So that the memory of a flood does not stay for long after it. A sweep of a million clients
/// takes some 20 ms.
const INTERVAL: Duration = Duration::from_secs(60);

// ===== impl Handshakes =====

impl Handshakes {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            limiter: RateLimiter::hashmap_with_clock(quota(rate), TokioClock),
            sweeping: Mutex::new(Sweeping {
                checks: MIN_CHECKS,
                last: Instant::now(),
            }),
        }
    }

    /// Lets a client knock once more, or says how long it has to wait.
    pub(super) fn check(&self, client: IpAddr) -> Result<(), Duration> {
        self.sweep();
        let knocked = self.limiter.check_key(&client);
        knocked.map_err(|until| until.wait_time_from(TokioClock.now()))
    }

    fn sweep(&self) {
        // Held while it sweeps, so that another does not begin; but no handshake waits for it here.
        let Ok(mut sweeping) = self.sweeping.try_lock() else {
            return;
        };
        sweeping.checks -= 1;
        let now = Instant::now();
        if sweeping.checks > 0 && now - sweeping.last < INTERVAL {
            return;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        *sweeping = Sweeping {
            checks: self.limiter.len().max(MIN_CHECKS),
            last: now,
        };
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("clients", &self.limiter.len())
            .finish_non_exhaustive()
    }
}

/// A rate in governor's words, which has 64 bits for the time of a whole burst.
fn quota(rate: Rate) -> Quota {
    let each = rate.time_for(1).max(Duration::from_nanos(1));
    let most = Duration::from_nanos(u64::MAX / 4).as_nanos() / each.as_nanos();
    let burst = u128::from(rate.burst_units()).min(most);
    let burst = u32::try_from(burst).unwrap_or(u32::MAX);
    Quota::with_period(each)
        .expect("a nanosecond or more is not zero")
        .allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
}

// ===== impl TokioClock =====

impl Clock for TokioClock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(Instant::now())
    }
}

// ===== impl Moment =====

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0 + Duration::from(nanos))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, nanos: Nanos) -> Self {
        Self(self.0.checked_sub(nanos.into()).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;

    use super::*;

    fn client(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_next_waits_its_time() {
        let handshakes = Handshakes::new(Rate::per_second(2).burst(3));
        for _ in 0..3 {
            assert_eq!(handshakes.check(client(1)), Ok(()));
        }
        let half = Duration::from_millis(500);
        assert_eq!(handshakes.check(client(1)), Err(half));
        assert_eq!(handshakes.check(client(2)), Ok(()), "another client");

        advance(Duration::from_millis(300)).await;
        let rest = Duration::from_millis(200);
        assert_eq!(handshakes.check(client(1)), Err(rest), "refusals are free");
        advance(rest).await;
        assert_eq!(handshakes.check(client(1)), Ok(()));
        assert_eq!(handshakes.check(client(1)), Err(half));
    }

    /// A flood from ever new addresses, of which a thousand at a time are not as good as new.
    #[tokio::test(start_paused = true)]
    async fn many_clients_do_not_stay() {
        let handshakes = Handshakes::new(Rate::per_second(1));
        let mut most = 0;
        for n in 0..20_000 {
            assert_eq!(handshakes.check(client(n)), Ok(()));
            most = most.max(handshakes.limiter.len());
            advance(Duration::from_millis(1)).await;
        }
        assert!(most < 4 * 1024, "{most} clients were known at a time");

        advance(INTERVAL).await;
        assert_eq!(handshakes.check(client(0)), Ok(()));
        assert_eq!(handshakes.limiter.len(), 1, "after a calm minute");
    }

    /// A client that is held back is not forgotten, and so let in, by a sweep.
    #[tokio::test(start_paused = true)]
    async fn who_is_in_debt_is_remembered() {
        let handshakes = Handshakes::new(Rate::new(1, Duration::from_secs(600)).burst(2));
        assert_eq!(handshakes.check(client(0)), Ok(()));
        assert_eq!(handshakes.check(client(0)), Ok(()));
        for n in 1..3 * MIN_CHECKS as u32 {
            assert_eq!(handshakes.check(client(n)), Ok(()));
        }
        advance(INTERVAL).await;
        assert_eq!(handshakes.check(client(1)), Ok(()));
        let rest = Duration::from_secs(600) - INTERVAL;
        assert_eq!(handshakes.check(client(0)), Err(rest));
    }

    #[test]
    fn a_quota_is_held_to_what_governor_can_count() {
        let check = |rate, each, burst| {
            let quota = quota(rate);
            assert_eq!(quota.replenish_interval(), each);
            assert_eq!(quota.burst_size().get(), burst);
        };
        let (nano, second) = (Duration::from_nanos(1), Duration::from_secs(1));
        check(Rate::per_second(1).burst(7), second, 7);
        check(Rate::per_second(u64::MAX).burst(u64::MAX), nano, u32::MAX);
        check(
            Rate::new(1, Duration::MAX).burst(9),
            Duration::from_nanos(u64::MAX),
            1,
        );
    }
}

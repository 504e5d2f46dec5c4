use std::{collections::BinaryHeap, future::Future, pin::Pin, sync::Arc, time::Duration};

use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Recall, close::spread};
use crate::upstream::{
    Candidate, Candidates, Member, Upstream,
    candidates::Rule,
    chores::{Chore, WeakUpstream},
    health::{Bar, Moment},
};

/// Moves tunnels from endpoints that have too many to those that have few, by closing some.
///
/// Tunnels live for days. After a scale-out, or when an endpoint has come back, the old ones have nearly
/// all of them for as long, whatever the policy does with new ones. With this, once a minute, the
/// group looks at the endpoints that can take a tunnel (the primaries; not those that are drained, full
/// or unhealthy). When the fullest has more than its share by weight and a [bound](Self::spread), some
/// of its tunnels, taken at random, are closed with 1012 ("service restart"), evenly spread over the
/// minute, and no more than a [share](Self::share_per_minute) of all. That goes on, minute by minute,
/// until all are within the bound.
///
/// **Users notice**: their WebSockets are closed and have to be opened again, by the application's
/// code, and what the endpoint held for them is gone. Leave it off where that costs more than uneven load.
/// Gateways beside each other know nothing of each other: each rebalances its own tunnels.
///
/// Where they come back to is the policy's choice. With [`LeastTunnels`](super::super::LeastTunnels) it is
/// the emptiest. A policy that looks at no load ends at the bound that chance allows: make it wider
/// then. One that sends clients back to where they were is [refused](super::super::UpstreamError::Sticky).
///
/// # Example
///
/// ```
/// use wsgate_proxy::upstream::{EndpointSettings, Rebalance, Upstream};
///
/// let backend = Upstream::builder("backend")
///     .endpoint(EndpointSettings::new("http://10.0.0.1:9000")?)
///     .endpoint(EndpointSettings::new("http://10.0.0.2:9000")?)
///     .rebalance(Rebalance::new().spread(0.2))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rebalance {
    spread: f64,
    at_least: u32,
    share: f64,
}

/// What one endpoint has.
#[derive(Clone, Copy, Debug)]
struct Load {
    tunnels: u32,
    /// More than 0.
    weight: f64,
}

/// The unit of [`Rebalance::share_per_minute`].
const ROUND: Duration = Duration::from_secs(60);

// ===== impl Rebalance =====

impl Rebalance {
    /// How far above its share an endpoint may be by default: 10 %. Less is hardly felt by an
    /// endpoint, and users would be moved for it.
    pub const DEFAULT_SPREAD: f64 = 0.1;

    /// How many tunnels above its share it may have in any case: 50. So much comes about by chance where
    /// there are few hundreds, under a policy that does not look at the load.
    pub const DEFAULT_AT_LEAST: u32 = 50;

    /// Which share of the group's tunnels is closed in a minute at most by default: 1 %. At that, a group
    /// that was doubled is even after 50 minutes.
    pub const DEFAULT_SHARE: f64 = 0.01;

    /// With the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            spread: Self::DEFAULT_SPREAD,
            at_least: Self::DEFAULT_AT_LEAST,
            share: Self::DEFAULT_SHARE,
        }
    }

    /// How far above its share by weight an endpoint may be, as a fraction of that. Default:
    /// [0.1](Self::DEFAULT_SPREAD). At least 0.
    #[must_use]
    pub const fn spread(mut self, spread: f64) -> Self {
        self.spread = spread.max(0.0);
        self
    }

    /// How many tunnels above its share it may have, where the [spread](Self::spread) would be fewer.
    /// Default: [50](Self::DEFAULT_AT_LEAST).
    #[must_use]
    pub const fn at_least(mut self, tunnels: u32) -> Self {
        self.at_least = tunnels;
        self
    }

    /// Which share of the group's tunnels is closed in a minute at most, rounded up to a whole one.
    /// Default: [0.01](Self::DEFAULT_SHARE). From 0 to 1.
    #[must_use]
    pub const fn share_per_minute(mut self, share: f64) -> Self {
        self.share = share.clamp(0.0, 1.0);
        self
    }

    /// Of whom to close a tunnel in the coming minute, in this order.
    fn round(&self, upstream: &Upstream) -> Vec<Arc<Member>> {
        let members = upstream.group.members.load();
        let now = Moment::now();
        let rule = Rule {
            tried: &[],
            bar: Bar::at(now),
            now,
        };
        let candidates: Vec<_> = Candidates::new(&members.primary, rule).iter().collect();
        let loads: Vec<_> = candidates.iter().map(Load::of).collect();
        let plan = self.plan(&loads);
        if let Some(first) = plan.first() {
            tracing::info!(
                upstream = upstream.name(),
                closing = plan.len(),
                tunnels = loads.iter().map(|l| u64::from(l.tunnels)).sum::<u64>(),
                fullest = %candidates[*first].endpoint(),
                fullest_tunnels = loads[*first].tunnels,
                "rebalancing: closing tunnels of the fullest endpoints"
            );
        }
        let mut of: Vec<_> = plan
            .iter()
            .map(|place| Arc::clone(candidates[*place].member))
            .collect();
        // Else the second fullest would be spared until the end of the minute.
        of.shuffle(&mut rand::rng());
        of
    }

    /// Of whom to close a tunnel, the fullest first. Nobody, if nobody is above the bound. Nobody falls
    /// below its share: what begins above the bound goes on down to there, so that it does not begin
    /// again with the next tunnel.
    fn plan(&self, loads: &[Load]) -> Vec<usize> {
        let total: f64 = loads.iter().map(|l| f64::from(l.tunnels)).sum();
        let weights: f64 = loads.iter().map(|l| l.weight).sum();
        let share = |load: &Load| total * load.weight / weights;
        let is_above_bound = |load: &Load| {
            let bound = (share(load) * self.spread).max(f64::from(self.at_least));
            f64::from(load.tunnels) > share(load) + bound
        };
        let mut plan = Vec::new();
        if !loads.iter().any(is_above_bound) {
            return plan;
        }
        let most = (total * self.share).ceil() as usize;
        let mut left = loads.to_vec();
        // The bits of floats that are not negative stand in the order of the floats.
        let rank = |load: &Load| (f64::from(load.tunnels) / load.weight).to_bits();
        let ranked = left.iter().enumerate();
        let mut fullest: BinaryHeap<_> = ranked.map(|(at, load)| (rank(load), at)).collect();
        while plan.len() < most
            && let Some((_, at)) = fullest.pop()
        {
            let load = &mut left[at];
            if f64::from(load.tunnels) - 1.0 >= share(load) {
                load.tunnels -= 1;
                plan.push(at);
                fullest.push((rank(load), at));
            }
        }
        plan
    }
}

impl Default for Rebalance {
    fn default() -> Self {
        Self::new()
    }
}

impl Chore for Rebalance {
    fn run(&self, group: WeakUpstream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(rounds(*self, group))
    }
}

async fn rounds(rebalance: Rebalance, group: WeakUpstream) {
    // Gateways that were started together are not to close together.
    sleep(ROUND.mul_f64(rand::random())).await;
    loop {
        let next = Instant::now() + ROUND;
        let Some(round) = group.upgrade().map(|upstream| rebalance.round(&upstream)) else {
            return;
        };
        spread(&round, ROUND, |member| {
            let roll = member.roll();
            // `false`: they have all ended by themselves.
            let _ = roll.is_some_and(|roll| roll.recall_any(Recall::Rebalance));
        })
        .await;
        sleep_until(next).await;
    }
}

// ===== impl Load =====

impl Load {
    fn of(candidate: &Candidate<'_>) -> Self {
        Self {
            tunnels: candidate.tunnels(),
            weight: candidate.weight(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn loads(loads: &[(u32, f64)]) -> Vec<Load> {
        let loads = loads.iter();
        loads
            .map(|&(tunnels, weight)| Load { tunnels, weight })
            .collect()
    }

    #[test]
    fn closes_of_the_fullest_what_is_too_much_and_no_more_than_the_share() {
        #[track_caller]
        fn check(given: &[(u32, f64)], expected: &[usize]) {
            let rebalance = Rebalance::new().at_least(10).share_per_minute(0.05);
            let plan = rebalance.plan(&loads(given));
            let closed = |of| plan.iter().filter(|at| **at == of).count();
            let closed: Vec<_> = (0..given.len()).map(closed).collect();
            assert_eq!(closed, expected);
        }
        check(&[], &[]);
        check(&[(1000, 1.0)], &[0]);
        check(&[(0, 1.0), (0, 1.0)], &[0, 0]);
        // Within 10 %, and just above.
        check(&[(550, 1.0), (450, 1.0)], &[0, 0]);
        check(&[(551, 1.0), (449, 1.0)], &[50, 0]);
        // More than 10 %, but few.
        check(&[(20, 1.0), (0, 1.0)], &[0, 0]);
        check(&[(21, 1.0), (0, 1.0)], &[2, 0]);
        // 5 % of all in a minute, from the fullest down.
        check(&[(1000, 1.0), (0, 1.0)], &[50, 0]);
        check(&[(500, 1.0), (490, 1.0), (10, 1.0)], &[30, 20, 0]);
        check(&[(490, 1.0), (490, 1.0), (20, 1.0)], &[25, 25, 0]);
        // Down to the share at most.
        check(
            &[(114, 1.0), (90, 1.0), (90, 1.0), (90, 1.0)],
            &[18, 0, 0, 0],
        );
        // By weight.
        check(&[(600, 2.0), (300, 1.0)], &[0, 0]);
        check(&[(300, 2.0), (300, 1.0)], &[0, 30]);
    }

    #[test]
    fn no_setting_makes_it_close_below_the_share() {
        let eager = Rebalance::new()
            .spread(-1.0)
            .at_least(0)
            .share_per_minute(7.0);
        assert_eq!(eager.plan(&loads(&[(7, 1.0), (2, 1.0)])), [0, 0]);
        assert!(eager.plan(&loads(&[(5, 1.0), (4, 1.0)])).is_empty());
        let never = eager.share_per_minute(0.0);
        assert!(never.plan(&loads(&[(7, 1.0), (2, 1.0)])).is_empty());
    }

    /// Two endpoints with all the tunnels and two without, under least tunnels, while one in a hundred
    /// ends by itself each minute and another comes.
    #[test]
    fn a_scale_out_is_evened_out_and_then_nobody_is_moved() {
        let mut rng = StdRng::seed_from_u64(7);
        let rebalance = Rebalance::new();
        let mut group = loads(&[(5_000, 1.0), (5_000, 1.0), (0, 1.0), (0, 2.0)]);
        let come = |group: &mut [Load]| {
            let rank = |load: &&mut Load| ((f64::from(load.tunnels + 1)) / load.weight).to_bits();
            let least = group.iter_mut().min_by_key(rank).unwrap();
            least.tunnels += 1;
        };
        let mut closed = Vec::new();
        for _ in 0..120 {
            let plan = rebalance.plan(&group);
            assert!(plan.len() <= 100, "{}", plan.len());
            for at in &plan {
                group[*at].tunnels -= 1;
                come(&mut group);
            }
            closed.push(plan.len());
            for _ in 0..100 {
                let mut any = rng.random_range(0..10_000);
                let at = group.iter().position(|load| {
                    let found = any < load.tunnels;
                    any = any.saturating_sub(load.tunnels);
                    found
                });
                group[at.unwrap()].tunnels -= 1;
                come(&mut group);
            }
        }
        let rounds = closed.iter().take_while(|closed| **closed > 0).count();
        // 6,000 have to move, and some go by themselves.
        assert!((30..=60).contains(&rounds), "{closed:?}");
        assert_eq!(closed[rounds..].iter().sum::<usize>(), 0, "{closed:?}");
        for load in &group {
            let share = 2_000.0 * load.weight;
            assert!(
                (f64::from(load.tunnels) - share).abs() <= share * 0.1,
                "{group:?}"
            );
        }
    }
}

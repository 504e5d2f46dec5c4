use super::{super::chance, world::World};
use crate::{
    Endpoint,
    upstream::{BalanceKind, EndpointSettings, Lease, Upstream},
};

/// What was seen of a policy.
pub(super) struct Run {
    phases: Vec<(Phase, Vec<Sample>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// Ten endpoints.
    Steady,
    /// Two more.
    ScaleOut,
    /// Without the tenth, all of whose clients have come back at once.
    Death,
    /// With it again.
    Return,
}

/// The spread at one moment, as times of the mean tunnels for the weight of those that are there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Since the first phase began, in mean lifetimes of a tunnel.
    pub(super) time: f64,
    pub(super) fullest: f64,
    pub(super) emptiest: f64,
}

// ===== impl Run =====

impl Run {
    pub(super) fn of(policy: &BalanceKind, weights: &[u32]) -> Self {
        chance::seed(11);
        let endpoints = weights.iter().enumerate();
        let endpoints =
            endpoints.map(|(n, weight)| EndpointSettings::from(endpoint(n)).weight(*weight));
        let builder = Upstream::builder("simulated").balance(policy.policy());
        let builder = endpoints.fold(builder, |builder, settings| builder.endpoint(settings));
        let group = builder.build().unwrap();
        let opened = |group: &Upstream, lease: &Lease| law(policy, group, lease);

        let mut world = World::new(group.clone());
        world.open_all(opened);
        world.run_until(WARM_UP, opened);
        let last = endpoint(weights.len() - 1);
        let phases = PHASES.map(|(phase, length)| {
            match phase {
                Phase::Steady => {}
                Phase::ScaleOut => {
                    for n in 0..2 {
                        let settings = EndpointSettings::from(endpoint(weights.len() + n));
                        group.add(settings.weight(weights[n * 8])).unwrap();
                    }
                }
                Phase::Death => world.kill(&last, opened),
                Phase::Return => group.undrain(&last).unwrap(),
            }
            let samples = (0..length * PER_LIFETIME).map(|_| {
                let sample = Sample::of(&group, world.now - WARM_UP);
                let next = world.now + 1.0 / f64::from(PER_LIFETIME);
                world.run_until(next, opened);
                sample
            });
            (phase, samples.collect())
        });
        Self {
            phases: phases.into(),
        }
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = (Phase, &Sample)> {
        let phases = self.phases.iter();
        phases.flat_map(|(phase, samples)| samples.iter().map(|sample| (*phase, sample)))
    }

    pub(super) fn last(&self, phase: Phase) -> Sample {
        let samples = self.samples().filter(|(of, _)| *of == phase);
        *samples.last().expect("every phase is sampled").1
    }

    /// The fullest and the emptiest of any moment of a phase.
    pub(super) fn worst(&self, phase: Phase) -> Sample {
        let samples = self.samples().filter(|(of, _)| *of == phase);
        let samples = samples.map(|(_, sample)| *sample);
        let worst = samples.reduce(|a, b| Sample {
            time: a.time,
            fullest: a.fullest.max(b.fullest),
            emptiest: a.emptiest.min(b.emptiest),
        });
        worst.expect("every phase is sampled")
    }
}

// ===== impl Phase =====

impl Phase {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::ScaleOut => "two more",
            Self::Death => "one dies",
            Self::Return => "it returns",
        }
    }
}

// ===== impl Sample =====

impl Sample {
    fn of(group: &Upstream, time: f64) -> Self {
        let Present {
            tunnels, weights, ..
        } = Present::of(group);
        let mean = tunnels / weights;
        let members = group.group.members.load();
        let there = members.primary.iter().filter(|m| !m.is_drained());
        let load = there.map(|m| f64::from(m.tunnels()) / f64::from(m.weight()) / mean);
        let (emptiest, fullest) = load.fold((f64::MAX, 0.0_f64), |(min, max), load| {
            (min.min(load), max.max(load))
        });
        Self {
            time,
            fullest,
            emptiest,
        }
    }
}

/// Sums over the endpoints that are there.
struct Present {
    tunnels: f64,
    weights: f64,
    count: f64,
}

impl Present {
    fn of(group: &Upstream) -> Self {
        let members = group.group.members.load();
        let there = members.primary.iter().filter(|m| !m.is_drained());
        let none = Self {
            tunnels: 0.0,
            weights: 0.0,
            count: 0.0,
        };
        there.fold(none, |sum, m| Self {
            tunnels: sum.tunnels + f64::from(m.tunnels()),
            weights: sum.weights + f64::from(m.weight()),
            count: sum.count + 1.0,
        })
    }
}

/// What a policy promises of the endpoint that has just got a tunnel.
#[track_caller]
fn law(policy: &BalanceKind, group: &Upstream, lease: &Lease) {
    let Present {
        tunnels,
        weights,
        count,
    } = Present::of(group);
    let (own, weight) = (
        f64::from(lease.member().tunnels()),
        f64::from(lease.member().weight()),
    );
    let most = match policy {
        // The mean before, and what the weights cannot share evenly.
        BalanceKind::LeastTunnels => weight * (tunnels - 1.0 + count) / weights + 1e-6,
        BalanceKind::Hash(_) => (1.25 * tunnels * weight / weights).ceil(),
        _ => return,
    };
    assert!(
        own <= most,
        "{policy}: {own} of {tunnels}, with weight {weight} of {weights}"
    );
}

fn endpoint(n: usize) -> Endpoint {
    format!("http://10.0.0.{n}:9000").parse().unwrap()
}

/// In mean lifetimes.
const PHASES: [(Phase, u32); 4] = [
    (Phase::Steady, 1),
    (Phase::ScaleOut, 2),
    (Phase::Death, 1),
    (Phase::Return, 2),
];
/// After all have come at once, until most have come a second time.
const WARM_UP: f64 = 1.0;
const PER_LIFETIME: u32 = 20;

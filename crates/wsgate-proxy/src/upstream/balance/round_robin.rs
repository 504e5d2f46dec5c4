use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use rand::Rng;

use super::{Balance, Candidate, Candidates, Handshake, chance, kept::Kept};

/// One endpoint after the other, each as often as its weight says, spread as evenly as that goes: of
/// weights 5, 1 and 1 the turns are `a a b a a a c`, and begin anywhere in there.
///
/// In any seven of those turns each endpoint has exactly its share. It keeps its turn when others come
/// and go; one that could not take a tunnel when its turn came has missed it, and is not made up for.
///
/// It does not look at live tunnels: where some live for days and others for seconds, they pile up
/// unevenly, and an endpoint that comes back does not catch up. [`LeastTunnels`](super::LeastTunnels)
/// does.
///
/// What a choice costs grows with the logarithm of the number of endpoints, as long as most can take a
/// tunnel. Threads take turns at it.
#[derive(Debug, Default)]
pub struct RoundRobin {
    rotation: Kept<Rotation>,
}

/// Each endpoint's turns come at times that are as far apart as one divided by its weight. The times are
/// not of any clock: the present is whenever the last turn was.
#[derive(Default)]
struct Rotation {
    now: u128,
    turns: BinaryHeap<Reverse<Turn>>,
    /// The endpoints' hashes, by place.
    names: Vec<u64>,
    /// Empty between choices.
    missed: Vec<Turn>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: u128,
    place: usize,
}

// ===== impl RoundRobin =====

impl RoundRobin {
    /// The policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Balance for RoundRobin {
    fn choose<'a>(&self, _: &Handshake<'_>, candidates: &Candidates<'a>) -> Option<Candidate<'a>> {
        self.rotation.with(
            candidates,
            |rotation| rotation.renew(candidates),
            |rotation| rotation.next(candidates),
        )
    }
}

// ===== impl Rotation =====

impl Rotation {
    /// Those that stay keep their turns. New ones begin somewhere before their second, by multiples of the
    /// golden ratio: that keeps those of light endpoints apart, and so the runs of heavy ones short. Where
    /// the multiples begin is chance, so that not all gateways begin with the same endpoint.
    fn renew(&mut self, candidates: &Candidates<'_>) {
        let turns = self.turns.drain();
        let turns: HashMap<u64, u128> = turns
            .map(|Reverse(turn)| (self.names[turn.place], turn.at))
            .collect();
        self.names = candidates.tier.iter().map(|m| m.hash).collect();
        let begin = chance::with(|rng| rng.random::<u64>());
        let turns = candidates.tier.iter().enumerate().map(|(place, member)| {
            let distance = distance(f64::from(member.weight()));
            let multiple = begin.wrapping_add((place as u64).wrapping_mul(GOLDEN));
            let at = match turns.get(&member.hash) {
                Some(at) => (*at).min(self.now + distance),
                None => self.now + (distance >> 32) * u128::from(multiple >> 32),
            };
            Reverse(Turn { at, place })
        });
        self.turns = turns.collect();
    }

    fn next<'a>(&mut self, candidates: &Candidates<'a>) -> Option<Candidate<'a>> {
        let mut chosen = None;
        while let Some(Reverse(turn)) = self.turns.pop() {
            if let Some(candidate) = candidates.get(turn.place) {
                self.now = turn.at;
                self.turns.push(turn.after(candidate.weight()));
                chosen = Some(candidate);
                break;
            }
            self.missed.push(turn);
            if self.missed.len() == MANY && candidates.iter().next().is_none() {
                break;
            }
        }
        for turn in self.missed.drain(..) {
            let weight = f64::from(candidates.tier[turn.place].weight());
            let next = match chosen {
                Some(_) => Turn {
                    at: turn.after(weight).0.at.max(self.now),
                    ..turn
                },
                None => turn,
            };
            self.turns.push(Reverse(next));
        }
        chosen
    }
}

// ===== impl Turn =====

impl Turn {
    fn after(self, weight: f64) -> Reverse<Self> {
        Reverse(Self {
            at: self.at + distance(weight),
            ..self
        })
    }
}

/// From one turn to the next.
fn distance(weight: f64) -> u128 {
    (ONE as f64 / weight) as u128
}

/// The distance for weight 1. Fine enough for any weight, and 2^64 rounds do not use 128 bits up.
const ONE: u128 = 1 << 64;

/// The golden ratio less 1, in 2^64ths.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// So many have missed their turn that there may be nobody who can take it.
const MANY: usize = 16;

use rand::Rng;

use super::{Balance, Candidate, Candidates, Handshake, chance};

/// The endpoint with the fewest live tunnels for its weight; of several the heaviest, and of equals
/// any. The default.
///
/// An endpoint is never given a tunnel while another would have fewer with it: no endpoint gets beyond
/// the mean, tunnels per weight, by more than the number of endpoints divided by the sum of the weights. Where
/// tunnels end, the next ones go there.
///
/// It looks at all endpoints, which for ten costs less than a tenth of a microsecond. From some
/// thousands on, [`TwoChoices`](super::TwoChoices) costs less and is nearly as even. So it is with many
/// gateways before few endpoints: each knows only its own tunnels.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LeastTunnels {}

/// The best so far.
struct Least<'a> {
    candidate: Candidate<'a>,
    load: f64,
    weight: f64,
}

// ===== impl LeastTunnels =====

impl LeastTunnels {
    /// The policy.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl Balance for LeastTunnels {
    fn choose<'a>(&self, _: &Handshake<'_>, candidates: &Candidates<'a>) -> Option<Candidate<'a>> {
        // Equals are told apart by chance, so that not all gateways begin with the same one. One number
        // is enough for that: with each endpoint's hash it makes an order that is another each time.
        let order = chance::with(|rng| rng.random::<u64>());
        let mut candidates = candidates.iter();
        let mut least = Least::of(candidates.next()?);
        for candidate in candidates {
            let other = Least::of(candidate);
            if other.is_before(&least, order) {
                least = other;
            }
        }
        Some(least.candidate)
    }
}

// ===== impl Least =====

impl<'a> Least<'a> {
    fn of(candidate: Candidate<'a>) -> Self {
        let weight = candidate.weight();
        Self {
            candidate,
            load: load_with_one_more(&candidate, weight),
            weight,
        }
    }

    fn is_before(&self, other: &Self, order: u64) -> bool {
        let rank = |c: &Candidate<'_>| chance::mix(c.hash() ^ order);
        if self.load != other.load {
            self.load < other.load
        } else if self.weight != other.weight {
            self.weight > other.weight
        } else {
            rank(&self.candidate) < rank(&other.candidate)
        }
    }
}

/// The tunnels per weight that an endpoint would have with one more.
pub(super) fn load_with_one_more(candidate: &Candidate<'_>, weight: f64) -> f64 {
    (f64::from(candidate.tunnels()) + 1.0) / weight
}

use super::{Balance, Candidate, Candidates, Handshake, chance, least_tunnels::load_with_one_more};

/// Of two endpoints that chance names, as likely as their weights say, the one with fewer live tunnels
/// for its weight.
///
/// "The power of two choices": nearly as even as [`LeastTunnels`](super::LeastTunnels), for the price of
/// two looks however many endpoints there are. And many gateways, of which each knows only its own
/// tunnels, do not all run to the same endpoint.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TwoChoices {}

// ===== impl TwoChoices =====

impl TwoChoices {
    /// The policy.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl Balance for TwoChoices {
    fn choose<'a>(&self, _: &Handshake<'_>, candidates: &Candidates<'a>) -> Option<Candidate<'a>> {
        let (one, other) = chance::with(|rng| {
            let one = candidates.sample(rng)?;
            Some((one, candidates.sample_other(rng, one)))
        })?;
        let load = |c: &Candidate<'_>| load_with_one_more(c, c.weight());
        let emptier = other.filter(|other| load(other) < load(&one));
        Some(emptier.unwrap_or(one))
    }
}

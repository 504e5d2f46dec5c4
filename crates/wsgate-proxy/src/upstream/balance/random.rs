use super::{Balance, Candidate, Candidates, Handshake, chance};

/// Any endpoint, as likely as its weight says.
///
/// Over a thousand tunnels an endpoint is within some 10 % of its share. Takes a few looks, however many
/// endpoints there are.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Random {}

// ===== impl Random =====

impl Random {
    /// The policy.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl Balance for Random {
    fn choose<'a>(&self, _: &Handshake<'_>, candidates: &Candidates<'a>) -> Option<Candidate<'a>> {
        chance::with(|rng| candidates.sample(rng))
    }
}

use std::sync::Arc;

use rand::Rng;

use super::{
    Member,
    health::{Bar, Moment},
    tier::Tier,
};
use crate::Endpoint;

/// The endpoints of a group, of which a [`Balance`](super::Balance) chooses one.
///
/// Those that can take a tunnel now are what it [gives](Self::iter): not drained, full, ejected or
/// unhealthy, and not tried for this handshake before.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// Those that cannot take a tunnel included.
    pub(super) tier: &'a Tier,
    rule: Rule<'a>,
}

/// An endpoint that can take a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub(super) member: &'a Arc<Member>,
    /// When its weight is asked for.
    pub(super) now: Moment,
}

/// Who can take a tunnel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    /// Tried for this handshake, with no luck.
    pub(super) tried: &'a [Arc<Member>],
    /// How well it has to be.
    pub(super) bar: Bar,
    pub(super) now: Moment,
}

// ===== impl Candidates =====

impl<'a> Candidates<'a> {
    pub(super) const fn new(tier: &'a Tier, rule: Rule<'a>) -> Self {
        Self { tier, rule }
    }

    /// Those that can take a tunnel now, in an order that stays while no endpoint comes or goes.
    ///
    /// Looks at each endpoint only when asked for it: a policy that needs one or two of many had
    /// better [sample](Self::sample).
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        let rule = self.rule;
        let members = self.tier.iter();
        let allowed = members.filter(move |m| rule.allows(m));
        allowed.map(move |m| Candidate::new(m, rule.now))
    }

    /// How many endpoints there are, whether or not they can take a tunnel.
    #[must_use]
    pub fn total(&self) -> usize {
        self.tier.len()
    }

    /// The endpoint at this place of [`total`](Self::total), if it can take a tunnel now.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Candidate<'a>> {
        let member = self.tier.get(index)?;
        let candidate = || Candidate::new(member, self.rule.now);
        self.rule.allows(member).then(candidate)
    }

    /// Another number after each change of the endpoints, and of the weights that were set. A policy
    /// that keeps something by the place of an endpoint makes it anew then.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.tier.version()
    }

    /// One of those that can take a tunnel, as likely as its weight says. Takes a few looks where most
    /// can, and one at each endpoint where hardly any does.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<Candidate<'a>> {
        self.sample_where(rng, |_| true)
    }

    /// [One](Self::sample) that is another than this.
    pub fn sample_other<R: Rng + ?Sized>(
        &self,
        rng: &mut R,
        than: Candidate<'_>,
    ) -> Option<Candidate<'a>> {
        self.sample_where(rng, |c| !Arc::ptr_eq(c.member, than.member))
    }

    fn sample_where<R: Rng + ?Sized>(
        &self,
        rng: &mut R,
        fits: impl Fn(&Candidate<'a>) -> bool,
    ) -> Option<Candidate<'a>> {
        for _ in 0..LOOKS {
            let drawn = self.get(self.tier.draw(rng)?);
            if let Some(candidate) = drawn.filter(|c| fits(c) && c.counts(rng)) {
                return Some(candidate);
            }
        }
        let (mut chosen, mut weights) = (None, 0.0);
        for candidate in self.iter().filter(fits) {
            let weight = candidate.weight();
            weights += weight;
            if rng.random::<f64>() * weights < weight {
                chosen = Some(candidate);
            }
        }
        chosen
    }
}

/// With half of the endpoints gone, one sample in 250 looks at all.
const LOOKS: usize = 8;

// ===== impl Candidate =====

impl<'a> Candidate<'a> {
    pub(super) const fn new(member: &'a Arc<Member>, now: Moment) -> Self {
        Self { member, now }
    }

    /// The endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &'a Endpoint {
        &self.member.endpoint
    }

    /// Its live tunnels, handshakes under way included.
    #[must_use]
    pub fn tunnels(&self) -> u32 {
        self.member.tunnels()
    }

    /// Its weight, as it counts now: less than what was set while it [starts
    /// slowly](super::UpstreamBuilder::slow_start). More than 0.
    #[must_use]
    pub fn weight(&self) -> f64 {
        f64::from(self.member.weight()) * self.member.health.share(self.now)
    }

    /// A hash of its name, the first eight bytes of its SHA-256: the same in every gateway, of whatever
    /// version.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.member.hash
    }

    /// Whether it is drawn, as one of the weight that was set is on the table: by chance while it
    /// counts for less.
    fn counts<R: Rng + ?Sized>(&self, rng: &mut R) -> bool {
        let (now, set) = (self.weight(), f64::from(self.member.weight()));
        now >= set || rng.random::<f64>() * set < now
    }
}

// ===== impl Rule =====

impl Rule<'_> {
    fn allows(&self, member: &Arc<Member>) -> bool {
        !member.is_drained()
            && !member.is_full()
            && member.health.meets(self.bar)
            && !self.tried.iter().any(|tried| Arc::ptr_eq(tried, member))
    }
}

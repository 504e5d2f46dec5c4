//! One handshake's way from endpoint to endpoint.

use std::sync::Arc;

use http::Response;
use tokio::time::Instant;

use super::{
    Candidate, Handshake, Lease, Member, Upstream,
    candidates::{Candidates, Rule},
    health::{Accuser, Attempt, Bar, Moment, Verdict},
};
use crate::error::UpstreamFailure;

/// Gives endpoints for one handshake, each at most once.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    upstream: &'a Upstream,
    left: usize,
    tried: Vec<Arc<Member>>,
    /// The present one, until it is reported; dropped before, it was given up.
    attempt: Option<Attempt>,
    /// Those that failed, perhaps by this client's doing. Told as soon as the same handshake does better
    /// elsewhere.
    unproven: Vec<(Attempt, Verdict)>,
    accuser: Option<Accuser>,
    has_probed: bool,
    deadline: Instant,
}

// ===== impl Tries =====

impl<'a> Tries<'a> {
    pub(super) fn new(upstream: &'a Upstream) -> Self {
        let settings = &upstream.group.settings;
        Self {
            upstream,
            left: settings.tries,
            tried: Vec::new(),
            attempt: None,
            unproven: Vec::new(),
            accuser: None,
            has_probed: false,
            deadline: Instant::now() + settings.deadline,
        }
    }

    /// Whether there is one try only, and no policy to be told of it, so that nothing has to be kept.
    pub(crate) fn is_single(&self) -> bool {
        self.upstream.group.settings.is_single
    }

    /// When all has to be over.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The next endpoint, or `None` if there is none, or enough were tried.
    pub(crate) fn next(&mut self, handshake: &Handshake<'_>) -> Option<Lease> {
        if self.left == 0 || Instant::now() >= self.deadline {
            return None;
        }
        self.left -= 1;
        let (lease, attempt) = self.choose(handshake)?;
        self.upstream.group.health.note_service();
        self.has_probed |= attempt.is_probe();
        self.attempt = Some(attempt);
        self.accuser = handshake.client.map(Accuser::at);
        self.tried.push(Arc::clone(lease.member()));
        Some(lease)
    }

    /// What the present try has come to. Cancelled before, it tells nothing of the endpoint.
    pub(crate) fn report<B>(&mut self, answer: &Result<Response<B>, UpstreamFailure>) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        let Some(rules) = &self.upstream.group.settings.health.ejection else {
            return;
        };
        // A later try may have had no more than a moment: what was left of the time for all.
        let is_cut_short = self.tried.len() > 1
            && Instant::now() >= self.deadline
            && answer.as_ref().is_err_and(UpstreamFailure::is_timeout);
        // The endpoint was not asked.
        let is_exhausted = answer.as_ref().is_err_and(|f| f.exhausted().is_some());
        if is_cut_short || is_exhausted {
            return;
        }
        let verdict = Verdict::of(answer, rules);
        if matches!(verdict, Verdict::Well) {
            for (attempt, verdict) in self.unproven.drain(..) {
                attempt.report(self.upstream, rules, &verdict, None);
            }
        }
        if let Some(unproven) = attempt.report(self.upstream, rules, &verdict, self.accuser) {
            self.unproven.push((unproven, verdict));
        }
    }

    fn choose(&self, handshake: &Handshake<'_>) -> Option<(Lease, Attempt)> {
        let group = &self.upstream.group;
        let members = group.members.load();
        let now = Moment::now();
        // One probe has cost the client enough.
        let well = match self.has_probed {
            true => Bar::WELL,
            false => Bar::at(now),
        };
        for bar in [well, Bar::ANYONE] {
            let rule = Rule {
                tried: &self.tried,
                bar,
                now,
            };
            for tier in [&members.primary, &members.backup] {
                // Between the choice and the lease somebody else may have taken the last place, or may
                // have become the probe.
                while let Some(chosen) = {
                    let candidates = Candidates::new(tier, rule);
                    group.balance.choose(handshake, &candidates)
                } {
                    if let Some(lease) = Lease::take(chosen.member)
                        && let Some(attempt) = Attempt::begin(chosen.member, bar, now)
                    {
                        return Some((lease, attempt));
                    }
                }
            }
        }
        None
    }

    /// The endpoint has accepted.
    pub(crate) fn accepted(
        &self,
        lease: &Lease,
        handshake: &Handshake<'_>,
        answer: &mut http::HeaderMap,
    ) {
        let chosen = Candidate::new(lease.member(), Moment::now());
        self.upstream
            .group
            .balance
            .accepted(handshake, chosen, answer);
    }
}

//! One handshake to one endpoint, and what becomes known by it.

use std::{
    error::Error,
    iter::successors,
    sync::{Arc, PoisonError},
};

use http::{Response, StatusCode};

use super::{
    Accuser, Bar, Ejection, Moment,
    circuit::{Change, Ticket},
};
use crate::{
    error::UpstreamFailure,
    upstream::{Member, Upstream},
};

/// A handshake that was let through. Dropped without a report it was given up, which tells nothing.
#[derive(Debug)]
pub(in crate::upstream) struct Attempt {
    member: Arc<Member>,
    ticket: Ticket,
}

/// What the end of a handshake tells of the endpoint.
#[derive(Debug)]
pub(in crate::upstream) enum Verdict {
    Well,
    Failed {
        why: String,
        /// It failed before the endpoint was sent anything of the client's.
        is_its_own: bool,
    },
}

// ===== impl Attempt =====

impl Attempt {
    /// Lets a handshake through. `None` if another one was faster to be the probe.
    pub(in crate::upstream) fn begin(member: &Arc<Member>, bar: Bar, now: Moment) -> Option<Self> {
        let ticket = member.health.admit(bar, now)?;
        Some(Self {
            member: Arc::clone(member),
            ticket,
        })
    }

    /// Whether it is the one that an ejected endpoint gets.
    pub(in crate::upstream) const fn is_probe(&self) -> bool {
        self.ticket.is_probe
    }

    /// Tells what came of it. The attempt again, with nothing told, where the failure may be the doing of
    /// the client, who has had another endpoint ejected already: `accuser`, unless something speaks for him.
    pub(in crate::upstream) fn report(
        mut self,
        upstream: &Upstream,
        rules: &Ejection,
        verdict: &Verdict,
        accuser: Option<Accuser>,
    ) -> Option<Self> {
        let now = Moment::now();
        let group = &upstream.group;
        let member = &self.member;
        let (change, why) = match verdict {
            Verdict::Well => {
                let slow_start = group.settings.health.slow_start;
                let health = &member.health;
                (health.succeeded(self.ticket, now, slow_start), "")
            }
            Verdict::Failed { why, is_its_own } => {
                let accuser = accuser.filter(|_| !is_its_own);
                // One after the other, or the last two could go together.
                let accusers = group.health.ejecting.lock();
                let mut accusers = accusers.unwrap_or_else(PoisonError::into_inner);
                if accuser.is_some_and(|by| accusers.has_accused(by, member, now)) {
                    return Some(self);
                }
                let may_eject = || may_eject(upstream, member, rules, now);
                let health = &member.health;
                let change = health.failed(self.ticket, why, now, rules, may_eject);
                if let Some(accuser) = accuser
                    && matches!(change, Change::Ejected(_) | Change::EjectedAgain(_))
                {
                    accusers.note(accuser, member);
                }
                (change, &**why)
            }
        };
        // From here on another may be the probe, whose place is not this one's to give up.
        self.ticket.is_probe = false;
        log(upstream.name(), &self.member, &change, why);
        None
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.member.health.given_up(self.ticket);
    }
}

/// Whether the group can do without this endpoint.
fn may_eject(upstream: &Upstream, member: &Arc<Member>, rules: &Ejection, now: Moment) -> bool {
    let members = upstream.group.members.load();
    // One whose time is over counts: the next handshake may be its probe.
    let bar = Bar::at(now);
    let mut others = members.all().filter(|m| !Arc::ptr_eq(m, member));
    if !others.any(|m| !m.is_drained() && m.health.meets(bar)) {
        return false;
    }
    let out = members.primary.iter().filter(|m| !m.health.meets(bar));
    member.is_backup() || out.count() < rules.most(members.primary.len())
}

fn log(upstream: &str, member: &Member, change: &Change, why: &str) {
    let endpoint = &member.endpoint;
    match change {
        Change::Nothing => {}
        Change::Ejected(lasts) => {
            tracing::warn!(upstream, %endpoint, why, ?lasts, "an endpoint is ejected");
        }
        Change::EjectedAgain(lasts) => {
            tracing::info!(upstream, %endpoint, why, ?lasts, "an endpoint stays ejected");
        }
        Change::Spared => tracing::warn!(
            upstream,
            %endpoint,
            why,
            "an endpoint fails, and is not ejected: too few others are left"
        ),
        Change::Back => tracing::info!(upstream, %endpoint, "an ejected endpoint is back"),
    }
}

// ===== impl Verdict =====

impl Verdict {
    pub(in crate::upstream) fn of<B>(
        answer: &Result<Response<B>, UpstreamFailure>,
        rules: &Ejection,
    ) -> Self {
        match answer {
            Ok(res) if res.status().is_server_error() && rules.counts_answers => Self::Failed {
                why: answered(res.status()),
                is_its_own: false,
            },
            Ok(_) => Self::Well,
            Err(failure) => Self::Failed {
                why: words(failure),
                is_its_own: failure.is_before_handshake(),
            },
        }
    }
}

pub(super) fn answered(status: StatusCode) -> String {
    format!("answered {status}")
}

/// The error, and what lies below it.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let chain = successors(Some(error), |&e| e.source());
    let words: Vec<_> = chain.map(ToString::to_string).collect();
    words.join(": ")
}

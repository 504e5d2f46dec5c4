//! What handshakes have told of one endpoint: the states, without a clock or a lock.

use std::{sync::Arc, time::Duration};

use super::{Ejection, Moment};

/// The module docs draw it.
#[derive(Debug)]
pub(super) struct Circuit {
    state: State,
    /// Grows when a well endpoint is ejected. A handshake that began before tells nothing of what is
    /// now.
    generation: u32,
    /// Ejections in a row, the present one included.
    strikes: u32,
}

#[derive(Debug)]
enum State {
    Closed {
        /// In a row.
        failures: u32,
        /// When it came back.
        since: Moment,
    },
    Ejected {
        /// From when on a probe is let through.
        until: Moment,
        why: Arc<str>,
    },
    Probing {
        /// Of the ejection. The probe that is given up leaves it as it was.
        until: Moment,
        why: Arc<str>,
    },
}

/// What a handshake was let through with, and reports with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) generation: u32,
    pub(super) is_probe: bool,
}

/// What a report has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// It was well.
    Ejected(Duration),
    /// The probe failed too.
    EjectedAgain(Duration),
    /// It has failed often enough, and is one of those that must stay. Told once.
    Spared,
    /// It is well again.
    Back,
}

// ===== impl Circuit =====

impl Circuit {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Closed {
                failures: 0,
                since: Moment::EVER,
            },
            generation: 0,
            strikes: 0,
        }
    }

    /// From when on a handshake may come; it has to be [admitted](Self::admit) still.
    pub(super) const fn opens(&self) -> Moment {
        match self.state {
            State::Closed { .. } => Moment::EVER,
            State::Ejected { until, .. } => until,
            State::Probing { .. } => Moment::NEVER,
        }
    }

    /// Whether a success would tell nothing new.
    pub(super) const fn is_spotless(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0, .. })
    }

    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Until when it is ejected, and why; a time that is past where a probe is awaited or under way.
    pub(super) fn ejection(&self) -> Option<(Moment, &str)> {
        match &self.state {
            State::Closed { .. } => None,
            State::Ejected { until, why } | State::Probing { until, why } => Some((*until, why)),
        }
    }

    /// Lets a handshake through: any if the endpoint is well, one if its time is over.
    pub(super) fn admit(&mut self, now: Moment) -> Option<Ticket> {
        let is_probe = match &self.state {
            State::Closed { .. } => false,
            State::Ejected { until, why } if *until <= now => {
                let (until, why) = (*until, Arc::clone(why));
                self.state = State::Probing { until, why };
                true
            }
            State::Ejected { .. } | State::Probing { .. } => return None,
        };
        Some(Ticket {
            generation: self.generation,
            is_probe,
        })
    }

    /// A handshake was given up, by the client say: the place of a probe is free again.
    pub(super) fn given_up(&mut self, ticket: Ticket) {
        if let State::Probing { until, why } = &self.state
            && ticket.is_probe
            && ticket.generation == self.generation
        {
            let (until, why) = (*until, Arc::clone(why));
            self.state = State::Ejected { until, why };
        }
    }

    /// A handshake was answered.
    pub(super) fn succeeded(&mut self, ticket: Ticket, now: Moment) -> Change {
        if ticket.generation != self.generation {
            return Change::Nothing;
        }
        match &mut self.state {
            State::Closed { failures, .. } => {
                *failures = 0;
                Change::Nothing
            }
            // No probe, where nobody was well and this one was tried all the same: as good as one.
            State::Ejected { .. } | State::Probing { .. } => {
                self.close(now);
                Change::Back
            }
        }
    }

    /// A handshake has failed. `may_eject` is asked last, as it looks at all endpoints; chance is from 0
    /// to 1.
    pub(super) fn failed(
        &mut self,
        ticket: Ticket,
        why: &str,
        now: Moment,
        rules: &Ejection,
        chance: f64,
        may_eject: impl FnOnce() -> bool,
    ) -> Change {
        if ticket.generation != self.generation {
            return Change::Nothing;
        }
        match &mut self.state {
            State::Closed { failures, since } => {
                *failures = failures.saturating_add(1);
                if *failures < rules.failures {
                    return Change::Nothing;
                }
                if !may_eject() {
                    return match *failures == rules.failures {
                        true => Change::Spared,
                        false => Change::Nothing,
                    };
                }
                if now.since(*since) >= rules.longest {
                    self.strikes = 0;
                }
                self.generation = self.generation.wrapping_add(1);
                Change::Ejected(self.eject(why, now, rules, chance))
            }
            State::Probing { .. } if ticket.is_probe => {
                Change::EjectedAgain(self.eject(why, now, rules, chance))
            }
            // Tried although it is ejected, as nobody was well. In an outage all handshakes are, and would
            // double the time with each.
            State::Ejected { .. } | State::Probing { .. } => Change::Nothing,
        }
    }

    /// It is well, as its checks say.
    pub(super) fn close(&mut self, now: Moment) {
        self.state = State::Closed {
            failures: 0,
            since: now,
        };
    }

    fn eject(&mut self, why: &str, now: Moment, rules: &Ejection, chance: f64) -> Duration {
        self.strikes = self.strikes.saturating_add(1);
        let lasts = rules.lasts(self.strikes, chance);
        self.state = State::Ejected {
            until: now.plus(lasts),
            why: why.into(),
        };
        lasts
    }
}

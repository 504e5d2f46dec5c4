//! The health of one endpoint, shared by all who choose, try and check it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Ejection, EndpointHealth, HealthCheck, Moment,
    circuit::{Change, Circuit, Ticket},
    ramp::Ramp,
    rise_fall::RiseFall,
};

/// Who chooses reads atomics; who has something to tell takes the lock, for a few instructions.
#[derive(Debug)]
pub(in crate::upstream) struct Health {
    /// From when on it may be chosen, as a [`Moment`]: ever while it is well, never while it fails its
    /// checks or is probed. Follows `told`, as the next two do.
    opens: AtomicU64,
    generation: AtomicU32,
    is_spotless: AtomicBool,
    ramp: Ramp,
    told: Mutex<Told>,
}

/// Which endpoints a handshake may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Bar {
    /// Those that may be chosen from then on, or earlier.
    opens: Moment,
}

#[derive(Debug)]
struct Told {
    circuit: Circuit,
    checks: RiseFall,
}

// ===== impl Bar =====

impl Bar {
    /// The well ones.
    pub(in crate::upstream) const WELL: Self = Self {
        opens: Moment::EVER,
    };

    /// All of them: where nobody is well, a try is better than a certain 503.
    pub(in crate::upstream) const ANYONE: Self = Self {
        opens: Moment::NEVER,
    };

    /// The well ones, and those that wait for a probe.
    pub(in crate::upstream) const fn at(now: Moment) -> Self {
        Self { opens: now }
    }
}

// ===== impl Health =====

impl Health {
    pub(in crate::upstream) fn new() -> Self {
        Self {
            opens: Moment::EVER.to_bits().into(),
            generation: 0.into(),
            is_spotless: true.into(),
            ramp: Ramp::default(),
            told: Mutex::new(Told {
                circuit: Circuit::new(),
                checks: RiseFall::Unknown,
            }),
        }
    }

    /// Whether it may be chosen; it has to be [admitted](Self::admit) still.
    pub(in crate::upstream) fn meets(&self, bar: Bar) -> bool {
        self.opens() <= bar.opens
    }

    /// How much of its weight counts: 0.1 to 1.0.
    pub(in crate::upstream) fn share(&self, now: Moment) -> f64 {
        self.ramp.share(now)
    }

    /// Lets its weight grow from a tenth, unless there is no time to.
    pub(in crate::upstream) fn start_slowly(&self, now: Moment, length: Duration) {
        if !length.is_zero() {
            self.ramp.begin(now, length);
        }
    }

    /// Lets a handshake through. `None` if another one was faster to be the probe.
    pub(super) fn admit(&self, bar: Bar, now: Moment) -> Option<Ticket> {
        if bar == Bar::ANYONE || self.opens() == Moment::EVER {
            return Some(Ticket {
                generation: self.generation.load(Ordering::Relaxed),
                is_probe: false,
            });
        }
        self.tell(|told| match told.checks.failing() {
            Some(_) => None,
            None => told.circuit.admit(now),
        })
    }

    pub(super) fn given_up(&self, ticket: Ticket) {
        if ticket.is_probe {
            self.tell(|told| told.circuit.given_up(ticket));
        }
    }

    pub(super) fn succeeded(&self, ticket: Ticket, now: Moment, slow_start: Duration) -> Change {
        // As nearly always.
        if self.is_spotless.load(Ordering::Relaxed) {
            return Change::Nothing;
        }
        let change = self.tell(|told| told.circuit.succeeded(ticket, now));
        if change == Change::Back {
            self.start_slowly(now, slow_start);
        }
        change
    }

    pub(super) fn failed(
        &self,
        ticket: Ticket,
        why: &str,
        now: Moment,
        rules: &Ejection,
        may_eject: impl FnOnce() -> bool,
    ) -> Change {
        let chance = rand::random();
        self.tell(|told| {
            let circuit = &mut told.circuit;
            circuit.failed(ticket, why, now, rules, chance, may_eject)
        })
    }

    /// Takes a check that passed. Whether the endpoint has come back by it.
    pub(super) fn passed_check(
        &self,
        now: Moment,
        check: &HealthCheck,
        slow_start: Duration,
    ) -> bool {
        let is_back = self.tell(|told| {
            let is_back = told.checks.passed(check);
            if is_back {
                // What handshakes said before is as old as what the checks said before.
                told.circuit.close(now);
            }
            is_back
        });
        if is_back {
            self.start_slowly(now, slow_start);
        }
        is_back
    }

    /// Takes a check that failed. Whether the endpoint is down by it.
    pub(super) fn failed_check(&self, why: &str, check: &HealthCheck) -> bool {
        self.tell(|told| told.checks.failed(why, check))
    }

    /// Whether a check has ended.
    #[cfg(test)]
    pub(super) fn was_checked(&self) -> bool {
        !matches!(self.told().checks, RiseFall::Unknown)
    }

    pub(in crate::upstream) fn status(&self, now: Moment) -> EndpointHealth {
        let told = self.told();
        if let Some(why) = told.checks.failing() {
            return EndpointHealth::FailingChecks {
                why: why.to_owned(),
            };
        }
        if let Some((until, why)) = told.circuit.ejection() {
            return EndpointHealth::Ejected {
                remaining: until.since(now),
                why: why.to_owned(),
            };
        }
        match self.share(now) {
            share if share < 1.0 => EndpointHealth::StartingSlowly { share },
            _ => EndpointHealth::Healthy,
        }
    }

    fn opens(&self) -> Moment {
        Moment::from_bits(self.opens.load(Ordering::Relaxed))
    }

    fn tell<T>(&self, what: impl FnOnce(&mut Told) -> T) -> T {
        let mut told = self.told();
        let result = what(&mut told);
        let Told { circuit, checks } = &*told;
        let opens = match checks.failing() {
            Some(_) => Moment::NEVER,
            None => circuit.opens(),
        };
        let order = Ordering::Relaxed;
        self.opens.store(opens.to_bits(), order);
        self.generation.store(circuit.generation(), order);
        self.is_spotless.store(circuit.is_spotless(), order);
        result
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics between two states.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

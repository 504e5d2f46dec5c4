//! A policy that follows a plan.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use wsgate_frame::{CloseCode, Event, Header, Tracker};

use super::super::{Action, Ending, LINGER, PeerEnds, Place, Policy, Wants};
use crate::{
    moment::Moment,
    tunnel::{Cause, Tunnel},
};

/// Does what a test has planned, and notes what it is told.
///
/// With `UNREAD` its deadlines count also while nobody reads.
#[derive(Default)]
pub(super) struct Planned<const UNREAD: bool = false> {
    /// What is to be done when, in order.
    actions: VecDeque<(Moment, Action)>,
    /// What is to be done so long after each ping of ours that has gone out unless it is answered.
    unless_answered: Option<(Duration, Action)>,
    /// The same for each event that goes out from the handler's side.
    after_writes: Option<(Duration, Action)>,
    /// The pings of ours that went out. The pongs to them are absorbed.
    expected: Vec<[u8; 8]>,
    /// Those that have yet to go out.
    due: VecDeque<[u8; 8]>,
    /// Frames with more payload than that are refused.
    refuses: Option<(u64, Ending)>,
    /// When nothing is to be read.
    pause: Option<(Moment, Moment)>,
    /// What is to be done at a signal.
    at_signal: Option<Action>,
    told: Told,
}

/// What a policy was told, and the signal that it waits for.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Notes>>);

#[derive(Default)]
pub(super) struct Notes {
    pub(super) reads: usize,
    pub(super) pings_sent: Vec<Moment>,
    pub(super) absorbed: usize,
    pub(super) unblocked: usize,
    pub(super) deadlines: Vec<Moment>,
    /// The last [`Place::blocked`].
    pub(super) blocked: bool,
    /// How many frames came in, and went out from the handler's side.
    pub(super) frames: (usize, usize),
    pub(super) drops: usize,
    signalled: bool,
    waits: Option<Waker>,
}

/// The payload of the pings in these tests.
pub(super) const OURS: [u8; 8] = *b"our ping";

/// The reason in the Closes.
pub(super) const REASON: &str = "planned";

/// An end with a Close 1001 that the peer has [`LINGER`] to answer from when it comes to it.
pub(super) fn politely() -> Ending {
    Ending {
        cause: Cause::Lifetime,
        code: CloseCode::GOING_AWAY,
        reason: REASON,
        peer: PeerEnds::Politely {
            until: Moment::now(),
        },
    }
}

/// An end with a Close 1001 for the handler alone.
pub(super) fn at_once() -> Ending {
    Ending {
        peer: PeerEnds::AtOnce,
        ..politely()
    }
}

// ===== impl Planned =====

impl<const UNREAD: bool> Planned<UNREAD> {
    /// Sends a ping so many seconds from now.
    pub(super) fn pings_at(self, secs: u64) -> Self {
        self.does_at(secs, Action::Ping(OURS))
    }

    /// Ends it so many seconds from now.
    pub(super) fn ends_at(self, secs: u64, ending: Ending) -> Self {
        self.does_at(secs, Action::End(ending))
    }

    fn does_at(mut self, secs: u64, action: Action) -> Self {
        let at = Moment::now() + Duration::from_secs(secs);
        self.actions.push_back((at, action));
        self
    }

    pub(super) fn ends_unless_answered(mut self, secs: u64) -> Self {
        self.unless_answered = Some((Duration::from_secs(secs), Action::End(at_once())));
        self
    }

    pub(super) fn pings_after_writes(mut self, secs: u64) -> Self {
        self.after_writes = Some((Duration::from_secs(secs), Action::Ping(OURS)));
        self
    }

    pub(super) fn expects(mut self, payload: [u8; 8]) -> Self {
        self.expected.push(payload);
        self
    }

    pub(super) fn refuses_above(mut self, bytes: u64, ending: Ending) -> Self {
        self.refuses = Some((bytes, ending));
        self
    }

    pub(super) fn pauses(mut self, from_secs: u64, to_secs: u64) -> Self {
        let after = |secs| Moment::now() + Duration::from_secs(secs);
        self.pause = Some((after(from_secs), after(to_secs)));
        self
    }

    pub(super) fn ends_at_signal(mut self, ending: Ending) -> Self {
        self.at_signal = Some(Action::End(ending));
        self
    }

    pub(super) fn told(&self) -> Told {
        self.told.clone()
    }

    fn plan_after(&mut self, plan: Option<(Duration, Action)>, now: Moment) {
        if let Some((after, action)) = plan {
            let at = now + after;
            let later = self.actions.iter().position(|(other, _)| *other > at);
            let place = later.unwrap_or(self.actions.len());
            self.actions.insert(place, (at, action));
        }
    }
}

impl<const UNREAD: bool> Policy for Planned<UNREAD> {
    fn wants(&self) -> Wants {
        let refuse = Wants::REFUSE.only_if(self.refuses.is_some());
        let always = Wants::FRAMES.and(Wants::PONGS).and(Wants::PAUSES);
        always.and(Wants::SIGNAL).and(Wants::HASTE).and(refuse)
    }

    fn counts_unread(&self) -> bool {
        UNREAD
    }

    fn on_read(&mut self, _: Moment) {
        self.told.notes().reads += 1;
    }

    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        let (most, ending) = self.refuses.as_ref()?;
        (header.len > *most).then(|| ending.clone().counted_from_now())
    }

    fn on_incoming(&mut self, event: &Event<'_>, _: Moment, _: &Tunnel) {
        if matches!(event, Event::FrameEnd { .. }) {
            self.told.notes().frames.0 += 1;
        }
    }

    fn on_outgoing(&mut self, event: &Event<'_>, _: &Tunnel) {
        if matches!(event, Event::FrameEnd { .. }) {
            self.told.notes().frames.1 += 1;
            self.plan_after(self.after_writes.clone(), Moment::now());
        }
    }

    fn on_unblocked(&mut self, _: Moment) {
        self.told.notes().unblocked += 1;
    }

    fn on_ping_sent(&mut self, payload: [u8; 8], now: Moment) -> bool {
        let is_ours = self.due.front() == Some(&payload);
        if is_ours {
            self.told.notes().pings_sent.push(now);
            self.expected.extend(self.due.pop_front());
            self.plan_after(self.unless_answered.clone(), now);
        }
        is_ours
    }

    fn expects_pong(&self) -> bool {
        !self.expected.is_empty()
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], _: Moment, _: &Tunnel) -> bool {
        let Some(at) = self.expected.iter().position(|p| *p == payload) else {
            return false;
        };
        self.expected.remove(at);
        if self.unless_answered.is_some() {
            // It is the only end at once in such a plan.
            let dead =
                |action: &Action| matches!(action, Action::End(e) if e.peer == PeerEnds::AtOnce);
            self.actions.retain(|(_, action)| !dead(action));
        }
        self.told.notes().absorbed += 1;
        true
    }

    fn pauses_until(&self) -> Option<Moment> {
        let (from, to) = self.pause?;
        (from <= Moment::now()).then_some(to)
    }

    fn deadline(&self) -> Option<Moment> {
        self.actions.front().map(|(at, _)| *at)
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        let mut notes = self.told.notes();
        notes.deadlines.push(now);
        notes.blocked = place.blocked;
        let (_, action) = self.actions.pop_front()?;
        Some(match action {
            Action::Ping(payload) => {
                self.due.push_back(payload);
                action
            }
            Action::End(ending) => Action::End(ending.counted_from_now()),
        })
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut notes = self.told.notes();
        if notes.signalled
            && let Some(action) = self.at_signal.take()
        {
            self.actions.push_front((Moment::now(), action));
            return Poll::Ready(());
        }
        notes.waits = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_drop(&mut self, place: Place<'_>) {
        let Place {
            incoming, outgoing, ..
        } = place;
        let whole = |tracker: &Tracker| {
            let counts = tracker.counts();
            (counts.data_frames + counts.control_frames) as usize
        };
        let mut notes = self.told.notes();
        notes.drops += 1;
        notes.frames = (whole(incoming), whole(outgoing));
    }
}

// ===== impl Ending =====

impl Ending {
    fn counted_from_now(mut self) -> Self {
        if let PeerEnds::Politely { until } = &mut self.peer {
            *until = Moment::now() + LINGER;
        }
        self
    }
}

// ===== impl Told =====

impl Told {
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        // An assertion that fails holds it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the signal.
    pub(super) fn signal(&self) {
        let mut notes = self.notes();
        notes.signalled = true;
        if let Some(waker) = notes.waits.take() {
            waker.wake();
        }
    }
}

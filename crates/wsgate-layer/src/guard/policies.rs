//! Several policies in one stream.

use std::{
    fmt, io,
    task::{Context, Poll},
};

use wsgate_frame::{Event, Header, Role};

use super::{Action, Ending, Place, Policy, Wants};
use crate::{moment::Moment, tunnel::Tunnel};

/// The policies of layers that stand one directly round the other, as one. They decide as if each had
/// a stream of its own:
///
/// ```text
///   peer ──▶ outermost ──▶ keepalive ──▶ innermost ──▶ handler
///              sees pongs    takes them    sees none
/// ```
pub(crate) struct Policies<P> {
    /// The outermost first.
    all: Box<[P]>,
    /// How many, from the outermost on, have been told of the present read. One inside of a keepalive
    /// is told when it is certain that not all of it is a pong of ours.
    told: u16,
    /// How many, from the outermost on, see the pong that is just being taken out.
    absorbed: Option<u16>,
    /// What any of them wants.
    wants: Wants,
}

// ===== impl Policies =====

impl<P: Policy> Policies<P> {
    /// Takes the outermost first.
    pub(crate) fn new(all: Box<[P]>) -> Self {
        let wants = all.iter().map(Policy::wants);
        Self {
            wants: wants.fold(Wants::NOTHING, Wants::and),
            all,
            told: 0,
            absorbed: None,
        }
    }

    /// Tells those of the present read that have not been told, up to so many.
    fn tell(&mut self, up_to: usize, now: Moment) {
        if let Some(untold) = self.all.get_mut(usize::from(self.told)..up_to) {
            untold.iter_mut().for_each(|policy| policy.on_read(now));
            self.told = up_to as u16;
        }
    }

    fn tell_all(&mut self, now: Moment) {
        self.tell(self.all.len(), now);
    }
}

impl<P: Policy> Policy for Policies<P> {
    #[inline]
    fn wants(&self) -> Wants {
        self.wants
    }

    fn counts_unread(&self) -> bool {
        self.all.iter().any(|policy| policy.counts_unread())
    }

    fn on_read(&mut self, now: Moment) {
        self.told = 0;
        match self.expects_pong() {
            true => {
                let keepalive = self.all.iter().position(|policy| policy.expects_pong());
                self.tell(keepalive.map_or(self.all.len(), |at| at + 1), now);
            }
            false => self.tell_all(now),
        }
    }

    #[inline]
    fn on_passed(&mut self, now: Moment) {
        self.tell_all(now);
    }

    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        if !self.wants.include(Wants::HEADERS) {
            return None;
        }
        let mut told = self.all.iter_mut().take(usize::from(self.told));
        told.find_map(|policy| policy.on_frame(header))
    }

    /// Asks all of them, also those inside of a keepalive that may yet take the frame out: a frame that
    /// breaks a rule is nobody's.
    fn refuses(&mut self, event: &Event<'_>, from: Role) -> Option<Ending> {
        let mut all = self.all.iter_mut();
        all.find_map(|policy| policy.refuses(event, from))
    }

    fn on_incoming(&mut self, event: &Event<'_>, now: Moment, tunnel: &Tunnel) {
        let is_control = matches!(event, Event::Control { .. });
        if is_control && self.absorbed.is_none() {
            self.tell_all(now);
        }
        if is_control || self.wants.include(Wants::FRAMES) {
            let seeing = self.absorbed.unwrap_or(self.told);
            for policy in self.all.iter_mut().take(usize::from(seeing)) {
                policy.on_incoming(event, now, tunnel);
            }
        }
        if matches!(event, Event::FrameEnd { .. }) {
            self.absorbed = None;
        }
    }

    #[inline]
    fn on_outgoing(&mut self, event: &Event<'_>, tunnel: &Tunnel) {
        if matches!(event, Event::Control { .. }) || self.wants.include(Wants::FRAMES) {
            for policy in &mut self.all {
                policy.on_outgoing(event, tunnel);
            }
        }
    }

    fn on_unblocked(&mut self, now: Moment) {
        for policy in &mut self.all {
            policy.on_unblocked(now);
        }
    }

    fn on_ping_sent(&mut self, payload: [u8; 8], now: Moment) -> bool {
        let mut all = self.all.iter_mut();
        all.any(|policy| policy.on_ping_sent(payload, now))
    }

    #[inline]
    fn expects_pong(&self) -> bool {
        self.wants.include(Wants::PONGS) && self.all.iter().any(|policy| policy.expects_pong())
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], now: Moment, tunnel: &Tunnel) -> bool {
        let takes =
            |policy: &mut P| policy.expects_pong() && policy.absorbs_pong(payload, now, tunnel);
        let Some(at) = self.all.iter_mut().position(takes) else {
            return false;
        };
        self.tell(at + 1, now);
        self.absorbed = Some(at as u16 + 1);
        true
    }

    #[inline]
    fn pauses_until(&self) -> Option<Moment> {
        if !self.wants.include(Wants::PAUSES) {
            return None;
        }
        let pauses = self.all.iter().map(|policy| policy.pauses_until());
        pauses.max().flatten()
    }

    fn deadline(&self) -> Option<Moment> {
        self.deadline_while(true)
    }

    fn deadline_while(&self, reads: bool) -> Option<Moment> {
        let deadlines = self.all.iter();
        deadlines
            .filter_map(|policy| policy.deadline_while(reads))
            .min()
    }

    fn has_begun(&mut self) -> bool {
        // Each has to be asked: it tells only once.
        let begun = self.all.iter_mut().map(Policy::has_begun);
        begun.filter(|has_begun| *has_begun).count() > 0
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        let is_due = |policy: &&mut P| {
            let deadline = policy.deadline_while(place.reads);
            deadline.is_some_and(|deadline| deadline <= now)
        };
        let mut due = self.all.iter_mut().filter(is_due);
        due.find_map(|policy| policy.on_deadline(now, place))
    }

    #[inline]
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.wants.include(Wants::SIGNAL) {
            return Poll::Pending;
        }
        let signals = self.all.iter_mut().map(|policy| policy.poll_signal(cx));
        // Each has to be asked, to know whom to wake.
        match signals.filter(Poll::is_ready).count() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    fn on_end(&mut self, error: Option<&io::Error>) {
        for policy in &mut self.all {
            policy.on_end(error);
        }
    }

    fn on_shutdown(&mut self) {
        for policy in &mut self.all {
            policy.on_shutdown();
        }
    }

    fn on_drop(&mut self, place: Place<'_>) {
        for policy in &mut self.all {
            policy.on_drop(place);
        }
    }
}

impl<P> fmt::Debug for Policies<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("count", &self.all.len())
            .finish_non_exhaustive()
    }
}

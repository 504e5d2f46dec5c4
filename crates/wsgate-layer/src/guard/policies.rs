//! Several policies in one stream.

use std::{
    collections::VecDeque,
    fmt, io,
    task::{Context, Poll},
};

use tokio::time::Instant;
use wsgate_frame::{Event, Header, OpCode};

use super::{Action, Ending, Place, Policy};

/// The policies of layers that stand one directly round the other, as one. They decide as if each had
/// a stream of its own:
///
/// ```text
///   peer ──▶ outermost ──▶ keepalive ──▶ innermost ──▶ handler
///              sees pongs    takes them    sees none
/// ```
pub(crate) struct Policies {
    /// The outermost first.
    all: Box<[Box<dyn Policy + Send>]>,
    /// How many, from the outermost on, have been told of the present read. One inside of a keepalive
    /// is told when it is certain that not all of it is a pong of ours.
    told: usize,
    /// When the present read was.
    now: Instant,
    /// How many, from the outermost on, see the pong that is just being taken out.
    absorbed: Option<usize>,
    /// Whose pings wait to be sent.
    pings: VecDeque<u8>,
}

// ===== impl Policies =====

impl Policies {
    /// Takes the outermost first.
    pub(crate) fn new(all: Box<[Box<dyn Policy + Send>]>) -> Self {
        Self {
            all,
            told: 0,
            now: Instant::now(),
            absorbed: None,
            pings: VecDeque::new(),
        }
    }

    /// Tells those of the present read that have not been told, up to so many.
    fn tell(&mut self, up_to: usize) {
        if let Some(untold) = self.all.get_mut(self.told..up_to) {
            untold
                .iter_mut()
                .for_each(|policy| policy.on_read(self.now));
            self.told = up_to;
        }
    }
}

impl Policy for Policies {
    fn on_read(&mut self, now: Instant) {
        self.now = now;
        self.told = 0;
        let keepalive = self.all.iter().position(|policy| policy.expects_pong());
        self.tell(keepalive.map_or(self.all.len(), |at| at + 1));
    }

    fn on_passed(&mut self) {
        self.tell(self.all.len());
    }

    fn inspects_frames(&self) -> bool {
        self.all.iter().any(|policy| policy.inspects_frames())
    }

    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        // A pong may yet be taken out. No policy refuses one.
        if header.opcode != OpCode::Pong {
            self.tell(self.all.len());
        }
        let told = &mut self.all[..self.told];
        told.iter_mut().find_map(|policy| policy.on_frame(header))
    }

    fn on_incoming(&mut self, event: &Event<'_>, now: Instant) {
        if self.absorbed.is_none() && matches!(event, Event::Control { .. }) {
            self.tell(self.all.len());
        }
        let seeing = self.absorbed.unwrap_or(self.told);
        for policy in &mut self.all[..seeing] {
            policy.on_incoming(event, now);
        }
        if matches!(event, Event::FrameEnd { .. }) {
            self.absorbed = None;
        }
    }

    fn on_outgoing(&mut self, event: &Event<'_>) {
        for policy in &mut self.all {
            policy.on_outgoing(event);
        }
    }

    fn on_unblocked(&mut self, now: Instant) {
        for policy in &mut self.all {
            policy.on_unblocked(now);
        }
    }

    fn on_ping_sent(&mut self, now: Instant) {
        let sender = self.pings.pop_front();
        if let Some(policy) = sender.and_then(|at| self.all.get_mut(usize::from(at))) {
            policy.on_ping_sent(now);
        }
    }

    fn expects_pong(&self) -> bool {
        self.all.iter().any(|policy| policy.expects_pong())
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], now: Instant) -> bool {
        let takes = |policy: &mut Box<dyn Policy + Send>| {
            policy.expects_pong() && policy.absorbs_pong(payload, now)
        };
        let Some(at) = self.all.iter_mut().position(takes) else {
            return false;
        };
        self.tell(at + 1);
        self.absorbed = Some(at + 1);
        true
    }

    fn pauses_until(&self) -> Option<Instant> {
        let pauses = self.all.iter().map(|policy| policy.pauses_until());
        pauses.max().flatten()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline_while(true)
    }

    fn deadline_while(&self, reads: bool) -> Option<Instant> {
        let deadlines = self.all.iter();
        deadlines
            .filter_map(|policy| policy.deadline_while(reads))
            .min()
    }

    fn on_deadline(&mut self, now: Instant, place: Place<'_>) -> Option<Action> {
        for (at, policy) in self.all.iter_mut().enumerate() {
            let deadline = policy.deadline_while(place.reads);
            if deadline.is_none_or(|deadline| deadline > now) {
                continue;
            }
            match policy.on_deadline(now, place) {
                Some(ping @ Action::Ping(_)) => {
                    self.pings.push_back(at as u8);
                    return Some(ping);
                }
                Some(end) => return Some(end),
                None => {}
            }
        }
        None
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("count", &self.all.len())
            .finish_non_exhaustive()
    }
}

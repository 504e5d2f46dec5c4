//! The peer's side: it says what it has to say while it listens, answers pings, and closes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use wsgate_frame::{Event, OpCode, Role, Tracker};

use super::{
    case::{Case, Leaves, Step},
    stack::is_ping,
};
use crate::guard::tests::{
    Peer,
    frames::{Frame, close, other, pong},
};

/// What the peer has said and heard.
#[derive(Default)]
pub(super) struct Said {
    /// All but the pongs to the layers' pings.
    pub(super) sent: Vec<u8>,
    pub(super) got: Vec<u8>,
}

/// Talks until the other end has let go of the stream.
pub(super) async fn run(case: Case, wire: Arc<Peer>) -> Said {
    let dies = match case.leaves {
        Leaves::Dies { at } => Instant::now() + Duration::from_millis(at.into()),
        _ => Instant::now() + FOR_EVER,
    };
    let takes = tokio::spawn(take(case.clone(), Arc::clone(&wire)));
    let stalls = tokio::spawn(stall(case.clone(), Arc::clone(&wire)));
    let mut talk = Talk::new(case, Arc::clone(&wire));
    let dead = timeout_at(dies, talk.run()).await.is_err();
    if dead {
        takes.abort();
        stalls.abort();
        wire.takes(0);
        wire.holds_flush(false);
    }
    // Whoever is left hears the rest.
    while !wire.is_cut() {
        wire.news().await;
        talk.listen();
    }
    let mut said = talk.said;
    said.got.extend(wire.got());
    said
}

/// For a test that stalls.
pub(super) fn state(wire: &Peer) -> String {
    format!(
        "{} reads and {} bytes wait, {}flushed, {}cut",
        wire.unread(),
        wire.len(),
        if wire.is_flushed() { "" } else { "not " },
        if wire.is_cut() { "" } else { "not " },
    )
}

/// Takes what it is given in steps, and in the end everything.
async fn take(case: Case, wire: Arc<Peer>) {
    if let Some(Step(_, size)) = case.peer_takes.first() {
        wire.takes((*size).into());
    }
    for Step(delay, size) in &case.peer_takes {
        sleep(Duration::from_millis((*delay).into())).await;
        wire.takes((*size).into());
    }
    wire.takes_all();
}

/// Lets flushes wait now and then.
async fn stall(case: Case, wire: Arc<Peer>) {
    for Step(delay, long) in &case.flush_stalls {
        sleep(Duration::from_millis((*delay).into())).await;
        wire.holds_flush(true);
        sleep(Duration::from_millis((*long % 300).into())).await;
        wire.holds_flush(false);
    }
}

struct Talk {
    case: Case,
    role: Role,
    wire: Arc<Peer>,
    /// The frames that it has yet to begin.
    frames: VecDeque<Frame>,
    /// What is left of those that it has begun.
    begun: VecDeque<u8>,
    /// Whether that is the answer to a layer's ping.
    answers: bool,
    /// The answers to pings, and when to send them.
    pongs: VecDeque<(Instant, Frame)>,
    pings: usize,
    tracker: Tracker,
    closed: bool,
    said: Said,
}

impl Talk {
    fn new(case: Case, wire: Arc<Peer>) -> Self {
        let frames = case.peer_sends.iter().flat_map(|u| u.frames()).collect();
        Self {
            role: case.peer,
            tracker: Tracker::new(other(case.peer)),
            case,
            wire,
            frames,
            begun: VecDeque::new(),
            answers: false,
            pongs: VecDeque::new(),
            pings: 0,
            closed: false,
            said: Said::default(),
        }
    }

    /// Talks until the closing handshake is done, or it leaves without.
    async fn run(&mut self) {
        let steps = self.case.peer_sends_by.clone();
        let mut steps = steps.into_iter();
        let most = match self.case.leaves {
            Leaves::Ends { after } | Leaves::Breaks { after } => after.into(),
            Leaves::Politely | Leaves::Dies { .. } => usize::MAX,
        };
        while !self.wire.is_cut() {
            self.listen();
            let Step(delay, size) = steps.next().unwrap_or(Step(0, u16::MAX));
            if delay > 0 {
                sleep(Duration::from_millis(delay.into())).await;
                self.listen();
            }
            let room = most - self.said.sent.len().min(most);
            let chunk = self.chunk(usize::from(size).min(room));
            self.wire.sends(&chunk);
            if self.said.sent.len() >= most {
                return match self.case.leaves {
                    Leaves::Breaks { .. } => self.wire.breaks(),
                    _ => self.wire.ends(),
                };
            }
            if self.closed && self.tracker.is_closed() && self.begun.is_empty() {
                return self.wire.ends();
            }
            if self.has_nothing_to_say() {
                let next = self.pongs.front().map(|(at, _)| *at);
                match next {
                    Some(at) => tokio::select! {
                        biased;
                        () = self.wire.news() => {}
                        () = sleep_until(at) => {}
                    },
                    None => self.wire.news().await,
                }
            }
        }
    }

    fn has_nothing_to_say(&self) -> bool {
        let due = |(at, _): &(Instant, Frame)| *at <= Instant::now();
        self.begun.is_empty()
            && self.frames.is_empty()
            && !self.pongs.front().is_some_and(due)
            && (self.closed || !self.tracker.is_closed())
    }

    /// Hears what was flushed.
    fn listen(&mut self) {
        let got = self.wire.got_flushed();
        let mut pings = Vec::new();
        self.tracker.feed(&got, |event| {
            if let Event::Control {
                opcode: OpCode::Ping,
                payload,
                ..
            } = event
                && is_ping(payload)
            {
                pings.push(payload.to_vec());
            }
        });
        self.said.got.extend(got);
        for payload in pings {
            let delay = self.case.answers.get(self.pings).copied();
            self.pings += 1;
            if let Some(delay) = delay.unwrap_or(Some(0)).filter(|_| !self.closed) {
                let at = Instant::now() + Duration::from_millis(delay.into());
                let later = self.pongs.iter().position(|(other, _)| *other > at);
                let place = later.unwrap_or(self.pongs.len());
                self.pongs.insert(place, (at, pong(&payload)));
            }
        }
    }

    /// The next bytes that it sends. Answers go out between its frames.
    fn chunk(&mut self, size: usize) -> Vec<u8> {
        let mut chunk = Vec::new();
        while chunk.len() < size {
            if let Some(byte) = self.begun.pop_front() {
                chunk.push(byte);
                if !self.answers {
                    self.said.sent.push(byte);
                }
                continue;
            }
            let now = Instant::now();
            self.answers = self.pongs.front().is_some_and(|(at, _)| *at <= now);
            let next = match self.answers {
                true => self.pongs.pop_front().map(|(_, pong)| pong),
                false => self.next_frame(),
            };
            match next {
                Some(frame) => self.begun.extend(frame.by(self.role)),
                None => break,
            }
        }
        chunk
    }

    /// The next frame of its own. Nothing but a Close follows the other's.
    fn next_frame(&mut self) -> Option<Frame> {
        if !self.tracker.is_closed() {
            return self.frames.pop_front();
        }
        self.frames.clear();
        self.pongs.clear();
        let first = !std::mem::replace(&mut self.closed, true);
        first.then(|| close(1000, "so be it"))
    }
}

const FOR_EVER: Duration = Duration::from_secs(3600);

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// The time that a tunnel has left. It may become less, and never more.
#[derive(Debug)]
pub(super) struct Last {
    timer: Pin<Box<Sleep>>,
    wait: Wait,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Nobody has said yet.
    Nothing,
    /// The answer to a Close.
    Answer,
    /// The ends of the two connections.
    Ends,
}

/// How long the two sides have to end their connections once both have sent a Close, one of them is
/// lost, or both were told to end. Well-behaved peers need one round trip.
const LINGER: Duration = Duration::from_secs(5);

// ===== impl Last =====

impl Last {
    /// One side has sent a Close, and the other has so long to answer.
    pub(super) fn expect_answer(&mut self, patience: Duration) {
        if self.wait == Wait::Nothing {
            self.wait = Wait::Answer;
            self.timer.as_mut().reset(Instant::now() + patience);
        }
    }

    /// Nothing more is to be expected.
    pub(super) fn linger(&mut self) {
        if self.wait == Wait::Ends {
            return;
        }
        let until = Instant::now() + LINGER;
        // Who was slow to answer has used some of the time.
        let is_later = self.wait == Wait::Answer && self.timer.deadline() < until;
        if !is_later {
            self.timer.as_mut().reset(until);
        }
        self.wait = Wait::Ends;
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.wait == Wait::Ends
    }

    /// Ready when it is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(cx)
    }

    /// Whether it was over before an answer came.
    pub(super) fn is_unanswered(&self) -> bool {
        self.wait == Wait::Answer && self.timer.is_elapsed()
    }
}

impl Default for Last {
    fn default() -> Self {
        Self {
            timer: Box::pin(sleep(LINGER)),
            wait: Wait::Nothing,
        }
    }
}

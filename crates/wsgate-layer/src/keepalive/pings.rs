//! The payloads of our pings, and which pongs answer them.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

/// The pings of one stream. Their payloads are not kept but computed anew.
#[derive(Debug)]
pub(super) struct Pings {
    /// Makes the payloads of two streams different.
    nonce: u32,
    /// The number of the one sent last.
    newest: u32,
    /// How many of the newest ones may still be answered.
    open: u8,
}

/// Which ping a pong answers. It answers all before as well: a peer that comes late may leave them
/// out (RFC 6455 5.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Newest,
    Older,
}

/// How many pings may be open. Each one costs a hash when a pong of eight bytes comes; that many
/// are sent only to a peer that goes on talking but answers none.
const MAX_OPEN: u8 = 32;

/// A key that nobody knows turns numbers into payloads that nobody can guess: no peer can have its own
/// pong taken for one of ours, or answer a ping that it has not read.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

// ===== impl Pings =====

impl Pings {
    pub(super) fn new() -> Self {
        Self {
            nonce: rand::random(),
            newest: 0,
            open: 0,
        }
    }

    /// The payload of the ping that is sent next.
    pub(super) fn next_payload(&self) -> [u8; 8] {
        self.payload(self.newest.wrapping_add(1))
    }

    /// The next one was sent.
    pub(super) const fn sent(&mut self) {
        self.newest = self.newest.wrapping_add(1);
        if self.open < MAX_OPEN {
            self.open += 1;
        }
    }

    /// Whether one may still be answered.
    pub(super) const fn are_open(&self) -> bool {
        self.open > 0
    }

    /// Takes a pong. `None` if it answers none of ours.
    pub(super) fn answer(&mut self, pong: [u8; 8]) -> Option<Answered> {
        let newer = (0..self.open)
            .rev()
            .find(|newer| self.payload(self.newest.wrapping_sub((*newer).into())) == pong)?;
        self.open = newer;
        Some(match newer {
            0 => Answered::Newest,
            _ => Answered::Older,
        })
    }

    fn payload(&self, number: u32) -> [u8; 8] {
        KEY.hash_one((self.nonce, number)).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Sends so many pings, and gives their payloads.
    fn send(pings: &mut Pings, count: usize) -> Vec<[u8; 8]> {
        let send = |_| {
            let payload = pings.next_payload();
            pings.sent();
            payload
        };
        (0..count).map(send).collect()
    }

    #[test]
    fn no_two_payloads_are_alike() {
        let (mut one, mut other) = (Pings::new(), Pings::new());
        let mut all = send(&mut one, 100);
        all.extend(send(&mut other, 100));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn a_pong_answers_its_ping_once() {
        let mut pings = Pings::new();
        assert_eq!(pings.answer(pings.next_payload()), None, "not sent yet");
        let payload = send(&mut pings, 1)[0];
        assert_eq!(pings.answer(*b"whatever"), None);
        assert!(pings.are_open());
        assert_eq!(pings.answer(payload), Some(Answered::Newest));
        assert!(!pings.are_open());
        assert_eq!(pings.answer(payload), None);
    }

    #[test]
    fn a_pong_answers_all_pings_before_it() {
        let mut pings = Pings::new();
        let payloads = send(&mut pings, 4);
        assert_eq!(pings.answer(payloads[1]), Some(Answered::Older));
        assert_eq!(pings.answer(payloads[0]), None);
        assert!(pings.are_open());
        assert_eq!(pings.answer(payloads[3]), Some(Answered::Newest));
        assert_eq!(pings.answer(payloads[2]), None);
    }

    #[test]
    fn the_last_32_may_be_answered() {
        let mut pings = Pings::new();
        let payloads = send(&mut pings, 40);
        assert_eq!(pings.answer(payloads[7]), None);
        assert_eq!(pings.answer(payloads[8]), Some(Answered::Older));
    }

    #[test]
    fn numbers_may_run_over() {
        let mut pings = Pings::new();
        pings.newest = u32::MAX - 1;
        let payloads = send(&mut pings, 4);
        assert_eq!(pings.answer(payloads[0]), Some(Answered::Older));
        assert_eq!(pings.answer(payloads[3]), Some(Answered::Newest));
    }
}

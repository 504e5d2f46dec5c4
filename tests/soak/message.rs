//! Messages that show what became of them.
//!
//! ```text
//!  kind   tunnel    number    body           checksum
//! ┌──────┬─────────┬─────────┬──────────────┬──────────┐
//! │ 1    │ 8       │ 8       │ any, random  │ 8        │
//! └──────┴─────────┴─────────┴──────────────┴──────────┘
//! ```
//!
//! Each kind counts from 0 in each direction of each tunnel: the number that is due says whether one was lost, came
//! twice or in another order, the tunnel whether it is somebody else's, and the checksum whether it is as it was sent.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use bytes::{Buf, BufMut};

use crate::random::Random;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The upstream is to send it back.
    Echo = 0,
    /// The upstream has sent it by itself.
    News = 1,
    /// There is nothing after it. The upstream's has how much of each kind it has sent.
    Last = 2,
}

/// A message that is in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: Kind,
    pub(crate) body: &'a [u8],
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Damaged,
    OfAnotherTunnel { tunnel: u64 },
    Twice { number: u64, due: u64 },
    Lost { number: u64, due: u64 },
}

/// Takes what comes to one end of a tunnel.
#[derive(Debug)]
pub(crate) struct Inbox {
    tunnel: u64,
    /// The number that is due, by kind.
    due: [u64; 3],
}

/// Makes what one end of a tunnel sends.
#[derive(Debug)]
pub(crate) struct Outbox {
    tunnel: u64,
    sent: [u64; 3],
}

// ===== impl Kind =====

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Echo, Self::News, Self::Last]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

// ===== impl Outbox =====

impl Outbox {
    pub(crate) fn new(tunnel: u64) -> Self {
        Self {
            tunnel,
            sent: [0; 3],
        }
    }

    pub(crate) fn sent(&self, kind: Kind) -> u64 {
        self.sent[kind as usize]
    }

    /// The next message of this kind, with so many bytes that nobody could guess.
    pub(crate) fn message(&mut self, kind: Kind, length: usize, random: &mut Random) -> Vec<u8> {
        let mut body = vec![0; length];
        random.fill(&mut body);
        self.message_of(kind, &body)
    }

    /// The next message of this kind, with this body.
    pub(crate) fn message_of(&mut self, kind: Kind, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(body.len() + AROUND);
        bytes.put_u8(kind as u8);
        bytes.put_u64(self.tunnel);
        bytes.put_u64(self.sent[kind as usize]);
        bytes.put_slice(body);
        bytes.put_u64(checksum(&bytes));
        self.sent[kind as usize] += 1;
        bytes
    }
}

// ===== impl Inbox =====

impl Inbox {
    pub(crate) fn new(tunnel: u64) -> Self {
        Self {
            tunnel,
            due: [0; 3],
        }
    }

    /// How many of this kind have come.
    pub(crate) fn taken(&self, kind: Kind) -> u64 {
        self.due[kind as usize]
    }

    /// Takes a message, which has to be the one that is due.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn take<'a>(&mut self, message: &'a [u8]) -> Result<Message<'a>, Flaw> {
        if message.len() < AROUND {
            return Err(Flaw::Damaged);
        }
        let (mut head, sum) = message.split_at(message.len() - SUM);
        let is_as_sent = checksum(head).to_be_bytes() == sum;
        let kind = Kind::of(head.get_u8()).filter(|_| is_as_sent);
        let kind = kind.ok_or(Flaw::Damaged)?;
        let (tunnel, number) = (head.get_u64(), head.get_u64());
        if tunnel != self.tunnel {
            return Err(Flaw::OfAnotherTunnel { tunnel });
        }
        let due = &mut self.due[kind as usize];
        if number < *due {
            return Err(Flaw::Twice { number, due: *due });
        }
        if number > *due {
            return Err(Flaw::Lost { number, due: *due });
        }
        *due += 1;
        Ok(Message { kind, body: head })
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => write!(f, "damaged: the checksum is wrong"),
            Self::OfAnotherTunnel { tunnel } => write!(f, "of another tunnel: {tunnel}"),
            Self::Twice { number, due } => write!(f, "duplicated: {number} where {due} is due"),
            Self::Lost { number, due } => write!(f, "lost: {number} where {due} is due"),
        }
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

const SUM: usize = 8;
const AROUND: usize = 1 + 8 + 8 + SUM;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(messages: &[&[u8]], last: Result<(), Flaw>) {
        let mut inbox = Inbox::new(7);
        let (end, before) = messages.split_last().unwrap();
        for message in before {
            inbox.take(message).unwrap();
        }
        assert_eq!(inbox.take(end).map(|_| ()), last);
    }

    #[test]
    fn a_message_is_due_once_and_in_its_order() {
        let (mut outbox, mut random) = (Outbox::new(7), Random::new(1));
        let [a, b, c] = [0, 1, 2].map(|_| outbox.message(Kind::Echo, 100, &mut random));
        let news = outbox.message(Kind::News, 0, &mut random);
        check(&[&a, &b, &c], Ok(()));
        check(&[&a, &news, &b], Ok(()));
        check(&[&a, &a], Err(Flaw::Twice { number: 0, due: 1 }));
        check(&[&a, &c], Err(Flaw::Lost { number: 2, due: 1 }));
    }

    #[test]
    fn one_bit_is_enough_to_be_damaged() {
        let (mut outbox, mut random) = (Outbox::new(7), Random::new(1));
        let message = outbox.message(Kind::Echo, 10, &mut random);
        for at in 0..message.len() {
            let mut damaged = message.clone();
            damaged[at] ^= 0x10;
            check(&[&damaged], Err(Flaw::Damaged));
        }
        check(&[&message[..20]], Err(Flaw::Damaged));
    }

    #[test]
    fn a_message_of_another_tunnel_is_found_out() {
        let message = Outbox::new(8).message_of(Kind::Last, b"");
        check(&[&message], Err(Flaw::OfAnotherTunnel { tunnel: 8 }));
    }
}

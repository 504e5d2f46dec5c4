//! The beginning of a frame that the other end does not see yet.

use tokio::io::ReadBuf;
use wsgate_frame::MAX_CONTROL_PAYLOAD;

/// The beginning of a frame of which the other end must see nothing before more of it is there: a
/// header that may be refused, a pong that may be ours, or a Close whose payload may be wrong.
///
/// It is completed by just the bytes that it lacks, so nothing but this frame is ever in here.
#[derive(Debug)]
pub(super) struct Held {
    /// Boxed, as most of the time there is none.
    part: Option<Box<Part>>,
}

#[derive(Debug)]
struct Part {
    bytes: [u8; MAX_HELD],
    len: u8,
    /// How much of it the other end has, once it is known that it may have it.
    given: Option<u8>,
}

/// The longest control frame: two bytes, a mask, and the payload. The longest header is shorter, and so
/// is a pong to one of our pings.
pub(super) const MAX_HELD: usize = 2 + 4 + MAX_CONTROL_PAYLOAD;

// ===== impl Held =====

impl Held {
    pub(super) const fn new() -> Self {
        Self { part: None }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.part.as_ref().map_or(&[], |part| part.bytes())
    }

    pub(super) const fn is_holding(&self) -> bool {
        match &self.part {
            Some(part) => part.given.is_none(),
            None => false,
        }
    }

    pub(super) fn hold(&mut self, more: &[u8]) {
        let part = self.part.get_or_insert_with(|| Box::new(Part::new()));
        part.push(more);
    }

    pub(super) fn clear(&mut self) {
        self.part = None;
    }

    pub(super) fn release(&mut self) {
        if let Some(part) = &mut self.part {
            part.given = Some(0);
        }
    }

    /// Gives the handler what it may have. Whether there was anything.
    #[inline]
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        match &self.part {
            None => false,
            Some(_) => self.give_part(buf),
        }
    }

    /// What the peer may have and has not, once it is known that it may.
    pub(super) fn released(&self) -> Option<&[u8]> {
        let part = self.part.as_ref()?;
        Some(&part.bytes()[usize::from(part.given?)..])
    }

    /// The peer has taken so much of what is [released](Self::released).
    pub(super) fn advance(&mut self, taken: usize) {
        let Some(rest) = self.released().map(<[u8]>::len) else {
            return;
        };
        match &mut self.part {
            Some(part) if taken < rest => {
                part.given = part.given.map(|given| given + taken as u8);
            }
            _ => self.clear(),
        }
    }

    fn give_part(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(part) = &mut self.part else {
            return false;
        };
        let Some(given) = part.given else {
            return false;
        };
        let rest = &part.bytes()[usize::from(given)..];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        match n == rest.len() {
            true => self.clear(),
            false => part.given = Some(given + n as u8),
        }
        true
    }

    /// How many bytes are missing for the next word on what is held: to the end of the length, of
    /// the header, of the pong. At least one.
    pub(super) fn lacks(&self) -> usize {
        let held = self.bytes();
        let Some(second) = held.get(1) else {
            return 2 - held.len();
        };
        let mask = if second & 0x80 != 0 { 4 } else { 0 };
        let (length, payload) = match second & 0x7f {
            0x7e => (2, 0),
            0x7f => (8, 0),
            n => (0, usize::from(n)),
        };
        let header = 2 + length + mask;
        match held.len() < header {
            true => header - held.len(),
            // Only control frames with the shortest form of length are held beyond their header.
            false => header + payload - held.len(),
        }
    }
}

// ===== impl Part =====

impl Part {
    const fn new() -> Self {
        Self {
            bytes: [0; MAX_HELD],
            len: 0,
            given: None,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn push(&mut self, more: &[u8]) {
        let len = usize::from(self.len);
        self.bytes[len..len + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
    }
}

//! The beginning of a frame that the handler does not see yet.

use tokio::io::ReadBuf;

/// The beginning of a frame of which the handler must see nothing before more of it is there: a
/// header that may be refused, or a pong that may be ours.
///
/// It is completed by reads of just the bytes that it lacks, so nothing but this frame is ever in
/// here.
#[derive(Debug)]
pub(super) struct Held {
    bytes: [u8; MAX_HELD],
    len: u8,
    /// How much of it the handler has, once it is known that it may have it.
    given: Option<u8>,
}

/// The longest header, and as it happens a masked pong with eight bytes of payload.
pub(super) const MAX_HELD: usize = 14;

// ===== impl Held =====

impl Held {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; MAX_HELD],
            len: 0,
            given: None,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    pub(super) const fn is_holding(&self) -> bool {
        self.len > 0 && self.given.is_none()
    }

    pub(super) fn hold(&mut self, more: &[u8]) {
        let len = self.len();
        self.bytes[len..len + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
        self.given = None;
    }

    pub(super) const fn release(&mut self) {
        self.given = Some(0);
    }

    /// Gives the handler what it may have. Whether there was anything.
    #[inline]
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        match self.given {
            Some(given) => self.give_from(given, buf),
            None => false,
        }
    }

    fn give_from(&mut self, given: u8, buf: &mut ReadBuf<'_>) -> bool {
        let rest = &self.bytes()[usize::from(given)..];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        match n == rest.len() {
            true => self.clear(),
            false => self.given = Some(given + n as u8),
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
            // Only a pong of eight bytes is held beyond its header.
            false => header + payload - held.len(),
        }
    }
}

//! Memory for the time of one poll, shared by all connections of a thread.

use std::cell::Cell;
use std::mem;

/// The most plaintext that is sealed at once, and the most that is read at once: as many whole records
/// as go out in one piece. A network device, and the loopback, take up to 64 KiB of a stream at once,
/// headers included (segmentation offload); of four records the last bytes would travel alone, and
/// wake the peer for themselves, which costs half as much again (docs/benchmarks.md).
pub(crate) const BATCH: usize = 3 * MAX_PLAINTEXT;

/// RFC 8446 5.1, RFC 5246 6.2.1: what one record carries at most.
const MAX_PLAINTEXT: usize = 0x4000;

/// What a record is at most: header, and what TLS 1.2 allows a cipher to add
/// (RFC 5246 6.2.3; TLS 1.3 allows less).
pub(crate) const MAX_RECORD: usize = 5 + MAX_PLAINTEXT + 2048;

/// What is kept of records that are not processed yet: a handshake message in parts, which rustls
/// takes up to 64 KiB of, and then a record that is not whole.
pub(crate) const MAX_INCOMING: usize = 0x1_0000 + MAX_RECORD;

/// What [`BATCH`] comes to when it is sealed, in whole records, with a KeyUpdate in front.
const SEALED: usize = BATCH + 1024;

/// A buffer, borrowed from the thread until it is dropped.
///
/// It leaves its place while it is borrowed, so that TLS inside TLS, polled while the outer one
/// has it, gets one of its own instead of a panic.
#[derive(Debug)]
pub(crate) struct Scratch(Box<[u8]>);

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

// ===== impl Scratch =====

impl Scratch {
    pub(crate) fn borrow() -> Self {
        // A thread that is ending has no locals any more.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        // Zeros from the operating system: pages that nobody touches cost nothing.
        Self(spare.unwrap_or_else(|| vec![0; BATCH + SEALED].into_boxed_slice()))
    }

    /// Room for incoming records.
    pub(crate) fn incoming(&mut self) -> &mut [u8] {
        &mut self.0[..MAX_INCOMING]
    }

    /// Room for plaintext to be gathered in, and for the records made of it.
    pub(crate) fn outgoing(&mut self) -> (&mut [u8], &mut [u8]) {
        self.0.split_at_mut(BATCH)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = mem::take(&mut self.0);
        let _ = SPARE.try_with(|spare| spare.set(Some(buffer)));
    }
}

const _: () = assert!(MAX_INCOMING <= BATCH + SEALED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_gets_its_buffer_back() {
        let mut first = Scratch::borrow();
        let mut second = Scratch::borrow();
        assert_ne!(first.incoming().as_ptr(), second.incoming().as_ptr());
        drop(second);
        let address = first.incoming().as_ptr();
        drop(first);
        assert_eq!(Scratch::borrow().incoming().as_ptr(), address);
    }
}

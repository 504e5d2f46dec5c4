//! Buffers that a thread lends to whichever socket is being polled, so that idle ones hold none.

use std::cell::RefCell;

/// Lends a buffer to read into; what is in it is of no meaning.
///
/// # Panics
///
/// When it is lent already.
pub(crate) fn with_input<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    INPUT.with_borrow_mut(|buffer| f(buffer))
}

/// Lends an empty buffer to put together what is written next.
///
/// # Panics
///
/// When it is lent already.
pub(crate) fn with_output<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    OUTPUT.with_borrow_mut(|buffer| {
        buffer.clear();
        f(buffer)
    })
}

thread_local! {
    static INPUT: RefCell<Vec<u8>> = RefCell::new(vec![0; SIZE]);
    static OUTPUT: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(2 * SIZE));
}

/// 64 KiB: fewer system calls for a large message would be bought with misses in the cache.
pub(crate) const SIZE: usize = 64 * 1024;

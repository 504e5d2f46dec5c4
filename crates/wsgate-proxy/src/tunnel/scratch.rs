use std::cell::Cell;

/// Large enough that a bulk transfer costs few calls, and a TLS stream can give four records at
/// once.
const SIZE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the thread's buffer, so that no idle tunnel holds one.
///
/// Taken out while it is lent: a stream that relays something itself when it is polled gets another
/// one.
pub(super) fn with_scratch<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = SCRATCH.take().unwrap_or_else(|| vec![0; SIZE].into());
    let result = f(&mut buffer);
    SCRATCH.set(Some(buffer));
    result
}

use std::cell::Cell;

/// Large enough that a bulk transfer costs few calls, and small enough that what is written goes out
/// in one piece, three whole TLS records included: a network device, and the loopback, take less than
/// 64 KiB of a stream at once (segmentation offload). With 64 KiB the last bytes of each write
/// travelled alone and woke the peer for themselves, and a message of 1 MiB cost half as much
/// again.
const SIZE: usize = 48 * 1024;

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

//! Randomness for choices: fast, one generator for each thread, and seeded in simulations.

use std::cell::RefCell;

use rand::{SeedableRng, rngs::SmallRng};

/// Runs this with the thread's generator. What is chosen by it is no secret.
pub(super) fn with<T>(choose: impl FnOnce(&mut SmallRng) -> T) -> T {
    GENERATOR.with_borrow_mut(choose)
}

/// Begins a sequence that is the same each time, on this thread.
#[cfg(test)]
pub(super) fn seed(seed: u64) {
    GENERATOR.set(SmallRng::seed_from_u64(seed));
}

/// A permutation in which each bit of the input moves half of the output's: the finalizer of
/// MurmurHash3, by Austin Appleby. Two hashes put together by `^` are one again after it.
pub(super) const fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

thread_local! {
    static GENERATOR: RefCell<SmallRng> = RefCell::new(SmallRng::from_os_rng());
}

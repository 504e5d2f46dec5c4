//! Masking keys: fast, different in each frame, of no other quality.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Marsaglia's xorshift64*.
#[derive(Debug)]
pub(crate) struct Random(u64);

// ===== impl Random =====

impl Random {
    /// One that nobody foresees, from the keys that the standard library draws for its maps.
    pub(crate) fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(0u8))
    }

    /// Always the same numbers.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(if seed == 0 { 1 } else { seed })
    }

    /// Thirty-two good bits.
    pub(crate) const fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    pub(crate) const fn key(&mut self) -> [u8; 4] {
        self.next().to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ() {
        let mut random = Random::new();
        let mut keys: Vec<_> = (0..1000).map(|_| random.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        // Two of a thousand may be equal once in ten thousand runs; three will not.
        assert!(keys.len() >= 998);
    }
}

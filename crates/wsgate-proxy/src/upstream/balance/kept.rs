//! What a policy keeps about endpoints from one choice to the next.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use super::Candidates;

/// Something for each tier of a group, made anew from what it was when the tier has changed.
#[derive(Default)]
pub(super) struct Kept<T> {
    tiers: Mutex<Vec<Of<T>>>,
}

struct Of<T> {
    tier: u64,
    version: u64,
    kept: T,
}

// ===== impl Kept =====

impl<T: Default> Kept<T> {
    /// Uses what is kept for these endpoints. Both must be short: others wait meanwhile.
    pub(super) fn with<R>(
        &self,
        candidates: &Candidates<'_>,
        renew: impl FnOnce(&mut T),
        then: impl FnOnce(&mut T) -> R,
    ) -> R {
        let (tier, version) = (candidates.tier.id(), candidates.version());
        // A use that panicked may have left something half done: it is made anew.
        let mut tiers = self.tiers.lock().unwrap_or_else(|poisoned| {
            let mut tiers = PoisonError::into_inner(poisoned);
            tiers.clear();
            self.tiers.clear_poison();
            tiers
        });
        let place = tiers.iter().position(|of| of.tier == tier);
        let place = place.unwrap_or_else(|| {
            if tiers.len() == MOST_TIERS {
                tiers.remove(0);
            }
            tiers.push(Of {
                tier,
                // No tier has it.
                version: 0,
                kept: T::default(),
            });
            tiers.len() - 1
        });
        let of = &mut tiers[place];
        if of.version != version {
            renew(&mut of.kept);
            of.version = version;
        }
        then(&mut of.kept)
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// Primaries and backups are two. A group that has been taken to pieces may leave some behind.
const MOST_TIERS: usize = 8;

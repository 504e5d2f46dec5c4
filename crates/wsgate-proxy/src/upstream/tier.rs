//! Endpoints of one rank, and what is worked out about them whenever they change.

use std::{
    ops::{Deref, DerefMut},
    slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rand::Rng;

use super::Member;

/// The primaries of a group, or its backups, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Tier {
    members: Vec<Arc<Member>>,
    /// Of the weights up to and including each member; `None` while all weigh the same.
    sums: Option<Box<[u64]>>,
    id: u64,
    version: u64,
}

// ===== impl Tier =====

impl Tier {
    /// Has to follow every change of the members or their weights.
    pub(super) fn weigh(&mut self) {
        self.version = next();
        let mut weights = self.members.iter().map(|m| m.weight());
        let first = weights.next();
        self.sums = match weights.all(|weight| Some(weight) == first) {
            true => None,
            false => {
                let weights = self.members.iter().map(|m| u64::from(m.weight()));
                let sums = weights.scan(0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                });
                Some(sums.collect())
            }
        };
    }

    /// The same in all states of this tier, and of no other.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Of no other state, of this tier or another.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// A member's place, as likely as its weight says. Takes one look, or as many as the number of
    /// members has digits in binary.
    pub(super) fn draw<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<usize> {
        if self.members.is_empty() {
            return None;
        }
        let Some(sums) = &self.sums else {
            return Some(rng.random_range(0..self.members.len()));
        };
        let all = *sums.last()?;
        let drawn = rng.random_range(0..all);
        Some(sums.partition_point(|sum| *sum <= drawn))
    }
}

impl Default for Tier {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<Arc<Member>>> for Tier {
    fn from(members: Vec<Arc<Member>>) -> Self {
        let mut tier = Self {
            members,
            sums: None,
            id: next(),
            version: 0,
        };
        tier.weigh();
        tier
    }
}

impl Deref for Tier {
    type Target = Vec<Arc<Member>>;

    fn deref(&self) -> &Self::Target {
        &self.members
    }
}

impl DerefMut for Tier {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.members
    }
}

impl<'a> IntoIterator for &'a Tier {
    type Item = &'a Arc<Member>;
    type IntoIter = slice::Iter<'a, Arc<Member>>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.iter()
    }
}

fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

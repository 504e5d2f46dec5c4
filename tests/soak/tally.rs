//! What happened, counted; and what must not happen, in words.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts of everybody, by a name that the table has too.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<Vec<String>>,
}

// ===== impl Tally =====

impl Tally {
    pub(crate) fn one(&self, what: &str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&self, what: &str, number: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(what) {
            Some(count) => *count += number,
            None => {
                counts.insert(what.to_owned(), number);
            }
        }
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(what).copied().unwrap_or_default()
    }

    /// Those whose name begins so, by the rest of it.
    pub(crate) fn beginning(&self, with: &str) -> Vec<(String, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let named = counts.iter().filter_map(|(name, count)| {
            let rest = name.strip_prefix(with)?;
            Some((rest.to_owned(), *count))
        });
        named.collect()
    }

    /// Something that must not happen.
    pub(crate) fn fail(&self, what: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < TOLD {
            eprintln!("soak: FAILED: {what}");
        }
        failures.push(what);
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.clone()
    }
}

/// How many failures are told as they come; one fault can make thousands.
const TOLD: usize = 20;

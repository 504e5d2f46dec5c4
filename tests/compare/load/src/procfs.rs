//! What processes use, as the kernel tells.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};

/// A process, with all its descendants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched(u32);

/// What they had used at one moment.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Nanoseconds on a CPU of each thread, by process and thread.
    threads: HashMap<(u32, u32), u64>,
    /// Nanoseconds of whole processes, threads that have ended and children that were awaited among them. In steps of
    /// a clock tick, 10 ms as a rule.
    processes: HashMap<u32, u64>,
}

/// What they used between two moments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) cpu_ns: u64,
    /// Of each thread that used any, the busiest first.
    pub(crate) threads: Vec<u64>,
    /// Whether a thread or a process ended meanwhile, so that part of the sum has the precision of clock ticks.
    pub(crate) is_coarse: bool,
}

// ===== impl Watched =====

impl Watched {
    /// # Errors
    ///
    /// When there is no such process.
    pub(crate) fn new(pid: u32) -> Result<Self> {
        stat(pid).with_context(|| format!("there is no process {pid}"))?;
        Ok(Self(pid))
    }

    pub(crate) fn sample(self) -> Sample {
        let mut sample = Sample::default();
        for pid in self.family() {
            if let Some((_, nanos)) = stat(pid) {
                sample.processes.insert(pid, nanos);
            }
            for thread in numbers_in(&format!("/proc/{pid}/task")) {
                let path = format!("/proc/{pid}/task/{thread}/schedstat");
                if let Some(nanos) = field(&path, 0) {
                    sample.threads.insert((pid, thread), nanos);
                }
            }
        }
        sample
    }

    /// Bytes that belong to them alone and were written to.
    pub(crate) fn private_dirty(self) -> u64 {
        let sizes = self.family().into_iter().filter_map(|pid| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find(|l| l.starts_with("Private_Dirty:"))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib * 1024)
        });
        sizes.sum()
    }

    /// Itself and its descendants.
    fn family(self) -> HashSet<u32> {
        let parents: Vec<(u32, u32)> = numbers_in("/proc")
            .into_iter()
            .filter_map(|pid| Some((pid, stat(pid)?.0)))
            .collect();
        let mut family = HashSet::from([self.0]);
        loop {
            let known = family.len();
            let children = parents.iter().filter(|(_, p)| family.contains(p));
            let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
            family.extend(children);
            if family.len() == known {
                return family;
            }
        }
    }
}

// ===== impl Sample =====

impl Sample {
    /// What was used from `self` to `later`.
    pub(crate) fn until(&self, later: &Self) -> Used {
        let before = |key| self.threads.get(key).copied().unwrap_or(0);
        let mut of_process: HashMap<u32, u64> = HashMap::new();
        let mut threads = Vec::new();
        for (key, after) in &later.threads {
            let used = after.saturating_sub(before(key));
            *of_process.entry(key.0).or_default() += used;
            threads.push(used);
        }
        threads.retain(|used| *used > 0);
        threads.sort_unstable_by(|a, b| b.cmp(a));

        let gone = |key| !later.threads.contains_key(key);
        let bereft: HashSet<u32> = self
            .threads
            .keys()
            .filter(|key| gone(key))
            .map(|key| key.0)
            .collect();
        // The totals of a process know of its threads that have ended. A process that has ended is in the totals of
        // its parent, once that has waited for it.
        let lost_process = bereft.iter().any(|pid| !later.processes.contains_key(pid));
        let mut cpu_ns = 0;
        for (pid, after) in &later.processes {
            let exact = of_process.get(pid).copied().unwrap_or(0);
            let total = after.saturating_sub(self.processes.get(pid).copied().unwrap_or(0));
            let coarse = lost_process || bereft.contains(pid);
            cpu_ns += if coarse { exact.max(total) } else { exact };
        }
        Used {
            cpu_ns,
            threads,
            is_coarse: !bereft.is_empty(),
        }
    }
}

/// The parent of a process, and the nanoseconds that it and the children it has awaited used.
fn stat(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses, and may have some of its own.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    // utime, stime, cutime and cstime are the fields 14 to 17 of proc(5), counted from 1.
    let ticks = fields.get(11..15)?.iter().map(|ticks| ticks.parse::<u64>());
    let ticks = ticks.sum::<Result<u64, _>>().ok()?;
    Some((
        parent,
        ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()),
    ))
}

/// The entries of a folder that are numbers.
fn numbers_in(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// One of the words of a file.
fn field<T: FromStr>(path: impl AsRef<Path>, index: usize) -> Option<T> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{self, Command, Stdio};

    use super::*;

    fn sample(threads: &[(u32, u32, u64)], processes: &[(u32, u64)]) -> Sample {
        Sample {
            threads: threads.iter().map(|(p, t, n)| ((*p, *t), *n)).collect(),
            processes: processes.iter().copied().collect(),
        }
    }

    #[track_caller]
    fn check(before: &Sample, after: &Sample, cpu_ns: u64, threads: &[u64], is_coarse: bool) {
        let expected = Used {
            cpu_ns,
            threads: threads.to_vec(),
            is_coarse,
        };
        assert_eq!(before.until(after), expected);
    }

    #[test]
    fn threads_that_stay_and_one_that_is_new() {
        let before = sample(&[(1, 1, 100), (1, 2, 50), (3, 3, 7)], &[(1, 0), (3, 0)]);
        let after = sample(
            &[(1, 1, 110), (1, 2, 90), (1, 4, 5), (3, 3, 7)],
            &[(1, 9999), (3, 9999)],
        );
        check(&before, &after, 55, &[40, 10, 5], false);
    }

    #[test]
    fn a_thread_that_ends_is_found_in_the_total() {
        let before = sample(&[(1, 1, 100), (1, 2, 50)], &[(1, 1000)]);
        let after = sample(&[(1, 1, 110)], &[(1, 1500)]);
        check(&before, &after, 500, &[10], true);
    }

    #[test]
    fn a_child_that_ends_is_found_in_the_total_of_its_parent() {
        let before = sample(&[(1, 1, 100), (2, 2, 50)], &[(1, 1000), (2, 3000)]);
        let after = sample(&[(1, 1, 110)], &[(1, 1500)]);
        check(&before, &after, 500, &[10], true);
    }

    #[test]
    fn children_are_family() {
        let mut child = Command::new("sleep")
            .arg("60")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let us = Watched::new(process::id()).unwrap();
        let family = us.family();
        let memory = us.private_dirty();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&child.id()));
        assert!(family.contains(&process::id()));
        assert!(!family.contains(&1));
        assert!(memory > 0);
    }

    #[test]
    fn work_shows() {
        let us = Watched::new(process::id()).unwrap();
        let before = us.sample();
        let mut sum = 0u64;
        let used = loop {
            for number in 0..1_000_000u64 {
                sum = std::hint::black_box(sum.wrapping_add(number));
            }
            let used = before.until(&us.sample());
            if used.cpu_ns > 0 {
                break used;
            }
        };
        assert!(!used.threads.is_empty() || used.is_coarse);
    }

    #[test]
    fn a_process_that_is_not_there() {
        let error = Watched::new(u32::MAX).unwrap_err();
        assert_eq!(error.to_string(), "there is no process 4294967295");
    }
}

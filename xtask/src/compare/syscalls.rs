//! Counts the system calls of a peer for each echo, by strace.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::program::{Launch, Program};
use super::results::Sample;

/// Counts in two runs of different lengths and subtracts, so that what they have in common, connecting
/// and leaving, is not counted. `load` makes load for so many seconds, with one message in flight on each
/// socket: then an echo takes exactly two writes, and they tell how many echoes strace has seen.
pub(crate) fn count(
    peer: &Program,
    dir: &Path,
    cores: &str,
    load: impl Fn(f64) -> Result<Sample>,
) -> Result<Sample> {
    let traced = |seconds| -> Result<(Calls, Sample)> {
        let tracer = Tracer::attach(peer, dir, cores)?;
        let sample = load(seconds)?;
        Ok((tracer.detach()?, sample))
    };
    let (few, _) = traced(SHORT)?;
    let (many, sample) = traced(LONG)?;
    if many.writes <= few.writes {
        bail!(
            "{} writes in {LONG} s under strace, {} in {SHORT} s",
            many.writes,
            few.writes
        );
    }
    Ok(Sample {
        messages: (many.writes - few.writes) / 2,
        syscalls: Some(many.all.saturating_sub(few.all)),
        // Everything is slower under strace.
        cpu_ns: None,
        latency_us: None,
        workers: Vec::new(),
        ..sample
    })
}

/// What strace has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Calls {
    all: u64,
    /// Those that write to a socket.
    writes: u64,
}

/// A strace that counts.
struct Tracer {
    strace: Program,
    summary: std::path::PathBuf,
}

// ===== impl Tracer =====

impl Tracer {
    fn attach(peer: &Program, dir: &Path, cores: &str) -> Result<Self> {
        let summary = dir.join("strace.txt");
        let program = crate::process::find("strace").context("strace is not installed")?;
        let processes = family(peer.id());
        let mut args = vec!["-c".to_owned(), "-f".to_owned(), "-o".to_owned()];
        args.push(summary.to_string_lossy().into_owned());
        args.extend(
            processes
                .iter()
                .map(|process| format!("--attach={process}")),
        );
        let strace = Launch::new("strace", &program, dir).args(args.iter().map(String::as_str));
        let mut strace = strace.start(cores)?;
        for process in processes {
            strace.says(&format!("Process {process} attached"))?;
        }
        // Threads are attached right after their process.
        thread::sleep(Duration::from_millis(100));
        Ok(Self { strace, summary })
    }

    /// Lets go, and returns how many calls it has seen.
    fn detach(mut self) -> Result<Calls> {
        self.strace.signal("INT");
        if !self.strace.ends_within(Duration::from_secs(10)) {
            bail!("strace does not end: {}", self.strace.last_words());
        }
        let summary = fs::read_to_string(&self.summary).context("strace has written nothing")?;
        Calls::parse(&summary).with_context(|| format!("strace wrote {summary:?}"))
    }
}

/// A process and its descendants.
fn family(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok());
    [process]
        .into_iter()
        .chain(children.flat_map(family))
        .collect()
}

// ===== impl Calls =====

impl Calls {
    /// Reads a summary. Its lines are: % time, seconds, usecs/call, calls, errors if any, and the name
    /// of the call, which is "total" in the last one.
    fn parse(summary: &str) -> Option<Self> {
        let mut calls = Self { all: 0, writes: 0 };
        for line in summary.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let (Some(name), Some(count)) = (words.last(), words.get(3)) else {
                continue;
            };
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            match *name {
                "total" => calls.all = count,
                name if WRITES.contains(&name) => calls.writes += count,
                _ => {}
            }
        }
        (calls.all > 0).then_some(calls)
    }
}

const WRITES: &[&str] = &["send", "sendmsg", "sendto", "write", "writev"];

/// Seconds.
const SHORT: f64 = 0.5;
const LONG: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read() {
        let summary = "\
            % time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
             60.00    0.000600           1       600           write\n\
             40.00    0.000400           1       400       100 read\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.001000           1      1000       100 total\n";
        let (all, writes) = (1000, 600);
        assert_eq!(Calls::parse(summary), Some(Calls { all, writes }));
        assert_eq!(Calls::parse(""), None);
    }

    #[test]
    fn a_family_begins_with_its_eldest() {
        let ours = std::process::id();
        assert_eq!(family(ours).first(), Some(&ours));
    }
}

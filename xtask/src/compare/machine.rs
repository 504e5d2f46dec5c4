//! What it was measured on.

use std::fs;
use std::process::Command;
use std::thread;

use super::program::Placement;
use super::results::Machine;
use crate::process;
use crate::workspace::Workspace;

/// What the machine says of itself.
pub(crate) fn machine(placement: &Placement) -> Machine {
    let proc = |file: &str, key: &str| {
        let text = fs::read_to_string(format!("/proc/{file}")).unwrap_or_default();
        field(&text, key).unwrap_or("unknown").to_owned()
    };
    let memory = proc("meminfo", "MemTotal");
    let gib = memory
        .trim_end_matches(" kB")
        .parse::<f64>()
        .map(|kib| kib / f64::from(1 << 20));
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let shared = placement.peers == placement.load;
    Machine {
        cpu: proc("cpuinfo", "model name"),
        cores: cores(),
        memory: gib.map_or(memory, |gib| format!("{gib:.0} GiB")),
        kernel: proc("sys/kernel/osrelease", ""),
        system: system.unwrap_or("unknown").trim_matches('"').to_owned(),
        placement: if shared {
            format!(
                "proxy, generator and upstream share cores {}",
                placement.peers
            )
        } else {
            format!(
                "the proxy has cores {}, generator and upstream have {}",
                placement.peers, placement.load
            )
        },
    }
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The commit we are at, and whether there is more than it holds.
pub(crate) fn commit(workspace: &Workspace) -> String {
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        process::read(git.current_dir(&workspace.root).args(args)).ok()
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let commit = commit.map_or("unknown".to_owned(), |commit| commit.trim().to_owned());
    // What this very tool writes does not count.
    let changes = git(&["status", "--porcelain", "--", ".", ":!docs/benchmarks*"]);
    match changes {
        Some(changes) if !changes.trim().is_empty() => commit + "-dirty",
        _ => commit,
    }
}

/// Today, in UTC.
pub(crate) fn date() -> String {
    let date = process::read(Command::new("date").args(["-u", "+%Y-%m-%d"]));
    date.map_or("unknown".to_owned(), |date| date.trim().to_owned())
}

/// What follows `key` and a colon; the whole text without a key.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    if key.is_empty() {
        return Some(text.trim());
    }
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n";
        assert_eq!(field(text, "model name"), Some("A CPU @ 2 GHz"));
        assert_eq!(field(text, "flags"), None);
        assert_eq!(field("6.1.0\n", ""), Some("6.1.0"));
    }
}

//! A test that needs a process to itself, since it measures one.

use std::env;
use std::fs;

use tokio::process::Command;

use crate::io::within;

/// Whether this process runs the calling test and no other. If not, starts one that does, and waits
/// until it has passed: the caller is done then.
///
/// `test` is its whole name, as the test program lists it.
///
/// # Panics
///
/// When the test fails there; what it printed is in the message.
pub async fn alone(test: &str) -> bool {
    alone_with(test, &[]).await
}

/// The same with these environment variables set: in a process with many threads none may be.
///
/// # Panics
///
/// As there.
pub async fn alone_with(test: &str, variables: &[(&str, &str)]) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let program = env::current_exe().expect("a running program has a file");
    let mut command = Command::new(program);
    command
        .args(["--exact", test])
        .env(ALONE, "1")
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    let output = within(test, command.output()).await;
    let output = output.expect("a test program starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && printed.contains("1 passed");
    assert!(passed, "{test}, alone:\n{printed}");
    false
}

/// The memory that this process has now, in bytes.
pub fn memory() -> u64 {
    status("VmRSS:")
}

/// The most memory that this process ever had, in bytes.
pub fn peak_memory() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.trim().strip_suffix(" kB"));
    let kibibytes: u64 = value.expect("a size").parse().expect("a number");
    kibibytes * 1024
}

const ALONE: &str = "WSGATE_TEST_ALONE";

//! A test that needs a process to itself, since it measures one, or wants to hear what is said once.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::program::find;

/// Whether this process runs the calling test and no other. If not, starts one that does, and waits
/// until it has passed: the caller is done then. What it printed is printed here again.
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
    run(test, Command::new(this_program()), variables).await
}

/// The same in namespaces of its own for network and mounts, where it is root: with nothing but a
/// loopback, and as a shell has prepared it by these commands.
///
/// # Panics
///
/// As there, and when there are no such namespaces to be had.
pub async fn alone_in_namespaces(test: &str, commands: &str) -> bool {
    let mut command = Command::new(find("unshare"));
    let script = format!("ip link set lo up && {commands} && exec \"$0\" \"$@\"");
    command.args(["--map-root-user", "--net", "--mount", "sh", "-ec", &script]);
    command.arg(this_program());
    run(test, command, &[]).await
}

fn this_program() -> PathBuf {
    env::current_exe().expect("a running program has a file")
}

async fn run(test: &str, mut command: Command, variables: &[(&str, &str)]) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    command
        .args(["--exact", test, "--include-ignored", "--show-output"])
        .env(ALONE, "1")
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{test} goes on for {PATIENCE:?}"));
    let output = output.expect("a test program starts");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    let passed = output.status.success() && printed.contains("1 passed");
    assert!(passed, "{test}, alone:\n{printed}");
    #[expect(clippy::print_stdout, reason = "a test program keeps it for who asks")]
    {
        print!("{printed}");
    }
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

/// What the test waits for has limits of its own.
const PATIENCE: Duration = Duration::from_secs(180);

const ALONE: &str = "WSGATE_TEST_ALONE";

//! The program as a process, as upstream and as generator.

pub(crate) mod proxy;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A running upstream; it ends with the value.
#[derive(Debug)]
pub(crate) struct Upstream {
    child: Child,
    pub(crate) address: SocketAddr,
}

// ===== impl Upstream =====

impl Upstream {
    pub(crate) fn start() -> Self {
        let mut child = program()
            .args(["upstream", "--listen", "127.0.0.1:0", "--threads", "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening ").expect("it says where");
        let address = address.trim().parse().unwrap();
        Self { child, address }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // The end of its standard input ends it.
        drop(self.child.stdin.take());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// Runs a scenario for a short time.
pub(crate) fn run(scenario: &str, target: SocketAddr, arguments: &str) -> Output {
    program()
        .arg(scenario)
        .args(["--connect", &target.to_string()])
        .args(["--seconds", "0.3", "--warm-up", "0.1"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The report of a scenario that could be run.
#[track_caller]
pub(crate) fn report(scenario: &str, target: SocketAddr, arguments: &str) -> Value {
    let output = run(scenario, target, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert_eq!(stderr, "");
    serde_json::from_slice(&output.stdout).expect("one object and nothing else")
}

/// The same, where nothing may fail and something must happen.
#[track_caller]
pub(crate) fn good_report(scenario: &str, target: SocketAddr, arguments: &str) -> Value {
    let report = report(scenario, target, arguments);
    assert_eq!(report["errors"], 0, "{report}");
    assert!(number(&report, "messages") > 0, "{report}");
    report
}

#[track_caller]
pub(crate) fn number(report: &Value, field: &str) -> u64 {
    report[field]
        .as_u64()
        .unwrap_or_else(|| panic!("no {field} in {report}"))
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wsgate-load"))
}
